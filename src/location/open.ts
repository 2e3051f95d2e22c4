/** From the operator's words to a location service: `memory`, `sqlite:PATH` or `redis://…`. */
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { getHeapStatistics } from 'node:v8';
import type { Clock } from '../clock.ts';
import { ConfigError, FileError } from '../errors.ts';
import type { LocationService } from '../location-service.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { SharedLocations } from '../workers/shared-locations.ts';
import type { WorkerGroup } from '../workers/worker-group.ts';
import { MemoryLocations } from './memory.ts';
import { isRedisLocation, withoutCredentials } from './redis/location-url.ts';
import { openRedis, type RedisSettings } from './redis/open-redis.ts';
import { SqliteLocations } from './sqlite.ts';

export interface LocationParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly maxRecords?: number | undefined;
  /** Half of the heap where nothing is said: whoever may register must not be able to end the process. */
  readonly maxOctets?: number | undefined;
  /** How a Redis store is used, and by whom. */
  readonly redis?: RedisSettings | undefined;
}

/**
 * Makes the service; its `open()` loads what was stored. The directory of a store is created.
 * @throws ConfigError for words that name no driver, FileError where the directory cannot be made.
 */
export function openLocation(spec: string, parts: LocationParts, workers?: WorkerGroup): LocationService {
  const redis = workers === undefined ? parts.redis : ofWorker(parts.redis, workers.index);
  const inner = makeLocation(spec, { maxOctets: getHeapStatistics().heap_size_limit / 2, ...parts, redis });
  // Other stores are shared as they are.
  const service =
    workers !== undefined && spec === 'memory' ? new SharedLocations({ ...parts, inner, workers }) : inner;
  parts.metrics.gauge('location_records', 'Addresses of record and numbers with contacts', () => service.size);
  return service;
}

/** A journal is one process's. The first worker has the one that a process alone would have. */
const ofWorker = (redis: RedisSettings | undefined, index: number): RedisSettings | undefined =>
  redis?.journal === undefined || index === 1 ? redis : { ...redis, journal: `${redis.journal}.${index}` };

function makeLocation(spec: string, parts: LocationParts): LocationService {
  if (spec === 'memory') return new MemoryLocations(parts);
  if (isRedisLocation(spec)) return openRedis(spec, parts);
  const path = spec.startsWith('sqlite:') ? spec.slice('sqlite:'.length) : '';
  if (path === '')
    throw new ConfigError(
      `"${withoutCredentials(spec)}" is no location store: write memory, sqlite:PATH, for example sqlite:data/location.db, or redis://HOST`,
    );
  const file = resolve(path);
  try {
    mkdirSync(dirname(file), { recursive: true });
  } catch (error) {
    throw new FileError(`directory ${dirname(file)} of the location store cannot be created: ${String(error)}`, {
      cause: error,
    });
  }
  return new SqliteLocations({ ...parts, path: file });
}
