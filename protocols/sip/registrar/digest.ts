/**
 * Digest authentication (RFC 7616, RFC 8760, RFC 3261 §22): challenges with SHA-256 and MD5, verification of the answers.
 * Everything but the replay table is a pure function of its input, the users, the secret and the clock.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Clock, Random } from '../../../src/internal.ts';
import { parseUri } from '../codec/uri.ts';
import { quote } from '../codec/values.ts';
import { type Credentials, parseCredentials } from './digest-credentials.ts';
import { type DigestAlgorithm, digestResponse } from './digest-response.ts';
import { Nonces } from './nonces.ts';
import type { DigestUsers } from './users.ts';

/**
 * stale: name and password are right, the nonce is not (RFC 7616 §3.3): challenge with `stale`, nobody need be asked.
 * refused: challenge again. malformed: 400 (RFC 7616 §3.4).
 */
export type Verdict =
  | { readonly kind: 'authenticated'; readonly user: string }
  /** `isCarried`: right for the member that began this call's INVITE, should it be dead. */
  | { readonly kind: 'stale'; readonly user: string; readonly isCarried: boolean }
  | { readonly kind: 'refused'; readonly reason: 'noCredentials' | 'wrongUri' | 'wrongResponse' }
  | { readonly kind: 'malformed' };

/** An INVITE that another member may have begun: its call, and whether such a member is dead. */
export interface CarriedCall {
  readonly call: string;
  isOrphan(): boolean;
}

export interface DigestOptions {
  readonly realm: string;
  /** Best first (RFC 8760 §2.3). */
  readonly algorithms: readonly DigestAlgorithm[];
  readonly users: DigestUsers;
  readonly secret: string;
  readonly nonceMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** Hosts we answer for: the digest's URI may name any user there, since a proxy on the way may have changed the Request-URI. */
  readonly serves?: ((host: string) => boolean) | undefined;
  readonly maxUsedNonces?: number | undefined;
}

export class Digest {
  readonly realm: string;
  readonly #options: DigestOptions;
  readonly #nonces: Nonces;
  readonly #opaque: string;
  /** Hashes of nobody's password: an unknown name costs the same work as a known one. */
  readonly #nobody: Readonly<Record<DigestAlgorithm, string>>;
  #users: DigestUsers;

  constructor(options: DigestOptions) {
    this.realm = options.realm;
    this.#options = options;
    this.#users = options.users;
    this.#nonces = new Nonces({
      lifeMs: options.nonceMs,
      clock: options.clock,
      random: options.random,
      secret: options.secret,
      maxUsed: options.maxUsedNonces,
    });
    this.#opaque = keyed(options.secret, `opaque ${options.realm}`).slice(0, 32);
    this.#nobody = {
      'SHA-256': keyed(options.secret, 'nobody SHA-256'),
      MD5: keyed(options.secret, 'nobody MD5').slice(0, 32),
    };
  }

  /** After a reload of the configuration. */
  replaceUsers(users: DigestUsers): void {
    this.#users = users;
  }

  /**
   * Values of WWW-Authenticate or Proxy-Authenticate, one field each, in this order (RFC 8760 §2.3). `request` tells one request from
   * all others; `short`: without what a client can do without (RFC 7616 §3.3); `call`: the call that an INVITE would begin.
   */
  challenge(stale: boolean, request?: string, short = false, call?: string): readonly string[] {
    const nonce = this.#nonces.issue(request, call);
    const opaque = short ? '' : ` opaque="${this.#opaque}",`;
    return this.#options.algorithms.map(
      (algorithm) =>
        `Digest realm=${quote(this.realm)}, nonce="${nonce}",${opaque} algorithm=${algorithm}, qop="auth"${stale ? ', stale=true' : ''}`,
    );
  }

  /** Are these credentials for us? */
  isOwn(value: string): boolean {
    const parsed = parseCredentials(value);
    return parsed.ok && parsed.value.realm === this.realm;
  }

  /**
   * `values`: those of every Authorization (or Proxy-Authorization) field; credentials for other realms are other servers' business.
   * `carried`: the call of an INVITE, and whether a member that may have begun it is dead.
   */
  verify(values: readonly string[], method: string, requestUri: string, carried?: CarriedCall): Verdict {
    let chosen: Credentials | undefined;
    let algorithm: DigestAlgorithm | undefined;
    let malformed = false;
    for (const value of values) {
      const parsed = parseCredentials(value);
      if (!parsed.ok) {
        malformed ||= parsed.error === 'malformed';
        continue;
      }
      if (parsed.value.realm !== this.realm) continue;
      const named = this.#options.algorithms.find((each) => each === parsed.value.algorithm);
      if (named === undefined || (parsed.value.qop !== undefined && parsed.value.qop.toLowerCase() !== 'auth'))
        continue;
      chosen = parsed.value;
      algorithm = named;
      break;
    }
    if (chosen === undefined || algorithm === undefined)
      return malformed ? { kind: 'malformed' } : { kind: 'refused', reason: 'noCredentials' };
    return this.#judge(chosen, algorithm, method, requestUri, carried);
  }

  #judge(
    credentials: Credentials,
    algorithm: DigestAlgorithm,
    method: string,
    requestUri: string,
    carried: CarriedCall | undefined,
  ): Verdict {
    const known = this.#users.ha1(credentials.username, algorithm);
    const expected = digestResponse(algorithm, known ?? this.#nobody[algorithm], method, credentials);
    const nonce = this.#nonces.read(credentials.nonce);
    const right = sameText(expected, credentials.response);
    if (!right || known === undefined) return { kind: 'refused', reason: 'wrongResponse' };
    if (!this.#isFor(credentials.uri, requestUri)) return { kind: 'refused', reason: 'wrongUri' };
    const user = credentials.username;
    // Without qop there is no count: such a nonce serves once.
    const count = credentials.qop === undefined ? 0 : Number.parseInt(credentials.nc, 16);
    const isCarried =
      nonce.state === 'foreign' && carried !== undefined && this.#nonces.isBoundTo(nonce.text, carried.call);
    const counts = nonce.state === 'fresh' || (isCarried && carried?.isOrphan() === true);
    if (!counts || !this.#nonces.use(nonce, count)) return { kind: 'stale', user, isCarried: isCarried && !counts };
    return { kind: 'authenticated', user };
  }

  /** RFC 8760 §2.6 item 6: the same resource, or at least one that we take requests for. */
  #isFor(digestUri: string, requestUri: string): boolean {
    if (digestUri === requestUri) return true;
    const said = parseUri(digestUri);
    const asked = parseUri(requestUri);
    if (said === undefined || asked === undefined) return false;
    return (said.host === asked.host && said.user === asked.user) || this.#options.serves?.(said.host) === true;
  }
}

const keyed = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex');

/** In a time that does not tell how much of it is right. */
function sameText(expected: string, given: string): boolean {
  const a = Buffer.from(expected, 'latin1');
  const b = Buffer.alloc(a.length);
  b.write(given, 'latin1');
  return timingSafeEqual(a, b) && given.length === expected.length;
}
