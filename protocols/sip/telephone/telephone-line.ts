/** A call as the telephone's user sees it, and the telephone as its calls see it. */
import type { Clock } from '../../../src/internal.ts';
import type { PackageAddress, PackageRequest, PackageResponse, PackageUri } from './sip-types.ts';

export type CallState = 'calling' | 'ringing' | 'answered' | 'ended';

/** How a call ended: by whom, and with which status where it was never answered. */
export interface CallEnd {
  readonly by: 'us' | 'them' | 'failure';
  readonly status: number;
  readonly reason: string;
}

export interface Call {
  readonly id: string;
  readonly direction: 'outgoing' | 'incoming';
  /** The other side's address as the INVITE has it. */
  readonly peer: string;
  readonly state: CallState;
  /** Settles when the call has ended for good. */
  readonly ended: Promise<CallEnd>;
  /** Ends it, whatever its state: CANCEL, a refusal, or BYE. */
  hangUp(): void;
  /** An incoming one: takes it. */
  answer(): void;
  /** An incoming one: refuses it. */
  refuse(status: number, reason: string): void;
}

/** Where a call's speech is received, and where it is sent to. */
export interface CallMedia {
  readonly port: number;
  /** `remote`: the other side's session description. */
  set(remote: string | undefined, mode: 'both' | 'none'): void;
  close(): void;
}

/** What a call needs of its telephone. */
export interface TelephoneLine {
  readonly clock: Clock;
  readonly host: string;
  self(): PackageAddress;
  contact(): PackageAddress;
  route(): PackageAddress[];
  text(uri: string | PackageUri): string;
  request(request: PackageRequest, onResponse: (response: PackageResponse) => void): void;
  acknowledge(ack: PackageRequest): void;
  respond(
    request: PackageRequest,
    status: number,
    reason: string,
    extension?: { headers?: Record<string, unknown>; content?: string },
  ): void;
  /** Can the challenge be answered? The next request carries the credentials then. */
  challenged(response: PackageResponse, request: PackageRequest): boolean;
  /** undefined: the telephone has no speech. */
  openMedia(): CallMedia | undefined;
  changed(call: Call, detail: string): void;
  ended(call: Call, end: CallEnd): void;
}
