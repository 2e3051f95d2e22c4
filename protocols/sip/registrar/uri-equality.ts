/** When two URIs are the same address (RFC 3261 §19.1.4), which tells whether a REGISTER refreshes a binding or adds one. */
import { SocketAddress } from 'node:net';
import { isSipScheme, type SipUri } from '../codec/uri.ts';

export interface CanonicalUri {
  /** All that must be the same on both sides. */
  readonly strict: string;
  /** Parameters that must agree only where both have them. */
  readonly loose: ReadonlyMap<string, string>;
  /** Equal texts, equal URIs (but equal URIs may have different texts). */
  readonly text: string;
}

export function canonicalUri(uri: SipUri): CanonicalUri {
  if (!isSipScheme(uri.scheme)) {
    const rest = uri.text.slice(uri.scheme.length + 1);
    // RFC 3966 §5: visual separators and case do not matter.
    const strict = `${uri.scheme}:${uri.scheme === 'tel' ? rest.replace(/[-.()]/g, '').toLowerCase() : rest}`;
    return { strict, loose: noParams, text: strict };
  }
  const all = new Map<string, string>();
  for (const item of uri.params.split(';')) {
    if (item === '') continue;
    const equals = item.indexOf('=');
    const name = canonicalText(equals < 0 ? item : item.slice(0, equals)).toLowerCase();
    if (!all.has(name)) all.set(name, canonicalText(equals < 0 ? '' : item.slice(equals + 1)).toLowerCase());
  }
  let strict = `${uri.scheme}:${userInfo(uri)}${canonicalHost(uri.host)}${uri.port === 0 ? '' : `:${uri.port}`}`;
  for (const name of strictParams) {
    const value = all.get(name);
    if (value !== undefined) strict += `;${name}=${value}`;
    all.delete(name);
  }
  if (uri.headers !== '') strict += `?${uri.headers.split('&').map(canonicalHeader).toSorted().join('&')}`;
  const text = [...all].map(([name, value]) => `;${name}=${value}`).toSorted();
  return { strict, loose: all, text: strict + text.join('') };
}

export function sameUri(a: CanonicalUri, b: CanonicalUri): boolean {
  if (a.strict !== b.strict) return false;
  for (const [name, value] of a.loose) {
    const other = b.loose.get(name);
    if (other !== undefined && other !== value) return false;
  }
  return true;
}

/** Those that never match their absence; transport by the examples of the section. */
const strictParams = ['user', 'ttl', 'method', 'maddr', 'transport'] as const;

const noParams: ReadonlyMap<string, string> = new Map();

/** User and password with case kept; '' where there is none. */
function userInfo(uri: SipUri): string {
  if (uri.user === undefined) return '';
  return `${canonicalText(uri.text.slice(uri.scheme.length + 1, uri.text.indexOf('@')))}@`;
}

/** Every spelling of an IPv6 address is the same address. */
const canonicalHost = (host: string): string =>
  host.includes(':') ? `[${new SocketAddress({ address: host, family: 'ipv6' }).address}]` : host;

const canonicalHeader = (header: string): string => canonicalText(header).toLowerCase();

/** Escapes taken back except for reserved characters, which differ from their escapes, and for what cannot stand plain. */
function canonicalText(text: string): string {
  return text.replace(/%([0-9a-fA-F]{2})|[^!-~]/g, (match, hex: string | undefined) => {
    const code = hex === undefined ? match.charCodeAt(0) & 255 : Number.parseInt(hex, 16);
    const char = String.fromCharCode(code);
    return code > 32 && code < 127 && !reserved.includes(char)
      ? char
      : `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
  });
}

/** RFC 2396 §2.2, and the escape character itself. */
const reserved = ';/?:@&=+$,%';
