/** How long a worker that died waits for its next life: at once after a long life, longer and longer when it dies again and again. */
export class BackOff {
  #deaths = 0;

  /** Deaths in a row, each soon after its start. */
  get deaths(): number {
    return this.#deaths;
  }

  /** It died after this long. */
  next(livedMs: number): number {
    this.#deaths = livedMs >= soundMs ? 1 : this.#deaths + 1;
    return Math.min(maxWaitMs, firstWaitMs * 2 ** (this.#deaths - 1));
  }
}

/** A life of this length was a good one. */
const soundMs = 30_000;
const firstWaitMs = 100;
const maxWaitMs = 30_000;
