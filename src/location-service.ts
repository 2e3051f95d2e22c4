/**
 * Who is where: an address of record or a number → contacts. One service for all protocols: SIP telephones register into it,
 * MGCP lines and MEGACO terminations are provisioned and become available when their gateway reports in.
 * Reads are answered from memory; a write is acknowledged only after the driver has it where kill -9 cannot reach.
 */
import type { ControllerAddress } from './signaling/controller-address.ts';

export interface Contact {
  /** The protocol whose adapter reaches it: `sip`, `mgcp`, `megaco`. */
  readonly protocol: string;
  /** What the protocol sends to: a SIP URI, `aaln/1@rgw1`, a termination id. */
  readonly target: string;
  /** Identity of the contact within its record: two saves with the same key are the same contact. */
  readonly key: string;
  /** Where packets for it go, if not to what the target itself names (the flow it registered over). */
  readonly address?: ControllerAddress | undefined;
  /**
   * The flow it registered over, in the protocol's own words: they say which process has it, and in which life, for others read them
   * as well, and after a restart.
   */
  readonly flow?: string | undefined;
  /** Hops to visit on the way, in order (SIP Path). */
  readonly path: readonly string[];
  /** Backups of the contact, in order. */
  readonly alternates: readonly ControllerAddress[];
  /** Clock time at which it lapses; Infinity: provisioned. */
  readonly expiresMs: number;
  /** Preference, 0 to 1000 (SIP q × 1000). */
  readonly q: number;
  readonly instance?: string | undefined;
  readonly regId?: number | undefined;
  /** The registration that last wrote it: repeated or out-of-order ones are told by these. */
  readonly callId?: string | undefined;
  readonly cseq?: number | undefined;
  readonly userAgent?: string | undefined;
  /** No user or line: the trunk that takes the number. */
  readonly trunk?: string | undefined;
  /** What else the registration said of it and gets back, in the protocol's own words (SIP: header parameters of its Contact). */
  readonly params?: string | undefined;
  readonly updatedMs: number;
}

/** The registration that a save is made for, where a store that others write to as well has to compare them (RFC 3261 §10.3). */
export interface Registration {
  readonly callId: string;
  readonly cseq: number;
  /** So many contacts the record may have, those that others registered among them. */
  readonly maxContacts: number;
}

export interface LocationService {
  /** A large store is read while it is answered from: when all of it is in memory; absent: after `open`. */
  readonly loaded?: Promise<void>;
  /** Loads what was stored, or begins to. @throws AltpathError where the store cannot be opened. */
  open(): Promise<void>;
  /** The live contacts of a record, best q first, then the latest. Never waits. */
  lookup(record: string): readonly Contact[];
  /**
   * Replaces the contacts of a record (an empty list removes it). Visible to `lookup` at once; resolves when it is stored.
   * Rejects where the store refuses: the caller must then not acknowledge.
   */
  save(record: string, contacts: readonly Contact[], registration?: Registration): Promise<void>;
  /**
   * Nobody was found: might the store know better? It may for a moment after somebody has registered with another process. Settles soon,
   * whatever becomes of it; then `lookup` knows, and where it does not: true, nobody does; false, another process may know him. undefined:
   * there is nobody to ask.
   */
  ask?(record: string): Promise<boolean> | undefined;
  /** This process has just begun and does not have all of the store yet. */
  readonly isBeingRead?: boolean;
  /** How the store is, for `altpath status`. */
  status?(): Readonly<Record<string, unknown>>;
  /** Every record with its live contacts, for `altpath reg`. */
  records(): Iterable<readonly [record: string, contacts: readonly Contact[]]>;
  readonly size: number;
  close(): Promise<void>;
}
