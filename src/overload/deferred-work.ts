/**
 * Work that waits until the process has time for it: a line that goes off-hook under overload hears its dial tone later, instead of
 * never. Bounded in octets and in time; what finds no room, or waited too long, is refused. Things of one party keep their order.
 */
import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { OverloadControl } from './overload-control.ts';

export interface DeferredWorkParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly protocol: string;
  /** Absent: nothing ever waits. */
  readonly overload: OverloadControl | undefined;
  readonly maxOctets?: number | undefined;
  readonly maxWaitMs?: number | undefined;
}

export interface Work {
  /** Whose work it is: what comes after it from the same party waits as well. */
  readonly party: string;
  readonly octets: number;
  /** The beginning of something; what belongs to something under way does not wait by itself. */
  readonly isNew: boolean;
  run(): void;
  refuse(): void;
}

export class DeferredWork {
  readonly #parts: DeferredWorkParts;
  readonly #waiting: { readonly work: Work; readonly sinceMs: number }[] = [];
  /** How many pieces of work wait, by party. */
  readonly #parties = new Map<string, number>();
  #octets = 0;
  readonly #stopListening: (() => void) | undefined;

  constructor(parts: DeferredWorkParts) {
    this.#parts = parts;
    const { metrics, protocol, overload } = parts;
    this.#stopListening = overload?.onSample(() => this.#release());
    metrics.gauge('overload_waiting_bytes', 'Octets of new work that waits for its turn', () => this.#octets, {
      protocol,
    });
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Does work of this party wait? */
  has(party: string): boolean {
    return this.#parties.has(party);
  }

  /** Runs it now, later, or refuses it. */
  offer(work: Work): void {
    const { overload, clock, maxOctets = defaultMaxOctets } = this.#parts;
    const isBehind = this.#parties.has(work.party);
    if (overload === undefined || (!isBehind && (!work.isNew || overload.admits()))) {
      work.run();
      return;
    }
    if (this.#octets + work.octets > maxOctets) {
      overload.shed();
      work.refuse();
      return;
    }
    this.#octets += work.octets;
    this.#parties.set(work.party, (this.#parties.get(work.party) ?? 0) + 1);
    this.#waiting.push({ work, sinceMs: clock.now() });
  }

  /** What waits is refused. */
  stop(): void {
    this.#stopListening?.();
    for (const { work } of this.#take(this.#waiting.length)) work.refuse();
  }

  #release(): void {
    if (this.#waiting.length === 0) return;
    const { overload, clock, maxWaitMs = defaultMaxWaitMs } = this.#parts;
    const tooOldMs = clock.now() - maxWaitMs;
    let expired = 0;
    while ((this.#waiting[expired]?.sinceMs ?? Number.POSITIVE_INFINITY) <= tooOldMs) expired += 1;
    for (const { work } of this.#take(expired)) {
      overload?.shed();
      work.refuse();
    }
    const share = overload?.isShedding === true ? Math.floor(perSample * overload.keep) : perSample;
    for (const { work } of this.#take(Math.min(share, this.#waiting.length))) work.run();
  }

  #take(count: number): readonly { readonly work: Work }[] {
    const taken = this.#waiting.splice(0, count);
    for (const { work } of taken) {
      this.#octets -= work.octets;
      const left = (this.#parties.get(work.party) ?? 1) - 1;
      if (left > 0) this.#parties.set(work.party, left);
      else this.#parties.delete(work.party);
    }
    return taken;
  }
}

/** Some thousand lines. */
const defaultMaxOctets = 4_194_304;

/** A subscriber waits as long as this for his dial tone before he hangs up. */
const defaultMaxWaitMs = 10_000;

/** Begun with each sample, at most. */
const perSample = 50;
