/**
 * A leg: one party of a call as a protocol-free handle. A call has two, and neither knows what protocol the other speaks; session
 * descriptions pass through as text. Commands go down by the methods, events come up by `LegEvent`.
 */

/** What a party can hear. `ring` is the telephone's bell. */
export type Tone = 'dial' | 'ring' | 'ringback' | 'busy' | 'reorder' | 'howler';

/** Why a call ends; it decides what the party left behind hears. */
export type ReleaseReason =
  | 'normal'
  | 'busy'
  | 'unknownNumber'
  | 'unavailable'
  | 'noAnswer'
  | 'noResources'
  /** The parties have no codec in common. */
  | 'notAcceptable'
  | 'incompleteNumber'
  | 'gatewayLost'
  | 'overload';

export interface Leg {
  /** For logs and lists: a number, an endpoint, a URI. */
  readonly name: string;
  /** Invite the caller to give a number. */
  collect(): void;
  /** Make the caller's side ready to receive media: ends in the event `offered`. */
  offer(callId: string): void;
  /** Call this party with the other's description: ends in `alerting` (ringing, perhaps with a description) or `failed`. */
  alert(callId: string, offer: string): void;
  /** The other party is being alerted. */
  progress(remote: string | undefined): void;
  /** Talk. `remote` is the other party's description, unless this leg has it already. */
  connect(remote: string | undefined): void;
  /** The leg's part in the call is over, whatever state it was in; no event comes from it afterwards. */
  release(reason: ReleaseReason): void;
}

export type LegEvent =
  /** The caller gave a number. */
  | { readonly kind: 'digits'; readonly number: string }
  /** The caller's side is ready; `description` is its session description. */
  | { readonly kind: 'offered'; readonly description: string }
  /** The called party is being alerted. */
  | { readonly kind: 'alerting'; readonly description: string | undefined }
  /** The called party accepts; `description` where it was not given with `alerting`. */
  | { readonly kind: 'answered'; readonly description: string | undefined }
  /** The party's description changed in the middle of the call. */
  | { readonly kind: 'modified'; readonly description: string }
  | { readonly kind: 'hungUp' }
  | { readonly kind: 'failed'; readonly reason: ReleaseReason };

export type Side = 'caller' | 'callee';

export const otherSide = (side: Side): Side => (side === 'caller' ? 'callee' : 'caller');
