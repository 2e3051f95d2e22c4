/** Who we are to others: our partners' addresses in one role. Backups follow from the node list or from flags. */
import { addressKey, type ControllerAddress, formatSocketAddress } from './signaling/controller-address.ts';

/**
 * What flags alone stand on: known to everybody, so that two processes started by hand can stand in for each other. With it a
 * stranger can foresee transaction identities and make proofs; documented in docs/alternate-path.md and said loudly at every start.
 */
export const wellKnownSecret = 'altpath: this is no secret';

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

/**
 * Whose gateways are whose where the operator does not say: the first member's of the list; else, for a mere backup, its primary's; where
 * two are each other's backup, the lower address's, so that both come to the same.
 */
export function defaultHome(
  { order, backups, backupFor }: Omit<Cluster, 'secret'>,
  self: ControllerAddress,
): ControllerAddress {
  const [first] = order ?? [];
  if (first !== undefined) return first;
  const named = new Set(backups.map(addressKey));
  const [primary] = backupFor.filter((each) => !named.has(addressKey(each)));
  if (primary !== undefined) return primary;
  return [self, ...backupFor].reduce((lowest, each) => (addressKey(each) < addressKey(lowest) ? each : lowest));
}

/** Every other member, once, by whatever transport it can be reached: the first that was named. */
export function partnersOf({ backups, backupFor }: Omit<Cluster, 'secret'>): readonly ControllerAddress[] {
  const partners = new Map<string, ControllerAddress>();
  for (const address of [...backups, ...backupFor]) {
    const key = formatSocketAddress(address);
    if (!partners.has(key)) partners.set(key, address);
  }
  return [...partners.values()];
}
