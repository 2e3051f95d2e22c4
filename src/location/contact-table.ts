/** Records and their contacts in memory: what every driver answers from. No timer per contact; a bounded sweep drops what has lapsed. */
import type { Contact } from '../location-service.ts';

interface Entry {
  /** Best q first, then the latest; lapsed ones stay until the sweep passes. */
  readonly contacts: readonly Contact[];
  /** Before this time nothing in the entry has lapsed. */
  readonly soonestMs: number;
}

const none: readonly Contact[] = [];

export class ContactTable {
  readonly #entries = new Map<string, Entry>();
  readonly #maxRecords: number;
  /** Where the sweep stopped. A Map's iterator survives insertions and deletions, so it need not begin anew. */
  #sweepAt: Iterator<[string, Entry]> | undefined;

  constructor(maxRecords: number) {
    this.#maxRecords = maxRecords;
  }

  /** Records, those among them that lapsed since the last sweep. */
  get size(): number {
    return this.#entries.size;
  }

  /** The live contacts of a record, in order of preference. */
  live(record: string, nowMs: number): readonly Contact[] {
    const entry = this.#entries.get(record);
    return entry === undefined ? none : liveOf(entry, nowMs);
  }

  /** What is held for a record, lapsed or not. */
  held(record: string): readonly Contact[] {
    return this.#entries.get(record)?.contacts ?? none;
  }

  /** May this record be written? A record that is there already always may. */
  hasRoomFor(record: string): boolean {
    return this.#entries.size < this.#maxRecords || this.#entries.has(record);
  }

  set(record: string, contacts: readonly Contact[]): void {
    if (contacts.length === 0) {
      this.#entries.delete(record);
      return;
    }
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const { expiresMs } of contacts) if (expiresMs < soonestMs) soonestMs = expiresMs;
    this.#entries.set(record, {
      contacts: contacts.length === 1 ? contacts : contacts.toSorted(byPreference),
      soonestMs,
    });
  }

  *records(nowMs: number): Generator<readonly [string, readonly Contact[]]> {
    for (const [record, entry] of this.#entries) {
      const contacts = liveOf(entry, nowMs);
      if (contacts.length > 0) yield [record, contacts];
    }
  }

  /** Looks at up to `budget` records from where it stopped the last time, drops what has lapsed and reports it. */
  sweep(nowMs: number, budget: number, lapsed?: (record: string, contact: Contact) => void): void {
    for (let visited = 0; visited < budget; visited += 1) {
      this.#sweepAt ??= this.#entries.entries();
      const step = this.#sweepAt.next();
      if (step.done === true) {
        this.#sweepAt = undefined;
        return;
      }
      const [record, entry] = step.value;
      if (nowMs < entry.soonestMs) continue;
      if (lapsed !== undefined)
        for (const contact of entry.contacts) if (contact.expiresMs <= nowMs) lapsed(record, contact);
      this.set(record, liveOf(entry, nowMs));
    }
  }
}

/** A whole round of the table takes a minute at most, and a small table is done in one step. */
export const sweepBudget = (records: number): number => Math.max(1_000, Math.ceil(records / 60));

export const sweepEveryMs = 1_000;

const liveOf = (entry: Entry, nowMs: number): readonly Contact[] =>
  nowMs < entry.soonestMs ? entry.contacts : entry.contacts.filter(({ expiresMs }) => expiresMs > nowMs);

const byPreference = (a: Contact, b: Contact): number => b.q - a.q || b.updatedMs - a.updatedMs;
