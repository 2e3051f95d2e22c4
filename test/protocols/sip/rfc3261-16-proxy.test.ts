import { afterEach, describe, expect, it } from 'vitest';
import {
  answerTo,
  branchOf,
  fieldsOf,
  gist,
  headerLines,
  type Peer,
  request,
  SipWorld,
  type SipWorldOptions,
  startLine,
  statusOf,
} from './world.ts';

let open: SipWorld | undefined;

afterEach(async () => {
  await open?.down();
  open = undefined;
});

interface Scene {
  readonly world: SipWorld;
  readonly caller: Peer;
  readonly callee: Peer;
}

async function scene(options: SipWorldOptions = {}): Promise<Scene> {
  const world = await SipWorld.up(options);
  open = world;
  return { world, caller: await world.peer('127.0.0.9:5062'), callee: await world.peer('127.0.0.20:5070') };
}

/** A domain of ours in which bob has these contacts. */
async function usrloc(contacts: readonly string[], config: Readonly<Record<string, unknown>> = {}): Promise<Scene> {
  const made = await scene({ config: { domains: ['biloxi.example'], ...config } });
  for (const [index, contact] of contacts.entries()) {
    made.caller.send(
      request('REGISTER', {
        uri: 'sip:biloxi.example',
        to: '<sip:bob@biloxi.example>',
        from: '<sip:bob@biloxi.example>;tag=r',
        callId: `register-${index}`,
        branch: `z9hG4bKregister${index}`,
        fields: `Contact: ${contact}\r\n`,
      }),
    );
    await made.world.run();
    expect(statusOf(made.caller.last)).toBe(200);
  }
  made.caller.take();
  made.world.sent.length = 0;
  return made;
}

/** The memory network looks at names only; the schema wants files. */
const certs = new URL('../../support/certs/', import.meta.url).pathname;
const tls = { certFile: `${certs}server-cert.pem`, keyFile: `${certs}server-key.pem` };

const toBob = { uri: 'sip:bob@biloxi.example' };

describe('RFC 3261 §16.3 request validation', () => {
  it.each([
    ['416 to a scheme it does not know', 'OPTIONS', { uri: 'nobody:x@y' }, 416],
    ['483 to Max-Forwards 0', 'INVITE', { maxForwards: 'Max-Forwards: 0\r\n' }, 483],
    ['400 to Max-Forwards that is no number', 'INVITE', { maxForwards: 'Max-Forwards: -1\r\n' }, 400],
    ['420 to options of Proxy-Require', 'INVITE', { fields: 'Proxy-Require: one\r\nProxy-Require: two\r\n' }, 420],
    ['404 to an unknown user of its own domain', 'INVITE', { uri: 'sip:nobody@biloxi.example' }, 404],
    ['416 to a tel URI that no route knows', 'INVITE', { uri: 'tel:+4930123' }, 416],
  ])('answers %s, and forwards nothing', async (_claim, method, options, status) => {
    const { world, caller } = await usrloc([]);
    caller.send(request(method, options));
    await world.run();
    expect(gist(caller.texts)).toEqual([String(status)]);
    expect(world.sent.length).toBe(1);
    expect(fieldsOf(caller.last, 'to')[0]).toMatch(/;tag=[^;]+$/);
    if (status === 420) expect(fieldsOf(caller.last, 'unsupported')).toEqual(['one, two']);
  });

  it('tells a user it knows that he is not there: 480', async () => {
    const { world, caller } = await usrloc([], {
      auth: { users: [{ user: 'bob', password: 'secret' }] },
    });
    caller.send(request('INVITE', toBob));
    await world.run();
    expect(gist(caller.texts)).toEqual(['480']);
  });

  it.each([
    ['item 3: OPTIONS for its domain', 'OPTIONS', 'sip:biloxi.example', '200'],
    ['§11: OPTIONS for itself', 'OPTIONS', 'sip:127.0.0.1:5060', '200'],
    ['item 3: OPTIONS on its way to others', 'OPTIONS', 'sip:bob@elsewhere.example', '483'],
    ['item 3: REGISTER for its registrar', 'REGISTER', 'sip:biloxi.example', '200'],
    ['item 3: REGISTER on its way to another registrar', 'REGISTER', 'sip:elsewhere.example', '483'],
  ])('Max-Forwards 0 does not stop what has arrived: %s', async (_claim, method, uri, status) => {
    const { world, caller } = await usrloc([]);
    const bob = { to: '<sip:bob@biloxi.example>', from: '<sip:bob@biloxi.example>;tag=r' };
    caller.send(request(method, { uri, ...bob, maxForwards: 'Max-Forwards: 0\r\n' }));
    await world.run();
    expect([gist(caller.texts), world.sent.length]).toEqual([[status], 1]);
  });

  it('answers OPTIONS to itself with what it is', async () => {
    const { world, caller } = await scene();
    caller.send(request('OPTIONS', { uri: 'sip:127.0.0.1:5060', maxForwards: 'Max-Forwards: 1\r\n' }));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
    expect(fieldsOf(caller.last, 'allow')[0]).toContain('INVITE, ACK, CANCEL, BYE');
    expect(fieldsOf(caller.last, 'accept')).toEqual(['application/sdp']);
    expect(fieldsOf(caller.last, 'supported')[0]).toContain('path');
  });
});

describe('RFC 3261 §16.5 targets', () => {
  it('480 where the only contact of a number is a line of another protocol', async () => {
    const { world, caller } = await scene({ config: { domains: ['biloxi.example'] } });
    const line = { key: 'l', protocol: 'mgcp', target: 'aaln/1@gw.example', path: [], alternates: [], q: 1_000 };
    await world.locations.save('200@biloxi.example', [
      { ...line, expiresMs: world.clock.now() + 60_000, updatedMs: 0 },
    ]);
    caller.send(request('INVITE', { uri: 'sip:200@biloxi.example' }));
    await world.run(40_000);
    expect(gist(caller.take())[0]).toBe('480');
    caller.send(request('ACK', { uri: 'sip:200@biloxi.example', to: '<sip:200@biloxi.example>;tag=x' }));
    await world.run(40_000);
    expect(world.transactions).toBe(0);
  });
});

describe('RFC 5393 §4 loops and spirals', () => {
  it('answers 482 to a request that comes back as it went', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const looped = callee.last
      .replace(/^INVITE/, 'INVITE')
      .replace(/\r\nVia:/, '\r\nVia: SIP/2.0/UDP 127.0.0.20:5070;branch=z9hG4bKother\r\nVia:');
    callee.take();
    callee.send(looped);
    await world.run();
    expect(gist(callee.texts)).toEqual(['482']);
  });

  it('lets a request pass that comes back for somebody else', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const spiral = callee.last
      .replace('sip:bob@127.0.0.20:5070 SIP', 'sip:carol@127.0.0.20:5070 SIP')
      .replace(/\r\nVia:/, '\r\nVia: SIP/2.0/UDP 127.0.0.20:5070;branch=z9hG4bKother\r\nVia:');
    callee.take();
    callee.send(spiral);
    await world.run();
    expect(gist(callee.texts)).toEqual(['INVITE']);
  });

  it('answers 440 where fewer branches are left than one (§5.3.3)', async () => {
    const { world, caller } = await usrloc(['<sip:bob@127.0.0.20:5070>']);
    caller.send(request('INVITE', { ...toBob, fields: 'Max-Breadth: 0\r\n' }));
    await world.run();
    expect(gist(caller.texts)).toEqual(['440']);
  });

  it('shares the breadth among the branches, and tries in turn what it cannot try at once', async () => {
    const { world, caller, callee } = await usrloc([
      '<sip:one@127.0.0.20:5070>',
      '<sip:two@127.0.0.20:5070>',
      '<sip:three@127.0.0.20:5070>',
    ]);
    caller.send(request('INVITE', { ...toBob, fields: 'Max-Breadth: 2\r\n' }));
    await world.run();
    expect(callee.texts.map((text) => fieldsOf(text, 'max-breadth')[0])).toEqual(['1', '1']);
    for (const text of callee.take()) callee.send(answerTo(text, 486));
    await world.run();
    expect(gist(callee.texts)).toContain('INVITE');
    expect(gist(caller.texts).at(-1)).not.toBe('486');
  });
});

describe('RFC 3261 §16.4 route information', () => {
  it('takes its own entries off, in one field or several, and leaves the rest', async () => {
    const { world, caller, callee } = await scene();
    caller.send(
      request('BYE', {
        uri: 'sip:bob@192.0.2.4',
        fields:
          'Route: <sip:127.0.0.1:5060;lr>\r\nRoute: <sip:127.0.0.1;lr>, <sip:127.0.0.20:5070;lr>;x=y\r\nRoute: <sip:192.0.2.9;lr>\r\n',
      }),
    );
    await world.run();
    expect(startLine(callee.last)).toBe('BYE sip:bob@192.0.2.4 SIP/2.0');
    expect(fieldsOf(callee.last, 'route')).toEqual(['<sip:127.0.0.20:5070;lr>;x=y', '<sip:192.0.2.9;lr>']);
  });

  it.each([
    ['as it wrote it', '<sip:127.0.0.1:5060;lr>'],
    ['without the port', '<sip:127.0.0.1;lr>'],
    ['with parameters that it did not write', '<sip:127.0.0.1:5060;lr;x=y>;z'],
    ['with a name before it', '"us" <sip:127.0.0.1:5060;lr>'],
  ])('takes a single entry of its own off: %s', async (_, route) => {
    const { world, caller, callee } = await scene();
    caller.send(request('BYE', { uri: 'sip:bob@127.0.0.20:5070', fields: `Route: ${route}\r\n` }));
    await world.run();
    expect(startLine(callee.last)).toBe('BYE sip:bob@127.0.0.20:5070 SIP/2.0');
    expect(fieldsOf(callee.last, 'route')).toEqual([]);
  });

  it('counts no empty element of a list as an entry', async () => {
    const { world, caller, callee } = await scene();
    caller.send(
      request('BYE', {
        uri: 'sip:bob@192.0.2.4',
        fields: 'Route: ,,<sip:127.0.0.1:5060;lr> , ,<sip:127.0.0.20:5070;lr>\r\n',
      }),
    );
    await world.run();
    expect(fieldsOf(callee.last, 'route').join()).not.toContain('127.0.0.1:5060');
    expect(fieldsOf(callee.last, 'route').join()).toContain('<sip:127.0.0.20:5070;lr>');
  });

  it('undoes what a strict router did: its own URI in the Request-URI, the target last in Route', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('BYE', { uri: 'sip:127.0.0.1:5060;lr', fields: 'Route: <sip:bob@127.0.0.20:5070>\r\n' }));
    await world.run();
    expect(startLine(callee.last)).toBe('BYE sip:bob@127.0.0.20:5070 SIP/2.0');
    expect(fieldsOf(callee.last, 'route')).toEqual([]);
  });

  it('makes a strict router the Request-URI and puts the target last (§16.6 item 6)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(
      request('BYE', {
        uri: 'sip:bob@192.0.2.4',
        fields: 'Route: <sip:127.0.0.1:5060;lr>, <sip:127.0.0.20:5070>, <sip:192.0.2.9;lr>\r\n',
      }),
    );
    await world.run();
    expect(startLine(callee.last)).toBe('BYE sip:127.0.0.20:5070 SIP/2.0');
    expect(fieldsOf(callee.last, 'route')).toEqual(['<sip:192.0.2.9;lr>', '<sip:bob@192.0.2.4>']);
  });

  it('answers 416 to a Route it cannot follow, and sends nothing on', async () => {
    const { world, caller } = await scene();
    caller.send(request('BYE', { fields: 'Route: <tel:+49>\r\n' }));
    await world.run();
    expect(gist(caller.texts)).toEqual(['416']);
  });
});

describe('RFC 3261 §16.5 targets by the routing table', () => {
  const routes = [
    { prefix: '+49', to: ['127.0.0.20:5070'], stripDigits: 3, prepend: '0' },
    { prefix: '+4930', to: ['127.0.0.21:5070'] },
    { domain: 'far.example', to: ['127.0.0.22:5070', '127.0.0.23:5070'] },
  ];

  it('takes digits off and puts a prefix on, also for tel URIs', async () => {
    const { world, caller, callee } = await usrloc([], { routes });
    caller.send(request('INVITE', { uri: 'tel:+4989123;phone-context=x' }));
    await world.run();
    expect(startLine(callee.last)).toBe('INVITE tel:089123;phone-context=x SIP/2.0');
    caller.send(request('INVITE', { uri: 'sip:+4989123@biloxi.example;user=phone', branch: 'z9hG4bK2' }));
    await world.run();
    expect(startLine(callee.last)).toBe('INVITE sip:089123@biloxi.example;user=phone SIP/2.0');
  });

  it('prefers the longest prefix', async () => {
    const { world, caller, callee } = await usrloc([], { routes });
    const berlin = await world.peer('127.0.0.21:5070');
    caller.send(request('INVITE', { uri: 'tel:+4930123' }));
    await world.run();
    expect(gist(berlin.texts)).toEqual(['INVITE']);
    expect(callee.texts).toEqual([]);
  });

  it('goes by the domain, and names the others of the set as alternates on the Route it pushes', async () => {
    const { world, caller } = await usrloc([], { routes });
    const far = await world.peer('127.0.0.22:5070');
    caller.send(request('INVITE', { uri: 'sip:x@far.example' }));
    await world.run();
    expect(startLine(far.last)).toBe('INVITE sip:x@far.example SIP/2.0');
    expect(fieldsOf(far.last, 'route')).toEqual(['<sip:127.0.0.22:5070;lr>;AlternatePath="sip:127.0.0.23:5070"']);
  });
});

describe('RFC 3261 §12.2.1.1 requests within a dialog', () => {
  it.each([
    ['a default route', { defaultRoute: ['127.0.0.30:5060'] }],
    ['a route for its domain', { routes: [{ domain: '127.0.0.20', to: ['127.0.0.30:5060'] }] }],
    ['a route for its number', { routes: [{ prefix: '+49', to: ['127.0.0.30:5060'], stripDigits: 3 }] }],
  ])('go to where their Request-URI says, not along %s', async (_claim, config) => {
    const { world, caller, callee } = await scene({ config });
    const carrier = await world.peer('127.0.0.30:5060');
    const inDialog = { uri: 'sip:+4930@127.0.0.20:5070', fields: 'Route: <sip:127.0.0.1;lr>\r\n' };
    caller.send(request('BYE', { ...inDialog, to: '<sip:bob@biloxi.example>;tag=b' }));
    await world.run();
    expect(gist(callee.texts)).toEqual(['BYE']);
    expect(startLine(callee.last)).toBe('BYE sip:+4930@127.0.0.20:5070 SIP/2.0');
    caller.send(request('ACK', { ...inDialog, to: '<sip:bob@biloxi.example>;tag=b', branch: 'z9hG4bKack' }));
    await world.run();
    expect(gist(callee.texts)).toEqual(['BYE', 'ACK']);
    expect(carrier.texts).toEqual([]);
    // Outside of a dialog the routes decide.
    caller.send(request('INVITE', { ...inDialog, branch: 'z9hG4bKnew' }));
    await world.run();
    expect(gist(carrier.texts)).toEqual(['INVITE']);
  });
});

describe('RFC 3261 §16.6 request forwarding', () => {
  it('inserts Via, counts Max-Forwards down, and asks to stay in the path', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const [ours, callers] = fieldsOf(callee.last, 'via');
    expect(ours).toMatch(/^SIP\/2\.0\/UDP 127\.0\.0\.1:5060;branch=z9hG4bK[^;]+;rport$/);
    expect(callers).toBe('SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bKcaller1');
    expect(fieldsOf(callee.last, 'max-forwards')).toEqual(['69']);
    expect(fieldsOf(callee.last, 'record-route')).toEqual(['<sip:127.0.0.1:5060;lr>']);
  });

  it('records its route in dialog-forming requests only, and not at all if so configured', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('MESSAGE'));
    await world.run();
    expect(fieldsOf(callee.last, 'record-route')).toEqual([]);
    await world.down();
    const off = await scene({ config: { recordRoute: false } });
    off.caller.send(request('INVITE'));
    await off.world.run();
    expect(fieldsOf(off.callee.last, 'record-route')).toEqual([]);
  });

  it('records both sides where transports differ, the next hop on top (RFC 5658)', async () => {
    const { world, caller } = await scene();
    const callee = await world.peer('tcp:127.0.0.20:5071');
    caller.send(request('INVITE', { uri: 'sip:bob@127.0.0.20:5071;transport=tcp' }));
    await world.run();
    expect(fieldsOf(callee.last, 'record-route')).toEqual([
      '<sip:127.0.0.1:5060;transport=tcp;lr>',
      '<sip:127.0.0.1:5060;lr>',
    ]);
    expect(fieldsOf(callee.last, 'via')[0]).toMatch(/^SIP\/2\.0\/TCP 127\.0\.0\.1:5060;/);
  });

  it('records a SIPS URI where it sends to one, and none where it came by TLS and goes on without (item 4)', async () => {
    const { world } = await scene({
      config: { listen: ['udp:127.0.0.1:5060', 'tls:127.0.0.1:5061'], tls },
    });
    const secure = await world.peer('tls:127.0.0.20:5071');
    const plain = await world.peer('127.0.0.20:5072');
    const phone = await world.peer('tls:127.0.0.9:5062');
    const invite = (branch: string, uri: string, fields = '') =>
      phone.send(request('INVITE', { transport: 'TLS', branch, uri, fields, callId: branch }), {
        host: '127.0.0.1',
        port: 5061,
      });
    invite('z9hG4bKsips', 'sips:bob@127.0.0.20:5071');
    await world.run();
    const schemes = (text: string) => fieldsOf(text, 'record-route').map((entry) => entry.slice(0, entry.indexOf(':')));
    expect(schemes(secure.last)).toEqual(['<sips', '<sips']);
    expect(fieldsOf(secure.last, 'record-route')[0]).toBe('<sips:127.0.0.1:5061;lr>');
    // By the topmost Route after the proxy took its own off.
    invite('z9hG4bKroute', 'sip:bob@x.example', 'Route: <sips:127.0.0.1:5061;lr>, <sips:127.0.0.20:5071;lr>\r\n');
    await world.run();
    expect(secure.texts).toHaveLength(2);
    expect(schemes(secure.last)).toEqual(['<sips', '<sips']);
    // In the dialog its own entry is taken off, whichever scheme it has.
    phone.send(
      request('BYE', {
        transport: 'TLS',
        uri: 'sips:bob@127.0.0.20:5071',
        branch: 'z9hG4bKbye',
        to: '<sip:bob@biloxi.example>;tag=b1',
        fields: fieldsOf(secure.texts[0] ?? '', 'record-route')
          .toReversed()
          .map((entry) => `Route: ${entry}\r\n`)
          .join(''),
      }),
      { host: '127.0.0.1', port: 5061 },
    );
    await world.run();
    expect(gist(secure.texts)).toEqual(['INVITE', 'INVITE', 'BYE']);
    expect(fieldsOf(secure.last, 'route')).toEqual([]);
    invite('z9hG4bKplain', 'sip:bob@127.0.0.20:5072');
    await world.run();
    expect(schemes(plain.last)).toEqual(['<sip', '<sip']);
  });

  it('fills in received and rport (RFC 3581 §4)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE', { via: 'private.example:5099;rport' }));
    await world.run();
    const [, second = ''] = fieldsOf(callee.last, 'via');
    expect(second).toContain(';rport=5062');
    expect(second).toContain(';received=127.0.0.9');
    callee.answer(answerTo(callee.last, 180));
    await world.run();
    expect(gist(caller.texts)).toEqual(['180']);
  });

  it.each(['TCP', 'TLS', 'WS', 'WSS'] as const)(
    'fills in both over %s as well, received even where it is the sent-by (RFC 3581 §4)',
    async (transport) => {
      const lower = transport.toLowerCase();
      const { world, callee } = await scene({
        config: { listen: ['udp:127.0.0.1:5060', `${lower}:127.0.0.1:5080`], tls },
      });
      const phone = await world.peer(`${lower}:127.0.0.9:5062`);
      const to = { host: '127.0.0.1', port: 5080 };
      phone.send(request('INVITE', { transport, via: '127.0.0.9:5062;rport' }), to);
      await world.run();
      const [, second = ''] = fieldsOf(callee.last, 'via');
      const port = /;rport=(\d+);branch=z9hG4bKcaller1;received=127\.0\.0\.9$/.exec(second)?.[1];
      expect(Number(port)).toBeGreaterThan(0);
      callee.answer(answerTo(callee.last, 180));
      phone.send(
        request('OPTIONS', { transport, uri: 'sip:127.0.0.1', via: '127.0.0.9:5062;rport', branch: 'z9hG4bKo' }),
        to,
      );
      await world.run();
      expect(gist(phone.texts)).toEqual(['180', '200']);
      for (const text of phone.texts)
        expect(fieldsOf(text, 'via')[0]).toMatch(new RegExp(`;rport=${port};branch=[^;]+;received=127\\.0\\.0\\.9$`));
    },
  );

  it('believes no received that the sender wrote, and touches none in a quoted string', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE', { via: '127.0.0.9:5062;x=";received=1.2.3.4;rport";received=192.0.2.1;rport' }));
    await world.run();
    const [, second = ''] = fieldsOf(callee.last, 'via');
    expect(second).toContain(';x=";received=1.2.3.4;rport"');
    expect(second).not.toContain('192.0.2.1');
    expect(second).toContain(';received=127.0.0.9');
    expect(second).toContain(';rport=5062');
  });

  it('sends a 100 of its own to an INVITE only, after 200 ms without another word (§17.2.1)', async () => {
    const { world, caller } = await scene();
    caller.send(request('INVITE'));
    caller.send(request('OPTIONS', { branch: 'z9hG4bKo' }));
    await world.run(150);
    expect(caller.texts).toEqual([]);
    await world.run(100);
    expect(gist(caller.texts)).toEqual(['100']);
    expect(fieldsOf(caller.last, 'to')).toEqual(['<sip:bob@biloxi.example>']);
  });

  it('keeps a comma-joined list of Vias below its own, and takes only its own off the answer', async () => {
    const { world, caller, callee } = await scene();
    const joined = '127.0.0.9:5062;branch=z9hG4bKa, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKb , SIP/2.0/TCP 192.0.2.2';
    caller.send(request('INVITE', { via: joined, branch: 'z9hG4bKc' }));
    await world.run();
    callee.answer(answerTo(callee.last, 200));
    await world.run();
    expect(fieldsOf(caller.last, 'via')).toEqual([`SIP/2.0/UDP ${joined};branch=z9hG4bKc`]);
  });
});

describe('RFC 3261 §16.7 response processing', () => {
  const three = ['<sip:one@127.0.0.20:5070>', '<sip:two@127.0.0.20:5070>', '<sip:three@127.0.0.20:5070>'];

  it.each<[string, readonly number[], string]>([
    ['the lowest class', [486, 302, 500], '302'],
    ['what tells the caller what to do within the class', [404, 420, 480], '420'],
    ['6xx above all', [486, 603, 302], '603'],
    ['anything but 408 of its class', [408, 404, 408], '404'],
    ['500 in place of 503, which is of the next hop', [503, 503, 503], '500'],
    ['4xx before 503', [503, 486, 500], '486'],
  ])('chooses %s', async (_claim, statuses, expected) => {
    const { world, caller, callee } = await usrloc(three);
    caller.send(request('INVITE', toBob));
    await world.run();
    expect(callee.heard.length).toBe(3);
    for (const [index, text] of callee.take().entries()) callee.send(answerTo(text, statuses[index] ?? 500));
    // A 6xx cancels the others, which answer 487.
    await world.run();
    for (const text of callee.take()) if (text.startsWith('CANCEL')) callee.send(answerTo(text, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual([expected]);
  });

  it('gathers the challenges of all branches', async () => {
    const { world, caller, callee } = await usrloc(three);
    caller.send(request('INVITE', toBob));
    await world.run();
    const [one = '', two = '', other = ''] = callee.take();
    callee.send(answerTo(one, 401, { fields: 'WWW-Authenticate: Digest realm="one"\r\n' }));
    callee.send(answerTo(two, 407, { fields: 'Proxy-Authenticate: Digest realm="two"\r\n' }));
    callee.send(answerTo(other, 404));
    await world.run();
    expect(['401', '407']).toContain(gist(caller.texts).at(-1));
    expect(fieldsOf(caller.last, 'www-authenticate')).toEqual(['Digest realm="one"']);
    expect(fieldsOf(caller.last, 'proxy-authenticate')).toEqual(['Digest realm="two"']);
  });

  it('forwards a 2xx at once, cancels the other branches, and forwards a second 2xx as well', async () => {
    const { world, caller, callee } = await usrloc(three.slice(0, 2));
    caller.send(request('INVITE', toBob));
    await world.run();
    const [one = '', two = ''] = callee.take();
    callee.send(answerTo(one, 180, { tag: 'one' }));
    callee.send(answerTo(two, 180, { tag: 'two' }));
    await world.run();
    callee.send(answerTo(one, 200, { tag: 'one' }));
    await world.run();
    expect(gist(callee.texts)).toEqual(['CANCEL']);
    expect(branchOf(callee.last)).toBe(branchOf(two));
    // RFC 3326 §3.1: no missed call is shown there.
    expect(fieldsOf(callee.last, 'reason')).toEqual(['SIP;cause=200;text="Call completed elsewhere"']);
    callee.send(answerTo(two, 200, { tag: 'two' }));
    await world.run();
    expect(gist(caller.texts)).toEqual(['180', '180', '200', '200']);
    expect(fieldsOf(caller.last, 'to')[0]).toContain('tag=two');
  });

  it('forwards a repeated 2xx each time (RFC 6026)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const ok = answerTo(callee.last, 200);
    for (let times = 0; times < 3; times += 1) callee.answer(ok);
    await world.run();
    expect(gist(caller.texts)).toEqual(['200', '200', '200']);
  });

  it('forwards no 100, and no provisional of a final request', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    callee.answer(answerTo(invite, 100));
    callee.answer(answerTo(invite, 200));
    callee.answer(answerTo(invite, 180));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
  });

  it('drops responses of no transaction (RFC 6026 §7.3)', async () => {
    const { world, callee } = await scene();
    const stranger = request('INVITE', { via: '127.0.0.1:5060', branch: 'z9hG4bKmadeup', fields: '' }).replace(
      '\r\nMax',
      '\r\nVia: SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bKx\r\nMax',
    );
    callee.send(answerTo(stranger, 200));
    await world.run();
    expect(world.sent).toEqual([]);
  });

  it('drops a response whose only Via is its own', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('MESSAGE'));
    await world.run();
    const answer = answerTo(callee.last, 200);
    callee.answer(answer.replace(/\r\nVia: SIP\/2\.0\/UDP 127\.0\.0\.9[^\r]*/, ''));
    await world.run();
    expect(caller.texts).toEqual([]);
  });
});

describe('RFC 3261 §16.6 item 7 forking by q', () => {
  const ranked = [
    '<sip:low@127.0.0.20:5070>;q=0.2',
    '<sip:high@127.0.0.20:5070>;q=0.9',
    '<sip:too@127.0.0.20:5070>;q=0.9',
  ];
  const targets = (texts: readonly string[]) =>
    texts.filter((text) => text.startsWith('INVITE')).map((text) => /sip:(\w+)@/.exec(text)?.[1]);

  it('tries equal q at once, lower q when those have failed', async () => {
    const { world, caller, callee } = await usrloc(ranked);
    caller.send(request('INVITE', toBob));
    await world.run();
    const first = callee.take();
    expect(targets(first).toSorted()).toEqual(['high', 'too']);
    for (const text of first) callee.send(answerTo(text, 486));
    await world.run();
    expect(targets(callee.texts)).toEqual(['low']);
    callee.send(answerTo(callee.take().find((text) => text.startsWith('INVITE')) ?? '', 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
  });

  it('tries one after the other if so configured', async () => {
    const { world, caller, callee } = await usrloc(ranked, { forking: 'serial' });
    caller.send(request('INVITE', toBob));
    await world.run();
    expect(targets(callee.texts).length).toBe(1);
    callee.answer(answerTo(callee.last, 486));
    await world.run();
    expect(targets(callee.texts).length).toBe(2);
  });

  it('stops the search at a 6xx', async () => {
    const { world, caller, callee } = await usrloc(ranked);
    caller.send(request('INVITE', toBob));
    await world.run();
    for (const text of callee.take()) callee.send(answerTo(text, 603));
    await world.run();
    expect(gist(caller.texts)).toEqual(['603']);
    expect(targets(callee.texts)).toEqual([]);
  });
});

describe('RFC 3261 §16.8, §16.9 timers and transport errors', () => {
  it('cancels an INVITE that rings beyond Timer C, and then answers 408 or what comes', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    callee.answer(answerTo(callee.last, 180));
    await world.run(180_900);
    expect(gist(callee.take()).filter((word) => word === 'CANCEL')).toEqual([]);
    await world.run(200);
    expect(gist(callee.texts)).toContain('CANCEL');
    callee.take();
    await world.run(33_000);
    expect(gist(caller.texts).at(-1)).toBe('408');
  });

  it('starts Timer C anew with every provisional but 100', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    callee.answer(answerTo(invite, 180));
    await world.run(180_000);
    callee.answer(answerTo(invite, 180));
    await world.run(180_000);
    expect(gist(callee.texts)).not.toContain('CANCEL');
    await world.run(1_100);
    expect(gist(callee.texts)).toContain('CANCEL');
  });

  it('answers 408 to an INVITE nobody answers, and keeps silent for others (RFC 4320 §4.2)', async () => {
    const { world, caller } = await scene();
    // Somebody is there, and says nothing.
    await world.peer('127.0.0.66');
    caller.send(request('INVITE', { uri: 'sip:x@127.0.0.66' }));
    caller.send(request('OPTIONS', { uri: 'sip:x@127.0.0.66', branch: 'z9hG4bKo' }));
    await world.run(33_000);
    expect(gist(caller.texts)).toContain('408');
    expect(caller.texts.filter((text) => fieldsOf(text, 'cseq')[0] === '1 OPTIONS')).toEqual([]);
  });

  it('answers 500 where no connection can be made', async () => {
    const { world, caller } = await scene();
    caller.send(request('OPTIONS', { uri: 'sip:x@127.0.0.66;transport=tcp' }));
    await world.run(2_000);
    expect(gist(caller.texts)).toEqual(['500']);
  });

  it('answers for a name that does not exist', async () => {
    const { world, caller } = await scene();
    caller.send(request('OPTIONS', { uri: 'sip:x@nowhere.example' }));
    await world.run(2_000);
    expect(gist(caller.texts)).toEqual(['500']);
  });
});

describe('RFC 3261 §16.10 CANCEL', () => {
  async function ringing(): Promise<Scene & { readonly invite: string }> {
    const made = await scene();
    made.caller.send(request('INVITE'));
    await made.world.run();
    const invite = made.callee.last;
    made.callee.answer(answerTo(invite, 180));
    await made.world.run();
    made.caller.take();
    made.callee.take();
    return { ...made, invite };
  }

  it('answers it, cancels what rings with the same branch, and forwards the 487', async () => {
    const { world, caller, callee, invite } = await ringing();
    caller.send(request('CANCEL', { fields: 'Reason: SIP;cause=600\r\n' }));
    await world.run();
    expect(gist(caller.take())).toEqual(['200']);
    expect(gist(callee.texts)).toEqual(['CANCEL']);
    expect(branchOf(callee.last)).toBe(branchOf(invite));
    expect(fieldsOf(callee.last, 'via').length).toBe(1);
    expect(fieldsOf(callee.last, 'cseq')).toEqual(['1 CANCEL']);
    expect(fieldsOf(callee.last, 'reason')).toEqual(['SIP;cause=600']);
    callee.answer(answerTo(callee.last, 200));
    callee.send(answerTo(invite, 487));
    await world.run();
    expect(gist(caller.texts)).toEqual(['487']);
  });

  it('passes every Reason field on, also where the CANCEL has to wait (RFC 3326 §2)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    const reasons = ['SIP;cause=200;text="Call completed elsewhere"', 'Q.850;cause=26', 'X;cause=1, Y;cause=2'];
    caller.send(request('CANCEL', { fields: reasons.map((reason) => `Reason: ${reason}\r\n`).join('') }));
    await world.run();
    callee.answer(answerTo(invite, 180));
    await world.run();
    expect(gist(callee.texts)).toEqual(['INVITE', 'CANCEL']);
    expect(fieldsOf(callee.last, 'reason')).toEqual(reasons);
  });

  it('waits for a provisional before it cancels downstream (§9.1)', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    const invite = callee.last;
    caller.send(request('CANCEL'));
    await world.run(20);
    expect(gist(callee.texts)).toEqual(['INVITE']);
    callee.answer(answerTo(invite, 180));
    await world.run();
    expect(gist(callee.texts)).toEqual(['INVITE', 'CANCEL']);
  });

  it('lets the 2xx win that crossed the CANCEL', async () => {
    const { world, caller, callee, invite } = await ringing();
    caller.send(request('CANCEL'));
    await world.run();
    callee.send(answerTo(invite, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200', '200']);
    expect(fieldsOf(caller.last, 'cseq')).toEqual(['1 INVITE']);
  });

  it("acknowledges the 487 hop by hop, with the INVITE's branch", async () => {
    const { world, callee, invite } = await ringing();
    callee.send(answerTo(invite, 486));
    await world.run();
    expect(gist(callee.texts)).toEqual(['ACK']);
    expect(branchOf(callee.last)).toBe(branchOf(invite));
    expect(fieldsOf(callee.last, 'to')[0]).toContain(';tag=b1');
    expect(fieldsOf(callee.last, 'cseq')).toEqual(['1 ACK']);
    callee.take();
    callee.send(answerTo(invite, 486));
    await world.run();
    expect(gist(callee.texts)).toEqual(['ACK']);
  });
});

describe('ACK of a 2xx (RFC 3261 §13.2.2.4)', () => {
  it("passes end to end along the route set, with the caller's Via below ours", async () => {
    const { world, caller, callee } = await scene();
    caller.send(
      request('ACK', {
        branch: 'z9hG4bKack',
        to: '<sip:bob@biloxi.example>;tag=b',
        fields: 'Route: <sip:127.0.0.1:5060;lr>\r\n',
      }),
    );
    await world.run();
    expect(gist(callee.texts)).toEqual(['ACK']);
    expect(fieldsOf(callee.last, 'route')).toEqual([]);
    expect(fieldsOf(callee.last, 'via').length).toBe(2);
    expect(fieldsOf(callee.last, 'record-route')).toEqual([]);
    expect(world.sent.length).toBe(1);
  });
});

describe('connections (RFC 3261 §18.2.2, RFC 5626 §5.3)', () => {
  it('answers over the connection that the request came by', async () => {
    const { world, callee } = await scene();
    const phone = await world.peer('tcp:127.0.0.9:5062');
    phone.send(request('INVITE', { transport: 'TCP', via: 'private.example' }));
    await world.run();
    callee.answer(answerTo(callee.last, 180));
    await world.run();
    expect(gist(phone.texts)).toEqual(['180']);
  });

  it('finds the connection again by the token in its Record-Route', async () => {
    const { world, callee } = await scene();
    const phone = await world.peer('tcp:127.0.0.9:5062');
    phone.send(request('INVITE', { transport: 'TCP', via: 'private.example' }));
    await world.run();
    const routes = fieldsOf(callee.last, 'record-route');
    expect(routes.length).toBe(2);
    callee.send(
      request('BYE', {
        uri: 'sip:alice@192.0.2.77:40000;transport=tcp',
        via: '127.0.0.20:5070',
        branch: 'z9hG4bKbye',
        fields: routes.map((route) => `Route: ${route}\r\n`).join(''),
      }),
    );
    await world.run();
    expect(gist(phone.texts)).toEqual(['BYE']);
    expect(fieldsOf(phone.last, 'route')).toEqual([]);
  });

  it('obeys no token that it did not make', async () => {
    const { world, callee } = await scene();
    const phone = await world.peer('tcp:127.0.0.9:5062');
    phone.send(request('OPTIONS', { transport: 'TCP', uri: 'sip:127.0.0.1:5060' }));
    await world.run();
    phone.take();
    callee.send(
      request('BYE', {
        uri: 'sip:alice@127.0.0.20:5070',
        via: '127.0.0.20:5070',
        branch: 'z9hG4bKbye',
        fields: 'Route: <sip:tcp-1.AAAAAAAAAAAA@127.0.0.1:5060;lr>\r\n',
      }),
    );
    await world.run();
    expect(phone.texts).toEqual([]);
  });
});

describe('bounded state', () => {
  it('has forgotten every transaction some time after the last message', async () => {
    const { world, caller, callee } = await scene();
    for (let call = 0; call < 20; call += 1) {
      caller.send(request('INVITE', { branch: `z9hG4bKi${call}`, callId: `c${call}` }));
      caller.send(request('OPTIONS', { branch: `z9hG4bKo${call}`, callId: `o${call}` }));
    }
    await world.run();
    for (const text of callee.take()) callee.send(answerTo(text, text.startsWith('INVITE') ? 486 : 200));
    await world.run();
    expect(world.transactions).toBeGreaterThan(0);
    await world.run(70_000);
    expect(world.transactions).toBe(0);
    expect(world.role.status()['pending']).toBe(0);
  });
});

describe('AlternatePath in what leaves (docs/alternate-path.md)', () => {
  const tag = ';AlternatePath="sip:127.0.0.2:5060;transport=udp"';

  it('stands on Via, Record-Route and nowhere else when a backup is configured', async () => {
    const { world, caller, callee } = await scene({ config: { backup: ['127.0.0.2:5060'] } });
    caller.send(
      request('INVITE', {
        fields: 'Contact: <sip:alice@127.0.0.9:5062>\r\nRoute: <sip:127.0.0.1;lr>, <sip:127.0.0.20:5070;lr>\r\n',
      }),
    );
    await world.run();
    const tagged = headerLines(callee.last).filter((line) => line.includes('AlternatePath'));
    expect(tagged).toEqual([
      expect.stringMatching(
        /^Via: SIP\/2\.0\/UDP 127\.0\.0\.1:5060;branch=[^;]+;rport;AlternatePath="sip:127\.0\.0\.2:5060;transport=udp"$/,
      ),
      `Record-Route: <sip:127.0.0.1:5060;lr>${tag}`,
    ]);
    expect(fieldsOf(callee.last, 'route')).toEqual(['<sip:127.0.0.20:5070;lr>']);
    expect(fieldsOf(callee.last, 'contact')).toEqual(['<sip:alice@127.0.0.9:5062>']);
  });

  it('stands inside the URI of Record-Route where that is asked for, escaped', async () => {
    const { world, caller, callee } = await scene({ config: { backup: ['127.0.0.2:5060'], placement: 'uri' } });
    caller.send(request('INVITE'));
    await world.run();
    expect(fieldsOf(callee.last, 'record-route')).toEqual([
      '<sip:127.0.0.1:5060;AlternatePath=sip:127.0.0.2:5060%3Btransport%3Dudp;lr>',
    ]);
    expect(fieldsOf(callee.last, 'via')[0]).toContain(tag);
  });

  it('stands in both places', async () => {
    const { world, caller, callee } = await scene({ config: { backup: ['127.0.0.2:5060'], placement: 'both' } });
    caller.send(request('INVITE'));
    await world.run();
    expect(fieldsOf(callee.last, 'record-route')).toEqual([
      `<sip:127.0.0.1:5060;AlternatePath=sip:127.0.0.2:5060%3Btransport%3Dudp;lr>${tag}`,
    ]);
  });

  it('is absent without a backup', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE'));
    await world.run();
    expect(callee.last).not.toContain('AlternatePath');
  });

  it('stands on the Service-Route that a telephone is given', async () => {
    const { world, caller } = await scene({
      config: { domains: ['biloxi.example'], backup: ['127.0.0.2:5060'], serviceRoute: true },
    });
    caller.send(
      request('REGISTER', {
        uri: 'sip:biloxi.example',
        fields: 'Contact: <sip:bob@127.0.0.9:5062>\r\n',
      }),
    );
    await world.run();
    expect(fieldsOf(caller.last, 'service-route')).toEqual([`<sip:127.0.0.1:5060;lr>${tag}`]);
  });

  it('passes the tags of others on untouched', async () => {
    const { world, caller, callee } = await scene();
    const foreign = 'Record-Route: <sip:192.0.2.1;lr>;alternatepath="sip:192.0.2.2"\r\n';
    caller.send(request('INVITE', { fields: foreign, via: '127.0.0.9:5062;AlternatePath="127.0.0.10"' }));
    await world.run();
    expect(callee.last).toContain(foreign);
    expect(fieldsOf(callee.last, 'via')[1]).toContain('127.0.0.9:5062;AlternatePath="127.0.0.10"');
  });
});

describe('the place of a partner in a dialog (docs/alternate-path.md §6.2)', () => {
  it('is taken in a 2xx to the copy that the partner had sent, where the INVITE itself came to us later', async () => {
    const { world, caller, callee } = await scene({
      config: { backup: ['127.0.0.2:5060'], backupFor: ['127.0.0.2:5060'] },
    });
    caller.send(request('INVITE'));
    await world.run();
    // The callee had the partner's copy first: same branch, the partner's sent-by and Record-Route.
    const partners = callee.last.replaceAll('127.0.0.1:5060', '127.0.0.2:5060');
    callee.send(answerTo(partners, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
    expect(fieldsOf(caller.last, 'record-route')).toEqual([
      '<sip:127.0.0.1:5060;lr>;AlternatePath="sip:127.0.0.2:5060;transport=udp"',
    ]);
  });

  it('is left to a member that lives and is in the path by its own right', async () => {
    const { world, caller, callee } = await scene({
      config: { backup: ['127.0.0.2:5060'], backupFor: ['127.0.0.2:5060'] },
    });
    caller.send(request('INVITE'));
    await world.run();
    const behind = 'Record-Route: <sip:127.0.0.2:5060;lr>\r\n';
    callee.send(answerTo(callee.last, 200).replace('Record-Route:', `${behind}Record-Route:`));
    await world.run();
    expect(fieldsOf(caller.last, 'record-route')[0]).toBe('<sip:127.0.0.2:5060;lr>');
  });
});

describe('RFC 7118 §6, RFC 5626 §3.5.1 keep-alive of a WebSocket', () => {
  it('answers a double CRLF in a frame with a single one, other line ends not, and over UDP nothing', async () => {
    const { world, caller } = await scene({ config: { listen: ['udp:127.0.0.1:5060', 'ws:127.0.0.1:5080'] } });
    const browser = await world.peer('ws:127.0.0.9:5062');
    const to = { host: '127.0.0.1', port: 5080 };
    for (const ping of ['\r\n\r\n', '\r\n', '\r\n\r\n']) browser.send(ping, to);
    caller.send('\r\n\r\n');
    await world.run();
    expect(browser.texts).toEqual(['\r\n', '\r\n']);
    expect(caller.texts).toEqual([]);
  });
});

describe('RFC 3327 §5.2 an edge proxy in front of the registrar', () => {
  const config = { backup: ['127.0.0.2:5060'], defaultRoute: ['127.0.0.20:5070'] };

  it('puts itself on top of Path, with its tag, and on no Record-Route', async () => {
    const { world, caller, callee } = await scene({ config });
    caller.send(
      request('REGISTER', {
        uri: 'sip:registrar.example',
        fields: 'Supported: outbound, Path\r\nPath: <sip:192.0.2.1;lr>\r\nContact: <sip:bob@127.0.0.9:5062>\r\n',
      }),
    );
    await world.run();
    expect(fieldsOf(callee.last, 'path')).toEqual([
      '<sip:127.0.0.1:5060;lr>;AlternatePath="sip:127.0.0.2:5060;transport=udp"',
      '<sip:192.0.2.1;lr>',
    ]);
    expect(fieldsOf(callee.last, 'supported')).toEqual(['outbound, Path']);
    expect(fieldsOf(callee.last, 'record-route')).toEqual([]);
  });

  it('stays off the Path of a REGISTER where it is no edge: no route leads behind it', async () => {
    const { world, caller, callee } = await scene({ config: { backup: ['127.0.0.2:5060'] } });
    caller.send(request('REGISTER', { uri: 'sip:127.0.0.20:5070', fields: 'Supported: path\r\n' }));
    await world.run();
    expect(gist(callee.texts)).toEqual(['REGISTER']);
    expect(fieldsOf(callee.last, 'path')).toEqual([]);
  });

  it('names the connection of a telephone behind TCP, and finds it again by that (RFC 5626 §5.1)', async () => {
    const { world, callee } = await scene({ config });
    const phone = await world.peer('tcp:127.0.0.9:5062');
    phone.send(
      request('REGISTER', {
        uri: 'sip:registrar.example',
        transport: 'TCP',
        fields: 'Supported: path\r\nContact: <sip:bob@192.0.2.77:40000;transport=tcp>\r\n',
      }),
    );
    await world.run();
    const [path = ''] = fieldsOf(callee.last, 'path');
    callee.send(
      request('INVITE', {
        uri: 'sip:bob@192.0.2.77:40000;transport=tcp',
        via: '127.0.0.20:5070',
        branch: 'z9hG4bKin',
        fields: `Route: ${path}\r\n`,
      }),
    );
    await world.run();
    expect(gist(phone.texts)).toEqual(['INVITE']);
  });
});
