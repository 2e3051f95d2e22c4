/**
 * What a gateway does with records of calls is learnt once. A controller that restarts reads it off what its audit brings; a gateway that
 * restarts may be another version, and is asked again.
 */
import { afterEach, describe, expect, it } from 'vitest';
import { reached } from '../support/reached.ts';
import type { SimPhone } from '../support/sip-ua.ts';
import { confirmed, lines } from './crossing-scene.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost } from './crossing-world.ts';

let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

const until = (holds: () => boolean, limitMs = 40_000): Promise<boolean> => reached(world, holds, limitMs, 50);
const talks = (line: string): boolean => world.telephone(line).media().sendsTo === '127.0.0.1:40000';

async function up(options: CrossingOptions): Promise<SimPhone> {
  world = await CrossingWorld.up({ sip: {}, hasLink: false, ...options });
  return world.phone('7001', '127.0.0.31', { answering: 'answer', ringMs: 500 });
}

async function call(line: string): Promise<void> {
  const telephone = world.telephone(line);
  telephone.offHook();
  await until(() => telephone.hears() === 'dial');
  telephone.dial('7001');
  expect(await until(() => talks(line))).toBe(true);
  await world.run(1_000);
}

async function hangUp(line: string, phone: SimPhone): Promise<void> {
  world.telephone(line).onHook();
  expect(await until(() => confirmed(phone) === undefined && world.telephone(line).isIdle())).toBe(true);
}

async function restart(host: string): Promise<void> {
  world.kill(host);
  await world.run(100);
  world.network.revive(host);
  await world.startController(host);
}

describe.each(lines)('%s talks, and its lone controller restarts', (_, line) => {
  it.each(line === '200' ? (['keepsRemote', 'keepsEntity'] as const) : (['keepsRemote'] as const))(
    'twice, and once more as soon as it has its calls: gateway %s',
    async (records) => {
      const phone = await up({ records });
      world.kill(backupHost);
      await call(line);
      for (let turn = 0; turn < 3; turn += 1) {
        await restart(primaryHost);
        expect(await until(() => world.calls(primaryHost) > 0)).toBe(true);
        await world.run(turn * 300);
      }
      await world.run(20_000);
      expect(talks(line)).toBe(true);
      await hangUp(line, phone);
      await world.run(40_000);
      expect(world.calls(primaryHost)).toBe(0);
      expect(phone.complaints).toEqual([]);
    },
  );

  it('and dies for good as soon as it has its calls: the backup has them', async () => {
    const phone = await up({ records: line === '200' ? 'keepsEntity' : 'keepsRemote' });
    await call(line);
    await restart(primaryHost);
    expect(await until(() => world.calls(primaryHost) > 0)).toBe(true);
    world.kill(primaryHost);
    expect(await until(() => world.calls(backupHost) > 0)).toBe(true);
    await world.run(10_000);
    expect(talks(line)).toBe(true);
    await hangUp(line, phone);
  });
});

describe.each(lines)('the gateway of %s restarts as another version', (_, line) => {
  it('that keeps what the old one did not: it is asked again, and the next call survives', async () => {
    const phone = await up({ records: 'forgets' });
    await call(line);
    await hangUp(line, phone);
    for (const host of ['127.0.0.11', '127.0.0.21']) world.network.crash(host);
    await world.run(500);
    for (const host of ['127.0.0.11', '127.0.0.21']) world.network.revive(host);
    Object.assign(world.options, { records: 'keepsRemote' });
    await world.startGateways();
    await world.run(3_000);
    expect(await until(() => world.telephone(line).isIdle())).toBe(true);
    await call(line);
    world.kill(primaryHost);
    await world.run(20_000);
    expect(talks(line)).toBe(true);
    await hangUp(line, phone);
  });
});
