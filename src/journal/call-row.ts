/** A call as plain data: what the admin server gives to `altpath calls`, to the dashboard, and, once it has ended, to the call records. */
import { createHash } from 'node:crypto';
import type { CallStage, ObservedCall } from './observed-call.ts';

/** Times since the Unix epoch in milliseconds. What is not known or does not apply is left out. */
export interface CallRow {
  /** The same at every member that saw a part of the call. */
  readonly id: string;
  readonly protocol: string;
  readonly callId?: string | undefined;
  /** Ids that messages of its parties carry besides. */
  readonly otherIds?: readonly string[] | undefined;
  readonly caller?: string | undefined;
  readonly callee?: string | undefined;
  readonly state: CallStage;
  /** Missing: it began where this controller did not see it. */
  readonly begunMs?: number | undefined;
  readonly ringingMs?: number | undefined;
  readonly answeredMs?: number | undefined;
  readonly endedMs?: number | undefined;
  /** From the answer to the end, or until now. */
  readonly talkedMs?: number | undefined;
  /** The addresses of its two neighbours, as far as they are known. */
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly route?: string | undefined;
  readonly switches?: readonly {
    readonly atMs: number;
    readonly from: string;
    readonly to: string;
    readonly because: string;
  }[];
  /** It was begun at another member, or before this process. */
  readonly isAdopted?: boolean | undefined;
  readonly failed?: boolean | undefined;
  readonly reason?: string | undefined;
  readonly code?: string | undefined;
  /** Q.850. */
  readonly cause?: number | undefined;
  readonly where?: string | undefined;
  readonly detail?: string | undefined;
}

/** `offsetMs`: from the controller's clock to the machine's calendar. */
export function callRow(call: ObservedCall, nowMs: number, offsetMs: number): CallRow {
  const { protocol, callId, caller, callee, stage, begunMs, ringingMs, answeredMs, endedMs, outcome } = call;
  const wall = (ms: number | undefined): number | undefined =>
    ms === undefined ? undefined : Math.round(ms + offsetMs);
  return {
    id: callRecordId(call),
    protocol,
    callId,
    otherIds: call.otherIds,
    caller,
    callee,
    state: stage,
    begunMs: call.isAdopted ? undefined : wall(begunMs),
    ringingMs: wall(ringingMs),
    answeredMs: wall(answeredMs),
    endedMs: wall(endedMs),
    talkedMs: answeredMs === undefined ? undefined : Math.round((endedMs ?? nowMs) - answeredMs),
    from: call.from,
    to: call.to,
    route: call.route,
    ...(call.switches === undefined
      ? {}
      : { switches: call.switches.map((each) => ({ ...each, atMs: Math.round(each.atMs + offsetMs) })) }),
    ...(call.isAdopted ? { isAdopted: true } : {}),
    ...(stage === 'ended' ? { failed: call.hasFailed } : {}),
    reason: outcome?.reason,
    code: outcome?.code,
    cause: outcome?.cause,
    where: outcome?.where,
    detail: outcome?.detail,
  };
}

/** Of the call's own id, which travels in its messages: whoever sees one of them computes the same. */
export const callRecordId = ({ callId, protocol, caller, begunMs }: ObservedCall): string =>
  createHash('sha256')
    .update(callId === undefined ? `${protocol} ${caller} ${begunMs}` : callId)
    .digest('hex')
    .slice(0, 24);
