/** What every kind of socket needs of its surroundings. */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';

export interface NetworkParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}
