/** The value of Authorization or Proxy-Authorization, read (RFC 7616 §3.4, RFC 3261 §25.1 credentials). Nothing is thrown, linear time. */
import { fail, ok, type Result } from '../../../src/internal.ts';
import { isSpace, isTokenChar, quotedEnd, unquote } from '../codec/values.ts';

export interface Credentials {
  readonly username: string;
  readonly realm: string;
  readonly nonce: string;
  /** As the client wrote it: it enters the hash octet by octet. */
  readonly uri: string;
  /** Lower-case hexadecimal, length unchecked. */
  readonly response: string;
  /** Upper case; `MD5` where the client names none (RFC 7616 §3.3). */
  readonly algorithm: string;
  /** As written; undefined: a client of RFC 2069 (RFC 3261 §22.4). */
  readonly qop: string | undefined;
  /** Eight hexadecimal digits as the client wrote them, '' without qop. */
  readonly nc: string;
  readonly cnonce: string;
}

/** otherScheme: credentials, but not for digest. malformed: the proper answer is 400 (RFC 7616 §3.4). */
export type CredentialsFailure = 'otherScheme' | 'malformed';

export function parseCredentials(text: string): Result<Credentials, CredentialsFailure> {
  const scheme = /^\s*([^\s,="]+)(?=\s|$)/.exec(text)?.[1] ?? '';
  if (scheme.toLowerCase() !== 'digest') return fail('otherScheme');
  const params = parseParams(text, text.indexOf(scheme) + scheme.length);
  if (params === undefined) return fail('malformed');
  const username = params.get('username');
  const realm = params.get('realm');
  const nonce = params.get('nonce');
  const uri = params.get('uri');
  const response = params.get('response');
  const qop = params.get('qop');
  const nc = params.get('nc') ?? '';
  const cnonce = params.get('cnonce');
  if (username === undefined || realm === undefined || nonce === undefined || uri === undefined)
    return fail('malformed');
  // RFC 7616 §3.4: both spellings of the name at once are an error.
  if (response === undefined || params.has('username*')) return fail('malformed');
  // RFC 7616 §3.4: with qop there are nc, of exactly eight digits (§3.5), and cnonce.
  if (qop !== undefined && (!/^[0-9a-f]{8}$/i.test(nc) || cnonce === undefined)) return fail('malformed');
  return ok({
    username,
    realm,
    nonce,
    uri,
    response: response.toLowerCase(),
    algorithm: (params.get('algorithm') ?? 'MD5').toUpperCase(),
    qop,
    nc: qop === undefined ? '' : nc,
    cnonce: cnonce ?? '',
  });
}

/** `name=token` and `name="text"` between commas, names in lower case; undefined where the text is no such list or says a name twice. */
function parseParams(text: string, start: number): Map<string, string> | undefined {
  const params = new Map<string, string>();
  let at = start;
  for (;;) {
    while (at < text.length && (isSpace(text.charCodeAt(at)) || text.charCodeAt(at) === comma)) at += 1;
    if (at === text.length) return params;
    const nameStart = at;
    while (isTokenChar(text.charCodeAt(at))) at += 1;
    const name = text.slice(nameStart, at).toLowerCase();
    at = skipSpace(text, at);
    if (name === '' || text.charCodeAt(at) !== equals) return undefined;
    at = skipSpace(text, at + 1);
    const valueStart = at;
    if (text.charCodeAt(at) === doubleQuote) {
      at = quotedEnd(text, at, text.length);
      if (at < 0) return undefined;
    } else {
      while (at < text.length && text.charCodeAt(at) !== comma && !isSpace(text.charCodeAt(at))) at += 1;
    }
    if (params.has(name) || params.size === maxParams) return undefined;
    params.set(name, unquote(text.slice(valueStart, at)));
    at = skipSpace(text, at);
    if (at < text.length && text.charCodeAt(at) !== comma) return undefined;
  }
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (isSpace(text.charCodeAt(at))) at += 1;
  return at;
}

const maxParams = 64;
const comma = 44;
const equals = 61;
const doubleQuote = 34;
