/** Who calls, as an analog line displays it: `L/ci` (RFC 3660 §2.4). */
import type { CallerIdentity } from '../../src/internal.ts';

/** `L/ci(09/14/17/26,"5551212","John Doe")`: P for what is private, O for what is not known. `localTime`: `09/14/17/26`. */
export function callerIdSignal({ presentation, number, name }: CallerIdentity, localTime: string): string {
  const shown = (text: string): string => {
    if (presentation === 'restricted') return 'P';
    return presentation === 'unavailable' || text === '' ? 'O' : `"${text}"`;
  };
  // "An ASCII character string of decimal digits".
  const digits = (number ?? '').replace(/[^0-9]/g, '').slice(0, maxDigits);
  return `L/ci(${localTime},${shown(digits)},${shown(quotable(name ?? ''))})`;
}

/** No control characters, quotes doubled (RFC 3435 Appendix A), and in octets: UTF-8 (RFC 3660 §2.4) as the octets that messages are made of. */
function quotable(name: string): string {
  const clean = [...name].filter((character) => !/\p{Cc}/u.test(character)).slice(0, maxName);
  return Buffer.from(clean.join('').trim()).toString('latin1').replaceAll('"', '""');
}

/** A telephone displays fewer. */
const maxDigits = 32;
const maxName = 48;
