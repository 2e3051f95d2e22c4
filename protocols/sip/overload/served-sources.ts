/** Hosts whose requests succeed: they are not banned for sending many (src/overload/source-limits.ts). */
import type { Clock } from '../../../src/internal.ts';

export class ServedSources {
  readonly #clock: Clock;
  /** Host → when it was served last, about; the one noted longest ago is forgotten first. */
  readonly #sinceMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A request from there was answered with this status. */
  note(host: string, status: number): void {
    if (status < 200 || status > 299) return;
    const now = this.#clock.now();
    if (now - (this.#sinceMs.get(host) ?? Number.NEGATIVE_INFINITY) < refreshMs) return;
    this.#sinceMs.delete(host);
    if (this.#sinceMs.size >= maxHosts) {
      const [oldest] = this.#sinceMs.keys();
      if (oldest !== undefined) this.#sinceMs.delete(oldest);
    }
    this.#sinceMs.set(host, now);
  }

  serves(host: string): boolean {
    const sinceMs = this.#sinceMs.get(host);
    return sinceMs !== undefined && this.#clock.now() - sinceMs < keptMs;
  }
}

const refreshMs = 1_000;
const keptMs = 60_000;
const maxHosts = 10_000;
