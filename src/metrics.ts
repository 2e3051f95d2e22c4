/** Counters that cost an addition on the way of a message, and become Prometheus text only when somebody asks. */
import { Counter as PromCounter, Gauge as PromGauge, Histogram as PromHistogram, Registry } from 'prom-client';

export interface Counter {
  add(count?: number): void;
  readonly value: number;
}

export interface Histogram {
  observe(value: number): void;
}

export type Labels = Readonly<Record<string, string>>;

/** One registry per process (or per test); names get the prefix `altpath_`. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #counters = new Map<string, { readonly cells: Map<string, Cell>; readonly labelNames: readonly string[] }>();
  readonly #gauges = new Map<string, { readonly reads: Map<string, { labels: Labels; read: () => number }> }>();
  readonly #histograms = new Map<string, PromHistogram>();

  /** The same name and labels give the same counter. */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    const full = `altpath_${name}`;
    let family = this.#counters.get(full);
    if (family === undefined) {
      const cells = new Map<string, Cell>();
      family = { cells, labelNames: Object.keys(labels) };
      this.#counters.set(full, family);
      new PromCounter({
        name: full,
        help,
        labelNames: [...family.labelNames],
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const cell of cells.values()) this.inc(cell.labels, cell.value);
        },
      });
    }
    const key = JSON.stringify(labels);
    let cell = family.cells.get(key);
    if (cell === undefined) {
      cell = new Cell(labels);
      family.cells.set(key, cell);
    }
    return cell;
  }

  /** A value read when asked for. The same name and labels again replace the reader. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    const full = `altpath_${name}`;
    let family = this.#gauges.get(full);
    if (family === undefined) {
      const reads = new Map<string, { labels: Labels; read: () => number }>();
      family = { reads };
      this.#gauges.set(full, family);
      new PromGauge({
        name: full,
        help,
        labelNames: Object.keys(labels),
        registers: [this.#registry],
        collect() {
          this.reset();
          for (const entry of reads.values()) this.set(entry.labels, entry.read());
        },
      });
    }
    family.reads.set(JSON.stringify(labels), { labels, read });
  }

  histogram(name: string, help: string, buckets: readonly number[]): Histogram {
    const full = `altpath_${name}`;
    let histogram = this.#histograms.get(full);
    if (histogram === undefined) {
      histogram = new PromHistogram({ name: full, help, buckets: [...buckets], registers: [this.#registry] });
      this.#histograms.set(full, histogram);
    }
    return histogram;
  }

  /** Prometheus text exposition format. */
  text(): Promise<string> {
    return this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }
}

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
