/** Lines, tokens and white space of a datagram as offsets into one latin1 string; a carriage return counts as white space. */

/** Offset of the line's LF, or the end of the text. */
export function lineEnd(text: string, from: number): number {
  const at = text.indexOf('\n', from);
  return at < 0 ? text.length : at;
}

const isBlankCode = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0d;

/** The first offset that is no white space, at most `end`. */
export function blankEnd(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && isBlankCode(text.charCodeAt(at))) at += 1;
  return at;
}

/** The first offset that is white space, at most `end`. */
export function tokenEnd(text: string, from: number, end: number): number {
  let at = from;
  while (at < end && !isBlankCode(text.charCodeAt(at))) at += 1;
  return at;
}

/** The text between, without white space on either side. */
export function trimmed(text: string, from: number, end: number): string {
  const start = blankEnd(text, from, end);
  let stop = end;
  while (stop > start && isBlankCode(text.charCodeAt(stop - 1))) stop -= 1;
  return text.slice(start, stop);
}

/** Does the line that begins here hold nothing but white space? */
export function isEmptyLine(text: string, from: number): boolean {
  const code = text.charCodeAt(from);
  if (code === 0x0a) return true;
  if (!isBlankCode(code)) return false;
  const end = lineEnd(text, from);
  return blankEnd(text, from, end) === end;
}

/** The separator of piggy-backed messages: a line with a single dot (RFC 3435 §3.5.5). */
export function isDot(text: string, from: number): boolean {
  if (text.charCodeAt(from) !== 0x2e) return false;
  const end = lineEnd(text, from);
  return blankEnd(text, from + 1, end) === end;
}

export const isLetter = (code: number): boolean => (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a);
