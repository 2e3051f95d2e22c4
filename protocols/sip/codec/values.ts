/** Header values: lists, parameters, name-addr, Via, CSeq (RFC 3261 §20, §25.1). Offsets in, small objects out, nothing thrown. */
import { isIP } from 'node:net';
import { rootless } from './uri.ts';

/** The values of a header field that holds a comma-separated list, put behind `values`; commas in quotes and angle brackets do not split. */
export function splitList(text: string, start = 0, end = text.length, values: string[] = []): string[] {
  let at = start;
  while (at < end) {
    const stop = valueEnd(text, at, end);
    const value = trim(text, at, stop);
    if (value !== '') values.push(value);
    at = stop + 1;
  }
  return values;
}

/** End of the list value that begins at `start`: the comma that ends it, or `end`. */
export function valueEnd(text: string, start: number, end: number): number {
  const comma = text.indexOf(',', start);
  if (comma < 0 || comma >= end) return end;
  // A comma inside quotes or brackets is part of the value: look closer only where one could be.
  let quoted = false;
  let bracketed = false;
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    if (quoted) {
      if (c === 92) i += 1;
      else if (c === 34) quoted = false;
    } else if (c === 34) quoted = true;
    else if (c === 60) bracketed = true;
    else if (c === 62) bracketed = false;
    else if (c === 44 && !bracketed) return i;
  }
  return end;
}

/** Offset just behind the quoted string that opens at `start`; -1 where it never closes. */
export function quotedEnd(text: string, start: number, end: number): number {
  for (let i = start + 1; i < end; i += 1) {
    const c = text.charCodeAt(i);
    if (c === 92) i += 1;
    else if (c === 34) return i + 1;
  }
  return -1;
}

/** A quoted string's content with quoted-pairs resolved; other text as it is. */
export function unquote(text: string): string {
  if (!text.startsWith('"')) return text;
  const content = text.slice(1, text.endsWith('"') && text.length > 1 ? -1 : undefined);
  return content.includes('\\') ? content.replace(/\\([\s\S])/g, '$1') : content;
}

export const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`;

/** The value of a parameter in `;a=b;c="d"`, name in any case; '' for a flag, undefined where absent. Quotes are kept. */
export function param(text: string, name: string, start = 0, end = text.length): string | undefined {
  let at = start;
  while (at < end) {
    const stop = paramEnd(text, at, end);
    let from = at;
    while (from < stop && isSpace(text.charCodeAt(from))) from += 1;
    if (stop - from >= name.length && text.slice(from, from + name.length).toLowerCase() === name) {
      let next = from + name.length;
      while (next < stop && isSpace(text.charCodeAt(next))) next += 1;
      if (next === stop) return '';
      if (text.charCodeAt(next) === 61) return trim(text, next + 1, stop);
    }
    at = stop + 1;
  }
  return undefined;
}

/** `;a=b;c` with `written` in place of the first parameter of this name (in lower case), and without further ones of it. */
export function replaceParam(params: string, name: string, written: string): string {
  let out = '';
  let left = written;
  for (let at = 0; at < params.length; ) {
    // `at` is the parameter's semicolon.
    const stop = paramEnd(params, at + 1, params.length);
    let from = at + 1;
    while (from < stop && isSpace(params.charCodeAt(from))) from += 1;
    let nameEnd = from;
    while (nameEnd < stop && isTokenChar(params.charCodeAt(nameEnd))) nameEnd += 1;
    if (params.slice(from, nameEnd).toLowerCase() === name) {
      out += left;
      left = '';
    } else out += params.slice(at, stop);
    at = stop;
  }
  return out;
}

/** End of the parameter that begins at `start`: its semicolon, or `end`. */
export function paramEnd(text: string, start: number, end: number): number {
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    if (c === 59) return i;
    if (c === 34) {
      const close = quotedEnd(text, i, end);
      if (close < 0) return end;
      i = close - 1;
    }
  }
  return end;
}

/** A name-addr or addr-spec with header parameters: From, To, Contact, Route, Record-Route, Path. */
export interface NameAddr {
  /** The URI's text, without brackets. */
  readonly uri: string;
  /** `;tag=x;q=0.5` as written (header parameters; RFC 3261 §20: without brackets every parameter is one). */
  readonly params: string;
  /** Display name as written, quotes kept. */
  readonly display: string;
}

/** Undefined where it is none: unbalanced quotes, blanks in the brackets, separators in an unquoted display name. */
export function parseNameAddr(text: string): NameAddr | undefined {
  let at = 0;
  if (text.charCodeAt(0) === 34) {
    at = quotedEnd(text, 0, text.length);
    if (at < 0) return undefined;
  }
  const open = text.indexOf('<', at);
  const semicolon = text.indexOf(';', at);
  // No display name has a semicolon: brackets behind one are inside of a quoted parameter (`;+sip.instance="<urn:uuid:…>"`).
  if (open < 0 || (at === 0 && semicolon >= 0 && semicolon < open)) {
    if (at > 0) return undefined;
    const uri = trim(text, 0, semicolon < 0 ? text.length : semicolon);
    const params = semicolon < 0 ? '' : text.slice(semicolon);
    return uri === '' || /[\s<>"]/.test(uri) || !areParams(params) ? undefined : { uri, params, display: '' };
  }
  const display = open === 0 ? '' : trim(text, 0, open);
  if (open > 0 && (at > 0 ? trim(text, at, open) !== '' : /[,;"@>]/.test(display))) return undefined;
  const close = text.indexOf('>', open);
  if (close < 0) return undefined;
  for (let i = open + 1; i < close; i += 1) {
    const c = text.charCodeAt(i);
    if (c <= 32 || c === 60) return undefined;
  }
  if (close === open + 1) return undefined;
  let behind = close + 1;
  while (behind < text.length && isSpace(text.charCodeAt(behind))) behind += 1;
  if (behind < text.length && text.charCodeAt(behind) !== 59) return undefined;
  const params = text.slice(behind);
  if (params.includes('"') && !balanced(params)) return undefined;
  return { uri: text.slice(open + 1, close), params, display };
}

/** What branches of RFC 3261 begin with (§8.1.1.7). */
export const magicCookie = 'z9hG4bK';

/** One Via value (RFC 3261 §20.42). */
export interface Via {
  /** Upper case: `UDP`, `TCP`, `TLS`, `WS`, `WSS`, `SCTP` or whatever was written. */
  readonly transport: string;
  /** Lower case; IPv6 without brackets. */
  readonly host: string;
  /** 0: none given. */
  readonly port: number;
  readonly branch: string | undefined;
  readonly received: string | undefined;
  /** '' where the flag came without a value. */
  readonly rport: string | undefined;
  readonly maddr: string | undefined;
  /** All parameters as written, from the first semicolon. */
  readonly params: string;
  readonly text: string;
}

/** Undefined where it is none. `SIP / 2.0 / UDP` with white space is legal. */
export function parseVia(text: string): Via | undefined {
  let at = 8;
  if (!text.startsWith('SIP/2.0/')) {
    const match = /^SIP\s*\/\s*2\.0\s*\/\s*/i.exec(text);
    if (match === null) return undefined;
    at = match[0].length;
  }
  let i = at;
  while (i < text.length && isTokenChar(text.charCodeAt(i))) i += 1;
  const transport = text.slice(at, i);
  if (i === at || !isSpace(text.charCodeAt(i))) return undefined;
  while (isSpace(text.charCodeAt(i))) i += 1;
  const hostStart = i;
  let host: string;
  if (text.charCodeAt(i) === 91) {
    const close = text.indexOf(']', i);
    if (close < 0) return undefined;
    host = text.slice(i + 1, close);
    if (isIP(host) !== 6) return undefined;
    host = host.toLowerCase();
    i = close + 1;
  } else {
    let upper = false;
    for (; i < text.length; i += 1) {
      const c = text.charCodeAt(i);
      if ((c >= 97 && c <= 122) || (c >= 48 && c <= 57) || c === 46 || c === 45 || c === 95) continue;
      if (c >= 65 && c <= 90) upper = true;
      else break;
    }
    if (i === hostStart) return undefined;
    host = text.slice(hostStart, rootless(text, hostStart, i));
    if (upper) host = host.toLowerCase();
  }
  while (isSpace(text.charCodeAt(i))) i += 1;
  let port = 0;
  if (text.charCodeAt(i) === 58) {
    i += 1;
    while (isSpace(text.charCodeAt(i))) i += 1;
    const portStart = i;
    for (; i < text.length; i += 1) {
      const digit = text.charCodeAt(i) - 48;
      if (digit < 0 || digit > 9) break;
      port = port * 10 + digit;
      if (port > 65_535) return undefined;
    }
    if (i === portStart) return undefined;
    while (isSpace(text.charCodeAt(i))) i += 1;
  }
  if (i < text.length && text.charCodeAt(i) !== 59) return undefined;
  const paramsStart = i;
  let branch: string | undefined;
  let received: string | undefined;
  let rport: string | undefined;
  let maddr: string | undefined;
  while (i < text.length) {
    i += 1;
    while (isSpace(text.charCodeAt(i))) i += 1;
    const stop = paramEnd(text, i, text.length);
    let nameEnd = i;
    while (nameEnd < stop && isTokenChar(text.charCodeAt(nameEnd))) nameEnd += 1;
    if (nameEnd === i) return undefined;
    let equals = nameEnd;
    while (equals < stop && isSpace(text.charCodeAt(equals))) equals += 1;
    if (equals < stop && text.charCodeAt(equals) !== 61) return undefined;
    switch (nameEnd - i) {
      case 5:
        if (isNamed(text, i, nameEnd, 'rport')) rport ??= equals < stop ? trim(text, equals + 1, stop) : '';
        else if (isNamed(text, i, nameEnd, 'maddr')) maddr ??= unbracket(trim(text, equals + 1, stop));
        break;
      case 6:
        if (isNamed(text, i, nameEnd, 'branch')) branch ??= trim(text, equals + 1, stop);
        break;
      case 8:
        if (isNamed(text, i, nameEnd, 'received')) received ??= unbracket(trim(text, equals + 1, stop));
        break;
    }
    i = stop;
  }
  return {
    transport: upperTransport(transport),
    host,
    port,
    branch,
    received,
    rport,
    maddr,
    params: paramsStart < text.length ? text.slice(paramsStart) : '',
    text,
  };
}

/** Each fold, with the white space around it, becomes one blank; for values that are parsed, never for what is forwarded. */
export function unfold(text: string): string {
  if (!text.includes('\n')) return text;
  let out = '';
  let at = 0;
  for (let lf = text.indexOf('\n'); lf >= 0; lf = text.indexOf('\n', at)) {
    out += `${trim(text, at, lf)} `;
    at = lf + 1;
  }
  return out + trim(text, at, text.length);
}

export function trim(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isSpace(text.charCodeAt(from))) from += 1;
  while (to > from && isSpace(text.charCodeAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

export const isSpace = (c: number): boolean => c === 32 || c === 9 || c === 13 || c === 10;

/** RFC 3261 §25.1 token. */
export const isTokenChar = (c: number): boolean => c < 128 && tokenChars[c] === 1;

export function isToken(text: string): boolean {
  if (text === '') return false;
  for (let i = 0; i < text.length; i += 1) if (!isTokenChar(text.charCodeAt(i))) return false;
  return true;
}

const tokenChars = new Uint8Array(128);
for (const c of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~")
  tokenChars[c.charCodeAt(0)] = 1;

const isNamed = (text: string, start: number, end: number, name: string): boolean =>
  text.startsWith(name, start) || text.slice(start, end).toLowerCase() === name;

const unbracket = (host: string): string => (host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host);

const upperTransport = (transport: string): string =>
  transport === 'UDP' || transport === 'TCP' || transport === 'TLS' ? transport : transport.toUpperCase();

/** Quotes closed, and brackets nowhere but inside of them. */
function areParams(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (c === 60 || c === 62) return false;
    if (c !== 34) continue;
    const close = quotedEnd(text, i, text.length);
    if (close < 0) return false;
    i = close - 1;
  }
  return true;
}

function balanced(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (text.charCodeAt(i) !== 34) continue;
    const close = quotedEnd(text, i, text.length);
    if (close < 0) return false;
    i = close - 1;
  }
  return true;
}
