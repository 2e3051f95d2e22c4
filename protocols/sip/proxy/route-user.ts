/**
 * The user part of our Record-Route and Path URIs: a keyed proof of the dialog, and the token of the flow that the entry leads to.
 * User agents keep the URI of an entry, not its parameters (RFC 3261 §12.1), so both come back in the Route of the dialog's requests.
 *
 *     user  = [ kind proof ] [ "~" flow ]
 *     kind  = one letter, covered by the proof
 *     proof = 11 characters: 64 bits over kind, Call-ID and the tag of the dialog's creator
 *     flow  = 1 to 96 letters, digits, "-", "_", "."
 */
import { KeyedHash, sameText } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';

export interface RouteUser {
  /** Kind and proof as written; undefined: the entry claims no dialog. */
  readonly dialog: string | undefined;
  /** The flow token, not verified. */
  readonly flow: string | undefined;
}

/**
 * `h`: hops that the operator configured have a part in the dialog; `d`: they have none, and it does not lead to them. `i` to `n`: as `h`, and
 * the requests of the dialog's creator leave with a CSeq that is 1 to 6 higher, for a carrier challenged the one that created it. Covered
 * by the proof.
 */
export type DialogKind = 'd' | 'h' | 'i' | 'j' | 'k' | 'l' | 'm' | 'n';

/** The kind of a dialog with configured hops whose creator's CSeq is raised so far. */
export const offsetKind = (offset: number): DialogKind => offsetKinds[Math.min(offset, offsetKinds.length - 1)] ?? 'h';

const offsetKinds: readonly DialogKind[] = ['h', 'i', 'j', 'k', 'l', 'm', 'n'];
const offsets = new Map<string, number>(offsetKinds.map((kind, offset) => [kind, offset]));

/** `dialog` as `DialogProof.write` made it; `flow` at most `maxFlowLength` characters of a token of ours. */
export const writeRouteUser = (dialog: string | undefined, flow: string | undefined): string =>
  flow === undefined ? (dialog ?? '') : `${dialog ?? ''}~${flow}`;

/** undefined: not of our making. Nothing is verified yet, only bounded. */
export function readRouteUser(user: string | undefined): RouteUser | undefined {
  if (user === undefined || user.length === 0 || user.length > dialogLength + 1 + maxFlowLength) return undefined;
  const tilde = user.indexOf('~');
  const end = tilde < 0 ? user.length : tilde;
  if ((end !== 0 && end !== dialogLength) || user.length - end - 1 > maxFlowLength) return undefined;
  if (!isPlain(user, 0, end) || !isPlain(user, end + 1, user.length) || end + 1 === user.length) return undefined;
  return { dialog: end === 0 ? undefined : user.slice(0, end), flow: tilde < 0 ? undefined : user.slice(tilde + 1) };
}

export const maxFlowLength = 96;

/** Kind and proof. */
const dialogLength = 12;

/**
 * A request is of a dialog of ours only if it brings what a member of the cluster wrote into the request that created it. Every member
 * can check, after a restart as well: nothing is remembered.
 */
export class DialogProof {
  readonly #hash: KeyedHash;

  constructor(secret: string) {
    this.#hash = new KeyedHash(secret, 'SIP dialog');
  }

  /** For the dialog that this request, without a To tag, would create. */
  write(request: SipMessage, kind: DialogKind): string {
    return kind + this.#of(kind, request.callId, request.fromTag);
  }

  /** Does this request belong to the dialog that `dialog` was written for? Its creator's tag stands in From, or in To of the other side's requests. */
  proves(dialog: string, request: SipMessage): boolean {
    const { callId, fromTag, toTag } = request;
    if (dialog.length !== dialogLength || toTag === '') return false;
    const kind = kindOf(dialog);
    const proof = dialog.slice(1);
    return sameText(proof, this.#of(kind, callId, fromTag)) || sameText(proof, this.#of(kind, callId, toTag));
  }

  /** … and one in which a hop that the operator configured has a part? */
  provesPart(dialog: string | undefined, request: SipMessage): boolean {
    return dialog !== undefined && kindOf(dialog) !== 'd' && this.proves(dialog, request);
  }

  /**
   * How much higher the CSeq of this request has to be where it leaves: it is its creator's, in a dialog of a carrier that challenged the
   * request that created it. 0 without a proof.
   */
  cseqOffset(dialog: string | undefined, { callId, fromTag, toTag }: SipMessage): number {
    if (dialog === undefined || dialog.length !== dialogLength || toTag === '') return 0;
    const kind = kindOf(dialog);
    const offset = offsets.get(kind) ?? 0;
    return offset > 0 && sameText(dialog.slice(1), this.#of(kind, callId, fromTag)) ? offset : 0;
  }

  #of(kind: string, callId: string, tag: string): string {
    return this.#hash.of(`${kind}${callId}\n${tag}`);
  }
}

/** The letter in front of a proof: a DialogKind once it is proven. */
export const kindOf = (dialog: string): string => dialog.slice(0, 1);

/** Letters, digits, `-`, `_` and `.` only. */
function isPlain(text: string, start: number, end: number): boolean {
  for (let i = start; i < end; i += 1) {
    const c = text.charCodeAt(i);
    const isLetter = (c >= 97 && c <= 122) || (c >= 65 && c <= 90);
    if (!isLetter && !(c >= 48 && c <= 57) && c !== 45 && c !== 46 && c !== 95) return false;
  }
  return true;
}
