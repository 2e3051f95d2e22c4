import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextOwnership, type OwnershipEvent, type OwnershipState } from '../../../src/cluster/ownership.ts';
import { silentLog } from '../../../src/internal.ts';
import { hostOf, OwnershipWorld, type OwnershipWorldOptions } from './ownership-world.ts';

const kinds = [
  { tellsGateways: false, roaming: false },
  { tellsGateways: true, roaming: false },
  { tellsGateways: false, roaming: true },
] as const;

async function up(options: OwnershipWorldOptions): Promise<OwnershipWorld> {
  const world = new OwnershipWorld(options, silentLog);
  for (let index = 0; index < options.members; index += 1) await world.boot(index);
  for (const index of options.homes.keys()) await world.startGateway(index);
  await world.run(15_000);
  expect(world.problems()).toEqual([]);
  return world;
}

describe('ownership machine (design §16.5)', () => {
  const states: readonly OwnershipState[] = ['theirs', 'taking', 'ours', 'returning', 'releasing', 'contested'];

  it('a suspected owner moves nothing in any state', () => {
    for (const state of states)
      for (const isHome of [true, false])
        expect(nextOwnership(state, { kind: 'suspect' }, isHome)).toEqual({ state, actions: [] });
  });

  it('the death of an owner moves nothing where another living alternate comes first', () => {
    for (const state of ['theirs', 'releasing'] as const)
      expect(nextOwnership(state, { kind: 'died', isFirst: false }, false).actions).toEqual([]);
  });

  it.each<OwnershipEvent>([{ kind: 'conflict', wins: false }, { kind: 'elsewhere' }])(
    'whoever loses a conflict, or the address, serves no more, in any state and without a word to the gateways: %j',
    (event) => {
      for (const state of states)
        for (const isHome of [true, false]) {
          const { state: after, actions } = nextOwnership(state, event, isHome);
          expect(after).toBe('theirs');
          expect(actions).not.toContain('handOver');
        }
    },
  );

  it('an audit under way is dropped when the owner lives again', () => {
    expect(nextOwnership('taking', { kind: 'alive' }, false)).toEqual({
      state: 'theirs',
      actions: ['dropAudits', 'letGo'],
    });
  });
});

describe.each(kinds)('who serves which gateway, told: $tellsGateways, roaming: $roaming', (kind) => {
  it('site power-up in any order of members and gateways ends at home within 15 s, nothing is pulled back and forth', async () => {
    const steps = ['m0', 'm1', 'm2', 'g0', 'g1'];
    for (const order of permutations(steps).filter((_, index) => index % 5 === 0)) {
      const world = new OwnershipWorld({ members: 3, homes: [0, 1], ...kind }, silentLog);
      const moves: string[] = [];
      for (const step of order) {
        if (step.startsWith('m')) await world.boot(Number(step[1]));
        else await world.startGateway(Number(step[1]));
        await world.run(700);
      }
      let last = '';
      for (let passed = 0; passed < 15_000; passed += 250) {
        await world.run(250);
        const owners = JSON.stringify([world.owners(0), world.owners(1)]);
        if (owners !== last) moves.push(owners);
        last = owners;
      }
      expect(world.problems(), order.join(' ')).toEqual([]);
      expect(moves.length, `${order.join(' ')}: ${moves.join(' ')}`).toBeLessThan(6);
    }
  });

  it('a gateway that fails over by itself while both controllers live goes home after the hold time', async () => {
    const world = await up({ members: 2, homes: [0, 0], ...kind });
    world.gateways[0]?.moveOn(hostOf(1));
    await world.run(3_000);
    expect([world.owners(0), world.owners(1)]).toEqual([[1], [0]]);
    expect(world.gateways[0]?.isServed).toBe(true);
    await world.run(6_000);
    expect(world.owners(0)).toEqual([1]);
    await world.run(5_000);
    expect(world.problems()).toEqual([]);
  });

  it('an owner that is back gets its gateways after the hold time, and takes nothing before', async () => {
    const world = await up({ members: 2, homes: [1], ...kind });
    world.kill(1);
    await world.run(3_000);
    expect(world.owners(0)).toEqual([0]);
    await world.boot(1);
    for (let passed = 0; passed < 9_000; passed += 250) {
      await world.run(250);
      expect(world.owners(0)).toEqual([0]);
    }
    await world.run(5_000);
    expect(world.problems()).toEqual([]);
  });

  it('a gateway that turns to its returning owner and back to who stands in for it: each time one owner, the one it turned to', async () => {
    const world = await up({ members: 2, homes: [1], ...kind });
    world.kill(1);
    await world.run(3_000);
    await world.boot(1);
    await world.run(1_500);
    for (const turn of [1, 0]) {
      world.gateways[0]?.moveOn(hostOf(turn));
      await world.run(3_500);
      expect(world.owners(0)).toEqual([turn]);
      expect(world.gateways[0]?.isServed).toBe(true);
    }
    expect(world.longestDoubleMs).toBeLessThanOrEqual(300);
    await world.run(15_000);
    expect(world.problems()).toEqual([]);
  });

  it('an owner that returns while its audit runs elsewhere: the audit is dropped, it serves at once', async () => {
    const world = await up({ members: 2, homes: [0], ...kind });
    world.kill(0);
    // The audit cannot end: the gateway is out of reach of the backup.
    world.links.network.partition('127.0.1.1', hostOf(1));
    await world.run(1_000);
    expect(world.nodes[1]?.ownership.stateOf('udp:127.0.0.1:2727')).toBe('taking');
    await world.boot(0);
    await world.run(1_000);
    expect(world.nodes[1]?.ownership.stateOf('udp:127.0.0.1:2727')).toBe('theirs');
    world.links.network.heal();
    await world.run(4_000);
    expect(world.problems()).toEqual([]);
  });

  it('a third member’s death, pause, start or absence never touches a living member’s gateways', async () => {
    const world = await up({ members: 4, homes: [0, 1], ...kind });
    const check = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 250) {
        await world.run(250);
        expect([world.owners(0), world.owners(1)]).toEqual([[0], [1]]);
      }
    };
    world.kill(2);
    await check(5_000);
    world.pause(3);
    await check(5_000);
    await world.boot(2);
    world.resume(3);
    await check(15_000);
    world.kill(3);
    await check(5_000);
    // It was dead already when the second starts anew.
    await world.boot(3);
    await check(5_000);
  });

  it('the first living alternate takes, the next only when that is dead, too', async () => {
    const world = await up({ members: 3, homes: [0], ...kind });
    world.kill(0);
    await world.run(3_000);
    expect(world.owners(0)).toEqual([1]);
    world.kill(1);
    await world.run(3_000);
    expect(world.owners(0)).toEqual([2]);
    await world.boot(1);
    await world.run(3_000);
    expect(world.owners(0)).toEqual([2]);
    await world.boot(0);
    await world.run(15_000);
    expect(world.problems()).toEqual([]);
  });

  it.each([
    ['paused', (world: OwnershipWorld) => world.pause(0), (world: OwnershipWorld) => world.resume(0)],
    [
      'cut off from its backup one way',
      (world: OwnershipWorld) => world.links.network.partition(hostOf(0), hostOf(1), 'oneWay'),
      (world: OwnershipWorld) => world.links.network.heal(),
    ],
    [
      'cut off the other way',
      (world: OwnershipWorld) => world.links.network.partition(hostOf(1), hostOf(0), 'oneWay'),
      (world: OwnershipWorld) => world.links.network.heal(),
    ],
  ] as const)('a primary that was %s: one owner meanwhile and at the end', async (_what, cut, mend) => {
    const world = await up({ members: 2, homes: [0, 0], ...kind });
    cut(world);
    await world.run(8_000);
    expect(world.owners(0).filter((index) => !world.paused.has(index))).toHaveLength(1);
    mend(world);
    await world.run(14_000);
    expect(world.problems()).toEqual([]);
    expect(world.longestDoubleMs).toBeLessThanOrEqual(600);
  });

  it.each([30, 300, 1_200, 4_000])('a primary in a crash loop of %i ms: one owner at the end', async (lifeMs) => {
    const world = await up({ members: 2, homes: [0, 0], ...kind });
    for (let round = 0; round < 5; round += 1) {
      world.kill(0);
      await world.run(700);
      await world.boot(0);
      await world.run(lifeMs);
    }
    await world.run(15_000);
    expect(world.problems()).toEqual([]);
    expect(world.longestDoubleMs).toBeLessThanOrEqual(600);
  });

  it.each([-3_600_000, 3_600_000])(
    'a member that starts again with its clock %i ms away gets its own back',
    async (stepMs) => {
      const world = await up({ members: 3, homes: [0, 1], ...kind });
      world.kill(0);
      await world.run(3_000);
      world.clockSteps.set(0, stepMs);
      await world.boot(0);
      await world.run(20_000);
      expect(world.problems()).toEqual([]);
      // The other way round: whoever has the older life is heard as well.
      world.kill(1);
      await world.run(3_000);
      expect(world.owners(1)).toEqual([0]);
      await world.boot(1);
      await world.run(15_000);
      expect(world.problems()).toEqual([]);
    },
  );

  it('the secret is changed, one member after the other: one owner at the end', async () => {
    const world = await up({ members: 2, homes: [0, 1], ...kind });
    for (const member of [0, 1]) {
      world.kill(member);
      await world.run(3_000);
      world.secrets.set(member, 'another secret of this test');
      await world.boot(member);
      await world.run(20_000);
      // They do not understand each other in between, and see that the other lives.
      if (member === 0) expect([world.owners(0), world.owners(1)]).toEqual([[0], [1]]);
    }
    expect(world.problems()).toEqual([]);
  });

  it('a gateway that one member alone knows is served by nobody else', async () => {
    const homeBy = (member: number, gateway: number) => (member === 1 && gateway === 0 ? undefined : 0);
    const world = await up({ members: 2, homes: [0, 0], homeBy, ...kind });
    world.gateways[0]?.moveOn(hostOf(1));
    await world.run(12_000);
    expect(world.problems()).toEqual([]);
    world.kill(0);
    await world.run(4_000);
    expect([world.owners(0), world.owners(1)]).toEqual([[], [1]]);
    await world.boot(0);
    await world.run(20_000);
    expect(world.problems()).toEqual([]);
  });

  it('a member that leaves hands its gateways to the first living alternate', async () => {
    const world = await up({ members: 3, homes: [0, 0], ...kind });
    world.nodes[0]?.ownership.drain();
    await world.run(1_500);
    expect([world.owners(0), world.owners(1)]).toEqual([[1], [1]]);
    expect(world.nodes[0]?.ownership.isHandedOver).toBe(true);
    world.kill(0);
    await world.run(2_000);
    expect([world.owners(0), world.owners(1)]).toEqual([[1], [1]]);
  });

  it('random schedules of deaths, pauses, cuts, boots and gateway failovers: one owner after quiet, at home when home is stable', async () => {
    const step = (members: number, gateways: number) => {
      const member = fc.nat({ max: members - 1 });
      return fc.record({
        afterMs: fc.integer({ min: 0, max: 6_000 }),
        what: fc.oneof(
          fc.record({ kind: fc.constantFrom('kill', 'boot', 'pause', 'resume'), member }),
          fc.record({ kind: fc.constantFrom('cut', 'cutOneWay'), member, other: member }),
          fc.record({ kind: fc.constant('heal'), member }),
          fc.record({ kind: fc.constantFrom('moves', 'renumber'), member, gateway: fc.nat({ max: gateways - 1 }) }),
        ),
      });
    };
    const schedules = fc
      .tuple(fc.integer({ min: 2, max: 4 }), fc.integer({ min: 1, max: 4 }))
      .chain(([members, gateways]) =>
        fc.record({
          members: fc.constant(members),
          homes: fc.array(fc.nat({ max: members - 1 }), { minLength: gateways, maxLength: gateways }),
          steps: fc.array(step(members, gateways), { minLength: 1, maxLength: 8 }),
          /** Stays dead to the end. */
          dead: fc.option(fc.nat({ max: members - 1 }), { nil: undefined }),
          seed: fc.nat({ max: 1_000 }),
        }),
      );
    await fc.assert(
      fc.asyncProperty(schedules, async ({ members, homes, steps, dead, seed }) => {
        const world = await up({ members, homes, seed, ...kind });
        for (const { afterMs, what } of steps) {
          await world.run(afterMs);
          const { kind: name, member } = what;
          if (name === 'kill') world.kill(member);
          else if (name === 'boot') await world.boot(member);
          else if (name === 'pause') world.pause(member);
          else if (name === 'resume') world.resume(member);
          else if (name === 'heal') {
            world.disturbed();
            world.links.network.heal();
          } else if ('other' in what) {
            if (member !== what.other)
              world.links.network.partition(hostOf(member), hostOf(what.other), name === 'cut' ? 'both' : 'oneWay');
          } else if ('gateway' in what) {
            if (name === 'moves') world.gateways[what.gateway]?.moveOn(hostOf(member));
            else if (kind.roaming) world.renumber(what.gateway);
          }
        }
        world.disturbed();
        world.links.network.heal();
        for (let member = 0; member < members; member += 1) {
          world.resume(member);
          if (member === dead) world.kill(member);
          else await world.boot(member);
        }
        // One that has a new address is heard only after some seconds, and turns to others meanwhile.
        await world.run(kind.roaming ? 32_000 : 16_000);
        expect(world.problems()).toEqual([]);
        expect(world.longestDoubleMs).toBeLessThanOrEqual(1_000);
      }),
      { numRuns: kind.roaming ? 30 : 60, seed: 7 },
    );
  }, 120_000);
});

function permutations<T>(all: readonly T[]): readonly (readonly T[])[] {
  if (all.length < 2) return [all];
  return all.flatMap((first, index) =>
    permutations([...all.slice(0, index), ...all.slice(index + 1)]).map((rest) => [first, ...rest]),
  );
}
