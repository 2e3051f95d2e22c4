/**
 * Requests that nobody answers and that may go to one of several hops: the ACK of a 2xx above all. Its loss shows only in that it is
 * sent again (RFC 3261 §13.2.2.4), because the 2xx came again: the next copy then takes the next way. An error of the network itself
 * moves it at once.
 */
import type { Delivery, Flow, Target, Transmitter } from '../../../src/internal.ts';
import { type Absorbing, AbsorbTimers } from '../transactions/absorb-timers.ts';

export class AckForwarding {
  readonly #transmitter: Transmitter;
  /** By method and branch, which are the same for a repetition; in order of the first copy. */
  readonly #sent = new Map<string, Sent>();
  readonly #watched: AbsorbTimers;

  constructor(transmitter: Transmitter) {
    this.#transmitter = transmitter;
    this.#watched = new AbsorbTimers(transmitter.clock, watchGroups);
  }

  send(key: string, target: Target, encode: (flow: Flow) => Uint8Array): void {
    const { clock, pool } = this.#transmitter;
    const now = clock.now();
    this.#forget(now);
    const known = this.#sent.get(key);
    if (known !== undefined) {
      known.turn += 1;
      known.leave();
      const to = pool.choose(target.addresses, known.turn);
      if (to !== undefined) this.#transmitter.sendOnce(to, encode);
      return;
    }
    const delivery = this.#transmitter.deliver(target, { encode, exhausted: () => undefined });
    delivery.unanswerable();
    const sent = new Sent(now, delivery);
    this.#watched.add(sent, watchMs);
    this.#sent.set(key, sent);
  }

  #forget(now: number): void {
    for (const [key, { atMs }] of this.#sent) {
      if (now - atMs < rememberMs && this.#sent.size < maxSent) break;
      this.#sent.delete(key);
    }
  }
}

class Sent implements Absorbing {
  readonly atMs: number;
  /** Given back with the watch: it holds the whole message. */
  #delivery: Delivery | undefined;
  turn = 0;

  constructor(atMs: number, delivery: Delivery) {
    this.atMs = atMs;
    this.#delivery = delivery;
  }

  /** Watched no longer. */
  leave(): void {
    this.#delivery?.end();
    this.#delivery = undefined;
  }
}

/** An ICMP error comes within a round trip. */
const watchMs = 1_000;

/** One waking each for all ACKs of an eighth of that time: nothing depends on when the watch ends. */
const watchGroups = 8;

/** 64*T1: no 2xx is repeated for longer (RFC 3261 §13.3.1.4). */
const rememberMs = 32_000;

const maxSent = 65_536;
