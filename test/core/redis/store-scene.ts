/** Members on one fake store, in a time that stands still until a test moves it. */
import { type Clock, Metrics, silentLog } from '../../../src/internal.ts';
import { type RedisLocationOptions, RedisLocations } from '../../../src/location/redis/redis-locations.ts';
import { createServers } from '../../../src/location/redis/servers.ts';
import { type Connector, type StoreConnection, StoreLost } from '../../../src/location/redis/store-connection.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { FakeStore } from './fake-store.ts';

export class StoreScene {
  readonly clock = new FakeClock();
  readonly store = new FakeStore(this.clock);
  readonly members: RedisLocations[] = [];
  readonly random = seededRandom(7);

  async member(more: Partial<RedisLocationOptions> = {}): Promise<RedisLocations> {
    const member = redisOn(this.store, this.clock, { random: this.random, ...more });
    this.members.push(member);
    await this.settled(member.open());
    return member;
  }

  /** A member that can be killed: nothing of it reaches the store any more, and nobody closes anything. */
  async mortal(
    more: Partial<RedisLocationOptions> = {},
  ): Promise<{ readonly member: RedisLocations; readonly kill: () => void }> {
    const open = new Set<StoreConnection>();
    let isDead = false;
    const connect: Connector = async (server, to) => {
      const connection = isDead ? undefined : await this.store.connect(server, to);
      if (connection === undefined || isDead) throw new StoreLost('it is dead');
      open.add(connection);
      return connection;
    };
    const member = await this.member({ ...more, connect });
    const kill = (): void => {
      isDead = true;
      for (const connection of open) connection.close();
      this.members.splice(this.members.indexOf(member), 1);
    };
    return { member, kill };
  }

  /** Time passes until the promise settles. */
  async settled<T>(work: Promise<T>): Promise<T> {
    let isSettled = false;
    const done = (): void => {
      isSettled = true;
    };
    work.then(done, done);
    for (let turn = 0; turn < 10_000 && !isSettled; turn += 1) await this.clock.advanceAsync(1);
    return work;
  }

  async pass(ms: number): Promise<void> {
    for (let passed = 0; passed < ms; passed += 10) await this.clock.advanceAsync(Math.min(10, ms - passed));
  }

  async end(): Promise<void> {
    for (const member of this.members) await this.settled(member.close());
  }
}

export function redisOn(store: FakeStore, clock: Clock, more: Partial<RedisLocationOptions> = {}): RedisLocations {
  const server = { host: '192.0.2.1', port: 6_379 };
  const address = {
    kind: 'single',
    secure: false,
    servers: [server],
    master: '',
    database: 0,
  } as const;
  return new RedisLocations({
    clock,
    log: silentLog,
    metrics: new Metrics(),
    random: seededRandom(1),
    servers: createServers(address, store.connect),
    connect: store.connect,
    name: 'redis://192.0.2.1',
    ...more,
  });
}
