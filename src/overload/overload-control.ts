/**
 * Overload control: how much new work the process takes. A sensor says every `sampleMs` how late the event loop is and how full the
 * queues are; under lasting pressure a share of the new work is refused, what is under way goes on (RFC 7339 §5.10.1, RFC 5390).
 *
 *     calm ── pressure in `onsetSamples` samples in a row ──► shedding ── everything admitted for `restSamples` ──► calm
 *
 * While shedding, pressure lowers the share that is kept by a factor; without pressure, and with time to spare, it grows by steps. In
 * between it stays: that gap is the hysteresis. A few requests a second are always kept, so that a process which is slow for another
 * reason still serves.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Random } from '../random.ts';

/** What the sensor found since it was last asked. */
export interface LoadSample {
  /** How late the event loop was at worst. */
  readonly delayMs: number;
  /** Share of the time that it was busy. */
  readonly utilization: number;
  /** Share of its room that the fullest queue takes, in octets. */
  readonly queued: number;
}

export interface LoadSensor {
  sample(): LoadSample;
}

export interface OverloadSettings {
  /** The event loop may be as late as this. */
  readonly delayMs: number;
  /** Requests per second that are always kept. */
  readonly keptPerSecond: number;
  /** Told to those that are refused, on average: from half of it to one and a half. */
  readonly retryAfterSeconds: number;
}

const defaultOverloadSettings: OverloadSettings = { delayMs: 250, keptPerSecond: 100, retryAfterSeconds: 10 };

export interface OverloadParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly sensor: LoadSensor;
  readonly settings?: Partial<OverloadSettings> | undefined;
}

export class OverloadControl {
  readonly #parts: OverloadParts;
  readonly #settings: OverloadSettings;
  readonly #shedCount: Counter;
  readonly #listeners = new Set<() => void>();
  #isShedding = false;
  /** Share of the new work that is kept, and what of one request has gathered until now. */
  #keep = 1;
  #credit = 0;
  /** Samples in a row under pressure, or with everything kept. */
  #row = 0;
  #pressed = 0;
  /** Has the pressure ended once since shedding began? Until then the share falls faster. */
  #isFound = false;
  #sampleAtMs = 0;
  #offered = 0;
  /** New requests per second, over some samples. */
  #offeredRate = 0;
  #shedSinceMs = 0;
  #shedNow = 0;
  #told = 0;
  #last: LoadSample = { delayMs: 0, utilization: 0, queued: 0 };
  #cancel: Cancel | undefined;

  constructor(parts: OverloadParts) {
    this.#parts = parts;
    this.#settings = { ...defaultOverloadSettings, ...parts.settings };
    const { metrics } = parts;
    this.#shedCount = metrics.counter('overload_shed_total', 'New requests that were refused because of overload');
    metrics.gauge('overload_active', '1 while new work is refused because of overload', () =>
      this.#isShedding ? 1 : 0,
    );
    metrics.gauge('overload_kept_ratio', 'Share of new requests that is taken', () => this.#keep);
    metrics.gauge('overload_queue_ratio', 'Share of its room that the fullest queue takes', () => this.#last.queued);
  }

  /** Is new work refused just now? What asks nothing else costs nothing while all is well. */
  get isShedding(): boolean {
    return this.#isShedding;
  }

  /** Share of new requests that is taken, 0 to 1. */
  get keep(): number {
    return this.#keep;
  }

  /** When the last sample was taken: it grows with every change. */
  get sampledMs(): number {
    return this.#sampleAtMs;
  }

  /** Samples in a row in which refusing has not helped. */
  get pressedSamples(): number {
    return this.#pressed;
  }

  /** Was the process itself too slow to judge others by their silence? */
  get isBusy(): boolean {
    return this.#isShedding || this.#last.delayMs >= this.#settings.delayMs;
  }

  /** May one more new request be taken? Counted in either case. */
  admits(): boolean {
    this.#offered += 1;
    if (!this.#isShedding) return true;
    this.#credit += this.#keep;
    if (this.#credit >= 1) {
      this.#credit -= 1;
      return true;
    }
    return false;
  }

  /** One was refused. */
  shed(): void {
    this.#shedNow += 1;
    this.#shedCount.add();
  }

  /** Whole seconds after which to come again; unlike for any two, so that they do not all come at once. */
  retryAfterSeconds(): number {
    const { retryAfterSeconds } = this.#settings;
    return Math.max(1, Math.round(retryAfterSeconds * (0.5 + this.#parts.random.fraction())));
  }

  /** Called after every sample; returns what ends it. */
  onSample(run: () => void): () => void {
    this.#listeners.add(run);
    return () => this.#listeners.delete(run);
  }

  start(): void {
    if (this.#cancel === undefined) this.#sampleLater();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#isShedding) this.#end();
  }

  status(): Readonly<Record<string, unknown>> {
    const { delayMs, utilization, queued } = this.#last;
    return {
      state: this.#isShedding ? 'shedding' : 'calm',
      keptPercent: Math.round(this.#keep * 100),
      refused: this.#shedCount.value,
      delayMs: Math.round(delayMs),
      busyPercent: Math.round(utilization * 100),
      queuedPercent: Math.round(queued * 100),
    };
  }

  #sampleLater(): void {
    const { clock } = this.#parts;
    const dueMs = clock.now() + sampleMs;
    this.#cancel = clock.after(sampleMs, () => {
      this.#sampleLater();
      this.#sample(clock.now(), clock.now() - dueMs);
    });
  }

  #sample(now: number, lateMs: number): void {
    const seen = this.#parts.sensor.sample();
    const sample = { ...seen, delayMs: Math.max(seen.delayMs, lateMs) };
    this.#last = sample;
    const seconds = Math.max(sampleMs, now - this.#sampleAtMs) / 1_000;
    // A first sample has no time before it.
    if (this.#sampleAtMs > 0) this.#offeredRate += (this.#offered / seconds - this.#offeredRate) * smoothing;
    this.#offered = 0;
    this.#sampleAtMs = now;
    this.#judge(sample, now);
    for (const run of this.#listeners) run();
  }

  #judge(sample: LoadSample, now: number): void {
    const pressure = Math.max(sample.delayMs / this.#settings.delayMs, sample.queued / fullShare);
    const { keptPerSecond } = this.#settings;
    if (!this.#isShedding) {
      // Refusing a few requests helps nobody: whatever makes the process slow then, it is not them.
      this.#row = pressure >= 1 && this.#offeredRate > keptPerSecond ? this.#row + 1 : 0;
      if (this.#row >= onsetSamples) this.#begin(sample, now);
      return;
    }
    this.#pressed = pressure >= 1 ? this.#pressed + 1 : 0;
    if (pressure >= 1) {
      this.#keep *= this.#isFound ? gentleFactor : steepFactor;
      this.#row = 0;
    } else if (pressure < calmPressure && sample.utilization < spareUtilization) {
      this.#isFound = true;
      this.#keep = Math.min(1, this.#keep + (sample.utilization < idleUtilization ? longStep : shortStep));
      this.#row = this.#keep === 1 ? this.#row + 1 : 0;
    } else this.#isFound = true;
    const least = this.#offeredRate <= 0 ? 1 : keptPerSecond / this.#offeredRate;
    this.#keep = Math.min(1, Math.max(this.#keep, least, leastKept));
    if (this.#row >= restSamples) this.#end();
    else if (now - this.#told >= tellEveryMs) this.#tell(now);
  }

  #begin({ delayMs, utilization, queued }: LoadSample, now: number): void {
    this.#isShedding = true;
    this.#isFound = false;
    this.#row = 0;
    this.#keep = steepFactor;
    this.#credit = 0;
    this.#shedSinceMs = now;
    this.#shedNow = 0;
    this.#told = now;
    logEvent(this.#parts.log, 'overloadBegan', {
      delayMs: Math.round(delayMs),
      busyPercent: Math.round(utilization * 100),
      queuedPercent: Math.round(queued * 100),
      offeredPerSecond: Math.round(this.#offeredRate),
    });
  }

  #tell(now: number): void {
    this.#told = now;
    logEvent(this.#parts.log, 'overloadGoesOn', {
      keptPercent: Math.round(this.#keep * 100),
      refused: this.#shedNow,
      offeredPerSecond: Math.round(this.#offeredRate),
    });
  }

  #end(): void {
    this.#isShedding = false;
    this.#pressed = 0;
    this.#keep = 1;
    this.#row = 0;
    logEvent(this.#parts.log, 'overloadEnded', {
      refused: this.#shedNow,
      forMs: Math.round(this.#parts.clock.now() - this.#shedSinceMs),
    });
  }
}

const sampleMs = 100;

/** A queue as full as this will overflow with the next burst. */
const fullShare = 0.5;

/** Half a second: a pause of the collector or a burst is no overload. */
const onsetSamples = 5;

/** With everything kept for so long, it is over. */
const restSamples = 20;

const steepFactor = 0.8;
const gentleFactor = 0.95;
const shortStep = 0.005;
const longStep = 0.03;

/** Between this and 1 the share stays. */
const calmPressure = 0.5;

/** A busier event loop has no time for more. */
const spareUtilization = 0.95;
const idleUtilization = 0.7;

const leastKept = 0.02;

const smoothing = 0.2;

const tellEveryMs = 10_000;
