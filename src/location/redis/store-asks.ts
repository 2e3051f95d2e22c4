/**
 * Questions to the store about records that memory has nothing of: somebody may have registered elsewhere a moment ago, or this process has
 * just begun and is still reading. One question per record at a time, a bounded number of them, and nobody waits long for an answer.
 */
import type { Clock } from '../../clock.ts';
import { type Lane, promptMs } from './lane.ts';
import { afterPatience } from './patience.ts';
import { epochKey, recordKey, shardOf } from './shards.ts';
import { StoreRefusal } from './store-connection.ts';

export interface AskParts {
  readonly clock: Clock;
  readonly send: (shard: number, words: readonly string[]) => Promise<unknown>;
  readonly laneOf: (record: string) => Pick<Lane, 'debts' | 'isNamed' | 'isUnsure'>;
  /** Does memory have anything of it by now? */
  readonly isKnown: (record: string) => boolean;
  readonly learn: (record: string, held: readonly string[]) => void;
}

interface Ask {
  /** Whoever is not known now is registered nowhere. */
  readonly answer: Promise<boolean>;
  /** The feed has shown a change of the record since: the answer may be older than that. */
  isOvertaken: boolean;
}

export class StoreAsks {
  readonly #parts: AskParts;
  readonly #asks = new Map<string, Ask>();

  constructor(parts: AskParts) {
    this.#parts = parts;
  }

  /** False, at once, where too many are open: whoever asks for thousands of names that nobody has holds up nobody. */
  ask(record: string): Promise<boolean> {
    const asked = this.#asks.get(record);
    if (asked !== undefined) return asked.answer;
    if (this.#asks.size >= maxAsks) return Promise.resolve(false);
    const ask: Ask = { answer: this.#ask(record), isOvertaken: false };
    this.#asks.set(record, ask);
    return ask.answer;
  }

  /** Somebody changed this record. */
  overtake(record: string): void {
    const ask = this.#asks.get(record);
    if (ask !== undefined) ask.isOvertaken = true;
  }

  async #ask(record: string): Promise<boolean> {
    const { isKnown, laneOf } = this.#parts;
    // Twice: what another member has sent before the first question, and does not wait for any longer, a store that stood still may read after it.
    let isSure = true;
    for (let turn = 0; turn < 2 && isSure && !isKnown(record); turn += 1)
      isSure = await this.#within(promptMs, (isOver) => this.#inquire(record, isOver));
    this.#asks.delete(record);
    return isKnown(record) || (isSure && !laneOf(record).isUnsure);
  }

  /** Was the store heard, and is it the one that we know? */
  async #inquire(record: string, isOver: () => boolean): Promise<boolean> {
    const { send, laneOf, isKnown, learn } = this.#parts;
    const shard = shardOf(record);
    const lane = laneOf(record);
    // In this order: who has brought what he owed says so afterwards.
    const [, epoch, held] = await Promise.all([
      lane.debts.read(),
      send(shard, ['GET', epochKey(shard)]),
      send(shard, ['HGETALL', recordKey(shard, record)]).catch(noneOfOurs),
    ]);
    if (isOver()) return false;
    if (Array.isArray(held) && this.#asks.get(record)?.isOvertaken !== true && !isKnown(record))
      learn(record, held.map(String));
    return lane.isNamed(shard, epoch);
  }

  /** False where it takes longer, or fails: the lane hears of it as well. */
  #within(ms: number, work: (isOver: () => boolean) => Promise<boolean>): Promise<boolean> {
    return new Promise((resolve) => {
      let isOver = false;
      const end = (answer: boolean): void => {
        isOver = true;
        cancel();
        resolve(answer);
      };
      const cancel = afterPatience(this.#parts.clock, ms, () => end(false));
      work(() => isOver).then(end, () => end(false));
    });
  }
}

/** What is there under this name is another program's: nobody is registered. */
function noneOfOurs(error: unknown): readonly string[] {
  if (error instanceof StoreRefusal && error.kind === 'WRONGTYPE') return [];
  throw error;
}

const maxAsks = 1_000;
