/**
 * One linear scan over a message: where the start line ends, where each header field begins and ends, where the body is.
 * Nothing is copied and no value is looked into; positions are offsets into the octets, and into their latin1 text (RFC 3261 §7).
 */
import { fail, ok, type Result } from '../../../src/internal.ts';
import { H, headerId } from './header-names.ts';

/** Four numbers per header field, one after the other. */
export const fieldStride = 4;

export interface Scan {
  /** End of the start line, without its line end. */
  readonly startLineEnd: number;
  /** Start of the start line (keep-alive line ends may precede it, RFC 3261 §7.5). */
  readonly start: number;
  /** Per field: header id, offset of the name, offset of the value, end of the value (folding included, line end excluded). */
  readonly fields: readonly number[];
  /** Offset of the empty line that ends the header fields. */
  readonly headersEnd: number;
  readonly bodyStart: number;
}

export interface ScanFailure {
  readonly reason: string;
  readonly offset: number;
  /** What was understood until then, so that the message can be answered. */
  readonly partial: Scan;
}

export const limits = {
  /** A message above this does not fit a datagram; on streams it is not buffered further. */
  messageBytes: 65_535,
  headerBytes: 16_384,
  fields: 256,
  vias: 70,
} as const;

const LF = 10;
const CR = 13;
const SP = 32;
const HTAB = 9;
const COLON = 58;

/** Where the positions of one message are collected: a list of its own would grow, and be copied, several times. */
const found: number[] = Array.from({ length: limits.fields * fieldStride }, () => 0);

/** `text` is `bytes` as latin1: both at the same offsets. Reading octets is several times cheaper than reading characters. */
export function scan(bytes: Uint8Array, text: string): Result<Scan, ScanFailure> {
  const { length } = bytes;
  let start = 0;
  while (start < length && isLineEnd(bytes[start])) start += 1;
  let lf = text.indexOf('\n', start);
  let count = 0;
  if (lf < 0) return fail({ reason: 'no line end', offset: length, partial: partial(start, length, 0, length) });
  const startLineEnd = lineEnd(bytes, start, lf);
  let at = lf + 1;
  const headerLimit = start + limits.headerBytes;
  for (;;) {
    if (at >= length) {
      // RFC 3261 §7: an empty line ends the headers. A datagram that ends without one is answered, not guessed at.
      return fail({
        reason: 'no empty line after the headers',
        offset: length,
        partial: partial(start, startLineEnd, count, length),
      });
    }
    const first = bytes[at];
    if (first === LF || (first === CR && bytes[at + 1] === LF)) {
      const fields = found.slice(0, count);
      return ok({ start, startLineEnd, fields, headersEnd: at, bodyStart: first === LF ? at + 1 : at + 2 });
    }
    lf = text.indexOf('\n', at);
    if (lf < 0) lf = length;
    // Folding: a line that begins with white space continues the field (RFC 3261 §7.3.1).
    while (isBlank(bytes[lf + 1])) {
      lf = text.indexOf('\n', lf + 1);
      if (lf < 0) lf = length;
    }
    if (lf > headerLimit)
      return fail({
        reason: 'headers too large',
        offset: headerLimit,
        partial: partial(start, startLineEnd, count, at),
      });
    if (count === limits.fields * fieldStride)
      return fail({ reason: 'too many header fields', offset: at, partial: partial(start, startLineEnd, count, at) });
    const end = lineEnd(bytes, at, lf);
    let nameEnd = at;
    while (nameEnd < end && isNameOctet(bytes[nameEnd])) nameEnd += 1;
    let value = nameEnd;
    while (isBlank(bytes[value])) value += 1;
    const id = headerId(bytes, at, nameEnd);
    // A name that is known is well-formed; any other is looked at.
    if (bytes[value] !== COLON || (id === H.other && !isName(bytes, at, nameEnd)))
      return fail({
        reason: 'header line without a name and a colon',
        offset: at,
        partial: partial(start, startLineEnd, count, at),
      });
    value += 1;
    while (value < end && isSpace(bytes[value])) value += 1;
    let valueEnd = end;
    while (valueEnd > value && isSpace(bytes[valueEnd - 1])) valueEnd -= 1;
    found[count] = id;
    found[count + 1] = at;
    found[count + 2] = value;
    found[count + 3] = valueEnd;
    count += fieldStride;
    at = lf + 1;
  }
}

const lineEnd = (bytes: Uint8Array, start: number, lf: number): number =>
  lf > start && bytes[lf - 1] === CR ? lf - 1 : lf;

const isNameOctet = (c: number | undefined): boolean => c !== undefined && c > SP && c !== COLON;

/** Token characters only, near enough: no controls or separators that would end a name. */
function isName(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) {
    const c = bytes[i] ?? 0;
    if (c >= 127 || c === 34 || c === 60 || c === 62 || c === 64 || c === 44 || c === 59) return false;
  }
  return end > start;
}

const isBlank = (c: number | undefined): boolean => c === SP || c === HTAB;

const isLineEnd = (c: number | undefined): boolean => c === CR || c === LF;

const isSpace = (c: number | undefined): boolean => isBlank(c) || isLineEnd(c);

/** `count`: how many numbers were found. */
const partial = (start: number, startLineEnd: number, count: number, end: number): Scan => ({
  start,
  startLineEnd,
  fields: found.slice(0, count),
  headersEnd: end,
  bodyStart: end,
});
