/**
 * Why a call ends, as a reason of ours and as a cause of ITU-T Q.850, both ways: protocols that carry causes (RFC 3326) tell each other
 * through it, and a party left behind hears what fits.
 */
import type { ReleaseReason } from './leg.ts';

export function causeOf(reason: ReleaseReason): number {
  switch (reason) {
    case 'normal':
    case 'cancelled':
      return 16;
    case 'busy':
      return 17;
    case 'unknownNumber':
      return 1;
    case 'noAnswer':
      return 19;
    case 'unavailable':
      return 20;
    case 'declined':
    case 'forbidden':
      return 21;
    case 'gatewayLost':
      return 27;
    case 'incompleteNumber':
      return 28;
    case 'temporary':
      return 41;
    case 'overload':
      return 42;
    case 'noResources':
      return 47;
    case 'notAcceptable':
      return 88;
  }
}

/** undefined: no cause of Q.850. */
export function reasonOf(cause: number): ReleaseReason | undefined {
  if (!Number.isInteger(cause) || cause < 1 || cause > 127) return undefined;
  return byCause.get(cause) ?? byClass[cause >> 4];
}

/**
 * A reason that says little gives way to a cause that says more: a gateway of the telephone network answers "temporarily unavailable" and
 * adds that the called party is busy.
 */
export function finerReason(reason: ReleaseReason, cause: number | undefined): ReleaseReason {
  const told = cause === undefined || !saysLittle.has(reason) ? undefined : reasonOf(cause);
  return told === undefined || told === 'normal' ? reason : told;
}

const saysLittle: ReadonlySet<ReleaseReason> = new Set<ReleaseReason>([
  'unavailable',
  'temporary',
  'forbidden',
  'declined',
  'noResources',
]);

const byCause: ReadonlyMap<number, ReleaseReason> = new Map<number, ReleaseReason>([
  // Unallocated number, no route to the transit network, no route to the destination.
  [1, 'unknownNumber'],
  [2, 'unknownNumber'],
  [3, 'unknownNumber'],
  [16, 'normal'],
  [17, 'busy'],
  // No user responding; no answer from the user, who was alerted.
  [18, 'noAnswer'],
  [19, 'noAnswer'],
  // Subscriber absent.
  [20, 'unavailable'],
  [21, 'declined'],
  // Number changed.
  [22, 'unknownNumber'],
  [23, 'unknownNumber'],
  // Exchange routing error.
  [25, 'temporary'],
  [26, 'normal'],
  // Destination out of order.
  [27, 'gatewayLost'],
  [28, 'incompleteNumber'],
  // Facility rejected.
  [29, 'notAcceptable'],
  [31, 'normal'],
  // Network out of order, temporary failure, access information discarded.
  [38, 'temporary'],
  [41, 'temporary'],
  [43, 'temporary'],
  // Switching equipment congestion.
  [42, 'overload'],
  // Bearer capability not available now, and service or option not available.
  [58, 'noResources'],
  [63, 'notAcceptable'],
  // User not member of the closed user group.
  [87, 'forbidden'],
  // Incompatible destination.
  [88, 'notAcceptable'],
]);

/** Causes that have no meaning of their own for us, by the class that they are of (Q.850 §2.1.5): the three bits above the value. */
const byClass: readonly ReleaseReason[] = [
  'normal',
  'normal',
  // Resource unavailable.
  'noResources',
  // Service or option not available, not implemented.
  'forbidden',
  'notAcceptable',
  // Invalid message, protocol error, interworking.
  'temporary',
  'temporary',
  'temporary',
];
