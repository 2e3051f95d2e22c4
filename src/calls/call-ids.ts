/**
 * Call identifiers that tell a backup what was dialled: 16 hexadecimal digits that are unlike any other call's, then the dialled
 * number in BCD, closed by F. A gateway keeps the identifier with its media and gives it back when audited, so a call whose digits
 * were consumed by a controller that died since can still be completed. 32 digits fit the CallId of RFC 3435 §3.2.2.2.
 */
import type { Random } from '../random.ts';

export class CallIds {
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  make(number: string): string {
    return `${this.#random.hex(8)}${encodeNumber(number)}`.toUpperCase();
  }
}

/**
 * The identifier of a call whose other party no gateway has: the number is closed by E in the place of F. `identity`: 16 hexadecimal
 * digits that every member computes in the same way, or random ones.
 */
export const crossingCallId = (identity: string, number: string): string =>
  `${identity}${encodeNumber(number, 'E')}`.toUpperCase();

/** Is this the identifier of a call whose other party no gateway has? */
export const isCrossingCallId = (callId: string): boolean => partsOf(callId)?.closing === 'E';

/** The number that a call identifier of ours or of a partner tells of; undefined where it tells of none. */
export function dialledNumber(callId: string): string | undefined {
  const digits = partsOf(callId)?.digits ?? '';
  return /^[0-9ABC]+$/.test(digits) ? digits.replaceAll('A', '*').replaceAll('B', '#').replaceAll('C', '+') : undefined;
}

function partsOf(callId: string): { readonly digits: string; readonly closing: string } | undefined {
  if (!/^[0-9A-Fa-f]{32}$/.test(callId)) return undefined;
  const [, digits, closing] = /^([0-9A-D]*)([EF])F*$/.exec(callId.slice(16).toUpperCase()) ?? [];
  return digits === undefined || closing === undefined ? undefined : { digits, closing };
}

/** A number that does not fit into 15 digits is left out: such a call cannot be completed by a backup, only cleared. */
function encodeNumber(number: string, closing: 'E' | 'F' = 'F'): string {
  const digits = number.replaceAll('*', 'A').replaceAll('#', 'B').replaceAll('+', 'C');
  return ((/^[0-9ABC]{1,15}$/.test(digits) ? digits : '') + closing).padEnd(16, 'F');
}
