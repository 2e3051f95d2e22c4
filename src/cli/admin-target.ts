/** Which running altpath a command asks, and by which token. */
import { coreSchema, defaultAdminPort } from '../config/core-schema.ts';
import { readSource } from '../config/source.ts';
import { ConfigError } from '../errors.ts';
import type { SocketAddress } from '../signaling/controller-address.ts';
import { isRow } from './table.ts';

export interface AdminTarget {
  readonly address: SocketAddress;
  readonly token: string | undefined;
}

export interface AdminFlags {
  readonly admin: readonly string[];
  readonly config?: string | undefined;
  readonly token?: string | undefined;
}

/** Holds the token, where no flag and no file says it. */
export const tokenVariable = 'ALTPATH_ADMIN_TOKEN';

/** By flag, else by the file, else where config/default.yaml puts it. @throws ConfigError, FileError. */
export function adminTargets({ admin, config, token }: AdminFlags): readonly AdminTarget[] {
  const file = config === undefined ? undefined : coreOf(config);
  const inFile = file?.['admin'];
  const fileToken = file?.['adminToken'];
  const written = admin.length > 0 ? admin : [typeof inFile === 'string' ? inFile : `127.0.0.1:${defaultAdminPort}`];
  const known = token ?? process.env[tokenVariable] ?? (typeof fileToken === 'string' ? fileToken : undefined);
  return written.map((text) => ({ address: addressOf(text), token: known === '' ? undefined : known }));
}

/** The only one, for commands that ask one. */
export function adminTarget(flags: AdminFlags): AdminTarget {
  const [target] = adminTargets(flags);
  if (target === undefined) throw new ConfigError('--admin: no address');
  return target;
}

function addressOf(text: string): SocketAddress {
  const parsed = coreSchema.shape.admin.safeParse(text);
  if (!parsed.success) throw new ConfigError(`--admin: ${parsed.error.issues[0]?.message ?? 'no address'}`);
  if (parsed.data === 'off') throw new ConfigError('the admin server is off there: nothing to ask');
  return parsed.data;
}

function coreOf(file: string): Readonly<Record<string, unknown>> | undefined {
  const { value } = readSource(file);
  return isRow(value) ? value : undefined;
}
