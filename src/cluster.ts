/** Who we are to others: our partners' addresses in one role. Backups follow from the node list or from flags. */
import type { ControllerAddress } from './controller-address.ts';

export interface Cluster {
  /** Shared by all members; keys branches and ids so that every member computes the same. */
  readonly secret: string;
  /** Alternates we name in what we send, in order of preference. */
  readonly backups: readonly ControllerAddress[];
  /** Primaries whose messages we may take over (the members that name us as backup). */
  readonly backupFor: readonly ControllerAddress[];
  /** All members, ourselves included, as the operator listed them; undefined where only partners were named. */
  readonly order?: readonly ControllerAddress[] | undefined;
}
