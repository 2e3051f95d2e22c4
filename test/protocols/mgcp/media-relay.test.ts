import { describe, expect, it } from 'vitest';
import { RelayEndpoints } from '../../../protocols/mgcp/relay-endpoints.ts';
import { RelayGateway, relayHost } from './relay-gateway.ts';
import { gatewayHosts, primaryHost, World } from './world.ts';

describe('calls through a media gateway of named endpoints', () => {
  it('two connections on an endpoint that we name, deleted at the end', async () => {
    await inWorld({}, async (world, relay) => {
      expect(await call(world)).toBe(true);
      expect(relay.connections).toBe(2);
      await hangUp(world);
      expect(relay.connections).toBe(0);
      expect(relay.seen.some(({ command }) => command.verb === 'CRCX' && command.endpoint.includes('*'))).toBe(false);
    });
  });

  it('repeats nothing within 500 ms, however fast the gateway answered before', async () => {
    await inWorld({}, async (world, relay) => {
      expect(await call(world)).toBe(true);
      await hangUp(world);
      relay.seen.length = 0;
      const sentAt = new Map<number, number>();
      const repeatedAfter: number[] = [];
      world.network.onPacket(({ to, bytes }) => {
        const id = Number(/^\w+ (\d+) /.exec(bytes.toString('latin1'))?.[1] ?? 0);
        if (to.host !== relayHost) return;
        const before = sentAt.get(id);
        if (before !== undefined) repeatedAfter.push(world.clock.now() - before);
        sentAt.set(id, world.clock.now());
      });
      relay.stall(2_000);
      expect(await call(world)).toBe(true);
      expect(repeatedAfter.length).toBeGreaterThan(0);
      expect(Math.min(...repeatedAfter)).toBeGreaterThanOrEqual(490);
      expect(relay.connections).toBe(2);
    });
  });

  it('a stall of 40 s fails the calls that are made in it, and none after it', async () => {
    await inWorld({}, async (world, relay) => {
      expect(await call(world)).toBe(true);
      await hangUp(world);
      relay.stall(40_000);
      for (let round = 0; round < 12; round += 1) {
        const line = world.line(round % 2 === 0 ? '200' : '201');
        line.offHook();
        await world.run(200);
        line.dial('202');
        await world.run(2_000);
        line.onHook();
        await world.run(500);
      }
      await world.run(90_000);
      expect(relay.connections).toBe(0);
      expect(world.roles.get(primaryHost)?.status()).toMatchObject({ relayedCalls: 0, relayEndpointsTaken: 0 });
      for (let round = 0; round < 40; round += 1) {
        expect(await call(world), `call ${round}`).toBe(true);
        await hangUp(world);
      }
      expect(relay.connections).toBe(0);
    });
  });

  it('what an unanswered creation made is deleted, also where the answer alone was lost', async () => {
    await inWorld({}, async (world, relay) => {
      const stop = world.network.onPacket(({ from }) => (from.host === relayHost ? 'drop' : undefined));
      const line = world.line('200');
      line.offHook();
      await world.run(200);
      line.dial('202');
      await world.run(25_000);
      expect(line.hears).toBe('L/ro');
      // Deleted, perhaps: the endpoint is not used again before the gateway has said so.
      expect(world.roles.get(primaryHost)?.status()).toMatchObject({ relayEndpointsTaken: 1 });
      stop();
      await world.run(70_000);
      expect(relay.connections).toBe(0);
      expect(world.roles.get(primaryHost)?.status()).toMatchObject({ relayEndpointsTaken: 0 });
      line.onHook();
      await world.run(500);
      expect(await call(world)).toBe(true);
    });
  });

  it('goes by endpoints that another controller uses, and round when there are no more', async () => {
    await inWorld({ endpoints: 4 }, async (world, relay) => {
      relay.endpoints.get('rtpbridge/1')?.connections.set('FF', 'ANOTHER');
      relay.endpoints.get('rtpbridge/3')?.connections.set('FE', 'ANOTHER');
      for (let round = 0; round < 8; round += 1) {
        expect(await call(world), `call ${round}`).toBe(true);
        await hangUp(world);
      }
      expect(relay.connections).toBe(2);
    });
  });
});

describe('the endpoints of a media gateway', () => {
  it('are taken in turn, the one that rested longest first, none twice', () => {
    const endpoints = new RelayEndpoints();
    const [a, b] = [endpoints.take(), endpoints.take()];
    expect([a, b]).toEqual([1, 2]);
    endpoints.free(1);
    expect(endpoints.take()).toBe(3);
    endpoints.missing(4);
    expect([endpoints.take(), endpoints.take()]).toEqual([1, undefined]);
    endpoints.free(2);
    expect(endpoints.take()).toBe(2);
  });

  it('one that answers nonsense leaves the first at least', () => {
    const endpoints = new RelayEndpoints();
    for (let round = 0; round < 3; round += 1) endpoints.missing(endpoints.take() ?? 0);
    expect(endpoints.take()).toBe(1);
  });
});

async function inWorld(
  options: { readonly endpoints?: number },
  play: (world: World, relay: RelayGateway) => Promise<void>,
): Promise<void> {
  const world = new World({
    backup: false,
    config: {
      relay: 'mgw',
      gateways: [
        ...gatewayHosts.map((host, index) => ({ name: `rgw${index + 1}`, addresses: [`${host}:2427`] })),
        { name: 'mgw', addresses: [`${relayHost}:2427`], profile: 'media' },
      ],
    },
  });
  const relay = new RelayGateway(world, options.endpoints);
  await relay.start();
  await world.startAgent(primaryHost);
  for (const [index] of gatewayHosts.entries()) await world.startGateway(index);
  await world.run(1_000);
  try {
    await play(world, relay);
  } finally {
    await world.stop();
  }
}

/** Is the call up, through the relay? */
async function call(world: World): Promise<boolean> {
  const [a, b] = [world.line('200'), world.line('202')];
  a.offHook();
  await world.run(200);
  a.dial('202');
  for (let waited = 0; waited < 5_000 && b.hears !== 'L/rg'; waited += 50) await world.run(50);
  b.offHook();
  await world.run(500);
  return (
    a.talksTo.length === 1 && b.talksTo.length === 1 && [...a.talksTo, ...b.talksTo].every((port) => port > 41_000)
  );
}

async function hangUp(world: World): Promise<void> {
  world.line('200').onHook();
  world.line('202').onHook();
  await world.run(1_000);
}
