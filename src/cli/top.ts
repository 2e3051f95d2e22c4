/** `altpath top`: what a running altpath does, drawn anew every second. */
import { askAdmin, followAdmin } from '../admin-client.ts';
import { type AdminFlags, adminTarget } from './admin-target.ts';
import { callTable } from './call-table.ts';
import { duration, readable } from './readable.ts';
import { isRow, type Row, table } from './table.ts';

export interface TopFlags extends AdminFlags {
  /** One picture, then the end. */
  readonly once: boolean;
}

/** Draws until it is interrupted. @throws AltpathError (rejects) with a sentence for the operator. */
export async function top(flags: TopFlags, draw: (screen: string) => void): Promise<void> {
  const target = adminTarget(flags);
  let cluster: Row = {};
  for await (const { kind, data } of followAdmin(target.address, '/events?kinds=figures,cluster', target)) {
    if (!isRow(data)) continue;
    if (kind === 'cluster') cluster = data;
    if (kind !== 'figures') continue;
    const [status, open, failed] = await Promise.all(
      ['/status', '/calls?limit=15', '/calls?failed=1&limit=8'].map((path) => askAdmin(target.address, path, target)),
    );
    draw(picture(isRow(status) ? status : {}, data, cluster, rowsOf(open), rowsOf(failed), Date.now()));
    if (flags.once) return;
  }
}

const rowsOf = (answer: unknown): readonly Row[] =>
  isRow(answer) && Array.isArray(answer['items']) ? answer['items'].filter(isRow) : [];

/** One screen. */
export function picture(
  status: Row,
  figures: Row,
  cluster: Row,
  open: readonly Row[],
  failed: readonly Row[],
  nowMs: number,
): string {
  const members = Array.isArray(cluster['members']) ? cluster['members'].filter(isRow) : [];
  const takeovers = Array.isArray(cluster['takeovers']) ? cluster['takeovers'].filter(isRow) : [];
  const word = (name: string): string => String(figures[name] ?? 0);
  const uptime = status['uptimeSeconds'];
  const memory = figures['memoryBytes'];
  return [
    [
      `altpath ${String(status['version'] ?? '')}`,
      String(status['node'] ?? ''),
      String(cluster['state'] ?? status['state'] ?? ''),
      typeof uptime === 'number' ? `up ${duration(uptime * 1_000)}` : '',
      typeof memory === 'number' ? `${Math.round(memory / 1_048_576)} MB` : '',
    ]
      .filter((text) => text !== '')
      .join('  '),
    `calls ${word('callsOpen')}   begun ${word('begunPerSecond')}/s   answered ${word('answeredPerSecond')}/s   failed ${word('failedPerSecond')}/s   messages ${word('messagesPerSecond')}/s`,
    ...block(
      'standing in for',
      takeovers.map((row) => readable(row, nowMs)),
      ['protocol', 'partner', 'since', 'messages', 'calls'],
    ),
    ...block(
      'members and hops',
      members.map((row) => readable(row, nowMs)),
      ['protocol', 'address', 'state', 'health', 'failure', 'last heard'],
    ),
    ...(open.length === 0 ? [] : ['', 'calls under way', callTable(open, 'open', nowMs)]),
    ...(failed.length === 0 ? [] : ['', 'last failed', callTable(failed, 'failed', nowMs)]),
  ].join('\n');
}

const block = (title: string, rows: readonly Row[], columns: readonly string[]): readonly string[] =>
  rows.length === 0 ? [] : ['', title, table(rows, columns)];
