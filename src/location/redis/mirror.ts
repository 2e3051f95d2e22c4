/**
 * The memory that look-ups are answered from, kept as the store is: what others changed is applied in the order of the stream, what was
 * read of a record replaces it, and what this process has changed and the store has not decided stays as it is.
 */
import type { Clock } from '../../clock.ts';
import type { Contact } from '../../location-service.ts';
import type { ContactTable } from '../contact-table.ts';
import { decodeValue, type StoredValue } from './contact-value.ts';

export interface MirrorParts {
  readonly clock: Clock;
  readonly table: ContactTable;
  /** How far the calendar is ahead of our clock. */
  readonly aheadMs: () => number;
  /** A value that no contact could be made of: another version's, or another program's. */
  readonly unreadable: () => void;
  readonly isPending: (record: string, key: string) => boolean;
  /** Is all that we have of such records to be written, since the store may have lost it? */
  readonly isRewritten: (record: string) => boolean;
}

export class Mirror {
  readonly #parts: MirrorParts;
  /** While the store is read: contacts that were changed since it was begun, by `record\nkey`, and the records that were found. */
  #reading: { readonly changed: Set<string>; readonly found: Set<string> } | undefined;

  constructor(parts: MirrorParts) {
    this.#parts = parts;
  }

  /** Somebody changed this contact. */
  apply(record: string, key: string, value: string): void {
    const stored = this.#decoded(key, value);
    if (stored.kind === 'unknown') return;
    this.changed(record, key);
    this.#set(record, key, stored.kind === 'contact' ? stored.contact : undefined);
  }

  /** We did. */
  changed(record: string, key: string): void {
    this.#reading?.changed.add(`${record}\n${key}`);
    this.#reading?.found.add(record);
  }

  /** The store does not take what we changed of these contacts: they are as it holds them (`key, value, …`). */
  restore(record: string, keys: Iterable<string>, held: readonly string[]): void {
    for (const key of keys) {
      const value = held[held.findIndex((each, at) => at % 2 === 0 && each === key) + 1];
      const isHeld = held.some((each, at) => at % 2 === 0 && each === key);
      if (isHeld && value !== undefined) this.apply(record, key, value);
      else this.#set(record, key, undefined);
    }
  }

  /** All that the store holds of a record: it takes the place of what we have, but for what is newer here. */
  replace(record: string, held: readonly string[]): void {
    const { table, clock, isPending, isRewritten } = this.#parts;
    const stored = new Map<string, Contact | undefined>();
    const nowMs = clock.now();
    for (let at = 0; at + 1 < held.length; at += 2) {
      const [key = '', value = ''] = held.slice(at, at + 2);
      const decoded = this.#decoded(key, value);
      const isLive = decoded.kind === 'contact' && decoded.contact.expiresMs > nowMs;
      if (decoded.kind !== 'unknown') stored.set(key, isLive ? decoded.contact : undefined);
    }
    const before = table.held(record);
    const merges = isRewritten(record);
    const contacts: Contact[] = [];
    for (const contact of before) {
      const { key } = contact;
      const theirs = stored.get(key);
      const isOurs = isPending(record, key) || this.#reading?.changed.has(`${record}\n${key}`) === true;
      const isNewer = merges && (theirs === undefined ? !stored.has(key) : theirs.updatedMs < contact.updatedMs);
      if (!isOurs && !isNewer) continue;
      contacts.push(contact);
      stored.delete(key);
    }
    for (const [key, contact] of stored) {
      const isOurs = isPending(record, key) || this.#reading?.changed.has(`${record}\n${key}`) === true;
      if (contact !== undefined && !isOurs) contacts.push(contact);
    }
    this.#reading?.found.add(record);
    if (contacts.length > 0 || before.length > 0) this.#write(record, contacts);
  }

  /** The whole store is going to be read: what is changed meanwhile is newer than what is read. */
  beginReading(): void {
    this.#reading = { changed: new Set(), found: new Set() };
  }

  /** It was read: records of these shards that it does not have are gone, as far as they are not ours to write. */
  endReading(isOf: (record: string) => boolean): void {
    const reading = this.#reading;
    this.#reading = undefined;
    if (reading === undefined) return;
    const { table, clock, isPending } = this.#parts;
    for (const [record, contacts] of table.records(clock.now())) {
      if (reading.found.has(record) || !isOf(record)) continue;
      const kept = contacts.filter(({ key }) => isPending(record, key));
      if (kept.length < contacts.length) table.set(record, kept);
    }
  }

  abandonReading(): void {
    this.#reading = undefined;
  }

  #decoded(key: string, value: string): StoredValue {
    const stored = decodeValue(value, key, this.#parts.clock.now(), this.#parts.aheadMs());
    if (stored.kind === 'unknown') this.#parts.unreadable();
    return stored;
  }

  #set(record: string, key: string, contact: Contact | undefined): void {
    const held = this.#parts.table.held(record);
    const others = held.filter((each) => each.key !== key);
    const isLive = contact !== undefined && contact.expiresMs > this.#parts.clock.now();
    if (isLive) this.#write(record, [...others, contact]);
    else if (others.length < held.length) this.#parts.table.set(record, others);
  }

  #write(record: string, contacts: readonly Contact[]): void {
    const { table } = this.#parts;
    if (table.hasRoomFor(record, contacts)) table.set(record, contacts);
  }
}
