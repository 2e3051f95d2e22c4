import { describe, expect, it } from 'vitest';
import type { GatewayHabits } from '../../../protocols/mgcp/gateway/habits.ts';
import { reached } from '../../support/reached.ts';
import { backupHost, primaryHost, World, type WorldOptions } from './world.ts';

/**
 * Lines 200 to 204 are on one gateway, 205 to 209 on the other. Four calls are talking; with the fifth something is being done while the
 * primary dies. Every gateway keeps RFC 3435 §3.2.2 strictly: 510 to a DLCX that names a connection without its CallId (§2.3.7).
 */
const talkers: readonly (readonly [string, string])[] = [
  ['200', '205'],
  ['201', '206'],
  ['202', '207'],
  ['203', '208'],
];
const [caller, callee] = ['204', '209'] as const;

const kinds: Readonly<Record<string, GatewayHabits>> = {
  'strict gateways': {},
  'gateways that answer 508 to Q: loop': { stepOnly: true },
  'gateways that answer 539 to the attribute': { refusesExtensions: { code: 539 } },
  'gateways that answer 510 to the attribute': { refusesExtensions: { code: 510 } },
  'gateways that answer 508 to Q: loop and 539 to the attribute': { stepOnly: true, refusesExtensions: { code: 539 } },
  'gateways without G and howler that answer 508, and 510 to the attribute': {
    stepOnly: true,
    refusesExtensions: { code: 510 },
    lacks: ['L/ot', 'L/hf'],
    packages: ['D'],
  },
};

type Moment = 'afterSending' | 'beforeReading';

const bothMoments: readonly Moment[] = ['afterSending', 'beforeReading'];

type Act = 'hang-up' | 'abandon' | 'answer' | 'lift' | 'dial';

describe('RFC 3435 §2.4: refusals at a takeover are judged by what the refused command carried', () => {
  for (const [kind, habits] of Object.entries(kinds))
    for (const act of ['hang-up', 'abandon', 'answer', 'lift', 'dial'] as const)
      it(`${kind}: four calls go on and no line is dead, whatever message of the ${act} is the primary’s last`, async () => {
        const moments = kind === 'strict gateways' ? bothMoments : bothMoments.slice(1);
        const options = { linesPerGateway: 5, gateway: { habits } };
        expect(await everyMessage(act, moments, options)).toBeGreaterThan(act === 'lift' ? 1 : 3);
      }, 60_000);

  it('gateways whose AuditEndpoint answers X alone, and no AuditConnection, keep talking calls (§2.3.10)', async () => {
    for (const audits of [['X'], ['X', 'ES'], ['X', 'I']]) {
      const habits = { audits, auditsConnections: false };
      const world = await World.up({ linesPerGateway: 5, gateway: { habits } });
      try {
        for (const [a, b] of talkers) await talk(world, a, b);
        world.kill(primaryHost);
        await world.run(15_000);
        for (const [a, b] of talkers) expect(world.talking(a, b), `${a} and ${b}, ${audits}`).toBe(true);
        expect(world.calls(backupHost)).toHaveLength(4);
        await endAll(world);
      } finally {
        await world.stop();
      }
    }
  });

  it('gateways that refuse AuditEndpoint keep talking calls, and a line is as new once it is hung up (§4.4.2)', async () => {
    const habits = { audits: [], auditsConnections: false };
    const world = await World.up({ linesPerGateway: 5, gateway: { habits } });
    try {
      for (const [a, b] of talkers) await talk(world, a, b);
      world.kill(primaryHost);
      await world.run(15_000);
      for (const [a, b] of talkers) expect(world.talking(a, b), `${a} and ${b}`).toBe(true);
      for (const number of talkers.flat()) world.line(number).onHook();
      await world.run(10_000);
      expect(faults(world)).toEqual([]);
      await talk(world, callee, caller);
    } finally {
      await world.stop();
    }
  });
});

describe('calls between a gateway that tells everything and one that tells little', () => {
  for (const [index, audits] of [
    [0, ['X']],
    [1, ['X']],
    [0, []],
    [1, []],
  ] as const)
    it(`go on at a takeover: gateway ${index + 1} tells ${audits.join() || 'nothing'}`, async () => {
      const habits = { audits, auditsConnections: false };
      const world = await World.up({ linesPerGateway: 5, gatewayOf: { [index]: { habits } } });
      try {
        for (const [a, b] of talkers) await talk(world, a, b);
        world.kill(primaryHost);
        await world.run(15_000);
        for (const [a, b] of talkers) expect(world.talking(a, b), `${a} and ${b}`).toBe(true);
        for (const number of talkers.flat()) world.line(number).onHook();
        await world.run(10_000);
        expect(faults(world)).toEqual([]);
        await talk(world, callee, caller);
      } finally {
        await world.stop();
      }
    });
});

describe('RFC 3435 §2.3.7: a connection that belongs to no call', () => {
  const stray = async (habits: GatewayHabits, play: (world: World) => Promise<void>) => {
    const world = await World.up({ linesPerGateway: 5, gateway: { habits } });
    try {
      world.line('200').create('ABCDEF', 'recvonly', undefined, ['PCMU']);
      world.kill(primaryHost);
      await world.run(8_000);
      await play(world);
    } finally {
      await world.stop();
    }
  };

  it('is deleted by its CallId and its own id', async () => {
    await stray({}, async (world) => {
      expect(world.line('200').connections.size).toBe(0);
      const deletions = world.summary().filter((line) => line.includes('DLCX'));
      expect(deletions.filter((line) => /C:ABCDEF\|I:/.test(line))).toHaveLength(1);
    });
  });

  it('is deleted with all others of its endpoint where its CallId is not told, or denied with 516 (§2.3.9)', async () => {
    for (const habits of [{ auditsConnections: false }, { audits: ['X', 'R', 'S', 'ES'] }, { refuses: { AUCX: 516 } }])
      await stray(habits, async (world) => {
        expect(world.line('200').connections.size).toBe(0);
        await talk(world, '200', '205');
      });
  });

  it('keeps no line from its dial tone, its bell and its calls, if the gateway will not delete it at all', async () => {
    for (const code of [400, 403, 510, 516, 599])
      await stray({ refuses: { DLCX: code } }, async (world) => {
        await talk(world, '200', '205');
        world.line('205').onHook();
        await world.run(1_000);
        expect(world.line('200').hears).toBe('L/bz');
        world.line('200').onHook();
        await world.run(10_000);
        await talk(world, '204', '201');
        const line = world.line('200');
        line.offHook();
        expect(await until(world, () => line.hears === 'L/dl'), String(code)).toBe(true);
        line.onHook();
        await world.run(5_000);
        expect([...line.notification.request.events].map(({ id }) => id)).toContain('hd');
        // It is not asked all the time either.
        const before = world.packets.length;
        await world.run(600_000);
        expect(world.summary(before).filter((text) => text.includes('DLCX')).length).toBeLessThan(100);
      });
  });
});

async function everyMessage(act: Act, moments: readonly Moment[], options: WorldOptions): Promise<number> {
  const failures: string[] = [];
  for (let at = 0; at < 60; at += 1) {
    for (const moment of moments) {
      const outcome = await play(at, moment, act, options);
      if (outcome === 'notReached') {
        expect(failures).toEqual([]);
        return at;
      }
      for (const failure of outcome) failures.push(`message ${at}, ${moment}: ${failure}`);
    }
  }
  throw new Error('it never ends');
}

/** The primary dies at the n-th message that follows the act (0: at once). */
async function play(
  at: number,
  moment: Moment,
  act: Act,
  options: WorldOptions,
): Promise<'notReached' | readonly string[]> {
  const world = await World.up(options);
  try {
    for (const [a, b] of talkers) await talk(world, a, b);
    const a = world.line(caller);
    const b = world.line(callee);
    if (act === 'hang-up') await talk(world, caller, callee);
    else if (act !== 'lift') {
      a.offHook();
      await until(world, () => a.hears === 'L/dl');
      if (act !== 'dial') {
        a.dial(callee);
        await until(world, () => b.hears === 'L/rg');
        await world.run(500);
      }
    }
    let count = 0;
    let killed = at === 0;
    const tap = ({ from, to }: { from: { host: string }; to: { host: string } }) => {
      const agents = [primaryHost, backupHost];
      if (killed || (agents.includes(from.host) && agents.includes(to.host))) return;
      count += 1;
      if (count < at) return;
      killed = true;
      world.kill(primaryHost);
    };
    if (at === 0) world.kill(primaryHost);
    if (moment === 'afterSending') world.network.onPacket(tap);
    else world.network.onArrival(tap);
    if (act === 'hang-up' || act === 'abandon') a.onHook();
    else if (act === 'answer') b.offHook();
    else if (act === 'lift') a.offHook();
    else a.dial(callee, 60);
    await world.run(1_500);
    if (!killed) return 'notReached';
    await world.run(12_000);
    const failures: string[] = [];
    for (const [one, other] of talkers)
      if (!world.talking(one, other)) failures.push(`${one} and ${other} do not talk`);
    if (act === 'hang-up' && b.hears !== 'L/bz' && b.hears !== 'L/ro') failures.push(`left behind with "${b.hears}"`);
    if (act === 'abandon' && b.hears !== '') failures.push(`still hears "${b.hears}"`);
    if (act === 'answer' && !world.talking(caller, callee)) failures.push(`answered, but hears "${b.hears}"`);
    if (act === 'lift' && a.hears !== 'L/dl') failures.push(`no dial tone but "${a.hears}"`);
    if (act === 'dial' && b.hears !== 'L/rg') failures.push(`dialled, but hears "${a.hears}"`);
    a.onHook();
    b.onHook();
    await endAll(world);
    failures.push(...faults(world));
    return failures;
  } finally {
    await world.stop();
  }
}

/** Hangs everybody up; afterwards a call between any two lines goes through. */
async function endAll(world: World): Promise<void> {
  for (const [a, b] of talkers) {
    world.line(a).onHook();
    await world.run(1_000);
    const heard = world.line(b).hears;
    expect(['L/bz', 'L/ro'], `${b} is left behind`).toContain(heard);
    world.line(b).onHook();
  }
  await world.run(20_000);
  expect(faults(world)).toEqual([]);
  await talk(world, callee, caller);
  world.line(callee).onHook();
  world.line(caller).onHook();
  await world.run(2_000);
}

function faults(world: World): readonly string[] {
  const found: string[] = [];
  for (const number of [...talkers.flat(), caller, callee]) {
    const { hook, connections, notification, hears } = world.line(number);
    const waitsFor = notification.request.events.map(({ id }) => id.toLowerCase());
    if (hook === 'on' && connections.size === 0 && hears === '' && waitsFor.includes('hd')) continue;
    found.push(`${number}: ${JSON.stringify({ hook, connections: connections.size, hears, waitsFor })}`);
  }
  for (const host of world.roles.keys()) if (world.calls(host).length > 0) found.push(`a call is left on ${host}`);
  return found;
}

async function talk(world: World, from: string, to: string): Promise<void> {
  const a = world.line(from);
  const b = world.line(to);
  a.offHook();
  expect(await until(world, () => a.hears === 'L/dl'), `dial tone of ${from}`).toBe(true);
  a.dial(to);
  expect(await until(world, () => b.hears === 'L/rg'), `bell of ${to}`).toBe(true);
  b.offHook();
  expect(await until(world, () => world.talking(from, to)), `${from} and ${to}`).toBe(true);
}

const until = (world: World, holds: () => boolean): Promise<boolean> => reached(world, holds, 5_000);
