/** The location service beside real Sentinels that make another server the master, and beside a real Cluster whose slots move. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { type LocationService, Metrics, silentLog, systemClock } from '../../src/internal.ts';
import { examineStore } from '../../src/location/redis/examine-store.ts';
import { openRedis } from '../../src/location/redis/open-redis.ts';
import { shardOf, slotOf } from '../../src/location/redis/shards.ts';
import { contactAt } from '../contract/location-service.contract.ts';
import { stopAll } from './support/child.ts';
import { missing } from './support/programs.ts';
import { RedisCluster, SentinelTrio } from './support/redis.ts';
import { RegisterLoad } from './support/register-load.ts';
import { until } from './support/until.ts';

const absent = missing('redis-server');
const title = (text: string): string => `${text}${absent === undefined ? '' : ` (${absent})`}`;

let opened: LocationService[] = [];

async function open(url: string): Promise<LocationService> {
  const service = openRedis(url, { clock: systemClock, log: silentLog, metrics: new Metrics() });
  opened.push(service);
  await service.open();
  return service;
}

afterEach(async () => {
  await Promise.all(opened.map((service) => service.close()));
  opened = [];
  await stopAll();
});

const agreed = (members: readonly LocationService[], records: number): Promise<true> =>
  until('the members agree', 60_000, () =>
    members.every((member) => {
      const { state, waiting } = member.status?.() ?? {};
      return state === 'stored' && waiting === 0 && member.size === records;
    }),
  );

describe.skipIf(absent)(title('three Sentinels'), () => {
  it('kill -9 of the master under load, twice: nothing that was acknowledged is lost, whoever is the master', async () => {
    const trio = await SentinelTrio.start();
    const members = [await open(trio.url), await open(trio.url)];
    const load = new RegisterLoad(members);
    load.begin();
    await load.until(200);
    const first = await trio.master();
    await first.kill();
    const second = await trio.master();
    expect(second).not.toBe(first);
    await load.until(600);
    await first.start();
    await until('the first is a replica in step', 60_000, async () =>
      /role:slave[\s\S]*master_link_status:up/.test(String(await first.run('INFO', 'replication').catch(() => ''))),
    );
    await load.until(800);
    await second.kill();
    expect(await trio.master()).toBe(first);
    await load.until(1_000);
    const acknowledged = await load.end();
    expect(load.refused).toEqual([]);
    await agreed(members, acknowledged.length);
    const late = await open(trio.url);
    expect(late.size).toBe(acknowledged.length);
  }, 240_000);

  it('no quorum: nobody waits for a master that nobody names, and registrations go on', async () => {
    const trio = await SentinelTrio.start();
    const member = await open(trio.url);
    const [, ...others] = trio.sentinels;
    await Promise.all(others.map((sentinel) => sentinel.kill()));
    await (await trio.master()).kill();
    await until('it is away', 10_000, () => member.status?.()['state'] === 'away');
    const startedMs = performance.now();
    for (let user = 0; user < 50; user += 1)
      await member.save(`${user}@example.com`, [contactAt(systemClock, 'x', { callId: 'c', cseq: user })]);
    // Each would have waited for 50 ms at least, had it waited.
    expect(performance.now() - startedMs).toBeLessThan(1_500);
    expect(member.size).toBe(50);
  }, 120_000);

  it('is seen by the doctor: who answers, and which replica could not take over', async () => {
    const trio = await SentinelTrio.start();
    const found = await examineStore(trio.url, systemClock, {});
    expect(found?.map(({ verdict }) => verdict)).toContain('ok');
    const [master, replica] = trio.servers;
    await replica?.kill();
    const later = await examineStore(trio.url, systemClock, {});
    expect(later?.some(({ verdict, text }) => verdict === 'wrong' && text.includes('replica-announce-ip'))).toBe(true);
    await master?.kill();
    expect(await examineStore(trio.url, systemClock, {})).toMatchObject([{ verdict: 'wrong' }]);
    expect(await examineStore('memory', systemClock, {})).toBeUndefined();
  }, 120_000);
});

describe.skipIf(absent)(title('a Cluster of three masters'), () => {
  it('a slot moves under load (MOVED, ASK, TRYAGAIN): nothing is lost, and the feed goes on', async () => {
    const cluster = await RedisCluster.start();
    const members = [await open(cluster.url), await open(cluster.url)];
    const load = new RegisterLoad(members);
    load.begin();
    await load.until(200);
    const moved = [1, 2, 3, shardOf('moved@example.com')];
    for (const shard of moved) await cluster.move(slotOf(shard), () => pause(200));
    await load.until(600);
    const acknowledged = await load.end();
    expect(load.refused).toEqual([]);
    await agreed(members, acknowledged.length);
    const [one, other] = members;
    await one?.save('moved@example.com', [contactAt(systemClock, 'x')]);
    await until('the other hears of it', 10_000, () => other?.lookup('moved@example.com').length === 1);
    const late = await open(cluster.url);
    await until('all is read', 20_000, () => late.size === acknowledged.length + 1);
  }, 240_000);

  it('one master dies and comes back: its part waits in memory, the other parts are stored meanwhile', async () => {
    const cluster = await RedisCluster.start();
    const members = [await open(cluster.url), await open(cluster.url)];
    const load = new RegisterLoad(members);
    load.begin();
    await load.until(200);
    const [, second] = cluster.servers;
    await second?.kill();
    await load.until(600);
    await second?.start();
    await load.until(800);
    const acknowledged = await load.end();
    expect(load.refused).toEqual([]);
    await agreed(members, acknowledged.length);
  }, 240_000);
});
