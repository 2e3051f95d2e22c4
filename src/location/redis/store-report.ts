/** How the store is, for the log, for metrics and for `altpath status`. */
import type { Clock } from '../../clock.ts';
import type { Logger } from '../../log.ts';
import { logEvent } from '../../log-events.ts';
import type { Counter, Metrics } from '../../metrics.ts';

export interface ReportParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Without credentials. */
  readonly store: string;
  readonly waiting: () => number;
  readonly waitingOctets: () => number;
}

export class StoreReport {
  readonly commits: Counter;
  readonly failures: Counter;
  readonly unreadable: Counter;
  readonly dropped: Counter;
  readonly asked: Counter;
  readonly #parts: ReportParts;
  readonly #refused: Readonly<Record<'older' | 'crowded', Counter>>;
  /** Lanes that are away, each with why. */
  readonly #away = new Map<number, string>();
  #sinceMs: number | undefined;
  #saidMs = Number.NEGATIVE_INFINITY;
  #isSaid = false;
  #lagMs = 0;
  /** How far the clock of the store is ahead of our calendar. */
  skewMs = 0;

  constructor(parts: ReportParts) {
    const { metrics } = parts;
    this.#parts = parts;
    this.commits = metrics.counter('location_commits', 'Transactions of the location store');
    this.failures = metrics.counter('location_failures', 'Failures of the location store');
    this.unreadable = metrics.counter(
      'location_unreadable',
      'Entries of the location store that no contact could be made of',
    );
    this.dropped = metrics.counter(
      'location_dropped',
      'Removals that the location store was not told of: it was away too long',
    );
    this.asked = metrics.counter('location_asked', 'Records that were asked for since memory had nobody');
    const refused = (reason: string): Counter =>
      metrics.counter('location_refused', 'Writes that the location store refused for what others had written', {
        reason,
      });
    this.#refused = { older: refused('older'), crowded: refused('crowded') };
    metrics.gauge('location_degraded', '1 while registrations are kept in memory alone', () => (this.isAway ? 1 : 0));
    metrics.gauge('location_backlog', 'Records that the location store does not have yet', parts.waiting);
    metrics.gauge('location_backlog_octets', 'What they take in memory, about', parts.waitingOctets);
    metrics.gauge(
      'location_feed_lag_ms',
      'From a change in the store until it was seen here, the last time',
      () => this.#lagMs,
    );
  }

  get isAway(): boolean {
    return this.#away.size > 0;
  }

  /** A part of the store is away: the first of them is said, and again after a while. */
  away(lane: number, reason: string): void {
    this.failures.add();
    this.#sinceMs ??= this.#parts.clock.now();
    this.#away.set(lane, reason);
    const nowMs = this.#parts.clock.now();
    if (this.#isSaid ? nowMs - this.#saidMs < repeatMs : nowMs - this.#saidMs < calmMs) return;
    this.#isSaid = true;
    this.#saidMs = nowMs;
    const { log, store, waiting } = this.#parts;
    logEvent(log, 'storeAway', { store, reason, waiting: waiting(), awayMs: Math.round(nowMs - this.#sinceMs) });
  }

  back(lane: number): void {
    if (!this.#away.delete(lane) || this.#away.size > 0) return;
    const nowMs = this.#parts.clock.now();
    const awayMs = Math.round(nowMs - (this.#sinceMs ?? nowMs));
    this.#sinceMs = undefined;
    if (!this.#isSaid) return;
    this.#isSaid = false;
    const { log, store, waiting } = this.#parts;
    logEvent(log, 'storeBack', { store, waiting: waiting(), awayMs });
  }

  lost(): void {
    logEvent(this.#parts.log, 'storeLost', { store: this.#parts.store });
  }

  read(records: number, ms: number): void {
    logEvent(this.#parts.log, 'storeRead', { store: this.#parts.store, records, ms: Math.round(ms) });
  }

  unfit(reason: string): void {
    logEvent(this.#parts.log, 'storeUnfit', { store: this.#parts.store, reason });
  }

  refused(reason: 'older' | 'crowded'): void {
    this.#refused[reason].add();
  }

  unwritable(reason: string): void {
    this.failures.add();
    this.#parts.log.error({ store: this.#parts.store, reason }, 'a record cannot be stored');
  }

  /** `id`: of an entry of a stream, which begins with the store's time. */
  shown(id: string): void {
    this.#lagMs = Math.max(0, this.#parts.clock.wallNow() + this.skewMs - Number.parseInt(id, 10));
  }

  status(): Readonly<Record<string, unknown>> {
    const { clock, waiting } = this.#parts;
    const [reason] = this.#away.values();
    return {
      state: this.isAway ? 'away' : 'stored',
      ...(reason === undefined ? {} : { reason, awayMs: Math.round(clock.now() - (this.#sinceMs ?? clock.now())) }),
      waiting: waiting(),
      feedLagMs: this.#lagMs,
      clockSkewMs: this.skewMs,
    };
  }
}

/** A store that stays away is said to be so once a minute. */
const repeatMs = 60_000;

/** One that comes and goes is not said to do so more often than this. */
const calmMs = 5_000;
