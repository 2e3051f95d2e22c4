/** Reads the whole store into memory where that is needed: at the start, and after a loss. One reading at a time. */
import type { Clock } from '../../clock.ts';
import type { Lane } from './lane.ts';
import { loadAll } from './loader.ts';
import type { Mirror } from './mirror.ts';
import { shardOf } from './shards.ts';
import type { StoreLink } from './store-link.ts';

export interface ReaderParts {
  readonly clock: Clock;
  readonly link: StoreLink;
  readonly mirror: Mirror;
  readonly lanes: () => readonly Lane[];
  readonly laneOf: (record: string) => Lane;
  readonly isOpen: () => boolean;
  readonly done: (records: number, ms: number) => void;
}

export class StoreReader {
  readonly #parts: ReaderParts;
  #reading: Promise<void> | undefined;
  #isWanted = false;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /** Settles when what is being read has been read. */
  finished(): Promise<void> {
    return this.#reading ?? Promise.resolve();
  }

  /** Who asks while a reading goes on gets another. */
  read(): void {
    this.#isWanted = true;
    this.#reading ??= this.#run().finally(() => {
      this.#reading = undefined;
    });
  }

  async #run(): Promise<void> {
    const { clock, link, mirror, lanes, laneOf, isOpen, done } = this.#parts;
    while (this.#isWanted && isOpen()) {
      this.#isWanted = false;
      const unread = lanes().filter((lane) => lane.unread.size > 0 && lane.isReachable);
      const shards = new Set(unread.flatMap((lane) => [...lane.unread]));
      for (const lane of unread) lane.unread.clear();
      const startedMs = clock.now();
      mirror.beginReading();
      try {
        const records = await loadAll(link.connected().keys(), (record, held) => mirror.replace(record, held));
        const same = await Promise.all(unread.map((lane) => lane.isSame()));
        if (same.includes(false)) throw new Error('the store was replaced meanwhile');
        mirror.endReading((record) => shards.has(shardOf(record)) && !laneOf(record).writer.isRewriting);
        done(records, clock.now() - startedMs);
      } catch {
        // The lanes find out what is wrong with the store; whatever that is, all of it is read when it is back.
        mirror.abandonReading();
        for (const lane of unread) lane.mustRead(shards);
      }
    }
  }
}
