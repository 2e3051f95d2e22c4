/** Calls as `altpath calls` shows them. */
import { age, duration } from './readable.ts';
import { type Row, table } from './table.ts';

export type CallList = 'open' | 'ended' | 'failed';

export function callTable(rows: readonly Row[], list: CallList, nowMs: number): string {
  return table(
    rows.map((row) => (list === 'open' ? openCall(row, nowMs) : endedCall(row, nowMs))),
    list === 'open' ? openColumns : endedColumns,
  );
}

const openColumns = [
  'protocol',
  'state',
  'caller',
  'callee',
  'since',
  'talking',
  'from',
  'to',
  'route',
  'moved',
  'id',
  'call',
];

const endedColumns = [
  'ended',
  'protocol',
  'caller',
  'callee',
  'why',
  'where',
  'took',
  'talked',
  'route',
  'moved',
  'detail',
  'call',
];

function openCall(row: Row, nowMs: number): Row {
  return {
    ...row,
    ...common(row),
    since:
      typeof row['begunMs'] === 'number'
        ? age(row['begunMs'], nowMs)
        : row['isAdopted'] === true
          ? 'taken over'
          : undefined,
    talking: typeof row['talkedMs'] === 'number' ? duration(row['talkedMs']) : undefined,
  };
}

function endedCall(row: Row, nowMs: number): Row {
  const { begunMs, endedMs, talkedMs, code, reason, cause } = row;
  const causes = [
    code === undefined ? undefined : String(code),
    cause === undefined ? undefined : `Q.850 ${String(cause)}`,
  ];
  const known = causes.filter((each) => each !== undefined).join(', ');
  return {
    ...row,
    ...common(row),
    ended: typeof endedMs === 'number' ? age(endedMs, nowMs) : undefined,
    why: `${String(reason ?? 'unknown')}${known === '' ? '' : ` (${known})`}`,
    took: typeof begunMs === 'number' && typeof endedMs === 'number' ? duration(endedMs - begunMs) : undefined,
    talked: typeof talkedMs === 'number' ? duration(talkedMs) : undefined,
  };
}

/** The record's id is for machines; where there is a call's own, that one finds its messages. */
const common = ({ callId, switches }: Row): Row => ({
  id: undefined,
  call: callId,
  moved: Array.isArray(switches)
    ? switches.map((each: Row) => `${String(each['from'])} -> ${String(each['to'])} (${String(each['because'])})`)
    : undefined,
});
