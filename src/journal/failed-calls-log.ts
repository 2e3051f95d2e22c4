/** One line for each call that failed; of a flood so many that no disk fills, and the others as a count. */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { CallJournal } from './call-journal.ts';
import type { ObservedCall } from './observed-call.ts';

export class FailedCallsLog {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #bucket: TokenBucket;
  readonly #leftOut = new Map<string, number>();
  readonly #stopListening: () => void;
  #timer: Cancel | undefined;

  constructor(log: Logger, clock: Clock, journal: CallJournal) {
    this.#log = log;
    this.#clock = clock;
    this.#bucket = new TokenBucket(clock, linesPerSecond, lineBurst);
    this.#stopListening = journal.onEnd((call) => {
      if (call.hasFailed && log.isLevelEnabled('info')) this.#say(call);
    });
  }

  stop(): void {
    this.#stopListening();
    this.#timer?.();
    this.#sayLeftOut();
  }

  #say(call: ObservedCall): void {
    const { outcome } = call;
    const reason = outcome?.reason ?? 'unknown';
    if (!this.#bucket.take()) {
      if (this.#leftOut.size < maxReasons || this.#leftOut.has(reason))
        this.#leftOut.set(reason, (this.#leftOut.get(reason) ?? 0) + 1);
      this.#timer ??= this.#clock.after(minuteMs, () => this.#sayLeftOut());
      return;
    }
    logEvent(this.#log, 'callFailed', {
      protocol: call.protocol,
      callId: call.callId,
      caller: call.caller,
      callee: call.callee,
      reason,
      code: outcome?.code,
      cause: outcome?.cause,
      where: outcome?.where,
      detail: outcome?.detail,
      durationMs: Math.round((call.endedMs ?? call.begunMs) - call.begunMs),
      route: call.route,
    });
  }

  #sayLeftOut(): void {
    this.#timer = undefined;
    if (this.#leftOut.size === 0) return;
    const reasons = Object.fromEntries(this.#leftOut);
    const count = [...this.#leftOut.values()].reduce((sum, each) => sum + each, 0);
    this.#leftOut.clear();
    logEvent(this.#log, 'callsFailed', { count, reasons });
  }
}

const linesPerSecond = 10;
const lineBurst = 100;
const maxReasons = 50;
const minuteMs = 60_000;
