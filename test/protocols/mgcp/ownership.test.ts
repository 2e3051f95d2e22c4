import { describe, expect, it } from 'vitest';
import { reached } from '../../support/reached.ts';
import { address, backupHost, gatewayHosts, primaryHost, World, type WorldOptions } from './world.ts';

const numbers = ['200', '201', '202', '203'] as const;

const owners = (world: World): readonly (string | undefined)[] => numbers.map((number) => world.owner(number));

const until = (world: World, holds: () => boolean, limitMs = 15_000): Promise<boolean> =>
  reached(world, holds, limitMs);

async function talk(world: World, from = '200', to = '202'): Promise<void> {
  const a = world.line(from);
  const b = world.line(to);
  a.offHook();
  expect(await until(world, () => a.hears === 'L/dl')).toBe(true);
  a.dial(to, 60);
  expect(await until(world, () => b.hears === 'L/rg')).toBe(true);
  b.offHook();
  expect(await until(world, () => world.talking(from, to))).toBe(true);
}

/** The call ends as it should, and nothing is left of it anywhere. */
async function hangUp(world: World): Promise<void> {
  world.line('200').onHook();
  expect(await until(world, () => world.line('202').hears !== '')).toBe(true);
  world.line('202').onHook();
  await world.run(15_000);
  for (const number of numbers) {
    const { hook, connections, hears } = world.line(number);
    expect({ number, hook, connections: connections.size, hears }).toEqual({
      number,
      hook: 'on',
      connections: 0,
      hears: '',
    });
  }
  for (const host of world.roles.keys()) expect(world.calls(host)).toEqual([]);
}

/** A datagram with somebody else's source address. */
function spoof(world: World, text: string, from: string, to: string): void {
  const target = world.network.find(to)?.datagramSocket({ host: to, port: 2727 });
  target?.receive(Buffer.from(text, 'latin1'), { host: from, port: 2727 });
}

describe.each([
  ['aware gateways', {}],
  ['plain gateways', { gateway: { aware: false } }],
] satisfies [string, WorldOptions][])(
  'whose lines are whose, RFC 3435 §4.1 has no arbitration: %s',
  (_kind, options) => {
    it('site power-up in any order ends at home within 15 s', async () => {
      const steps = ['primary', 'backup', 'gateway 0', 'gateway 1'];
      for (const order of orders(steps)) {
        const world = new World(options);
        for (const step of order) {
          if (step === 'primary') await world.startAgent(primaryHost);
          else if (step === 'backup') await world.startAgent(backupHost);
          else await world.startGateway(Number(step.at(-1)));
          await world.run(900);
        }
        await world.run(15_000);
        expect(owners(world), order.join(', ')).toEqual(numbers.map(() => primaryHost));
        await talk(world);
        await hangUp(world);
        await world.stop();
      }
    }, 60_000);

    it('a gateway that fails over by itself while both live goes home after the hold time', async () => {
      const world = await World.up(options);
      for (const number of ['200', '201']) world.gateways[0]?.setEntity(world.line(number), address(backupHost));
      world.line('200').offHook();
      await world.run(1_000);
      expect(world.line('200').hears).toBe('L/dl');
      world.line('200').onHook();
      await world.run(2_000);
      expect(world.owner('200')).toBe(backupHost);
      expect(world.owner('202')).toBe(primaryHost);
      await world.run(12_000);
      expect(owners(world)).toEqual(numbers.map(() => primaryHost));
      await talk(world);
      await hangUp(world);
      await world.stop();
    });

    it('an owner that returns while its audit runs at the backup: the audit is dropped, the call goes on', async () => {
      const world = await World.up(options);
      await talk(world);
      for (const gateway of gatewayHosts) world.network.partition(gateway, backupHost);
      world.kill(primaryHost);
      await world.run(1_500);
      world.network.revive(primaryHost);
      await world.startAgent(primaryHost);
      await world.run(1_000);
      world.network.heal();
      await world.run(5_000);
      expect(world.roles.get(backupHost)?.status()).toMatchObject({ homes: { 'udp:127.0.0.1:2727': 'theirs' } });
      expect(world.talking('200', '202')).toBe(true);
      expect(owners(world)).toEqual(numbers.map(() => primaryHost));
      await hangUp(world);
      await world.stop();
    });

    it('a primary that stood still: one owner, the call goes on, no event counts twice', async () => {
      const world = await World.up(options);
      await talk(world);
      world.network.pause(primaryHost);
      await world.run(4_000);
      // To the one that stands still first, then to the backup: it is read by both.
      world.line('201').offHook();
      await world.run(9_000);
      world.line('201').onHook();
      await world.run(9_000);
      world.network.resume(primaryHost);
      await world.run(14_000);
      expect(world.talking('200', '202')).toBe(true);
      expect(owners(world)).toEqual(numbers.map(() => primaryHost));
      await hangUp(world);
      await world.stop();
    });

    it.each(['oneWay', 'both'] as const)(
      'members that lose sight of each other (%s): one owner at the end',
      async (ways) => {
        const world = await World.up(options);
        await talk(world);
        world.network.partition(primaryHost, backupHost, ways);
        await world.run(8_000);
        expect(world.talking('200', '202')).toBe(true);
        world.network.heal();
        await world.run(15_000);
        expect(world.talking('200', '202')).toBe(true);
        await hangUp(world);
        expect(new Set(owners(world)).size).toBe(1);
        await world.stop();
      },
    );
  },
);

describe('words that anybody can forge move nothing', () => {
  const unmoved = async (play: (world: World) => Promise<void>): Promise<void> => {
    const world = await World.up();
    await talk(world);
    const from = world.packets.length;
    await play(world);
    await world.run(3_000);
    // The backup says nothing to any gateway.
    const said = world.packets
      .slice(from)
      .filter(({ from: source, to }) => source.host === backupHost && to.port === 2427);
    expect(said).toEqual([]);
    expect(owners(world)).toEqual(numbers.map(() => primaryHost));
    await hangUp(world);
    await world.stop();
  };

  it('a leave notice in the name of the primary', () =>
    unmoved(async (world) => {
      for (let id = 1; id < 5; id += 1)
        spoof(
          world,
          `NTFY ${id} *@127.0.0.1 MGCP 1.0\r\nX: 0\r\nO:\r\nX-ALTSV: ca@leaving.invalid:2727\r\n`,
          primaryHost,
          backupHost,
        );
    }));

  it('an answer that claims the primary serves nobody, or that another serves its gateways', () =>
    unmoved(async (world) => {
      spoof(world, '200 1 OK\r\nX-ALTSV:\r\n', primaryHost, backupHost);
      spoof(world, '200 1 OK\r\nX-ALTSV: ca@[127.0.0.1]:2727\r\n', backupHost, primaryHost);
    }));

  it('an ICMP error for the primary’s signaling port', () =>
    unmoved(async (world) => {
      const socket = world.network.find(backupHost)?.datagramSocket({ host: backupHost, port: 2727 });
      for (let count = 0; count < 5; count += 1) {
        const flow = socket?.flowTo({ host: primaryHost, port: 2727 });
        if (flow !== undefined) socket?.events.failed(flow, { reason: 'refused', detail: 'ECONNREFUSED' });
        await world.run(137);
      }
    }));
});

function orders<T>(all: readonly T[]): readonly (readonly T[])[] {
  if (all.length < 2) return [all];
  return all.flatMap((first, index) =>
    orders([...all.slice(0, index), ...all.slice(index + 1)]).map((rest) => [first, ...rest]),
  );
}

describe('a call that still rings when its gateway’s time elsewhere is over', () => {
  it('keeps its gateway with the one who makes it, until it is answered; then both go home, and talk on', async () => {
    const world = await World.up();
    const [a, b] = [world.line('200'), world.line('202')];
    a.offHook();
    expect(await until(world, () => a.hears === 'L/dl')).toBe(true);
    // The primary is out of reach for a second, so the gateway of the caller turns to its alternate with what was dialled.
    a.dial('202');
    world.network.unplug(primaryHost);
    await world.run(1_000);
    world.network.plug(primaryHost);
    expect(await until(world, () => a.hears === 'G/rt' && b.hears === 'L/rg')).toBe(true);
    expect(world.owner('200')).toBe(backupHost);
    await world.run(15_000);
    expect([a.hears, b.hears]).toEqual(['G/rt', 'L/rg']);
    b.offHook();
    expect(await until(world, () => world.talking('200', '202'))).toBe(true);
    await world.run(10_000);
    expect(world.talking('200', '202')).toBe(true);
    expect([world.owner('200'), world.owner('202')]).toEqual([primaryHost, primaryHost]);
    a.onHook();
    expect(await until(world, () => b.hears === 'L/bz')).toBe(true);
    b.onHook();
    await world.run(2_000);
    expect([world.calls(primaryHost), world.calls(backupHost)]).toEqual([[], []]);
    await world.stop();
  });
});
