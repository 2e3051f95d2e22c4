/** Rows that several workers say of one thing, as one. Pure. */
import { isRow, type Row, type Said } from './worker-admins.ts';
import { maxWorkers } from './worker-count.ts';

/** The items of all, each with its worker. */
export const itemsOf = (all: readonly Said[]): readonly Row[] =>
  all.flatMap(({ worker, row: { items } }) =>
    Array.isArray(items) ? items.filter(isRow).map((row) => ofWorker(row, worker)) : [],
  );

/** Numbers by which each worker tells its rows apart tell those of all apart. */
export function ofWorker(row: Row, worker: number): Row {
  const { sequence } = row;
  return typeof sequence === 'number'
    ? { ...row, sequence: sequence * (maxWorkers + 1) + worker, worker }
    : { ...row, worker };
}

/** How many there are in all. */
export const totalOf = (all: readonly Said[]): number =>
  all.reduce((sum, { row: { total } }) => sum + (typeof total === 'number' ? total : 0), 0);

/** Figures of several workers as one: what counts is added, what is a time or a delay is the latest, or the longest. */
export function summed(rows: readonly Row[]): Row {
  const sum: Record<string, unknown> = {};
  for (const row of rows)
    for (const [key, value] of Object.entries(row)) {
      const before = sum[key];
      if (Array.isArray(value)) sum[key] = longest(Array.isArray(before) ? before : [], value);
      else if (isRow(value)) sum[key] = summed([isRow(before) ? before : {}, value]);
      else if (typeof value !== 'number') sum[key] = value;
      else if (unsummed.has(key)) sum[key] = Math.max(Number(before ?? 0), value);
      else sum[key] = Math.round(((typeof before === 'number' ? before : 0) + value) * 10) / 10;
    }
  return sum;
}

const unsummed: ReadonlySet<string> = new Set(['wallMs', 'seconds']);

const longest = (a: readonly unknown[], b: readonly unknown[]): readonly unknown[] =>
  b.map((value, index) => Math.max(Number(value), Number(a[index] ?? 0)));

/** Samples of several workers, who take them at times of their own: to each of the first one's the nearest of the others. */
export function summedSamples([first = [], ...others]: readonly (readonly Row[])[]): readonly Row[] {
  return first.map((sample) => {
    const atMs = Number(sample['wallMs']);
    const near = others.flatMap((samples) => {
      const nearest = samples.reduce<Row | undefined>(
        (best, each) => (best === undefined || offMs(each, atMs) < offMs(best, atMs) ? each : best),
        undefined,
      );
      return nearest !== undefined && offMs(nearest, atMs) <= sampleMs ? [nearest] : [];
    });
    return summed([sample, ...near]);
  });
}

const offMs = ({ wallMs }: Row, atMs: number): number => Math.abs(Number(wallMs) - atMs);

/** As often as workers take one. */
const sampleMs = 5_000;

/** A call that a sibling went on with after a death is one call: who saw it begin tells most of it. */
export function withoutTwins(rows: readonly Row[]): readonly Row[] {
  const byId = new Map<unknown, Row>();
  for (const row of rows) {
    const twin = byId.get(row['id']);
    if (twin === undefined || twin['isAdopted'] === true) byId.set(row['id'], row);
  }
  return [...byId.values()];
}

/** What all say alike is said once; where they differ, each speaks for itself. `worker` and times are no difference. */
export function agreed(rows: readonly Row[]): readonly Row[] {
  const said = new Map<string, Row>();
  for (const row of rows) {
    const key = JSON.stringify(row, (name, value: unknown) =>
      name === 'worker' || /(?:Ms|Seconds)$/.test(name) ? undefined : value,
    );
    const same = said.get(key);
    if (same === undefined) said.set(key, row);
    else {
      const { worker: _worker, ...rest } = same;
      said.set(key, rest);
    }
  }
  return [...said.values()];
}

/** Newest first, by the first of these times that a row has. */
export const byTime = (rows: readonly Row[], ...names: readonly string[]): readonly Row[] =>
  rows.toSorted((a, b) => timeOf(b, names) - timeOf(a, names));

function timeOf(row: Row, names: readonly string[]): number {
  for (const name of names) if (typeof row[name] === 'number') return row[name];
  return 0;
}
