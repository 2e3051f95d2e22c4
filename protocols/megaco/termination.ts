/** Names of terminations: the physical one of a line, and which a pattern with wildcards means (RFC 3525 §6.2.2). */
import type { Line } from '../../src/internal.ts';

/** A line's endpoint is `termination@gateway`. */
export function terminationOf(line: Line): string {
  let termination = known.get(line);
  if (termination === undefined) {
    termination = line.endpoint.slice(0, line.endpoint.lastIndexOf('@')).toLowerCase();
    known.set(line, termination);
  }
  return termination;
}

const known = new WeakMap<Line, string>();
