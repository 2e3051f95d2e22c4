/** What a file in bench/ exports as `suite`, and what it reports. main.ts runs every suite it finds. */
export interface Suite {
  /** The word that chooses it on the command line. */
  readonly name: string;
  readonly title: string;
  /** The works `--work` chooses from; empty where there is nothing to choose. */
  readonly works: readonly string[];
  /** Does `npm run bench` without names run it? */
  readonly byDefault: boolean;
  run(options: BenchOptions): Promise<SuiteReport>;
}

export interface BenchOptions {
  /** Calls (or requests) per second; the suite's own where absent. */
  readonly rate?: number | undefined;
  readonly calls?: number | undefined;
  readonly runs?: number | undefined;
  readonly work?: readonly string[] | undefined;
  /** A look at the order of magnitude in a minute, not a measurement. */
  readonly quick: boolean;
  /** Leave the anchor out. */
  readonly alone: boolean;
  /** What happens meanwhile; goes to standard error. */
  readonly log: (line: string) => void;
}

export interface SuiteReport {
  readonly rows: readonly Row[];
  /** Sentences a reader of the figures needs. */
  readonly notes: readonly string[];
}

/** One measured quantity, ours beside the anchor's. */
export interface Row {
  readonly what: string;
  readonly unit: string;
  readonly ours: Sample;
  readonly anchor?: Sample & { readonly name: string };
  /** `lower` or `higher` is better. */
  readonly better: 'lower' | 'higher';
  /** What the ratio ours/anchor (or, without an anchor, our value) should keep to. */
  readonly target?: number;
}

export interface Sample {
  /** One value per run. */
  readonly values: readonly number[];
  /** What went wrong in any run (failed calls, retransmissions); empty is good. */
  readonly faults: readonly string[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) return Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? upper)) / 2;
}

/** Ours through theirs; undefined without an anchor. */
export const ratio = (row: Row): number | undefined =>
  row.anchor === undefined ? undefined : median(row.ours.values) / median(row.anchor.values);
