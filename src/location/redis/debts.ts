/**
 * Who has acknowledged registrations that the store does not have yet. Each member says so of itself in the store, once a second and whenever
 * it changes. Nobody is taken for unknown while a member owes, has not spoken since we found the store (it may have been cut off as we were),
 * or has fallen silent without taking its leave: then it is waited for, for as long as it may take to come back.
 *
 *     1 owes|clear journal|- <life>-<number>          1 left
 */
import type { Clock } from '../../clock.ts';
import { StoreRefusal } from './store-connection.ts';

export interface DebtsParts {
  readonly clock: Clock;
  readonly key: string;
  readonly send: (words: readonly string[]) => Promise<unknown>;
  /** The name of this member, in all its lives where it has a journal; and of this life. */
  readonly name: () => string;
  readonly life: string;
  /** What it owes outlives it. */
  readonly hasJournal: boolean;
  readonly owes: () => boolean;
}

interface Other {
  value: string;
  owes: boolean;
  hasJournal: boolean;
  /** When it last said something new, by our clock. */
  heardMs: number;
  /** Since the store was found. */
  hasSpoken: boolean;
}

export class Debts {
  readonly #parts: DebtsParts;
  readonly #others = new Map<string, Other>();
  /** What we said last; undefined: nothing since the store was found. */
  #told: boolean | undefined;
  /** Each word of ours differs from the one before, so that others see that we live. */
  #words = 0;
  /** Has what others say been read since the store was found? */
  #isRead = false;
  /** Somebody else's key, or a server that does not let us: nobody can be asked, and nobody is doubted. */
  #isRefused = false;

  constructor(parts: DebtsParts) {
    this.#parts = parts;
  }

  /** May a member know somebody whom the store does not have? As of the last reading. */
  get hasDoubt(): boolean {
    return !this.#isRead || this.doubted > 0;
  }

  /** How many are waited for. */
  get doubted(): number {
    let doubted = 0;
    for (const other of this.#others.values()) if (this.#isDoubted(other)) doubted += 1;
    return doubted;
  }

  /** The store was found: what others said before says nothing of what they acknowledged meanwhile. */
  async found(): Promise<void> {
    this.#told = undefined;
    this.#isRefused = false;
    this.#isRead = false;
    await this.look();
    // What stood there may be from before it was away.
    for (const other of this.#others.values()) other.hasSpoken = false;
    this.#isRead = true;
  }

  /** Once a second: we live, and so do they. */
  async look(): Promise<void> {
    await Promise.all([this.#speak(), this.read()]);
  }

  /** Says at once where what we owe has changed. */
  heed(): void {
    if (this.#told === undefined || this.#told === this.#parts.owes()) return;
    // Whether the store is there is found out by others.
    this.#speak().catch(() => {});
  }

  async read(): Promise<void> {
    if (this.#isRefused) return;
    this.#learn(await this.#ask(['HGETALL', this.#parts.key]));
  }

  /** We owe nothing, and are not waited for. */
  async leave(): Promise<void> {
    this.#told = undefined;
    await this.#ask(['HSET', this.#parts.key, this.#parts.name(), `${version} ${left}`]);
  }

  #isDoubted(other: Other): boolean {
    const silentMs = this.#parts.clock.now() - other.heardMs;
    const isClear = !other.owes && other.hasSpoken && silentMs <= lifeMs;
    return !isClear && silentMs <= patienceMs(other);
  }

  async #speak(): Promise<void> {
    if (this.#isRefused) return;
    const { key, name, life, hasJournal, owes } = this.#parts;
    const isOwing = owes();
    this.#told = isOwing;
    this.#words += 1;
    const word = `${version} ${isOwing ? 'owes' : clear} ${hasJournal ? journal : '-'} ${life}-${this.#words}`;
    await this.#ask(['HSET', key, name(), word]);
  }

  async #ask(words: readonly string[]): Promise<unknown> {
    try {
      return await this.#parts.send(words);
    } catch (error) {
      if (!(error instanceof StoreRefusal) || !['WRONGTYPE', 'NOPERM'].includes(error.kind)) throw error;
      this.#isRefused = true;
      this.#others.clear();
      return undefined;
    }
  }

  #learn(reply: unknown): void {
    if (!Array.isArray(reply)) return;
    const nowMs = this.#parts.clock.now();
    const present = new Set<string>();
    for (let at = 0; at + 1 < reply.length; at += 2) {
      const name = String(reply[at]);
      const value = String(reply[at + 1]);
      const [form, standing, kept] = value.split(' ', 4);
      if (name === this.#parts.name() || form !== version) continue;
      const known = this.#others.get(name);
      if (standing === left || (known !== undefined && known.value === value && nowMs - known.heardMs > forgetMs)) {
        this.#others.delete(name);
        this.#forget(name);
        continue;
      }
      present.add(name);
      const said = { value, owes: standing !== clear, hasJournal: kept === journal };
      if (known === undefined) {
        if (this.#others.size < maxOthers) this.#others.set(name, { ...said, heardMs: nowMs, hasSpoken: false });
      } else if (known.value !== value) Object.assign(known, said, { heardMs: nowMs, hasSpoken: true });
    }
    // A store that was emptied says nothing of those who live; whoever is not heard of again is forgotten in the end.
    for (const [name, other] of this.#others)
      if (!present.has(name) && !this.#isDoubted(other) && nowMs - other.heardMs > lifeMs) this.#others.delete(name);
  }

  /** It has left, or will not come back; where it does, it speaks again. */
  #forget(name: string): void {
    this.#ask(['HDEL', this.#parts.key, name]).catch(() => {});
  }
}

const patienceMs = ({ hasJournal }: Other): number => (hasJournal ? journalPatienceMs : plainPatienceMs);

const version = '1';
const clear = 'clear';
const left = 'left';
const journal = 'journal';

/** Whoever lives speaks once a second. */
const lifeMs = 3_000;

/** A machine that was switched off is back by then, and brings what its journal has. */
const journalPatienceMs = 120_000;

/** What a member without a journal owes dies with it; it may be cut off for a moment. */
const plainPatienceMs = 10_000;

const forgetMs = 300_000;

/** Members of one store, by far. */
const maxOthers = 1_000;
