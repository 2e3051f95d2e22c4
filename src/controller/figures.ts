/**
 * Figures of the traffic: what happened in the last second, for those who watch, and five-second samples of the last hour, for those who
 * come later. Nothing is computed for a call: counters that go up anyway are read.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { CallJournal } from '../journal/call-journal.ts';
import type { CallMetrics } from '../journal/call-metrics.ts';
import { delayAt } from '../journal/post-dial-delays.ts';

export interface Figures {
  readonly wallMs: number;
  readonly callsOpen: number;
  readonly begunPerSecond: number;
  readonly answeredPerSecond: number;
  readonly failedPerSecond: number;
  readonly messagesPerSecond: number;
  /** Since the process began, by reason. */
  readonly failures: Readonly<Record<string, number>>;
  readonly memoryBytes: number;
  /** From the attempt to ringing, of the calls that rang since the figures before: median and 95th percentile. */
  readonly postDialMs?: readonly [median: number, p95: number] | undefined;
}

/** `failures` of a sample are those of its time alone. */
export type Sample = Figures & { readonly seconds: number };

export interface FiguresParts {
  readonly clock: Clock;
  readonly journal: CallJournal;
  readonly metrics: CallMetrics;
  messages(): number;
}

/** Each call tells of the time since the call before. */
export function figuresReader(parts: FiguresParts): () => Figures {
  const { clock, journal, metrics } = parts;
  let [begun, answered, failed, messages] = [journal.begun, journal.answered, metrics.failed, parts.messages()];
  let delays = [...journal.postDial.counts];
  let atMs = clock.now();
  return () => {
    const now = clock.now();
    const seconds = Math.max(0.001, (now - atMs) / 1_000);
    const rate = (count: number, before: number): number => Math.round(((count - before) / seconds) * 10) / 10;
    const last = parts.messages();
    const rung = journal.postDial.counts.map((count, index) => count - (delays[index] ?? 0));
    const median = delayAt(rung, 0.5);
    const figures: Figures = {
      wallMs: Math.round(clock.wallNow()),
      callsOpen: journal.open.size,
      begunPerSecond: rate(journal.begun, begun),
      answeredPerSecond: rate(journal.answered, answered),
      failedPerSecond: rate(metrics.failed, failed),
      messagesPerSecond: rate(last, messages),
      failures: { ...metrics.failures },
      memoryBytes: process.memoryUsage.rss(),
      ...(median === undefined ? {} : { postDialMs: [median, delayAt(rung, 0.95) ?? median] }),
    };
    [begun, answered, failed, messages] = [journal.begun, journal.answered, metrics.failed, last];
    delays = [...journal.postDial.counts];
    atMs = now;
    return figures;
  };
}

export class FiguresHistory {
  readonly #clock: Clock;
  readonly #read: () => Figures;
  readonly #samples: Sample[] = [];
  readonly #listeners = new Set<(sample: Sample) => void>();
  #before: Readonly<Record<string, number>> = {};
  #timer: Cancel | undefined;

  constructor(parts: FiguresParts) {
    this.#clock = parts.clock;
    this.#read = figuresReader(parts);
    this.#await();
  }

  /** Oldest first. */
  list(): readonly Sample[] {
    return this.#samples.slice(-maxSamples);
  }

  listen(listener: (sample: Sample) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#timer?.();
  }

  #await(): void {
    this.#timer = this.#clock.after(sampleMs, () => {
      this.#take();
      this.#await();
    });
  }

  #take(): void {
    const figures = this.#read();
    const before = this.#before;
    this.#before = figures.failures;
    const failures = Object.fromEntries(
      Object.entries(figures.failures).flatMap(([reason, count]) => {
        const more = count - (before[reason] ?? 0);
        return more === 0 ? [] : [[reason, more]];
      }),
    );
    const sample: Sample = { ...figures, failures, seconds: sampleMs / 1_000 };
    this.#samples.push(sample);
    if (this.#samples.length > 2 * maxSamples) this.#samples.splice(0, this.#samples.length - maxSamples);
    for (const listener of this.#listeners) listener(sample);
  }
}

const sampleMs = 5_000;

/** An hour. */
const maxSamples = 720;
