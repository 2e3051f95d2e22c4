/** Commands that ask a running altpath over its admin server: status, calls, peers, reg, drain. */
import { askAdmin } from '../admin-client.ts';
import { coreSchema, defaultAdminPort } from '../config/core-schema.ts';
import { readSource } from '../config/source.ts';
import { AltpathError, ConfigError } from '../errors.ts';
import type { SocketAddress } from '../signaling/controller-address.ts';
import { isRow, outline, type Row, table } from './table.ts';

export interface QueryFlags {
  readonly admin?: string | undefined;
  readonly config?: string | undefined;
  readonly json: boolean;
  /** Rows to show at most; 0: all. */
  readonly limit: number;
}

export type Query = 'status' | 'calls' | 'peers' | 'reg';

/** The text to print. @throws AltpathError (rejects) with a sentence for the operator. */
export async function query(what: Query, flags: QueryFlags, nowMs: number, record?: string): Promise<string> {
  const address = adminAddress(flags);
  if (what === 'status') {
    const status = await askAdmin(address, '/status');
    if (!isRow(status)) throw noSense();
    return flags.json ? JSON.stringify(status, undefined, 2) : outline(status);
  }
  const path = what === 'reg' ? 'registrations' : what;
  const { total, rows } = await fetchRows(
    address,
    path,
    flags.limit === 0 ? Number.POSITIVE_INFINITY : flags.limit,
    record,
  );
  if (flags.json) return JSON.stringify(rows, undefined, 2);
  const noun = what === 'reg' ? 'contacts' : what;
  if (total === 0) return `no ${noun}`;
  const shown =
    what === 'reg'
      ? table(
          rows.map((row) => registration(row, nowMs)),
          registrationColumns,
        )
      : table(rows, columnsOf(rows));
  return rows.length < total ? `${shown}\n${rows.length} of ${total} ${noun} (more with --limit)` : shown;
}

export async function drain(flags: QueryFlags): Promise<string> {
  await askAdmin(adminAddress(flags), '/drain', 'POST');
  return flags.json ? JSON.stringify({ draining: true }) : 'draining: new work goes to the backup; it ends by itself';
}

async function fetchRows(
  address: SocketAddress,
  path: string,
  limit: number,
  record: string | undefined,
): Promise<{ total: number; rows: readonly Row[] }> {
  const rows: Row[] = [];
  for (;;) {
    const search = new URLSearchParams({
      offset: String(rows.length),
      limit: String(Math.min(pageSize, limit - rows.length)),
    });
    if (record !== undefined) search.set('record', record);
    const page = await askAdmin(address, `/${path}?${search}`);
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

const columnsOf = (rows: readonly Row[]): readonly string[] => [...new Set(rows.flatMap((row) => Object.keys(row)))];

/** By flag, else by the file, else where config/default.yaml puts it. */
export function adminAddress({ admin, config }: Pick<QueryFlags, 'admin' | 'config'>): SocketAddress {
  const written = admin ?? (config === undefined ? undefined : adminInFile(config)) ?? `127.0.0.1:${defaultAdminPort}`;
  const parsed = coreSchema.shape.admin.safeParse(written);
  if (!parsed.success) throw new ConfigError(`--admin: ${parsed.error.issues[0]?.message ?? 'no address'}`);
  if (parsed.data === 'off') throw new ConfigError('the admin server is off there: nothing to ask');
  return parsed.data;
}

function adminInFile(file: string): string | undefined {
  const { value } = readSource(file);
  const admin = isRow(value) ? value['admin'] : undefined;
  return typeof admin === 'string' ? admin : undefined;
}

const noSense = (): AltpathError =>
  new AltpathError('ERR_ADMIN', 'the answer makes no sense: another version of altpath?');

const pageSize = 1_000;
