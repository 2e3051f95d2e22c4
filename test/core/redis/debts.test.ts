/**
 * Nobody who got a 200 is taken for unknown by any member, whatever dies in whatever order: who is not found is either found by asking, or the
 * member knows that it cannot tell.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/internal.ts';
import { WriteJournal } from '../../../src/location/redis/journal.ts';
import type { RedisLocations } from '../../../src/location/redis/redis-locations.ts';
import { membersKey, shardOf } from '../../../src/location/redis/shards.ts';
import { StoreRefusal } from '../../../src/location/redis/store-connection.ts';
import { contactAt } from '../../contract/location-service.contract.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { StoreScene } from './store-scene.ts';

let scene: StoreScene;
let directory: string;

beforeEach(() => {
  scene = new StoreScene();
  directory = mkdtempSync(join(tmpdir(), 'altpath-debts-'));
});

afterEach(async () => {
  await scene.end();
  rmSync(directory, { recursive: true, force: true });
});

const journalOf = (name: string): WriteJournal => new WriteJournal(join(directory, name), silentLog);

const recordOf = (user: string | number): string => `${user}@example.com`;

/** Resolves when it is acknowledged. */
const save = (member: RedisLocations, user: string | number): Promise<void> =>
  member.save(recordOf(user), [contactAt(scene.clock, 'x', { callId: `c${user}`, cseq: 1 })], {
    callId: `c${user}`,
    cseq: 1,
    maxContacts: 10,
  });

type Verdict = 'known' | 'unknown' | 'unsure';

/** As a call would be judged: `unknown` is a 404. */
async function verdict(member: RedisLocations, user: string | number): Promise<Verdict> {
  const isKnown = (): boolean => member.lookup(recordOf(user)).length > 0;
  if (isKnown()) return 'known';
  const isSure = await member.ask(recordOf(user));
  if (isKnown()) return 'known';
  return isSure ? 'unknown' : 'unsure';
}

/** Asks all the time while time passes. */
async function judged(member: RedisLocations, user: string | number, ms: number): Promise<Set<Verdict>> {
  const seen = new Set<Verdict>();
  const asking: Promise<unknown>[] = [];
  for (let passed = 0; passed < ms; passed += 5) {
    asking.push(verdict(member, user).then((each) => seen.add(each)));
    await scene.pass(5);
  }
  await scene.settled(Promise.all(asking));
  return seen;
}

const finally_ = (member: RedisLocations, user: string | number): Promise<Verdict> =>
  scene.settled(verdict(member, user));

describe('while the store is away', () => {
  it('nobody says of anybody that he is unknown', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await scene.pass(5_000);
    expect(await finally_(b, 'nobody')).toBe('unknown');
    scene.store.kill();
    await scene.pass(1);
    await scene.settled(save(a, 'alice'));
    expect([await finally_(a, 'alice'), await finally_(b, 'alice')]).toEqual(['known', 'unsure']);
  });

  it.each(['a comes back first', 'b comes back first'])(
    'and when it is back, who waits at another member is unsure until he is stored (%s)',
    async (order) => {
      const a = await scene.member();
      const b = await scene.member();
      await scene.pass(5_000);
      scene.store.kill();
      await scene.pass(order.startsWith('a') ? 1_000 : 3_700);
      await scene.settled(Promise.all(Array.from({ length: 400 }, (_, user) => save(a, user))));
      scene.store.start();
      const seen = await judged(b, 399, 5_000);
      expect(seen).toEqual(new Set(['unsure', 'known']));
      expect(await judged(b, 'nobody', 1_000)).toEqual(new Set(['unknown']));
      expect(await judged(a, 'nobody', 1_000)).toEqual(new Set(['unknown']));
    },
  );

  it('a member that died with what it acknowledged is waited for, and its next life brings it', async () => {
    const { member: a, kill } = await scene.mortal({ journal: journalOf('a') });
    const b = await scene.member();
    await scene.pass(5_000);
    scene.store.kill();
    await scene.pass(100);
    await scene.settled(save(a, 'alice'));
    kill();
    scene.store.start();
    expect(await judged(b, 'alice', 20_000)).toEqual(new Set(['unsure']));
    await scene.member({ journal: journalOf('a') });
    await scene.pass(1_000);
    expect(await finally_(b, 'alice')).toBe('known');
    await scene.pass(3_000);
    expect(await finally_(b, 'nobody')).toBe('unknown');
  });

  it.each([
    { journal: 'with a journal', beforeMs: 110_000, afterMs: 135_000 },
    { journal: 'without one', beforeMs: 8_000, afterMs: 15_000 },
  ])(
    'a member $journal that never comes back is waited for in vain for a while',
    async ({ journal, beforeMs, afterMs }) => {
      const { kill } = await scene.mortal(journal === 'with a journal' ? { journal: journalOf('a') } : {});
      const b = await scene.member();
      await scene.pass(5_000);
      kill();
      await scene.pass(beforeMs);
      expect(await finally_(b, 'nobody')).toBe('unsure');
      expect(b.status()).toMatchObject({ waitsForMembers: 1 });
      await scene.pass(afterMs - beforeMs);
      expect(await finally_(b, 'nobody')).toBe('unknown');
      expect(b.status()).not.toHaveProperty('waitsForMembers');
    },
  );

  it('a member that takes its leave is not waited for', async () => {
    const a = await scene.member({ journal: journalOf('a') });
    const b = await scene.member();
    await scene.pass(5_000);
    await scene.settled(a.close());
    await scene.pass(1_000);
    expect(await judged(b, 'nobody', 10_000)).toEqual(new Set(['unknown']));
    expect([...scene.store.members.values()].map((each) => each.size)).toEqual([1]);
  });
});

describe('a store that stands still for a moment', () => {
  it('may read the question before the registration that was acknowledged without it', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await scene.pass(5_000);
    scene.store.stall();
    const saving = save(a, 'alice');
    await scene.settled(saving);
    const asking = verdict(b, 'alice');
    await scene.pass(2);
    scene.store.goOn();
    expect(await scene.settled(asking)).toBe('known');
  });
});

describe('a member that does not wait for the store any more, which is slow to it alone', () => {
  it('is known to owe by then, or has written', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await scene.pass(5_000);
    const [first] = [...scene.store.connections];
    if (first !== undefined) first.delayMs = 200;
    for (let user = 0; user < 40; user += 1) {
      await scene.settled(save(a, user));
      expect(await finally_(b, user), `${user}`).not.toBe('unknown');
      await scene.pass(7);
    }
    expect(a.status()).toMatchObject({ state: 'away' });
  });
});

describe('a store that has lost what it had', () => {
  it('does not make anybody unknown, though the member that is asked has not noticed yet', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await scene.pass(5_000);
    scene.store.flush();
    await scene.settled(save(a, 'alice'));
    expect(await judged(b, 'alice', 3_000)).not.toContain('unknown');
    expect(await finally_(b, 'alice')).toBe('known');
  });

  it('nor for a member that begins before the others have written what they know', async () => {
    const a = await scene.member();
    for (let user = 0; user < 300; user += 1) await scene.settled(save(a, user));
    await scene.pass(5_000);
    scene.store.flush();
    const b = await scene.member();
    const seen = await Promise.all([0, 150, 299].map((user) => judged(b, user, 1)));
    for (const each of seen) expect(each).not.toContain('unknown');
    for (let step = 0; step < 40; step += 1) {
      for (const user of [0, 150, 299]) expect(await finally_(b, user)).not.toBe('unknown');
      await scene.pass(50);
    }
    expect(await finally_(b, 299)).toBe('known');
  });
});

describe('what others make of the key', () => {
  it.each(['WRONGTYPE Operation against a key holding the wrong kind of value', 'NOPERM no permissions'])(
    '%s: nobody is doubted, and nothing else suffers',
    async (message) => {
      scene.store.answer = ([, key]) => (key?.endsWith(':members') === true ? new StoreRefusal(message) : undefined);
      const a = await scene.member();
      const b = await scene.member();
      await scene.pass(5_000);
      await scene.settled(save(a, 'alice'));
      expect([await finally_(b, 'alice'), await finally_(b, 'nobody')]).toEqual(['known', 'unknown']);
      expect(b.status()).toMatchObject({ state: 'stored' });
    },
  );

  it('what it cannot read concerns nobody, and there is a bound', async () => {
    const words = Array.from({ length: 5_000 }, (_, index): [string, string] => [`m${index}`, `2 whatever ${index}`]);
    scene.store.members.set(membersKey(0), new Map(words));
    const a = await scene.member();
    await scene.pass(5_000);
    expect(await finally_(a, 'nobody')).toBe('unknown');
  });

  it('a record under whose name another program has something is nobody', async () => {
    const a = await scene.member();
    await scene.pass(5_000);
    scene.store.answer = ([name, key]) =>
      name === 'HGETALL' && key === `altpath:{s${shardOf(recordOf('odd'))}}:loc:${recordOf('odd')}`
        ? new StoreRefusal('WRONGTYPE Operation against a key holding the wrong kind of value')
        : undefined;
    expect(await finally_(a, 'odd')).toBe('unknown');
  });
});

describe('in any order', () => {
  it.each(Array.from({ length: 12 }, (_, seed) => seed + 1))(
    'store and members are killed and started: nobody acknowledged is ever unknown, and all are known in the end (%i)',
    async (seed) => {
      const random = seededRandom(seed);
      const names = ['a', 'b', 'c'];
      const lives = new Map<string, Awaited<ReturnType<StoreScene['mortal']>>>();
      const begin = async (name: string): Promise<void> => {
        lives.set(name, await scene.mortal({ journal: journalOf(name) }));
      };
      for (const name of names) await begin(name);
      const acknowledged: number[] = [];
      const wrong: string[] = [];
      const waiting: Promise<unknown>[] = [];
      let next = 0;
      for (let step = 0; step < 400; step += 1) {
        const name = names[random.below(names.length)] ?? '';
        const life = lives.get(name);
        const lot = random.fraction();
        if (lot < 0.02) {
          if (life === undefined) await begin(name);
          else {
            life.kill();
            lives.delete(name);
          }
        } else if (lot < 0.04) {
          if (scene.store.isUp) scene.store.kill();
          else scene.store.start();
        } else if (life !== undefined) {
          const user = next;
          next += 1;
          void save(life.member, user).then(
            () => {
              if (lives.get(name) === life) acknowledged.push(user);
            },
            () => {},
          );
          const asked = acknowledged[acknowledged.length - 1 - random.below(Math.min(40, acknowledged.length || 1))];
          const other = lives.get(names[random.below(names.length)] ?? '');
          if (asked !== undefined && other !== undefined)
            waiting.push(
              verdict(other.member, asked).then((found) => {
                if (found === 'unknown') wrong.push(`step ${step}: ${asked}`);
              }),
            );
        }
        await scene.pass(10 * random.below(8));
      }
      if (!scene.store.isUp) scene.store.start();
      for (const name of names) if (!lives.has(name)) await begin(name);
      await scene.pass(8_000);
      await scene.settled(Promise.all(waiting));
      expect(wrong).toEqual([]);
      expect(acknowledged.length).toBeGreaterThan(100);
      for (const { member } of lives.values()) {
        const found = await scene.settled(Promise.all(acknowledged.map((user) => verdict(member, user))));
        expect(found.filter((each) => each !== 'known')).toEqual([]);
      }
    },
  );
});
