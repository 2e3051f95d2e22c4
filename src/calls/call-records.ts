/** The records of calls with a party that is no line: sealed for a gateway to keep, and told to the other members where none keeps them. */

import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { Random } from '../random.ts';
import { type CallRecord, isLaterPhase } from './call-record.ts';
import { CallReplication, type CallReplicationParts } from './call-replication.ts';
import { type RecordPlace, RecordSeal } from './sealed-record.ts';

export interface CallRecordsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics: Metrics;
  readonly secret: string;
  readonly formerSecret?: string | undefined;
}

/** Does a gateway give a record back when it is audited? `unknown`: it has not been asked yet. */
export type RecordHabit = 'keeps' | 'forgets' | 'unknown';

export class CallRecords {
  readonly seal: RecordSeal;
  readonly #parts: CallRecordsParts;
  #replication: CallReplication | undefined;

  constructor(parts: CallRecordsParts) {
    this.#parts = parts;
    this.seal = new RecordSeal(parts);
  }

  get replication(): CallReplication | undefined {
    return this.#replication;
  }

  /** The other members, where there is a link to them. */
  connect(link: CallReplicationParts['link'] | undefined): void {
    this.#replication?.stop();
    this.#replication = link === undefined ? undefined : new CallReplication({ ...this.#parts, link });
  }

  stop(): void {
    this.#replication?.stop();
    this.#replication = undefined;
  }

  /** The record is on its way to where a successor looks for it. `undefined`: the call is over for this line. */
  publish(place: RecordPlace & { readonly callId: string }, record: CallRecord | undefined): void {
    this.#replication?.publish(place, record);
  }

  whenPublished(callId: string, run: () => void): void {
    if (this.#replication === undefined) run();
    else this.#replication.whenKept(callId, run);
  }

  /**
   * The record of the call at this place: what the gateway gave back, else what a member has told. `isOf` says whether a record may be of
   * the call where the place does not tell which that is.
   */
  find(
    place: RecordPlace,
    given: readonly Uint8Array[],
    isOf: (record: CallRecord) => boolean = () => true,
  ): CallRecord | undefined {
    const told = this.#replication?.find(place.gateway, place.endpoint).filter((record) => isHere(record, place, isOf));
    const opened = given.flatMap((octets) => {
      const { seal } = this;
      const result = seal.open(octets, place);
      return result.ok && isHere(result.value, place, isOf) ? [result.value] : [];
    });
    return furthest([...opened, ...(told ?? [])]);
  }
}

const isHere = (record: CallRecord, { callId }: RecordPlace, isOf: (record: CallRecord) => boolean): boolean =>
  record.phase !== 'over' &&
  (callId === undefined ? isOf(record) : record.callId.toUpperCase() === callId.toUpperCase());

/** Of equals the first: what the gateway itself keeps was written last. */
function furthest(records: readonly CallRecord[]): CallRecord | undefined {
  let best: CallRecord | undefined;
  for (const record of records) if (best === undefined || isLaterPhase(record.phase, best.phase)) best = record;
  return best;
}
