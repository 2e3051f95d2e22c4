/**
 * Where the record of a line's other party is kept (crossing calls): by the line's gateway if that gives it back when audited, else by the
 * other members. Until it is known which, by both.
 */
import { type CallRecord, isSameRecord } from '../calls/call-record.ts';
import type { CallRecords, RecordHabit } from '../calls/call-records.ts';
import type { Line } from './line.ts';
import type { DesiredMedia } from './line-state.ts';

export interface LineRecordsParts {
  readonly records: CallRecords;
  /** Does the line's gateway give a record back? `hasRemote`: there is a description to put it beside. */
  habit(line: Line, hasRemote: boolean): RecordHabit;
  /** The gateway keeps the call id: of a call of which nothing has come yet, that says all. */
  readonly tellsCall: boolean;
}

export class LineRecords {
  readonly #parts: LineRecordsParts;
  /** What the other members were told last. */
  readonly #published = new WeakMap<Line, { readonly callId: string; readonly record: CallRecord }>();

  constructor(parts: LineRecordsParts) {
    this.#parts = parts;
  }

  /** The line is to have this record: its gateway is told by whatever commands follow. */
  changed(line: Line, { callId, remote }: DesiredMedia, record: CallRecord): void {
    const { habit, records, tellsCall } = this.#parts;
    const before = this.#published.get(line);
    if (before?.callId === callId && isSameRecord(before.record, record)) return;
    if (tellsCall && record.phase === 'calling') return;
    const isKept = habit(line, remote !== undefined) === 'keeps';
    // Whoever was told once is told what became of it.
    if (isKept && before?.callId !== callId) return;
    if (before !== undefined && before.callId !== callId) this.over(line);
    this.#published.set(line, { callId, record });
    records.publish({ gateway: line.gateway, endpoint: line.endpoint, callId }, record);
  }

  /** The line has no part in the call any more. */
  over(line: Line): void {
    const before = this.#published.get(line);
    if (before === undefined) return;
    this.#published.delete(line);
    const { callId } = before;
    this.#parts.records.publish({ gateway: line.gateway, endpoint: line.endpoint, callId }, undefined);
  }

  /** Runs once another member has confirmed what it was told, where one is told. */
  whenKept(line: Line, run: () => void): void {
    const before = this.#published.get(line);
    if (before === undefined) run();
    else this.#parts.records.whenPublished(before.callId, run);
  }
}
