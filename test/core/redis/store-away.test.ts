/** The store dies, hangs, refuses, loses what it had: nobody is held up, and nothing that was acknowledged is lost. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LocationService, Metrics } from '../../../src/internal.ts';
import type { RedisLocations } from '../../../src/location/redis/redis-locations.ts';
import type { Servers } from '../../../src/location/redis/servers.ts';
import { epochKey, recordKey, shardOf, shards } from '../../../src/location/redis/shards.ts';
import { StoreRefusal } from '../../../src/location/redis/store-connection.ts';
import { contactAt } from '../../contract/location-service.contract.ts';
import { logLines } from '../../support/log-lines.ts';
import { StoreScene } from './store-scene.ts';

const record = 'alice@example.com';

let scene: StoreScene;

beforeEach(() => {
  scene = new StoreScene();
});

afterEach(() => scene.end());

let cseq = 0;

async function save(member: LocationService, of = record, key = 'x', callId = 'c'): Promise<number> {
  cseq += 1;
  const startedMs = scene.clock.now();
  await scene.settled(
    member.save(of, [contactAt(scene.clock, key, { callId, cseq })], { callId, cseq, maxContacts: 10 }),
  );
  return scene.clock.now() - startedMs;
}

const stored = (of = record): string[] =>
  [...(scene.store.hashes.get(recordKey(shardOf(of), of)) ?? [])]
    .filter(([, value]) => !value.endsWith('\n'))
    .map(([key]) => key);

const keys = (member: LocationService, of = record): string[] => member.lookup(of).map(({ key }) => key);

const degraded = (member: RedisLocations): unknown => member.status()['state'];

describe('the store is away', () => {
  it('kill -9: registrations go on at once, are written when it is back, and reach the others', async () => {
    const { log, lines } = logLines();
    const metrics = new Metrics();
    const a = await scene.member({ log, metrics });
    const b = await scene.member();
    await save(a);
    scene.store.kill();
    await scene.pass(1);
    const waits: number[] = [];
    for (let user = 0; user < 20; user += 1) waits.push(await save(a, `${user}@example.com`));
    // The first may be under way as the store dies; from then on nobody waits.
    expect(Math.max(...waits)).toBeLessThanOrEqual(51);
    expect(degraded(a)).toBe('away');
    expect(await metrics.text()).toContain('altpath_location_degraded 1');
    expect(keys(a, '3@example.com')).toEqual(['x']);
    expect(keys(a)).toEqual(['x']);
    scene.store.start();
    await scene.pass(4_000);
    expect(degraded(a)).toBe('stored');
    for (let user = 0; user < 20; user += 1) {
      expect(stored(`${user}@example.com`)).toEqual(['x']);
      expect(keys(b, `${user}@example.com`)).toEqual(['x']);
    }
    const events = lines.map(({ event }) => event);
    expect(events).toEqual(expect.arrayContaining(['storeAway', 'storeBack']));
    expect(events.filter((event) => event === 'storeAway')).toHaveLength(1);
  });

  it('who begins meanwhile does not know who is registered, and says so until all was read', async () => {
    const a = await scene.member();
    await save(a);
    expect(a.isBeingRead).toBe(false);
    scene.store.kill();
    await scene.pass(1);
    expect(a.isBeingRead, 'it knows what there was').toBe(false);
    const b = await scene.member();
    expect([b.isBeingRead, await scene.settled(b.ask(record)), keys(b)]).toEqual([true, false, []]);
    scene.store.start();
    await scene.pass(4_000);
    expect([b.isBeingRead, keys(b)]).toEqual([false, ['x']]);
  });

  it('who could read a part of a Cluster only does not know all who are registered yet', async () => {
    let isWhole = false;
    const half = shards.length / 2;
    const servers: Servers = {
      feeds: [shards.slice(0, half), shards.slice(half)],
      mayBeReplica: false,
      of: (shard) =>
        isWhole || shards.indexOf(shard) < half
          ? Promise.resolve({ host: '192.0.2.1', port: 6_379 })
          : Promise.reject(new Error('its master is away')),
      doubt: () => undefined,
      moved: () => undefined,
    };
    const member = await scene.member({ servers });
    await scene.pass(2_000);
    expect(member.isBeingRead).toBe(true);
    isWhole = true;
    await scene.pass(5_000);
    expect(member.isBeingRead).toBe(false);
  });

  it('stopped while its connections stand: the first waits 50 ms, the others not at all', async () => {
    const a = await scene.member();
    await save(a);
    scene.store.isStopped = true;
    expect(await save(a, '1@example.com')).toBeLessThanOrEqual(51);
    expect(await save(a, '2@example.com')).toBeLessThanOrEqual(1);
    await scene.pass(5_000);
    expect(await save(a, '3@example.com')).toBeLessThanOrEqual(1);
    scene.store.isStopped = false;
    await scene.pass(5_000);
    for (const user of [1, 2, 3]) expect(stored(`${user}@example.com`)).toEqual(['x']);
  });

  it('slow: waits 50 ms at most, says so, and is prompt again when the store is', async () => {
    const a = await scene.member();
    scene.store.delayMs = 200;
    expect(await save(a, '1@example.com')).toBeLessThanOrEqual(51);
    expect(await save(a, '2@example.com')).toBeLessThanOrEqual(1);
    expect(a.status()).toMatchObject({ state: 'away', reason: expect.stringContaining('slow') });
    await scene.pass(1_000);
    scene.store.delayMs = 2;
    await save(a, '3@example.com');
    await scene.pass(300);
    expect(degraded(a)).toBe('stored');
    expect(stored('2@example.com')).toEqual(['x']);
  });

  it('ack: memory waits for nothing', async () => {
    const a = await scene.member({ ack: 'memory' });
    scene.store.delayMs = 20;
    expect(await save(a)).toBeLessThanOrEqual(1);
    await scene.pass(60);
    expect(stored()).toEqual(['x']);
  });

  it('what waited does not undo what another registered meanwhile', async () => {
    const a = await scene.member();
    const b = await scene.member();
    scene.store.kill();
    await scene.pass(10);
    await save(a, record, 'x', 'before the telephone restarted');
    await scene.pass(100);
    await save(b, record, 'x', 'after it restarted');
    scene.store.start();
    await scene.pass(5_000);
    for (const member of [a, b]) expect(member.lookup(record)[0]?.callId).toBe('after it restarted');
  });

  it('removals wait as well', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a);
    await scene.pass(10);
    scene.store.kill();
    await scene.pass(10);
    await scene.settled(a.save(record, [], { callId: 'c', cseq: cseq + 1, maxContacts: 10 }));
    scene.store.start();
    await scene.pass(5_000);
    expect(stored()).toEqual([]);
    expect(keys(b)).toEqual([]);
  });

  it('keeps names and no copies, and no more of them than it may', async () => {
    const metrics = new Metrics();
    const a = await scene.member({ maxRecords: 500, metrics });
    scene.store.kill();
    await scene.pass(10);
    for (let user = 0; user < 500; user += 1) await save(a, `${user}@example.com`);
    for (let user = 0; user < 500; user += 1) await save(a, `${user}@example.com`);
    expect(Number(a.status()['waiting'])).toBeLessThanOrEqual(501);
    scene.store.start();
    await scene.pass(5_000);
    for (let user = 0; user < 500; user += 1) expect(stored(`${user}@example.com`)).toEqual(['x']);
  });

  it('brings what waited at 2,000 a second, and what is new at once', async () => {
    const a = await scene.member();
    scene.store.kill();
    await scene.pass(10);
    for (let user = 0; user < 6_000; user += 1)
      void a.save(`${user}@example.com`, [contactAt(scene.clock, 'x', { callId: 'c', cseq: 1 })]);
    scene.store.start();
    const before = scene.clock.now();
    while (degraded(a) !== 'stored') await scene.pass(10);
    await save(a, 'new@example.com');
    expect(stored('new@example.com')).toEqual(['x']);
    while (Number(a.status()['waiting']) > 0) await scene.pass(50);
    expect(scene.clock.now() - before).toBeGreaterThan(2_500);
    expect(scene.store.hashes.size).toBe(6_001);
  });
});

describe('what is kept of writes', () => {
  it('nothing, once the stream has shown them, whether it did before the answer or after it', async () => {
    const metrics = new Metrics();
    const a = await scene.member({ metrics });
    for (const delayMs of [0, 1, 3]) {
      scene.store.delayMs = delayMs;
      for (let user = 0; user < 50; user += 1) await save(a, `${user}@example.com`);
    }
    await scene.pass(100);
    expect(await metrics.text()).toMatch(/^altpath_location_backlog_octets 0$/m);
  });

  it('a full write that the store interrupts leaves out nobody who registers meanwhile', async () => {
    const a = await scene.member();
    const saves = Array.from({ length: 3_000 }, (_, user) =>
      a.save(`${user}@example.com`, [contactAt(scene.clock, 'x', { callId: 'c', cseq: 1 })]),
    );
    await scene.settled(Promise.all(saves));
    // By now none of them is recent.
    await scene.pass(70_000);
    scene.store.flush();
    for (let turn = 0; turn < 500 && scene.store.hashes.size < 200; turn += 1) await scene.pass(10);
    scene.store.kill();
    await scene.pass(10);
    expect(scene.store.hashes.size).toBeGreaterThan(199);
    expect(scene.store.hashes.size).toBeLessThan(3_000);
    await save(a, 'new@example.com');
    await save(a, '1@example.com', 'y');
    scene.store.start();
    await scene.pass(8_000);
    expect(stored('new@example.com')).toEqual(['x']);
    expect(stored('1@example.com')).toContain('y');
    expect(scene.store.hashes.size).toBe(3_001);
  });

  it('more names wait than may, while a full write is interrupted: none of them is left out', async () => {
    const a = await scene.member({ maxRecords: 3_000 });
    for (let user = 0; user < 1_000; user += 1) await save(a, `${user}@example.com`);
    await scene.pass(70_000);
    scene.store.flush();
    for (let turn = 0; turn < 500 && scene.store.hashes.size < 200; turn += 1) await scene.pass(10);
    scene.store.kill();
    await scene.pass(10);
    expect(scene.store.hashes.size).toBeLessThan(1_000);
    for (let user = 0; user < 3_000; user += 1) void a.save(`${user}@example.com`, [contactAt(scene.clock, 'y')]);
    scene.store.start();
    await scene.pass(8_000);
    for (let user = 0; user < 3_000; user += 1) expect(stored(`${user}@example.com`), `${user}`).toContain('y');
  });
});

describe('what it refuses with', () => {
  it.each([
    "READONLY You can't write against a read only replica.",
    'LOADING Redis is loading the dataset in memory',
    "OOM command not allowed when used memory > 'maxmemory'.",
    'MISCONF Redis is configured to save RDB snapshots',
    'CLUSTERDOWN The cluster is down',
    'NOPERM User altpath has no permissions',
    'BUSY Redis is busy running a script',
  ])('%s: it is away until it takes writes again', async (message) => {
    const { log, lines } = logLines();
    const a = await scene.member({ log });
    await save(a);
    scene.store.answer = ([name = '']) => (name.startsWith('EVAL') ? new StoreRefusal(message) : undefined);
    await save(a, '1@example.com');
    await save(a, '2@example.com');
    await scene.pass(10_000);
    expect(degraded(a)).toBe('away');
    expect(lines.filter(({ event }) => event === 'storeAway')).toHaveLength(1);
    expect(lines.find(({ event }) => event === 'storeAway')?.['reason']).toBe(message);
    scene.store.answer = undefined;
    await scene.pass(3_000);
    expect(degraded(a)).toBe('stored');
    expect([...stored('1@example.com'), ...stored('2@example.com')]).toEqual(['x', 'x']);
  });

  it('NOSCRIPT: the script is sent again', async () => {
    const a = await scene.member();
    await save(a);
    scene.store.knowsScript = false;
    await save(a, '1@example.com');
    expect(stored('1@example.com')).toEqual(['x']);
    expect(degraded(a)).toBe('stored');
  });

  it('one record that is something else holds up no other', async () => {
    const a = await scene.member();
    scene.store.answer = (words) =>
      words[0]?.startsWith('EVAL') === true && words[3]?.endsWith('odd@example.com') === true
        ? new StoreRefusal('WRONGTYPE Operation against a key holding the wrong kind of value')
        : undefined;
    await expect(save(a, 'odd@example.com')).rejects.toMatchObject({ code: 'ERR_LOCATION' });
    await save(a);
    expect(stored()).toEqual(['x']);
    expect(degraded(a)).toBe('stored');
  });
});

describe('the store has lost what it had', () => {
  const fill = async (member: LocationService): Promise<void> => {
    for (let user = 0; user < 150; user += 1) await save(member, `${user}@example.com`);
    await scene.pass(50);
  };
  const holdsAll = (): boolean =>
    Array.from({ length: 150 }, (_, user) => stored(`${user}@example.com`).length).every((count) => count === 1);

  it.each(['emptied while it runs', 'restarted without its data', 'emptied, and all of it by one member that died'])(
    '%s: all that is known is written again',
    async (how) => {
      const { log, lines } = logLines();
      const a = await scene.member({ log });
      const b = await scene.member();
      await fill(a);
      if (how.startsWith('restarted')) {
        scene.store.kill();
        await scene.pass(500);
        scene.store.start(true);
      } else {
        if (how.includes('died')) await scene.settled(a.close());
        scene.store.flush();
      }
      await scene.pass(6_000);
      expect(holdsAll()).toBe(true);
      expect(b.size).toBe(150);
      if (!how.includes('died')) expect(lines.some(({ event }) => event === 'storeLost')).toBe(true);
      const late = await scene.member();
      expect(late.size).toBe(150);
    },
  );

  it('a write into an emptied store is noticed at once, not a second later', async () => {
    const a = await scene.member();
    await fill(a);
    scene.store.flush();
    await save(a, 'new@example.com');
    await scene.pass(900);
    expect(holdsAll()).toBe(true);
    expect(stored('new@example.com')).toEqual(['x']);
  });

  it('taken over by a replica without the last changes: they are written again, removals as well', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a, '1@example.com');
    await save(a, 'gone@example.com');
    await scene.pass(10);
    const lose = scene.store.snapshot();
    await save(a, '2@example.com');
    await save(b, '3@example.com');
    await scene.settled(a.save('gone@example.com', [], { callId: 'c', cseq: cseq + 1, maxContacts: 10 }));
    await scene.pass(10);
    scene.store.kill();
    lose();
    expect(stored('gone@example.com')).toEqual(['x']);
    scene.store.start();
    await scene.pass(5_000);
    for (const user of [1, 2, 3]) expect(stored(`${user}@example.com`)).toEqual(['x']);
    expect(stored('gone@example.com')).toEqual([]);
    expect(keys(b, 'gone@example.com')).toEqual([]);
  });

  it('is not told of what another removed while the stream was cut off: that stays removed', async () => {
    const a = await scene.member();
    const b = await scene.member();
    await save(a);
    await scene.pass(10);
    // b hears nothing for a while, and the stream does not go back so far.
    for (const connection of scene.store.connections) connection.wake = () => {};
    await scene.settled(a.save(record, [], { callId: 'c', cseq: cseq + 1, maxContacts: 10 }));
    for (const [key, stream] of scene.store.streams)
      scene.store.streams.set(
        key,
        Array.from({ length: 10_001 }, () => ({ id: scene.store.nextId(), fields: stream[0]?.fields ?? [] })),
      );
    expect(keys(b)).toEqual(['x']);
    scene.store.kill();
    scene.store.start();
    await scene.pass(5_000);
    expect(keys(b)).toEqual([]);
    expect(stored()).toEqual([]);
  });

  it('and there was nothing to write: all is well again', async () => {
    const a = await scene.member();
    await scene.pass(5_000);
    scene.store.flush();
    await scene.pass(5_000);
    expect(degraded(a)).toBe('stored');
    const b = await scene.member();
    await scene.pass(3_000);
    expect(await scene.settled(b.ask('nobody@example.com'))).toBe(true);
  });

  it('is not forgotten to have lost, though it dies again before it has said all', async () => {
    const a = await scene.member();
    await fill(a);
    scene.store.kill();
    scene.store.start(true);
    // It says that it is new, and is gone before it has said where its streams end.
    let asked = 0;
    scene.store.answer = ([name]) => {
      asked += name === 'XREVRANGE' ? 1 : 0;
      return name === 'XREVRANGE' ? new StoreRefusal('LOADING') : undefined;
    };
    await scene.pass(500);
    expect(asked).toBeGreaterThan(10);
    scene.store.answer = undefined;
    await scene.pass(6_000);
    expect(holdsAll()).toBe(true);
  });

  it('has a name for each shard, which is made by one and read by all', async () => {
    await scene.member();
    const names = shards.map((shard) => scene.store.strings.get(epochKey(shard)));
    await scene.member();
    expect(shards.map((shard) => scene.store.strings.get(epochKey(shard)))).toEqual(names);
    expect(new Set(names).size).toBe(64);
  });
});
