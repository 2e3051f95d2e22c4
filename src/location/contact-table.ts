/** Records and their contacts in memory: what every driver answers from. No timer per contact; a bounded sweep drops what has lapsed. */
import type { Contact } from '../location-service.ts';

interface Entry {
  /** Best q first, then the latest; lapsed ones stay until the sweep passes. */
  readonly contacts: readonly Contact[];
  /** Before this time nothing in the entry has lapsed. */
  readonly soonestMs: number;
  readonly octets: number;
}

const none: readonly Contact[] = [];

export class ContactTable {
  readonly #entries = new Map<string, Entry>();
  readonly #maxRecords: number;
  readonly #maxOctets: number;
  #octets = 0;
  /** Where the sweep stopped. A Map's iterator survives insertions and deletions, so it need not begin anew. */
  #sweepAt: Iterator<[string, Entry]> | undefined;

  constructor(maxRecords: number, maxOctets = Number.POSITIVE_INFINITY) {
    this.#maxRecords = maxRecords;
    this.#maxOctets = maxOctets;
  }

  /** What all records take, about. */
  get octets(): number {
    return this.#octets;
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

  /** May these contacts be written? Always, where they take no more than what is there already. */
  hasRoomFor(record: string, contacts: readonly Contact[]): boolean {
    if (contacts.length === 0) return true;
    const entry = this.#entries.get(record);
    if (entry === undefined && this.#entries.size >= this.#maxRecords) return false;
    const added = weigh(record, contacts) - (entry?.octets ?? 0);
    return added <= 0 || this.#octets + added <= this.#maxOctets;
  }

  set(record: string, contacts: readonly Contact[]): void {
    this.#octets -= this.#entries.get(record)?.octets ?? 0;
    if (contacts.length === 0) {
      this.#entries.delete(record);
      return;
    }
    const octets = weigh(record, contacts);
    this.#octets += octets;
    let soonestMs = Number.POSITIVE_INFINITY;
    for (const { expiresMs } of contacts) if (expiresMs < soonestMs) soonestMs = expiresMs;
    this.#entries.set(record, {
      contacts: contacts.length === 1 ? contacts : contacts.toSorted(byPreference),
      soonestMs,
      octets,
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

function weigh(record: string, contacts: readonly Contact[]): number {
  let octets = record.length;
  for (const contact of contacts) {
    const { target, key, path, alternates, callId = '', userAgent = '', params = '', instance = '' } = contact;
    octets += contactOctets + target.length + key.length + callId.length + userAgent.length + params.length;
    octets += instance.length + alternates.length * addressOctets;
    for (const entry of path) octets += entry.length;
  }
  return octets;
}

/** An object with its map entry and the headers of its strings, measured. */
const contactOctets = 600;
const addressOctets = 100;

/** A whole round of the table takes a minute at most, and a small table is done in one step. */
export const sweepBudget = (records: number): number => Math.max(1_000, Math.ceil(records / 60));

export const sweepEveryMs = 1_000;

const liveOf = (entry: Entry, nowMs: number): readonly Contact[] =>
  nowMs < entry.soonestMs ? entry.contacts : entry.contacts.filter(({ expiresMs }) => expiresMs > nowMs);

const byPreference = (a: Contact, b: Contact): number => b.q - a.q || b.updatedMs - a.updatedMs;
