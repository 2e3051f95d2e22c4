/**
 * Senders at whose address no gateway is provisioned: each gets one answer a minute, and no more than a bounded number of them gets
 * any. Everything else of theirs is silence, and nothing is remembered of it.
 */
import type { Clock } from '../clock.ts';

export class Strangers {
  readonly #clock: Clock;
  readonly #maxSources: number;
  readonly #answered = new Set<string>();
  #sinceMs: number;

  constructor(clock: Clock, maxSources = 256) {
    this.#clock = clock;
    this.#maxSources = maxSources;
    this.#sinceMs = clock.now();
  }

  /** True once a minute per source: it may be answered now. */
  mayAnswer(source: string): boolean {
    const now = this.#clock.now();
    if (now - this.#sinceMs >= minuteMs) {
      this.#answered.clear();
      this.#sinceMs = now;
    }
    if (this.#answered.has(source) || this.#answered.size >= this.#maxSources) return false;
    this.#answered.add(source);
    return true;
  }
}

const minuteMs = 60_000;
