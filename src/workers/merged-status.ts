/** `altpath status` of several workers. Pure. */
import type { WorkerView } from './supervisor.ts';
import { isRow, type Row, type Said } from './worker-admins.ts';

export interface StatusParts {
  readonly workers: readonly WorkerView[];
  readonly lead: number;
  readonly all: readonly Said[];
  readonly nowMs: number;
  /** Of the process above them. */
  readonly own: Row;
  readonly ownBytes: number;
}

/** What counts is added; everything else is as the one says that does what one does for all. */
export function mergedStatus({ workers, lead, all, nowMs, own, ownBytes }: StatusParts): Row {
  const rows = all.map(({ row }) => row);
  const leads = all.find(({ worker }) => worker === lead)?.row ?? rows[0] ?? {};
  const { worker: _worker, roles, bans: _bans, ...common } = leads;
  const bans = sum(rows, 'bans');
  return {
    ...common,
    ...own,
    memoryBytes: sum(rows, 'memoryBytes') + ownBytes,
    ...(bans === 0 ? {} : { bans }),
    workers: workers.map(({ index, state, pid, starts, deaths, sinceMs }) => {
      const said = all.find(({ worker }) => worker === index)?.row;
      return {
        worker: index,
        state,
        pid,
        lead: index === lead,
        starts,
        deaths,
        sinceSeconds: Math.round((nowMs - sinceMs) / 1_000),
        ...(said === undefined
          ? {}
          : { uptimeSeconds: said['uptimeSeconds'], memoryBytes: said['memoryBytes'], overload: said['overload'] }),
      };
    }),
    roles: mergedRoles(rows, isRow(roles) ? roles : {}),
  };
}

function mergedRoles(statuses: readonly Row[], lead: Row): Row {
  const names = new Set(statuses.flatMap(({ roles }) => (isRow(roles) ? Object.keys(roles) : [])));
  return Object.fromEntries(
    [...names].map((name) => {
      const all = statuses.flatMap(({ roles }) => {
        const role = isRow(roles) ? roles[name] : undefined;
        return isRow(role) ? [role] : [];
      });
      const own = isRow(lead[name]) ? lead[name] : (all[0] ?? {});
      const counts = summedCounts.flatMap((key) => (typeof own[key] === 'number' ? [[key, sum(all, key)]] : []));
      const { listeners, trunks } = own;
      return [
        name,
        {
          ...own,
          ...Object.fromEntries(counts),
          ...(Array.isArray(listeners) ? { listeners: mergedListeners(listeners, all) } : {}),
          ...(isRow(trunks) ? { trunks: mergedTrunks(trunks, all) } : {}),
        },
      ];
    }),
  );
}

const summedCounts = ['transactions', 'pending', 'calls', 'commandsUnderWay', 'commandsWaiting'];

/** All bind the same, in the same order; connections are each one's own. */
const mergedListeners = (listeners: readonly unknown[], roles: readonly Row[]): readonly unknown[] =>
  listeners.map((listener, index) =>
    isRow(listener)
      ? {
          ...listener,
          connections: sum(
            roles.flatMap(({ listeners: each }) => {
              const same: unknown = Array.isArray(each) ? each[index] : undefined;
              return isRow(same) ? [same] : [];
            }),
            'connections',
          ),
        }
      : listener,
  );

/** Calls go out of every worker; one of them registers. */
const mergedTrunks = (trunks: Row, roles: readonly Row[]): Row =>
  Object.fromEntries(
    Object.entries(trunks).map(([name, trunk]) => {
      const all = roles.flatMap(({ trunks: each }) => {
        const same = isRow(each) ? each[name] : undefined;
        return isRow(same) ? [same] : [];
      });
      const counts = ['calls', 'answered', 'settingUp'].map((key) => [key, sum(all, key)]);
      return [name, isRow(trunk) ? { ...trunk, ...Object.fromEntries(counts) } : trunk];
    }),
  );

const sum = (rows: readonly Row[], name: string): number =>
  rows.reduce((total, row) => total + (typeof row[name] === 'number' ? row[name] : 0), 0);
