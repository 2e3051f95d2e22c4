/**
 * The SQLite file behind the location service: one row per contact, all in SQL, nothing of policy. Several processes of one host
 * may have it open. Each committed transaction has a number greater than all before it (given out under SQLite's write lock),
 * so "what others changed since" is one indexed question. Write-ahead log, synchronous=NORMAL: a commit survives the death of
 * every process; a power cut may cost the last ones, never the file. Times in the file are the calendar's: the clocks of two
 * processes differ as soon as the calendar was set between their starts.
 */
import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { Clock } from '../clock.ts';
import { FileError } from '../errors.ts';
import type { Contact } from '../location-service.ts';
import { contactFromText, contactToText } from './contact-row.ts';
import { makePrivate } from './store-file.ts';

export type Change =
  | { readonly kind: 'saved'; readonly record: string; readonly contact: Contact }
  | { readonly kind: 'removed'; readonly record: string; readonly key: string }
  /** Its time is over: the row goes if nobody has refreshed it. */
  | { readonly kind: 'lapsed'; readonly record: string; readonly key: string }
  /** The calendar was set forward: its row must not look older than it is. */
  | { readonly kind: 'retimed'; readonly record: string; readonly key: string; readonly expiresMs: number };

export class SqliteFile {
  /** Unlike for any two files ever created: tells a file put in place of ours. */
  readonly identity: string;
  /** Rows that no contact could be made of. */
  unreadableRows = 0;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #inode: bigint;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  #seenSeq: number;
  #seenVersion = -1;

  /**
   * Opens or creates. `sinceSeq`: changes up to it are known to the caller. `waitMs`: how long it may wait for another process.
   * @throws FileError with a sentence an operator can act on.
   */
  constructor(path: string, clock: Clock, { sinceSeq = -1, waitMs = openBusyMs } = {}) {
    this.#path = path;
    this.#clock = clock;
    let database: DatabaseSync | undefined;
    try {
      makePrivate(path);
      database = openDatabase(path, waitMs);
      this.#database = database;
      this.#statements = prepare(database);
      this.identity = String(firstColumn(this.#statements.identity));
      this.#inode = statSync(path, { bigint: true }).ino;
    } catch (error) {
      database?.close();
      if (error instanceof FileError) throw error;
      throw new FileError(`location store ${path} cannot be opened: ${textOf(error)}`, { cause: error });
    }
    this.#seenSeq = sinceSeq;
  }

  get seenSeq(): number {
    return this.#seenSeq;
  }

  /** Has the file at our path been taken away or replaced? Writing would go on without an error, to a file nobody can find. */
  isReplaced(): boolean {
    return statSync(this.#path, { bigint: true, throwIfNoEntry: false })?.ino !== this.#inode;
  }

  /** From now on `pull` hands over what is committed later; what is there now is to be loaded. About how many rows there are. */
  beginLoading(): number {
    this.#seenSeq = Number(firstColumn(this.#statements.newestSeq));
    return Math.ceil((Number(firstColumn(this.#statements.pages)) * pageOctets) / rowOctets);
  }

  /** Who moves the log into the file: a thread beside us, or SQLite with our commits. */
  checkpointsItself(does: boolean): void {
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${does ? pagesPerCheckpoint : 0}`);
  }

  /**
   * Hands over the next rows behind this one, and drops those that have lapsed while nobody ran; the last row that it has seen, undefined
   * where there is no further one. @throws where the store fails.
   */
  loadSlice(afterRow: number, limit: number, apply: (change: Change) => void): number | undefined {
    const { page, forgetLapsed } = this.#statements;
    let last = afterRow;
    let count = 0;
    let lapsed = false;
    for (const columns of page.all(afterRow, limit)) {
      last = Number(columns['row']);
      count += 1;
      if (!this.#apply(columns, apply, false)) lapsed = true;
    }
    if (lapsed)
      try {
        forgetLapsed.run(afterRow, last, this.#clock.wallNow());
      } catch (error) {
        // If another process is writing just now, they may lie there until the next start.
        if (!isBusy(error)) throw error;
      }
    return count < limit ? undefined : last;
  }

  /** What is stored of one record. @throws where the store fails. */
  loadRecord(record: string, apply: (change: Change) => void): void {
    for (const columns of this.#statements.ofRecord.iterate(record)) this.#apply(columns, apply, false);
  }

  /** Hands over what others committed since the last question (the first time: everything). @throws where the store fails. */
  pull(apply: (change: Change) => void): void {
    const version = Number(firstColumn(this.#statements.dataVersion));
    if (version === this.#seenVersion) return;
    this.#seenSeq = this.#changesSince(this.#seenSeq, apply);
    this.#seenVersion = version;
  }

  /** Writes `ours` in one transaction; returns what others committed before it. @throws where the store fails; nothing is written then. */
  commit(ours: Iterable<Change>): Change[] {
    const { begin, commit, rollback, nextSeq, upsert, remove, forget, retime } = this.#statements;
    const nowMs = this.#clock.wallNow();
    const aheadMs = this.#aheadMs();
    begin.run();
    try {
      const theirs: Change[] = [];
      this.#changesSince(this.#seenSeq, (change) => theirs.push(change));
      const seq = Number(firstColumn(nextSeq));
      for (const change of ours) {
        if (change.kind === 'saved') {
          const { record, contact } = change;
          const { key, expiresMs, updatedMs } = contact;
          upsert.run(
            record,
            key,
            seq,
            expiresMs + aheadMs,
            contactToText({ ...contact, updatedMs: updatedMs + aheadMs }),
          );
        } else if (change.kind === 'removed') remove.run(seq, nowMs + removalKeptMs, change.record, change.key);
        else if (change.kind === 'retimed') {
          const expiresMs = change.expiresMs + aheadMs;
          retime.run(expiresMs, change.record, change.key, expiresMs);
        } else forget.run(change.record, change.key, nowMs);
      }
      commit.run();
      this.#seenSeq = seq;
      return theirs;
    } catch (error) {
      if (this.#database.isTransaction) rollback.run();
      throw error;
    }
  }

  /** Drops marks of removed contacts that would have lapsed by now, a bounded number at a time. */
  tidy(): void {
    this.#statements.forgetRemovals.run(this.#clock.wallNow());
  }

  /** From now on a statement waits as long for others as service allows. */
  beginService(): void {
    this.#database.exec(`PRAGMA busy_timeout = ${busyMs}`);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** How far the calendar is ahead of our clock. */
  #aheadMs(): number {
    return this.#clock.wallNow() - this.#clock.now();
  }

  #changesSince(seq: number, apply: (change: Change) => void): number {
    let lastSeq = seq;
    for (const { seq: rowSeq, ...columns } of this.#statements.since.iterate(seq)) {
      lastSeq = Number(rowSeq);
      this.#apply(columns, apply, true);
    }
    return lastSeq;
  }

  /** False: its time is over. `tellsRemoved`: those that are no more are told as well. */
  #apply(columns: Row, apply: (change: Change) => void, tellsRemoved: boolean): boolean {
    const { record, key, expires_ms, body } = columns;
    const nowMs = this.#clock.now();
    const aheadMs = this.#aheadMs();
    const expiresMs = Number(expires_ms) - aheadMs;
    if (typeof record !== 'string' || typeof key !== 'string') return true;
    const isOver = expiresMs <= nowMs;
    if (typeof body !== 'string' || isOver) {
      if (tellsRemoved) apply({ kind: 'removed', record, key });
      return !isOver;
    }
    const contact = contactFromText(body, key, expiresMs);
    if (contact === undefined) this.unreadableRows += 1;
    else apply({ kind: 'saved', record, contact: inOurTime(contact, nowMs, aheadMs) });
    return true;
  }
}

/** A contact of the file with its times by our clock. A calendar that was set back adds nothing to what was granted. */
function inOurTime(contact: Contact, nowMs: number, aheadMs: number): Contact {
  const updatedMs = contact.updatedMs - aheadMs;
  const excessMs = Math.max(0, updatedMs - nowMs);
  return { ...contact, updatedMs: updatedMs - excessMs, expiresMs: contact.expiresMs - excessMs };
}

/** Is this error the store being held by another process for longer than we wait? */
export const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && (error.errcode === sqliteBusy || error.errcode === sqliteLocked);

/** Is this error the file being damaged, or no database at all? */
export const isCorrupt = (error: unknown): boolean =>
  error instanceof Error &&
  (('errcode' in error && (error.errcode === sqliteCorrupt || error.errcode === sqliteNoDatabase)) ||
    isCorrupt(error.cause));

const sqliteBusy = 5;
const sqliteLocked = 6;
const sqliteCorrupt = 11;
const sqliteNoDatabase = 26;

/** A removed contact leaves a mark until it would have lapsed, at most this long, so that other processes forget it too. */
const removalKeptMs = 86_400_000;

/** How long a statement may wait for another process: short, the event loop stands still meanwhile. */
export const busyMs = 100;

/** SQLite's own number. */
const pagesPerCheckpoint = 1_000;

const pageOctets = 4_096;
/** A contact with its index entries; an estimate only saves growth. */
const rowOctets = 450;

/** At start nobody is being served yet. */
const openBusyMs = 5_000;

/**
 * Schema changes in order; `user_version` counts those a file has. Append only: a file of any earlier version is brought up to
 * date when it is opened.
 */
const migrations: readonly string[] = [
  `CREATE TABLE store (identity TEXT NOT NULL, seq INTEGER NOT NULL);
   INSERT INTO store VALUES (lower(hex(randomblob(16))), 0);
   CREATE TABLE contact (
     record TEXT NOT NULL,
     key TEXT NOT NULL,
     seq INTEGER NOT NULL,
     expires_ms REAL NOT NULL,
     body TEXT,
     PRIMARY KEY (record, key)
   );
   CREATE INDEX contact_by_seq ON contact (seq);
   CREATE INDEX contact_removed ON contact (expires_ms) WHERE body IS NULL;`,
];

function openDatabase(path: string, waitMs: number): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: waitMs });
  try {
    migrate(database, path);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const version = (): number => Number(firstColumn(database.prepare('PRAGMA user_version')));
  if (version() === migrations.length) return;
  database.exec('BEGIN IMMEDIATE');
  try {
    const from = version();
    if (from > migrations.length)
      throw new FileError(
        `location store ${path} was written by a newer altpath (schema ${from}, this one knows ${migrations.length}): use that version or another file`,
      );
    if (from === 0 && database.prepare('SELECT 1 FROM sqlite_master LIMIT 1').get() !== undefined)
      throw new FileError(`${path} is a database of something else, not a location store: name another file`);
    for (const migration of migrations.slice(from)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${migrations.length}; COMMIT`);
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

interface Row {
  readonly record?: unknown;
  readonly key?: unknown;
  readonly expires_ms?: unknown;
  readonly body?: unknown;
}

type Statements = Readonly<Record<keyof typeof sql, StatementSync>>;

const sql = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  identity: 'SELECT identity FROM store',
  dataVersion: 'PRAGMA data_version',
  nextSeq: 'UPDATE store SET seq = seq + 1 RETURNING seq',
  since: 'SELECT record, key, seq, expires_ms, body FROM contact WHERE seq > ? ORDER BY seq',
  upsert:
    'INSERT INTO contact VALUES (?, ?, ?, ?, ?) ON CONFLICT (record, key) DO UPDATE SET seq = excluded.seq, expires_ms = excluded.expires_ms, body = excluded.body',
  remove: 'UPDATE contact SET seq = ?, expires_ms = min(expires_ms, ?), body = NULL WHERE record = ? AND key = ?',
  forget: 'DELETE FROM contact WHERE record = ? AND key = ? AND expires_ms <= ?',
  retime: 'UPDATE contact SET expires_ms = ? WHERE record = ? AND key = ? AND body IS NOT NULL AND expires_ms < ?',
  forgetRemovals:
    'DELETE FROM contact WHERE rowid IN (SELECT rowid FROM contact WHERE body IS NULL AND expires_ms <= ? LIMIT 1000)',
  newestSeq: 'SELECT seq FROM store',
  pages: 'PRAGMA page_count',
  page: 'SELECT rowid AS row, record, key, expires_ms, body FROM contact WHERE rowid > ? ORDER BY rowid LIMIT ?',
  ofRecord: 'SELECT record, key, expires_ms, body FROM contact WHERE record = ?',
  forgetLapsed: 'DELETE FROM contact WHERE rowid > ? AND rowid <= ? AND expires_ms <= ?',
} as const;

const prepare = (database: DatabaseSync): Statements => ({
  begin: database.prepare(sql.begin),
  commit: database.prepare(sql.commit),
  rollback: database.prepare(sql.rollback),
  identity: database.prepare(sql.identity),
  dataVersion: database.prepare(sql.dataVersion),
  nextSeq: database.prepare(sql.nextSeq),
  since: database.prepare(sql.since),
  upsert: database.prepare(sql.upsert),
  remove: database.prepare(sql.remove),
  forget: database.prepare(sql.forget),
  retime: database.prepare(sql.retime),
  forgetRemovals: database.prepare(sql.forgetRemovals),
  newestSeq: database.prepare(sql.newestSeq),
  pages: database.prepare(sql.pages),
  page: database.prepare(sql.page),
  ofRecord: database.prepare(sql.ofRecord),
  forgetLapsed: database.prepare(sql.forgetLapsed),
});

/** The one value that a statement returns. */
const firstColumn = (statement: StatementSync): unknown => Object.values(statement.get() ?? {})[0];

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
