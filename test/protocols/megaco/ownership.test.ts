import { describe, expect, it } from 'vitest';
import { reached } from '../../support/reached.ts';
import { playCall } from './call-script.ts';
import { backupHost, gatewayHosts, primaryHost, World, type WorldOptions } from './world.ts';

const owners = (world: World): readonly (string | undefined)[] =>
  world.gateways.map(({ controller }) => controller?.host);

const both = (host: string): readonly string[] => [host, host];

async function up(options: WorldOptions): Promise<World> {
  const world = await World.up(options);
  await world.run(3_000);
  return world;
}

async function talk(world: World, to = '202'): Promise<void> {
  world.line('200').offHook();
  await world.run(100);
  world.line('200').dial(to);
  await world.run(200);
  world.line(to).offHook();
  await world.run(400);
  expect(world.talking('200', to)).toBe(true);
}

async function hangUp(world: World, to = '202'): Promise<void> {
  world.line('200').onHook();
  world.line(to).onHook();
  await world.run(6_000);
  expect(world.idle('200', '201', '202', '203')).toBe(true);
  expect(world.ephemerals).toBe(0);
  for (const host of world.roles.keys()) expect(world.calls(host)).toEqual([]);
}

describe.each([
  ['aware gateways', {}],
  ['plain gateways under one mId', { gateway: { aware: false }, config: { mid: '<mgc.example>' } }],
] satisfies [string, WorldOptions][])('whose gateways are whose, RFC 3525 §11.5: %s', (_kind, options) => {
  it('site power-up in any order ends at home within 15 s', async () => {
    for (const order of orders(['primary', 'backup', 'gateway 0', 'gateway 1'])) {
      const world = new World(options);
      for (const step of order) {
        if (step === 'primary') await world.startController(primaryHost);
        else if (step === 'backup') await world.startController(backupHost);
        else await world.startGateway(Number(step.at(-1)));
        await world.run(900);
      }
      await world.run(15_000);
      expect(owners(world), order.join(', ')).toEqual(both(primaryHost));
      expect((await playCall(world, '200', '202')).stuckAt, order.join(', ')).toBeUndefined();
    }
  }, 60_000);

  it('an owner that returns while its audit runs at the backup: the audit is dropped, its HandOff withdrawn', async () => {
    const world = await up(options);
    await talk(world);
    for (const gateway of gatewayHosts) world.network.partition(gateway, backupHost);
    world.kill(primaryHost);
    await world.run(1_500);
    world.network.revive(primaryHost);
    await world.startController(primaryHost);
    await world.run(1_000);
    world.network.heal();
    const from = world.packets.length;
    await world.run(20_000);
    // No HandOff from before its boot reaches a gateway any more.
    const said = world.packets
      .slice(from)
      .filter(({ from: source, to }) => source.host === backupHost && to.host !== primaryHost);
    expect(said).toEqual([]);
    expect(owners(world)).toEqual(both(primaryHost));
    expect(world.talking('200', '202')).toBe(true);
    await hangUp(world);
  });

  it('a primary that stood still: one owner, the call goes on', async () => {
    const world = await up(options);
    await talk(world);
    world.network.pause(primaryHost);
    await world.run(6_000);
    expect(owners(world)).toEqual(both(backupHost));
    world.network.resume(primaryHost);
    await world.run(16_000);
    expect(owners(world)).toEqual(both(primaryHost));
    expect(world.talking('200', '202')).toBe(true);
    await hangUp(world);
  });

  it('a primary in a crash loop: no call is lost, one owner at the end', async () => {
    for (const lifeMs of [300, 1_200, 4_000]) {
      const world = await up(options);
      await talk(world);
      for (let round = 0; round < 4; round += 1) {
        world.kill(primaryHost);
        await world.run(900);
        world.network.revive(primaryHost);
        await world.startController(primaryHost);
        await world.run(lifeMs);
      }
      await world.run(16_000);
      expect(world.talking('200', '202'), `life of ${lifeMs} ms`).toBe(true);
      expect(owners(world), `life of ${lifeMs} ms`).toEqual(both(primaryHost));
      await hangUp(world);
    }
  });

  it.each(['oneWay', 'both'] as const)(
    'members that lose sight of each other (%s): one owner at the end',
    async (ways) => {
      const world = await up(options);
      await talk(world);
      world.network.partition(primaryHost, backupHost, ways);
      await world.run(8_000);
      expect(world.talking('200', '202')).toBe(true);
      world.network.heal();
      await world.run(20_000);
      expect(world.talking('200', '202')).toBe(true);
      expect(new Set(owners(world)).size).toBe(1);
      await hangUp(world);
    },
  );
});

describe('a gateway that fails over by itself while both controllers live (RFC 3525 §11.5)', () => {
  it('goes home after the hold time', async () => {
    const world = await up({});
    await talk(world, '201');
    // Its way to the primary is gone for a moment; the primary does not die.
    world.network.partition(gatewayHosts[0], primaryHost);
    await world.run(500);
    world.line('201').onHook();
    await world.run(50);
    world.line('201').offHook();
    await world.run(6_000);
    expect(world.gateways[0]?.controller?.host).toBe(backupHost);
    expect(world.gateways[1]?.controller?.host).toBe(primaryHost);
    world.network.heal();
    await world.run(16_000);
    expect(owners(world)).toEqual(both(primaryHost));
    world.line('200').onHook();
    world.line('201').onHook();
    await world.run(3_000);
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  });
});

describe('words that anybody can forge move nothing', () => {
  it('ICMP errors for the primary’s signaling port', async () => {
    const world = await up({});
    await talk(world);
    const from = world.packets.length;
    const socket = world.network.find(backupHost)?.datagramSocket({ host: backupHost, port: 2944 });
    for (let count = 0; count < 5; count += 1) {
      const flow = socket?.flowTo({ host: primaryHost, port: 2944 });
      if (flow !== undefined) socket?.events.failed(flow, { reason: 'refused', detail: 'ECONNREFUSED' });
      await world.run(137);
    }
    await world.run(3_000);
    const said = world.packets
      .slice(from)
      .filter(({ from: source, to }) => source.host === backupHost && to.host !== primaryHost);
    expect(said).toEqual([]);
    await hangUp(world);
  });
});

function orders<T>(all: readonly T[]): readonly (readonly T[])[] {
  if (all.length < 2) return [all];
  return all.flatMap((first, index) =>
    orders([...all.slice(0, index), ...all.slice(index + 1)]).map((rest) => [first, ...rest]),
  );
}

it('an audit that waits for other gateways when its own is handed over pulls nothing back (RFC 3525 §11.5)', async () => {
  const world = await World.up();
  const [a, b] = [world.line('200'), world.line('202')];
  a.offHook();
  expect(await reached(world, () => a.signal === 'cg/dt', 2_000)).toBe(true);
  // The primary is out of reach for a second as the call is made: the caller's gateway turns to the backup, and is sent home.
  a.dial('202');
  await world.run(2);
  world.network.unplug(primaryHost);
  await world.run(1_000);
  world.network.plug(primaryHost);
  expect(await reached(world, () => b.signal === 'al/ri', 5_000)).toBe(true);
  await world.run(10_000);
  expect([a.signal, b.signal]).toEqual(['cg/rt', 'al/ri']);
  expect(world.gateways.map(({ controller }) => controller?.host)).toEqual([primaryHost, primaryHost]);
  b.offHook();
  expect(await reached(world, () => world.talking('200', '202'), 2_000)).toBe(true);
  await world.stop();
});
