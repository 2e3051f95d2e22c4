/**
 * The location service that survives kill -9: answers from memory, writes to one SQLite file. All saves of one turn of the event
 * loop become one transaction, and their promises resolve after its COMMIT.
 *
 * Processes of one host may share the file, a primary and its backup above all. Guaranteed: each sees the others' commits within
 * `pollMs`, and at once where it would know of nobody; writes of different contacts of one record never undo each other (a save stores what it changed, not the whole list);
 * of two writes of the same contact the later commit wins.
 *
 * A store that fails after it was opened (lost, full, corrupt, held by a stopped process) is left aside with a loud log line:
 * memory goes on serving and accepting, what was not written is kept, and the store is tried again until it is back. A damaged
 * file is renamed and a new one begun.
 *
 *     closed ── open() ──► stored ── failure ──► degraded ── retry ──► stored        close() from any
 */
import type { Cancel, Clock } from '../clock.ts';
import { FileError, LocationError } from '../errors.ts';
import type { Contact, LocationService } from '../location-service.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import { CalendarWatch } from './calendar.ts';
import { Checkpoints } from './checkpoints.ts';
import { ContactTable, sweepBudget, sweepEveryMs } from './contact-table.ts';
import { isSameContact } from './contact-text.ts';
import { defaultMaxRecords, locationFull } from './memory.ts';
import { busyMs, type Change, isBusy, isCorrupt, SqliteFile } from './sqlite-file.ts';
import { inodeOf, setAside } from './store-file.ts';
import { keyOf, UnwrittenChanges } from './unwritten-changes.ts';

export interface SqliteLocationOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** New records beyond this are refused. */
  readonly maxRecords?: number | undefined;
  /** Writes that would make all records together longer than this are refused. */
  readonly maxOctets?: number | undefined;
  /** How often the commits of other processes are looked for. */
  readonly pollMs?: number | undefined;
  /** A store that failed is tried again this often. */
  readonly retryMs?: number | undefined;
}

type State = 'closed' | 'stored' | 'degraded';

interface Waiter {
  readonly record: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class SqliteLocations implements LocationService {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #table: ContactTable;
  readonly #pollMs: number;
  readonly #retryMs: number;
  readonly #commits: Counter;
  readonly #failures: Counter;
  readonly #corrupt: Counter;
  #state: State = 'closed';
  #file: SqliteFile | undefined;
  /** The file last in use, to tell whether it is the same that comes back. */
  #identity = '';
  #seenSeq = -1;
  /** What the file does not have yet. */
  readonly #unwritten: UnwrittenChanges;
  /** What is in the file and not in memory yet: what is behind this row, but for records that were asked for. */
  #loading: { row: number; readonly asked: Set<string> } | undefined;
  #checkpoints: Checkpoints | undefined;
  #whenLoaded: (() => void) | undefined;
  #waiters: Waiter[] = [];
  #flushAhead = false;
  #busyTurns = 0;
  /** Until then the file is not asked on behalf of a look-up: it was found locked. */
  #askAgainMs = 0;
  readonly #calendar: CalendarWatch;
  #timers = new Map<'poll' | 'sweep' | 'retry', Cancel>();

  constructor(options: SqliteLocationOptions) {
    this.#path = options.path;
    this.#clock = options.clock;
    this.#log = options.log;
    const maxRecords = options.maxRecords ?? defaultMaxRecords;
    this.#table = new ContactTable(maxRecords, options.maxOctets);
    this.#unwritten = new UnwrittenChanges(maxRecords);
    this.loaded = new Promise((resolve) => {
      this.#whenLoaded = resolve;
    });
    this.#pollMs = options.pollMs ?? 200;
    this.#retryMs = options.retryMs ?? 5_000;
    this.#commits = options.metrics.counter('location_commits', 'Transactions of the location store');
    this.#failures = options.metrics.counter('location_failures', 'Failures of the location store');
    this.#corrupt = options.metrics.counter('location_corrupt', 'Damaged location stores that were set aside');
    this.#calendar = new CalendarWatch(this.#clock);
    options.metrics.gauge('location_degraded', '1 while registrations are kept in memory alone', () =>
      this.#state === 'degraded' ? 1 : 0,
    );
  }

  /** A large file is read while it is served from: by then all of it is in memory. */
  readonly loaded: Promise<void>;

  get size(): number {
    return this.#table.size;
  }

  async open(): Promise<void> {
    if (this.#state !== 'closed') return;
    const file = this.#openFile();
    this.#use(file);
    if (!this.#unwritten.isEmpty) this.#flushSoon();
    this.#loadLater();
    if (file.unreadableRows > 0) logEvent(this.#log, 'storeFileRows', { path: this.#path, rows: file.unreadableRows });
    this.#sweepLater();
    this.#repeat('poll', this.#pollMs, () => this.#poll());
  }

  lookup(record: string): readonly Contact[] {
    if (this.#loading !== undefined) this.#loadRecord(record);
    const nowMs = this.#clock.now();
    const live = this.#table.live(record, nowMs);
    return live.length > 0 || !this.#ask(nowMs) ? live : this.#table.live(record, nowMs);
  }

  save(record: string, contacts: readonly Contact[]): Promise<void> {
    if (this.#state === 'closed') return Promise.reject(new LocationError('the location service is closed'));
    if (this.#loading !== undefined) this.#loadRecord(record);
    if (!this.#table.hasRoomFor(record, contacts)) return Promise.reject(locationFull());
    const before = this.#table.held(record);
    this.#table.set(record, contacts);
    for (const contact of contacts)
      if (!before.some((each) => isSameContact(each, contact)))
        this.#unwritten.note({ kind: 'saved', record, contact });
    for (const { key } of before)
      if (!contacts.some((contact) => contact.key === key)) this.#unwritten.note({ kind: 'removed', record, key });
    if (this.#state === 'degraded') return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiters.push({ record, resolve, reject });
      this.#flushSoon();
    });
  }

  records(): Iterable<readonly [record: string, contacts: readonly Contact[]]> {
    return this.#table.records(this.#clock.now());
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#checkpoints?.stop();
    while (this.#state === 'stored' && !this.#unwritten.isEmpty && this.#flush(true));
    if (this.#state === 'stored') this.#flush(true);
    this.#state = 'closed';
    this.#whenLoaded?.();
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#file?.close();
    this.#file = undefined;
    for (const { reject } of this.#waiters.splice(0)) reject(new LocationError('the location service was closed'));
  }

  /** A damaged file is set aside, with all that could not be read of it. @throws FileError where it cannot be opened. */
  #openFile(): SqliteFile {
    for (let tries = 1; ; tries += 1) {
      const inode = inodeOf(this.#path);
      try {
        return this.#readFile();
      } catch (error) {
        if (!isCorrupt(error) || inode === undefined || tries === maxSetAside) throw error;
        this.#setAside(inode, error);
      }
    }
  }

  #readFile(): SqliteFile {
    const file = new SqliteFile(this.#path, this.#clock);
    try {
      this.#table.reserve(file.beginLoading());
      this.#loading = { row: 0, asked: new Set() };
      for (let rows = 0; rows < rowsAtOpen && this.#loading !== undefined; rows += rowsPerTurn) this.#loadSlice(file);
      return file;
    } catch (error) {
      file.close();
      throw new FileError(`location store ${this.#path} cannot be read: ${String(error)}`, { cause: error });
    }
  }

  #setAside(inode: bigint, reason: unknown): void {
    const aside = setAside(this.#path, inode, this.#clock.wallNow());
    if (aside === undefined) return;
    this.#corrupt.add();
    logEvent(this.#log, 'storeFileDamaged', { path: this.#path, aside, reason: String(reason) });
    this.#noteAll();
  }

  /** A new file gets everything. */
  #noteAll(): void {
    for (const [record, contacts] of this.#table.records(this.#clock.now()))
      for (const contact of contacts) this.#unwritten.noteLater({ kind: 'saved', record, contact });
  }

  // --- loading ------------------------------------------------------------------------------------------------------------

  /** A slice in each turn of the event loop: messages are served in between. */
  #loadLater(): void {
    if (this.#loading === undefined) {
      this.#whenLoaded?.();
      return;
    }
    setImmediate(() => {
      const file = this.#file;
      if (this.#state !== 'stored' || file === undefined) return;
      try {
        this.#loadSlice(file);
      } catch (error) {
        if (!isBusy(error)) {
          this.#degrade(error);
          return;
        }
      }
      this.#loadLater();
    });
  }

  #loadSlice(file: SqliteFile): void {
    const loading = this.#loading;
    if (loading === undefined) return;
    const row = file.loadSlice(loading.row, rowsPerTurn, (change) => {
      if (!loading.asked.has(change.record) && !this.#unwritten.overrules(change)) this.#apply(change);
    });
    if (row === undefined) this.#loading = undefined;
    else loading.row = row;
  }

  /** Not all of it may be in memory yet. */
  #loadRecord(record: string): void {
    const loading = this.#loading;
    if (loading === undefined || this.#file === undefined || loading.asked.has(record)) return;
    try {
      this.#file.loadRecord(record, (change) => {
        if (!this.#unwritten.overrules(change)) this.#apply(change);
      });
      loading.asked.add(record);
    } catch (error) {
      if (!isBusy(error)) this.#degrade(error);
    }
  }

  /** Before anybody is told that nobody is known: a partner may have stored it a moment ago. Is there anything new? */
  #ask(nowMs: number): boolean {
    if (this.#state !== 'stored' || this.#file === undefined || nowMs < this.#askAgainMs) return false;
    const { seenSeq } = this.#file;
    this.#pull(this.#file);
    return this.#file !== undefined && this.#file.seenSeq !== seenSeq;
  }

  /** After the input that is there has been read, so that one transaction serves all of it. */
  #flushSoon(): void {
    if (this.#flushAhead) return;
    this.#flushAhead = true;
    setImmediate(() => {
      if (this.#flushAhead) this.#flush();
    });
  }

  /** False: it could not be written. */
  #flush(isLast = false): boolean {
    this.#flushAhead = false;
    if (this.#file === undefined || this.#state !== 'stored') return false;
    if (this.#checkpoints?.holds === true && !isLast) return false;
    if (!this.#unwritten.isEmpty) {
      try {
        this.#write(this.#file);
      } catch (error) {
        this.#failures.add();
        this.#busyTurns += 1;
        if (isBusy(error) && this.#busyTurns < maxBusyTurns) this.#flushSoon();
        else this.#degrade(error);
        return false;
      }
    }
    const waiters = this.#waiters.splice(0);
    for (const waiter of waiters)
      if (this.#unwritten.awaits(waiter.record)) this.#waiters.push(waiter);
      else waiter.resolve();
    if (!this.#unwritten.isEmpty) this.#flushSoon();
    return true;
  }

  #write(file: SqliteFile): void {
    const batch = this.#unwritten.batch(changesPerCommit);
    const theirs = file.commit(batch.changes);
    this.#commits.add();
    this.#checkpoints?.committed(batch.changes.length);
    this.#busyTurns = 0;
    for (const change of theirs) if (!this.#unwritten.overrules(change)) this.#apply(change);
    this.#unwritten.written(batch);
  }

  /** Takes over what another process wrote. */
  #apply(change: Change): void {
    if (change.kind === 'retimed') return;
    const { record } = change;
    const key = keyOf(change);
    const held = this.#table.held(record);
    const others = held.some((contact) => contact.key === key) ? held.filter((contact) => contact.key !== key) : held;
    if (change.kind !== 'saved') {
      if (others !== held) this.#table.set(record, others);
      return;
    }
    const contacts = others.length === 0 ? [change.contact] : [...others, change.contact];
    if (this.#table.hasRoomFor(record, contacts)) this.#table.set(record, contacts);
  }

  #poll(): void {
    const file = this.#file;
    this.#heedCalendar();
    if (file === undefined || this.#state !== 'stored') return;
    if (this.#clock.now() >= this.#askAgainMs) this.#pull(file, true);
  }

  #pull(file: SqliteFile, checksPath = false): void {
    try {
      if (checksPath && file.isReplaced()) throw new FileError('the file was removed or replaced');
      file.pull((change) => {
        if (!this.#unwritten.overrules(change)) this.#apply(change);
      });
    } catch (error) {
      // Each question to a locked file holds up the whole process: not again for a while.
      if (isBusy(error)) this.#askAgainMs = this.#clock.now() + lockedPauseMs;
      else this.#degrade(error);
    }
  }

  /** Whoever starts after the calendar was set forward reads our times by the new one: they are put right. */
  #heedCalendar(): void {
    const stepMs = this.#calendar.stepMs();
    if (stepMs === 0) return;
    logEvent(this.#log, 'calendarSet', { stepMs: Math.round(stepMs) });
    if (stepMs < 0) return;
    for (const [record, contacts] of this.#table.records(this.#clock.now()))
      for (const { key, expiresMs } of contacts)
        if (!this.#unwritten.has(record, key)) this.#unwritten.noteLater({ kind: 'retimed', record, key, expiresMs });
    if (this.#state === 'stored') this.#flushSoon();
  }

  #sweep(): void {
    const nowMs = this.#clock.now();
    this.#table.sweep(nowMs, sweepBudget(this.#table.size), (record, { key }) =>
      this.#unwritten.noteLater({ kind: 'lapsed', record, key }),
    );
    if (this.#state !== 'stored' || this.#file === undefined) return;
    if (!this.#unwritten.isEmpty) this.#flushSoon();
    try {
      this.#file.tidy();
    } catch (error) {
      if (!isBusy(error)) this.#degrade(error);
    }
  }

  #degrade(error: unknown): void {
    this.#failures.add();
    this.#state = 'degraded';
    logEvent(this.#log, 'storeFileLost', { path: this.#path, reason: String(error) });
    this.#seenSeq = this.#file?.seenSeq ?? -1;
    this.#closeFile();
    const inode = isCorrupt(error) ? inodeOf(this.#path) : undefined;
    if (inode !== undefined) this.#setAsideOrLeave(inode, error);
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    this.#retryLater();
  }

  #setAsideOrLeave(inode: bigint, reason: unknown): void {
    try {
      this.#setAside(inode, reason);
    } catch (error) {
      this.#log.error({ path: this.#path, reason: String(error) }, 'damaged location store cannot be renamed');
    }
  }

  #retryLater(): void {
    this.#timers.set(
      'retry',
      this.#clock.after(this.#retryMs, () => this.#retry()),
    );
  }

  #retry(): void {
    let file: SqliteFile | undefined;
    const inode = inodeOf(this.#path);
    try {
      // Telephones are being served meanwhile: whoever holds the store is not waited for.
      file = new SqliteFile(this.#path, this.#clock, { sinceSeq: this.#seenSeq, waitMs: retryWaitMs });
      if (file.identity !== this.#identity) {
        // Another file, most likely a new one: it gets everything, and whatever it brings is read from its beginning.
        file.close();
        file = new SqliteFile(this.#path, this.#clock, { waitMs: retryWaitMs });
        this.#noteAll();
        this.#loading = undefined;
      }
      this.#write(file);
      this.#use(file);
    } catch (error) {
      file?.close();
      this.#failures.add();
      if (isCorrupt(error) && inode !== undefined) this.#setAsideOrLeave(inode, error);
      logEvent(this.#log, 'storeFileStillAway', { path: this.#path, reason: String(error) });
      this.#retryLater();
      return;
    }
    logEvent(this.#log, 'storeFileBack', { path: this.#path, dropped: this.#unwritten.dropped });
    this.#unwritten.dropped = 0;
    if (!this.#unwritten.isEmpty) this.#flushSoon();
    this.#loadLater();
  }

  #use(file: SqliteFile): void {
    file.beginService();
    this.#file = file;
    this.#identity = file.identity;
    this.#checkpoints?.stop();
    file.checkpointsItself(false);
    this.#checkpoints = new Checkpoints(this.#path, {
      released: () => {
        if (this.#state === 'stored' && !this.#unwritten.isEmpty) this.#flushSoon();
      },
      failed: (reason) => {
        this.#log.warn({ path: this.#path, reason }, 'location store is checkpointed with its commits');
        if (this.#file === file) file.checkpointsItself(true);
      },
    });
    this.#state = 'stored';
    this.#busyTurns = 0;
  }

  #closeFile(): void {
    this.#checkpoints?.stop();
    this.#checkpoints = undefined;
    try {
      this.#file?.close();
    } catch (error) {
      this.#log.debug({ path: this.#path, reason: String(error) }, 'location store could not be closed');
    }
    this.#file = undefined;
  }

  #sweepLater(): void {
    this.#timers.set(
      'sweep',
      this.#clock.after(sweepEveryMs(this.#table.size), () => {
        this.#sweep();
        if (this.#state !== 'closed') this.#sweepLater();
      }),
    );
  }

  #repeat(name: 'poll', everyMs: number, run: () => void): void {
    this.#timers.set(
      name,
      this.#clock.after(everyMs, () => {
        run();
        if (this.#state !== 'closed') this.#repeat(name, everyMs, run);
      }),
    );
  }
}

/** A partner may damage nothing faster than we set it aside; whatever does ends the start. */
const maxSetAside = 3;

/** How long a locked file is left in peace before it is read again: it stops the event loop for `busyMs` each time. */
const lockedPauseMs = 20 * busyMs;

/** As short as it can be: a retry comes every few seconds for as long as the store is away. */
const retryWaitMs = 10;

/** Turns in a row that may find the store held by another process before it counts as lost (each waits 100 ms by itself). */
const maxBusyTurns = 5;

/** Read before the first message is served, then in each turn: some milliseconds. */
const rowsAtOpen = 20_000;
const rowsPerTurn = 500;

/** A commit of so many takes some ten milliseconds. */
const changesPerCommit = 2_000;
