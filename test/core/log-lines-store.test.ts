/** What the log says of the location store: each event is made to happen, with the fields that docs/log-events.md names. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Metrics } from '../../src/internal.ts';
import { SqliteLocations } from '../../src/location/sqlite.ts';
import { logEvents } from '../../src/log-events.ts';
import { contactAt } from '../contract/location-service.contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type LogLine, logLines } from '../support/log-lines.ts';

let directory: string;
let path: string;
let clock: FakeClock;
let lines: LogLine[];
let store: SqliteLocations;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'altpath-store-lines-'));
  path = join(directory, 'location.db');
  clock = new FakeClock();
  const logged = logLines();
  lines = logged.lines;
  store = new SqliteLocations({ path, clock, log: logged.log, metrics: new Metrics(), retryMs: 1_000 });
});

afterEach(async () => {
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

/** The line of this event, once, with the event's words. */
function told(name: keyof typeof logEvents): LogLine {
  const found = lines.filter(({ event }) => event === name);
  expect(found.map(({ msg }) => msg)).toEqual([logEvents[name].text]);
  const [line] = found;
  if (line === undefined) throw new Error(`no ${name}`);
  return line;
}

const save = (user: string): Promise<void> => store.save(`${user}@example.com`, [contactAt(clock, 'x')]);

function sql(text: string): void {
  const database = new DatabaseSync(path);
  database.exec(text);
  database.close();
}

it('says that registrations are in memory alone, that this goes on, and that it is over', async () => {
  await store.open();
  await save('alice');
  sql('DROP TABLE contact; CREATE TABLE contact (x TEXT)');
  await save('bob');
  expect(told('storeFileLost')).toMatchObject({ path, reason: expect.stringContaining('no such column') });
  await clock.advanceAsync(1_000);
  expect(told('storeFileStillAway')).toMatchObject({ path, reason: expect.any(String) });
  for (const name of [path, `${path}-wal`, `${path}-shm`]) rmSync(name, { force: true });
  await clock.advanceAsync(1_000);
  expect(told('storeFileBack')).toMatchObject({ path, dropped: 0 });
});

it('says that a file is damaged, and where it is now', async () => {
  writeFileSync(path, 'a letter to my aunt'.repeat(100));
  await store.open();
  expect(told('storeFileDamaged')).toMatchObject({ path, aside: expect.stringContaining('.corrupt-') });
});

it('says how many rows are no contacts', async () => {
  await store.open();
  await save('alice');
  await store.close();
  sql(`UPDATE contact SET body = '{"protocol":5}'`);
  await store.open();
  expect(told('storeFileRows')).toMatchObject({ path, rows: 1 });
});

it('says that the calendar was set, and by how much', async () => {
  await store.open();
  clock.steppedMs = 3_600_000;
  await clock.advanceAsync(10_000);
  expect(told('calendarSet')).toMatchObject({ stepMs: 3_600_000 });
});
