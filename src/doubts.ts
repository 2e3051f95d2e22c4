/**
 * Hops that have said nothing since something was sent to them. A process that is being killed swallows datagrams for some tens of
 * milliseconds before its sockets refuse them, so a hop is soon asked for a sign of life: what a refusal of that question tells
 * moves everything that waits. One question per hop, however much waits there; a hop that speaks all the time is never asked.
 */
import type { Cancel, Clock } from './clock.ts';
import type { Peer } from './controller-pool.ts';

export interface DoubtParts {
  readonly clock: Clock;
  /** So long after the first message that nothing was heard after; the next question waits twice as long, and so on. */
  readonly askMs: number;
  /** Then others have drawn their conclusion. */
  readonly untilMs: number;
  ask(peer: Peer): void;
}

interface Doubt {
  /** When the oldest message was sent after which nothing was heard. */
  sinceMs: number;
  waitMs: number;
  cancel: Cancel;
}

export class Doubts {
  readonly #parts: DoubtParts;
  readonly #open = new Map<Peer, Doubt>();

  constructor(parts: DoubtParts) {
    this.#parts = parts;
  }

  /** Something that must not get lost is on its way to this peer. */
  sent(peer: Peer): void {
    const { clock, askMs } = this.#parts;
    const doubt = this.#open.get(peer);
    if (doubt === undefined) {
      const begun: Doubt = { sinceMs: clock.now(), waitMs: askMs, cancel: () => undefined };
      this.#open.set(peer, begun);
      this.#wait(peer, begun, askMs);
    } else if (peer.lastHeardMs > doubt.sinceMs) {
      doubt.sinceMs = clock.now();
      if (doubt.waitMs === askMs) return;
      doubt.waitMs = askMs;
      doubt.cancel();
      this.#wait(peer, doubt, askMs);
    }
  }

  stop(): void {
    for (const { cancel } of this.#open.values()) cancel();
    this.#open.clear();
  }

  #wait(peer: Peer, doubt: Doubt, ms: number): void {
    doubt.cancel = this.#parts.clock.after(ms, () => this.#look(peer, doubt));
  }

  #look(peer: Peer, doubt: Doubt): void {
    const { clock, untilMs } = this.#parts;
    const unheardMs = clock.now() - doubt.sinceMs;
    if (peer.lastHeardMs > doubt.sinceMs || peer.health !== 'up' || unheardMs >= untilMs) {
      this.#open.delete(peer);
      return;
    }
    // The doubt may have begun anew with a later message.
    const earlyMs = doubt.waitMs - unheardMs;
    if (earlyMs > 0) {
      this.#wait(peer, doubt, earlyMs);
      return;
    }
    this.#parts.ask(peer);
    this.#wait(peer, doubt, doubt.waitMs);
    doubt.waitMs *= 2;
  }
}
