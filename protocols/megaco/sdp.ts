/** The little of SDP that a controller writes itself: what to ask an ephemeral termination for. */
import { isFaxDescription, payloadTypes, ptimeOf, telephoneEventIn } from '../../src/internal.ts';

/**
 * Local with everything to choose (RFC 3525 §7.1.8): one group, one media line with our payload types; of those, the ones that the
 * other party offers, if it has made an offer.
 */
export function chooseLocal(own: readonly number[], offer?: string, hasEvents = true): string {
  if (offer === undefined) return audio(own, []);
  if (isFaxDescription(offer)) return 'v=0\nc=IN IP4 $\nm=image $ udptl t38';
  const ptime = ptimeOf(offer);
  const events = hasEvents ? telephoneEventIn(offer) : undefined;
  return audio(
    [...common(own, offer), ...(events === undefined ? [] : [events])],
    [
      // The other party's number for it: that is what it will be sent with (RFC 4733 §2.1).
      ...(events === undefined ? [] : [`a=rtpmap:${events} telephone-event/8000`, `a=fmtp:${events} 0-15`]),
      ...(ptime === undefined ? [] : [`a=ptime:${ptime}`]),
    ],
  );
}

const audio = (types: readonly number[], attributes: readonly string[]): string =>
  ['v=0', 'c=IN IP4 $', `m=audio $ RTP/AVP ${types.join(' ')}`, ...attributes].join('\n');

export const accepts = (own: readonly number[], offer: string): boolean => common(own, offer).length > 0;

/** All of ours where the offer tells none: its gateway may understand more of it. */
function common(own: readonly number[], offer: string): readonly number[] {
  const offered = payloadTypes(offer);
  // In the order of the offer (RFC 3264 §6.1).
  return offered.length === 0 ? own : offered.filter((type) => own.includes(type));
}
