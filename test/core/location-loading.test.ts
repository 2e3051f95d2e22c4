/** A large store is served from while it is read: nobody is unknown meanwhile, and nothing is undone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Contact, Metrics, silentLog } from '../../src/internal.ts';
import { SqliteLocations } from '../../src/location/sqlite.ts';
import { UnwrittenChanges } from '../../src/location/unwritten-changes.ts';
import { FakeClock } from '../support/fake-clock.ts';

const users = 30_000;
const directory = mkdtempSync(join(tmpdir(), 'altpath-loading-'));
const path = join(directory, 'locations.sqlite');
const clock = new FakeClock();
const opened: SqliteLocations[] = [];

const contact = (key: string, more: Partial<Contact> = {}): Contact => ({
  protocol: 'sip',
  target: `sip:${key}@192.0.2.7:5060`,
  key,
  path: [],
  alternates: [],
  expiresMs: clock.now() + 3_600_000,
  q: 1_000,
  updatedMs: clock.now(),
  ...more,
});

function make(): SqliteLocations {
  const locations = new SqliteLocations({ path, clock, log: silentLog, metrics: new Metrics() });
  opened.push(locations);
  return locations;
}

const record = (user: number): string => `u${user}@example.com`;

beforeAll(async () => {
  const locations = make();
  await locations.open();
  const saves: Promise<void>[] = [];
  for (let user = 0; user < users; user += 1)
    saves.push(
      locations.save(record(user), user % 100 === 0 ? [contact('a'), contact('b', { q: 1 })] : [contact('a')]),
    );
  saves.push(locations.save('gone', [contact('a', { expiresMs: clock.now() + 1_000 })]));
  await Promise.all(saves);
  await locations.close();
  clock.advance(2_000);
}, 60_000);

afterEach(() => Promise.all(opened.splice(0).map((each) => each.close())));
afterAll(() => rmSync(directory, { recursive: true }));

describe('while a large store is being read', () => {
  it('who is not in memory yet is asked of the store; afterwards all are there', async () => {
    const locations = make();
    await locations.open();
    expect(locations.size).toBeLessThan(users);
    expect(locations.lookup(record(users - 100)).map(({ key }) => key)).toEqual(['a', 'b']);
    expect(locations.lookup(record(users - 1))).toHaveLength(1);
    expect(locations.lookup('nobody')).toEqual([]);
    await locations.loaded;
    expect(locations.size).toBe(users);
    for (let user = 0; user < users; user += 997)
      expect(locations.lookup(record(user)), String(user)).toHaveLength(user % 100 === 0 ? 2 : 1);
    expect(locations.lookup('gone')).toEqual([]);
  });

  it('what is saved or removed meanwhile is not undone by what is read later', async () => {
    const locations = make();
    await locations.open();
    const changed = record(users - 100);
    const [a, b] = locations.lookup(changed);
    if (a === undefined || b === undefined) throw new Error('two contacts were stored');
    const saved = locations.save(changed, [{ ...a, cseq: 7 }]);
    const removed = locations.save(record(users - 200), []);
    // Never looked up before: its other contact must stay.
    const added = locations.save(record(users - 300), [
      ...locations.lookup(record(users - 300)),
      contact('c', { q: 5 }),
    ]);
    await Promise.all([saved, removed, added]);
    await locations.loaded;
    const check = (each: SqliteLocations): void => {
      expect(each.lookup(changed)).toMatchObject([{ key: 'a', cseq: 7 }]);
      expect(each.lookup(record(users - 200))).toEqual([]);
      expect(each.lookup(record(users - 300)).map(({ key }) => key)).toEqual(['a', 'c', 'b']);
    };
    check(locations);
    await locations.close();
    const again = make();
    await again.open();
    check(again);
    await again.loaded;
    check(again);
    await Promise.all([
      again.save(changed, [contact('a'), contact('b', { q: 1 })]),
      again.save(record(users - 200), [contact('a'), contact('b', { q: 1 })]),
      again.save(record(users - 300), [contact('a'), contact('b', { q: 1 })]),
    ]);
  });

  it('a partner sees what is saved meanwhile, and we see what it saves', async () => {
    const ours = make();
    const theirs = make();
    await Promise.all([ours.open(), theirs.open()]);
    await theirs.save('new@example.com', [contact('x')]);
    expect(ours.lookup('new@example.com')).toHaveLength(1);
    await ours.save(record(users - 1), [contact('a', { cseq: 99 })]);
    expect(theirs.lookup(record(users - 1))).toMatchObject([{ cseq: 99 }]);
    await Promise.all([ours.loaded, theirs.loaded]);
    expect(theirs.lookup(record(users - 1))).toMatchObject([{ cseq: 99 }]);
    expect(ours.size).toBe(theirs.size);
    await ours.save('new@example.com', []);
  });

  it('may be closed in the middle of it', async () => {
    const locations = make();
    await locations.open();
    await locations.close();
    await locations.loaded;
  });
});

describe('what is not written yet', () => {
  const saved = (name: string, key = 'a') => ({ kind: 'saved', record: name, contact: contact(key) }) as const;
  const lapsed = (name: string, key = 'a') => ({ kind: 'lapsed', record: name, key }) as const;

  it('goes in batches, what somebody waits for first', () => {
    const changes = new UnwrittenChanges(1_000);
    for (let n = 0; n < 10; n += 1) changes.noteLater(lapsed(`old${n}`));
    for (let n = 0; n < 4; n += 1) changes.note(saved(`new${n}`));
    const first = changes.batch(6);
    expect(first.changes.map(({ record: name }) => name)).toEqual(['new0', 'new1', 'new2', 'new3', 'old0', 'old1']);
    expect(changes.awaits('new0')).toBe(true);
    changes.written(first);
    expect(changes.awaits('new0')).toBe(false);
    changes.written(changes.batch(100));
    expect(changes.isEmpty).toBe(true);
  });

  it('is the last word on each contact', () => {
    const changes = new UnwrittenChanges(1_000);
    changes.noteLater(lapsed('a'));
    expect(changes.overrules(saved('a'))).toBe(false);
    changes.note(saved('a'));
    changes.noteLater(lapsed('a'));
    expect(changes.batch(10).changes).toMatchObject([{ kind: 'saved' }]);
    expect(changes.overrules(saved('a'))).toBe(true);
    expect(changes.overrules(saved('a', 'b'))).toBe(false);
  });

  it('has a bound: what is oldest is dropped, and counted', () => {
    const changes = new UnwrittenChanges(10);
    for (let n = 0; n < 25; n += 1) changes.note(saved(String(n)));
    expect(changes.batch(100).changes).toHaveLength(10);
    expect(changes.dropped).toBe(15);
  });
});
