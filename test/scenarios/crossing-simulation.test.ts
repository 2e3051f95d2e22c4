import { describe, expect, it } from 'vitest';
import { reached } from '../support/reached.ts';
import { backupHost, type CrossingOptions, CrossingWorld, primaryHost } from './crossing-world.ts';

/** Kills the primary at the n-th message of a call, counted over everything but what members say to each other. */
type Moment = 'afterSending' | 'beforeReading';
type How = 'crash' | 'silence';
type Script = (world: CrossingWorld, from: string, to: string) => Promise<string | undefined>;

const directions = [
  ['an MGCP line calls a MEGACO line', '200', '300'],
  ['a MEGACO line calls an MGCP line', '300', '200'],
] as const;

describe('calls between MGCP and MEGACO lines (one call control)', () => {
  for (const [name, from, to] of directions) {
    it(`${name}: ringback, answer, speech both ways, either side hangs up`, async () => {
      const world = await CrossingWorld.up();
      expect(await ordinary(world, from, to)).toBeUndefined();
      expect(await calleeHangsUp(world, from, to)).toBeUndefined();
      expect(await busy(world, from, to)).toBeUndefined();
      expect(await abandoned(world, from, to)).toBeUndefined();
      expect([world.calls(primaryHost), world.calls(backupHost)]).toEqual([0, 0]);
      await world.stop();
    });
  }
});

describe('the primary is killed after every single message of a crossing call', () => {
  for (const [name, from, to] of directions) {
    for (const moment of ['afterSending', 'beforeReading'] as const) {
      it(`${name}: nothing is lost, killed ${moment}`, async () => {
        expect(await everyMessage(ordinary, from, to, moment, 'crash')).toBeGreaterThan(20);
      });
    }
    it(`${name}: nothing is lost when the primary falls silent`, async () => {
      expect(await everyMessage(ordinary, from, to, 'afterSending', 'silence')).toBeGreaterThan(20);
    });
    it(`${name}: nothing is lost when the called party hangs up first`, async () => {
      expect(await everyMessage(calleeHangsUp, from, to, 'afterSending', 'crash')).toBeGreaterThan(20);
    });
    it(`${name}: nothing is lost when the called line is busy`, async () => {
      expect(await everyMessage(busy, from, to, 'afterSending', 'crash')).toBeGreaterThan(10);
    });
    it(`${name}: nothing is lost when the caller gives up`, async () => {
      expect(await everyMessage(abandoned, from, to, 'afterSending', 'crash')).toBeGreaterThan(10);
    });
    it(`${name}: nothing is lost with gateways that know nothing of the path attribute`, async () => {
      const options = { aware: false, mid: '<mgc.example>' };
      expect(await everyMessage(ordinary, from, to, 'afterSending', 'crash', options)).toBeGreaterThan(20);
    });
  }
});

/** Plays the script once for each message, until the kill comes after its end. Returns how many messages it has. */
async function everyMessage(
  script: Script,
  from: string,
  to: string,
  moment: Moment,
  how: How,
  options: CrossingOptions = {},
): Promise<number> {
  const failures: string[] = [];
  for (let at = 1; at < 300; at += 1) {
    const outcome = await play(at, script, from, to, moment, how, options);
    if (outcome === 'notReached') {
      expect(failures).toEqual([]);
      return at - 1;
    }
    if (outcome !== undefined) failures.push(`message ${at}: ${outcome}`);
  }
  throw new Error('the call never ends');
}

/** undefined: all is well. */
async function play(
  at: number,
  script: Script,
  from: string,
  to: string,
  moment: Moment,
  how: How,
  options: CrossingOptions,
): Promise<string | undefined> {
  const world = await CrossingWorld.up(options);
  let count = 0;
  let killed: string | undefined;
  const tap = (packet: { from: { host: string }; to: { host: string }; bytes: Buffer }) => {
    if (killed !== undefined || isBetweenMembers(packet)) return;
    count += 1;
    if (count !== at) return;
    killed = `${packet.from.host} > ${packet.to.host} ${packet.bytes.toString('latin1').replace(/\s+/g, ' ').slice(0, 90)}`;
    if (how === 'silence') world.network.silence(primaryHost);
    world.kill(primaryHost);
  };
  if (moment === 'afterSending') world.network.onPacket(tap);
  else world.network.onArrival(tap);
  try {
    const failure = await script(world, from, to);
    if (failure === undefined && killed === undefined) return 'notReached';
    if (failure !== undefined) return `${failure} (killed at ${killed ?? 'the end'})`;
    // What was lost on the way may still be repeated; afterwards everything must be as new.
    await world.run(20_000);
    const stuck = stuckLines(world);
    if (stuck !== '') return `${stuck} (killed at ${killed})`;
    const again = await ordinary(world, to, from);
    return again === undefined ? undefined : `the next call: ${again} (killed at ${killed})`;
  } finally {
    await world.stop();
  }
}

async function reachesRinging(world: CrossingWorld, from: string, to: string): Promise<string | undefined> {
  const a = world.telephone(from);
  const b = world.telephone(to);
  a.offHook();
  if (!(await until(world, () => a.hears() === 'dial'))) return `no dial tone but ${a.hears()}`;
  a.dial(to);
  let redialled = 0;
  const rings = await until(world, () => {
    // Digits that died with the primary, or a callee whose gateway has not found the backup yet: a person dials again.
    if (a.hears() === 'dial' && redialled < 3) {
      redialled += 1;
      a.dial(to);
    } else if (a.hears() === 'reorder' && redialled < 3) {
      redialled += 1;
      a.onHook();
      a.offHook();
    }
    return b.hears() === 'ring';
  });
  if (!rings) return `the bell does not ring, the caller hears ${a.hears()}`;
  if (!(await until(world, () => a.hears() === 'ringback'))) return `no ringback but ${a.hears()}`;
  return undefined;
}

async function reachesTalking(world: CrossingWorld, from: string, to: string): Promise<string | undefined> {
  const failed = await reachesRinging(world, from, to);
  if (failed !== undefined) return failed;
  const [a, b] = [world.telephone(from), world.telephone(to)];
  b.offHook();
  if (!(await until(world, () => world.talking(from, to)))) return `no talk path; heard: ${a.hears()} ${b.hears()}`;
  await world.run(1_000);
  if (!world.talking(from, to)) return 'the talk path was lost';
  return a.hears() === 'nothing' && b.hears() === 'nothing' ? undefined : `tones on speech: ${a.hears()} ${b.hears()}`;
}

async function ends(world: CrossingWorld, first: string, second: string): Promise<string | undefined> {
  const [a, b] = [world.telephone(first), world.telephone(second)];
  a.onHook();
  if (!(await until(world, () => b.hears() === 'busy' || b.hears() === 'reorder')))
    return `no tone after the end but ${b.hears()}`;
  b.onHook();
  return (await until(world, () => a.isIdle() && b.isIdle())) ? undefined : `not idle: ${stuckLines(world)}`;
}

async function ordinary(world: CrossingWorld, from: string, to: string): Promise<string | undefined> {
  return (await reachesTalking(world, from, to)) ?? (await ends(world, from, to));
}

async function calleeHangsUp(world: CrossingWorld, from: string, to: string): Promise<string | undefined> {
  return (await reachesTalking(world, from, to)) ?? (await ends(world, to, from));
}

async function abandoned(world: CrossingWorld, from: string, to: string): Promise<string | undefined> {
  const failed = await reachesRinging(world, from, to);
  if (failed !== undefined) return failed;
  const [a, b] = [world.telephone(from), world.telephone(to)];
  a.onHook();
  return (await until(world, () => a.isIdle() && b.isIdle())) ? undefined : `rings on: ${stuckLines(world)}`;
}

/** The called line is off-hook: the caller hears busy. */
async function busy(world: CrossingWorld, from: string, to: string): Promise<string | undefined> {
  const [a, b] = [world.telephone(from), world.telephone(to)];
  b.offHook();
  if (!(await until(world, () => b.hears() === 'dial'))) return `the other gets no dial tone but ${b.hears()}`;
  a.offHook();
  if (!(await until(world, () => a.hears() === 'dial'))) return `no dial tone but ${a.hears()}`;
  a.dial(to);
  let redialled = 0;
  const isBusy = await until(world, () => {
    if (a.hears() === 'dial' && redialled < 3) {
      redialled += 1;
      a.dial(to);
    } else if (a.hears() === 'reorder' && redialled < 3) {
      redialled += 1;
      a.onHook();
      a.offHook();
    }
    return a.hears() === 'busy';
  });
  if (!isBusy) return `no busy tone but ${a.hears()}`;
  a.onHook();
  b.onHook();
  return (await until(world, () => a.isIdle() && b.isIdle())) ? undefined : `not idle: ${stuckLines(world)}`;
}

function stuckLines(world: CrossingWorld): string {
  const stuck: string[] = [];
  for (const number of ['200', '201', '300', '301']) {
    const telephone = world.telephone(number);
    if (!telephone.isIdle()) stuck.push(`${number} is not idle, hears ${telephone.hears()}`);
  }
  const left = world.megaco?.contexts.ephemerals ?? 0;
  if (left > 0) stuck.push(`${left} ephemeral terminations are left`);
  for (const host of world.roles.keys()) if (world.calls(host) > 0) stuck.push(`a call is left on ${host}`);
  return stuck.join('; ');
}

/** Within 20 seconds. */
const until = (world: CrossingWorld, holds: () => boolean): Promise<boolean> => reached(world, holds, 20_000);

const isBetweenMembers = ({ from, to }: { from: { host: string }; to: { host: string } }): boolean =>
  [primaryHost, backupHost].includes(from.host) && [primaryHost, backupHost].includes(to.host);
