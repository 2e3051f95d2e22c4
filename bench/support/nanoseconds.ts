/** Microbenchmarks: nanoseconds per operation, one value per round, after warming up. */
export interface Timing {
  /** How long each round lasts. */
  readonly roundMs: number;
  readonly rounds: number;
}

export const timing = (quick: boolean): Timing => (quick ? { roundMs: 100, rounds: 3 } : { roundMs: 500, rounds: 7 });

/**
 * Runs the competitors round by round in turn, so that a busy moment of the machine falls on all of them.
 * An operation returns something of what it did; it is kept, so that no optimiser can leave the work out.
 */
export function nanoseconds(
  operations: ReadonlyMap<string, (iteration: number) => unknown>,
  { roundMs, rounds }: Timing,
): ReadonlyMap<string, readonly number[]> {
  for (const operation of operations.values()) oneRound(operation, roundMs);
  const values = new Map([...operations.keys()].map((name): [string, number[]] => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, operation] of operations) values.get(name)?.push(oneRound(operation, roundMs));
  }
  return values;
}

/** The last result of any operation. */
export let kept: unknown;

function oneRound(operation: (iteration: number) => unknown, roundMs: number): number {
  const start = performance.now();
  let done = 0;
  let now = start;
  while (now - start < roundMs) {
    for (let i = 0; i < batch; i++) kept = operation(done + i);
    done += batch;
    now = performance.now();
  }
  return ((now - start) * 1e6) / done;
}

/** Operations between two looks at the clock. */
const batch = 64;
