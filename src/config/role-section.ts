import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { NamedHop } from '../signaling/name-resolver.ts';

/** What every protocol's section has, whatever else is in it. */
export interface RoleSection {
  readonly listen: readonly ControllerAddress[];
  readonly backup: readonly ControllerAddress[];
  readonly backupFor: readonly ControllerAddress[];
  /** The host to show where a socket is bound to a wildcard. */
  readonly advertise?: string | undefined;
  readonly lines?: readonly { readonly number: string }[];
  /** Carriers. */
  readonly trunks?: readonly {
    readonly name: string;
    readonly to: readonly NamedHop[];
    readonly user?: string | undefined;
    readonly password?: string | undefined;
    readonly register: boolean;
  }[];
  readonly timers?: { readonly holdMs?: number | undefined };
  /** What its lines may dial beyond the numbers that are known. */
  readonly digitMap?: readonly string[];
}
