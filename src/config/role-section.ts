import type { ControllerAddress } from '../signaling/controller-address.ts';

/** What every protocol's section has, whatever else is in it. */
export interface RoleSection {
  readonly listen: readonly ControllerAddress[];
  readonly backup: readonly ControllerAddress[];
  readonly backupFor: readonly ControllerAddress[];
  readonly lines?: readonly { readonly number: string }[];
  /** What its lines may dial beyond the numbers that are known. */
  readonly digitMap?: readonly string[];
}
