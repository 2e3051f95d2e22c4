/**
 * What the store does not have yet, or has so lately that the stream has not shown it: by record and contact, the last change alone.
 * What is saved is read from memory when it is sent, so a change that waits is a name and no copy. Until the store has answered, what
 * others changed of the same contact is put aside; then the order of the stream decides.
 *
 *     noted ── take ──► under way ── stored(id) ──► until the stream shows it ──► forgotten
 *       ▲                   │
 *       └── failed ─────────┘
 */

/** What a removed contact leaves behind: the registration that removed it, or that it had. */
export interface Removal {
  readonly callId?: string | undefined;
  readonly cseq?: number | undefined;
  readonly atMs: number;
}

/** `kept`: memory has it, and the store will. */
export type WriteOutcome = 'stored' | 'kept' | 'older' | 'crowded' | 'failed';

type Waiter = (outcome: WriteOutcome) => void;

interface Aside {
  readonly key: string;
  readonly id: string;
  readonly apply: () => void;
}

interface Slot {
  /** key → how it was removed; undefined: it was saved. */
  next: Map<string, Removal | undefined>;
  flight: Write | undefined;
  waiters: Waiter[];
  maxContacts: number;
  isLate: boolean;
  /** key → where in the stream our change stands. */
  readonly written: Map<string, string>;
  /** key → where the stream has shown our change before the store has answered. */
  readonly early: Map<string, string>;
  aside: Aside[];
}

/** The changes of one record that go out together. */
export interface Write {
  readonly record: string;
  readonly changes: ReadonlyMap<string, Removal | undefined>;
  readonly maxContacts: number;
  readonly isLate: boolean;
  readonly waiters: readonly Waiter[];
}

export class PendingWrites {
  readonly #slots = new Map<string, Slot>();
  readonly #fresh = new Set<string>();
  readonly #late = new Set<string>();
  #underWay = 0;
  #lateUnderWay = 0;
  #octets = 0;

  /** Records with something that the store does not have, or may not have. */
  get size(): number {
    return this.#fresh.size + this.#late.size + this.#underWay;
  }

  get lateCount(): number {
    return this.#late.size;
  }

  get underWay(): number {
    return this.#underWay;
  }

  /** Is something here that was acknowledged already? */
  get owes(): boolean {
    return this.#late.size > 0 || this.#lateUnderWay > 0 || this.#fresh.size > 0;
  }

  /** What all of it takes, about. */
  get octets(): number {
    return this.#octets;
  }

  /** All that is held, what only waits for the stream among it. */
  get held(): number {
    return this.#slots.size;
  }

  note(record: string, key: string, removal: Removal | undefined, isLate = false): void {
    const slot = this.#slot(record);
    if (!slot.next.has(key)) this.#octets += key.length + changeOctets;
    slot.next.set(key, removal);
    slot.isLate ||= isLate;
    this.#queue(record, slot);
  }

  /** How many contacts the next write of this record may leave there; and whom to tell what became of it. */
  await(record: string, maxContacts: number, waiter: Waiter): void {
    const slot = this.#slots.get(record);
    if (slot === undefined || slot.next.size === 0) {
      waiter('stored');
      return;
    }
    slot.maxContacts = maxContacts;
    slot.waiters.push(waiter);
    this.#queue(record, slot);
  }

  /** The next record to be written; `late` ones are those that waited for the store. */
  take(which: 'fresh' | 'late'): Write | undefined {
    const queue = which === 'fresh' ? this.#fresh : this.#late;
    for (const record of queue) {
      queue.delete(record);
      const slot = this.#slots.get(record);
      if (slot === undefined) continue;
      const { next, waiters, maxContacts, isLate } = slot;
      const write: Write = { record, changes: next, waiters, maxContacts, isLate };
      slot.flight = write;
      slot.next = new Map();
      slot.waiters = [];
      slot.isLate = false;
      this.#underWay += 1;
      if (isLate) this.#lateUnderWay += 1;
      return write;
    }
    return undefined;
  }

  /** `ids`: for each changed key its place in the stream, '' where nothing was announced. */
  stored(write: Write, ids: ReadonlyMap<string, string>): void {
    const slot = this.#landed(write);
    if (slot !== undefined) {
      for (const [key, id] of ids) if (id !== '') slot.written.set(key, id);
      this.#decide(slot);
      for (const [key, id] of slot.early) {
        const written = slot.written.get(key);
        if (written !== undefined && !isAfter(written, id)) slot.written.delete(key);
      }
      slot.early.clear();
      this.#settle(write.record, slot);
    }
    for (const waiter of write.waiters) waiter('stored');
  }

  /** The store refuses; `restore` puts memory right. */
  refused(write: Write, outcome: WriteOutcome, restore: () => void): void {
    const slot = this.#landed(write);
    restore();
    if (slot !== undefined) {
      slot.early.clear();
      this.#decide(slot);
      this.#settle(write.record, slot);
    }
    for (const waiter of write.waiters) waiter(outcome);
  }

  /** It may have been done or not: once more, when the store is back. */
  failed(write: Write): void {
    const slot = this.#landed(write);
    if (slot === undefined) return;
    for (const [key, removal] of write.changes)
      if (!slot.next.has(key)) {
        slot.next.set(key, removal);
        this.#octets += key.length + changeOctets;
      }
    slot.isLate = true;
    slot.waiters.unshift(...write.waiters);
    if (slot.maxContacts === 0) slot.maxContacts = write.maxContacts;
    this.#queue(write.record, slot);
  }

  /** The store is away: what waits is late now. */
  delay(): void {
    for (const record of this.#fresh) {
      const slot = this.#slots.get(record);
      if (slot !== undefined) slot.isLate = true;
      this.#late.add(record);
    }
    this.#fresh.clear();
  }

  /** Forgets what is saved and waits: memory has it, and all of memory is going to be written. Removals stay. Returns how many stay. */
  forgetSaved(): number {
    let removals = 0;
    for (const [record, slot] of this.#slots) {
      for (const [key, removal] of slot.next) {
        if (removal !== undefined) removals += 1;
        else if (slot.next.delete(key)) this.#octets -= key.length + changeOctets;
      }
      this.#release(record, slot);
    }
    return removals;
  }

  /** Removals that nobody remembers will lapse in the store. Returns how many there were. */
  forgetRemovals(): number {
    let removals = 0;
    for (const [record, slot] of this.#slots) {
      for (const [key, removal] of slot.next) {
        if (removal === undefined) continue;
        removals += 1;
        slot.next.delete(key);
        this.#octets -= key.length + changeOctets;
      }
      this.#release(record, slot);
    }
    return removals;
  }

  /** The stream is read anew: what it would have shown of ours is not waited for. */
  forgetWritten(): void {
    for (const [record, slot] of this.#slots) {
      slot.written.clear();
      slot.early.clear();
      this.#settle(record, slot);
    }
  }

  /** May this change of somebody else's be applied now? Where ours is undecided, `apply` is kept until it is decided. */
  admits(record: string, key: string, id: string, apply: () => void): boolean {
    const slot = this.#slots.get(record);
    if (slot === undefined) return true;
    if (slot.next.has(key) || slot.flight?.changes.has(key) === true) {
      slot.aside = slot.aside.filter((aside) => aside.key !== key);
      slot.aside.push({ key, id, apply });
      return false;
    }
    const written = slot.written.get(key);
    if (written === undefined) return true;
    if (!isAfter(id, written)) return false;
    slot.written.delete(key);
    this.#settle(record, slot);
    return true;
  }

  /** Have we changed this contact ourselves, so that what was read of it a moment ago need not hold? */
  isPending(record: string, key: string): boolean {
    const slot = this.#slots.get(record);
    return slot !== undefined && (slot.next.has(key) || slot.flight?.changes.has(key) === true);
  }

  /** The stream shows a change of ours. */
  shown(record: string, key: string, id: string): void {
    const slot = this.#slots.get(record);
    if (slot === undefined) return;
    // The stream comes over another connection than the answer.
    if (slot.flight?.changes.has(key) === true) slot.early.set(key, id);
    const written = slot.written.get(key);
    if (written === undefined || isAfter(written, id)) return;
    slot.written.delete(key);
    this.#settle(record, slot);
  }

  /** Everybody who waits hears this. */
  abandon(): void {
    for (const { waiters, flight } of this.#slots.values())
      for (const waiter of [...waiters.splice(0), ...(flight?.waiters ?? [])]) waiter('failed');
  }

  #slot(record: string): Slot {
    let slot = this.#slots.get(record);
    if (slot === undefined) {
      slot = {
        next: new Map(),
        flight: undefined,
        waiters: [],
        maxContacts: 0,
        isLate: false,
        written: new Map(),
        early: new Map(),
        aside: [],
      };
      this.#slots.set(record, slot);
      this.#octets += record.length + slotOctets;
    }
    return slot;
  }

  /** One write of a record at a time: the next goes out when the one before it is answered. */
  #queue(record: string, slot: Slot): void {
    if (slot.flight !== undefined || slot.next.size === 0) return;
    if (slot.isLate && slot.waiters.length === 0) {
      if (!this.#fresh.has(record)) this.#late.add(record);
      return;
    }
    this.#late.delete(record);
    this.#fresh.add(record);
  }

  #landed(write: Write): Slot | undefined {
    const slot = this.#slots.get(write.record);
    if (slot?.flight !== write) return undefined;
    slot.flight = undefined;
    this.#underWay -= 1;
    if (write.isLate) this.#lateUnderWay -= 1;
    for (const key of write.changes.keys()) this.#octets -= key.length + changeOctets;
    return slot;
  }

  /** What others changed meanwhile, as far as it is later than ours. */
  #decide(slot: Slot): void {
    const { aside } = slot;
    slot.aside = [];
    for (const each of aside) {
      if (slot.next.has(each.key)) {
        slot.aside.push(each);
        continue;
      }
      const written = slot.written.get(each.key);
      if (written !== undefined && !isAfter(each.id, written)) continue;
      slot.written.delete(each.key);
      each.apply();
    }
  }

  /** Nothing of it waits any more? */
  #release(record: string, slot: Slot): void {
    if (slot.next.size > 0) return;
    this.#fresh.delete(record);
    this.#late.delete(record);
    for (const waiter of slot.waiters.splice(0)) waiter('kept');
    this.#settle(record, slot);
  }

  #settle(record: string, slot: Slot): void {
    if (slot.flight !== undefined) return;
    if (slot.next.size > 0) {
      this.#queue(record, slot);
      return;
    }
    if (slot.written.size > 0) return;
    if (this.#slots.delete(record)) this.#octets -= record.length + slotOctets;
  }
}

/** Is the first id of a stream after the second? */
export function isAfter(id: string, other: string): boolean {
  const [ms = 0, order = 0] = id.split('-').map(Number);
  const [otherMs = 0, otherOrder = 0] = other.split('-').map(Number);
  return ms > otherMs || (ms === otherMs && order > otherOrder);
}

/** Measured, about: a slot with its maps; an entry of one. */
const slotOctets = 400;
const changeOctets = 80;
