/**
 * Deterministic Via branches: a keyed hash of what identifies a request and its target, so that every member of the cluster
 * computes the same branch for the same request (the stateless rule of RFC 3261 §16.11, used by a stateful proxy).
 * A second part tells loops from spirals (RFC 5393 §4.2).
 */
import { hash } from 'node:crypto';
import { H } from './header-names.ts';
import type { SipMessage } from './messages.ts';

/** RFC 3261 §8.1.1.7. */
export const magicCookie = 'z9hG4bK';

/** One SHA-256 over secret and fields costs 0.4 µs; cut to 132 bits it cannot be extended, so no HMAC is needed. */
export function branchFor(secret: string, request: SipMessage, target: string): string {
  const { via, callId, cseq } = request;
  // CANCEL and the ACK of a non-2xx carry the INVITE's branch, Call-ID, From tag and CSeq number: they hash to its branch.
  const identity = `${secret}\0${via.branch ?? rfc2543Identity(request)}\0${via.host}:${via.port}\0${callId}\0${request.fromTag}\0${cseq}\0${target}`;
  return `${magicCookie}${hash('sha256', identity, 'base64url').slice(0, 22)}.${loopPart(request)}`;
}

/** The loop-detecting part of a branch of ours: what decides where a request goes, and nothing that changes on the way. */
export function loopPart(request: SipMessage): string {
  let fields = `${request.requestUri}\0${request.callId}\0${request.fromTag}\0${request.cseq}`;
  for (let i = request.fieldIndex(H.route); i >= 0; i = request.fieldIndex(H.route, i))
    fields += `\0${request.valueAt(i)}`;
  return fnv1a(fields).toString(36);
}

export const loopPartOf = (branch: string): string | undefined => {
  const dot = branch.lastIndexOf('.');
  return branch.startsWith(magicCookie) && dot > 0 ? branch.slice(dot + 1) : undefined;
};

/** RFC 2543 senders have no branch: what RFC 3261 §17.2.3 matches instead. */
const rfc2543Identity = (request: SipMessage): string => `${request.requestUri}\0${request.toTag}\0${request.via.text}`;

function fnv1a(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
