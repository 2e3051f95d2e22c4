/** How long calls took until they rang, as counts: finer than what Prometheus gets, and read by those who watch. */

export class PostDialDelays {
  /** Since the process began: as many as there are bounds, and one more. */
  readonly counts: number[] = new Array<number>(bounds.length + 1).fill(0);

  add(ms: number): void {
    let at = 0;
    while (at < bounds.length && ms > (bounds[at] ?? 0)) at += 1;
    this.counts[at] = (this.counts[at] ?? 0) + 1;
  }
}

/** The delay below which this share of the calls lies, in ms; undefined where there are none. Within a bucket they lie evenly. */
export function delayAt(counts: readonly number[], share: number): number | undefined {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let below = 0;
  for (const [index, count] of counts.entries()) {
    if (count > 0 && below + count >= share * total) {
      const low = bounds[index - 1] ?? 0;
      const high = bounds[index] ?? low;
      return Math.round((low + ((share * total - below) / count) * (high - low)) * 10) / 10;
    }
    below += count;
  }
  return bounds.at(-1);
}

const bounds = [
  1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 250, 400, 600, 1_000, 1_500, 2_500, 4_000, 7_000, 12_000, 20_000, 40_000,
];
