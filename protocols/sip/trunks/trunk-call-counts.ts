/** What server transactions show of the calls of trunks that may have only so many (trunk-calls.ts). */
import type { Clock, Flow } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { ServerObserver } from '../transactions/host.ts';
import type { TrunkCalls } from './trunk-calls.ts';
import type { Trunks } from './trunks.ts';

export class TrunkCallCounts implements ServerObserver {
  readonly #clock: Clock;
  readonly #trunks: Trunks;
  readonly #limits: readonly TrunkCalls[];

  constructor(clock: Clock, trunks: Trunks) {
    this.#clock = clock;
    this.#trunks = trunks;
    this.#limits = trunks.all.flatMap(({ limit }) => limit ?? []);
  }

  /** Of trunks without a limit nothing is counted. */
  static of(clock: Clock, trunks: Trunks): TrunkCallCounts | undefined {
    return trunks.all.some(({ limit }) => limit !== undefined) ? new TrunkCallCounts(clock, trunks) : undefined;
  }

  /** A call from the carrier takes one of its lines as well. */
  accepted({ method, toTag, callId }: SipMessage, flow: Flow): void {
    const now = this.#clock.now();
    if (method === 'BYE') for (const limit of this.#limits) limit.ending(callId, now);
    if (method !== 'INVITE' && method !== 'UPDATE') return;
    if (toTag === '') {
      if (method === 'INVITE') this.#trunks.from(flow)?.limit?.note(callId, now);
      return;
    }
    const from = this.#trunks.from(flow)?.limit;
    if (from !== undefined) from.note(callId, now);
    else for (const limit of this.#limits) if (limit.has(callId)) limit.note(callId, now);
  }

  answered({ method, toTag, callId }: SipMessage, status: number): void {
    // RFC 3261 §15.1.1: after 481, 408 or silence the dialog is over as well.
    const isOver =
      method === 'BYE'
        ? status < 300 || status === 481 || status === 408
        : method === 'INVITE' && toTag === '' && status >= 300;
    if (isOver) for (const limit of this.#limits) limit.end(callId);
  }
}
