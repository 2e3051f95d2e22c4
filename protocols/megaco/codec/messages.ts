/**
 * A MEGACO/H.248 message as values: one model for the text and the binary encoding (RFC 3525 Annexes A and B). Names are the
 * RFC's; package items are `package/item` in lower case, as everything in Annex B is case insensitive but SDP and strings.
 */

import type { TerminationNaming } from './binary/termination-naming.ts';

/** How the message was or will be written. */
export type Encoding = 'pretty' | 'compact' | 'binary';

/** How one peer is written to. */
export interface PeerFormat {
  readonly encoding: Encoding;
  readonly version: number;
  readonly naming?: TerminationNaming | undefined;
  readonly bareEmptySignals?: boolean | undefined;
}

export interface MegacoMessage {
  /** Protocol version of the header, 1 to 99. */
  readonly version: number;
  readonly mId: MId;
  readonly body: MessageBody;
  readonly authentication?: AuthenticationHeader | undefined;
  /** The backups that the message names, in mId form: `[127.0.0.2]:2944`, `<mgc2.example>:2944`. */
  readonly alternatePath?: readonly MId[] | undefined;
  /** The encoding in which it came; it is answered in the same. */
  readonly encoding?: Encoding | undefined;
  /** How its receiver is written to, of a message of ours. */
  readonly format?: PeerFormat | undefined;
  /** The octets as they came, where the integrity check needs them. */
  readonly bytes?: Uint8Array | undefined;
}

/** Annex B form in lower case: `[1.2.3.4]:2944`, `<mgc.example>`, `device/1`, `MTP{00ab12}`. */
export type MId = string;

export type MessageBody =
  | { readonly kind: 'error'; readonly error: ErrorDescriptor }
  | { readonly kind: 'transactions'; readonly transactions: readonly Transaction[] };

/** RFC 3525 §10.2: hexadecimal digits as on the wire, without `0x`. */
export interface AuthenticationHeader {
  readonly securityParmIndex: string;
  readonly sequenceNum: string;
  readonly authData: string;
}

export type Transaction = TransactionRequest | TransactionReply | TransactionPending | TransactionResponseAck;

export interface TransactionRequest {
  readonly kind: 'request';
  readonly transactionId: number;
  readonly actions: readonly ActionRequest[];
  /** The request could not be read to its end: it is answered with this and not executed (RFC 3525 §8.2.2). */
  readonly syntaxError?: SyntaxError | undefined;
}

export interface SyntaxError {
  /** 403, 421, 422, 442 or 443 (RFC 3525 §8.2.2). */
  readonly code: number;
  readonly reason: string;
  readonly offset: number;
  /** The context of the action in which reading ended, if it was known. */
  readonly contextId?: number | undefined;
}

export interface TransactionReply {
  readonly kind: 'reply';
  readonly transactionId: number;
  readonly immAckRequired: boolean;
  /** Set: the transaction failed as a whole; `actions` holds at most what could be read. */
  readonly error?: ErrorDescriptor | undefined;
  readonly actions: readonly ActionReply[];
  /** Some part of it could not be read: an error of ours (`unreadableError`) stands there. */
  readonly unreadable?: boolean | undefined;
}

export interface TransactionPending {
  readonly kind: 'pending';
  readonly transactionId: number;
}

export interface TransactionResponseAck {
  readonly kind: 'ack';
  /** Confirmed ranges, both ends included. */
  readonly ranges: readonly (readonly [first: number, last: number])[];
}

/** RFC 3525 §8.1.2: the reserved context ids, in text `-`, `$` and `*`. */
export const contextNull = 0;
export const contextChoose = 0xfffffffe;
export const contextAll = 0xffffffff;

/** RFC 3525 §7.1.16: `*` as RequestID, in an audit of capabilities. */
export const requestAll = 0xffffffff;

export interface ActionRequest {
  readonly contextId: number;
  readonly context?: ContextAttributes | undefined;
  readonly contextAudit?: readonly ContextAttribute[] | undefined;
  readonly commands: readonly Command[];
}

export interface ActionReply {
  readonly contextId: number;
  readonly error?: ErrorDescriptor | undefined;
  readonly context?: ContextAttributes | undefined;
  readonly commands: readonly CommandReply[];
  readonly unreadable?: boolean | undefined;
}

export interface ContextAttributes {
  readonly topology?: readonly TopologyTriple[] | undefined;
  readonly priority?: number | undefined;
  readonly emergency?: boolean | undefined;
}

export type ContextAttribute = 'Topology' | 'Emergency' | 'Priority';

export interface TopologyTriple {
  readonly from: string;
  readonly to: string;
  readonly direction: 'Bothway' | 'Isolate' | 'Oneway';
}

export type Verb =
  | 'Add'
  | 'Move'
  | 'Modify'
  | 'Subtract'
  | 'AuditValue'
  | 'AuditCapability'
  | 'Notify'
  | 'ServiceChange';

export interface Command {
  readonly verb: Verb;
  /** `ROOT`, `*`, `$`, or a path name in lower case. */
  readonly terminationId: string;
  readonly descriptors: readonly Descriptor[];
  /** `O-`: its failure does not end the transaction. */
  readonly optional?: boolean | undefined;
  /** `W-`: one reply for all terminations that a wildcard names. */
  readonly wildcardReturn?: boolean | undefined;
}

export interface CommandReply {
  readonly verb: Verb;
  readonly terminationId: string;
  readonly descriptors: readonly Descriptor[];
  /** Answer to an audit that asked which terminations a context has; `terminationId` is then empty. */
  readonly contextTerminations?: readonly string[] | undefined;
  readonly unreadable?: boolean | undefined;
}

export type Descriptor =
  | MediaDescriptor
  | ModemDescriptor
  | MuxDescriptor
  | EventsDescriptor
  | EventBufferDescriptor
  | SignalsDescriptor
  | DigitMapDescriptor
  | AuditDescriptor
  | ObservedEventsDescriptor
  | StatisticsDescriptor
  | PackagesDescriptor
  | ServiceChangeDescriptor
  | ErrorDescriptor
  | EmptyDescriptor;

/** A name with its values: a property, or a parameter of an event, a signal or a ServiceChange. */
export interface Parameter {
  readonly name: string;
  readonly relation: Relation;
  /** Each VALUE as Annex B writes it, the quotes of a string included. */
  readonly values: readonly string[];
}

/** One value; comparisons; every one of a list; one of a list; a range of two. */
export type Relation = '=' | '>' | '<' | '#' | 'sublist' | 'alternatives' | 'range';

export interface MediaDescriptor {
  readonly kind: 'Media';
  readonly terminationState?: TerminationState | undefined;
  readonly streams: readonly Stream[];
}

export interface TerminationState {
  readonly properties: readonly Parameter[];
  readonly serviceStates?: 'Test' | 'OutOfService' | 'InService' | undefined;
  readonly buffer?: 'OFF' | 'LockStep' | undefined;
}

export interface Stream {
  /** Absent: the only stream, written without a Stream descriptor. */
  readonly streamId?: number | undefined;
  readonly localControl?: LocalControl | undefined;
  /** Session descriptions as text, each begun by `v=`; the brace is not escaped here. */
  readonly local?: string | undefined;
  readonly remote?: string | undefined;
}

export interface LocalControl {
  readonly mode?: StreamMode | undefined;
  readonly reserveGroup?: boolean | undefined;
  readonly reserveValue?: boolean | undefined;
  readonly properties: readonly Parameter[];
}

export type StreamMode = 'SendOnly' | 'ReceiveOnly' | 'SendReceive' | 'Inactive' | 'Loopback';

export interface ModemDescriptor {
  readonly kind: 'Modem';
  readonly types: readonly string[];
  readonly properties: readonly Parameter[];
}

export interface MuxDescriptor {
  readonly kind: 'Mux';
  readonly type: string;
  readonly terminations: readonly string[];
}

export interface EventsDescriptor {
  readonly kind: 'Events';
  /** Absent with an empty list: no event is wanted any more. */
  readonly requestId?: number | undefined;
  readonly events: readonly RequestedEvent[];
}

export interface RequestedEvent {
  readonly name: string;
  readonly streamId?: number | undefined;
  readonly keepActive?: boolean | undefined;
  readonly digitMap?: EventDigitMap | undefined;
  /** Started when the event happens (RFC 3525 §7.1.9). */
  readonly embedSignals?: SignalsDescriptor | undefined;
  /** Replaces the active events when the event happens. */
  readonly embedEvents?: EventsDescriptor | undefined;
  readonly parameters: readonly Parameter[];
}

export type EventDigitMap = { readonly name: string } | { readonly value: DigitMapValue };

export interface EventBufferDescriptor {
  readonly kind: 'EventBuffer';
  readonly events: readonly EventSpec[];
}

export interface EventSpec {
  readonly name: string;
  readonly streamId?: number | undefined;
  readonly parameters: readonly Parameter[];
}

export interface SignalsDescriptor {
  readonly kind: 'Signals';
  readonly signals: readonly (Signal | SignalList)[];
}

export interface Signal {
  readonly kind: 'signal';
  readonly name: string;
  readonly streamId?: number | undefined;
  readonly type?: SignalType | undefined;
  /** Hundredths of a second. */
  readonly duration?: number | undefined;
  readonly notifyCompletion?: readonly NotificationReason[] | undefined;
  readonly keepActive?: boolean | undefined;
  readonly parameters: readonly Parameter[];
}

export interface SignalList {
  readonly kind: 'list';
  readonly id: number;
  readonly signals: readonly Signal[];
}

export type SignalType = 'OnOff' | 'TimeOut' | 'Brief';

export type NotificationReason = 'TimeOut' | 'IntByEvent' | 'IntBySigDescr' | 'OtherReason';

export interface DigitMapDescriptor {
  readonly kind: 'DigitMap';
  readonly name?: string | undefined;
  readonly value?: DigitMapValue | undefined;
}

export interface DigitMapValue {
  /** Seconds; the duration timer in tenths of a second. */
  readonly startTimer?: number | undefined;
  readonly shortTimer?: number | undefined;
  readonly longTimer?: number | undefined;
  readonly durationTimer?: number | undefined;
  /** `(0|00|[1-7]xxx)`. */
  readonly body: string;
}

export interface AuditDescriptor {
  readonly kind: 'Audit';
  readonly items: readonly AuditItem[];
}

export type AuditItem =
  | 'Mux'
  | 'Modem'
  | 'Media'
  | 'Events'
  | 'Signals'
  | 'DigitMap'
  | 'Statistics'
  | 'ObservedEvents'
  | 'Packages'
  | 'EventBuffer';

/** In the reply to an audit: the descriptor exists and holds nothing. */
export interface EmptyDescriptor {
  readonly kind: 'empty';
  readonly item: AuditItem;
}

export interface ObservedEventsDescriptor {
  readonly kind: 'ObservedEvents';
  readonly requestId: number;
  readonly events: readonly ObservedEvent[];
}

export interface ObservedEvent {
  readonly name: string;
  /** `19990729T22000000`. */
  readonly timeStamp?: string | undefined;
  readonly streamId?: number | undefined;
  readonly parameters: readonly Parameter[];
}

export interface StatisticsDescriptor {
  readonly kind: 'Statistics';
  readonly statistics: readonly Statistic[];
}

export interface Statistic {
  readonly name: string;
  readonly value?: string | undefined;
}

export interface PackagesDescriptor {
  readonly kind: 'Packages';
  readonly packages: readonly { readonly name: string; readonly version: number }[];
}

export interface ServiceChangeDescriptor {
  readonly kind: 'Services';
  readonly method?: string | undefined;
  /** An mId or a port number in decimal digits. */
  readonly address?: string | undefined;
  readonly version?: number | undefined;
  /** `resgw/1`. */
  readonly profile?: string | undefined;
  /** The code and its text, without quotes: `901 Cold Boot`. */
  readonly reason?: string | undefined;
  /** Seconds. */
  readonly delay?: number | undefined;
  readonly mgcId?: MId | undefined;
  readonly timeStamp?: string | undefined;
  readonly extensions?: readonly Parameter[] | undefined;
}

export interface ErrorDescriptor {
  readonly kind: 'Error';
  readonly code: number;
  readonly text?: string | undefined;
}

/** What stands for a part of a reply that we could not read. */
export const unreadableError = (reason: string): ErrorDescriptor => ({
  kind: 'Error',
  code: 400,
  text: `unreadable: ${reason}`,
});

/** A command that was not executed. */
export const failure = (plain: CommandReply, code: number, text: string): CommandReply => ({
  ...plain,
  descriptors: [{ kind: 'Error', code, text }],
});
