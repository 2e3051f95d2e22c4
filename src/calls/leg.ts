/**
 * A leg: one party of a call as a protocol-free handle. A call has two, and neither knows what protocol the other speaks; session
 * descriptions pass through as text. Commands go down by the methods, events come up by `LegEvent`.
 *
 * A description that a leg reports is its party's own, as the other party is to be given it: its direction (RFC 3264 §6.1) says what
 * this party does, and where it answers an offer it has the offer's m= lines in order. A description that a leg is given is the other
 * party's, in the same way.
 */
import type { GatewayName } from '../journal/gateway-calls.ts';
import type { CallRecord } from './call-record.ts';

/** What a party can hear. `ring` is the telephone's bell. */
export type Tone = 'dial' | 'ring' | 'ringback' | 'busy' | 'reorder' | 'howler';

/** Why a call ends; it decides what the party left behind hears (release-cause.ts has the causes of Q.850). */
export type ReleaseReason =
  | 'normal'
  /** The caller gave up before there was an answer. */
  | 'cancelled'
  | 'busy'
  | 'unknownNumber'
  | 'unavailable'
  | 'noAnswer'
  /** The called party does not want this call. */
  | 'declined'
  /** The call is not permitted. */
  | 'forbidden'
  | 'noResources'
  /** The parties have no codec in common. */
  | 'notAcceptable'
  | 'incompleteNumber'
  | 'gatewayLost'
  /** A fault that may be gone at the next attempt. */
  | 'temporary'
  | 'overload';

/** What lists, records and the log say of a failure besides; nothing is decided by it. */
export interface FailureTold {
  /** The reason in a finer word, where the protocol has one: `loop`, `unauthorized`. */
  readonly reason?: string | undefined;
  /** The answer that said so, as its protocol numbers answers. */
  readonly code?: string | undefined;
  /** Q.850. */
  readonly cause?: number | undefined;
  /** The address that said so, or that said nothing. */
  readonly where?: string | undefined;
  readonly detail?: string | undefined;
}

/** Why a party goes on with the description that it has. `glare`: the other party has made an offer too (RFC 3261 §14.1). */
export type ModifyRefusal = 'notAcceptable' | 'glare' | 'temporary';

/** Who calls, as far as the called party may know (RFC 3323). `unavailable`: nobody has told. */
export interface CallerIdentity {
  readonly number?: string | undefined;
  readonly name?: string | undefined;
  readonly presentation: 'allowed' | 'restricted' | 'unavailable';
}

export interface Leg {
  /** For logs and lists: a number, an endpoint, a URI. */
  readonly name: string;
  /** The gateway that this party's line is on. */
  readonly gateway?: GatewayName | undefined;
  /** Who calls; of a caller's leg. */
  readonly identity?: CallerIdentity | undefined;
  /** The id that this party's messages carry, where it is another than the call's. */
  readonly callId?: string | undefined;
  /**
   * What a successor must know of a party that is no line: the other party's line keeps it (`Call.whenKept`). A new value replaces the one
   * before as a whole.
   */
  readonly record?: CallRecord | undefined;
  /** The call's id where the caller's leg derives it, so that every member derives the same. */
  callIdFor?(number: string): string;
  /** Invite the caller to give a number. A leg that has it already reports `digits` at once. */
  collect(): void;
  /** Make the caller's side ready to receive media: ends in the event `offered`. */
  offer(callId: string): void;
  /**
   * Call this party with the other's description: ends in `alerting` (ringing, perhaps with a description) or `failed`. Without one, the
   * party makes the offer, and gets the answer with `connect`.
   */
  alert(callId: string, offer: string | undefined, caller?: CallerIdentity): void;
  /**
   * The other party is being alerted. `early`: its description, and there is something to hear before it answers, so no ringback tone is
   * made here. `answer`: the description that it will answer with, of which there is nothing to hear yet; a leg may prepare for it.
   */
  progress(early: string | undefined, answer?: string): void;
  /** Talk. `remote` is the other party's description, unless this leg has it already. In mid-call: it has changed. */
  connect(remote: string | undefined): void;
  /**
   * The other party offers in mid-call (hold, resume, another address, another codec, fax): ends in `modifyAnswered` or
   * `modifyRefused`; refused, everything stays as it was. Without a description the party is asked for its own, whole and in both
   * directions: it answers at once, and the other party's answer comes with `connect`.
   */
  modify(offer: string | undefined): void;
  /** What came of this leg's `modifyOffered`: the other party's description. */
  modifyAnswer(description: string): void;
  /** What came of this leg's `modifyOffered`: nothing has changed. */
  modifyRefuse(reason: ModifyRefusal): void;
  /** One key (0-9, *, #, A-D) that the other party pressed and told of in a message, not in its media. */
  digit(signal: string, durationMs: number): void;
  /**
   * Runs once what this leg was told last is in force, or cannot be brought there, and the other party's record is where a successor finds
   * it; at once, where nothing is under way. Who may commit the other party to the call only then (a 2xx, its ACK) waits for it.
   */
  whenSettled?(run: () => void): void;
  /** How many packets of media have come to this leg; undefined where nobody can tell. */
  packetsReceived?(told: (packets: number | undefined) => void): void;
  /** Of a party that is no line: another member has the call now, and goes on with it. Nothing more is said to the party from here. */
  abandon?(): void;
  /** The leg's part in the call is over, whatever state it was in; no event comes from it afterwards. `cause` is of Q.850. */
  release(reason: ReleaseReason, cause?: number): void;
}

export type LegEvent =
  /** The caller gave a number. */
  | { readonly kind: 'digits'; readonly number: string }
  /** The caller's side is ready. Without a description it wants the offer of the called party, and reports its answer as `modified`. */
  | { readonly kind: 'offered'; readonly description?: string | undefined }
  /**
   * The called party is being alerted. `early` false: with `description` it will answer, but there is nothing to hear yet (its bell
   * rings); else a description is early media.
   */
  | { readonly kind: 'alerting'; readonly description?: string | undefined; readonly early?: boolean | undefined }
  /** The called party accepts; `description` where it was not given with `alerting`, or another than that. */
  | { readonly kind: 'answered'; readonly description?: string | undefined }
  /** The party's description changed in the middle of the call; nobody answers. */
  | { readonly kind: 'modified'; readonly description: string }
  /** The party offers in mid-call; undefined: it asks for the other's description (`modify`). Ends in `modifyAnswer` or `modifyRefuse`. */
  | { readonly kind: 'modifyOffered'; readonly description?: string | undefined }
  | { readonly kind: 'modifyAnswered'; readonly description: string }
  | { readonly kind: 'modifyRefused'; readonly reason: ModifyRefusal }
  | { readonly kind: 'digit'; readonly signal: string; readonly durationMs: number }
  | { readonly kind: 'hungUp'; readonly cause?: number | undefined }
  | {
      readonly kind: 'failed';
      readonly reason: ReleaseReason;
      readonly cause?: number | undefined;
      readonly told?: FailureTold | undefined;
    };

export type Side = 'caller' | 'callee';

export const otherSide = (side: Side): Side => (side === 'caller' ? 'callee' : 'caller');
