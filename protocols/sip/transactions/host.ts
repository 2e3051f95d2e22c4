/** What client and server transactions share: the clock and timers, the way to the wire, and the tables that they leave at their end. */
import type { Clock, ControllerAddress, Flow, OctetBudget, SocketAddress, Transmitter } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Via } from '../codec/values.ts';
import type { AbsorbTimers } from './absorb-timers.ts';

export interface TransactionHost {
  readonly clock: Clock;
  readonly transmitter: Transmitter;
  readonly timers: TransactionTimers;
  /** The octets of a text of ours: whatever leaves passes the Assembler. */
  readonly octets: Octets;
  /** The alternates of the hop that a request came from, as far as we obey them. */
  readonly alternatesOf: AlternatesOf;
  readonly absorbTimers: AbsorbTimers;
  /** What all transactions keep. */
  readonly memory: OctetBudget;
  readonly observer: ServerObserver | undefined;
  /** What hops before us are told of our load, in the Via of responses. */
  readonly feedback: Feedback | undefined;
  forgetClient(transaction: Keyed): void;
  forgetServer(transaction: Keyed): void;
}

export interface TransactionTimers {
  readonly t1Ms: number;
  readonly t2Ms: number;
  readonly t4Ms: number;
}

/** Waits between sends: doubling from T1 up to the cap (Timers A: no cap; E and G: T2). */
export const nextWaitMs = (waitMs: number, capMs: number): number => Math.min(waitMs * 2, capMs);

export interface ServerObserver {
  accepted(request: SipMessage, flow: Flow): void;
  answered(request: SipMessage, status: number, flow: Flow): void;
}

export interface Feedback {
  /** The response as it leaves, to the hop that wrote this Via. */
  write(text: string, via: Via, to: SocketAddress): string;
}

export type Octets = (text: string, flow: Flow) => Uint8Array;

export type AlternatesOf = (via: Via, flow: Flow) => readonly ControllerAddress[];

/** A transaction, by what messages find it with. */
export interface Keyed {
  readonly key: string;
}
