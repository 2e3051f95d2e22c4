/** Contacts that were removed a moment ago: memory has nothing of them, and a store that lost the last moments must hear of them again. */
import type { Clock } from '../../clock.ts';
import type { Removal } from './pending-writes.ts';

export class RecentRemovals {
  readonly #clock: Clock;
  #removals: { readonly record: string; readonly key: string; readonly removal: Removal }[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(record: string, key: string, removal: Removal): void {
    this.#removals.push({ record, key, removal });
    if (this.#removals.length > maxRemovals) this.#tidy();
  }

  all(tell: (record: string, key: string, removal: Removal) => void): void {
    this.#tidy();
    for (const { record, key, removal } of this.#removals) tell(record, key, removal);
  }

  #tidy(): void {
    const sinceMs = this.#clock.now() - keptMs;
    this.#removals = this.#removals.filter(({ removal }) => removal.atMs > sinceMs).slice(-maxRemovals / 2);
  }
}

/** A replica is behind by less than this, or something else is wrong as well. */
const keptMs = 60_000;

const maxRemovals = 20_000;
