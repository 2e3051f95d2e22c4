/** The location service that forgets with its process: for tests, benches and controllers whose contacts are all provisioned. */
import type { Cancel, Clock } from '../clock.ts';
import { type LocationError, LocationFullError } from '../errors.ts';
import type { Contact, LocationService } from '../location-service.ts';
import { ContactTable, sweepBudget, sweepEveryMs } from './contact-table.ts';

export const defaultMaxRecords = 1_000_000;

export interface MemoryLocationOptions {
  readonly clock: Clock;
  /** New records beyond this are refused. */
  readonly maxRecords?: number | undefined;
  /** Writes that would make all records together longer than this are refused. */
  readonly maxOctets?: number | undefined;
}

export class MemoryLocations implements LocationService {
  readonly #clock: Clock;
  readonly #table: ContactTable;
  #cancelSweep: Cancel | undefined;

  constructor(options: MemoryLocationOptions) {
    this.#clock = options.clock;
    this.#table = new ContactTable(options.maxRecords ?? defaultMaxRecords, options.maxOctets);
  }

  get size(): number {
    return this.#table.size;
  }

  open(): Promise<void> {
    if (this.#cancelSweep === undefined) this.#sweepLater();
    return Promise.resolve();
  }

  lookup(record: string): readonly Contact[] {
    return this.#table.live(record, this.#clock.now());
  }

  save(record: string, contacts: readonly Contact[]): Promise<void> {
    if (!this.#table.hasRoomFor(record, contacts)) return Promise.reject(locationFull());
    this.#table.set(record, contacts);
    return Promise.resolve();
  }

  records(): Iterable<readonly [record: string, contacts: readonly Contact[]]> {
    return this.#table.records(this.#clock.now());
  }

  close(): Promise<void> {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    return Promise.resolve();
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#clock.after(sweepEveryMs(this.#table.size), () => {
      this.#table.sweep(this.#clock.now(), sweepBudget(this.#table.size));
      this.#sweepLater();
    });
  }
}

export const locationFull = (): LocationError =>
  new LocationFullError('the location service holds as many records or octets as it may');
