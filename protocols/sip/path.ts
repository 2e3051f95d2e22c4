/**
 * The path attribute on SIP's wire: the tag `AlternatePath="sip:127.0.0.2:5060;transport=udp"` as a header parameter of Via,
 * Record-Route, Route, Contact, Path and Service-Route, or as a URI parameter with escapes (docs/alternate-path.md §3).
 */
import {
  alternatePathTag,
  bracketed,
  type ControllerAddress,
  canonicalHost,
  isTransport,
  maxAlternates,
  type NamedHop,
  type PathAttribute,
  type Transport,
} from '../../src/internal.ts';
import { ParseCache } from './codec/parse-cache.ts';
import { escapeParam, isSipScheme, parseUri, type SipUri, unescapeText, uriParam } from './codec/uri.ts';
import { type NameAddr, param, unquote, type Via } from './codec/values.ts';
import { sipDefaultPort } from './config.ts';

/** Where the tag is written on name-addr headers. Via has header parameters only. */
export type Placement = 'header' | 'uri' | 'both';

const lowerTag = alternatePathTag.toLowerCase();

/** A SIP URI for an address: `sip:127.0.0.2:5060;transport=udp`, `sips:` never (RFC 5630 §3.1.3: TLS is said by the transport). */
const addressUri = (address: ControllerAddress): string =>
  `sip:${bracketed(address.host)}:${address.port};transport=${address.transport}`;

/** `;AlternatePath="…"`, to stand among header parameters; each attribute object is written once and kept. */
export function tagText(path: PathAttribute): string {
  let text = texts.get(path);
  if (text === undefined) {
    text = `;${alternatePathTag}="${path.alternates.map(addressUri).join(' ')}"`;
    texts.set(path, text);
  }
  return text;
}

const texts = new WeakMap<PathAttribute, string>();

/** `;AlternatePath=…` escaped, to stand among URI parameters (RFC 3261 §19.1.1). */
export const uriTagText = (path: PathAttribute): string =>
  `;${alternatePathTag}=${escapeParam(path.alternates.map(addressUri).join(' '))}`;

/** The alternates that a Via names; undefined where it has no tag, an empty list where the tag is malformed. */
export function viaAlternates(via: Via): readonly ControllerAddress[] | undefined {
  // Most messages of others have none: one search, no parameter walk.
  if (!hasTag(via.params)) return undefined;
  const value = param(via.params, lowerTag, 1);
  return value === undefined ? undefined : readAlternates(value, viaTransport(via.transport));
}

/** The alternates on a name-addr: the header parameter wins over the URI parameter. */
export function nameAddrAlternates(address: NameAddr): readonly ControllerAddress[] | undefined {
  if (hasTag(address.params)) {
    const value = param(address.params, lowerTag, 1);
    if (value !== undefined) return readAlternates(value, undefined);
  }
  if (!hasTag(address.uri)) return undefined;
  const uri = parseUri(address.uri);
  const value = uri === undefined ? undefined : uriParam(uri, lowerTag);
  return value === undefined ? undefined : readAlternates(unescapeText(value), undefined);
}

/** Does this text have the tag's name in it, in any case? */
export function hasTag(text: string): boolean {
  return text.length > lowerTag.length && (text.includes(alternatePathTag) || text.toLowerCase().includes(lowerTag));
}

/**
 * The tag's value: a host, or a quoted list of `host[:port]` and SIP URIs between blanks (commas are read as well), cut to three.
 * Whatever of it is no address makes the whole list malformed: an empty list.
 */
export function readAlternates(value: string, transport: Transport | undefined): readonly ControllerAddress[] {
  return read.get(value, transport, () => parseAlternates(value, transport));
}

const read = new ParseCache<readonly ControllerAddress[]>();

function parseAlternates(value: string, transport: Transport | undefined): readonly ControllerAddress[] {
  const alternates: ControllerAddress[] = [];
  for (const item of unquote(value).split(/[\s,]+/, 64)) {
    if (item === '') continue;
    const uri = parseUri(/^sips?:/i.test(item) ? item : `sip:${item}`);
    const address = uri === undefined ? undefined : uriAddress(uri, transport);
    if (address === undefined) return [];
    if (alternates.length < maxAlternates) alternates.push(address);
  }
  return alternates;
}

/** The address that a SIP URI names, defaults filled in; maddr wins over the host (RFC 3261 §19.1.1). */
export function uriAddress(uri: SipUri, preferred?: Transport): ControllerAddress | undefined {
  if (!isSipScheme(uri.scheme)) return undefined;
  const named = uriParam(uri, 'transport')?.toLowerCase();
  if (named !== undefined && !isTransport(named)) return undefined;
  const secure = uri.scheme === 'sips';
  const transport = secure ? (named === 'ws' || named === 'wss' ? 'wss' : 'tls') : (named ?? preferred ?? 'udp');
  return {
    transport,
    host: hostOf(uri),
    port: uri.port || sipDefaultPort(transport),
  };
}

/** What a URI leaves to RFC 3263: host, and port and transport only where they are written. */
export function uriHop(uri: SipUri): NamedHop {
  const transport = uriParam(uri, 'transport')?.toLowerCase();
  const address = uriAddress(uri);
  return {
    host: hostOf(uri),
    port: uri.port === 0 ? undefined : uri.port,
    transport: transport === undefined ? undefined : address?.transport,
    secure: uri.scheme === 'sips',
  };
}

/** What stands in `maddr` is sent to in place of the host; in the spelling that hosts have. */
function hostOf(uri: SipUri): string {
  const maddr = uri.params === '' ? undefined : uriParam(uri, 'maddr');
  if (maddr === undefined || maddr === '') return uri.host;
  return canonicalHost(unescapeText(maddr).replace(/^\[|\]$/g, '')).replace(/\.$/, '');
}

/** The transport word of a Via as ours; undefined for SCTP and the unknown. */
export function viaTransport(word: string): Transport | undefined {
  const lower = word.toLowerCase();
  return isTransport(lower) ? lower : undefined;
}
