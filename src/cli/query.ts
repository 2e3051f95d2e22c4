/** Commands that ask a running altpath over its admin server: status, calls, peers, reg, drain. */
import { setTimeout as pause } from 'node:timers/promises';
import { askAdmin } from '../admin-client.ts';
import { AltpathError } from '../errors.ts';
import { type AdminFlags, type AdminTarget, adminTarget } from './admin-target.ts';
import { type CallList, callTable } from './call-table.ts';
import { readable } from './readable.ts';
import { isRow, outline, type Row, table } from './table.ts';

export interface QueryFlags extends AdminFlags {
  readonly json: boolean;
  /** Rows to show at most; 0: all. */
  readonly limit: number;
  /** Of calls: those under way, the last that ended, or the last that failed. */
  readonly list?: CallList | undefined;
}

export type Query = 'status' | 'calls' | 'peers' | 'reg';

/** The text to print. @throws AltpathError (rejects) with a sentence for the operator. */
export async function query(what: Query, flags: QueryFlags, nowMs: number, record?: string): Promise<string> {
  const target = adminTarget(flags);
  if (what === 'status') {
    const status = await askAdmin(target.address, '/status', target);
    if (!isRow(status)) throw noSense();
    return flags.json ? JSON.stringify(status, undefined, 2) : outline(readable(status, nowMs));
  }
  const path = what === 'reg' ? 'registrations' : what;
  const list = flags.list ?? 'open';
  const { total, rows } = await fetchRows(
    target,
    path,
    flags.limit === 0 ? Number.POSITIVE_INFINITY : flags.limit,
    what === 'calls' ? callFilter(list, record) : record === undefined ? {} : { record },
  );
  if (flags.json) return JSON.stringify(rows, undefined, 2);
  const noun =
    what === 'reg'
      ? 'contacts'
      : what === 'calls' && list !== 'open'
        ? `calls ${list === 'failed' ? 'have failed' : 'have ended'}`
        : what;
  if (total === 0) return `no ${noun}`;
  const shown =
    what === 'reg'
      ? table(
          rows.map((row) => registration(row, nowMs)),
          registrationColumns,
        )
      : what === 'calls' && rows.every(({ id }) => typeof id === 'string')
        ? callTable(rows, list, nowMs)
        : readableTable(rows, nowMs);
  return rows.length < total ? `${shown}\n${rows.length} of ${total} ${noun} (more with --limit)` : shown;
}

/** `waitSeconds`: returns once the process is gone, for whoever would end it by force afterwards. */
export async function drain(flags: QueryFlags, waitSeconds = 0): Promise<string> {
  const { address, token } = adminTarget(flags);
  if (waitSeconds > 0 && !isLoopback(address.host))
    throw new AltpathError('ERR_USAGE', '--wait: only for an altpath on this machine, by its loopback address');
  const status = waitSeconds > 0 ? await askAdmin(address, '/status', { token }) : undefined;
  await askAdmin(address, '/drain', { method: 'POST', token });
  if (status === undefined)
    return flags.json ? JSON.stringify({ draining: true }) : 'draining: new work goes to the backup; it ends by itself';
  const pid = isRow(status) ? status['pid'] : undefined;
  if (typeof pid !== 'number') throw noSense();
  const untilMs = performance.now() + waitSeconds * 1_000;
  while (isRunning(pid)) {
    if (performance.now() > untilMs)
      throw new AltpathError('ERR_ADMIN', `it drains still after ${waitSeconds} s (process ${pid})`);
    await pause(pollMs);
  }
  return flags.json ? JSON.stringify({ drained: true }) : 'drained: it has ended';
}

const isLoopback = (host: string): boolean => host === '::1' || host.startsWith('127.');

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // Another user's process lives, too.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function fetchRows(
  { address, token }: AdminTarget,
  path: string,
  limit: number,
  filter: Readonly<Record<string, string>>,
): Promise<{ total: number; rows: readonly Row[] }> {
  const rows: Row[] = [];
  for (;;) {
    const search = new URLSearchParams({
      offset: String(rows.length),
      limit: String(Math.min(pageSize, limit - rows.length)),
    });
    for (const [name, value] of Object.entries(filter)) search.set(name, value);
    const page = await askAdmin(address, `/${path}?${search}`, { token });
    if (!isRow(page) || !Array.isArray(page['items']) || typeof page['total'] !== 'number') throw noSense();
    rows.push(...page['items'].filter(isRow));
    const total = page['total'];
    if (page['items'].length === 0 || rows.length >= Math.min(total, limit)) return { total, rows };
  }
}

function registration(row: Row, nowMs: number): Row {
  const expires = row['expiresMs'];
  const alternates = Array.isArray(row['alternates']) ? row['alternates'].filter(isRow) : [];
  return {
    record: row['record'],
    contact: row['target'],
    expires: typeof expires === 'number' ? `${Math.max(0, Math.round((expires - nowMs) / 1_000))} s` : 'never',
    q: typeof row['q'] === 'number' && row['q'] !== 1_000 ? row['q'] / 1_000 : undefined,
    via: isRow(row['address']) ? addressText(row['address']) : undefined,
    path: row['path'],
    alternates: alternates.map(addressText),
    instance: row['instance'],
    'user agent': row['userAgent'],
  };
}

const registrationColumns = [
  'record',
  'contact',
  'expires',
  'q',
  'via',
  'path',
  'alternates',
  'instance',
  'user agent',
];

const addressText = ({ transport, host, port }: Row): string =>
  `${transport}:${String(host).includes(':') ? `[${host}]` : host}:${port}`;

const callFilter = (list: CallList, about: string | undefined): Readonly<Record<string, string>> => ({
  ...(list === 'open' ? {} : { [list]: '1' }),
  ...(about === undefined ? {} : { about }),
});

function readableTable(rows: readonly Row[], nowMs: number): string {
  const shown = rows.map((row) => readable(row, nowMs));
  return table(shown, columnsOf(shown));
}

const columnsOf = (rows: readonly Row[]): readonly string[] => [...new Set(rows.flatMap((row) => Object.keys(row)))];

const noSense = (): AltpathError =>
  new AltpathError('ERR_ADMIN', 'the answer makes no sense: another version of altpath?');

const pageSize = 1_000;

const pollMs = 100;
