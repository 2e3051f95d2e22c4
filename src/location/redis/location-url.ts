/**
 * What `location: redis…` says: which servers, how they are found, and who we are to them.
 *
 *     redis://[user:password@]host[:port][/database]               one server
 *     redis+sentinel://[user:password@]host[:port],…/master        Sentinels, which name the server
 *     redis+cluster://[user:password@]host[:port],…                a Cluster
 *     rediss…                                                      the same by TLS
 */
import type { SocketAddress } from '../../signaling/controller-address.ts';

export interface StoreAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster';
  readonly secure: boolean;
  /** The server, the Sentinels, or members of the Cluster to ask for the others. */
  readonly servers: readonly SocketAddress[];
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** The name that Sentinels know the server by. */
  readonly master: string;
  readonly database: number;
}

/** Is this meant for a Redis store? */
export const isRedisLocation = (text: string): boolean => /^rediss?(\+|:)/.test(text);

/** Undefined: it cannot be read. */
export function readStoreAddress(text: string): StoreAddress | undefined {
  const { scheme, kind, credentials, hosts, path } = form.exec(text)?.groups ?? {};
  if (scheme === undefined || hosts === undefined) return undefined;
  const { username, password } = readCredentials(credentials);
  const what = kind === 'sentinel' || kind === 'cluster' ? kind : 'single';
  const servers = hosts.split(',').map((host) => readServer(host, what === 'sentinel' ? 26_379 : 6_379));
  const known = servers.filter((server) => server !== undefined);
  if (known.length < servers.length || (what === 'single' && known.length > 1)) return undefined;
  const [first = '', second] = (path ?? '').split('/');
  const numbered = what === 'sentinel' ? second : first;
  if (what === 'sentinel' ? first === '' : second !== undefined) return undefined;
  const database = numbered === undefined || numbered === '' ? 0 : Number(numbered);
  if (!Number.isInteger(database) || database < 0 || database > 65_535 || (what === 'cluster' && database > 0))
    return undefined;
  return {
    kind: what,
    secure: scheme === 'rediss',
    servers: known,
    username,
    password,
    master: what === 'sentinel' ? decoded(first) : '',
    database,
  };
}

export const storeForms =
  'write redis://HOST[:PORT][/DATABASE], redis+sentinel://HOST[:PORT],…/MASTER or redis+cluster://HOST[:PORT],…, rediss for TLS';

/** The same without user and password: for logs, status and complaints. Of any text, for it may be misspelt. */
export const withoutCredentials = (text: string): string => text.replace(/\/\/.*@/s, '//');

const form =
  /^(?<scheme>rediss?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<credentials>[^/?#]*)@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[^?#@]*))?$/;

function readCredentials(text: string | undefined): { readonly username?: string; readonly password?: string } {
  if (text === undefined || text === '') return {};
  const at = text.indexOf(':');
  const username = decoded(at < 0 ? text : text.slice(0, at));
  return {
    ...(username === '' ? {} : { username }),
    ...(at < 0 ? {} : { password: decoded(text.slice(at + 1)) }),
  };
}

function readServer(text: string, defaultPort: number): SocketAddress | undefined {
  const found = /^(?:\[(?<six>[0-9a-f:.]+)\]|(?<name>[a-z0-9._-]+))(?::(?<port>[0-9]{1,5}))?$/i.exec(text)?.groups;
  const host = found?.['six'] ?? found?.['name'];
  const port = found?.['port'] === undefined ? defaultPort : Number(found['port']);
  return host === undefined || port === 0 || port > 65_535 ? undefined : { host, port };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
