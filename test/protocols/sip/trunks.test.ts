import { describe, expect, it } from 'vitest';
import { type CarrierOptions, SimCarrier } from '../../support/sip-carrier.ts';
import { account, carrierHost, cseqs, invite, up } from './trunk-scene.ts';
import { answerTo, branchOf, fieldsOf, request, type SipWorldOptions, startLine, statusOf } from './world.ts';

describe('RFC 3261 §22.2, RFC 8760: a challenged INVITE goes again, with credentials, CSeq + 1 and another branch', () => {
  it.each([
    { algorithms: ['MD5'], proxy: true },
    { algorithms: ['SHA-256'], proxy: true },
    { algorithms: ['SHA-512-256'], proxy: false },
    { algorithms: ['SHA-256', 'MD5'], proxy: false },
    { algorithms: ['MD5'], proxy: true, qop: false },
  ] as const satisfies readonly CarrierOptions[])('%j', async (options) => {
    const { world, carrier, caller } = await up(options);
    caller.send(invite('03012345'));
    await world.run();
    const [first = '', second = ''] = carrier.of('INVITE');
    expect(startLine(first)).toBe(`INVITE sip:+493012345@${carrierHost};user=phone SIP/2.0`);
    expect(cseqs([first, second])).toEqual(['1 INVITE', '2 INVITE']);
    expect(branchOf(first)).not.toBe(branchOf(second));
    expect(carrier.placed).toHaveLength(1);
    // The caller sees his own numbers, and nothing of the challenge.
    expect(caller.texts.map(statusOf)).toEqual([180]);
    expect(fieldsOf(caller.last, 'cseq')).toEqual(['1 INVITE']);
    carrier.say(200);
    await world.run();
    expect(statusOf(caller.last)).toBe(200);
    expect(fieldsOf(caller.last, 'cseq')).toEqual(['1 INVITE']);
    // What follows in the dialog, each with the CSeq that the carrier may expect.
    const [route = ''] = fieldsOf(caller.last, 'record-route');
    const inDialog = (method: string, cseq: number, branch: string, fields = ''): string =>
      request(method, {
        uri: `sip:gw@${carrierHost}`,
        from: '<sip:alice@example.com>;tag=a1',
        to: '<sip:03012345@example.com>;tag=carrier',
        cseq,
        branch,
        fields: `Route: ${route}\r\n${fields}`,
      });
    caller.send(inDialog('ACK', 1, 'z9hG4bKack'));
    await world.run();
    expect(cseqs(carrier.of('ACK')).at(-1)).toBe('2 ACK');
    caller.send(inDialog('PRACK', 2, 'z9hG4bKprack', 'RAck: 776656 1 INVITE\r\n'));
    await world.run();
    // The carrier asks within the dialog as well: what comes after is higher by that.
    expect(cseqs(carrier.of('PRACK'))).toEqual(['3 PRACK', '4 PRACK']);
    expect(fieldsOf(carrier.of('PRACK')[1] ?? '', 'rack')).toEqual(['776656 2 INVITE']);
    expect(fieldsOf(caller.last, 'cseq')).toEqual(['2 PRACK']);
    caller.take();
    caller.send(inDialog('BYE', 3, 'z9hG4bKbye'));
    await world.run();
    expect(statusOf(caller.last)).toBe(200);
    expect(carrier.problems).toEqual([]);
    await world.down();
  });

  it('a request of the carrier within the dialog keeps its own CSeq', async () => {
    const { world, carrier, caller } = await up({ algorithms: ['MD5'] });
    caller.send(invite('03012345'));
    await world.run();
    carrier.say(200);
    await world.run();
    const [route = ''] = fieldsOf(carrier.of('INVITE').at(-1) ?? '', 'record-route');
    const gw = await world.peer('127.0.0.41:5070');
    caller.take();
    gw.send(
      request('BYE', {
        uri: 'sip:alice@127.0.0.9:5062',
        via: '127.0.0.41:5070',
        from: '<sip:03012345@example.com>;tag=carrier',
        to: '<sip:alice@example.com>;tag=a1',
        cseq: 7,
        branch: 'z9hG4bKgwbye',
        fields: `Route: ${route}\r\n`,
      }),
    );
    await world.run();
    expect(cseqs(caller.take())).toEqual(['7 BYE']);
    await world.down();
  });

  it('a stale nonce is answered once more (RFC 7616 §3.3)', async () => {
    const { world, carrier, caller } = await up({ algorithms: ['SHA-256'] });
    carrier.staleNonces = 1;
    caller.send(invite('03012345'));
    await world.run();
    expect(cseqs(carrier.of('INVITE'))).toEqual(['1 INVITE', '2 INVITE', '3 INVITE']);
    expect(carrier.placed).toHaveLength(1);
    expect(statusOf(caller.last)).toBe(180);
    await world.down();
  });

  it('a wrong password is tried once, and the caller is not asked for the carrier’s', async () => {
    const { world, carrier, caller } = await up({ algorithms: ['SHA-256'], password: 'another' });
    caller.send(invite('03012345'));
    await world.run();
    expect(carrier.of('INVITE')).toHaveLength(2);
    expect(statusOf(caller.last)).toBe(500);
    await world.down();
  });

  it('CANCEL and ACK belong to the attempt that is under way', async () => {
    const { world, carrier, caller } = await up({ algorithms: ['MD5'] });
    caller.send(invite('03012345'));
    await world.run();
    caller.send(
      request('CANCEL', {
        uri: 'sip:03012345@example.com',
        from: '<sip:alice@example.com>;tag=a1',
        to: '<sip:03012345@example.com>',
      }),
    );
    await world.run();
    const cancel = carrier.of('CANCEL')[0] ?? '';
    expect(branchOf(cancel)).toBe(branchOf(carrier.of('INVITE').at(-1) ?? ''));
    expect(cseqs([cancel])).toEqual(['2 CANCEL']);
    carrier.say(487);
    await world.run();
    expect(statusOf(caller.last)).toBe(487);
    expect(fieldsOf(caller.last, 'cseq')).toEqual(['1 INVITE']);
    await world.down();
  });
});

describe('next hops of a carrier, and the next carrier', () => {
  const second = '127.0.0.42:5060';

  it.each([503, 408, 500, 504])('%i goes to the next hop', async (status) => {
    const { world, carrier, caller } = await up({}, { to: [carrierHost, second] });
    const other = await SimCarrier.at(world.network, world.clock, second);
    carrier.refuse.push(status);
    caller.send(invite('03012345'));
    await world.run();
    expect(other.placed).toHaveLength(1);
    expect(statusOf(caller.last)).toBe(180);
    await world.down();
  });

  it('a hop where nobody listens is passed over', async () => {
    const { world, caller } = await up({}, { to: ['127.0.0.43:5060', second] });
    const other = await SimCarrier.at(world.network, world.clock, second);
    caller.send(invite('03012345'));
    await world.run(3_000);
    expect(other.placed).toHaveLength(1);
    await world.down();
  });

  it.each([486, 404, 603])('%i is the answer, nobody else is called', async (status) => {
    const { world, carrier, caller } = await up({}, { to: [carrierHost, second] });
    const other = await SimCarrier.at(world.network, world.clock, second);
    carrier.refuse.push(status);
    caller.send(invite('03012345'));
    await world.run();
    expect(other.placed).toHaveLength(0);
    expect(statusOf(caller.last)).toBe(status);
    await world.down();
  });

  it('the longest prefix wins, and its carrier’s failure leads to the next one', async () => {
    const trunks = [
      { name: 'all', to: [carrierHost], prefixes: ['+'], pingSeconds: 0 },
      { name: 'france', to: [second], prefixes: ['+33'], pingSeconds: 0 },
    ];
    const { world, carrier, caller } = await up({}, {}, { config: { domains: ['example.com'], trunks } });
    const france = await SimCarrier.at(world.network, world.clock, second);
    caller.send(invite('0033123456789'));
    await world.run();
    expect([france.placed.length, carrier.placed.length]).toEqual([1, 0]);
    france.refuse.push(503);
    caller.send(invite('0033123456789', { callId: 'two', branch: 'z9hG4bKtwo' }));
    await world.run();
    expect([france.placed.length, carrier.placed.length]).toEqual([1, 1]);
    await world.down();
  });
});

describe('what a carrier is told of the caller', () => {
  it('`from` stands in From and P-Asserted-Identity; the caller’s own claims do not go there, and he sees his own', async () => {
    const { world, carrier, caller } = await up(
      { algorithms: ['MD5'] },
      { from: '+493055500', domain: 'carrier.example' },
    );
    caller.send(
      invite('03012345', {
        fields: 'P-Asserted-Identity: <sip:king@example.com>\r\nContact: <sip:alice@127.0.0.9:5062>\r\n',
      }),
    );
    await world.run();
    const sent = carrier.of('INVITE').at(-1) ?? '';
    expect(startLine(sent)).toBe('INVITE sip:+493012345@carrier.example;user=phone SIP/2.0');
    expect(fieldsOf(sent, 'from')).toEqual(['<sip:+493055500@carrier.example>;tag=a1']);
    expect(fieldsOf(sent, 'p-asserted-identity')).toEqual(['<sip:+493055500@carrier.example>']);
    expect(fieldsOf(caller.last, 'from')).toEqual(['<sip:alice@example.com>;tag=a1']);
    await world.down();
  });

  it.each([
    ['Privacy: id\r\n', '<sip:alice@example.com>;tag=a1'],
    ['Privacy: header;critical\r\n', '<sip:alice@example.com>;tag=a1'],
    ['', '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=a1'],
  ])('RFC 3325 §9.3: %jfrom %s is nobody in From; the carrier still knows whom it serves', async (fields, from) => {
    const { world, carrier, caller } = await up({}, { from: '+493055500' });
    caller.send(invite('03012345', { from, fields: `${fields}Contact: <sip:alice@127.0.0.9:5062>\r\n` }));
    await world.run();
    const sent = carrier.of('INVITE').at(-1) ?? '';
    expect(fieldsOf(sent, 'from')).toEqual(['"Anonymous" <sip:anonymous@anonymous.invalid>;tag=a1']);
    expect(fieldsOf(sent, 'p-asserted-identity')).toEqual([`<sip:+493055500@${carrierHost}>`]);
    expect(fieldsOf(sent, 'privacy').join()).toBe(fields === '' ? 'id' : fields.replace(/^Privacy: |\r\n$/g, ''));
    expect(fieldsOf(caller.last, 'from')).toEqual([from]);
    await world.down();
  });

  it.each([
    ['national', '03012345'],
    ['digits', '493012345'],
    ['dialled', '12345'],
  ])('format %s', async (format, user) => {
    const { world, carrier, caller } = await up({}, { format });
    caller.send(invite('12345'));
    await world.run();
    expect(startLine(carrier.of('INVITE')[0] ?? '')).toBe(`INVITE sip:${user}@${carrierHost};user=phone SIP/2.0`);
    await world.down();
  });
});

describe('who may use a trunk', () => {
  it('without auth.invite only sources that are trusted', async () => {
    const { world, carrier } = await up();
    const stranger = await world.peer('127.0.0.10:5062');
    stranger.send(invite('03012345', { via: '127.0.0.10:5062' }));
    await world.run();
    expect(statusOf(stranger.last)).toBe(403);
    expect(carrier.heard).toEqual([]);
    await world.down();
  });

  it('with auth.invite strangers are asked for credentials', async () => {
    const config = {
      domains: ['example.com'],
      auth: { invite: true, register: true, users: [{ user: 'alice', password: 'x' }] },
      trunks: [{ name: 'carrier', to: [carrierHost], pingSeconds: 0 }],
    };
    const { world, carrier } = await up({}, {}, { config });
    const stranger = await world.peer('127.0.0.10:5062');
    stranger.send(invite('03012345', { via: '127.0.0.10:5062' }));
    await world.run();
    expect(statusOf(stranger.last)).toBe(407);
    expect(carrier.heard).toEqual([]);
    await world.down();
  });
});

describe('calls from a carrier', () => {
  async function withBob(options: SipWorldOptions = {}, trunk: Readonly<Record<string, unknown>> = {}) {
    const all = await up({}, trunk, options);
    const bob = await all.world.peer('127.0.0.20:5070');
    await all.world.locations.save('200@example.com', [
      {
        protocol: 'sip',
        target: 'sip:200@127.0.0.20:5070',
        key: 'b',
        path: [],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    const gateway = await all.world.peer('127.0.0.41:5099');
    return { ...all, bob, gateway };
  }

  it.each([
    ['sip:+4930200@127.0.0.1', '<sip:+4930200@carrier.example>'],
    ['sip:4930200@127.0.0.1', '<sip:x@carrier.example>'],
    ['sip:030200@carrier.example', '<sip:x@carrier.example>'],
    ['sip:200@127.0.0.1:5060', '<sip:x@carrier.example>'],
    ['tel:+49-30-200', '<tel:+4930200>'],
    ['sip:trunk1@127.0.0.1:5060', '<sip:+4930200@carrier.example>'],
  ])('%s for %s reaches the user', async (uri, to) => {
    // On a loopback address a carrier is known by its port.
    const { world, bob, gateway } = await withBob({}, { to: ['127.0.0.41:5099'] });
    gateway.send(request('INVITE', { uri, to, via: '127.0.0.41:5099', from: '<sip:0171@carrier.example>;tag=c' }));
    await world.run();
    expect(startLine(bob.last)).toBe('INVITE sip:200@127.0.0.20:5070 SIP/2.0');
    await world.down();
  });

  it('deliverTo takes what names the account alone', async () => {
    const { world, bob, gateway } = await withBob({}, { to: ['127.0.0.41:5099'], deliverTo: '200' });
    gateway.send(
      request('INVITE', { uri: 'sip:trunk1@127.0.0.1', to: '<sip:trunk1@carrier.example>', via: '127.0.0.41:5099' }),
    );
    await world.run();
    expect(startLine(bob.last)).toBe('INVITE sip:200@127.0.0.20:5070 SIP/2.0');
    await world.down();
  });

  it('reach no other carrier, no route and no foreign host', async () => {
    const config = {
      domains: ['example.com'],
      routes: [{ prefix: '00', to: ['127.0.0.42:5060'] }],
      defaultRoute: ['127.0.0.42:5060'],
      trunks: [
        { name: 'a', to: ['127.0.0.41:5099'], pingSeconds: 0 },
        { name: 'b', to: ['127.0.0.42:5060'], pingSeconds: 0 },
      ],
    };
    const { world, gateway } = await withBob({ config });
    const other = await SimCarrier.at(world.network, world.clock, '127.0.0.42:5060');
    let branch = 0;
    for (const uri of [
      'sip:0033123456789@example.com',
      'sip:112@example.com',
      'sip:x@127.0.0.42',
      'tel:+33123',
      'sip:bob@foreign.example',
    ]) {
      branch += 1;
      gateway.send(
        request('INVITE', { uri, via: '127.0.0.41:5099', branch: `z9hG4bK${branch}`, callId: `c${branch}` }),
      );
      await world.run();
      expect(statusOf(gateway.last)).toBe(404);
    }
    expect(other.heard).toEqual([]);
    await world.down();
  });
});

describe('RFC 3966 §5.1.5: local numbers need their phone-context', () => {
  it.each([
    ['tel:12345;phone-context=example.com', '+493012345'],
    ['tel:12345;phone-context=+49', '+493012345'],
    ['tel:1-2345;phone-context=+49-30', '+493012345'],
    ['tel:+49-30-12345', '+493012345'],
    ['sip:%2B49(30)12345;isub=1@example.com;user=phone', '+493012345'],
  ])('%s goes to the carrier as %s', async (uri, number) => {
    const { world, carrier, caller } = await up();
    caller.send(request('INVITE', { uri, from: '<sip:alice@example.com>;tag=a1' }));
    await world.run();
    expect(startLine(carrier.of('INVITE')[0] ?? '')).toBe(`INVITE sip:${number}@${carrierHost};user=phone SIP/2.0`);
    await world.down();
  });

  it.each(['tel:12345', 'tel:12345;phone-context=+1-212', 'tel:12345;phone-context=elsewhere.example'])(
    '%s is nobody’s here',
    async (uri) => {
      const { world, carrier, caller } = await up();
      caller.send(request('INVITE', { uri, from: '<sip:alice@example.com>;tag=a1' }));
      await world.run();
      expect(statusOf(caller.last)).toBe(404);
      expect(carrier.heard).toEqual([]);
      await world.down();
    },
  );
});

describe('emergency calls', () => {
  const strict = {
    domains: ['example.com'],
    auth: { invite: true, register: true, users: [{ user: 'alice', password: 'x' }] },
    trunks: [
      { name: 'none', to: ['127.0.0.42:5060'], emergency: false, pingSeconds: 0 },
      { name: 'a', to: [carrierHost], prefixes: ['+33'], pingSeconds: 0, ...account },
    ],
  };

  it.each([
    'sip:112@example.com',
    'sip:1-1-2@example.com;user=phone',
    'tel:112',
    'tel:112;phone-context=+1',
    'sip:%3112@127.0.0.1',
  ])('%s is for everybody, to the trunks that take such calls and nowhere else', async (uri) => {
    const { world, carrier } = await up({ algorithms: ['SHA-256'] }, {}, { config: strict });
    const stranger = await world.peer('127.0.0.10:5062');
    stranger.send(request('INVITE', { uri, via: '127.0.0.10:5062', from: '<sip:anybody@nowhere.example>;tag=1' }));
    await world.run();
    expect(startLine(carrier.of('INVITE')[0] ?? '')).toBe(`INVITE sip:112@${carrierHost};user=phone SIP/2.0`);
    expect(carrier.placed).toHaveLength(1);
    carrier.say(200);
    await world.run();
    const [route = ''] = fieldsOf(stranger.last, 'record-route');
    const bye = (method: string, cseq: number): string =>
      request(method, {
        uri: `sip:gw@${carrierHost}`,
        via: '127.0.0.10:5062',
        from: '<sip:anybody@nowhere.example>;tag=1',
        to: '<sip:bob@biloxi.example>;tag=carrier',
        cseq,
        branch: `z9hG4bK${method}`,
        fields: `Route: ${route}\r\n`,
      });
    stranger.send(bye('ACK', 1));
    stranger.send(bye('BYE', 2));
    await world.run();
    // The carrier asks for credentials within the dialog, too.
    expect(statusOf(stranger.last)).toBe(200);
    expect(cseqs(carrier.of('BYE'))).toEqual(['3 BYE', '4 BYE']);
    expect(carrier.problems).toEqual([]);
    await world.down();
  });

  it('what only begins so, or another method, is no emergency call', async () => {
    const { world, carrier } = await up({}, {}, { config: strict });
    const stranger = await world.peer('127.0.0.10:5062');
    for (const [method, uri] of [
      ['INVITE', 'sip:1123@example.com'],
      ['MESSAGE', 'sip:112@example.com'],
      ['INVITE', 'sip:112@carrier.example'],
    ] as const) {
      stranger.send(
        request(method, { uri, via: '127.0.0.10:5062', branch: `z9hG4bK${method}${uri.length}`, callId: uri }),
      );
      await world.run();
      expect(statusOf(stranger.last)).toBe(407);
    }
    expect(carrier.heard).toEqual([]);
    await world.down();
  });

  it('is taken while the controller drains', async () => {
    const { world, carrier, caller } = await up();
    void world.role.drain(60_000);
    caller.send(invite('03012345'));
    await world.run();
    expect(statusOf(caller.last)).toBe(503);
    caller.send(invite('112', { branch: 'z9hG4bKsos', callId: 'sos' }));
    await world.run();
    expect(carrier.placed).toEqual(['sos']);
    await world.down();
  });

  it('a flood of them is bounded: beyond a thousand set-ups they are shed like others', async () => {
    const { world, caller } = await up({ answer: () => 0 });
    void world.role.drain(60_000);
    for (let i = 0; i < 1_010; i += 1) caller.send(invite('112', { branch: `z9hG4bKf${i}`, callId: `f${i}` }));
    await world.run(50);
    expect(caller.texts.filter((text) => statusOf(text) === 503)).toHaveLength(10);
    await world.down();
  });

  it('goes to whoever has the number where no trunk takes it', async () => {
    const { world, caller } = await up({}, { emergency: false });
    const desk = await world.peer('127.0.0.20:5070');
    await world.locations.save('112@example.com', [
      {
        protocol: 'sip',
        target: 'sip:112@127.0.0.20:5070',
        key: 'b',
        path: [],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    caller.send(invite('112'));
    await world.run();
    expect(startLine(desk.last)).toBe('INVITE sip:112@127.0.0.20:5070 SIP/2.0');
    desk.answer(answerTo(desk.last, 200));
    await world.run();
    expect(statusOf(caller.last)).toBe(200);
    await world.down();
  });
});

describe('OPTIONS tell how the hops of a trunk are', () => {
  it('up, down and up again, in status and metrics', async () => {
    const { world, carrier } = await up({}, { pingSeconds: 10 });
    const state = (): unknown => (world.role.status()['trunks'] as Record<string, { state: string }>)['carrier']?.state;
    await world.run();
    expect(state()).toBe('up');
    carrier.silent = true;
    await world.run(16_000);
    expect(state()).toBe('down');
    expect(await world.metrics.text()).toContain('sip_trunk_up{trunk="carrier"} 0');
    carrier.silent = false;
    await world.run(10_000);
    expect(state()).toBe('up');
    carrier.refuse.push(503, 503, 503);
    await world.run(12_000);
    expect(state()).toBe('down');
    await world.down();
  });
});
