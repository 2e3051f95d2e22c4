/**
 * Digest authentication as a client (RFC 3261 §22.2, §22.3, RFC 7616, RFC 8760): challenges read, and credentials made for them. What comes
 * from the wire is latin1 text of octets, and so is what is made; names and passwords enter the hash as UTF-8.
 */
import { hash } from 'node:crypto';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isTokenChar, quote, splitList, unquote } from '../codec/values.ts';

export type ClientAlgorithm = keyof typeof hashNames;

export interface Challenge {
  /** 407: the answer goes into Proxy-Authorization. */
  readonly isProxy: boolean;
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: ClientAlgorithm;
  /** Did the server name the algorithm? An old one may not know the parameter. */
  readonly isNamed: boolean;
  readonly qop: boolean;
  /** Name and password were right, the nonce was not (RFC 7616 §3.3). */
  readonly isStale: boolean;
}

export interface Account {
  readonly user: string;
  readonly password: string;
}

/**
 * The challenges of a 401 or 407 that can be answered, one per realm: the topmost whose algorithm is known, as the server prefers
 * (RFC 8760 §2.4). Empty where none can.
 */
export function readChallenges(response: SipMessage): readonly Challenge[] {
  const isProxy = response.status === 407;
  const id = isProxy ? H.proxyAuthenticate : H.wwwAuthenticate;
  const found: Challenge[] = [];
  for (let i = response.fieldIndex(id); i >= 0; i = response.fieldIndex(id, i))
    for (const params of challengesIn(response.valueAt(i))) {
      const challenge = readChallenge(params, isProxy);
      if (challenge === undefined || found.length === maxChallenges) continue;
      if (!found.some(({ realm }) => realm === challenge.realm)) found.push(challenge);
    }
  return found;
}

/** The header field, with its line end. `count`: how often this nonce was used, this time included. */
export function credentialsFor(
  challenge: Challenge,
  { user, password }: Account,
  request: { readonly method: string; readonly uri: string },
  { count, cnonce }: { readonly count: number; readonly cnonce: string },
): string {
  const { algorithm, realm, nonce, opaque, isNamed, isProxy, qop } = challenge;
  const digest = (text: string): string => hash(hashNames[algorithm], Buffer.from(text, 'latin1'), 'hex');
  const name = octets(user);
  const nc = count.toString(16).padStart(8, '0');
  const a1 = digest(`${name}:${realm}:${octets(password)}`);
  const a2 = digest(`${request.method}:${request.uri}`);
  const answer = digest(qop ? `${a1}:${nonce}:${nc}:${cnonce}:auth:${a2}` : `${a1}:${nonce}:${a2}`);
  return [
    `${isProxy ? 'Proxy-Authorization' : 'Authorization'}: Digest username=${quote(name)}`,
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(request.uri)}`,
    `response="${answer}"`,
    ...(isNamed ? [`algorithm=${algorithm}`] : []),
    ...(opaque === undefined ? [] : [`opaque=${quote(opaque)}`]),
    ...(qop ? ['qop=auth', `nc=${nc}`, `cnonce="${cnonce}"`] : []),
  ]
    .join(', ')
    .concat('\r\n');
}

const hashNames = { 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256', MD5: 'md5' } as const;

const octets = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

/** One list of parameters per challenge: several may stand in one field, and a new one begins with its scheme. */
function challengesIn(value: string): readonly ReadonlyMap<string, string>[] {
  const found: Map<string, string>[] = [];
  let params: Map<string, string> | undefined;
  for (const element of splitList(value)) {
    const [, scheme, rest = element] = /^([^\s=",]+)\s+(\S[\s\S]*)$/.exec(element) ?? [];
    if (scheme !== undefined && !rest.startsWith('=')) {
      params = scheme.toLowerCase() === 'digest' ? new Map() : undefined;
      if (params !== undefined) found.push(params);
    }
    const equals = rest.indexOf('=');
    if (params === undefined || equals <= 0) continue;
    const name = rest.slice(0, equals).trim().toLowerCase();
    // Said twice: the first counts, whatever follows.
    if (isName(name) && !params.has(name) && params.size < maxParams)
      params.set(name, unquote(rest.slice(equals + 1).trim()));
  }
  return found;
}

function readChallenge(params: ReadonlyMap<string, string>, isProxy: boolean): Challenge | undefined {
  const realm = params.get('realm');
  const nonce = params.get('nonce');
  if (realm === undefined || nonce === undefined || !isPlain(realm) || !isPlain(nonce)) return undefined;
  const named = params.get('algorithm');
  const algorithm = named === undefined ? 'MD5' : algorithms.find((known) => known === named.toUpperCase());
  const opaque = params.get('opaque');
  if (algorithm === undefined || (opaque !== undefined && !isPlain(opaque))) return undefined;
  const qops = (params.get('qop') ?? '').split(',').map((each) => each.trim().toLowerCase());
  const qop = qops.includes('auth');
  // auth-int alone would need the body as the carrier gets it.
  if (!qop && params.has('qop')) return undefined;
  const isStale = params.get('stale')?.toLowerCase() === 'true';
  return { isProxy, realm, nonce, opaque, algorithm, isNamed: named !== undefined, qop, isStale };
}

const algorithms: readonly ClientAlgorithm[] = ['SHA-256', 'SHA-512-256', 'MD5'];

/** It goes back into a header field: no line ends, and not without end. */
const isPlain = (text: string): boolean => text.length <= 1_024 && !/[\r\n\0]/.test(text);

const isName = (text: string): boolean => text !== '' && [...text].every((c) => isTokenChar(c.charCodeAt(0)));

const maxChallenges = 8;
const maxParams = 32;
