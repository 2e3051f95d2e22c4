/** What a protocol adds to the one answer of where a number leads: users under addresses of record, and trunks. */
import type { Contact } from '../location-service.ts';

export interface Directory {
  /** As contacts name it. */
  readonly protocol: string;
  /** Is this address of record one of its own domains'? */
  isOwn(record: string): boolean;
  /** The records of the location service that may hold the user with this number: `200@example.com`. */
  recordsOf(number: string): readonly string[];
  /** Is there such a user, registered or not? */
  knows(number: string): boolean;
  /** The trunks that take the number, best first; each contact names its trunk. */
  trunksOf(number: string): readonly Contact[];
  /** What its trunks and users can be dialled by: whole numbers, and the prefixes of trunks. */
  dialled(): DialledNumbers;
  /** Changes with that. */
  readonly version: number;
  /** What would become of the number at each of its trunks and users, and why, for the operator. */
  explain(number: string, from: string | undefined): readonly ExplainedPlace[];
  /** Why this sender would be refused; undefined: he would not be. */
  refuses(number: string, from: string): string | undefined;
}

export interface DialledNumbers {
  readonly numbers: readonly string[];
  readonly prefixes: readonly string[];
}

/** A place where a call to the number would go. */
export interface ExplainedPlace {
  readonly kind: 'trunk' | 'route' | 'user';
  readonly name: string;
  /** The number as it would be sent. */
  readonly sent?: string | undefined;
  /** Next hops in order, and how they are. */
  readonly hops: readonly { readonly address: string; readonly state: string }[];
  /** Why it would be passed over. */
  readonly passedOver?: string | undefined;
}
