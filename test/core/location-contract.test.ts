/** The contract of location services, of memory, sqlite and the mirror of a Redis store. The store itself is in test/interop/redis.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metrics, silentLog } from '../../src/internal.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { SqliteLocations } from '../../src/location/sqlite.ts';
import { examineLocationService } from '../contract/location-service.contract.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { FakeStore } from './redis/fake-store.ts';
import { redisOn } from './redis/store-scene.ts';

examineLocationService({
  name: 'memory',
  stores: false,
  bench() {
    const clock = new FakeClock();
    return Promise.resolve({
      clock,
      async open(options) {
        const service = new MemoryLocations({ clock, ...options });
        await service.open();
        return service;
      },
      pass: (ms) => clock.advanceAsync(ms),
      end: () => Promise.resolve(),
    });
  },
});

examineLocationService({
  name: 'sqlite',
  stores: true,
  bench() {
    const clock = new FakeClock();
    const directory = mkdtempSync(join(tmpdir(), 'altpath-contract-'));
    const parts = { path: join(directory, 'location.db'), clock, log: silentLog };
    return Promise.resolve({
      clock,
      async open(options) {
        const service = new SqliteLocations({ ...parts, metrics: new Metrics(), ...options });
        await service.open();
        return service;
      },
      pass: (ms) => clock.advanceAsync(ms),
      end: () => Promise.resolve(rmSync(directory, { recursive: true, force: true })),
    });
  },
});

examineLocationService({
  name: 'redis (the mirror)',
  stores: true,
  bench() {
    const clock = new FakeClock();
    const store = new FakeStore(clock);
    const random = seededRandom(3);
    return Promise.resolve({
      clock,
      async open(options) {
        const service = redisOn(store, clock, { random, ...options });
        await service.open();
        return service;
      },
      pass: (ms) => clock.advanceAsync(ms),
      end: () => Promise.resolve(),
    });
  },
});
