import { describe, expect, it } from 'vitest';
import { playCall } from './call-script.ts';
import { backupHost, primaryHost, World, type WorldOptions } from './world.ts';

/** 200 and 202 talk. */
async function talking(options: WorldOptions = {}): Promise<World> {
  const world = await World.up(options);
  world.line('200').offHook();
  await world.run(50);
  world.line('200').dial('202');
  await world.run(100);
  world.line('202').offHook();
  await world.run(200);
  expect(world.talking('200', '202')).toBe(true);
  return world;
}

async function hangUp(world: World): Promise<void> {
  world.line('200').onHook();
  world.line('202').onHook();
  await world.run(3_000);
  expect(world.idle('200', '201', '202', '203')).toBe(true);
  expect(world.ephemerals).toBe(0);
}

const owners = (world: World): readonly (string | undefined)[] =>
  world.gateways.map(({ controller }) => controller?.host);

describe('RFC 3525 §11.5: the power of the primary goes off', () => {
  it('the call stands, and hanging up reaches the backup within two seconds', async () => {
    const world = await talking();
    world.kill(primaryHost);
    world.network.silence(primaryHost);
    await world.run(300);
    world.line('200').onHook();
    await world.run(2_000);
    expect(world.line('202').signal).toBe('cg/bt');
    expect(owners(world)).toEqual([backupHost, backupHost]);
    await hangUp(world);
  });

  it('all gateways are called to the backup without waiting for an event', async () => {
    const world = await talking();
    world.kill(primaryHost);
    await world.run(3_000);
    expect(owners(world)).toEqual([backupHost, backupHost]);
    expect(world.talking('200', '202')).toBe(true);
    expect(world.calls(backupHost)).toMatchObject([{ caller: '200', callee: '202', phase: 'talking' }]);
    await hangUp(world);
  });
});

describe('RFC 3525 §11.5: planned switch by HandOff', () => {
  it.each([
    ['aware gateways', {}],
    ['plain gateways under one mId', { gateway: { aware: false }, config: { mid: '<mgc.example>' } }],
  ])('drain moves the gateways and their calls: %s', async (_name, options) => {
    const world = await talking(options);
    const drained = world.roles.get(primaryHost)?.drain(5_000);
    await world.run(1_000);
    await drained;
    expect(owners(world)).toEqual([backupHost, backupHost]);
    expect(world.talking('200', '202')).toBe(true);
    expect(world.calls(primaryHost)).toEqual([]);
    expect(world.calls(backupHost)).toMatchObject([{ phase: 'talking' }]);
    await world.roles.get(primaryHost)?.stop();
    await hangUp(world);
    expect((await playCall(world, '203', '201')).stuckAt).toBeUndefined();
  });

  it('a primary that is back for good gets its gateways back, calls included', async () => {
    const world = await talking({ config: { timers: { holdMs: 3_000 } } });
    world.kill(primaryHost);
    await world.run(3_000);
    expect(owners(world)).toEqual([backupHost, backupHost]);
    world.network.revive(primaryHost);
    await world.startController(primaryHost);
    await world.run(2_000);
    // Not before the hold time.
    expect(owners(world)).toEqual([backupHost, backupHost]);
    await world.run(4_000);
    expect(owners(world)).toEqual([primaryHost, primaryHost]);
    expect(world.talking('200', '202')).toBe(true);
    expect(world.calls(primaryHost)).toMatchObject([{ phase: 'talking' }]);
    expect(world.calls(backupHost)).toEqual([]);
    await hangUp(world);
  });
});

describe('fencing: a controller that was cut off and comes back', () => {
  it('commands nothing that another has taken over', async () => {
    const world = await talking();
    for (const other of ['127.0.0.11', '127.0.0.12', backupHost]) world.network.partition(primaryHost, other);
    await world.run(500);
    world.line('200').onHook();
    await world.run(4_000);
    expect(owners(world)).toEqual([backupHost, backupHost]);
    world.network.heal();
    world.line('202').onHook();
    await world.run(2_000);
    expect(world.idle('200', '202')).toBe(true);
    await world.run(30_000);
    expect((await playCall(world, '200', '203')).stuckAt).toBeUndefined();
    expect(world.ephemerals).toBe(0);
  });
});

describe('RFC 3525 §7.2.8, §11.2: gateways come and go', () => {
  it('a gateway that restarts in a call ends it for the other side, and is armed anew', async () => {
    const world = await talking();
    world.gateways[0]?.restart();
    world.line('200').hook = 'on';
    await world.run(500);
    expect(world.line('202').signal).toBe('cg/ct');
    world.line('202').onHook();
    await world.run(500);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
    expect(world.ephemerals).toBe(0);
  });

  it('a gateway that dies is noticed, and its callers hear that it cannot be reached', async () => {
    const world = await World.up({ config: { timers: { gatewayQuietMs: 2_000, tMaxMs: 3_000 } } });
    world.network.silence('127.0.0.12');
    await world.run(15_000);
    world.line('200').offHook();
    await world.run(100);
    world.line('200').dial('202');
    await world.run(200);
    expect(world.line('200').signal).toBe('cg/ct');
    world.network.revive('127.0.0.12');
    world.line('200').onHook();
    world.gateways[1]?.restart();
    await world.run(1_000);
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  });

  it('a gateway that was out of reach for longer than T-MAX is asked until it answers, and its lines work again', async () => {
    const timers = { gatewayQuietMs: 2_000, tMaxMs: 3_000, inactivityMs: 0 };
    const world = await World.up({ config: { timers } });
    world.network.partition('127.0.0.12', '127.0.0.1');
    await world.run(15_000);
    const reach = (): unknown =>
      world.roles
        .get('127.0.0.1')
        ?.peers()
        .find(({ name }) => name === 'gw2');
    expect(reach()).toMatchObject({ state: 'down', ours: false });
    world.network.heal();
    // It has said nothing and does not know that it was missed.
    await world.run(60_000);
    expect(reach()).toMatchObject({ state: 'up', ours: true });
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  });
});
