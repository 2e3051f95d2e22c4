/** Where a registration may make us send to (RFC 3261 §10.3, §26.1): what strangers would like to reach through us. */
import { describe, expect, it } from 'vitest';
import { fieldsOf, gist, request, SipWorld, statusOf } from './world.ts';

/** A proxy with an address in the world, and the loopback of its machine. */
async function outside(
  config: object = {},
  names: (name: string) => string | undefined = () => undefined,
): Promise<SipWorld> {
  return SipWorld.up({
    config: {
      listen: ['udp:192.0.2.1:5060', 'tcp:192.0.2.1:5060', 'udp:127.0.0.1:5070'],
      domains: ['example.com'],
      ...config,
    },
    addresses: ['192.0.2.1'],
    names,
  });
}

const at = { host: '192.0.2.1', port: 5_060 };
let count = 0;

async function register(
  world: SipWorld,
  contact: string,
  { from = '198.51.100.9:5062', user = 'alice', fields = '' } = {},
): Promise<number> {
  count += 1;
  const peer = await world.peer(from);
  peer.send(
    request('REGISTER', {
      uri: 'sip:example.com',
      via: from,
      branch: `z9hG4bKr${count}`,
      from: `<sip:${user}@example.com>;tag=1`,
      to: `<sip:${user}@example.com>`,
      callId: `reg-${count}`,
      fields: `Contact: ${contact}\r\n${fields}`,
    }),
    from.startsWith('127.') ? { host: '127.0.0.1', port: 5_070 } : at,
  );
  await world.run();
  await peer.listener?.close();
  return statusOf(peer.last);
}

describe('RFC 3261 §10.3 a contact that is no host', () => {
  it.each([
    '0.0.0.0',
    '0.1.2.3',
    '224.0.1.75',
    '239.255.255.250',
    '255.255.255.255',
    '[::]',
    '[0:0:0:0:0:0:0:0]',
    '[ff02::1]',
    '[FF0E::1]',
    '[::ffff:224.0.1.75]',
    '[::ffff:0.0.0.0]',
    '192.0.2.9;maddr=224.0.1.75',
    '192.0.2.9;maddr=0.0.0.0',
    '192.0.2.9;maddr=[ff02::1]',
  ])('%s is refused, also from within', async (host) => {
    const world = await outside({ registrar: { allowContacts: ['0.0.0.0/0', '::/0'] } });
    expect(await register(world, `<sip:a@${host}>`)).toBe(403);
    expect(await register(world, `<sip:a@${host}>`, { from: '127.0.0.9:5062' })).toBe(403);
    expect(world.locations.size).toBe(0);
  });
});

describe('a contact inside of this machine', () => {
  it.each([
    '127.0.0.1:6379;transport=tcp',
    '127.9.8.7',
    'localhost:6379;transport=tcp',
    'LocalHost',
    'db.localhost',
    '[::1]:6379',
    '[0:0:0:0:0:0:0:1]',
    '[::ffff:127.0.0.1]:6379',
    '[::ffff:7f00:1]',
    '198.51.100.9;maddr=127.0.0.1',
    '192.0.2.1:6379;transport=tcp',
    '192.0.2.1:9090',
  ])('%s is refused to who is outside', async (host) => {
    const world = await outside();
    expect(await register(world, `<sip:a@${host}>`)).toBe(403);
    expect(world.locations.size).toBe(0);
  });

  it('is taken from within, and from outside where the operator says so', async () => {
    expect(await register(await outside(), '<sip:a@127.0.0.9:5062>', { from: '127.0.0.9:5062' })).toBe(200);
    const world = await outside({ registrar: { allowContacts: ['127.0.0.0/8:6379', '192.0.2.1:9090'] } });
    expect(await register(world, '<sip:a@127.0.0.1:6379;transport=tcp>')).toBe(200);
    expect(await register(world, '<sip:a@127.0.0.1:6380;transport=tcp>')).toBe(403);
    expect(await register(world, '<sip:a@192.0.2.1:9090>')).toBe(200);
  });

  it('or of a partner is refused, but to who is there', async () => {
    const world = await outside({ backup: ['udp:192.0.2.2:5060'] });
    expect(await register(world, '<sip:a@192.0.2.2:6379;transport=tcp>')).toBe(403);
    expect(await register(world, '<sip:a@192.0.2.2:6379;transport=tcp>', { from: '192.0.2.2:5090' })).toBe(200);
  });

  it('may be taken back by anybody', async () => {
    const world = await outside();
    expect(await register(world, '<sip:a@127.0.0.1:6379>;expires=0')).toBe(200);
  });

  it('is not reached by a name either, whatever it means when it is called', async () => {
    let address: string | undefined;
    const world = await outside({}, () => address);
    const redis = await world.peer('127.0.0.1:6379');
    const friend = await world.peer('198.51.100.20:6379');
    const group = await world.peer('224.0.1.75:6379');
    expect(await register(world, '<sip:a@harmless.example:6379>')).toBe(200);
    const caller = await world.peer('198.51.100.8:5062');
    for (const [means, expected] of [
      ['127.0.0.1', 0],
      ['192.0.2.1', 0],
      ['224.0.1.75', 0],
      ['198.51.100.20', 1],
    ] as const) {
      address = means;
      world.clock.advance(120_000);
      const branch = `z9hG4bKi${means}`;
      caller.send(
        request('MESSAGE', { uri: 'sip:alice@example.com', via: '198.51.100.8:5062', branch, callId: branch }),
        at,
      );
      await world.run(1_000);
      expect(friend.heard.length > 0 ? 1 : 0).toBe(expected);
      if (expected === 0) expect(statusOf(caller.last)).toBeGreaterThanOrEqual(400);
    }
    expect(redis.take()).toEqual([]);
    expect(group.take()).toEqual([]);
  });
});

describe('a contact that is this server', () => {
  it.each([
    'sip:alice@example.com',
    'sip:alice@EXAMPLE.com:5060;n=1',
    'sips:alice@example.com',
    'sip:alice@192.0.2.1',
    'sip:alice@192.0.2.1:5060;transport=tcp',
    'sip:192.0.2.1',
    'sip:example.com',
    'sip:nobody@example.com',
    'sip:x@[::ffff:192.0.2.1]',
    'sip:x@198.51.100.9;maddr=192.0.2.1',
  ])('%s is refused', async (uri) => {
    const world = await outside();
    expect(await register(world, `<${uri}>`)).toBe(403);
    expect(world.locations.size).toBe(0);
  });

  it('by its loopback socket is refused as well, from within', async () => {
    const world = await outside();
    expect(await register(world, '<sip:a@127.0.0.1:5070>', { from: '127.0.0.9:5062' })).toBe(403);
  });

  it('and another of our users is taken, once', async () => {
    const world = await outside({}, (name) => (name === 'example.com' ? '192.0.2.1' : undefined));
    const bob = await world.peer('198.51.100.20:5070');
    expect(await register(world, '<sip:bob@198.51.100.20:5070>', { user: 'bob' })).toBe(200);
    expect(await register(world, '<sip:bob@example.com;n=1>, <sip:bob@example.com;n=2>')).toBe(403);
    expect(await register(world, '<sip:bob@example.com;n=1>')).toBe(200);
    expect(await register(world, '<sip:bob@192.0.2.1;n=2>')).toBe(403);
    const caller = await world.peer('198.51.100.8:5062');
    caller.send(request('MESSAGE', { uri: 'sip:alice@example.com', via: '198.51.100.8:5062' }), at);
    await world.run();
    expect(gist(bob.take())).toEqual(['MESSAGE']);
  });
});

describe('RFC 3327 a Path that leads where no contact may', () => {
  it.each([
    '<sip:224.0.1.75;lr>',
    '<sip:0.0.0.0;lr>',
    '<sip:127.0.0.1:6379;transport=tcp;lr>',
    '<sip:edge@localhost:6379;lr>',
    '<sip:198.51.100.1;maddr=127.0.0.1;lr>',
    '<sip:192.0.2.1:6379;transport=tcp;lr>',
    '<sip:198.51.100.1;lr>, <sip:[::1]:6379;lr>',
    '<sip:198.51.100.1;lr>, <sip:192.0.2.1;lr>',
  ])('%s is refused', async (path) => {
    const world = await outside();
    const fields = `Supported: path\r\nPath: ${path}\r\n`;
    expect(await register(world, '<sip:a@198.51.100.9>', { fields })).toBe(403);
    expect(world.locations.size).toBe(0);
  });

  it.each(['198.51.100.50', '198.51.100.50:5080;transport=tcp', 'gw.example', '198.51.100.7;maddr=198.51.100.50'])(
    'a hop that the operator named, %s, is that hop’s own to name: else its callers would be sent there',
    async (hop) => {
      const routes = [{ prefix: '00', to: ['198.51.100.50:5060', 'gw.example'] }];
      const world = await outside({ routes });
      const fields = `Supported: path\r\nPath: <sip:${hop};lr>\r\n`;
      expect(await register(world, '<sip:+1900@198.51.100.9>', { fields })).toBe(403);
      expect(world.locations.size).toBe(0);
      expect(await register(world, '<sip:a@10.0.0.9>', { fields, from: '198.51.100.50:5060' })).toBe(200);
    },
  );

  it('that begins with ourselves, or names an edge, is taken', async () => {
    const world = await outside();
    for (const path of ['<sip:198.51.100.1;lr>', '<sip:192.0.2.1:5060;lr>, <sip:198.51.100.1;lr>'])
      expect(
        await register(world, '<sip:a@10.0.0.9>', {
          fields: `Supported: path\r\nPath: ${path}\r\n`,
          user: path.slice(5, 9),
        }),
      ).toBe(200);
  });
});

describe('RFC 3261 §16.5 contacts that are no telephone', () => {
  it('are answered 480 at once where there is nothing else', async () => {
    const world = await outside();
    await world.locations.save('1001@example.com', [
      {
        protocol: 'mgcp',
        target: 'aaln/1@rgw1',
        key: 'line',
        path: [],
        alternates: [],
        expiresMs: Number.POSITIVE_INFINITY,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    const caller = await world.peer('198.51.100.8:5062');
    caller.send(request('INVITE', { uri: 'sip:1001@example.com', via: '198.51.100.8:5062' }), at);
    await world.run();
    expect(statusOf(caller.last)).toBe(480);
    expect(fieldsOf(caller.last, 'Retry-After')).toEqual([]);
  });
});
