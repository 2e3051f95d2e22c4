/** RFC 3263 §4: a hop of the operator's that has a name is that hop at its addresses too, for whoever may not reach it. */
import { afterEach, describe, expect, it } from 'vitest';
import { fieldsOf, type Peer, request, SipWorld, statusOf } from './world.ts';

let world: SipWorld;

afterEach(() => world.down());

const gateway = '198.51.100.40';

const hops = {
  'a trunk': { trunks: [{ name: 'carrier', to: ['gw.example'], prefixes: ['+'], pingSeconds: 0 }] },
  'a route': { routes: [{ prefix: '+3', to: ['gw.example'] }] },
  'the default route': { defaultRoute: ['gw.example'] },
};

async function up(more: object): Promise<{ alice: Peer; stranger: Peer; hop: Peer }> {
  world = await SipWorld.up({
    config: { domains: ['example.com'], auth: { invite: true, users: [{ user: 'alice', password: 'x' }] }, ...more },
    names: (name) => (name === 'gw.example' || name === 'alias.example' ? gateway : undefined),
  });
  const save = (user: string, target: string): Promise<void> =>
    world.locations.save(`${user}@example.com`, [
      {
        protocol: 'sip',
        target,
        key: 'k',
        path: [],
        alternates: [],
        expiresMs: Number.MAX_SAFE_INTEGER,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
  await save('alice', 'sip:alice@127.0.0.20:5070');
  await save('number', `sip:+331@${gateway}`);
  await save('alias', 'sip:+331@alias.example');
  const [alice, stranger, hop] = [
    await world.peer('127.0.0.20:5070'),
    await world.peer('127.0.0.10:5062'),
    await world.peer(gateway),
  ];
  await world.run();
  return { alice, stranger, hop };
}

describe.each(Object.entries(hops))('%s with a name', (_what, more) => {
  it('is reached by its address neither in the dialog of others nor by their contacts, also before anybody used it', async () => {
    const { alice, stranger, hop } = await up(more);
    const common = { via: '127.0.0.10:5062', from: '<sip:m@x.net>;tag=m1' };
    stranger.send(request('INVITE', { ...common, uri: 'sip:alice@example.com', callId: 'theirs', branch: 'z9hG4bKa' }));
    await world.run();
    const [record = ''] = fieldsOf(alice.last, 'record-route');
    expect(record).toMatch(/^<sip:d/);
    let count = 0;
    for (const [uri, fields, to] of [
      [`sip:+331@${gateway}`, `Route: ${record}\r\n`, ';tag=t'],
      [`sip:+331@${gateway}:5060;transport=udp`, `Route: ${record}\r\n`, ';tag=t'],
      ['sip:+331@alias.example', `Route: ${record}\r\n`, ';tag=t'],
      ['sip:+331@GW.example.', `Route: ${record}\r\n`, ';tag=t'],
      ['sip:x@elsewhere.net', `Route: ${record}\r\nRoute: <sip:${gateway};lr>\r\n`, ';tag=t'],
      ['sip:x@elsewhere.net', `Route: ${record}\r\nRoute: <sip:alias.example;lr>\r\n`, ';tag=t'],
      ['sip:number@example.com', '', ''],
      ['sip:alias@example.com', '', ''],
    ] as const) {
      count += 1;
      const more = {
        ...common,
        uri,
        fields,
        to: `<sip:alice@example.com>${to}`,
        callId: to === '' ? `new${count}` : 'theirs',
      };
      stranger.send(request('INVITE', { ...more, branch: `z9hG4bKb${count}` }));
      await world.run();
      expect([uri, fields, hop.take()]).toEqual([uri, fields, []]);
      expect(statusOf(stranger.last)).toBeGreaterThanOrEqual(400);
    }
  });
});
