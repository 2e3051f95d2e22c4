/**
 * Via, From and To in the forms that nearly every message has them in, read straight from the octets: reading characters of a
 * string costs several times as much. Whatever looks otherwise (folding, odd blanks, IPv6, escapes in quotes) is undefined here
 * and left to values.ts, with whose answer this one always agrees.
 */
import { isTokenChar, type NameAddr, type Via } from './values.ts';

/** The first Via value in [start, end) of `bytes`, whose latin1 text is `text`; its own text tells where it ends. */
export function viaAt(bytes: Uint8Array, text: string, start: number, end: number): Via | undefined {
  if (!text.startsWith('SIP/2.0/', start)) return undefined;
  let at = start + 8;
  const transport = transportAt(bytes, at);
  if (transport === undefined) return undefined;
  at += 4;
  const hostStart = at;
  while (is(bytes[at], hostOctet)) at += 1;
  if (at === hostStart || bytes[at - 1] === DOT) return undefined;
  const host = text.slice(hostStart, at);
  let port = 0;
  if (bytes[at] === COLON) {
    const portStart = at + 1;
    at = portStart;
    for (let c = bytes[at]; c !== undefined && c >= 48 && c <= 57 && at < portStart + 6; c = bytes[at]) {
      port = port * 10 + c - 48;
      at += 1;
    }
    if (at === portStart || port > 65_535) return undefined;
  }
  const paramsStart = at;
  let branch: string | undefined;
  let received: string | undefined;
  let rport: string | undefined;
  while (at < end && bytes[at] !== COMMA) {
    if (bytes[at] !== SEMICOLON) return undefined;
    const nameStart = at + 1;
    const nameEnd = plainEnd(bytes, nameStart);
    const hasValue = bytes[nameEnd] === EQUALS;
    const valueStart = hasValue ? nameEnd + 1 : nameEnd;
    at = !hasValue
      ? nameEnd
      : bytes[valueStart] === QUOTE
        ? quotedStop(bytes, valueStart)
        : plainEnd(bytes, valueStart);
    if (nameEnd === nameStart || at < 0) return undefined;
    switch (nameEnd - nameStart) {
      case 6:
        if (branch === undefined && text.startsWith('branch', nameStart)) branch = text.slice(valueStart, at);
        else if (isLetters(bytes, nameStart, nameEnd, 'branch')) return undefined;
        break;
      case 5:
        if (rport === undefined && text.startsWith('rport', nameStart)) rport = text.slice(valueStart, at);
        else if (isLetters(bytes, nameStart, nameEnd, 'rport') || isLetters(bytes, nameStart, nameEnd, 'maddr'))
          return undefined;
        break;
      case 8:
        if (received === undefined && bytes[valueStart] !== BRACKET && text.startsWith('received', nameStart))
          received = text.slice(valueStart, at);
        else if (isLetters(bytes, nameStart, nameEnd, 'received')) return undefined;
        break;
    }
  }
  if (at > end) return undefined;
  return {
    transport,
    host,
    port,
    branch,
    received,
    rport,
    maddr: undefined,
    params: text.slice(paramsStart, at),
    text: text.slice(start, at),
  };
}

/** The name-addr in [start, end): `<uri>` or `"display" <uri>`, with its header parameters. */
export function nameAddrAt(bytes: Uint8Array, text: string, start: number, end: number): NameAddr | undefined {
  let at = start;
  let display = '';
  if (bytes[at] === QUOTE) {
    at = quotedStop(bytes, at);
    if (at < 0) return undefined;
    display = text.slice(start, at);
    while (bytes[at] === SPACE) at += 1;
  }
  if (bytes[at] !== LESS) return undefined;
  const uriStart = at + 1;
  at = uriStart;
  for (let c = bytes[at]; c !== undefined && c > SPACE && c !== LESS && c !== GREATER; c = bytes[at]) at += 1;
  if (bytes[at] !== GREATER || at === uriStart || at >= end) return undefined;
  const uri = text.slice(uriStart, at);
  const paramsStart = at + 1;
  if (paramsStart < end && bytes[paramsStart] !== SEMICOLON) return undefined;
  for (at = paramsStart; at < end; at += 1) if (!is(bytes[at], unquotedOctet)) return undefined;
  return { uri, params: text.slice(paramsStart, end), display };
}

/** As `valueEnd` of values.ts: the comma that ends the list value at `start`, or `end`. */
export function valueEndAt(bytes: Uint8Array, start: number, end: number): number {
  let quoted = false;
  let bracketed = false;
  for (let i = start; i < end; i += 1) {
    const c = bytes[i] ?? 0;
    // Nothing of what matters here is a letter.
    if (c > BACKSLASH) continue;
    if (quoted) {
      if (c === BACKSLASH) i += 1;
      else if (c === QUOTE) quoted = false;
    } else if (c === QUOTE) quoted = true;
    else if (c === LESS) bracketed = true;
    else if (c === GREATER) bracketed = false;
    else if (c === COMMA && !bracketed) return i;
  }
  return end;
}

/** `UDP`, `TCP` or `TLS` with one blank behind it. */
function transportAt(bytes: Uint8Array, at: number): string | undefined {
  const first = bytes[at];
  const second = bytes[at + 1];
  const third = bytes[at + 2];
  if (bytes[at + 3] !== SPACE) return undefined;
  if (first === 85 && second === 68 && third === 80) return 'UDP';
  if (first === 84 && second === 67 && third === 80) return 'TCP';
  return first === 84 && second === 76 && third === 83 ? 'TLS' : undefined;
}

function plainEnd(bytes: Uint8Array, start: number): number {
  let at = start;
  while (is(bytes[at], plainOctet)) at += 1;
  return at;
}

/** Offset behind the quoted string that opens at `start`; -1 where it has escapes or controls in it, or no end. */
function quotedStop(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (is(bytes[at], quotedOctet)) at += 1;
  return bytes[at] === QUOTE ? at + 1 : -1;
}

/** Any case. */
function isLetters(bytes: Uint8Array, start: number, end: number, letters: string): boolean {
  for (let i = start; i < end; i += 1) if (((bytes[i] ?? 0) | 32) !== letters.charCodeAt(i - start)) return false;
  return true;
}

const SPACE = 32;
const QUOTE = 34;
const COMMA = 44;
const DOT = 46;
const COLON = 58;
const SEMICOLON = 59;
const LESS = 60;
const EQUALS = 61;
const GREATER = 62;
const BRACKET = 91;
const BACKSLASH = 92;

/** What an octet may stand for, as bits. */
const octets = new Uint8Array(256);
const hostOctet = 1;
const plainOctet = 2;
const quotedOctet = 4;
const unquotedOctet = 8;

for (const c of 'abcdefghijklmnopqrstuvwxyz0123456789-._') octets[c.charCodeAt(0)] = hostOctet;
for (let c = SPACE; c < 256; c += 1) {
  if (isTokenChar(c)) set(c, plainOctet);
  if (c !== QUOTE) set(c, unquotedOctet);
  if (c !== QUOTE && c !== BACKSLASH) set(c, quotedOctet);
}

function set(octet: number, bit: number): void {
  octets[octet] = (octets[octet] ?? 0) | bit;
}

const is = (octet: number | undefined, bit: number): boolean =>
  octet !== undefined && ((octets[octet] ?? 0) & bit) !== 0;
