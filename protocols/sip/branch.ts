/**
 * Deterministic Via branches: a keyed hash of what identifies a request and its target, so that every member of the cluster
 * computes the same branch for the same request (the stateless rule of RFC 3261 §16.11, used by a stateful proxy).
 * A second part tells loops from spirals (RFC 5393 §4.2).
 */
import { createHash } from 'node:crypto';
import { halfSipHash, tokenOf } from './half-siphash.ts';
import { H } from './header-names.ts';
import type { SipMessage } from './messages.ts';
import type { Via } from './values.ts';

/** RFC 3261 §8.1.1.7. */
export const magicCookie = 'z9hG4bK';

/** The cluster's key for branches: HalfSipHash-2-4 over plain text costs 0.5 µs and no call out of JavaScript; an HMAC costs 3 to 5. */
export class BranchKey {
  readonly #low: number;
  readonly #high: number;

  constructor(secret: string) {
    const digest = createHash('sha256').update(`branch\0${secret}`).digest();
    this.#low = digest.readInt32LE(0);
    this.#high = digest.readInt32LE(4);
  }

  branchFor(request: SipMessage, target: string): string {
    const { via, callId, cseq } = request;
    // CANCEL and the ACK of a non-2xx carry the INVITE's branch, Call-ID, From tag and CSeq number: they hash to its branch.
    const identity = `${via.branch ?? rfc2543Identity(request)}\n${via.host}:${via.port}\n${callId}\n${request.fromTag}\n${cseq}`;
    const fork = tokenOf(fnv1a(target, this.#low));
    return `${magicCookie}${halfSipHash(identity, this.#low, this.#high)}${fork}.${loopPart(request)}`;
  }

  /**
   * Did a member of the cluster make this response's top branch, for a request that came with the Via below it? Only then may a
   * response of no transaction here go on by that Via: nobody else can make up such a branch.
   */
  isOurs(response: SipMessage, next: Via): boolean {
    const identity = `${next.branch ?? ''}\n${next.host}:${next.port}\n${response.callId}\n${response.fromTag}\n${response.cseq}`;
    return (
      next.branch !== undefined &&
      response.via.branch?.startsWith(`${magicCookie}${halfSipHash(identity, this.#low, this.#high)}`) === true
    );
  }
}

/** The loop-detecting part of a branch of ours: what decides where a request goes, and nothing that changes on the way. */
export function loopPart(request: SipMessage): string {
  let value = fnv1a(request.requestUri, 0x811c9dc5);
  value = fnv1a(request.callId, value);
  value = fnv1a(request.fromTag, value);
  value = Math.imul(value ^ request.cseq, 0x01000193);
  for (let i = request.fieldIndex(H.route); i >= 0; i = request.fieldIndex(H.route, i))
    value = fnv1a(request.valueAt(i), value);
  return tokenOf(value);
}

export const loopPartOf = (branch: string): string | undefined => {
  const dot = branch.lastIndexOf('.');
  return branch.startsWith(magicCookie) && dot > 0 ? branch.slice(dot + 1) : undefined;
};

/** RFC 2543 senders have no branch: what RFC 3261 §17.2.3 matches instead. */
const rfc2543Identity = (request: SipMessage): string => `${request.requestUri}\0${request.toTag}\0${request.via.text}`;

function fnv1a(text: string, start: number): number {
  let value = start;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return Math.imul(value ^ 0xff, 0x01000193);
}
