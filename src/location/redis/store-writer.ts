/**
 * Brings to the store what memory has: what is new at once, what waited while the store was away at a bounded rate, each record by one
 * call of the script. What fails waits on; it is bounded, for memory holds all that is saved, and can be gone through instead.
 */
import type { Cancel, Clock } from '../../clock.ts';
import { PendingWrites, type Removal, type Write } from './pending-writes.ts';
import { RecentRemovals } from './recent-removals.ts';
import { readScriptReply, type ScriptCall, type ScriptReply, scriptWords } from './script.ts';
import { shardOf } from './shards.ts';
import { StoreLost, StoreRefusal } from './store-connection.ts';

export interface WriterParts {
  readonly clock: Clock;
  /** The name of this life of this process. */
  readonly member: string;
  readonly maxPending: number;
  readonly send: (shard: number, words: readonly string[]) => Promise<unknown>;
  /** How many writes may be under way just now. */
  readonly limit: () => number;
  readonly epochOf: (shard: number) => string | undefined;
  /** What a key is to hold now; undefined: nothing, it has lapsed or was removed again. */
  readonly textOf: (record: string, key: string, removal: Removal | undefined) => string | undefined;
  readonly restore: (record: string, keys: Iterable<string>, held: readonly string[]) => void;
  /** All records of ours, those that changed lately first; undefined: one that is not meant. */
  readonly all: () => Iterator<readonly [record: string, keys: readonly string[]] | undefined>;
  /** `id`: where it stands in the stream, if it was written; `ms`: how long the answer took. */
  readonly answered: (write: Write, id: string | undefined, ms: number) => void;
  readonly refused: (outcome: 'older' | 'crowded') => void;
  /** This record alone cannot be written. */
  readonly unwritable: (reason: string) => void;
  /** Nothing can be written any more. */
  readonly failed: (error: unknown) => void;
  readonly dropped: (removals: number) => void;
  /** What waits has changed. */
  readonly moved: () => void;
}

export class StoreWriter {
  readonly writes = new PendingWrites();
  readonly #parts: WriterParts;
  readonly #removals: RecentRemovals;
  #rewriting: ReturnType<WriterParts['all']> | undefined;
  /** How many of those that waited may go out before the next moment. */
  #lateLeft = 0;
  #lateTimer: Cancel | undefined;
  #isStopped = false;
  #finished: (() => void)[] = [];

  constructor(parts: WriterParts) {
    this.#parts = parts;
    this.#removals = new RecentRemovals(parts.clock);
  }

  /** Is all that we have to be written? */
  get isRewriting(): boolean {
    return this.#rewriting !== undefined;
  }

  /** Has something been acknowledged that the store does not have? Those who wait for their answer are not meant. */
  get owes(): boolean {
    return this.writes.owes || this.#rewriting !== undefined;
  }

  /** The store has all that we have. */
  get isDone(): boolean {
    return this.writes.size === 0 && this.#rewriting === undefined;
  }

  /** A contact of ours was saved or removed. */
  note(record: string, key: string, removal: Removal | undefined, isLate: boolean): void {
    if (removal !== undefined) this.#removals.add(record, key, removal);
    this.writes.note(record, key, removal, isLate);
    if (this.writes.held > this.#parts.maxPending || this.writes.octets > maxPendingOctets) this.#overflow();
  }

  /** What we have is to be written once more: the store may have lost it, or holds it with wrong times. */
  rewrite(): void {
    this.#rewriting = this.#parts.all();
    this.#removals.all((record, key, removal) => this.writes.note(record, key, removal, true));
  }

  /** Sends what may be sent. */
  pump(): void {
    while (!this.#isStopped && this.writes.underWay < this.#parts.limit()) {
      const write = this.writes.take('fresh') ?? this.#takeLate();
      if (write === undefined) break;
      void this.#write(write);
    }
    this.#parts.moved();
    if (this.#finished.length > 0 && this.isDone) for (const done of this.#finished.splice(0)) done();
  }

  /** Settles when the store has all that we have. */
  finished(): Promise<void> {
    return new Promise((resolve) => {
      this.#finished.push(resolve);
      this.pump();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#lateTimer?.();
    this.writes.abandon();
    for (const done of this.#finished.splice(0)) done();
  }

  async #write(write: Write): Promise<void> {
    const { clock, textOf, failed } = this.#parts;
    const changes: [string, string][] = [];
    for (const [key, removal] of write.changes) {
      const value = textOf(write.record, key, removal);
      if (value !== undefined) changes.push([key, value]);
    }
    if (changes.length === 0) {
      this.writes.stored(write, new Map());
      this.pump();
      return;
    }
    const sentMs = clock.now();
    let reply: ScriptReply;
    try {
      reply = await this.#call(write, changes);
    } catch (error) {
      if (this.#isStopped) return;
      if (error instanceof StoreRefusal && concernsOneRecord(error)) {
        this.writes.refused(write, 'failed', () => {});
        this.#parts.unwritable(`${write.record}: ${error.message}`);
        this.pump();
        return;
      }
      this.writes.failed(write);
      failed(error);
      return;
    }
    if (this.#isStopped) return;
    if (reply.kind === 'epoch') {
      this.writes.failed(write);
      failed(new StoreLost(otherDataSet));
      return;
    }
    this.#answered(write, changes, reply, clock.now() - sentMs);
    this.pump();
  }

  #answered(
    write: Write,
    changes: readonly (readonly [string, string])[],
    reply: Exclude<ScriptReply, { readonly kind: 'epoch' }>,
    ms: number,
  ): void {
    const { restore, refused, answered } = this.#parts;
    if (reply.kind === 'stored') {
      const { ids } = reply;
      this.writes.stored(write, new Map(changes.map(([key], index) => [key, ids[index] ?? ''])));
      answered(
        write,
        ids.findLast((id) => id !== ''),
        ms,
      );
      return;
    }
    const { kind, held } = reply;
    this.writes.refused(write, kind, () => restore(write.record, write.changes.keys(), held));
    refused(kind);
    answered(write, undefined, ms);
  }

  /** A server that was restarted has forgotten the script. */
  async #call(write: Write, changes: ScriptCall['changes']): Promise<ScriptReply> {
    const { clock, member, epochOf, send } = this.#parts;
    const { record, isLate } = write;
    const shard = shardOf(record);
    const call: ScriptCall = {
      shard,
      record,
      epoch: epochOf(shard) ?? '',
      member,
      wallMs: clock.wallNow(),
      // What was acknowledged already is not refused for want of room.
      maxContacts: isLate ? 0 : write.maxContacts,
      isLate,
      changes,
    };
    try {
      return readScriptReply(await send(shard, scriptWords(call, 'EVALSHA')));
    } catch (error) {
      if (!(error instanceof StoreRefusal) || error.kind !== 'NOSCRIPT') throw error;
      return readScriptReply(await send(shard, scriptWords(call, 'EVAL')));
    }
  }

  #takeLate(): Write | undefined {
    if (this.writes.lateCount === 0 && this.#rewriting === undefined) return undefined;
    if (this.#lateLeft <= 0) {
      this.#lateTimer ??= this.#parts.clock.after(lateEveryMs, () => {
        this.#lateTimer = undefined;
        this.#lateLeft = lateAtOnce;
        this.pump();
      });
      return undefined;
    }
    if (this.writes.lateCount === 0) this.#refill();
    const write = this.writes.take('late');
    if (write !== undefined) this.#lateLeft -= 1;
    // None of those that were looked at is to be written now: there are others.
    else if (this.#rewriting !== undefined)
      this.#lateTimer ??= this.#parts.clock.after(refillEveryMs, () => {
        this.#lateTimer = undefined;
        this.pump();
      });
    return write;
  }

  /** The next records of those that are written once more. */
  #refill(): void {
    for (let visited = 0; visited < refillVisits && this.writes.lateCount < lateAtOnce; visited += 1) {
      const step = this.#rewriting?.next();
      if (step === undefined) return;
      if (step.done === true) {
        this.#rewriting = undefined;
        return;
      }
      const [record = '', keys = []] = step.value ?? [];
      for (const key of keys) if (!this.writes.isPending(record, key)) this.writes.note(record, key, undefined, true);
    }
  }

  /** Memory has all contacts: instead of each name, all of them are written when the store is back, those that were written before among them. */
  #overflow(): void {
    const removals = this.writes.forgetSaved();
    this.#rewriting = this.#parts.all();
    if (removals > maxRemovals) this.#parts.dropped(this.writes.forgetRemovals());
  }
}

export const otherDataSet = 'it is not the data set that it was';

/** Anything else that a server refuses with concerns all that we would write. */
const concernsOneRecord = (error: StoreRefusal): boolean =>
  error.kind === 'WRONGTYPE' || (error.kind === 'ERR' && error.message.includes('user_script'));

/** 2,000 a second of what waited: a store that has just come back has others to serve as well. */
const lateEveryMs = 50;
const lateAtOnce = 100;

/** Records that are looked at in one step, and the time that others have in between. */
const refillVisits = 2_000;
const refillEveryMs = 10;

/** Names that wait take no more than this. */
const maxPendingOctets = 33_554_432;
const maxRemovals = 10_000;
