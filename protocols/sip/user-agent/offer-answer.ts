/**
 * Who has offered what in a dialog and not been answered yet (RFC 3264 §4), as a value: pure. At most one offer is open at a time, whether
 * in INVITE, UPDATE, PRACK or their responses (RFC 3261 §14, RFC 3311 §5, RFC 3262 §5).
 */

export interface OfferAnswer {
  /** An offer of ours awaits its answer, or one of the peer's awaits ours. */
  readonly open: 'none' | 'ours' | 'theirs';
  /** An INVITE of this side has no final response yet. */
  readonly ourInvite: boolean;
  /** An INVITE of the peer's has no final response yet, or its 2xx no ACK. */
  readonly theirInvite: boolean;
}

export const settled: OfferAnswer = { open: 'none', ourInvite: false, theirInvite: false };

/** `pending`: 491. `tooSoon`: 500 with Retry-After. */
export type Verdict = 'go' | 'pending' | 'tooSoon';

/** May the peer's request go on? RFC 3261 §14.2 for INVITE, RFC 3311 §5.2 for UPDATE. */
export function judge(
  { open, ourInvite, theirInvite }: OfferAnswer,
  method: 'INVITE' | 'UPDATE',
  hasOffer: boolean,
): Verdict {
  if (method === 'INVITE') {
    if (ourInvite || open === 'ours') return 'pending';
    return theirInvite || open === 'theirs' ? 'tooSoon' : 'go';
  }
  if (!hasOffer || open === 'none') return 'go';
  return open === 'ours' ? 'pending' : 'tooSoon';
}

/** May we send an INVITE, or an offer? */
export const isFree = ({ open, ourInvite, theirInvite }: OfferAnswer): boolean =>
  open === 'none' && !ourInvite && !theirInvite;

export type OfferAnswerEvent =
  | { readonly kind: 'inviteSent'; readonly hasOffer: boolean }
  | { readonly kind: 'inviteReceived'; readonly hasOffer: boolean }
  | { readonly kind: 'inviteEnded'; readonly whose: 'ours' | 'theirs' }
  | { readonly kind: 'offered'; readonly whose: 'ours' | 'theirs' }
  | { readonly kind: 'answered' };

export function onOfferAnswer(state: OfferAnswer, event: OfferAnswerEvent): OfferAnswer {
  switch (event.kind) {
    case 'inviteSent':
      return { ...state, ourInvite: true, open: event.hasOffer ? 'ours' : state.open };
    case 'inviteReceived':
      return { ...state, theirInvite: true, open: event.hasOffer ? 'theirs' : state.open };
    case 'inviteEnded':
      return event.whose === 'ours' ? { ...state, ourInvite: false } : { ...state, theirInvite: false };
    case 'offered':
      return { ...state, open: event.whose };
    case 'answered':
      return { ...state, open: 'none' };
  }
}

/** How long to wait before an INVITE that met another is sent again (RFC 3261 §14.1): who owns the Call-ID waits longer. */
export const glareWaitMs = (ownsCallId: boolean, fraction: number): number =>
  ownsCallId ? 2_100 + Math.floor(fraction * 190) * 10 : Math.floor(fraction * 200) * 10;
