/**
 * Questions to the store about records that memory has nothing of: somebody may have registered elsewhere a moment ago, or this process has
 * just begun and is still reading. One question per record at a time, a bounded number of them, and nobody waits long for an answer.
 */
import type { Clock } from '../../clock.ts';
import { promptMs } from './lane.ts';
import { afterPatience } from './patience.ts';
import { recordKey, shardOf } from './shards.ts';

export interface AskParts {
  readonly clock: Clock;
  readonly send: (shard: number, words: readonly string[]) => Promise<unknown>;
  /** Does memory have anything of it by now? */
  readonly isKnown: (record: string) => boolean;
  readonly learn: (record: string, held: readonly string[]) => void;
}

interface Ask {
  readonly answer: Promise<void>;
  /** The feed has shown a change of the record since: the answer may be older than that. */
  isOvertaken: boolean;
}

export class StoreAsks {
  readonly #parts: AskParts;
  readonly #asks = new Map<string, Ask>();

  constructor(parts: AskParts) {
    this.#parts = parts;
  }

  /** undefined: too many are open. Whoever asks for thousands of names that nobody has is answered from memory. */
  ask(record: string): Promise<void> | undefined {
    const asked = this.#asks.get(record);
    if (asked !== undefined) return asked.answer;
    if (this.#asks.size >= maxAsks) return undefined;
    const ask: Ask = { answer: this.#ask(record), isOvertaken: false };
    this.#asks.set(record, ask);
    return ask.answer;
  }

  /** Somebody changed this record. */
  overtake(record: string): void {
    const ask = this.#asks.get(record);
    if (ask !== undefined) ask.isOvertaken = true;
  }

  async #ask(record: string): Promise<void> {
    const { clock, send, isKnown, learn } = this.#parts;
    const shard = shardOf(record);
    let isOver = false;
    const answer = send(shard, ['HGETALL', recordKey(shard, record)]).then(
      (held) => {
        if (isOver || this.#asks.get(record)?.isOvertaken === true || isKnown(record)) return;
        if (Array.isArray(held)) learn(record, held.map(String));
      },
      () => {
        // The lane hears of it as well.
      },
    );
    await new Promise<void>((resolve) => {
      const cancel = afterPatience(clock, promptMs, resolve);
      void answer.then(() => {
        cancel();
        resolve();
      });
    });
    isOver = true;
    this.#asks.delete(record);
  }
}

const maxAsks = 1_000;
