/** The little of SDP that a controller writes itself: what to ask an ephemeral termination for. */
import { payloadTypes } from '../../src/internal.ts';

/**
 * Local with everything to choose (RFC 3525 §7.1.8): one group, one media line with our payload types; of those, the ones that the
 * other party offers, if it has made an offer.
 */
export const chooseLocal = (own: readonly number[], offer?: string): string =>
  `v=0\nc=IN IP4 $\nm=audio $ RTP/AVP ${(offer === undefined ? own : common(own, offer)).join(' ')}`;

export const accepts = (own: readonly number[], offer: string): boolean => common(own, offer).length > 0;

/** All of ours where the offer tells none: its gateway may understand more of it. */
function common(own: readonly number[], offer: string): readonly number[] {
  const offered = payloadTypes(offer);
  return offered.length === 0 ? own : own.filter((type) => offered.includes(type));
}
