/** What went wrong where several nodes of others shared a Redis store, tried on two members of ours: each test names the report. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocationService } from '../../../src/internal.ts';
import { recordKey, shardOf } from '../../../src/location/redis/shards.ts';
import { FakeStore } from '../../core/redis/fake-store.ts';
import { redisOn } from '../../core/redis/store-scene.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { TcpPhone } from '../../support/sip-tcp-phone.ts';
import { domain, hosts, SipWorld } from '../../support/sip-world.ts';

const tcp = (host: string) => ({ transport: 'tcp', host, port: 5_060 }) as const;

const members = [hosts.primary, hosts.backup] as const;

class Pair {
  readonly world = new SipWorld();
  readonly store = new FakeStore(this.world.clock);
  readonly locations = new Map<string, LocationService>();
  readonly phones: TcpPhone[] = [];

  async up(): Promise<this> {
    for (const [index, host] of members.entries()) {
      const { clock } = this.world.network.host(host);
      const locations = redisOn(this.store, clock, { random: seededRandom(index + 1) });
      this.locations.set(host, locations);
      const opening = locations.open();
      await this.world.clock.advanceAsync(1_500);
      await opening;
      const others = members.filter((each) => each !== host);
      await this.world.node(host, { config: { domains: [domain] }, locations, backups: others, backupFor: others });
    }
    await this.world.clock.advanceAsync(4_000);
    return this;
  }

  async phone(user: string, at: string, number: number): Promise<TcpPhone> {
    const address = `127.0.4.${number}`;
    const { network } = this.world;
    const phone = new TcpPhone({
      network: network.host(address),
      clock: network.host(address).clock,
      address: tcp(address),
      user,
      domain,
      servers: [tcp(at)],
      // Behind a NAT: nobody reaches it but over its connection.
      listens: false,
      ringMs: 100,
      talkMs: 300,
    });
    this.phones.push(phone);
    await phone.start();
    await this.world.clock.advanceAsync(100);
    return phone;
  }

  stored(user: string): Map<string, string> {
    return this.store.hashes.get(recordKey(shardOf(`${user}@${domain}`), `${user}@${domain}`)) ?? new Map();
  }

  async down(): Promise<void> {
    await Promise.all(this.phones.map((phone) => phone.stop()));
    await this.world.stop();
    const closing = [...this.locations.values()].map((each) => each.close());
    await this.world.clock.advanceAsync(2_000);
    await Promise.all(closing);
  }
}

let pair: Pair;

beforeEach(async () => {
  pair = await new Pair().up();
});

afterEach(() => pair.down());

const live = (values: Iterable<string>): string[] => [...values].filter((value) => !value.endsWith('\n'));

describe('BelledonneCommunications/flexisip#40: caller and callee on different nodes got 503', () => {
  it('a telephone behind NAT on the connection of one is called through the other', async () => {
    await pair.phone('bob', hosts.primary, 1);
    const alice = await pair.phone('alice', hosts.backup, 2);
    for (let turn = 0; turn < 3; turn += 1) {
      const call = alice.call(`sip:bob@${domain}`);
      await pair.world.clock.advanceAsync(2_000);
      expect(call).toMatchObject({ ended: true, complaint: undefined });
    }
    expect(pair.phones.flatMap(({ misdirected }) => misdirected)).toEqual([]);
  });
});

describe("sipwise/rtpengine#2007: after a failover the survivor's delete left the key of the dead node", () => {
  it('what the dead member wrote is removed by the survivor, and the key ends with its tombstone', async () => {
    const bob = await pair.phone('bob', hosts.primary, 1);
    expect(live(pair.stored('bob').values())).toHaveLength(1);
    pair.world.network.crash(hosts.primary);
    await pair.world.clock.advanceAsync(3_000);
    const survivor = pair.locations.get(hosts.backup);
    const record = `bob@${domain}`;
    expect(survivor?.lookup(record)).toHaveLength(1);
    const removing = survivor?.save(record, []);
    await pair.world.clock.advanceAsync(100);
    await removing;
    expect(survivor?.lookup(record)).toEqual([]);
    expect(live(pair.stored('bob').values())).toEqual([]);
    // Nothing of it outlives 64·T1: the script gives the key the time of what lives longest in it.
    const tills = [...pair.stored('bob').values()].map((value) => Number(value.split(' ')[2]));
    expect(Math.max(...tills) - pair.world.clock.wallNow()).toBeLessThanOrEqual(32_000);
    await bob.stop();
  });
});

describe('kamailio/kamailio#2012: cancelled and failed calls stayed in the store', () => {
  it('no call leaves anything there, nor in the memory of the members', async () => {
    const bob = await pair.phone('bob', hosts.primary, 1);
    const alice = await pair.phone('alice', hosts.backup, 2);
    const keys = (): string[] => [...pair.store.hashes.keys(), ...pair.store.strings.keys()].sort();
    const before = keys();
    const changes = (): number => [...pair.store.streams.values()].reduce((sum, stream) => sum + stream.length, 0);
    const changed = changes();
    // One that is answered, one that fails, one whose callee is gone.
    for (const user of ['bob', 'nobody']) alice.call(`sip:${user}@${domain}`);
    await pair.world.clock.advanceAsync(2_000);
    await bob.stop();
    alice.call(`sip:bob@${domain}`);
    await pair.world.clock.advanceAsync(100_000);
    expect(keys()).toEqual(before);
    // The binding of the connection that ended, at most.
    expect(changes() - changed).toBeLessThanOrEqual(1);
    expect(pair.world.transactions(...members)).toBe(0);
  });
});

describe('sipwise/rtpengine#1905: entries of others were deleted', () => {
  it('nothing but our own keys is written, whatever happens', async () => {
    const foreign = new Map([['x', '1']]);
    pair.store.hashes.set('sessions', foreign);
    pair.store.hashes.set(`altpath:{s1}:loc:of-another-shard@${domain}`, foreign);
    pair.store.strings.set('counter', '7');
    const bob = await pair.phone('bob', hosts.primary, 1);
    await bob.stop();
    pair.store.kill();
    await pair.world.clock.advanceAsync(500);
    pair.store.start();
    await pair.world.clock.advanceAsync(5_000);
    for (const { clock } of [pair.world]) await clock.advanceAsync(60_000);
    expect(pair.store.hashes.get('sessions')).toBe(foreign);
    expect(pair.store.hashes.get(`altpath:{s1}:loc:of-another-shard@${domain}`)).toBe(foreign);
    expect([...foreign]).toEqual([['x', '1']]);
    expect(pair.store.strings.get('counter')).toBe('7');
    const writing = pair.store.commands.filter(
      (command) => !/^(GET|HGETALL|XLEN|XRANGE|XREVRANGE|SCAN|TIME|CONFIG|ROLE)( |$)/.test(command),
    );
    expect(
      writing.filter((command) => !/^(SET|HSET|HDEL) altpath:\{s[0-9]+\}:(epoch|members)$|^EVAL(SHA)? /.test(command)),
    ).toEqual([]);
  });
});
