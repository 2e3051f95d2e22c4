/**
 * How many octets may be kept at once: memory is finite, and what peers send decides how much of it a message takes. Large messages may
 * use a part of it only, so that they never stand in the way of ordinary ones; the last part is for what is under way already.
 */
import { getHeapStatistics } from 'node:v8';

/** Where memory ends for this process (`--max-old-space-size`). */
export const heapLimitOctets = (): number => getHeapStatistics().heap_size_limit;

export class OctetBudget {
  readonly limit: number;
  #used = 0;
  readonly #bySource = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** What is kept has changed by so many octets; never refused: `mayBegin` is asked before. */
  change(octets: number): void {
    this.#used += octets;
  }

  /** The same, kept on behalf of this source. */
  changeFor(source: string, octets: number): void {
    this.#used += octets;
    const left = (this.#bySource.get(source) ?? 0) + octets;
    if (left > 0) this.#bySource.set(source, left);
    else this.#bySource.delete(source);
  }

  /** May something new of this size begin? */
  mayBegin(source: string, octets: number): boolean {
    const { limit } = this;
    // Nearly always: one comparison.
    if (this.#used + octets < limit * largeShare) return true;
    if (octets > ordinaryOctets || this.#used + octets >= limit * beginShare) return false;
    return (this.#bySource.get(source) ?? 0) < limit * sourceShare;
  }

  /** May what belongs to something that is under way take so much more? */
  mayGoOn(octets: number): boolean {
    return this.#used + octets < this.limit;
  }
}

/** A message with a session description or two, and room for all that proxies write on its way. */
const ordinaryOctets = 8_192;

/** Above these shares of the limit: no further large message; nothing new; nothing new of one source that holds so much. */
const largeShare = 0.4;
const beginShare = 0.8;
const sourceShare = 0.6;
