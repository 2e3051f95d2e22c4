import { spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Contact, createLog, type LocationService, Metrics, silentLog } from '../../src/internal.ts';
import { openLocation } from '../../src/location/open.ts';
import { SqliteLocations } from '../../src/location/sqlite.ts';
import { FakeClock } from '../support/fake-clock.ts';

const record = 'sip:alice@example.com';
const sources = new URL('../../src/', import.meta.url).href;

let directory: string;
let path: string;
let clock: FakeClock;
let opened: LocationService[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'altpath-location-'));
  path = join(directory, 'location.db');
  clock = new FakeClock();
  opened = [];
});

afterEach(async () => {
  for (const service of opened) await service.close();
  rmSync(directory, { recursive: true, force: true });
});

async function openStore(options: { maxRecords?: number; metrics?: Metrics } = {}): Promise<SqliteLocations> {
  const service = new SqliteLocations({ path, clock, log: silentLog, metrics: new Metrics(), ...options });
  opened.push(service);
  await service.open();
  return service;
}

function contact(key: string, more: Partial<Contact> = {}): Contact {
  return {
    protocol: 'sip',
    target: key,
    key,
    path: [],
    alternates: [],
    expiresMs: clock.now() + 3_600_000,
    q: 1_000,
    updatedMs: clock.now(),
    ...more,
  };
}

const keys = (service: LocationService, of = record): string[] => service.lookup(of).map(({ key }) => key);

describe('location store: what it remembers', () => {
  it('gives every field of a contact back after a restart, the name of the flow as well: it says which process had it', async () => {
    const first = await openStore();
    const full = contact('sip:alice@127.0.0.9:5061', {
      address: { transport: 'tcp', host: '127.0.0.9', port: 5061 },
      flow: 'tcp-17',
      path: ['<sip:p1.example.com;lr>', '<sip:p2.example.com;lr>'],
      alternates: [{ transport: 'udp', host: '127.0.0.8', port: 5060 }],
      q: 700,
      instance: '<urn:uuid:00000000-0000-1000-8000-000A95A0E128>',
      regId: 1,
      callId: 'a84b4c76e66710',
      cseq: 1_826,
      userAgent: 'telephone/1.0',
      params: ';audio',
    });
    await first.save(record, [full]);
    await first.close();
    const second = await openStore();
    expect(second.lookup(record)).toEqual([full]);
    expect(first.size).toBe(1);
  });

  it('keeps provisioned contacts, records with odd characters and contacts with NUL apart', async () => {
    const first = await openStore();
    await first.save('1001', [contact('aaln/1@rgw1', { expiresMs: Number.POSITIVE_INFINITY })]);
    await first.save('sip:a\0b@example.com', [contact('one')]);
    await first.save('sip:a\0c@example.com', [contact("t'wo;--")]);
    await first.close();
    const second = await openStore();
    expect(second.lookup('1001')[0]?.expiresMs).toBe(Number.POSITIVE_INFINITY);
    expect(keys(second, 'sip:a\0b@example.com')).toEqual(['one']);
    expect(keys(second, 'sip:a\0c@example.com')).toEqual(["t'wo;--"]);
  });

  it('does not bring back what was removed or has lapsed meanwhile', async () => {
    const first = await openStore();
    await first.save(record, [contact('a'), contact('b'), contact('short', { expiresMs: clock.now() + 1_000 })]);
    await first.save(
      record,
      first.lookup(record).filter(({ key }) => key !== 'a'),
    );
    await first.close();
    clock.advance(1_000);
    const second = await openStore();
    expect(keys(second)).toEqual(['b']);
    expect(rows('SELECT count(*) AS n FROM contact WHERE expires_ms <= 0')).toEqual([{ n: 0 }]);
  });

  it('deletes the rows of lapsed contacts', async () => {
    const store = await openStore();
    await store.save(record, [contact('a', { expiresMs: clock.now() + 1_000 })]);
    await clock.advanceAsync(3_000);
    await store.close();
    expect(rows('SELECT key FROM contact')).toEqual([]);
  });

  it('resolves the saves of one turn after one transaction', async () => {
    const metrics = new Metrics();
    const store = await openStore({ metrics });
    const saves: Promise<void>[] = [];
    for (let user = 0; user < 100; user += 1) saves.push(store.save(`sip:${user}@example.com`, [contact('a')]));
    let stored = false;
    void saves[0]?.then(() => {
      stored = true;
    });
    await Promise.resolve();
    expect(stored).toBe(false);
    expect(rows('SELECT count(*) AS n FROM contact')).toEqual([{ n: 0 }]);
    await Promise.all(saves);
    expect(rows('SELECT count(*) AS n FROM contact')).toEqual([{ n: 100 }]);
    expect(metrics.counter('location_commits', '').value).toBe(1);
  });

  it('refuses a new record beyond its limit, and everything once closed', async () => {
    const store = await openStore({ maxRecords: 1 });
    await store.save(record, [contact('a')]);
    await expect(store.save('sip:bob@example.com', [contact('a')])).rejects.toMatchObject({ code: 'ERR_LOCATION' });
    await store.close();
    await store.close();
    await expect(store.save(record, [])).rejects.toMatchObject({ code: 'ERR_LOCATION' });
  });

  it('stores what is under way when it is closed', async () => {
    const store = await openStore();
    const saving = store.save(record, [contact('a')]);
    await store.close();
    await saving;
    expect(keys(await openStore())).toEqual(['a']);
  });
});

describe('location store: kill -9', () => {
  it('loses nothing that was acknowledged', async () => {
    const script = join(directory, 'registers.ts');
    writeFileSync(
      script,
      `import { writeSync } from 'node:fs';
       import { systemClock } from '${sources}clock.ts';
       import { silentLog } from '${sources}log.ts';
       import { Metrics } from '${sources}metrics.ts';
       import { openLocation } from '${sources}location/open.ts';
       const store = openLocation('sqlite:${path}', { clock: systemClock, log: silentLog, metrics: new Metrics() });
       await store.open();
       for (let batch = 0; batch < 100_000; batch += 1) {
         await Promise.all([0, 1, 2].map(async (each) => {
           const user = batch * 3 + each;
           await store.save('sip:' + user + '@example.com', [{ protocol: 'sip', target: 'sip:t', key: 'k' + user, path: [],
             alternates: [], expiresMs: systemClock.now() + 3_600_000, q: 1000, updatedMs: 0 }]);
           writeSync(1, user + '\\n');
         }));
       }`,
    );
    // A file takes every line at once; a pipe refuses it (EAGAIN) while nobody reads.
    const said = join(directory, 'acknowledged');
    const file = openSync(said, 'w');
    const child = spawn(process.execPath, [script], { stdio: ['ignore', file, 'inherit'] });
    closeSync(file);
    await new Promise<void>((resolve, reject) => {
      const watch = setInterval(() => {
        if (statSync(said).size > 4_000) child.kill('SIGKILL');
      }, 5);
      child.on('error', reject);
      child.on('close', () => {
        clearInterval(watch);
        resolve();
      });
    });
    const output = readFileSync(said, 'utf8');
    expect(child.signalCode).toBe('SIGKILL');
    const acknowledged = output.split('\n').slice(0, -1);
    expect(acknowledged.length).toBeGreaterThan(500);
    clock = new FakeClock(Date.now());
    const store = await openStore();
    const lost = acknowledged.filter((user) => keys(store, `sip:${user}@example.com`)[0] !== `k${user}`);
    expect(lost).toEqual([]);
  });
});

describe('location store: two processes of one host', () => {
  it('shows the registrations of one to the other within 200 ms', async () => {
    const primary = await openStore();
    const backup = await openStore();
    await primary.save(record, [contact('b')]);
    clock.advance(200);
    await primary.save(record, [contact('a', { flow: 'primary.life1.tcp-1' })]);
    expect(keys(backup)).toEqual(['b']);
    clock.advance(200);
    expect(keys(backup)).toEqual(['a']);
    expect(backup.lookup(record)[0]?.flow).toBe('primary.life1.tcp-1');
    expect(primary.lookup(record)[0]?.flow).toBe('primary.life1.tcp-1');
  });

  it('shows removals too', async () => {
    const primary = await openStore();
    const backup = await openStore();
    await primary.save(record, [contact('a'), contact('b')]);
    clock.advance(200);
    await primary.save(record, []);
    clock.advance(200);
    expect(keys(backup)).toEqual([]);
    expect(backup.size).toBe(0);
  });

  it('loses neither of two contacts that were saved into one record at the same time', async () => {
    const primary = await openStore();
    const backup = await openStore();
    await Promise.all([primary.save(record, [contact('at primary')]), backup.save(record, [contact('at backup')])]);
    clock.advance(200);
    expect(keys(primary).toSorted()).toEqual(['at backup', 'at primary']);
    expect(keys(backup).toSorted()).toEqual(['at backup', 'at primary']);
    expect(rows('SELECT key FROM contact ORDER BY key')).toEqual([{ key: 'at backup' }, { key: 'at primary' }]);
  });

  it('lets the later commit of one contact win everywhere', async () => {
    const primary = await openStore();
    const backup = await openStore();
    await primary.save(record, [contact('a', { cseq: 1 })]);
    await backup.save(record, [contact('a', { cseq: 2 })]);
    clock.advance(200);
    expect(primary.lookup(record)[0]?.cseq).toBe(2);
    expect(backup.lookup(record)[0]?.cseq).toBe(2);
  });

  it('does not delete as lapsed what the other has refreshed', async () => {
    const primary = await openStore();
    await primary.save(record, [contact('a', { expiresMs: clock.now() + 1_000 })]);
    const backup = await openStore();
    clock.advance(950);
    await backup.save(record, [contact('a')]);
    await clock.advanceAsync(5_000);
    expect(rows('SELECT key FROM contact')).toEqual([{ key: 'a' }]);
    expect(keys(primary)).toEqual(['a']);
  });

  it('drops the marks of removed contacts when nobody can hold them any more', async () => {
    const store = await openStore();
    await store.save(record, [contact('a', { expiresMs: clock.now() + 2_000 })]);
    await store.save(record, []);
    expect(rows('SELECT key FROM contact')).toEqual([{ key: 'a' }]);
    await clock.advanceAsync(3_000);
    expect(rows('SELECT key FROM contact')).toEqual([]);
  });

  it('may be created by several processes at once', async () => {
    const script = join(directory, 'opens.ts');
    writeFileSync(
      script,
      `import { systemClock } from '${sources}clock.ts';
       import { silentLog } from '${sources}log.ts';
       import { Metrics } from '${sources}metrics.ts';
       import { openLocation } from '${sources}location/open.ts';
       const store = openLocation('sqlite:${path}', { clock: systemClock, log: silentLog, metrics: new Metrics() });
       await store.open();
       await store.save(process.argv[2], [{ protocol: 'sip', target: 'sip:t', key: 'k', path: [], alternates: [],
         expiresMs: systemClock.now() + 3_600_000, q: 1000, updatedMs: 0 }]);
       await store.close();`,
    );
    const codes = await Promise.all(
      ['one', 'two', 'three'].map(
        (name) =>
          new Promise<number | null>((resolve, reject) => {
            const child = spawn(process.execPath, [script, name], { stdio: ['ignore', 'inherit', 'inherit'] });
            child.on('error', reject);
            child.on('close', resolve);
          }),
      ),
    );
    expect(codes).toEqual([0, 0, 0]);
    clock = new FakeClock(Date.now());
    expect([...(await openStore()).records()].map(([name]) => name).toSorted()).toEqual(['one', 'three', 'two']);
  });
});

describe('location store: failures', () => {
  it('goes on in memory with a loud line when the store breaks, and writes everything once it is back', async () => {
    const metrics = new Metrics();
    const lines: string[] = [];
    const log = createLog({ level: 'silent', format: 'json' }).child({});
    log.error = (...words: unknown[]) => lines.push(JSON.stringify(words));
    const store = new SqliteLocations({ path, clock, log, metrics, retryMs: 1_000 });
    opened.push(store);
    await store.open();
    await store.save(record, [contact('before')]);
    rows('DROP TABLE contact');
    await store.save('sip:bob@example.com', [contact('during')]);
    expect(keys(store)).toEqual(['before']);
    expect(lines.join()).toContain('LOCATION STORE LOST');
    expect(await metrics.text()).toContain('altpath_location_degraded 1');
    await store.save('sip:carol@example.com', [contact('later')]);
    for (const name of [path, `${path}-wal`, `${path}-shm`]) rmSync(name, { force: true });
    await clock.advanceAsync(1_000);
    expect(await metrics.text()).toContain('altpath_location_degraded 0');
    await store.close();
    const again = await openStore();
    expect(again.size).toBe(3);
    expect(keys(again, 'sip:bob@example.com')).toEqual(['during']);
  });

  it('notices that the file was taken away, and makes a new one with all that it knows', async () => {
    const store = await openStore();
    await store.save(record, [contact('a')]);
    for (const name of [path, `${path}-wal`, `${path}-shm`]) rmSync(name, { force: true });
    await clock.advanceAsync(200);
    expect(keys(store)).toEqual(['a']);
    await clock.advanceAsync(5_000);
    expect(existsSync(path)).toBe(true);
    expect(rows('SELECT key FROM contact')).toEqual([{ key: 'a' }]);
  });

  it('waits a moment for another process that is writing, then goes on in memory', async () => {
    const store = await openStore();
    const other = new DatabaseSync(path);
    other.exec('BEGIN IMMEDIATE');
    await store.save(record, [contact('a')]);
    expect(keys(store)).toEqual(['a']);
    other.exec('COMMIT');
    other.close();
    await clock.advanceAsync(5_000);
    expect(rows('SELECT key FROM contact')).toEqual([{ key: 'a' }]);
  });

  it('is not stopped by a disk that is full', async () => {
    const script = join(directory, 'fills.ts');
    writeFileSync(
      script,
      `import { writeSync } from 'node:fs';
       import { systemClock } from '${sources}clock.ts';
       import { createLog } from '${sources}log.ts';
       import { Metrics } from '${sources}metrics.ts';
       import { openLocation } from '${sources}location/open.ts';
       process.on('SIGXFSZ', () => {});
       const log = createLog({ level: 'error', format: 'json' });
       const store = openLocation('sqlite:${path}', { clock: systemClock, log, metrics: new Metrics() });
       await store.open();
       for (let user = 0; user < 3_000; user += 1)
         await store.save('sip:' + user + '@example.com', [{ protocol: 'sip', target: 'sip:' + 'x'.repeat(300), key: 'k', path: [],
           alternates: [], expiresMs: systemClock.now() + 3_600_000, q: 1000, updatedMs: 0 }]);
       const found = [...store.records()].length;
       await store.close();
       log.error('found ' + found);`,
    );
    // A limit of the shell on the size of any file stands in for the full disk.
    const child = spawn('/bin/sh', ['-c', `ulimit -f 500; exec "${process.execPath}" "${script}"`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    expect(output).toContain('LOCATION STORE LOST');
    expect(output).toContain('found 3000');
    expect(code).toBe(0);
  });

  it('leaves out rows that are no contacts', async () => {
    const first = await openStore();
    await first.save(record, [contact('a'), contact('b'), contact('c')]);
    await first.close();
    rows(`UPDATE contact SET body = '{"protocol":5}' WHERE key = 'a'`);
    rows(`UPDATE contact SET body = 'no json' WHERE key = 'b'`);
    expect(keys(await openStore())).toEqual(['c']);
  });

  it('says in one line why a file cannot be opened', async () => {
    mkdirSync(path);
    await expect(openStore()).rejects.toMatchObject({ code: 'ERR_FILE', message: expect.stringContaining(path) });
  });

  it('refuses the database of another program and that of a newer version', async () => {
    rows('CREATE TABLE recipes (title TEXT)');
    await expect(openStore()).rejects.toThrow('something else');
    rows('PRAGMA user_version = 99');
    await expect(openStore()).rejects.toThrow('newer altpath');
  });
});

describe('location store: words of the operator', () => {
  const parts = () => ({ clock, log: silentLog, metrics: new Metrics() });

  it('creates the directory of the file', async () => {
    const service = openLocation(`sqlite:${join(directory, 'a', 'b', 'location.db')}`, parts());
    await service.open();
    await service.close();
    expect(existsSync(join(directory, 'a', 'b', 'location.db'))).toBe(true);
  });

  it('explains what may be written', () => {
    for (const spec of ['', 'sqlite:', 'oracle:x'])
      expect(() => openLocation(spec, parts())).toThrow(
        'write memory, sqlite:PATH, for example sqlite:data/location.db, or redis://HOST',
      );
    writeFileSync(join(directory, 'file'), '');
    expect(() => openLocation(`sqlite:${join(directory, 'file', 'x.db')}`, parts())).toThrow('cannot be created');
  });
});

/** A statement by another connection, as another program would run it. */
function rows(statement: string): unknown[] {
  const database = new DatabaseSync(path);
  try {
    return database
      .prepare(statement)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}
