/** What the surroundings do to a location store: damage, locks of other tools, a calendar that is set, other users of the machine. */
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Contact, createLog, type LocationService, Metrics } from '../../src/internal.ts';
import { SqliteLocations } from '../../src/location/sqlite.ts';
import { FakeClock } from '../support/fake-clock.ts';

const record = 'alice@example.com';

let directory: string;
let path: string;
let clock: FakeClock;
let metrics: Metrics;
let lines: string[];
let opened: LocationService[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'altpath-store-'));
  path = join(directory, 'location.db');
  clock = new FakeClock();
  metrics = new Metrics();
  lines = [];
  opened = [];
});

afterEach(async () => {
  for (const service of opened) await service.close();
  rmSync(directory, { recursive: true, force: true });
});

async function openStore(by = clock): Promise<SqliteLocations> {
  const log = createLog({ level: 'silent', format: 'json' }).child({});
  log.error = (...words: unknown[]) => lines.push(JSON.stringify(words));
  const service = new SqliteLocations({ path, clock: by, log, metrics, retryMs: 1_000 });
  opened.push(service);
  await service.open();
  return service;
}

function contact(key: string, more: Partial<Contact> = {}): Contact {
  const nowMs = clock.now();
  return {
    protocol: 'sip',
    target: key,
    key,
    path: [],
    alternates: [],
    expiresMs: nowMs + 3_600_000,
    q: 1_000,
    updatedMs: nowMs,
    ...more,
  };
}

const keys = (service: LocationService, of = record): string[] => service.lookup(of).map(({ key }) => key);

const setAside = (): string[] => readdirSync(directory).filter((name) => name.includes('.corrupt-'));

const storedKeys = (): unknown[] => {
  const database = new DatabaseSync(path);
  try {
    return database
      .prepare('SELECT key FROM contact WHERE body IS NOT NULL ORDER BY key')
      .all()
      .map(({ key }) => key);
  } finally {
    database.close();
  }
};

describe('location store: a damaged file', () => {
  it('is set aside as it is; the start goes on empty, with a loud line and a count', async () => {
    const letter = 'this is not a database, it is a letter to my aunt'.repeat(100);
    writeFileSync(path, letter);
    const store = await openStore();
    expect(store.size).toBe(0);
    expect(lines.join()).toContain('LOCATION STORE DAMAGED');
    expect(await metrics.text()).toMatch(/altpath_location_corrupt\S* 1\n/);
    const [aside = ''] = setAside();
    expect(aside).toMatch(/^location\.db\.corrupt-\d{8}T\d{6}Z$/);
    expect(readFileSync(join(directory, aside), 'utf8')).toBe(letter);
    await store.save(record, [contact('a')]);
    expect(storedKeys()).toEqual(['a']);
  });

  it.each([
    ['a page in the middle is overwritten', (bytes: Buffer) => bytes.fill(0xa5, 4_096, 8_192 * 2)],
    ['its second half is missing', (bytes: Buffer) => bytes.subarray(0, 6_000)],
    ['its header is zeros', (bytes: Buffer) => bytes.fill(0, 0, 100)],
  ])('starts where %s', async (_, damage) => {
    const first = await openStore();
    for (let user = 0; user < 200; user += 1)
      await first.save(`${user}@example.com`, [contact(`sip:${user}@192.0.2.${user}`, { userAgent: 'x'.repeat(150) })]);
    await first.close();
    writeFileSync(path, damage(readFileSync(path)));
    const store = await openStore();
    expect(setAside()).toHaveLength(1);
    await store.save(record, [contact('a')]);
    await store.close();
    expect(keys(await openStore())).toEqual(['a']);
  });

  it('is set aside also while we run, and memory fills the new one', async () => {
    const store = await openStore();
    for (let user = 0; user < 200; user += 1)
      await store.save(`${user}@example.com`, [contact(`sip:${user}@192.0.2.${user}`, { userAgent: 'x'.repeat(150) })]);
    const other = new DatabaseSync(path);
    other.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    other.close();
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.fill(0xa5, 4_096));
    for (let user = 0; user < 50; user += 1)
      await store.save(`new-${user}@example.com`, [contact(`sip:new-${user}@x`)]);
    await clock.advanceAsync(3_000);
    expect(await metrics.text()).toContain('altpath_location_degraded 0');
    expect(storedKeys()).toHaveLength(250);
  });

  it('is renamed once where a primary and a backup both find it damaged', async () => {
    writeFileSync(path, 'rubbish'.repeat(1_000));
    const primary = await openStore();
    const backup = await openStore();
    await primary.save(record, [contact('a')]);
    expect(keys(backup)).toEqual(['a']);
    expect(setAside()).toHaveLength(1);
  });

  it('begins a file that was cut to nothing anew', async () => {
    await (await openStore()).close();
    truncateSync(path, 0);
    const store = await openStore();
    await store.save(record, [contact('a')]);
    expect(keys(store)).toEqual(['a']);
  });
});

describe('location store: locked by another tool', () => {
  it('never holds the event loop for long, however often it tries again', async () => {
    const store = await openStore();
    await store.save(record, [contact('before')]);
    const tool = new DatabaseSync(path);
    tool.exec('BEGIN IMMEDIATE');
    await store.save(record, [contact('during')]);
    expect(await metrics.text()).toContain('altpath_location_degraded 1');
    // The store is closed on our side: now a tool can have it for itself, readers kept out.
    tool.exec('COMMIT; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    const started = performance.now();
    await clock.advanceAsync(5_000);
    // Five retries: one of them took 5 s before.
    expect(performance.now() - started).toBeLessThan(1_000);
    expect(keys(store)).toEqual(['during']);
    tool.exec('COMMIT');
    tool.close();
    await clock.advanceAsync(1_000);
    expect(storedKeys()).toEqual(['during']);
  });
});

describe('location store: what a partner has just acknowledged', () => {
  it('is found at once by who would say 404 otherwise', async () => {
    const primary = await openStore();
    const backup = await openStore();
    expect(keys(backup)).toEqual([]);
    await primary.save(record, [contact('a')]);
    expect(keys(backup)).toEqual(['a']);
    await primary.save(record, []);
    clock.advance(200);
    await primary.save(record, [contact('b')]);
    expect(keys(backup)).toEqual(['b']);
  });

  it('does not undo what was saved here and is not written yet', async () => {
    const primary = await openStore();
    const backup = await openStore();
    await primary.save(record, [contact('a')]);
    const saving = backup.save('bob@example.com', [contact('b')]);
    expect(keys(backup)).toEqual(['a']);
    expect(keys(backup, 'bob@example.com')).toEqual(['b']);
    await saving;
    expect(keys(primary, 'bob@example.com')).toEqual(['b']);
  });
});

describe('location store: the calendar is set', () => {
  it('forward: a process that starts afterwards finds the registrations alive, and for as long as was granted', async () => {
    const store = await openStore();
    await store.save(record, [contact('a')]);
    clock.steppedMs = 86_400_000;
    await clock.advanceAsync(1_000);
    const later = new FakeClock(clock.wallNow());
    const second = await openStore(later);
    expect(keys(second)).toEqual(['a']);
    expect(Math.abs((second.lookup(record)[0]?.expiresMs ?? 0) - later.now() - 3_599_000)).toBeLessThan(2);
    await store.save(record, [contact('b')]);
    later.advance(200);
    expect(keys(second)).toEqual(['b']);
    expect(keys(store)).toEqual(['b']);
  });

  it('back: nothing lives longer than was granted', async () => {
    const store = await openStore();
    await store.save(record, [contact('a')]);
    await store.close();
    const later = new FakeClock(clock.wallNow() - 86_400_000);
    const second = await openStore(later);
    expect(keys(second)).toEqual(['a']);
    expect((second.lookup(record)[0]?.expiresMs ?? 0) - later.now()).toBeLessThanOrEqual(3_600_000);
  });

  it('forward: a removal and a later refresh by the partner are not undone', async () => {
    const primary = await openStore();
    const backup = await openStore();
    await primary.save(record, [contact('a', { cseq: 1 }), contact('gone')]);
    clock.advance(200);
    clock.steppedMs = 86_400_000;
    await backup.save(
      record,
      [contact('a', { cseq: 2 })].map((each) => each),
    );
    await clock.advanceAsync(1_000);
    expect(primary.lookup(record).map(({ key, cseq }) => [key, cseq])).toEqual([['a', 2]]);
    const third = await openStore(new FakeClock(clock.wallNow()));
    expect(third.lookup(record).map(({ key, cseq }) => [key, cseq])).toEqual([['a', 2]]);
  });
});

describe('location store: other users of the machine', () => {
  it('can read neither the file nor its companions, whatever the umask says', async () => {
    const umask = process.umask(0o000);
    try {
      const store = await openStore();
      await store.save(record, [contact('a')]);
      const modes = readdirSync(directory).map((name) => [
        name,
        (statSync(join(directory, name)).mode & 0o777).toString(8),
      ]);
      expect(modes).toEqual([
        ['location.db', '600'],
        ['location.db-shm', '600'],
        ['location.db-wal', '600'],
      ]);
    } finally {
      process.umask(umask);
    }
  });

  it('lose what an earlier version let them read', async () => {
    const first = await openStore();
    await first.save(record, [contact('a')]);
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o644);
    const second = await openStore();
    expect(keys(second)).toEqual(['a']);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o077).toBe(0);
  });
});
