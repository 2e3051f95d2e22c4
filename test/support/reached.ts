/** A world of simulated time that can be run on. */
interface Running {
  run(ms: number): Promise<unknown>;
}

/** Runs the world until this holds, for so long at most. */
export async function reached(world: Running, holds: () => boolean, limitMs: number, stepMs = 20): Promise<boolean> {
  for (let waited = 0; waited < limitMs; waited += stepMs) {
    if (holds()) return true;
    await world.run(stepMs);
  }
  return holds();
}
