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

/** The number that a call identifier of ours or of a partner tells of; undefined where it tells of none. */
export function dialledNumber(callId: string): string | undefined {
  if (!/^[0-9A-Fa-f]{32}$/.test(callId)) return undefined;
  const packed = callId.slice(16).toUpperCase();
  const end = packed.indexOf('F');
  if (end <= 0 || !/^F*$/.test(packed.slice(end))) return undefined;
  const digits = packed.slice(0, end);
  return /^[0-9AB]+$/.test(digits) ? digits.replaceAll('A', '*').replaceAll('B', '#') : undefined;
}

/** A number that does not fit into 15 digits is left out: such a call cannot be completed by a backup, only cleared. */
function encodeNumber(number: string): string {
  const digits = number.replaceAll('*', 'A').replaceAll('#', 'B');
  return /^[0-9AB]{1,15}$/.test(digits) ? digits.padEnd(16, 'F') : 'F'.repeat(16);
}
