import { describe, expect, it } from 'vitest';
import { scene } from './proxy-scene.ts';
import { answerTo, fieldsOf, gist, headerLines, request } from './world.ts';

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
