/**
 * The metrics of all workers as one text in the Prometheus exposition format. Counters and histograms are added, so that they are as they
 * were with one process, and never fall: what a life counted that is over still counts, as far as it was read. Gauges cannot be added
 * without knowing what they measure: each worker's has its label.
 */

/** One life of a worker; `text` is undefined where it does not answer now. */
export interface WorkerText {
  readonly worker: number;
  /** Unlike for any two lives. */
  readonly life: string;
  readonly text: string | undefined;
}

interface Family {
  readonly head: string[];
  readonly isAdded: boolean;
  /** By series, in the order in which they came. */
  readonly samples: Map<string, number>;
}

export class MergedMetrics {
  /** What lives counted that are over, by family and series. */
  readonly #over = new Map<string, Map<string, number>>();
  /** What each life said last. */
  readonly #last = new Map<string, ReadonlyMap<string, Family>>();

  /** `own`: of the process above the workers. */
  text(own: string, workers: readonly WorkerText[]): string {
    for (const { life, text } of workers) if (text !== undefined) this.#last.set(life, readFamilies(text));
    const living = new Set(workers.map(({ life }) => life));
    for (const [life, families] of this.#last) if (!living.has(life)) this.#bury(life, families);
    const merged = readFamilies(own);
    for (const { worker, life, text } of workers)
      for (const [name, family] of this.#last.get(life) ?? []) {
        const into = place(merged, name, family);
        for (const [series, value] of family.samples)
          if (family.isAdded) into.samples.set(series, (into.samples.get(series) ?? 0) + value);
          else if (text !== undefined) into.samples.set(labelled(series, worker), value);
      }
    for (const [name, counts] of this.#over) {
      const samples = merged.get(name)?.samples;
      if (samples !== undefined)
        for (const [series, value] of counts) samples.set(series, (samples.get(series) ?? 0) + value);
    }
    return [...merged.values()].flatMap(written).join('\n');
  }

  #bury(life: string, families: ReadonlyMap<string, Family>): void {
    this.#last.delete(life);
    for (const [name, { isAdded, samples }] of families) {
      if (!isAdded) continue;
      const counts = this.#over.get(name) ?? new Map<string, number>();
      this.#over.set(name, counts);
      for (const [series, value] of samples) counts.set(series, (counts.get(series) ?? 0) + value);
    }
  }
}

function readFamilies(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let head: string[] = [];
  let current: Family | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('# HELP ')) head = [line];
    else if (line.startsWith('# TYPE ')) {
      const [, , name = '', type = ''] = line.split(' ');
      current = { head: [...head, line], isAdded: type === 'counter' || type === 'histogram', samples: new Map() };
      families.set(name, current);
    } else if (line !== '') {
      // Labels may have blanks in them, the value has none.
      const at = line.lastIndexOf(' ');
      current?.samples.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
  }
  return families;
}

function place(families: Map<string, Family>, name: string, like: Family): Family {
  let family = families.get(name);
  if (family === undefined) {
    family = { ...like, samples: new Map() };
    families.set(name, family);
  }
  return family;
}

const written = ({ head, samples }: Family): readonly string[] => [
  ...head,
  ...[...samples].map(([series, value]) => `${series} ${Number.isNaN(value) ? 'NaN' : value}`),
  '',
];

function labelled(series: string, worker: number): string {
  const label = `worker="${worker}"`;
  const at = series.indexOf('{');
  if (at < 0) return `${series}{${label}}`;
  const rest = series.slice(at + 1);
  return `${series.slice(0, at)}{${label}${rest === '}' ? '' : ','}${rest}`;
}
