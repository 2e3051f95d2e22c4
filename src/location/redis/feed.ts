/**
 * The change feed: reads the streams of some shards over a connection that waits for what comes, and hands it over in its order. It ends
 * with the first failure; whoever started it finds out whether the store is still what it was, and starts another.
 */
import { streamKey } from './shards.ts';
import { commandMs, type StoreConnection } from './store-connection.ts';

export interface FeedEntry {
  readonly shard: number;
  readonly id: string;
  readonly member: string;
  readonly record: string;
  readonly key: string;
  readonly value: string;
}

export interface FeedParts {
  readonly connection: StoreConnection;
  readonly shards: readonly number[];
  /** shard → the last entry that is known; moved on as entries are handed over. */
  readonly positions: Map<number, string>;
  readonly take: (entry: FeedEntry) => void;
  /** An entry that cannot be read: another version's. */
  readonly unreadable: () => void;
  /** It cannot go on. */
  readonly ended: (error: unknown) => void;
  /** So many came at once that some might have been cut off before they were read. */
  readonly behind: (shard: number) => void;
}

export class Feed {
  readonly #parts: FeedParts;
  #isStopped = false;

  constructor(parts: FeedParts) {
    this.#parts = parts;
    void this.#run();
  }

  stop(): void {
    this.#isStopped = true;
    this.#parts.connection.close();
  }

  async #run(): Promise<void> {
    const { connection, shards, positions, ended } = this.#parts;
    const shardOfStream = new Map(shards.map((shard) => [streamKey(shard), shard]));
    const streams = shards.map(streamKey);
    try {
      while (!this.#isStopped) {
        const words = ['XREAD', 'COUNT', String(batch), 'BLOCK', String(blockMs), 'STREAMS', ...streams];
        for (const shard of shards) words.push(positions.get(shard) ?? '0-0');
        const reply = await connection.send(words, blockMs + commandMs);
        if (this.#isStopped) return;
        for (const stream of listOf(reply)) {
          const [name, entries] = listOf(stream);
          const shard = shardOfStream.get(String(name));
          if (shard !== undefined) this.#handOver(shard, listOf(entries));
        }
      }
    } catch (error) {
      if (this.#isStopped) return;
      this.stop();
      ended(error);
    }
  }

  #handOver(shard: number, entries: readonly unknown[]): void {
    const { positions, take, unreadable, behind } = this.#parts;
    for (const entry of entries) {
      const [id, fields] = listOf(entry);
      const read = readEntry(shard, String(id), listOf(fields));
      positions.set(shard, String(id));
      if (read === undefined) unreadable();
      else take(read);
    }
    if (entries.length >= batch) behind(shard);
  }
}

function readEntry(shard: number, id: string, fields: readonly unknown[]): FeedEntry | undefined {
  const [, member, , record, , key, , value] = fields;
  const isOurs = fields.filter((_, index) => index % 2 === 0).join() === 'm,r,k,v';
  if (!isOurs || typeof member !== 'string' || typeof record !== 'string') return undefined;
  return typeof key === 'string' && typeof value === 'string' ? { shard, id, member, record, key, value } : undefined;
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** Entries of one stream that are read at once. */
const batch = 1_000;

/** A server that is stopped while its connections stand is found after this. */
const blockMs = 1_000;
