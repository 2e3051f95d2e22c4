/**
 * The contract between the one call control of a process and whatever brings parties: lines of MGCP gateways, terminations of MEGACO
 * gateways, SIP user agents. A provider makes legs; call control joins two of them and knows no protocol.
 */
import type { Contact } from '../location-service.ts';
import type { Call, CallTimers, MediaRelay } from './call.ts';
import type { CallRecord } from './call-record.ts';
import type { Leg, ReleaseReason, Side } from './leg.ts';
import type { LinePhase, LineSnapshot, RestorablePart } from './rebuild.ts';

export interface ResumedParty {
  readonly record: CallRecord;
  readonly call: Call;
  readonly side: Side;
  /** How far the other party's line is. */
  readonly line: LinePhase;
  /** That line's description, as the party was told it or is to be told it. */
  readonly description: string | undefined;
  /** The party's own, as that line's gateway was given it. */
  readonly remote: string | undefined;
}

/** The party's leg, and what is to be done once the call has it. */
export interface ResumedLeg {
  readonly leg: Leg;
  begin(): void;
}

export interface LegProvider {
  /** As contacts name it (`Contact.protocol`). */
  readonly protocol: string;
  /** How long calls that begin here may take. */
  readonly timers: Partial<CallTimers>;
  /** Media of calls that begin here runs through it. */
  readonly relay?: MediaRelay | undefined;
  /** The leg to call this contact on, or why there is none. */
  place(contact: Contact, call: Call): Leg | ReleaseReason;
  /** Where a number is that the location service has no contact for under the number itself: a user of this name. */
  locate?(number: string): readonly Contact[];
  /**
   * A number without a contact may be one of this provider's lines that another member serves: it is asked for and `ready` called,
   * whatever came of it. `unknownNumber`: not one of ours.
   */
  claim(number: string, ready: () => void): 'later' | 'unavailable' | 'unknownNumber';
  /** Every number that a party of this provider may be dialled by. */
  numbers(): Iterable<string>;
  /** Further numbers that lead to parties of this provider now, for a lookup among all of them. */
  diallable?(): Iterable<string>;
  /** Changes with the numbers. */
  readonly numbersVersion: number;
  hasNumber(number: string): boolean;
  /** The endpoint that has this number, as its protocol's messages name it. */
  endpointOf?(number: string): string | undefined;
  /** Is it known here what the party with this number is doing? */
  isServed(number: string): boolean;
  /** Is the endpoint a party of a call? */
  isInCall(endpoint: string): boolean;
  /** Is this the number of that endpoint? */
  isNumberOf(number: string, endpoint: string): boolean;
  /** After a takeover: the endpoint is a party of this call again, from now on in this part. */
  restore(endpoint: string, call: Call, side: Side, part: RestorablePart | undefined): Leg | undefined;
  /**
   * After a takeover: a party that is no line, made again from its record. `begin` goes on with it once both parties are there. Undefined:
   * the record tells nothing that can be gone on with.
   */
  resume?(party: ResumedParty): ResumedLeg | undefined;
  /** What an audit of this leg's line would show now; undefined where it has no media. */
  snapshotOf(leg: Leg): LineSnapshot | undefined;
  /** Are there endpoints of which it is not known whether they are parties of a call that is being rebuilt? */
  hasUnknownEnds(): boolean;
}
