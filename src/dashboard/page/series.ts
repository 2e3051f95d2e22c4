/** Figures as columns for charts. Pure. */
import { reasonTitle } from './model.ts';
import type { Figures } from './rows.ts';

/** One column for each line: first the times in seconds. A null is a gap. */
export type Columns = readonly (readonly (number | null)[])[];

export interface Chart {
  readonly labels: readonly string[];
  readonly columns: Columns;
}

export const lastMinutes = (samples: readonly Figures[], minutes: number, nowMs: number): readonly Figures[] =>
  samples.filter(({ wallMs }) => wallMs >= nowMs - minutes * 60_000);

export const traffic = (samples: readonly Figures[]): Chart => ({
  labels: ['begun', 'answered', 'failed'],
  columns: [
    times(samples),
    samples.map(({ begunPerSecond }) => begunPerSecond),
    samples.map(({ answeredPerSecond }) => answeredPerSecond),
    samples.map(({ failedPerSecond }) => failedPerSecond),
  ],
});

export const postDialDelay = (samples: readonly Figures[]): Chart => ({
  labels: ['median', '95 %'],
  columns: [
    times(samples),
    samples.map(({ postDialMs }) => postDialMs?.[0] ?? null),
    samples.map(({ postDialMs }) => postDialMs?.[1] ?? null),
  ],
});

/** Failed calls by reason, the most frequent reasons first, the rest together; each column holds those below it as well. */
export function failureMix(samples: readonly Figures[], most = 5): Chart {
  const sums = failureSums(samples);
  const named = sums.slice(0, most).map(([reason]) => reason);
  const columns: number[][] = [];
  let below = samples.map(() => 0);
  for (const reason of named) {
    below = samples.map(({ failures }, index) => (below[index] ?? 0) + (failures[reason] ?? 0));
    columns.push(below);
  }
  if (sums.length > most) {
    const others = sums.slice(most).map(([reason]) => reason);
    below = samples.map(
      ({ failures }, index) => (below[index] ?? 0) + others.reduce((sum, reason) => sum + (failures[reason] ?? 0), 0),
    );
    columns.push(below);
  }
  return {
    labels: [...named.map(reasonTitle), ...(sums.length > most ? ['Others'] : [])],
    columns: [times(samples), ...columns],
  };
}

/** By reason, the most frequent first. */
function failureSums(samples: readonly Figures[]): readonly (readonly [reason: string, count: number])[] {
  const sums = new Map<string, number>();
  for (const { failures } of samples)
    for (const [reason, count] of Object.entries(failures)) sums.set(reason, (sums.get(reason) ?? 0) + count);
  return [...sums].sort(([a, x], [b, y]) => y - x || a.localeCompare(b));
}

const times = (samples: readonly Figures[]): readonly number[] => samples.map(({ wallMs }) => wallMs / 1_000);
