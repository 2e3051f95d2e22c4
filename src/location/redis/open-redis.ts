/** A Redis location service by the operator's words. */
import type { Clock } from '../../clock.ts';
import { ConfigError } from '../../errors.ts';
import type { LocationService } from '../../location-service.ts';
import type { Logger } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import { systemRandom } from '../../random.ts';
import { clientConnector } from './client.ts';
import { WriteJournal } from './journal.ts';
import { readStoreAddress, type StoreAddress, storeForms, withoutCredentials } from './location-url.ts';
import { RedisLocations } from './redis-locations.ts';
import { createServers } from './servers.ts';
import type { Connector } from './store-connection.ts';

/** The section `redis` of the configuration. */
export interface RedisSettings {
  readonly ack?: 'store' | 'memory' | undefined;
  /** A file for what is acknowledged while the store is away. */
  readonly journal?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly sentinelUsername?: string | undefined;
  readonly sentinelPassword?: string | undefined;
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

export interface RedisParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly maxRecords?: number | undefined;
  readonly maxOctets?: number | undefined;
  readonly redis?: RedisSettings | undefined;
}

/** @throws ConfigError for words that name no store, FileError for files of TLS that cannot be read. */
export function openRedis(text: string, parts: RedisParts): LocationService {
  const { address, connect } = redisAccess(text, parts.clock, parts.redis);
  return new RedisLocations({
    ...parts,
    random: systemRandom,
    servers: createServers(address, connect),
    connect,
    name: withoutCredentials(text),
    ack: parts.redis?.ack,
    journal: parts.redis?.journal === undefined ? undefined : new WriteJournal(parts.redis.journal, parts.log),
  });
}

/** @throws as `openRedis`. */
export function redisAccess(
  text: string,
  clock: Clock,
  settings: RedisSettings = {},
): { readonly address: StoreAddress; readonly connect: Connector } {
  const address = readStoreAddress(text);
  if (address === undefined) throw new ConfigError(`"${withoutCredentials(text)}" is no Redis store: ${storeForms}`);
  const { username = address.username, password = address.password } = settings;
  const connect = clientConnector({ ...settings, clock, username, password, ...pick(address) });
  return { address, connect };
}

const pick = ({ secure, database }: StoreAddress): Pick<StoreAddress, 'secure' | 'database'> => ({ secure, database });
