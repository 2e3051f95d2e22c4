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
  /** Then whoever waits for an answer has drawn its conclusion. */
  readonly silenceMs: number;
  /** Was it asked within the usual interval of probes? Then what nobody waits for is no reason to ask again. */
  askedLately(peer: Peer): boolean;
  /** False where there is no question for this peer. */
  ask(peer: Peer): boolean;
}

interface Doubt {
  /** When the oldest message was sent after which nothing was heard. */
  sinceMs: number;
  waitMs: number;
  /** Does anybody wait for an answer? Responses and acknowledgements get none. */
  isUrgent: boolean;
  asked: number;
  cancel: Cancel;
}

export class Doubts {
  readonly #parts: DoubtParts;
  readonly #open = new Map<Peer, Doubt>();

  constructor(parts: DoubtParts) {
    this.#parts = parts;
  }

  /** Something that must not get lost is on its way to this peer. True: nothing was before. */
  sent(peer: Peer, isUrgent: boolean): boolean {
    const { clock, askMs } = this.#parts;
    const doubt = this.#open.get(peer);
    if (doubt === undefined) {
      const begun = { sinceMs: clock.now(), waitMs: askMs, isUrgent, asked: 0, cancel: () => undefined };
      this.#open.set(peer, begun);
      this.#wait(peer, begun, askMs);
      return true;
    }
    if (peer.lastHeardMs <= doubt.sinceMs) {
      doubt.isUrgent ||= isUrgent;
      return false;
    }
    doubt.sinceMs = clock.now();
    doubt.isUrgent = isUrgent;
    if (doubt.asked > 0) {
      doubt.asked = 0;
      doubt.waitMs = askMs;
      doubt.cancel();
      this.#wait(peer, doubt, askMs);
    }
    return true;
  }

  /** What was just sent, and nothing else, began this doubt, and nobody waits for an answer to it. */
  calm(peer: Peer): void {
    const doubt = this.#open.get(peer);
    if (doubt !== undefined) doubt.isUrgent = false;
  }

  stop(): void {
    for (const { cancel } of this.#open.values()) cancel();
    this.#open.clear();
  }

  #wait(peer: Peer, doubt: Doubt, ms: number): void {
    doubt.cancel = this.#parts.clock.after(ms, () => this.#look(peer, doubt));
  }

  #look(peer: Peer, doubt: Doubt): void {
    const { clock, silenceMs, askedLately, ask } = this.#parts;
    const unheardMs = clock.now() - doubt.sinceMs;
    if (peer.lastHeardMs > doubt.sinceMs || peer.health !== 'up' || unheardMs >= silenceMs) {
      this.#open.delete(peer);
      return;
    }
    // The doubt may have begun anew with a later message.
    const earlyMs = doubt.waitMs - unheardMs;
    if (earlyMs > 0) {
      this.#wait(peer, doubt, earlyMs);
      return;
    }
    if ((!doubt.isUrgent && doubt.asked === 0 && askedLately(peer)) || !ask(peer)) {
      this.#open.delete(peer);
      return;
    }
    doubt.asked += 1;
    doubt.waitMs = 2 * Math.max(doubt.waitMs, unheardMs);
    this.#wait(peer, doubt, doubt.waitMs - unheardMs);
  }
}
