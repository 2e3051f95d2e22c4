/** `altpath doctor` on a Redis store: can it be reached as configured, is it set up as it should be, and do its Sentinels tell usable addresses? */
import type { Clock } from '../../clock.ts';
import { formatSocketAddress } from '../../signaling/controller-address.ts';
import { isRedisLocation, type StoreAddress, withoutCredentials } from './location-url.ts';
import { type RedisSettings, redisAccess } from './open-redis.ts';
import { createServers } from './servers.ts';
import type { Connector } from './store-connection.ts';
import { unfitness } from './store-fitness.ts';
import { StoreLink } from './store-link.ts';

export interface StoreFinding {
  readonly verdict: 'ok' | 'warning' | 'wrong';
  readonly text: string;
}

/** undefined: the registrations are not in such a store. */
export async function examineStore(
  location: string,
  clock: Clock,
  settings: RedisSettings,
): Promise<readonly StoreFinding[] | undefined> {
  if (!isRedisLocation(location)) return undefined;
  const { address, connect } = redisAccess(location, clock, settings);
  const link = new StoreLink(createServers(address, connect), connect);
  try {
    const connection = await link.reach(0);
    const { reasons } = await unfitness(connection, clock);
    return [
      { verdict: 'ok', text: `${withoutCredentials(location)} answers at ${formatSocketAddress(connection.server)}` },
      ...reasons.map((text): StoreFinding => ({ verdict: 'warning', text })),
      ...(await replicaFindings(address, connect)),
    ];
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return [{ verdict: 'wrong', text: `${withoutCredentials(location)} cannot be used: ${said}` }];
  } finally {
    link.close();
  }
}

/** A replica that tells an address which nobody reaches can never take over. */
async function replicaFindings(address: StoreAddress, connect: Connector): Promise<readonly StoreFinding[]> {
  const [sentinel] = address.servers;
  if (address.kind !== 'sentinel' || sentinel === undefined) return [];
  const connection = await connect(sentinel, 'sentinel');
  try {
    const reply = await connection.send(['SENTINEL', 'REPLICAS', address.master]);
    const replicas = Array.isArray(reply) ? reply : [];
    if (replicas.length === 0) return [{ verdict: 'warning', text: 'the master has no replica: nobody can take over' }];
    return await Promise.all(replicas.map((fields) => replicaFinding(Array.isArray(fields) ? fields : [], connect)));
  } finally {
    connection.close();
  }
}

async function replicaFinding(fields: readonly unknown[], connect: Connector): Promise<StoreFinding> {
  const field = (name: string): string => String(fields[fields.indexOf(name) + 1] ?? '');
  const server = { host: field('ip'), port: Number(field('port')) };
  const about = `replica ${formatSocketAddress(server)}`;
  try {
    (await connect(server, 'store')).close();
    return { verdict: 'ok', text: `${about} can be reached` };
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    return {
      verdict: 'wrong',
      text: `${about} cannot be reached from here (${said}): is its replica-announce-ip an address that clients reach?`,
    };
  }
}
