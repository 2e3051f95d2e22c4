/** SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966), parsed as far as routing needs; the text itself is never rewritten. */
import { isIP } from 'node:net';
import { addressKind } from '../../../src/internal.ts';

export interface SipUri {
  /** Lower case: `sip`, `sips`, `tel`, or any other scheme. */
  readonly scheme: string;
  /** User part as written (escapes kept, password cut off); undefined where there is none. For other schemes: all after the colon. */
  readonly user: string | undefined;
  /** Lower case, IPv6 without brackets; '' for schemes without a host. */
  readonly host: string;
  /** 0: none given. */
  readonly port: number;
  /** `;a=b;c` as written, '' where there are none. */
  readonly params: string;
  /** `a=b&c=d` as written, without the question mark. */
  readonly headers: string;
  readonly text: string;
}

/** No multicast, broadcast or unspecified address; names are judged once they are resolved. */
export const isUnicast = (host: string): boolean => addressKind(host) !== 'nowhere';

export const isSipScheme = (scheme: string): boolean => scheme === 'sip' || scheme === 'sips';

/** Undefined where the text is no URI; never throws. Linear time. */
export function parseUri(text: string): SipUri | undefined {
  const colon = text.indexOf(':');
  if (colon <= 0) return undefined;
  const scheme = text.startsWith('sip:')
    ? 'sip'
    : text.startsWith('sips:')
      ? 'sips'
      : text.slice(0, colon).toLowerCase();
  if (!isSipScheme(scheme)) return isScheme(scheme) && !hasSpace(text) ? otherUri(scheme, text, colon) : undefined;
  let hostStart = colon + 1;
  const at = text.indexOf('@', hostStart);
  let user: string | undefined;
  if (at >= 0) {
    const userEnd = passwordStart(text, hostStart, at);
    if (userEnd === hostStart || !isUserText(text, hostStart, at)) return undefined;
    user = text.slice(hostStart, userEnd);
    hostStart = at + 1;
  }
  let end = hostStart;
  let host: string;
  if (text.charCodeAt(hostStart) === 91) {
    const close = text.indexOf(']', hostStart);
    if (close < 0) return undefined;
    // RFC 5118 §4.10: a third colon in a row was once legal by the grammar and is let pass.
    host = text.slice(hostStart + 1, close).replace(':::', '::');
    if (isIP(host) !== 6) return undefined;
    if (/[A-F]/.test(host)) host = host.toLowerCase();
    end = close + 1;
  } else {
    let upper = false;
    for (; end < text.length; end += 1) {
      const c = text.charCodeAt(end);
      if ((c >= 97 && c <= 122) || (c >= 48 && c <= 57) || c === 46 || c === 45 || c === 95) continue;
      if (c >= 65 && c <= 90) upper = true;
      else break;
    }
    if (end === hostStart) return undefined;
    host = text.slice(hostStart, rootless(text, hostStart, end));
    if (upper) host = host.toLowerCase();
  }
  let port = 0;
  if (text.charCodeAt(end) === 58) {
    end += 1;
    const portStart = end;
    for (; end < text.length; end += 1) {
      const digit = text.charCodeAt(end) - 48;
      if (digit < 0 || digit > 9) break;
      port = port * 10 + digit;
      if (port > 65_535) return undefined;
    }
    if (end === portStart || port === 0) return undefined;
  }
  let params = '';
  let headers = '';
  if (end < text.length) {
    const question = text.indexOf('?', end);
    const paramsEnd = question < 0 ? text.length : question;
    if (paramsEnd > end && text.charCodeAt(end) !== 59) return undefined;
    params = text.slice(end, paramsEnd);
    if (question >= 0) headers = text.slice(question + 1);
    if (hasSpace(params) || hasSpace(headers)) return undefined;
  }
  return { scheme, user, host, port, params, headers, text };
}

/** End of a host name without the dot that stands for the root of the DNS: with or without it, it is the same name (RFC 3261 §25.1 hostname). */
export const rootless = (text: string, start: number, end: number): number =>
  end - start > 1 && text.charCodeAt(end - 1) === 46 ? end - 1 : end;

/**
 * The value of a URI parameter, in any case; '' for a flag such as `lr`, undefined where it is absent.
 * Values are returned as written (escapes kept).
 */
export function uriParam(uri: SipUri, name: string): string | undefined {
  const { params } = uri;
  if (params === '') return undefined;
  let at = 1;
  let equals = params.indexOf('=');
  while (at <= params.length) {
    let end = params.indexOf(';', at);
    if (end < 0) end = params.length;
    // Looked for once per sign, not once per parameter: the time stays linear without any.
    if (equals >= 0 && equals < at) equals = params.indexOf('=', at);
    const nameStop = equals >= 0 && equals < end ? equals : end;
    if (nameStop - at === name.length && params.slice(at, nameStop).toLowerCase() === name)
      return nameStop === end ? '' : params.slice(nameStop + 1, end);
    at = end + 1;
  }
  return undefined;
}

/** Escapes taken back (RFC 3261 §19.1.2), as latin1 text of the octets; text that is no escape stays. */
export function unescapeText(text: string): string {
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** Escapes what may not stand in a URI parameter or header value (RFC 3261 §19.1.1). */
export function escapeParam(text: string): string {
  return text.replace(
    /[^A-Za-z0-9\-_.!~*'()[\]/:&+$]/g,
    (c) => `%${(c.charCodeAt(0) & 255).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}

function passwordStart(text: string, start: number, at: number): number {
  const colon = text.indexOf(':', start);
  return colon >= 0 && colon < at ? colon : at;
}

/** No white space, quotes or angle brackets; everything else is met in the wild and harms nobody. */
function isUserText(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    if (c <= 32 || c === 34 || c === 60 || c === 62 || c === 127) return false;
  }
  return true;
}

function otherUri(scheme: string, text: string, colon: number): SipUri {
  const semicolon = text.indexOf(';', colon);
  const end = semicolon < 0 ? text.length : semicolon;
  return { scheme, user: text.slice(colon + 1, end), host: '', port: 0, params: text.slice(end), headers: '', text };
}

const isScheme = (scheme: string): boolean => /^[a-z][a-z0-9+.-]*$/.test(scheme);

function hasSpace(text: string): boolean {
  for (let i = 0; i < text.length; i += 1) if (text.charCodeAt(i) <= 32) return true;
  return false;
}
