/** Counters that cost an addition on the way of a message, and become Prometheus text only when somebody asks. */
import { AltpathError } from './errors.ts';
import type { Labels, MetricFamily, MetricSeries, Sample } from './metrics-text.ts';

export type { Labels } from './metrics-text.ts';

export interface Counter {
  add(count?: number): void;
  readonly value: number;
}

export interface Histogram {
  observe(value: number): void;
}

/** All series of one name. */
type Family = MetricFamily & { readonly series: Map<string, MetricSeries> };

/** One registry per process (or per test); names get the prefix `altpath_`. */
export class Metrics {
  readonly #families = new Map<string, Family>();

  /**
   * The same name and labels give the same counter. Keep it where messages pass: looking it up costs more than counting.
   * @throws AltpathError where the same name came with other label names, or as another kind of metric.
   */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    const { series, key, admitted } = this.#place(name, help, 'counter', labels);
    const known = series.get(key);
    if (known instanceof Cell) return known;
    const cell = new Cell(admitted);
    series.set(key, cell);
    return cell;
  }

  /** A value read when asked for. The same name and labels again replace the reader. @throws AltpathError as `counter` does. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    const { series, key, admitted } = this.#place(name, help, 'gauge', labels);
    series.set(key, new Reader(admitted, read));
  }

  /**
   * Values whose labels come and go with what is configured, read when asked for; what is beyond the bound of a family is left out.
   * `reader`: the same one again replaces the former. @throws AltpathError as `counter` does.
   */
  gauges(
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Iterable<LabelledValue>,
    reader: string,
  ): void {
    const { series } = this.#place(name, help, 'gauge', Object.fromEntries(labels.map((label) => [label, reader])));
    series.set(reader, new Values(read));
  }

  /** Keep it, as a counter. The same name with other labels is another series. @throws AltpathError as `counter` does. */
  histogram(name: string, help: string, bounds: readonly number[], labels: Labels = {}): Histogram {
    const { series, key, admitted } = this.#place(name, help, 'histogram', labels);
    const known = series.get(key);
    if (known instanceof Buckets) return known;
    const buckets = new Buckets(admitted, bounds);
    series.set(key, buckets);
    return buckets;
  }

  /** Prometheus text exposition format. What writes it is loaded when somebody asks first. */
  async text(): Promise<string> {
    const { writtenText } = await import('./metrics-text.ts');
    return writtenText(this.#families);
  }

  get contentType(): string {
    return 'text/plain; version=0.0.4; charset=utf-8';
  }

  /**
   * The series of a family, and the labels to count under. Families are bounded: what would be one series too many (a label that
   * follows a peer's text) is counted under `other`.
   */
  #place(name: string, help: string, type: Family['type'], labels: Labels) {
    const full = `altpath_${name}`;
    const names = Object.keys(labels);
    let family = this.#families.get(full);
    if (family === undefined) {
      family = { type, help, labelNames: names.sort(), series: new Map() };
      this.#families.set(full, family);
    }
    const { labelNames, series } = family;
    if (family.type !== type) throw new AltpathError('ERR_METRIC', `${full} is a ${family.type}, not a ${type}`);
    if (names.length !== labelNames.length || names.some((each) => !labelNames.includes(each)))
      throw new AltpathError(
        'ERR_METRIC',
        `${full} has the labels (${labelNames.join(', ')}), not (${names.join(', ')})`,
      );
    const keyOf = (each: Labels): string => JSON.stringify(labelNames.map((label) => each[label]));
    const key = keyOf(labels);
    if (series.size < maxSeries || series.has(key)) return { series, key, admitted: labels };
    const admitted: Labels = Object.fromEntries(labelNames.map((label) => [label, 'other']));
    return { series, key: keyOf(admitted), admitted };
  }
}

const maxSeries = 1_000;

class Cell implements Counter, MetricSeries {
  value = 0;
  readonly labels: Labels;

  constructor(labels: Labels) {
    this.labels = labels;
  }

  add(count = 1): void {
    this.value += count;
  }

  samples(): readonly Sample[] {
    return [this];
  }
}

class Reader implements MetricSeries {
  readonly labels: Labels;
  readonly #read: () => number;

  constructor(labels: Labels, read: () => number) {
    this.labels = labels;
    this.#read = read;
  }

  samples(): readonly Sample[] {
    return [{ value: this.#read() }];
  }
}

export interface LabelledValue {
  readonly labels: Labels;
  readonly value: number;
}

class Values implements MetricSeries {
  readonly labels: Labels = {};
  readonly #read: () => Iterable<LabelledValue>;

  constructor(read: () => Iterable<LabelledValue>) {
    this.#read = read;
  }

  samples(): readonly Sample[] {
    const samples: Sample[] = [];
    for (const each of this.#read()) {
      samples.push(each);
      if (samples.length >= maxSeries) break;
    }
    return samples;
  }
}

/** Counts what it observes by bucket; sums are made when it is read. */
class Buckets implements Histogram, MetricSeries {
  readonly labels: Labels;
  readonly #bounds: readonly number[];
  /** One more than there are bounds: what is above all of them. */
  readonly #counts: number[];
  #sum = 0;

  constructor(labels: Labels, bounds: readonly number[]) {
    this.labels = labels;
    this.#bounds = bounds;
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  observe(value: number): void {
    const bounds = this.#bounds;
    let at = 0;
    while (at < bounds.length && value > (bounds[at] ?? 0)) at += 1;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  samples(): readonly Sample[] {
    let count = 0;
    const samples: Sample[] = [];
    for (const [at, le] of [...this.#bounds, Number.POSITIVE_INFINITY].entries()) {
      count += this.#counts[at] ?? 0;
      samples.push({ suffix: '_bucket', le, value: count });
    }
    return [...samples, { suffix: '_sum', value: this.#sum }, { suffix: '_count', value: count }];
  }
}
