/** What a member does in the place of another one that is gone: told when it begins, and in sum while it lasts. */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Counter, Histogram, Metrics } from '../metrics.ts';

interface Takeover {
  readonly sinceMs: number;
  requests: number;
  responses: number;
  readonly calls: Set<string>;
  /** Since the last line. */
  isNews: boolean;
}

export interface TakeoverLogParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly protocol: string;
}

export class TakeoverLog {
  readonly #parts: TakeoverLogParts;
  readonly #partners = new Map<string, Takeover>();
  readonly #counters = new Map<string, Counter>();
  readonly #gaps: Histogram;
  #timer: Cancel | undefined;

  constructor(parts: TakeoverLogParts) {
    this.#parts = parts;
    this.#gaps = parts.metrics.histogram(
      'takeover_gap_seconds',
      'From the last word of a member to the first message that is handled in its place',
      [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30],
      { protocol: parts.protocol },
    );
  }

  /** A message was handled in the place of this member, which was last heard then (undefined: never). */
  adopted(partner: string, what: 'request' | 'response', callId: string, lastHeardMs: number | undefined): void {
    const { clock, log } = this.#parts;
    let takeover = this.#partners.get(partner);
    if (takeover === undefined) {
      // Partners are configured, so there are few.
      takeover = { sinceMs: clock.now(), requests: 0, responses: 0, calls: new Set(), isNews: false };
      this.#partners.set(partner, takeover);
      const gapMs = lastHeardMs === undefined ? undefined : Math.max(0, Math.round(clock.now() - lastHeardMs));
      if (gapMs !== undefined) this.#gaps.observe(gapMs / 1_000);
      logEvent(log, 'takeover', { partner, what, gapMs });
    }
    if (what === 'request') takeover.requests += 1;
    else takeover.responses += 1;
    if (takeover.calls.size < maxCalls) takeover.calls.add(callId);
    takeover.isNews = true;
    this.#counterOf(partner, what).add();
    this.#timer ??= clock.after(everyMs, () => this.#tell());
  }

  /** How many messages were handled in whose place, and since when. */
  list(): readonly {
    readonly partner: string;
    readonly sinceMs: number;
    readonly messages: number;
    readonly calls: number;
  }[] {
    return [...this.#partners].map(([partner, { sinceMs, requests, responses, calls }]) => ({
      partner,
      sinceMs,
      messages: requests + responses,
      calls: calls.size,
    }));
  }

  stop(): void {
    this.#timer?.();
    this.#tell();
    this.#timer?.();
  }

  #tell(): void {
    this.#timer = undefined;
    const { clock, log } = this.#parts;
    for (const [partner, takeover] of this.#partners) {
      const { requests, responses, calls, sinceMs, isNews } = takeover;
      // Nothing came for a while: what comes later is a takeover of its own.
      if (!isNews) this.#partners.delete(partner);
      else
        logEvent(log, 'takeoverCounts', {
          partner,
          requests,
          responses,
          calls: calls.size,
          forMs: Math.round(clock.now() - sinceMs),
        });
      takeover.isNews = false;
    }
    if (this.#partners.size > 0) this.#timer = clock.after(everyMs, () => this.#tell());
  }

  #counterOf(partner: string, what: 'request' | 'response'): Counter {
    const key = `${partner} ${what}`;
    let counter = this.#counters.get(key);
    if (counter === undefined) {
      const { protocol, metrics } = this.#parts;
      counter = metrics.counter('takeovers_total', 'Messages handled in the place of a member', {
        protocol,
        partner,
        what,
      });
      this.#counters.set(key, counter);
    }
    return counter;
  }
}

const everyMs = 10_000;
const maxCalls = 100_000;
