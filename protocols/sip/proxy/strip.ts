/**
 * Takes AlternatePath tags of strangers out of a message at a border (`strip: untrusted`): out of the Request-URI and every header
 * field that may hold a URI. Neither folding, case, compact names, joined or repeated fields, quotes, escapes, URI headers, user parts
 * nor a value that cannot be parsed hide one: what some reader downstream might take for the tag goes.
 */
import { alternatePathTag } from '../../../src/internal.ts';
import { decode } from '../codec/decode.ts';
import { Edit, toBytes } from '../codec/encode.ts';
import { H, type HeaderId } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { fieldStride } from '../codec/scanner.ts';
import { isSpace, isTokenChar, quotedEnd, valueEnd } from '../codec/values.ts';
import { hasTag } from '../path.ts';

/**
 * The message without the tags that `keeps` does not vouch for; the same object where there is none, undefined where nothing readable is
 * left. `keeps` is given one value of a header field as written (our own Via and Record-Route come back from telephones: those stay).
 */
export function stripTags(
  message: SipMessage,
  keeps: (id: HeaderId, value: string) => boolean,
): SipMessage | undefined {
  const { scan, text } = message;
  const head = text.slice(scan.start, scan.headersEnd);
  // A tag's name may be escaped inside a URI: an escape or the name itself must be there.
  if (!hasTag(head) && !head.includes('%')) return message;
  const edit = new Edit(message);
  let changed = false;
  const strip = (start: number, end: number, id: HeaderId | undefined): void => {
    const value = text.slice(start, end);
    const stripped = withoutTags(value);
    if (stripped === value || (id !== undefined && keeps(id, value))) return;
    edit.replace(start, end, stripped);
    changed = true;
  };
  if (message.isRequest) {
    const start = scan.start + message.method.length + 1;
    const uri = `<${message.requestUri}>`;
    const stripped = withoutTags(uri);
    // A Request-URI of a dialog is the other side's Contact.
    if (stripped !== uri && !keeps(H.contact, uri)) {
      edit.replace(start, start + message.requestUri.length, stripped.slice(1, -1));
      changed = true;
    }
  }
  for (let i = 0; i < scan.fields.length; i += fieldStride) {
    const stop = message.valueStop(i);
    const id = vouched.find((each) => each === scan.fields[i]);
    if (id === undefined) {
      if (!isProse(text, message.fieldStart(i))) strip(message.valueStart(i), stop, undefined);
      continue;
    }
    for (let at = message.valueStart(i); at < stop; ) {
      const end = valueEnd(text, at, stop);
      strip(at, end, id);
      at = end + 1;
    }
  }
  if (!changed) return message;
  const decoded = decode(toBytes(edit.text()));
  return decoded.ok ? decoded.value : undefined;
}

/** Fields in which our own tags, and those of hops that the operator named, come back. */
const vouched: readonly HeaderId[] = [H.via, H.recordRoute, H.route, H.contact, H.path, H.serviceRoute];

/** Text for people, or names that must stay as they are: no URI is read there. Any other field, known or not, may hold one. */
const isProse = (text: string, start: number): boolean =>
  /^(?:subject|s|organization|user-agent|server|call-id|i|in-reply-to|(?:proxy-)?authorization)[ \t]*:/i.test(
    text.slice(start, start + 24),
  );

/** A field value or URI without tags: as parameters of a header or a URI, as URI headers, and in whatever cannot be parsed. */
export function withoutTags(value: string): string {
  const cut = cutTags(value);
  // What a cut has joined, or laid bare of its quotes, loses its name at least.
  return cut === value || cutTags(cut) === cut ? cut : cut.replace(name(), 'x');
}

/** A second tag behind (or inside) the first could say something else than the one that was judged. */
export const onlyOneTag = (value: string): boolean => value.match(name())?.length === 1;

function cutTags(value: string): string {
  const names = name();
  let spans: Spans | undefined;
  let out = '';
  let done = 0;
  for (let match = names.exec(value); match !== null; match = names.exec(value)) {
    spans ??= spansOf(value);
    const tag = tagAt(value, match.index, names.lastIndex, spans);
    if (tag === undefined || tag.start < done) continue;
    out += value.slice(done, tag.start);
    done = tag.end;
    names.lastIndex = done;
  }
  return done === 0 ? value : out + value.slice(done);
}

interface Tag {
  readonly start: number;
  readonly end: number;
}

/** From the separator in front of the name to the end of the parameter; undefined where the word is part of something else. */
function tagAt(value: string, nameStart: number, nameEnd: number, spans: Spans): Tag | undefined {
  if (isWithin(spans.quoted, nameStart) || goesOn(value, nameEnd)) return undefined;
  const separator = separatorBefore(value, nameStart);
  if (separator === undefined) return undefined;
  const sign = /\s*(?:=|%(?:25){0,8}3d)\s*/iy;
  sign.lastIndex = nameEnd;
  const hasValue = sign.test(value);
  // Behind a blank, a bracket or a quote stands no parameter by any grammar, but with a value a careless reader may see one.
  if (separator.kind === 'weak' && !hasValue) return undefined;
  const end = hasValue ? valueStop(value, sign.lastIndex, separator, spans, nameStart) : nameEnd;
  // `?AlternatePath=…&more=…`: the question mark belongs to what follows.
  const isFirst = separator.text === '?' && value.charCodeAt(end) === 38;
  return isFirst ? { start: separator.end, end: end + 1 } : { start: separator.start, end };
}

interface Separator {
  readonly kind: 'plain' | 'escaped' | 'weak';
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** What stands in front of a name, white space apart. */
function separatorBefore(value: string, nameStart: number): Separator | undefined {
  let end = nameStart;
  while (end > 0 && isSpace(value.charCodeAt(end - 1))) end -= 1;
  const last = end === 0 ? '' : value.charAt(end - 1);
  if (last === ';' || last === '?' || last === '&')
    return { kind: 'plain', text: last, start: end - 1, end: nameStart };
  const escaped = /%(?:25){0,8}(?:(3b|3f|26)|20|22|2c|3e|0a|0d|09)$/i.exec(value.slice(Math.max(0, end - 24), end));
  if (escaped !== null) {
    const [text, strong] = escaped;
    if (strong === undefined) return { kind: 'weak', text, start: nameStart, end: nameStart };
    return { kind: 'escaped', text, start: end - text.length, end: nameStart };
  }
  const isWeak = end < nameStart || last === '>' || last === '"' || last === ',';
  return isWeak ? { kind: 'weak', text: last, start: nameStart, end: nameStart } : undefined;
}

/** Is the name that seems to end here the start of a longer one? */
function goesOn(value: string, nameEnd: number): boolean {
  const escaped = /^%(?:25){0,8}([0-9a-f]{2})/i.exec(value.slice(nameEnd, nameEnd + 24));
  const code = escaped === null ? value.charCodeAt(nameEnd) : Number.parseInt(escaped[1] ?? '', 16);
  return isTokenChar(code) && code !== 37;
}

/** Where the value of a tag ends that begins at `from`. */
function valueStop(value: string, from: number, { kind, text }: Separator, spans: Spans, nameStart: number): number {
  if (kind === 'escaped') {
    const quote = /%(?:25){0,8}22/iy;
    quote.lastIndex = from;
    const opened = quote.test(value);
    const closed = opened ? indexOf(value, /%(?:25){0,8}22|[>&]/gi, quote.lastIndex) : from;
    return indexOf(value, /[&>;?,\s]|%(?:25){0,8}(?:3b|3e|2c|3f|26)/gi, closed);
  }
  const isUri = isWithin(spans.bracketed, nameStart);
  let at = from;
  if (value.charCodeAt(at) === 34) {
    const close = quotedEnd(value, at, value.length);
    if (close < 0) return isUri ? indexOf(value, />/g, at) : value.length;
    at = close;
  }
  if (!isUri) {
    for (; at < value.length; at += 1) {
      const c = value.charCodeAt(at);
      if (c === 59 || c === 44 || c === 60 || (text !== ';' && c === 38)) return at;
      if (c !== 34) continue;
      const close = quotedEnd(value, at, value.length);
      if (close < 0) return value.length;
      at = close - 1;
    }
    return value.length;
  }
  const end = indexOf(value, text === ';' ? /[;?>]/g : /[;?&>]/g, at);
  // A user part has parameters as well: what follows its `@` is the host.
  const host = value.indexOf('@', at);
  const isUserPart = host >= 0 && host < end && value.lastIndexOf('@', nameStart) < value.lastIndexOf('<', nameStart);
  return isUserPart ? host : end;
}

/** Offset of the first match from there on, or the end. */
function indexOf(value: string, pattern: RegExp, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(value)?.index ?? value.length;
}

/** Offsets in pairs, ascending. */
interface Spans {
  /** Quoted strings outside of brackets: whatever they hold is text. None where one never closes. */
  readonly quoted: readonly number[];
  /** URIs in brackets; without a closing one, all that follows. */
  readonly bracketed: readonly number[];
}

function spansOf(value: string, quotes = true): Spans {
  const quoted: number[] = [];
  const bracketed: number[] = [];
  for (let i = 0; i < value.length; i += 1) {
    const c = value.charCodeAt(i);
    if (c === 60) {
      const close = value.indexOf('>', i);
      const end = close < 0 ? value.length : close;
      bracketed.push(i, end);
      i = end;
    } else if (c === 34 && quotes) {
      const close = quotedEnd(value, i, value.length);
      // Which of them open and which close is anybody's guess.
      if (close < 0) return spansOf(value, false);
      quoted.push(i, close);
      i = close - 1;
    }
  }
  return { quoted, bracketed };
}

function isWithin(spans: readonly number[], at: number): boolean {
  for (let i = 0; i < spans.length; i += 2) {
    if ((spans[i] ?? 0) > at) return false;
    if ((spans[i + 1] ?? 0) > at) return true;
  }
  return false;
}

/** The tag's name in any case, each letter as it is or escaped, also more than once as inside of URI headers. */
const namePattern = [...alternatePathTag]
  .map((letter) => {
    const codes = [letter.toUpperCase(), letter.toLowerCase()].map((each) => each.charCodeAt(0).toString(16));
    return `(?:${letter}|%(?:25){0,8}(?:${codes.join('|')}))`;
  })
  .join('');

const name = (): RegExp => new RegExp(namePattern, 'gi');
