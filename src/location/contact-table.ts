/**
 * Records and their contacts in memory: what every driver answers from. A million of them have to fit, so that a record is one short text
 * (contact-text.ts), and times and CSeq are numbers in typed arrays: a refresh writes numbers, and leaves the collector nothing. Whoever is asked
 * for lately is kept read. No timer per contact; a bounded sweep drops what has lapsed.
 */

import { hashKey, keyedHash } from '../keyed-hash.ts';
import type { Contact } from '../location-service.ts';
import { systemRandom } from '../random.ts';
import { contactOf, contactText, SharedWords } from './contact-text.ts';

const none: readonly Contact[] = [];

export class ContactTable {
  readonly #maxRecords: number;
  readonly #maxOctets: number;
  readonly #words = new SharedWords();
  /** By slot: the record, a line end, and the text of each contact behind one; undefined: the slot is free. */
  readonly #texts: (string | undefined)[] = [];
  /** By slot: its hash, and the first of its cells. */
  #hashes = new Int32Array(initialSlots);
  #firsts = new Int32Array(initialSlots);
  /** Slot + 1 by hash, linear probing; 0: nothing. At most two thirds full. */
  #index = new Int32Array(4 * initialSlots);
  #freeSlots: number[] = [];
  /** One cell for each contact, in the order of the text. */
  #expiresMs = new Float64Array(initialSlots);
  #updatedMs = new Float64Array(initialSlots);
  #cseqs = new Float64Array(initialSlots);
  #nexts = new Int32Array(initialSlots);
  #cells = 0;
  #freeCell = noCell;
  #size = 0;
  #octets = 0;
  #sweepAt = 0;
  /** What was read lately, by the low bits of its slot. */
  readonly #readSlots = new Int32Array(readKept).fill(-1);
  readonly #readContacts: (readonly Contact[])[] = Array.from({ length: readKept }, () => none);
  /** What was weighed last is mostly what is written next. */
  #weighed: { readonly record: string; readonly contacts: readonly Contact[]; readonly text: string } | undefined;

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
    return this.#size;
  }

  /** So many records will come: what has to grow grows once. */
  reserve(records: number): void {
    const wanted = Math.min(records, this.#maxRecords);
    this.#growSlots(wanted);
    this.#growCells(wanted);
  }

  /** The live contacts of a record, in order of preference. */
  live(record: string, nowMs: number): readonly Contact[] {
    const slot = this.#find(record, hashOf(record));
    return slot < 0 ? none : this.#liveAt(slot, nowMs);
  }

  /** What is held for a record, lapsed or not. */
  held(record: string): readonly Contact[] {
    const slot = this.#find(record, hashOf(record));
    return slot < 0 ? none : this.#contactsAt(slot);
  }

  has(record: string): boolean {
    return this.#find(record, hashOf(record)) >= 0;
  }

  /** May these contacts be written? Always, where they take no more than what is there already. */
  hasRoomFor(record: string, contacts: readonly Contact[]): boolean {
    if (contacts.length === 0) return true;
    const slot = this.#find(record, hashOf(record));
    if (slot < 0 && this.#size >= this.#maxRecords) return false;
    if (this.#maxOctets === Number.POSITIVE_INFINITY) return true;
    const text = this.#textOf(record, contacts);
    this.#weighed = { record, contacts, text };
    const added = weigh(text, contacts.length) - (slot < 0 ? 0 : this.#weightAt(slot));
    return added <= 0 || this.#octets + added <= this.#maxOctets;
  }

  set(record: string, given: readonly Contact[]): void {
    const hash = hashOf(record);
    let slot = this.#find(record, hash);
    if (given.length === 0) {
      if (slot >= 0) this.#remove(slot);
      return;
    }
    const contacts = given.length === 1 ? given : given.toSorted(byPreference);
    const weighed = this.#weighed;
    this.#weighed = undefined;
    const isWeighed = weighed?.contacts === contacts && weighed.record === record;
    const text = isWeighed ? weighed.text : this.#textOf(record, contacts);
    if (slot < 0) {
      slot = this.#insert(hash, text);
      this.#octets += weigh(text, contacts.length);
    } else {
      this.#octets += weigh(text, contacts.length) - this.#weightAt(slot);
      // Nearly always a refresh: the text is the one that is there.
      if (this.#texts[slot] !== text) this.#texts[slot] = flat(text);
    }
    this.#writeCells(slot, contacts);
    const at = slot & (readKept - 1);
    this.#readSlots[at] = slot;
    this.#readContacts[at] = contacts;
  }

  *records(nowMs: number): Generator<readonly [string, readonly Contact[]]> {
    for (let slot = 0; slot < this.#texts.length; slot += 1) {
      const text = this.#texts[slot];
      if (text === undefined) continue;
      const contacts = this.#filtered(slot, this.#read(slot), nowMs);
      if (contacts.length > 0) yield [recordOf(text), contacts];
    }
  }

  /** Looks at up to `budget` slots from where it stopped the last time, drops what has lapsed and reports it. */
  sweep(nowMs: number, budget: number, lapsed?: (record: string, contact: Contact) => void): void {
    const round = this.#texts.length;
    for (let visited = 0, looked = 0; visited < budget && looked < round; looked += 1) {
      if (this.#sweepAt >= this.#texts.length) this.#sweepAt = 0;
      const slot = this.#sweepAt;
      this.#sweepAt += 1;
      const text = this.#texts[slot];
      if (text === undefined) continue;
      visited += 1;
      if (!this.#hasLapsed(slot, nowMs)) continue;
      const record = recordOf(text);
      const contacts = this.#contactsAt(slot);
      if (lapsed !== undefined) for (const contact of contacts) if (contact.expiresMs <= nowMs) lapsed(record, contact);
      this.set(
        record,
        contacts.filter(({ expiresMs }) => expiresMs > nowMs),
      );
    }
  }

  #textOf(record: string, contacts: readonly Contact[]): string {
    let text = written(record);
    for (const contact of contacts) text += `\n${contactText(contact, this.#words)}`;
    return text;
  }

  // --- slots --------------------------------------------------------------------------------------------------------------

  #find(given: string, hash: number): number {
    const record = written(given);
    const mask = this.#index.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = (this.#index[at] ?? 0) - 1;
      if (slot < 0) return -1;
      if (this.#hashes[slot] === hash && isOf(this.#texts[slot], record)) return slot;
    }
  }

  #insert(hash: number, text: string): number {
    this.#growSlots(this.#size + 1);
    const slot = this.#freeSlots.pop() ?? this.#texts.length;
    this.#texts[slot] = flat(text);
    this.#hashes[slot] = hash;
    this.#firsts[slot] = noCell;
    this.#enter(slot, hash);
    this.#size += 1;
    return slot;
  }

  #enter(slot: number, hash: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let at = hash & mask;
    while (index[at] !== 0) at = (at + 1) & mask;
    index[at] = slot + 1;
  }

  #remove(slot: number): void {
    this.#octets -= this.#weightAt(slot);
    this.#freeCells(slot);
    this.#leave(slot);
    this.#texts[slot] = undefined;
    this.#freeSlots.push(slot);
    this.#size -= 1;
    this.#forget(slot);
  }

  /** Takes a slot out of the index; what stands behind it moves up, so that no gap hides it (Knuth 6.4, algorithm R). */
  #leave(slot: number): void {
    const index = this.#index;
    const mask = index.length - 1;
    let gap = (this.#hashes[slot] ?? 0) & mask;
    while (index[gap] !== slot + 1) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const home = (this.#hashes[(index[at] ?? 1) - 1] ?? 0) & mask;
      // May it stand in the gap? Not where that lies before its home.
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      index[gap] = index[at] ?? 0;
      gap = at;
    }
    index[gap] = 0;
  }

  #growSlots(wanted: number): void {
    if (wanted > this.#hashes.length) {
      const length = grown(this.#hashes.length, wanted);
      this.#hashes = copied(this.#hashes, new Int32Array(length));
      this.#firsts = copied(this.#firsts, new Int32Array(length));
    }
    if (wanted * 3 <= this.#index.length * 2) return;
    let length = this.#index.length;
    while (wanted * 3 > length * 2) length *= 2;
    const former = this.#index;
    this.#index = new Int32Array(length);
    for (const entry of former) if (entry !== 0) this.#enter(entry - 1, this.#hashes[entry - 1] ?? 0);
  }

  // --- cells --------------------------------------------------------------------------------------------------------------

  /** The cells of a slot are used again, as far as they go. */
  #writeCells(slot: number, contacts: readonly Contact[]): void {
    let cell = this.#firsts[slot] ?? noCell;
    let before = noCell;
    for (const { expiresMs, updatedMs, cseq } of contacts) {
      if (cell === noCell) {
        cell = this.#newCell();
        if (before === noCell) this.#firsts[slot] = cell;
        else this.#nexts[before] = cell;
      }
      this.#expiresMs[cell] = expiresMs;
      this.#updatedMs[cell] = updatedMs;
      this.#cseqs[cell] = cseq ?? Number.NaN;
      before = cell;
      cell = this.#nexts[cell] ?? noCell;
    }
    if (before === noCell) return;
    this.#nexts[before] = noCell;
    this.#giveBack(cell);
  }

  #newCell(): number {
    const cell = this.#freeCell;
    if (cell !== noCell) {
      this.#freeCell = this.#nexts[cell] ?? noCell;
      this.#nexts[cell] = noCell;
      return cell;
    }
    this.#growCells(this.#cells + 1);
    this.#nexts[this.#cells] = noCell;
    this.#cells += 1;
    return this.#cells - 1;
  }

  #freeCells(slot: number): void {
    this.#giveBack(this.#firsts[slot] ?? noCell);
    this.#firsts[slot] = noCell;
  }

  #giveBack(first: number): void {
    for (let cell = first; cell !== noCell; ) {
      const next = this.#nexts[cell] ?? noCell;
      this.#nexts[cell] = this.#freeCell;
      this.#freeCell = cell;
      cell = next;
    }
  }

  #growCells(wanted: number): void {
    if (wanted <= this.#expiresMs.length) return;
    const length = grown(this.#expiresMs.length, wanted);
    this.#expiresMs = copied(this.#expiresMs, new Float64Array(length));
    this.#updatedMs = copied(this.#updatedMs, new Float64Array(length));
    this.#cseqs = copied(this.#cseqs, new Float64Array(length));
    this.#nexts = copied(this.#nexts, new Int32Array(length));
  }

  #hasLapsed(slot: number, nowMs: number): boolean {
    for (let cell = this.#firsts[slot] ?? noCell; cell !== noCell; cell = this.#nexts[cell] ?? noCell)
      if ((this.#expiresMs[cell] ?? 0) <= nowMs) return true;
    return false;
  }

  // --- reading ------------------------------------------------------------------------------------------------------------

  #liveAt(slot: number, nowMs: number): readonly Contact[] {
    return this.#filtered(slot, this.#contactsAt(slot), nowMs);
  }

  #filtered(slot: number, contacts: readonly Contact[], nowMs: number): readonly Contact[] {
    return this.#hasLapsed(slot, nowMs) ? contacts.filter(({ expiresMs }) => expiresMs > nowMs) : contacts;
  }

  #contactsAt(slot: number): readonly Contact[] {
    const at = slot & (readKept - 1);
    if (this.#readSlots[at] === slot) return this.#readContacts[at] ?? none;
    const contacts = this.#read(slot);
    this.#readSlots[at] = slot;
    this.#readContacts[at] = contacts;
    return contacts;
  }

  #read(slot: number): readonly Contact[] {
    const text = this.#texts[slot] ?? '';
    const contacts: Contact[] = [];
    let cell = this.#firsts[slot] ?? noCell;
    for (let at = text.indexOf('\n') + 1; cell !== noCell; cell = this.#nexts[cell] ?? noCell) {
      const end = text.indexOf('\n', at);
      contacts.push(
        contactOf(
          text.slice(at, end < 0 ? text.length : end),
          this.#words,
          this.#expiresMs[cell] ?? 0,
          this.#updatedMs[cell] ?? 0,
          this.#cseqs[cell] ?? Number.NaN,
        ),
      );
      at = end + 1;
    }
    return contacts;
  }

  #forget(slot: number): void {
    const at = slot & (readKept - 1);
    if (this.#readSlots[at] !== slot) return;
    this.#readSlots[at] = -1;
    this.#readContacts[at] = none;
  }

  #weightAt(slot: number): number {
    let contacts = 0;
    for (let cell = this.#firsts[slot] ?? noCell; cell !== noCell; cell = this.#nexts[cell] ?? noCell) contacts += 1;
    return weigh(this.#texts[slot] ?? '', contacts);
  }
}

const weigh = (text: string, contacts: number): number => text.length + recordOctets + contacts * cellOctets;

/** The header of a text, its place, hash, first cell and places in the index. */
const recordOctets = 48;
const cellOctets = 28;

/** Does this text begin with the record, and a line end? */
const isOf = (text: string | undefined, record: string): boolean =>
  text !== undefined && text.charCodeAt(record.length) === 10 && text.startsWith(record);

const recordOf = (text: string): string => {
  const record = text.slice(0, text.indexOf('\n'));
  return record.includes('\\') ? record.replace(/\\([ln])/g, (_, c: string) => (c === 'n' ? '\n' : '\\')) : record;
};

/** A record as the text begins with it: in one line. */
const written = (record: string): string =>
  record.includes('\n') || record.includes('\\')
    ? record.replace(/[\\\n]/g, (c) => (c === '\n' ? '\\n' : '\\l'))
    : record;

/**
 * Names are chosen by whoever registers. A hash that only begins elsewhere in each process does not help: what collides in FNV-1a does so
 * from every beginning with the same low octet.
 */
const key = hashKey(Buffer.from(systemRandom.hex(16), 'hex'));
const words = new Int32Array(2);

function hashOf(record: string): number {
  keyedHash(record, key, false, words);
  return words[0] ?? 0;
}

/** A concatenation keeps all of its pieces: its characters are copied together once. */
function flat(text: string): string {
  // Asking for a character makes V8 join it in place; the answer must be used, or the question is optimized away.
  return text.charCodeAt(0) === 0 ? text.slice() : text;
}

const grown = (length: number, wanted: number): number => {
  let longer = length;
  while (longer < wanted) longer *= 2;
  return longer;
};

function copied<A extends Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}

const noCell = -1;
const initialSlots = 1_024;

/** A power of two: so many records are kept read. */
const readKept = 8_192;

/** A whole round of the table takes a minute at most. A small table is done in one step, a large one in slices of some milliseconds. */
export const sweepBudget = (records: number): number =>
  Math.max(1_000, Math.ceil((records * sweepEveryMs(records)) / 60_000));

export const sweepEveryMs = (records: number): number => (records > 20_000 ? 100 : 1_000);

const byPreference = (a: Contact, b: Contact): number => b.q - a.q || b.updatedMs - a.updatedMs;
