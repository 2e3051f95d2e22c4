/**
 * Takes AlternatePath tags of strangers out of a message at a border (`strip: untrusted`). It works on the parsed values, so neither
 * folding, case, compact names, joined or repeated fields, quoted text nor escapes can hide one.
 */
import { alternatePathTag } from '../../src/index.ts';
import { hasTag } from './alternate-path.ts';
import { decode } from './decode.ts';
import { Edit, toBytes } from './encode.ts';
import { H, type HeaderId } from './header-names.ts';
import type { SipMessage } from './messages.ts';
import { unescapeText } from './uri.ts';
import { isSpace, isTokenChar, paramEnd, quotedEnd, valueEnd } from './values.ts';

/**
 * The message without the tags that `keeps` does not vouch for; the same object where there is none. `keeps` is given one value of a
 * header field as written (our own Via and Record-Route come back from telephones: those stay).
 */
export function stripTags(message: SipMessage, keeps: (id: HeaderId, value: string) => boolean): SipMessage {
  const head = message.text.slice(message.scan.start, message.scan.headersEnd);
  // A tag's name may be escaped only inside a URI: an escape or the name itself must be there.
  if (!hasTag(head) && !head.includes('%')) return message;
  const edit = new Edit(message);
  let changed = false;
  for (const id of tagged) {
    for (let i = message.fieldIndex(id); i >= 0; i = message.fieldIndex(id, i)) {
      const stop = message.valueStop(i);
      for (let at = message.valueStart(i); at < stop; ) {
        const end = valueEnd(message.text, at, stop);
        const value = message.text.slice(at, end);
        const stripped = keeps(id, value) ? value : withoutTags(value);
        if (stripped !== value) {
          edit.replace(at, end, stripped);
          changed = true;
        }
        at = end + 1;
      }
    }
  }
  if (!changed) return message;
  const decoded = decode(toBytes(edit.text()));
  return decoded.ok ? decoded.value : message;
}

const tagged: readonly HeaderId[] = [H.via, H.recordRoute, H.route, H.contact, H.path, H.serviceRoute];

/** One value without tags: as header parameters, and as parameters of the URI in its brackets. */
export function withoutTags(value: string): string {
  const open = uriStart(value);
  if (open < 0) return withoutParams(value, firstSemicolon(value, 0), value.length);
  const close = value.indexOf('>', open);
  if (close < 0) return value;
  const question = value.indexOf('?', open);
  const uriEnd = question >= 0 && question < close ? question : close;
  const at = value.indexOf('@', open);
  const hostStart = at >= 0 && at < uriEnd ? at : open;
  const behind = withoutParams(value, firstSemicolon(value, close), value.length).slice(close);
  return (
    withoutParams(value.slice(0, uriEnd), firstSemicolon(value, hostStart), uriEnd) +
    value.slice(uriEnd, close) +
    behind
  );
}

/** A second tag behind (or inside) the first could say something else than the one that was judged. */
export const onlyOneTag = (value: string): boolean => unescapeText(value).toLowerCase().split(lowerTag).length === 2;

/** Offset of the bracket that opens the URI, not of one in a quoted display name. */
function uriStart(value: string): number {
  for (let i = 0; i < value.length; i += 1) {
    const c = value.charCodeAt(i);
    if (c === 60) return i;
    if (c === 34) {
      const close = quotedEnd(value, i, value.length);
      if (close < 0) return -1;
      i = close - 1;
    }
  }
  return -1;
}

function firstSemicolon(value: string, from: number): number {
  const at = value.indexOf(';', from);
  return at < 0 ? value.length : at;
}

/** Cuts every parameter of that name out of `;a=b;c` between the offsets. */
function withoutParams(value: string, start: number, end: number): string {
  let out = value.slice(0, start);
  let at = start;
  while (at < end) {
    // `at` is a semicolon.
    const stop = paramEnd(value, at + 1, end);
    if (!isTag(value, at + 1, stop)) out += value.slice(at, stop);
    at = stop;
  }
  return out + value.slice(end);
}

function isTag(value: string, start: number, end: number): boolean {
  let from = start;
  while (from < end && isSpace(value.charCodeAt(from))) from += 1;
  let to = from;
  while (to < end && isTokenChar(value.charCodeAt(to))) to += 1;
  return unescapeText(value.slice(from, to)).toLowerCase() === lowerTag;
}

const lowerTag = alternatePathTag.toLowerCase();
