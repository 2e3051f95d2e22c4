/**
 * The SQLite file behind the location service: one row per contact, all in SQL, nothing of policy. Several processes of one host
 * may have it open. Each committed transaction has a number greater than all before it (given out under SQLite's write lock),
 * so "what others changed since" is one indexed question. Write-ahead log, synchronous=NORMAL: a commit survives the death of
 * every process; a power cut may cost the last ones, never the file.
 */
import { statSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { FileError } from '../errors.ts';
import type { Contact } from '../location-service.ts';
import { contactFromText, contactToText } from './contact-row.ts';

export type Change =
  | { readonly kind: 'saved'; readonly record: string; readonly contact: Contact }
  | { readonly kind: 'removed'; readonly record: string; readonly key: string }
  /** Its time is over: the row goes if nobody has refreshed it. */
  | { readonly kind: 'lapsed'; readonly record: string; readonly key: string };

export class SqliteFile {
  /** Unlike for any two files ever created: tells a file put in place of ours. */
  readonly identity: string;
  /** Rows that no contact could be made of. */
  unreadableRows = 0;
  readonly #path: string;
  readonly #inode: bigint;
  readonly #database: DatabaseSync;
  readonly #statements: Statements;
  #seenSeq: number;
  #seenVersion = -1;

  /**
   * Opens or creates. `sinceSeq`: changes up to it are known to the caller.
   * @throws FileError with a sentence an operator can act on.
   */
  constructor(path: string, sinceSeq = -1) {
    this.#path = path;
    let database: DatabaseSync | undefined;
    try {
      database = openDatabase(path);
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

  /** Hands over what others committed since the last question (the first time: everything). @throws where the store fails. */
  pull(nowMs: number, apply: (change: Change) => void): void {
    const version = Number(firstColumn(this.#statements.dataVersion));
    if (version === this.#seenVersion) return;
    this.#seenSeq = this.#changesSince(this.#seenSeq, nowMs, apply);
    this.#seenVersion = version;
  }

  /** Writes `ours` in one transaction; returns what others committed before it. @throws where the store fails; nothing is written then. */
  commit(ours: Iterable<Change>, nowMs: number): Change[] {
    const { begin, commit, rollback, nextSeq, upsert, remove, forget } = this.#statements;
    begin.run();
    try {
      const theirs: Change[] = [];
      this.#changesSince(this.#seenSeq, nowMs, (change) => theirs.push(change));
      const seq = Number(firstColumn(nextSeq));
      for (const change of ours) {
        if (change.kind === 'saved')
          upsert.run(change.record, change.contact.key, seq, change.contact.expiresMs, contactToText(change.contact));
        else if (change.kind === 'removed') remove.run(seq, nowMs + removalKeptMs, change.record, change.key);
        else forget.run(change.record, change.key, nowMs);
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
  tidy(nowMs: number): void {
    this.#statements.forgetRemovals.run(nowMs);
  }

  /** Drops all that has lapsed, for instance while no process was running; reads the whole store. */
  tidyAll(nowMs: number): void {
    this.#statements.forgetAllLapsed.run(nowMs);
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #changesSince(seq: number, nowMs: number, apply: (change: Change) => void): number {
    let lastSeq = seq;
    for (const { record, key, seq: rowSeq, expires_ms, body } of this.#statements.since.iterate(seq)) {
      const expiresMs = Number(expires_ms);
      lastSeq = Number(rowSeq);
      if (typeof record !== 'string' || typeof key !== 'string') continue;
      if (typeof body !== 'string' || expiresMs <= nowMs) {
        apply({ kind: 'removed', record, key });
        continue;
      }
      const contact = contactFromText(body, key, expiresMs);
      if (contact === undefined) this.unreadableRows += 1;
      else apply({ kind: 'saved', record, contact });
    }
    return lastSeq;
  }
}

/** Is this error the store being held by another process for longer than we wait? */
export const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'errcode' in error && (error.errcode === sqliteBusy || error.errcode === sqliteLocked);

const sqliteBusy = 5;
const sqliteLocked = 6;

/** A removed contact leaves a mark until it would have lapsed, at most this long, so that other processes forget it too. */
const removalKeptMs = 86_400_000;

/** How long a statement may wait for another process: short, the event loop stands still meanwhile. */
const busyMs = 100;

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

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: openBusyMs });
  try {
    migrate(database, path);
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    database.exec(`PRAGMA busy_timeout = ${busyMs}`);
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
  forgetRemovals:
    'DELETE FROM contact WHERE rowid IN (SELECT rowid FROM contact WHERE body IS NULL AND expires_ms <= ? LIMIT 1000)',
  forgetAllLapsed: 'DELETE FROM contact WHERE expires_ms <= ?',
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
  forgetRemovals: database.prepare(sql.forgetRemovals),
  forgetAllLapsed: database.prepare(sql.forgetAllLapsed),
});

/** The one value that a statement returns. */
const firstColumn = (statement: StatementSync): unknown => Object.values(statement.get() ?? {})[0];

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
