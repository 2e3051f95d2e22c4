import { describe, expect, it } from 'vitest';
import { scene, tls, toBob, usrloc } from './proxy-scene.ts';
import { answerTo, fieldsOf, gist, request, startLine } from './world.ts';

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
