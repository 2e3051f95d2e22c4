/**
 * The location service of a worker whose table is its own memory: what one worker stores, all others are told before it is acknowledged. A
 * worker that starts asks one of them for everything. Single contacts travel, not lists: two workers that store contacts of
 * one record at the same time undo nothing.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { contactFromText, contactToText } from '../location/contact-row.ts';
import type { Contact, LocationService } from '../location-service.ts';
import type { Logger } from '../log.ts';
import type { WorkerGroup } from './worker-group.ts';

export interface SharedLocationsParts {
  readonly inner: LocationService;
  readonly workers: WorkerGroup;
  readonly clock: Clock;
  readonly log: Logger;
}

export class SharedLocations implements LocationService {
  readonly #parts: SharedLocationsParts;
  /** Contacts that were removed a moment ago, by record and key: a copy of the table that was made before must not bring them back. */
  readonly #removed = new Map<string, number>();
  #filled: (() => void) | undefined;

  constructor(parts: SharedLocationsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#parts.inner.size;
  }

  async open(): Promise<void> {
    const { inner, workers } = this.#parts;
    await inner.open();
    workers.share(noteName, {
      joined: () => undefined,
      received: (index, [what = ''], body) => this.#received(index, what, body),
    });
    await this.#fill();
  }

  lookup(record: string): readonly Contact[] {
    return this.#parts.inner.lookup(record);
  }

  async save(record: string, contacts: readonly Contact[]): Promise<void> {
    const { inner, workers } = this.#parts;
    const before = inner.lookup(record);
    await inner.save(record, contacts);
    const saved = contacts.filter((contact) => !before.some((each) => isSame(each, contact)));
    const removed = before.flatMap(({ key }) => (contacts.some((each) => each.key === key) ? [] : [key]));
    for (const key of removed) this.#noteRemoved(record, key);
    if (saved.length > 0 || removed.length > 0)
      workers.noteToAll(noteName, ['changed'], Buffer.from(JSON.stringify([this.#wire(record, saved, removed)])));
  }

  records(): Iterable<readonly [record: string, contacts: readonly Contact[]]> {
    return this.#parts.inner.records();
  }

  close(): Promise<void> {
    return this.#parts.inner.close();
  }

  /** Everything from the first sibling that answers. */
  async #fill(): Promise<void> {
    const { workers, clock, log } = this.#parts;
    const untilMs = clock.now() + fillMs;
    const whole = new Promise<true>((resolve) => {
      this.#filled = () => resolve(true);
    });
    for (const { index } of workers.living()) {
      workers.note(index, noteName, ['want']);
      while (workers.isLiving(index) && clock.now() < untilMs)
        if ((await Promise.race([whole, pause(patienceMs)])) === true) return;
      log.warn(
        { worker: index },
        'a worker did not tell who is where: registrations come back as telephones renew them',
      );
    }
  }

  #received(index: number, what: string, body: Buffer): void {
    if (what === 'want') void this.#tellAll(index);
    else if (what === 'whole') this.#filled?.();
    else if (what === 'changed') for (const change of readChanges(body)) this.#take(change);
  }

  #take({ record, saved, removed }: WireChange): void {
    const { inner, clock, log } = this.#parts;
    const now = clock.now();
    const held = inner.lookup(record);
    const next = new Map(held.map((contact) => [contact.key, contact]));
    for (const key of removed) {
      next.delete(key);
      this.#noteRemoved(record, key);
    }
    for (const wire of saved) {
      const contact = contactOf(wire, now);
      if (contact === undefined) continue;
      const known = next.get(contact.key);
      if (known !== undefined && known.updatedMs > contact.updatedMs) continue;
      if ((this.#removed.get(`${record}\n${contact.key}`) ?? Number.NEGATIVE_INFINITY) >= contact.updatedMs) continue;
      next.set(contact.key, contact);
    }
    inner.save(record, [...next.values()]).catch((error: unknown) => {
      log.warn({ err: error, record }, 'what another worker has stored finds no room here');
    });
  }

  #noteRemoved(record: string, key: string): void {
    const name = `${record}\n${key}`;
    this.#removed.delete(name);
    this.#removed.set(name, this.#parts.clock.now());
    for (const oldest of this.#removed.keys()) {
      if (this.#removed.size <= maxRemoved) break;
      this.#removed.delete(oldest);
    }
  }

  /** In pieces: there may be a million, and messages are served in between. */
  async #tellAll(index: number): Promise<void> {
    const { inner, workers } = this.#parts;
    let piece: WireChange[] = [];
    const tell = async (): Promise<boolean> => {
      const body = Buffer.from(JSON.stringify(piece));
      piece = [];
      while (!workers.note(index, noteName, ['changed'], body)) {
        if (!workers.isLiving(index)) return false;
        await pause(patienceMs);
      }
      await nextTurn();
      return true;
    };
    for (const [record, contacts] of inner.records()) {
      piece.push(this.#wire(record, contacts, []));
      if (piece.length >= pieceRecords && !(await tell())) return;
    }
    if (await tell()) workers.note(index, noteName, ['whole']);
  }

  /** Clocks of processes differ: times are told by how far off they are. */
  #wire(record: string, contacts: readonly Contact[], removed: readonly string[]): WireChange {
    const now = this.#parts.clock.now();
    const saved = contacts.map((contact): WireContact => {
      const leftMs = Number.isFinite(contact.expiresMs) ? contact.expiresMs - now : null;
      return [contact.key, leftMs, now - contact.updatedMs, contactToText(contact)];
    });
    return { record, saved, removed: [...removed] };
  }
}

/** Was it stored as it is? What is read from the table is not always the same object. */
const isSame = (stored: Contact, saved: Contact): boolean =>
  stored === saved ||
  (stored.key === saved.key &&
    stored.updatedMs === saved.updatedMs &&
    stored.expiresMs === saved.expiresMs &&
    stored.cseq === saved.cseq);

/** Key, how long it lives yet (null: it does not lapse), how old it is, and the rest as stores keep it. */
const wireContact = z.tuple([z.string(), z.number().nullable(), z.number(), z.string()]);

const wireChanges = z.array(
  z.object({ record: z.string(), saved: z.array(wireContact), removed: z.array(z.string()) }),
);

type WireContact = z.output<typeof wireContact>;
type WireChange = z.output<typeof wireChanges>[number];

function readChanges(body: Buffer): readonly WireChange[] {
  const read = wireChanges.safeParse(JSON.parse(body.toString('utf8')));
  return read.success ? read.data : [];
}

function contactOf([key, leftMs, ageMs, text]: WireContact, now: number): Contact | undefined {
  const contact = contactFromText(text, key, leftMs === null ? Number.POSITIVE_INFINITY : now + leftMs);
  return contact && { ...contact, updatedMs: now - ageMs };
}

const noteName = 'location';
const pieceRecords = 200;
const patienceMs = 20;
const fillMs = 60_000;
const maxRemoved = 10_000;
