import { describe, expect, it } from 'vitest';
import { reached } from '../../support/reached.ts';
import { address, backupHost, gatewayHosts, primaryHost, World, type WorldOptions } from './world.ts';

/** The hold time is 10 s: until then the backup keeps what it took over, and gateways may report in to either. */
describe('the primary returns, and its gateways report in while the backup still owns them (RFC 3435 §4.4.6, §4.4.7)', () => {
  for (const options of [{}, { gateway: { aware: false } }] satisfies WorldOptions[]) {
    const kind = 'gateway' in options ? 'plain gateways' : 'aware gateways';

    for (const afterMs of [100, 3_000, 9_000, 9_990]) {
      it(`disconnected after ${afterMs} ms: the call goes on and ends (${kind})`, async () => {
        await duringHold(options, async (world) => {
          await world.run(afterMs);
          await tell(world, 1, 'RSIP 801 aaln/1@rgw2 MGCP 1.0\r\nRM: disconnected\r\n');
          await world.run(2_000);
          expect(world.talking('200', '202')).toBe(true);
          await hangUp(world);
        });
      });

      it(`restart after ${afterMs} ms: the other party hears that the call is over (${kind})`, async () => {
        await duringHold(options, async (world) => {
          await world.run(afterMs);
          world.line('202').onHook();
          await world.run(50);
          world.gateways[1]?.restart();
          expect(await until(world, () => world.line('200').hears !== '', 15_000)).toBe(true);
          world.line('200').onHook();
          await world.run(15_000);
          await allIdle(world);
        });
      });
    }

    it(`what the primary did with lines that reported to it is known after its next death (${kind})`, async () => {
      await duringHold(options, async (world) => {
        await tell(world, 1, 'RSIP 802 *@rgw2 MGCP 1.0\r\nRM: disconnected\r\n');
        await world.run(500);
        world.line('200').onHook();
        await world.run(500);
        world.line('202').onHook();
        await world.run(500);
        await talk(world, '203', '201');
        world.kill(primaryHost);
        await world.run(4_000);
        expect(world.talking('203', '201')).toBe(true);
        world.line('203').onHook();
        expect(await until(world, () => world.line('201').hears !== '', 12_000)).toBe(true);
        world.line('201').onHook();
        await world.run(15_000);
        await allIdle(world);
      });
    });

    it(`a call that the backup made with such lines survives the end of the hold time (${kind})`, async () => {
      await duringHold(options, async (world) => {
        await tell(world, 1, 'RSIP 803 aaln/2@rgw2 MGCP 1.0\r\nRM: restart\r\n');
        await world.run(500);
        const line = world.line('203');
        world.gateways[1]?.setEntity(line, address(backupHost));
        await talk(world, '203', '201');
        await world.run(15_000);
        expect(world.talking('203', '201')).toBe(true);
        line.onHook();
        expect(await until(world, () => world.line('201').hears !== '', 12_000)).toBe(true);
        world.line('201').onHook();
        await hangUp(world);
      });
    });

    it(`a crash loop of the primary, with a gateway that reports in each time, loses no call (${kind})`, async () => {
      for (const lifeMs of [30, 300, 1_200, 4_000, 10_050]) {
        await duringHold(options, async (world) => {
          for (let round = 0; round < 4; round += 1) {
            await world.run(lifeMs / 2);
            await tell(
              world,
              round % 2,
              `RSIP ${810 + round} *@rgw${(round % 2) + 1} MGCP 1.0\r\nRM: disconnected\r\n`,
            );
            await world.run(lifeMs / 2);
            world.kill(primaryHost);
            await world.run(700);
            world.network.revive(primaryHost);
            await world.startAgent(primaryHost);
          }
          await world.run(2_000);
          expect(world.talking('200', '202'), `life of ${lifeMs} ms`).toBe(true);
          await hangUp(world);
        });
      }
    }, 60_000);
  }
});

/** 200 talks with 202, the primary died, the backup took over, the primary is back. */
async function duringHold(options: WorldOptions, play: (world: World) => Promise<void>): Promise<void> {
  const world = await World.up(options);
  try {
    await talk(world, '200', '202');
    world.kill(primaryHost);
    await world.run(3_000);
    expect(world.owner('202')).toBe(backupHost);
    world.network.revive(primaryHost);
    await world.startAgent(primaryHost);
    await world.run(600);
    await play(world);
  } finally {
    await world.stop();
  }
}

async function talk(world: World, from: string, to: string): Promise<void> {
  const a = world.line(from);
  const b = world.line(to);
  a.offHook();
  expect(await until(world, () => a.hears === 'L/dl')).toBe(true);
  a.dial(to, 60);
  expect(await until(world, () => b.hears === 'L/rg')).toBe(true);
  b.offHook();
  expect(await until(world, () => world.talking(from, to))).toBe(true);
}

async function hangUp(world: World): Promise<void> {
  world.line('200').onHook();
  expect(await until(world, () => world.line('202').hears !== '', 12_000)).toBe(true);
  world.line('202').onHook();
  await world.run(15_000);
  await allIdle(world);
}

/** Every line is idle and armed, one agent owns them all, and another call goes through. */
async function allIdle(world: World): Promise<void> {
  for (const number of ['200', '201', '202', '203']) {
    const { hook, connections, hears, notification } = world.line(number);
    expect({ number, hook, connections: connections.size, hears, state: notification.state }).toEqual({
      number,
      hook: 'on',
      connections: 0,
      hears: '',
      state: 'normal',
    });
  }
  for (const host of world.roles.keys()) expect(world.calls(host)).toEqual([]);
  await talk(world, '203', '201');
  world.line('203').onHook();
  world.line('201').onHook();
  await world.run(3_000);
  for (const host of world.roles.keys()) expect(world.calls(host)).toEqual([]);
}

/** A gateway's command to the primary, wherever its own notified entity is. */
async function tell(world: World, gateway: number, text: string): Promise<void> {
  const host = gatewayHosts[gateway] ?? gatewayHosts[0];
  const listener = await world.network
    .host(host)
    .bind({ transport: 'udp', host, port: 0 }, {}, { received() {}, failed() {} });
  listener.flowTo(address(primaryHost)).send(Buffer.from(text, 'latin1'));
  await world.run(5);
  await listener.close();
}

const until = (world: World, holds: () => boolean, limitMs = 5_000): Promise<boolean> => reached(world, holds, limitMs);
