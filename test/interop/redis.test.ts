/** The location service beside Debian's redis-server: the contract, and everything that befalls a server. */
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LocationService, Metrics, silentLog, systemClock } from '../../src/internal.ts';
import { openRedis, type RedisSettings } from '../../src/location/redis/open-redis.ts';
import { recordKey, shardOf } from '../../src/location/redis/shards.ts';
import { contactAt, examineLocationService } from '../contract/location-service.contract.ts';
import { logLines } from '../support/log-lines.ts';
import { makeCertificate } from './support/certificate.ts';
import { stopAll } from './support/child.ts';
import { missing } from './support/programs.ts';
import { RedisServer } from './support/redis.ts';
import { RegisterLoad } from './support/register-load.ts';
import { until } from './support/until.ts';

const absent = missing('redis-server');
const title = (text: string): string => `${text}${absent === undefined ? '' : ` (${absent})`}`;

if (absent !== undefined) console.warn(`NOT EXAMINED on a real store: ${absent}`);

let opened: LocationService[] = [];

async function open(url: string, redis: RedisSettings = {}, log = silentLog): Promise<LocationService> {
  const service = openRedis(url, { clock: systemClock, log, metrics: new Metrics(), redis });
  opened.push(service);
  await service.open();
  return service;
}

afterEach(async () => {
  await Promise.all(opened.map((service) => service.close()));
  opened = [];
});

describe.skipIf(absent)(title('redis-server'), () => {
  let server: RedisServer;

  beforeAll(async () => {
    server = await RedisServer.start();
  });

  afterAll(stopAll);

  examineLocationService({
    name: 'redis',
    stores: true,
    async bench() {
      await server.run('FLUSHALL');
      return {
        clock: systemClock,
        async open(options) {
          const parts = { clock: systemClock, log: silentLog, metrics: new Metrics(), ...options };
          const service = openRedis(server.url, parts);
          await service.open();
          return service;
        },
        pass: (ms) => pause(ms),
        end: () => Promise.resolve(),
      };
    },
  });

  it('lets a user with the rights of docs/redis.md do all that is needed', async () => {
    await server.run('FLUSHALL');
    const rights = '+@read +@write +@scripting +@connection +time +role +cluster|slots -@dangerous +config|get'.split(
      ' ',
    );
    await server.run('ACL', 'SETUSER', 'altpath', 'reset', 'on', '>a-word', '~altpath:*', ...rights);
    const service = await open(server.url.replace('//', '//altpath:a-word@'));
    await service.save('a@example.com', [contactAt(systemClock, 'x')]);
    expect(service.status?.()).toMatchObject({ state: 'stored' });
    const { log, lines } = logLines();
    const wrong = open(server.url, { username: 'altpath', password: 'not-the-word' }, log);
    await expect(wrong).rejects.toThrow(/refuses this user: WRONGPASS/);
    expect(JSON.stringify(lines)).not.toContain('not-the-word');
    // Changed while we run: away, not ended, and nothing shows it.
    await server.run('ACL', 'SETUSER', 'altpath', 'resetpass', '>another-word');
    await server.run('CLIENT', 'KILL', 'USER', 'altpath');
    await until('it is refused', 10_000, () => /WRONGPASS/.test(String(service.status?.()['reason'])));
    await service.save('b@example.com', [contactAt(systemClock, 'x')]);
    expect(service.lookup('b@example.com')).toHaveLength(1);
  });

  it('a full server (maxmemory, noeviction) costs nobody his registration', async () => {
    await server.run('FLUSHALL');
    const service = await open(server.url);
    await server.run('CONFIG', 'SET', 'maxmemory', '1');
    await service.save('a@example.com', [contactAt(systemClock, 'x')]);
    expect(String(service.status?.()['reason'])).toMatch(/^OOM/);
    await server.run('CONFIG', 'SET', 'maxmemory', '0');
    const key = recordKey(shardOf('a@example.com'), 'a@example.com');
    await until('it is stored', 10_000, async () => (await server.run('EXISTS', key)) === 1);
  });
});

describe.skipIf(absent)(title('two members under load, 400 registrations a second'), () => {
  let server: RedisServer;
  let members: LocationService[];

  afterEach(stopAll);

  const begin = async (keeps: boolean): Promise<RegisterLoad> => {
    server = await RedisServer.start({ keeps });
    members = [await open(server.url), await open(server.url)];
    return new RegisterLoad(members);
  };
  const inStore = async (record: string): Promise<boolean> =>
    (await server.run('EXISTS', recordKey(shardOf(record), record))) === 1;

  it.each([
    ['kill -9, back with what it had', true, () => server.kill(), () => server.start()],
    ['kill -9, back with nothing', false, () => server.kill(), () => server.start()],
    ['FLUSHALL', true, () => server.run('FLUSHALL'), () => Promise.resolve()],
    [
      'stopped while its connections stand',
      true,
      () => Promise.resolve(server.freeze()),
      () => Promise.resolve(server.thaw()),
    ],
    [
      'its clients cut off again and again',
      true,
      async () => {
        for (let turn = 0; turn < 10; turn += 1) {
          await server.run('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
          await pause(50);
        }
      },
      () => Promise.resolve(),
    ],
    ['the scripts forgotten', true, () => server.run('SCRIPT', 'FLUSH'), () => Promise.resolve()],
  ] as const)('%s: nothing that was acknowledged is lost, and both know all', async (_, keeps, hurt, heal) => {
    const load = await begin(keeps);
    load.begin();
    await load.until(200);
    await hurt();
    await load.until(600);
    await heal();
    await load.until(900);
    const acknowledged = await load.end();
    await until('both stores and memories agree', 30_000, () =>
      members.every((member) => {
        const { state, waiting } = member.status?.() ?? {};
        return state === 'stored' && waiting === 0 && member.size === acknowledged.length;
      }),
    );
    const missingRecords: string[] = [];
    for (const record of acknowledged) if (!(await inStore(record))) missingRecords.push(record);
    expect(missingRecords).toEqual([]);
    expect(load.refused).toEqual([]);
    const late = await open(server.url);
    expect(late.size).toBe(acknowledged.length);
  });
});

const withoutTls = absent ?? missing('openssl');

describe.skipIf(withoutTls)(`rediss${withoutTls === undefined ? '' : ` (${withoutTls})`}`, () => {
  afterEach(stopAll);

  it('shows who it is to whom the operator trusts, and to nobody else', async () => {
    const { certFile, keyFile } = makeCertificate('127.0.0.1');
    const plain = await RedisServer.start();
    const port = plain.port + 1;
    const tls = ['tls-auth-clients yes', `tls-ca-cert-file ${certFile}`];
    const server = await RedisServer.start({
      settings: [`tls-port ${port}`, `tls-cert-file ${certFile}`, `tls-key-file ${keyFile}`, ...tls],
    });
    expect(execFileSync('redis-server', ['--version'], { encoding: 'utf8' })).toContain('Redis');
    const url = `rediss://127.0.0.1:${port}`;
    const service = await open(url, { caFile: certFile, certFile, keyFile });
    await service.save('a@example.com', [contactAt(systemClock, 'x')]);
    expect(service.status?.()).toMatchObject({ state: 'stored' });
    expect(await server.run('DBSIZE')).toBeGreaterThan(0);
    const stranger = await open(url);
    expect(stranger.status?.()).toMatchObject({ state: 'away', reason: expect.stringMatching(/certificate/) });
  });
});
