/**
 * RFC 3261 §16.5, §16.11, §18.2.2, §26: nobody outside makes us send into our own machine, whose other services believe whoever comes from
 * within: not by a Request-URI, a Route, a Via, nor by a response that carries an altered Via.
 */
import { describe, expect, it } from 'vitest';
import { answerTo, fieldsOf, gist, type Peer, request, SipWorld, startLine, statusOf } from './world.ts';

const at = { host: '192.0.2.1', port: 5_060 };
const from = '198.51.100.8:5062';

interface Scene {
  readonly world: SipWorld;
  readonly peer: Peer;
  /** Whatever listens inside: a data base, over TCP and over UDP. */
  inside(): readonly string[];
}

async function outside(config: object = {}, address = from): Promise<Scene> {
  const world = await SipWorld.up({
    config: {
      listen: ['udp:192.0.2.1:5060', 'tcp:192.0.2.1:5060', 'udp:127.0.0.1:5070'],
      domains: ['example.com'],
      ...config,
    },
    addresses: ['192.0.2.1'],
    names: (name) =>
      name === 'inside.example' ? '127.0.0.1' : name === 'outside.example' ? '198.51.100.20' : undefined,
  });
  const heard: Peer[] = [];
  for (const socket of [
    '127.0.0.1:6379',
    'tcp:127.0.0.1:6379',
    '192.0.2.1:6379',
    'tcp:192.0.2.1:6379',
    '224.0.1.75:6379',
  ])
    heard.push(await world.peer(socket));
  return { world, peer: await world.peer(address), inside: () => heard.flatMap((each) => each.take()) };
}

const places = [
  '127.0.0.1:6379',
  '127.0.0.1:6379;transport=tcp',
  '192.0.2.1:6379',
  '192.0.2.1:6379;transport=tcp',
  'localhost:6379;transport=tcp',
  'inside.example:6379',
  'inside.example:6379;transport=tcp',
  '[::ffff:127.0.0.1]:6379;transport=tcp',
  '198.51.100.20:6379;maddr=127.0.0.1',
  '198.51.100.20:6379;transport=tcp;maddr=127.0.0.1',
  '198.51.100.20:6379;MADDR=inside.example',
  '224.0.1.75:6379',
];

const methods = ['INVITE', 'ACK', 'MESSAGE', 'BYE', 'SUBSCRIBE'];

describe.each(['without auth', 'with the proof of a dialog'])('a request from outside, %s', (mode) => {
  async function scene(): Promise<Scene & { proof: string; callId: string }> {
    const auth = mode === 'without auth' ? {} : { invite: true, users: [{ user: 'alice', password: 'wonderland' }] };
    const made = await outside({ auth });
    if (mode === 'without auth') return { ...made, proof: '', callId: 'open' };
    const alice = await made.world.peer('198.51.100.9:5062');
    alice.send(
      request('REGISTER', {
        uri: 'sip:example.com',
        via: '198.51.100.9:5062',
        from: '<sip:alice@example.com>;tag=1',
        to: '<sip:alice@example.com>',
        fields: 'Contact: <sip:alice@198.51.100.9:5062>\r\n',
      }),
      at,
    );
    await made.world.run();
    made.peer.send(
      request('INVITE', {
        uri: 'sip:alice@example.com',
        via: from,
        branch: 'z9hG4bKbegin',
        from: '<sip:m@x.net>;tag=m1',
        callId: 'theirs',
      }),
      at,
    );
    await made.world.run();
    const [record = ''] = fieldsOf(alice.last, 'record-route');
    // Without the flow that it names as well, which would lead to one of the telephones.
    const [, proof = ''] = /sip:(d[\w-]{11})/.exec(record) ?? [];
    expect(proof).toHaveLength(12);
    return { ...made, proof: `Route: <sip:${proof}@192.0.2.1:5060;lr>\r\n`, callId: 'theirs' };
  }

  it('reaches nothing inside, by its Request-URI or its Route', async () => {
    const { world, peer, inside, proof, callId } = await scene();
    let count = 0;
    for (const place of places)
      for (const method of methods)
        for (const shape of ['uri', 'route', 'strict']) {
          count += 1;
          const [uri, fields] =
            shape === 'uri'
              ? [`sip:x@${place}`, proof]
              : ['sip:x@198.51.100.20', `${proof}Route: <sip:${place}${shape === 'route' ? ';lr' : ''}>\r\n`];
          peer.send(
            request(method, {
              uri,
              via: from,
              branch: `z9hG4bKin${count}`,
              from: '<sip:m@x.net>;tag=m1',
              to: '<sip:alice@example.com>;tag=t',
              callId,
              fields,
              body: 'FLUSHALL\r\n',
            }),
            at,
          );
          await world.run(3);
          expect([method, uri, fields, inside()]).toEqual([method, uri, fields, []]);
        }
  });

  it('goes on to hosts outside, and is told where it may not', async () => {
    const { world, peer, proof, callId } = await scene();
    const friend = await world.peer('198.51.100.20:6379');
    const send = async (uri: string, branch: string): Promise<void> => {
      const more = {
        via: from,
        branch,
        from: '<sip:m@x.net>;tag=m1',
        to: '<sip:alice@example.com>;tag=t',
        callId,
        fields: proof,
      };
      peer.send(request('INFO', { uri, ...more }), at);
      await world.run();
    };
    await send('sip:x@198.51.100.20:6379', 'z9hG4bKgood');
    await send('sip:x@outside.example:6379', 'z9hG4bKname');
    expect(gist(friend.take())).toEqual(['INFO', 'INFO']);
    await send('sip:x@127.0.0.1:6379', 'z9hG4bKbad');
    expect(statusOf(peer.last)).toBe(403);
  });
});

describe('a telephone that is inside, and registered from there', () => {
  it('is called, and is reached in its dialogs, from outside', async () => {
    const { world, peer } = await outside();
    const voicemail = await world.peer('127.0.0.1:5090');
    voicemail.send(
      request('REGISTER', {
        uri: 'sip:example.com',
        via: '127.0.0.1:5090',
        from: '<sip:vm@example.com>;tag=1',
        to: '<sip:vm@example.com>',
        fields: 'Contact: <sip:vm@127.0.0.1:5090>\r\n',
      }),
      { host: '127.0.0.1', port: 5_070 },
    );
    await world.run();
    expect(statusOf(voicemail.last)).toBe(200);
    voicemail.take();
    const to = '<sip:vm@example.com>';
    peer.send(
      request('INVITE', { uri: 'sip:vm@example.com', via: from, to, fields: 'Contact: <sip:m@198.51.100.8:5062>\r\n' }),
      at,
    );
    await world.run();
    voicemail.answer(answerTo(voicemail.last, 200, { tag: 'v1', fields: 'Contact: <sip:vm@127.0.0.1:5090>\r\n' }));
    await world.run();
    const route = fieldsOf(peer.last, 'record-route').map((each) => `Route: ${each}\r\n`);
    for (const method of ['ACK', 'BYE'])
      peer.send(
        request(method, {
          uri: 'sip:vm@127.0.0.1:5090',
          via: from,
          to: `${to};tag=v1`,
          branch: `z9hG4bK${method}`,
          fields: route.toReversed().join(''),
        }),
        at,
      );
    await world.run();
    expect(gist(voicemail.take())).toEqual(['INVITE', 'ACK', 'BYE']);
  });

  it('reaches others inside as before', async () => {
    const { world, inside } = await outside();
    const local = await world.peer('127.0.0.1:5090');
    local.send(request('MESSAGE', { uri: 'sip:x@127.0.0.1:6379', via: '127.0.0.1:5090' }), {
      host: '127.0.0.1',
      port: 5_070,
    });
    await world.run();
    expect(gist(inside())).toEqual(['MESSAGE']);
  });
});

describe('RFC 3261 §18.2.2: the way of a response', () => {
  const vias = [
    '198.51.100.8:6379;maddr=127.0.0.1',
    '198.51.100.8:6379;maddr=192.0.2.1',
    '198.51.100.8:6379;maddr=[::ffff:127.0.0.1]',
    '198.51.100.8:6379;received=127.0.0.1',
    '127.0.0.1:6379',
    '127.0.0.1:6379;received=127.0.0.1;rport=6379',
    'localhost:6379;maddr=localhost',
  ];

  it.each(vias)('%s leads no answer of ours inside', async (via) => {
    const { world, peer, inside } = await outside();
    for (const [method, uri] of [
      ['OPTIONS', 'sip:example.com'],
      ['INVITE', 'sip:nobody@example.com'],
      ['REGISTER', 'sip:example.com'],
      ['MESSAGE', 'sip:x@[::1'],
    ] as const)
      peer.send(
        request(method, {
          uri,
          via,
          branch: `z9hG4bK${method}`,
          to: '<sip:nobody@example.com>',
          from: '<sip:m@x.net>;tag=m',
        }),
        at,
      );
    await world.run(1_000);
    expect(inside()).toEqual([]);
  });

  it('nor does a response to an old request of ours that carries another Via below ours than we sent', async () => {
    const { world, peer, inside } = await outside();
    const alice = await world.peer('198.51.100.9:5062');
    alice.send(
      request('REGISTER', {
        uri: 'sip:example.com',
        via: '198.51.100.9:5062',
        from: '<sip:alice@example.com>;tag=1',
        to: '<sip:alice@example.com>',
        fields: 'Contact: <sip:alice@198.51.100.9:5062>\r\n',
      }),
      at,
    );
    await world.run();
    const caller = await world.peer('198.51.100.8:6379');
    caller.send(
      request('INVITE', { uri: 'sip:alice@example.com', via: '198.51.100.8:6379', branch: 'z9hG4bKold' }),
      at,
    );
    await world.run();
    const invite = alice.last;
    expect(startLine(invite)).toContain('INVITE');
    alice.answer(answerTo(invite, 486));
    await world.run(100_000);
    alice.take();
    caller.take();
    const answer = answerTo(invite, 200, {
      fields: 'Contact: <sip:alice@198.51.100.9:5062>\r\n',
      body: 'FLUSHALL\r\n',
    });
    const [, below = ''] = fieldsOf(answer, 'via');
    expect(below).toContain('198.51.100.8:6379');
    for (const params of [
      ';received=127.0.0.1',
      ';received=127.0.0.1;rport=6379',
      ';rport=6379;received=192.0.2.1',
      ';maddr=127.0.0.1',
      ';maddr=192.0.2.1',
      ';received=[::ffff:127.0.0.1]',
      ';maddr=224.0.1.75',
    ])
      for (const transport of ['UDP', 'TCP']) {
        alice.send(answer.replace(below, `SIP/2.0/${transport} 198.51.100.8:6379;branch=z9hG4bKold${params}`), at);
        await world.run(100);
        expect([transport, params, inside()]).toEqual([transport, params, []]);
      }
    // What the caller’s own Via says is followed, as after a restart.
    alice.send(answer, at);
    await world.run();
    expect(gist(caller.take())).toEqual(['200']);
    expect(peer.take()).toEqual([]);
  });
});
