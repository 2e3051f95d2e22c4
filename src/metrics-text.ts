/** What was counted, as Prometheus reads it: `prom-client` writes it, and counts nothing itself. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export type Labels = Readonly<Record<string, string>>;

/** All series of one name. */
export interface MetricFamily {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly series: ReadonlyMap<string, MetricSeries>;
}

export interface MetricSeries {
  readonly labels: Labels;
  samples(): readonly Sample[];
}

export interface Sample {
  readonly value: number;
  /** Other labels than those of its series. */
  readonly labels?: Labels;
  /** Of a histogram: behind the family's name, and the upper bound of a bucket. */
  readonly suffix?: '_bucket' | '_sum' | '_count';
  readonly le?: number;
}

export function writtenText(families: ReadonlyMap<string, MetricFamily>): Promise<string> {
  const registry = new Registry();
  for (const [name, family] of families) {
    const { type, help } = family;
    const parts = { name, help, labelNames: [...family.labelNames], registers: [registry] };
    if (type === 'histogram') new CountedHistogram(parts, family);
    else if (type === 'counter') {
      const counter = new Counter(parts);
      if (family.labelNames.length > 0) counter.reset();
      for (const { labels, samples } of sampled(family)) for (const { value } of samples) counter.inc(labels, value);
    } else {
      const gauge = new Gauge(parts);
      for (const { labels, samples } of sampled(family))
        for (const { value, labels: own = labels } of samples) gauge.set(own, value);
    }
  }
  return registry.metrics();
}

const sampled = ({ series }: MetricFamily) =>
  [...series.values()].map((each) => ({ labels: each.labels, samples: each.samples() }));

class CountedHistogram extends Histogram {
  readonly #name: string;
  readonly #family: MetricFamily;

  constructor(parts: ConstructorParameters<typeof Histogram>[0], family: MetricFamily) {
    super(parts);
    this.#name = parts.name;
    this.#family = family;
  }

  /** What the registry asks for. */
  getForPromString() {
    const { help, type } = this.#family;
    const values = sampled(this.#family).flatMap(({ labels, samples }) =>
      samples.map(({ suffix = '', le, value }) => ({
        labels: le === undefined ? labels : { le: Number.isFinite(le) ? le : '+Inf', ...labels },
        value,
        metricName: `${this.#name}${suffix}`,
      })),
    );
    return Promise.resolve({ name: this.#name, help, type, values, aggregator: 'sum' });
  }
}
