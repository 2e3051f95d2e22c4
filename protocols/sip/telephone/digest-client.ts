/** Credentials for challenges (RFC 7616 §3.4, RFC 8760 §2.4, RFC 3261 §22): remembered per realm, so that a refresh needs no second round. */
import type { Random } from '../../../src/internal.ts';
import { quote, unquote } from '../codec/values.ts';
import { type DigestAlgorithm, digestAlgorithms, digestResponse, ha1 } from '../registrar/digest-response.ts';
import type { AuthParams, PackageRequest, PackageResponse } from './sip-types.ts';

interface Challenge {
  readonly header: 'authorization' | 'proxy-authorization';
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  readonly algorithm: DigestAlgorithm;
  /** Did the server name the algorithm? */
  readonly isNamed: boolean;
  readonly qop: boolean;
  count: number;
}

export class DigestClient {
  readonly #user: string;
  readonly #password: string | undefined;
  readonly #random: Random;
  /** Bounded by `maxRealms`. */
  readonly #challenges = new Map<string, Challenge>();

  constructor(user: string, password: string | undefined, random: Random) {
    this.#user = user;
    this.#password = password;
    this.#random = random;
  }

  /** Takes in the challenges of a 401 or 407; false where none can be answered, or where they refuse what was just answered. */
  learn(response: PackageResponse, tried: PackageRequest): boolean {
    if (this.#password === undefined) return false;
    const isProxy = response.status === 407;
    const offered = response.headers[isProxy ? 'proxy-authenticate' : 'www-authenticate'] ?? [];
    const header = isProxy ? 'proxy-authorization' : 'authorization';
    let learned = false;
    for (const params of offered) {
      const challenge = readChallenge(params, header);
      if (challenge === undefined) continue;
      // The best one stands first (RFC 8760 §2.3); of one realm, one is answered.
      const sameRealm = [...(tried.headers[header] ?? [])].some(
        (sent) => unquote(sent['realm'] ?? '') === challenge.realm,
      );
      if (sameRealm && unquote(params['stale'] ?? '').toLowerCase() !== 'true') return false;
      const key = `${header} ${challenge.realm}`;
      if (!this.#challenges.has(key) && this.#challenges.size >= maxRealms) this.#challenges.clear();
      this.#challenges.set(key, challenge);
      learned = true;
      break;
    }
    return learned;
  }

  /** Puts credentials for every known realm on a request. */
  authorize(request: PackageRequest, uri: string): void {
    if (this.#password === undefined) return;
    for (const challenge of this.#challenges.values()) {
      const { header } = challenge;
      const others = request.headers[header] ?? [];
      request.headers[header] = [...others, this.#credentials(challenge, request.method, uri)];
    }
  }

  #credentials(challenge: Challenge, method: string, uri: string): AuthParams {
    const { realm, nonce, algorithm, isNamed, opaque } = challenge;
    challenge.count += 1;
    const nc = challenge.count.toString(16).padStart(8, '0');
    const cnonce = this.#random.hex(8);
    const qop = challenge.qop ? 'auth' : undefined;
    const secret = ha1(algorithm, this.#user, realm, this.#password ?? '');
    return {
      scheme: 'Digest',
      username: quote(this.#user),
      realm: quote(realm),
      nonce: quote(nonce),
      uri: quote(uri),
      response: quote(digestResponse(algorithm, secret, method, { nonce, nc, cnonce, qop, uri })),
      ...(isNamed ? { algorithm } : {}),
      ...(opaque === undefined ? {} : { opaque: quote(opaque) }),
      ...(qop === undefined ? {} : { qop, nc, cnonce: quote(cnonce) }),
    };
  }
}

const maxRealms = 16;

function readChallenge(params: AuthParams, header: Challenge['header']): Challenge | undefined {
  if (params.scheme?.toLowerCase() !== 'digest') return undefined;
  const realm = params['realm'];
  const nonce = params['nonce'];
  if (realm === undefined || nonce === undefined) return undefined;
  const named = params['algorithm'] === undefined ? undefined : unquote(params['algorithm']).toUpperCase();
  const algorithm = named === undefined ? 'MD5' : digestAlgorithms.find((known) => known === named);
  if (algorithm === undefined) return undefined;
  const qops = params['qop'] === undefined ? [] : unquote(params['qop']).split(',');
  const offersAuth = qops.some((qop) => qop.trim().toLowerCase() === 'auth');
  // auth-int alone is beyond us.
  if (qops.length > 0 && !offersAuth) return undefined;
  return {
    header,
    realm: unquote(realm),
    nonce: unquote(nonce),
    opaque: params['opaque'] === undefined ? undefined : unquote(params['opaque']),
    algorithm,
    isNamed: named !== undefined,
    qop: offersAuth,
    count: 0,
  };
}
