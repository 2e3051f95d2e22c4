/** What went wrong in the stores and registrars of others, tried here: each test names the report that it comes from. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Contact, Metrics, silentLog } from '../../../src/internal.ts';
import { SqliteLocations } from '../../../src/location/sqlite.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { world } from './registrar-scene.ts';

let directory: string;
let clock: FakeClock;
let opened: SqliteLocations[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'altpath-reports-'));
  clock = new FakeClock();
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((each) => each.close()));
  rmSync(directory, { recursive: true, force: true });
});

async function store(): Promise<SqliteLocations> {
  const path = join(directory, 'locations.sqlite');
  const locations = new SqliteLocations({ path, clock, log: silentLog, metrics: new Metrics() });
  opened.push(locations);
  await locations.open();
  return locations;
}

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

/** A registrar on a store that others share. */
const registrar = async () => {
  const locations = await store();
  return { ...world({ locations, clock }), locations };
};

const statusOf = (answer: string): number => Number(answer.slice(8, 11));

const alice = 'alice@example.com';

describe('the store', () => {
  // kamailio/kamailio#4511: exactly 1,000 keys were loaded as none, for the last page was taken for the end of nothing.
  it.each([1, 499, 500, 501, 999, 1_000, 1_001, 20_000, 20_500])('brings back %i records', async (count) => {
    const first = await store();
    const saves: Promise<void>[] = [];
    for (let n = 0; n < count; n += 1) saves.push(first.save(`u${n}`, [contact('a')]));
    await Promise.all(saves);
    await first.close();
    const second = await store();
    await second.loaded;
    expect(second.size).toBe(count);
  });

  // kamailio/kamailio#399: a full synchronization at the start had no flow control, and took all memory.
  it('takes a backlog of 25,000 records in commits of a bounded size, new ones first', async () => {
    const locations = await store();
    const saves: Promise<void>[] = [];
    for (let n = 0; n < 25_000; n += 1) saves.push(locations.save(`u${n}`, [contact('a')]));
    const written: string[] = [];
    for (const n of [0, 24_999]) void saves[n]?.then(() => written.push(String(n)));
    await saves[0];
    await new Promise((resolve) => setImmediate(resolve));
    expect(written).toEqual(['0']);
    await Promise.all(saves);
    expect(written).toEqual(['0', '24999']);
  });

  // OpenSIPS/opensips#601: the expiry on one node deleted what another had refreshed meanwhile.
  it('what one process thinks lapsed stays where another has refreshed it', async () => {
    const [a, b] = [await store(), await store()];
    await a.save(alice, [contact('phone', { expiresMs: clock.now() + 1_000, cseq: 1 })]);
    clock.advance(300);
    expect(b.lookup(alice)).toHaveLength(1);
    await b.save(alice, [contact('phone', { cseq: 2 })]);
    await a.close();
    clock.advance(5_000);
    expect(b.lookup(alice)).toHaveLength(1);
    expect((await store()).lookup(alice)).toMatchObject([{ cseq: 2 }]);
  });
});

describe('two registrars with one store', () => {
  // OpenSIPS/opensips#1365: the same telephone that registered through two nodes had two contacts.
  it('a telephone that comes through the other has one contact', async () => {
    const [a, b] = [await registrar(), await registrar()];
    expect(statusOf(await a.register('Contact: <sip:alice@192.0.2.7>\r\n', { cseq: 1 }))).toBe(200);
    clock.advance(300);
    expect(statusOf(await b.register('Contact: <sip:alice@192.0.2.7>\r\n', { cseq: 2 }))).toBe(200);
    clock.advance(300);
    expect(a.locations.lookup(alice)).toHaveLength(1);
    expect(b.locations.lookup(alice)).toMatchObject([{ cseq: 2 }]);
  });

  it('and is gone at both where it unregisters at one', async () => {
    const [a, b] = [await registrar(), await registrar()];
    await a.register('Contact: <sip:alice@192.0.2.7>\r\n', { cseq: 1 });
    clock.advance(300);
    expect(statusOf(await b.register('Contact: <sip:alice@192.0.2.7>;expires=0\r\n', { cseq: 2 }))).toBe(200);
    clock.advance(300);
    expect([a.locations.lookup(alice), b.locations.lookup(alice)]).toEqual([[], []]);
    // A late copy of the first does not bring it back where its CSeq is known to be old: the record is gone, so it is a new one.
    expect(a.locations.size).toBe(0);
  });

  // kamailio/kamailio#265, #1445: the limit of contacts held on one node alone.
  it('the limit of contacts holds over both', async () => {
    const [a, b] = [await registrar(), await registrar()];
    for (const [index, at] of [a, b, a].entries()) {
      expect(
        statusOf(await at.register(`Contact: <sip:alice@192.0.2.${index + 1}>\r\n`, { callId: `c${index}` })),
      ).toBe(200);
      clock.advance(300);
    }
    for (const at of [a, b]) {
      expect(statusOf(await at.register('Contact: <sip:alice@192.0.2.99>\r\n', { callId: 'c99' }))).toBe(403);
      expect(at.locations.lookup(alice)).toHaveLength(3);
    }
  });

  // kamailio/kamailio#3479: a contact of a connection that ended was removed here and stayed there.
  it('what one removes of a lost connection is removed at the other', async () => {
    const [a, b] = [await registrar(), await registrar()];
    await a.register('Contact: <sip:alice@192.0.2.7;transport=tcp>\r\n', { cseq: 1 });
    clock.advance(300);
    expect(b.locations.lookup(alice)).toHaveLength(1);
    await a.locations.save(alice, []);
    clock.advance(300);
    expect(b.locations.lookup(alice)).toEqual([]);
  });
});
