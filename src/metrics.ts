/** Counters that cost an addition on the way of a message, and become Prometheus text only when somebody asks. */
import { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry } from 'prom-client';
import { AltpathError } from './errors.ts';

export interface Counter {
  add(count?: number): void;
  readonly value: number;
}

export interface Histogram {
  observe(value: number): void;
}

export type Labels = Readonly<Record<string, string>>;

interface Family<T> {
  readonly labelNames: readonly string[];
  readonly series: Map<string, T>;
}

interface Reader {
  readonly labels: Labels;
  readonly read: () => number;
}

/** One registry per process (or per test); names get the prefix `altpath_`. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, Family<Cell>>();
  readonly #gauges = new Map<string, Family<Reader>>();
  readonly #histograms = new Map<string, Family<Observations> & { readonly histogram: PromHistogram }>();

  /**
   * The same name and labels give the same counter. Keep it where messages pass: looking it up costs more than counting.
   * @throws AltpathError where the same name came with other label names.
   */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    const full = `altpath_${name}`;
    let family = this.#counters.get(full);
    if (family === undefined) {
      const series = new Map<string, Cell>();
      family = { series, labelNames: Object.keys(labels).sort() };
      this.#counters.set(full, family);
      new PromCounter({
        name: full,
        help,
        labelNames: [...family.labelNames],
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const cell of series.values()) this.inc(cell.labels, cell.value);
        },
      });
    }
    const admitted = admit(full, family, labels);
    const key = seriesKey(family, admitted);
    let cell = family.series.get(key);
    if (cell === undefined) {
      cell = new Cell(admitted);
      family.series.set(key, cell);
    }
    return cell;
  }

  /** A value read when asked for. The same name and labels again replace the reader. @throws AltpathError as `counter` does. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    const full = `altpath_${name}`;
    let family = this.#gauges.get(full);
    if (family === undefined) {
      const series = new Map<string, Reader>();
      family = { series, labelNames: Object.keys(labels).sort() };
      this.#gauges.set(full, family);
      new PromGauge({
        name: full,
        help,
        labelNames: [...family.labelNames],
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const entry of series.values()) this.set(entry.labels, entry.read());
        },
      });
    }
    const admitted = admit(full, family, labels);
    family.series.set(seriesKey(family, admitted), { labels: admitted, read });
  }

  /** Keep it, as a counter. The same name with other labels is another series. @throws AltpathError as `counter` does. */
  histogram(name: string, help: string, buckets: readonly number[], labels: Labels = {}): Histogram {
    const full = `altpath_${name}`;
    let family = this.#histograms.get(full);
    if (family === undefined) {
      const labelNames = Object.keys(labels).sort();
      const all = new Map<string, Observations>();
      const histogram = new PromHistogram({
        name: full,
        help,
        buckets: [...buckets],
        labelNames,
        registers: [this.#registry],
        collect() {
          for (const observations of all.values()) observations.pass();
        },
      });
      family = { series: all, labelNames, histogram };
      this.#histograms.set(full, family);
    }
    const admitted = admit(full, family, labels);
    const key = seriesKey(family, admitted);
    let series = family.series.get(key);
    if (series === undefined) {
      series = new Observations(family.labelNames.length === 0 ? family.histogram : family.histogram.labels(admitted));
      family.series.set(key, series);
    }
    return series;
  }

  /** Prometheus text exposition format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}

/**
 * The labels to count under. Families are bounded: what would be one series too many (a label that follows a peer's text) is counted
 * under `other`.
 */
function admit(name: string, family: Family<unknown>, labels: Labels): Labels {
  const names = Object.keys(labels);
  if (names.length !== family.labelNames.length || names.some((each) => !family.labelNames.includes(each)))
    throw new AltpathError(
      'ERR_METRIC',
      `${name} has the labels (${family.labelNames.join(', ')}), not (${names.join(', ')})`,
    );
  if (family.series.size < maxSeries || family.series.has(seriesKey(family, labels))) return labels;
  return Object.fromEntries(family.labelNames.map((each) => [each, 'other']));
}

const seriesKey = (family: Family<unknown>, labels: Labels): string =>
  JSON.stringify(family.labelNames.map((name) => labels[name]));

const maxSeries = 1_000;

class Cell implements Counter {
  value = 0;
  readonly labels: Labels;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  add(count = 1): void {
    this.value += count;
  }
}

/** Passed on in a row: one by one, what the histogram does for each costs several times as much. */
class Observations implements Histogram {
  readonly #to: Histogram;
  readonly #waiting: number[] = [];

  constructor(to: Histogram) {
    this.#to = to;
  }

  observe(value: number): void {
    if (this.#waiting.push(value) >= maxWaiting) this.pass();
  }

  pass(): void {
    for (const value of this.#waiting) this.#to.observe(value);
    this.#waiting.length = 0;
  }
}

const maxWaiting = 1_024;
