/**
 * What a store does not have yet: the last change of each contact. Changes that somebody waits for go first; those that nobody waits for (all
 * that is known, for a new file; what has lapsed) come after them. Written in batches, so that no commit holds up the process.
 */
import type { Change } from './sqlite-file.ts';

type Changes = Map<string, Map<string, Change>>;

export class UnwrittenChanges {
  readonly #maxRecords: number;
  /** Record → key → the last change. */
  readonly #awaited: Changes = new Map();
  readonly #patient: Changes = new Map();
  dropped = 0;

  constructor(maxRecords: number) {
    this.#maxRecords = maxRecords;
  }

  get isEmpty(): boolean {
    return this.#awaited.size === 0 && this.#patient.size === 0;
  }

  /** Does somebody wait for a change of this record? */
  awaits(record: string): boolean {
    return this.#awaited.has(record);
  }

  has(record: string, key: string): boolean {
    return this.#awaited.get(record)?.has(key) === true || this.#patient.get(record)?.has(key) === true;
  }

  note(change: Change): void {
    const { record } = change;
    const key = keyOf(change);
    const former = this.#patient.get(record);
    if (former?.delete(key) === true && former.size === 0) this.#patient.delete(record);
    this.#put(this.#awaited, record, key, change);
  }

  /** In its turn, and not at all where somebody has said another thing. */
  noteLater(change: Change): void {
    const key = keyOf(change);
    if (this.#awaited.get(change.record)?.has(key) !== true) this.#put(this.#patient, change.record, key, change);
  }

  /** Have we a word of our own on this contact, later than theirs? That its time was over is none: they may have refreshed it. */
  overrules(theirs: Change): boolean {
    const key = keyOf(theirs);
    const own = this.#awaited.get(theirs.record)?.get(key) ?? this.#patient.get(theirs.record)?.get(key);
    return own !== undefined && own.kind !== 'lapsed' && own.kind !== 'retimed';
  }

  /** The next to be written: whole records, some more than `limit` changes at most. They stay until `written`. */
  batch(limit: number): Batch {
    const changes: Change[] = [];
    const awaited = gather(this.#awaited, limit, changes);
    const patient = gather(this.#patient, limit - changes.length, changes);
    return { changes, awaited, patient };
  }

  written({ awaited, patient }: Batch): void {
    for (const record of awaited) this.#awaited.delete(record);
    for (const record of patient) this.#patient.delete(record);
  }

  #put(into: Changes, record: string, key: string, change: Change): void {
    let changes = into.get(record);
    if (changes === undefined) {
      // A store that is away must not grow the memory without end; what is dropped lapses or is registered again.
      if (into.size >= this.#maxRecords) {
        const [oldest] = into.keys();
        if (oldest !== undefined) into.delete(oldest);
        this.dropped += 1;
      }
      changes = new Map();
      into.set(record, changes);
    }
    changes.set(key, change);
  }
}

export interface Batch {
  readonly changes: readonly Change[];
  readonly awaited: readonly string[];
  readonly patient: readonly string[];
}

function gather(from: Changes, limit: number, into: Change[]): readonly string[] {
  const records: string[] = [];
  const until = into.length + limit;
  for (const [record, changes] of from) {
    if (into.length >= until) break;
    records.push(record);
    into.push(...changes.values());
  }
  return records;
}

export const keyOf = (change: Change): string => (change.kind === 'saved' ? change.contact.key : change.key);
