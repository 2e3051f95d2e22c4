import { describe, expect, it } from 'vitest';
import { reached } from '../../support/reached.ts';
import { backupHost, primaryHost, World, type WorldOptions } from './world.ts';

/** Kills the primary at the n-th message of a call, counted over everything but the heartbeats of the call agents. */
type Moment = 'afterSending' | 'beforeReading';

type How = 'crash' | 'silence' | 'drain' | 'drainAndReturn';

describe('the primary call agent is killed after every single message of a call (design §14)', () => {
  for (const moment of ['afterSending', 'beforeReading'] as const) {
    it(`no line is stuck, no call is lost, the backup owns every line: aware gateways, killed ${moment}`, async () => {
      expect(await everyMessage(moment, {})).toBeGreaterThan(20);
    });
  }

  it('the same for plain gateways that ignore the path attribute: the backup takes their lines by itself', async () => {
    expect(await everyMessage('afterSending', { gateway: { aware: false } })).toBeGreaterThan(20);
  });

  it('the same in step mode, where an endpoint waits for a request after each Notify (RFC 3435 §4.4.1)', async () => {
    expect(await everyMessage('afterSending', { config: { quarantine: 'step' } })).toBeGreaterThan(20);
  });

  it('the same when the primary falls silent instead of being refused', async () => {
    expect(await everyMessage('afterSending', {}, 'silence')).toBeGreaterThan(20);
  });

  it('the same between two lines of one gateway', async () => {
    expect(await everyMessage('beforeReading', {}, 'crash', ['200', '201'])).toBeGreaterThan(20);
  });

  it('the same where the call agents share no secret and ask each other at their signaling addresses alone', async () => {
    expect(await everyMessage('afterSending', { link: false })).toBeGreaterThan(20);
    expect(await everyMessage('beforeReading', { link: false }, 'silence')).toBeGreaterThan(20);
  });

  it('the same with 5 % loss, duplicates and reordering', async () => {
    for (const seed of [1, 2])
      await everyMessage('afterSending', { seed, conditions: { loss: 0.05, duplication: 0.05, reordering: 0.05 } });
  }, 120_000);
});

describe('RFC 3435 §4.4.7: the primary is drained at every single message of a call, and ends when its drain is over', () => {
  for (const [who, how, options] of [
    ['aware gateways', 'drain', {}],
    ['aware gateways', 'drainAndReturn', {}],
    ['plain gateways', 'drain', { gateway: { aware: false } }],
    ['step mode', 'drain', { config: { quarantine: 'step' } }],
    ['no secret in common', 'drain', { link: false }],
  ] as const)
    it(`no call is lost and no line stuck: ${who}, ${how}`, async () => {
      expect(await everyMessage('beforeReading', options, how)).toBeGreaterThan(20);
    });
});

/** Plays the call once for each message, until the kill comes after its end. Returns how many messages it has. */
async function everyMessage(
  moment: Moment,
  options: WorldOptions,
  how: How = 'crash',
  parties: readonly [string, string] = ['200', '202'],
): Promise<number> {
  const failures: string[] = [];
  for (let at = 1; at < 200; at += 1) {
    const outcome = await play(at, moment, options, how, parties);
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
  moment: Moment,
  options: WorldOptions,
  how: How,
  parties: readonly [string, string],
): Promise<string | undefined> {
  const world = await World.up(options);
  let count = 0;
  let killed: string | undefined;
  const tap = (packet: { from: { host: string }; to: { host: string }; bytes: Buffer }) => {
    if (killed !== undefined || isHeartbeat(packet)) return;
    count += 1;
    if (count !== at) return;
    killed = `${packet.from.host} > ${packet.to.host} ${packet.bytes.toString('latin1').split('\r\n', 1)[0]}`;
    if (how === 'drain' || how === 'drainAndReturn')
      world
        .drain(primaryHost, how === 'drain' ? undefined : () => world.startAgent(primaryHost))
        .catch((error: unknown) => {
          throw error;
        });
    else {
      if (how === 'silence') world.network.silence(primaryHost);
      world.kill(primaryHost);
    }
  };
  if (moment === 'afterSending') world.network.onPacket(tap);
  else world.network.onArrival(tap);
  try {
    const failure = await call(world, ...parties);
    if (failure === undefined && killed === undefined) return 'notReached';
    if (failure !== undefined) return `${failure} (killed at ${killed ?? 'the end'})`;
    // What was lost on the way may still be repeated; afterwards everything must be as new.
    await world.run(15_000);
    const stuck = stuckLines(world);
    if (stuck !== '') return `${stuck} (killed at ${killed})`;
    const again = await call(world, '203', '201');
    return again === undefined ? undefined : `the next call: ${again} (killed at ${killed})`;
  } finally {
    await world.stop();
  }
}

/** Two people make a call; each does what the telephone tells. Says what went wrong. */
async function call(world: World, from: string, to: string): Promise<string | undefined> {
  const a = world.line(from);
  const b = world.line(to);
  a.offHook();
  if (!(await until(world, () => a.hears === 'L/dl'))) return `no dial tone but "${a.hears}"`;
  a.dial(to, 60);
  if (!(await until(world, () => b.hears === 'L/rg'))) return `the bell does not ring, the caller hears "${a.hears}"`;
  if (!(await until(world, () => a.hears === 'G/rt'))) return `no ringback but "${a.hears}"`;
  b.offHook();
  if (!(await until(world, () => world.talking(from, to)))) return `no talk path; heard: "${a.hears}" "${b.hears}"`;
  await world.run(1_000);
  if (!world.talking(from, to)) return 'the talk path was lost';
  a.onHook();
  if (!(await until(world, () => b.hears === 'L/bz' || b.hears === 'L/ro')))
    return `no tone after the end but "${b.hears}"`;
  b.onHook();
  if (!(await until(world, () => isIdle(world, from) && isIdle(world, to)))) return `not idle: ${stuckLines(world)}`;
  return undefined;
}

function stuckLines(world: World): string {
  const stuck: string[] = [];
  for (const number of ['200', '201', '202', '203']) {
    if (!isIdle(world, number)) stuck.push(`${number} is not idle: ${describeLine(world, number)}`);
    else if (world.roles.get(primaryHost) === undefined && world.owner(number) !== backupHost)
      stuck.push(`${number} belongs to ${world.owner(number)}`);
  }
  for (const host of world.roles.keys()) if (world.calls(host).length > 0) stuck.push(`a call is left on ${host}`);
  return stuck.join('; ');
}

function isIdle(world: World, number: string): boolean {
  const { hook, connections, notification, hears } = world.line(number);
  const waitsFor = notification.request.events.map(({ id }) => id.toLowerCase());
  return (
    hook === 'on' &&
    connections.size === 0 &&
    hears === '' &&
    notification.state === 'normal' &&
    waitsFor.includes('hd')
  );
}

function describeLine(world: World, number: string): string {
  const { hook, connections, notification, hears } = world.line(number);
  return JSON.stringify({
    hook,
    connections: connections.size,
    hears,
    state: notification.state,
    waits: notification.request.events.map(({ id }) => id),
  });
}

/** Within 20 seconds. */
const until = (world: World, holds: () => boolean): Promise<boolean> => reached(world, holds, 20_000);

const isHeartbeat = ({ from, to }: { from: { host: string }; to: { host: string } }): boolean =>
  [primaryHost, backupHost].includes(from.host) && [primaryHost, backupHost].includes(to.host);
