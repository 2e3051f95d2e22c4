/**
 * Who calls, out of SIP and into it: P-Asserted-Identity counts from trusted hops only (RFC 3325 §5), else From; what the caller wants to
 * keep to himself is marked by Privacy or an anonymous From (RFC 3323 §4.1, §4.2).
 */
import type { CallerIdentity } from '../../../src/internal.ts';
import { kept } from '../codec/kept-text.ts';
import type { SipMessage } from '../codec/messages.ts';
import { parseUri, type SipUri } from '../codec/uri.ts';
import { type NameAddr, parseNameAddr, quote, splitList, unquote } from '../codec/values.ts';
import { dialledNumber } from '../proxy/dialled-number.ts';

/** `isTrusted`: the request came from a hop whose assertions count. */
export function callerOf(request: SipMessage, isTrusted: boolean): CallerIdentity {
  const asserted = isTrusted ? assertedBy(request) : undefined;
  const source = asserted ?? request.from;
  const uri = parseUri(source.uri);
  const isAnonymous = isAnonymousUri(parseUri(request.from.uri)) || wantsPrivacy(request);
  const number = numberOf(uri);
  const name = nameOf(asserted?.display ?? displayOf(request));
  if (isAnonymous)
    return isTrusted && number !== undefined
      ? { number, name, presentation: 'restricted' }
      : { presentation: 'restricted' };
  if (number === undefined && name === undefined) return { presentation: 'unavailable' };
  return { number, name, presentation: 'allowed' };
}

export interface CallerFields {
  /** Display name and URI for From. */
  readonly from: string;
  /** Further fields: P-Asserted-Identity and Privacy where the next hop may know. */
  readonly fields: string;
}

/** `host`: our domain. `mayAssert`: every hop that the request can go to is of our trust domain (RFC 3325 §9.1). */
export function callerFields(
  caller: CallerIdentity | undefined,
  fallback: string,
  host: string,
  mayAssert: boolean,
): CallerFields {
  const number = caller?.number ?? fallback;
  const user = escapeUser(number);
  const name = caller?.name === undefined || caller.name === '' ? '' : `${quote(latin1Of(caller.name))} `;
  const own = `${name}<sip:${user}@${host}>`;
  if (caller?.presentation !== 'restricted')
    return { from: own, fields: mayAssert ? `P-Asserted-Identity: ${own}\r\n` : '' };
  // RFC 3325 §9.3: the identity stays inside the trust domain; to others it is not told at all.
  return { from: anonymous, fields: mayAssert ? `P-Asserted-Identity: ${own}\r\nPrivacy: id\r\n` : 'Privacy: id\r\n' };
}

/** RFC 3323 §4.1.1.3. */
const anonymous = '"Anonymous" <sip:anonymous@anonymous.invalid>';

/** The first identity with a number, sip and tel may both stand there (RFC 3325 §9.1). */
function assertedBy(request: SipMessage): NameAddr | undefined {
  const entries = request
    .allNamed('P-Asserted-Identity')
    .slice(0, 4)
    .flatMap((value) => splitList(value))
    .map(parseNameAddr)
    .filter((entry) => entry !== undefined);
  return entries.find(({ uri }) => numberOf(parseUri(uri)) !== undefined) ?? entries[0];
}

function wantsPrivacy(request: SipMessage): boolean {
  const values = request.allNamed('Privacy').flatMap((value) => value.toLowerCase().split(/[;,\s]+/));
  return values.some((value) => value === 'id' || value === 'user' || value === 'header');
}

const isAnonymousUri = (uri: SipUri | undefined): boolean =>
  uri?.host === 'anonymous.invalid' || uri?.user?.toLowerCase() === 'anonymous';

/** Digits, with `+` where it is global; undefined for names. */
function numberOf(uri: SipUri | undefined): string | undefined {
  const user = uri?.user === undefined ? '' : dialledNumber(uri.user);
  return /^\+?[0-9*#]{1,32}$/.test(user) ? kept(user) : undefined;
}

const displayOf = (request: SipMessage): string => request.from.display;

/** Printable, and of a length that a display has. UTF-8 comes as latin1 text of its octets. */
function nameOf(display: string): string | undefined {
  const octets = Buffer.from(unquote(display).trim(), 'latin1');
  const name = octets
    .toString('utf8')
    .replace(/[\p{Cc}\p{Cf}\uFFFD]/gu, '')
    .slice(0, 64)
    .trim();
  return name === '' ? undefined : name;
}

/** Messages are latin1 text of their octets. */
const latin1Of = (name: string): string => Buffer.from(name.replace(/\p{Cc}/gu, ''), 'utf8').toString('latin1');

/** RFC 3261 §25.1 user: what a number may have that may not stand there (`#`). */
export const escapeUser = (number: string): string =>
  number.replace(
    /[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/g,
    (c) => `%${(c.charCodeAt(0) & 255).toString(16).toUpperCase().padStart(2, '0')}`,
  );
