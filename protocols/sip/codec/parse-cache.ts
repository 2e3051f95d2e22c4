/**
 * What was worked out of a piece of a message, by that piece's text: a hop writes the same on all its messages. Bounded in number and
 * length, and apart for each transport, which may decide what the text means.
 */
import type { Transport } from '../../../src/internal.ts';
import { latin1 } from './decode.ts';
import { toBytes } from './encode.ts';

const maxKept = 1_000;
const maxLength = 256;

export class ParseCache<T> {
  readonly #kept = new Map<Transport | undefined, Map<string, T>>();

  get(text: string, transport: Transport | undefined, make: () => T): T {
    let kept = this.#kept.get(transport);
    if (kept === undefined) {
      kept = new Map();
      this.#kept.set(transport, kept);
    }
    const known = kept.get(text);
    if (known !== undefined || text.length > maxLength) return known ?? make();
    const made = make();
    if (kept.size >= maxKept) kept.clear();
    // A copy: what was cut out of a message would keep the whole message. Text beyond octets is none of the wire's.
    const copy = latin1(toBytes(text));
    if (copy === text) kept.set(copy, made);
    return made;
  }
}
