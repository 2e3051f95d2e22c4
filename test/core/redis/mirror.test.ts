/** Two members and one store: who sees what, whose write stays, and what is asked for. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LocationService, Metrics } from '../../../src/internal.ts';
import { recordKey, shardOf, streamKey } from '../../../src/location/redis/shards.ts';
import { contactAt } from '../../contract/location-service.contract.ts';
import { logLines } from '../../support/log-lines.ts';
import { StoreScene } from './store-scene.ts';

const record = 'alice@example.com';
const shard = shardOf(record);

let scene: StoreScene;

beforeEach(() => {
  scene = new StoreScene();
});

afterEach(() => scene.end());

const seen = (service: LocationService, of = record): string[] =>
  service.lookup(of).map(({ key, callId, cseq }) => `${key} ${callId} ${cseq}`);

const registration = (callId: string, cseq: number, maxContacts = 10) => ({ callId, cseq, maxContacts });

const contact = (key: string, callId: string, cseq: number, more = {}) =>
  contactAt(scene.clock, key, { callId, cseq, ...more });

const save = (member: LocationService, key: string, callId: string, cseq: number): Promise<void> =>
  scene.settled(member.save(record, [contact(key, callId, cseq)], registration(callId, cseq)));

describe('RFC 3261 §10.3, two registrars on one store', () => {
  it('a registration is in the other one before it is acknowledged, or in its feed', async () => {
    const a = await scene.member();
    const b = await scene.member();
    let order = '';
    scene.store.answer = (words) => {
      if (words[0]?.startsWith('EVAL') === true) order += 'stored ';
      return undefined;
    };
    const saving = a.save(record, [contact('x', 'c', 1)], registration('c', 1)).then(() => {
      order += `acknowledged, there ${b.lookup(record).length}`;
    });
    await scene.settled(saving);
    expect(order).toBe('stored stored acknowledged, there 1');
  });

  it.each([
    { first: 1, next: 2, kept: 2, outcome: 'accepted' },
    { first: 2, next: 2, kept: 2, outcome: 'accepted' },
    { first: 2, next: 1, kept: 2, outcome: 'refused' },
  ])(
    'CSeq $first at one and then $next at the other, which has not heard: $outcome',
    async ({ first, next, kept, outcome }) => {
      const a = await scene.member();
      const b = await scene.member();
      scene.store.isStopped = false;
      // The feed of b is behind: what it does not know it must not undo.
      const blind = b.lookup(record);
      expect(blind).toEqual([]);
      const both = [
        a.save(record, [contact('x', 'c', first)], registration('c', first)),
        b.save(record, [contact('x', 'c', next)], registration('c', next)),
      ];
      const [one, other] = await scene.settled(Promise.allSettled(both));
      expect(one?.status).toBe('fulfilled');
      expect(other?.status).toBe(outcome === 'accepted' ? 'fulfilled' : 'rejected');
      await scene.pass(10);
      expect(seen(a)).toEqual([`x c ${kept}`]);
      expect(seen(b)).toEqual([`x c ${kept}`]);
    },
  );

  it('another Call-ID wins, for the telephone has restarted', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a, 'x', 'old', 90);
    await save(b, 'x', 'new', 1);
    await scene.pass(10);
    expect(seen(a)).toEqual(['x new 1']);
    expect(seen(b)).toEqual(['x new 1']);
  });

  it('a late copy does not revive what was removed elsewhere; a later registration does', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a, 'x', 'c', 1);
    await scene.pass(10);
    await scene.settled(b.save(record, [], registration('c', 2)));
    await scene.pass(10);
    await expect(save(a, 'x', 'c', 1)).rejects.toMatchObject({ conflict: 'older' });
    await expect(save(a, 'x', 'c', 2)).rejects.toMatchObject({ conflict: 'older' });
    await scene.pass(10);
    expect([...seen(a), ...seen(b)]).toEqual([]);
    await save(a, 'x', 'c', 3);
    await scene.pass(10);
    expect(seen(b)).toEqual(['x c 3']);
  });

  it('removes what the other has renewed without our knowing, since the removal is later than both', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a, 'x', 'c', 1);
    await scene.pass(10);
    const both = [
      b.save(record, [contact('x', 'c', 2)], registration('c', 2)),
      a.save(record, [], registration('c', 3)),
    ];
    await scene.settled(Promise.all(both));
    await scene.pass(10);
    expect([...seen(a), ...seen(b)]).toEqual([]);
  });

  it('does not remove, for a connection that has ended, what the telephone renewed elsewhere', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a, 'x', 'c', 1);
    await scene.pass(10);
    const renewing = b.save(record, [contact('x', 'c', 2)], registration('c', 2));
    const removing = a.save(record, []);
    const [, removed] = await scene.settled(Promise.allSettled([renewing, removing]));
    expect(removed).toMatchObject({ status: 'rejected', reason: { conflict: 'older' } });
    await scene.pass(10);
    expect(seen(a)).toEqual(['x c 2']);
    expect(seen(b)).toEqual(['x c 2']);
  });

  it('counts the contacts of a record where all are known (kamailio #265, #1445)', async () => {
    const a = await scene.member();
    const b = await scene.member();
    const third = contact('z', 'c3', 1);
    const writes = [
      a.save(record, [contact('x', 'c1', 1)], registration('c1', 1, 2)),
      b.save(record, [contact('y', 'c2', 1)], registration('c2', 1, 2)),
      b.save(record, [contact('y', 'c2', 1), third], registration('c3', 1, 2)),
    ];
    const outcomes = await scene.settled(Promise.allSettled(writes));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await scene.pass(10);
    expect(seen(a).sort()).toEqual(['x c1 1', 'y c2 1']);
    expect(seen(b).sort()).toEqual(['x c1 1', 'y c2 1']);
  });

  it('has one contact for a telephone that registers through both (OpenSIPS #1365)', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a, 'x', 'c', 1);
    await scene.pass(10);
    await save(b, 'x', 'c', 2);
    await scene.pass(10);
    expect(seen(a)).toEqual(['x c 2']);
    expect(scene.store.hashes.get(recordKey(shard, record))?.size).toBe(1);
  });

  it('lets a time that is over end nothing that another has renewed (OpenSIPS #601)', async () => {
    const a = await scene.member();
    const b = await scene.member();
    const short = contact('x', 'c', 1, { expiresMs: scene.clock.now() + 3_000 });
    await scene.settled(a.save(record, [short], registration('c', 1)));
    await scene.pass(10);
    await save(b, 'x', 'c', 2);
    await scene.pass(6_000);
    expect(seen(a)).toEqual(['x c 2']);
    expect(seen(b)).toEqual(['x c 2']);
    expect(scene.store.hashes.get(recordKey(shard, record))?.size).toBe(1);
  });

  it('decides by the stream where feed and answer come in either order', async () => {
    const a = await scene.member();
    const b = await scene.member();
    for (let round = 1; round < 40; round += 1) {
      scene.store.delayMs = round % 7;
      const writes = [
        a.save(record, [contact('x', `a${round}`, 1)], registration(`a${round}`, 1)),
        b.save(record, [contact('x', `b${round}`, 1)], registration(`b${round}`, 1)),
      ];
      await scene.settled(Promise.all(writes));
      await scene.pass(20);
      const [, value = ''] = [...(scene.store.hashes.get(recordKey(shard, record)) ?? [])][0] ?? [];
      const [callId = ''] = value.slice(1).split(' ');
      expect([seen(a), seen(b)]).toEqual([[`x ${callId} 1`], [`x ${callId} 1`]]);
    }
  });
});

describe('what memory does not have', () => {
  it('is asked for, once for all who ask', async () => {
    const b = await scene.member();
    const a = await scene.member();
    await save(a, 'x', 'c', 1);
    await scene.pass(10);
    const metrics = new Metrics();
    const late = await scene.member({ metrics });
    scene.store.hashes.set(recordKey(shardOf('bob@example.com'), 'bob@example.com'), new Map());
    const asked = [late.ask('bob@example.com'), late.ask('bob@example.com')];
    expect(asked[0]).toBe(asked[1]);
    await scene.settled(Promise.all(asked));
    expect(late.lookup('bob@example.com')).toEqual([]);
    expect(seen(b)).toEqual(['x c 1']);
  });

  it('is found though the feed has not brought it yet', async () => {
    const a = await scene.member();
    const b = await scene.member();
    // The feed of everybody stands still.
    for (const connection of scene.store.connections) connection.wake = () => {};
    await save(a, 'x', 'c', 1);
    expect(seen(b)).toEqual([]);
    expect(await scene.settled(b.ask(record))).toBe(true);
    expect(seen(b)).toEqual(['x c 1']);
  });

  it('is not waited for longer than 50 ms, and not at all where the store is away', async () => {
    const a = await scene.member();
    scene.store.isStopped = true;
    const startedMs = scene.clock.now();
    expect(await scene.settled(a.ask(record))).toBe(false);
    expect(scene.clock.now() - startedMs).toBeLessThanOrEqual(51);
    await scene.pass(3_000);
    const laterMs = scene.clock.now();
    expect(await scene.settled(a.ask(record))).toBe(false);
    expect(scene.clock.now() - laterMs).toBeLessThanOrEqual(1);
  });
});

describe('start', () => {
  it.each([999, 1_000, 1_001, 2_500])(
    'reads %i records, whatever the size of a page (kamailio #4511)',
    async (count) => {
      const a = await scene.member();
      const saves = Array.from({ length: count }, (_, user) =>
        a.save(`${user}@example.com`, [contactAt(scene.clock, 'x', { callId: `c${user}`, cseq: 1 })]),
      );
      await scene.settled(Promise.all(saves));
      const b = await scene.member();
      expect(b.size).toBe(count);
    },
  );

  it('takes over neither what is of another version nor what is no contact, and counts it', async () => {
    const hash = new Map([
      ['new', '9whatever it may be'],
      ['odd', '1c 1 not-a-number 5\nx'],
      ['cut', `1c 1 ${scene.clock.wallNow() + 60_000} 5\nsip\tsip:x`],
      ['json', '{"protocol":"sip"}'],
    ]);
    scene.store.hashes.set(recordKey(shard, record), hash);
    const metrics = new Metrics();
    const a = await scene.member({ metrics });
    expect(a.lookup(record)).toEqual([]);
    expect(metrics.counter('location_unreadable', '').value).toBe(4);
    // And goes on beside it.
    await save(a, 'x', 'c', 1);
    expect(hash.get('new')).toBe('9whatever it may be');
    expect(seen(a)).toEqual(['x c 1']);
  });

  it('reads keys of ours alone, and deletes nothing of others (rtpengine #1905)', async () => {
    scene.store.hashes.set('altpath:{s1}:loc:of-another-shard', new Map([['x', '1']]));
    scene.store.hashes.set('sessions', new Map([['x', '1']]));
    scene.store.strings.set('something', 'else');
    const a = await scene.member();
    await save(a, 'x', 'c', 1);
    await scene.settled(a.save(record, [], registration('c', 2)));
    expect(scene.store.hashes.get('sessions')?.size).toBe(1);
    expect(scene.store.strings.get('something')).toBe('else');
    expect(scene.store.commands.some((command) => /^(DEL|UNLINK|FLUSH|KEYS)/.test(command))).toBe(false);
    expect(a.size).toBe(0);
  });

  it('goes on reading after telephones are served, and asks for who is not read yet', async () => {
    const a = await scene.member();
    await save(a, 'x', 'c', 1);
    // A store without end, as it looks from the first page.
    scene.store.answer = (words) => (words[0] === 'SCAN' ? ['7', []] : undefined);
    scene.store.delayMs = 5;
    const b = await scene.member();
    expect(b.isBeingRead).toBe(true);
    expect(seen(b)).toEqual([]);
    await scene.settled(b.ask(record));
    expect(seen(b)).toEqual(['x c 1']);
    scene.store.answer = undefined;
    await scene.pass(100);
    expect(b.isBeingRead).toBe(false);
    expect(seen(b)).toEqual(['x c 1']);
  });

  it('does not forget who was written while it was read, after his place had been passed', async () => {
    // The store was away as it began: what it was told waits, and is written while the rest is read.
    scene.store.kill();
    const a = await scene.member();
    await save(a, 'x', 'c', 1);
    let pages = 0;
    scene.store.answer = (words) => {
      if (words[0] !== 'SCAN') return undefined;
      pages += 1;
      return [pages < 40 ? '7' : '0', []];
    };
    scene.store.delayMs = 5;
    scene.store.start();
    await scene.pass(4_000);
    expect(pages).toBeGreaterThanOrEqual(40);
    expect(scene.store.hashes.get(recordKey(shard, record))?.size).toBe(1);
    expect(seen(a)).toEqual(['x c 1']);
  });

  it("says 'storeRead', and 'storeUnfit' where its clock is wrong", async () => {
    const { log, lines } = logLines();
    scene.store.answer = (words) =>
      words[0] === 'TIME' ? [String(scene.clock.wallNow() / 1_000 + 5), '0'] : undefined;
    const a = await scene.member({ log });
    await scene.pass(10);
    expect(lines.map(({ event }) => event)).toEqual(expect.arrayContaining(['storeRead', 'storeUnfit']));
    expect(a.status()).toMatchObject({ state: 'stored', clockSkewMs: 5_000 });
  });

  it('does not need the store: who registers meanwhile is stored when it is there', async () => {
    scene.store.kill();
    const a = await scene.member();
    expect(a.status()).toMatchObject({ state: 'away' });
    await save(a, 'x', 'c', 1);
    expect(seen(a)).toEqual(['x c 1']);
    scene.store.start();
    await scene.pass(3_000);
    expect(scene.store.streams.get(streamKey(shard))).toHaveLength(1);
  });
});
