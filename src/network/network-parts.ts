/** What every kind of socket needs of its surroundings. */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';

export interface NetworkParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Present where other processes of this host bind the same addresses. */
  readonly sharing?: Sharing | undefined;
}

export interface Sharing {
  /** From now on what this host sends comes to the socket of ours that is connected to it. */
  moved(host: string): void;
}
