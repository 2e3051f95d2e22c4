import { describe, expect, it } from 'vitest';
import { isIdle } from '../../../protocols/mgcp/gateway/simulation.ts';
import { reached } from '../../support/reached.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { primaryHost, World, type WorldOptions } from './world.ts';

const numbers = ['200', '201', '202', '203'] as const;

/** RFC 3435 §2.4, and codes that it leaves open. */
const codes = [
  ...[400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 499],
  ...Array.from({ length: 42 }, (_, index) => 500 + index),
  ...[599, 600, 799, 899, 999],
];

/** One after the other does what the telephone tells; undefined: the call went through, and has ended. */
async function call(world: World, from: string, to: string): Promise<string | undefined> {
  const a = world.line(from);
  const b = world.line(to);
  const until = (holds: () => boolean) => reached(world, holds, 4_000);
  a.offHook();
  if (!(await until(() => a.hears === 'L/dl'))) return `no dial tone but "${a.hears}"`;
  a.dial(to, 60);
  if (!(await until(() => b.hears === 'L/rg'))) return `no bell, the caller hears "${a.hears}"`;
  b.offHook();
  if (!(await until(() => world.talking(from, to)))) return `no talk path: "${a.hears}" "${b.hears}"`;
  await world.run(3_000);
  if (!world.talking(from, to)) return 'the talk path was lost';
  a.onHook();
  if (!(await until(() => b.connections.size === 0))) return `the end is not heard: "${b.hears}"`;
  b.onHook();
  await world.run(1_000);
  return undefined;
}

/** Everybody has hung up: nothing is left, and whoever wants to calls. */
async function isAsNew(world: World, waitMs: number): Promise<readonly string[]> {
  for (const number of numbers) world.line(number).onHook();
  await world.run(waitMs);
  const problems = numbers.filter((number) => !isIdle(world.line(number))).map((number) => `${number} is not idle`);
  if (world.calls(primaryHost).length > 0) problems.push('a call is left');
  for (const [from, to] of [
    ['200', '202'],
    ['203', '201'],
  ] as const) {
    const failure = await call(world, from, to);
    if (failure !== undefined) problems.push(`${from} calls ${to}: ${failure}`);
  }
  return problems;
}

/** The gateways refuse the `at`th command of a call with this code; `undefined`: there are not so many. */
async function refusedOnce(code: number, at: number): Promise<readonly string[] | undefined> {
  let count = -1;
  let refused: string | undefined;
  const fault = ({ verb }: { verb: string }) => {
    if (count < 0) return undefined;
    count += 1;
    if (count !== at) return undefined;
    refused = verb;
    return code;
  };
  const world = await World.up({ backup: false, gateway: { habits: { fault } } });
  try {
    count = 0;
    await call(world, '200', '202');
    if (refused === undefined) return undefined;
    const problems = await isAsNew(world, 30_000);
    return problems.map((problem) => `${code} to ${refused} (command ${at}): ${problem}`);
  } finally {
    await world.stop();
  }
}

describe('RFC 3661: a refusal may cost its call, and no line', () => {
  it('whatever code, to whatever command of a call', async () => {
    const random = seededRandom(11);
    const problems: string[] = [];
    for (const code of codes.filter((_, index) => index % 2 === 0)) {
      const at = 1 + Math.floor(random.fraction() * 13);
      problems.push(...((await refusedOnce(code, at)) ?? []));
    }
    expect(problems).toEqual([]);
  });

  it.each([500, 501])('%i from a line that has been there all the time: it is asked again', async (code) => {
    const faults: number[] = [];
    await inWorld({ gateway: { habits: { faults } } }, async (world) => {
      faults.push(code);
      world.line('200').offHook();
      await world.run(1_000);
      expect(world.line('200').hears).toBe('');
      await world.run(3_000);
      expect(world.line('200').hears).toBe('L/dl');
    });
  });

  it('a line that is not in service is asked less and less often, and serves once it is', async () => {
    let isThere = false;
    const fault = ({ endpoint }: { endpoint: string }) =>
      !isThere && endpoint.startsWith('aaln/1@rgw1') ? 501 : undefined;
    await inWorld({ gateway: { habits: { fault } } }, async (world) => {
      const before = world.packets.length;
      await world.run(3_600_000);
      const asked = world.summary(before).filter((text) => /(AUEP|RQNT) \d+ aaln\/1@rgw1/.test(text));
      expect(asked.length).toBeGreaterThan(3);
      expect(asked.length).toBeLessThan(20);
      expect(await call(world, '201', '203')).toBeUndefined();
      isThere = true;
      await world.run(600_000);
      expect(await call(world, '200', '202')).toBeUndefined();
    });
  });

  it('a command that a quiet gateway never answers costs its line, and no call of others', async () => {
    await inWorld({}, async (world) => {
      world.network.onArrival(({ to, bytes }) =>
        to.host === '127.0.0.11' && /^RQNT \d+ aaln\/2@/m.test(bytes.toString('latin1')) ? 'drop' : undefined,
      );
      world.line('200').offHook();
      await world.run(200);
      world.line('200').dial('202');
      await world.run(300);
      world.line('202').offHook();
      await world.run(300);
      world.line('201').offHook();
      await world.run(60_000);
      expect(world.talking('200', '202')).toBe(true);
      expect(world.calls(primaryHost)).toContainEqual(expect.objectContaining({ caller: '200' }));
    });
  });
});

describe('RFC 3435 §2.3.5: what a gateway lacks, or leaves out, is done without', () => {
  it.each([
    ['a packetization period (535)', { periods: ['10', '30'] }],
    ['the mode recvonly (517)', { lacksModes: ['recvonly'] }],
    ['recvonly and sendonly', { lacksModes: ['recvonly', 'sendonly'] }],
  ])('%s', async (_name, habits) => {
    await inWorld({ gateway: { habits } }, async (world) => {
      expect(await call(world, '200', '202')).toBeUndefined();
      const before = world.packets.length;
      expect(await call(world, '203', '201')).toBeUndefined();
      expect(world.summary(before).filter((text) => / 5\d\d \d+/.test(text))).toEqual([]);
    });
  });

  it.each(['I', 'description'] as const)(
    'a connection that is made and not told whole (%s) is deleted with its call',
    async (leavesOut) => {
      await inWorld({ gatewayOf: { 1: { habits: { leavesOut } } } }, async (world) => {
        world.line('200').offHook();
        await world.run(200);
        world.line('200').dial('202');
        await world.run(2_000);
        expect(world.line('200').hears).toBe('L/ro');
        world.line('200').onHook();
        await world.run(10_000);
        expect(numbers.filter((number) => !isIdle(world.line(number)))).toEqual([]);
        expect(await call(world, '200', '201')).toBeUndefined();
      });
    },
  );
});

async function inWorld(options: WorldOptions, play: (world: World) => Promise<void>): Promise<void> {
  const world = await World.up({ backup: false, ...options });
  try {
    await play(world);
  } finally {
    await world.stop();
  }
}
