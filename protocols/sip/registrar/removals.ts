/**
 * Contacts that were taken back a moment ago, by the request that did it: a copy of an older one that is still on its way must not bring
 * them back (RFC 3261 §10.3 item 7, where no binding is left that would say so).
 */
import type { Clock } from '../../../src/internal.ts';
import { keptId } from '../codec/kept-text.ts';
import type { SipMessage } from '../codec/messages.ts';

export class Removals {
  readonly #clock: Clock;
  /** In the order of their time. */
  readonly #latest = new Map<string, { readonly cseq: number; readonly atMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note(record: string, { callId, cseq }: SipMessage): void {
    const key = keyOf(record, callId);
    const known = this.#latest.get(key);
    this.#latest.delete(key);
    this.#latest.set(key, { cseq: Math.max(cseq, known?.cseq ?? 0), atMs: this.#clock.now() });
    for (const [oldest, { atMs }] of this.#latest) {
      if (this.#latest.size <= maxRemovals && this.#clock.now() - atMs < keptMs) break;
      this.#latest.delete(oldest);
    }
  }

  /** Was something taken back by a later request of the same telephone? */
  isOlder(record: string, { callId, cseq }: SipMessage): boolean {
    if (this.#latest.size === 0) return false;
    const removal = this.#latest.get(keyOf(record, callId));
    return removal !== undefined && cseq < removal.cseq && this.#clock.now() - removal.atMs < keptMs;
  }
}

const keyOf = (record: string, callId: string): string => `${record}\n${keptId(callId)}`;

/** As long as a client repeats a request (RFC 3261 §17.1.2.2, Timer F). */
const keptMs = 32_000;

const maxRemovals = 50_000;
