/**
 * The attempts of one request at one trunk: as it came, and again with credentials each time that the carrier asks for some (RFC 3261
 * §22.2, §22.3). What an attempt carries follows from the challenges of this request alone, and its branch from its place in the row, so
 * that a backup which takes the request over walks the same steps and arrives at the transaction that the carrier knows (ADR 0020).
 */
import type { ControllerAddress } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type Challenge, credentialsFor, readChallenges } from './digest-answer.ts';
import type { Trunk } from './trunk.ts';

interface Known {
  readonly challenge: Challenge;
  readonly hop: string;
  /** The request that it was a challenge to. */
  readonly request: number;
  uses: number;
}

export class TrunkAttempts {
  readonly trunk: Trunk;
  #count = 0;
  #request = 0;
  /** By field and realm. */
  readonly #challenges = new Map<string, Known>();

  constructor(trunk: Trunk) {
    this.trunk = trunk;
  }

  /** How often the request was refused for want of credentials: 0 while it is as it came. */
  get count(): number {
    return this.#count;
  }

  /** Another request of our own: it begins with what the last one learned (RFC 7616 §3.6, nonce and count). */
  begin(): void {
    this.#count = 0;
    this.#request += 1;
  }

  /**
   * Takes in the challenges of a 401 or 407 from this hop; true: the request shall go there again. Not where no challenge can be answered,
   * nor where the right answer was given already and refused.
   */
  challenged(response: SipMessage, hop: ControllerAddress | undefined): boolean {
    if (this.trunk.account === undefined || this.#count >= maxAttempts) return false;
    const from = hop === undefined ? '' : `${hop.host}:${hop.port}`;
    let isNew = false;
    const { realm } = this.trunk.config;
    for (const challenge of readChallenges(response)) {
      // RFC 7616 §5.9: whoever is called there could ask as well, for an answer from which to guess the password.
      if (realm !== undefined && challenge.realm !== realm) continue;
      const key = `${challenge.isProxy ? 'p' : 'w'} ${challenge.realm}`;
      const known = this.#challenges.get(key);
      // Refused although it was no old nonce: the password is wrong. Another hop may know nothing of the first one's nonce.
      if (known?.request === this.#request && known.hop === from && !challenge.isStale) return false;
      if (known === undefined && this.#challenges.size >= maxRealms) this.#challenges.clear();
      this.#challenges.set(key, { challenge, hop: from, request: this.#request, uses: 0 });
      isNew = true;
    }
    if (isNew) this.#count += 1;
    return isNew;
  }

  /** The header fields for this attempt. */
  credentials(method: string, uri: string): string {
    const { account, random } = this.trunk;
    if (account === undefined) return '';
    let fields = '';
    for (const known of this.#challenges.values()) {
      known.uses += 1;
      fields += credentialsFor(
        known.challenge,
        account,
        { method, uri },
        { count: known.uses, cnonce: random.hex(16) },
      );
    }
    return fields;
  }
}

/** Two realms, and a stale nonce of each. */
const maxAttempts = 4;

const maxRealms = 8;
