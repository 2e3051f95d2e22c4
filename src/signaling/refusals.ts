/**
 * How often peers refuse work. One refusal is about one message (somebody behind the peer may have said it); only a peer that
 * accepts nothing for a while is believed to be overloaded (RFC 3261 §21.5.4).
 */
import type { Clock } from '../clock.ts';
import type { Peer } from './controller-pool.ts';

interface Count {
  sinceMs: number;
  refused: number;
  /** It counts as refusing by its rate until then, whatever it answers to probes. */
  untilMs: number;
}

export class Refusals {
  readonly #clock: Clock;
  readonly #counts = new WeakMap<Peer, Count>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One more. True: it accepts nothing lately. */
  add(peer: Peer, retryAfterMs: number): boolean {
    const now = this.#clock.now();
    let count = this.#counts.get(peer);
    if (count === undefined) {
      count = { sinceMs: now, refused: 0, untilMs: 0 };
      this.#counts.set(peer, count);
    }
    if (now - count.sinceMs >= windowMs || peer.acceptedMs > count.sinceMs) {
      count.sinceMs = now;
      count.refused = 0;
    }
    count.refused += 1;
    if (count.refused < enough) return false;
    count.untilMs = now + retryAfterMs;
    return true;
  }

  isRefusing(peer: Peer): boolean {
    return (this.#counts.get(peer)?.untilMs ?? 0) > this.#clock.now();
  }
}

const windowMs = 2_000;

/** So many refusals in a row within the window, with nothing accepted in between. */
const enough = 10;
