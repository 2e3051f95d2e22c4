/**
 * The round-trip estimate of one peer and the repetition timers that follow from it (RFC 3435 §3.5.3; RFC 3525 Annex D.1.3 has the
 * same algorithm): average delay plus four deviations, doubled with a random part at each repetition, bounded both ways.
 */
import type { Random } from '../random.ts';

export interface RoundTripLimits {
  readonly initialMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

const defaultRoundTripLimits: RoundTripLimits = { initialMs: 200, minMs: 100, maxMs: 4_000 };

export class RoundTrip {
  readonly #limits: RoundTripLimits;
  #averageMs: number | undefined;
  #deviationMs = 0;
  /** RTO of the last repetition that succeeded: the next first transmission uses it (§3.5.3, last paragraph). */
  #backedOffMs: number | undefined;

  constructor(limits: RoundTripLimits = defaultRoundTripLimits) {
    this.#limits = limits;
  }

  /** How long to wait for the response to a first transmission. */
  get firstWaitMs(): number {
    if (this.#backedOffMs !== undefined) return this.#backedOffMs;
    if (this.#averageMs === undefined) return this.#limits.initialMs;
    return this.#bounded(this.#averageMs + 4 * this.#deviationMs);
  }

  /** The wait after one more repetition; `delayMs` is the delay estimate of this transaction, to be doubled by the caller's next call. */
  repeatWaitMs(delayMs: number, random: Random): number {
    return this.#bounded(delayMs * (0.5 + random.fraction() / 2) + 4 * this.#deviationMs);
  }

  /** The response to a command that was sent once. */
  measured(delayMs: number): void {
    this.#backedOffMs = undefined;
    if (this.#averageMs === undefined) {
      this.#averageMs = delayMs;
      this.#deviationMs = delayMs / 2;
      return;
    }
    this.#deviationMs += (Math.abs(delayMs - this.#averageMs) - this.#deviationMs) / 4;
    this.#averageMs += (delayMs - this.#averageMs) / 8;
  }

  /** A response after repetitions tells no delay, but that the timer was too short. */
  succeededAfterRepetition(lastWaitMs: number): void {
    this.#backedOffMs = this.#bounded(lastWaitMs);
  }

  #bounded(ms: number): number {
    return Math.min(this.#limits.maxMs, Math.max(this.#limits.minMs, ms));
  }
}
