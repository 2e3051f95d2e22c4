/** Debian's redis-server for a test: alone, watched by three Sentinels, or as a Cluster of three masters; each on ports of 127.0.0.0/8. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../../../src/clock.ts';
import { clientConnector } from '../../../src/location/redis/client.ts';
import type { StoreConnection } from '../../../src/location/redis/store-connection.ts';
import { Child } from './child.ts';
import type { LanHost } from './lan.ts';
import { program } from './programs.ts';
import { scratchDirectory } from './scratch.ts';
import { until } from './until.ts';

export interface RedisOptions {
  readonly host?: string;
  readonly port?: number;
  /** Lines of its configuration. */
  readonly settings?: readonly string[];
  /** Does a restart keep what it had? */
  readonly keeps?: boolean;
  readonly isSentinel?: boolean;
  /** The machine that it runs on. */
  readonly on?: LanHost;
}

export class RedisServer {
  readonly host: string;
  readonly port: number;
  readonly #directory = scratchDirectory('redis');
  readonly #file = join(this.#directory, 'redis.conf');
  readonly #options: RedisOptions;
  #child: Child | undefined;
  #admin: StoreConnection | undefined;

  private constructor(options: RedisOptions, port: number) {
    this.#options = options;
    this.host = options.on?.address ?? options.host ?? '127.0.0.1';
    this.port = port;
    const { settings = [], keeps = true, isSentinel = false } = options;
    const own = ['enable-debug-command yes', 'save ""', `appendonly ${keeps ? 'yes' : 'no'}`, 'appendfsync everysec'];
    const lines = [`bind ${this.host}`, `port ${port}`, 'protected-mode no', `dir ${this.#directory}`, 'daemonize no'];
    writeFileSync(this.#file, [...lines, ...(isSentinel ? [] : own), ...settings, ''].join('\n'));
  }

  static async start(options: RedisOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(options, options.port ?? (await freePort()));
    await server.start();
    return server;
  }

  get url(): string {
    return `redis://${this.host}:${this.port}`;
  }

  get address(): string {
    return `${this.host}:${this.port}`;
  }

  async start(): Promise<void> {
    const words = [this.#file, ...(this.#options.isSentinel === true ? ['--sentinel'] : [])];
    const { on } = this.#options;
    mkdirSync(this.#directory, { recursive: true });
    this.#child =
      on === undefined
        ? new Child('redis', program('redis-server'), words)
        : on.start('redis', program('redis-server'), words);
    await this.#child.waitForOutput(/Ready to accept connections|Sentinel ID is/, 15_000);
  }

  async kill(): Promise<void> {
    this.#admin?.close();
    this.#admin = undefined;
    await this.#child?.stop('SIGKILL');
  }

  /** Its connections stand, and it says nothing. */
  freeze(): void {
    process.kill(this.#child?.pid ?? 0, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.#child?.pid ?? 0, 'SIGCONT');
  }

  get output(): string {
    return this.#child?.output ?? '';
  }

  /** As an operator at its prompt. */
  async run(...words: readonly string[]): Promise<unknown> {
    const { on } = this.#options;
    // From that machine itself: nobody else reaches it.
    if (on !== undefined) {
      const text = on.run(program('redis-cli'), '-h', this.host, '-p', String(this.port), ...words).trim();
      return words[0] === 'INFO' ? text : text.split('\n');
    }
    // A server that changes its role ends its connections.
    if (this.#admin?.isOpen !== true)
      this.#admin = await clientConnector({ clock: systemClock, secure: false, database: 0 })(this, 'store');
    return this.#admin.send(words, 10_000);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  // The bus of a Cluster has a port of its own, 10,000 above.
  return address.port > 55_000 ? freePort() : address.port;
}

/** A master, a replica and three Sentinels. */
export class SentinelTrio {
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[], sentinels: readonly RedisServer[]) {
    this.servers = servers;
    this.sentinels = sentinels;
  }

  static async start(
    settings: readonly string[] = [],
    hosts: readonly (LanHost | undefined)[] = [],
  ): Promise<SentinelTrio> {
    const at = (index: number): { readonly on?: LanHost } => {
      const on = hosts[index];
      return on === undefined ? {} : { on };
    };
    const master = await RedisServer.start({ settings, ...at(0) });
    const replica = await RedisServer.start({
      settings: [
        ...settings,
        `replicaof ${master.host} ${master.port}`,
        `replica-announce-ip ${at(1).on?.address ?? '127.0.0.1'}`,
      ],
      ...at(1),
    });
    await until('the replica is in step', 15_000, async () =>
      String(await replica.run('INFO', 'replication')).includes('master_link_status:up'),
    );
    const sentinels = await Promise.all(
      [0, 1, 2].map((index) =>
        RedisServer.start({
          isSentinel: true,
          settings: [
            `sentinel monitor altpath ${master.host} ${master.port} 2`,
            'sentinel down-after-milliseconds altpath 1000',
            'sentinel failover-timeout altpath 10000',
            `sentinel announce-ip ${at(index).on?.address ?? '127.0.0.1'}`,
          ],
          ...at(index),
        }),
      ),
    );
    const trio = new SentinelTrio([master, replica], sentinels);
    await until('the Sentinels know each other and the replica', 30_000, async () => {
      const known = await Promise.all(sentinels.map((sentinel) => sentinel.run('SENTINEL', 'MASTER', 'altpath')));
      return known.every((fields) => {
        const text = Array.isArray(fields) ? fields.join(' ') : '';
        return text.includes('num-slaves 1') && text.includes('num-other-sentinels 2');
      });
    });
    return trio;
  }

  get url(): string {
    return `redis+sentinel://${this.sentinels.map(({ address }) => address).join(',')}/altpath`;
  }

  async master(): Promise<RedisServer> {
    return until('a master', 60_000, async () => {
      for (const server of this.servers) {
        const role = await server.run('ROLE').catch(() => undefined);
        if (Array.isArray(role) && role[0] === 'master') return server;
      }
      return undefined;
    });
  }

  async end(): Promise<void> {
    await Promise.all([...this.sentinels, ...this.servers].map((server) => server.kill()));
  }
}

/** Three masters, each with a third of the slots. */
export class RedisCluster {
  readonly servers: readonly RedisServer[];

  private constructor(servers: readonly RedisServer[]) {
    this.servers = servers;
  }

  static async start(): Promise<RedisCluster> {
    const servers = await Promise.all(
      [0, 1, 2].map(() => RedisServer.start({ settings: ['cluster-enabled yes', 'cluster-node-timeout 2000'] })),
    );
    const [first] = servers;
    for (const [index, server] of servers.entries()) {
      const from = Math.floor((16_384 * index) / 3);
      await server.run('CLUSTER', 'ADDSLOTSRANGE', String(from), String(Math.floor((16_384 * (index + 1)) / 3) - 1));
      if (server !== first) await first?.run('CLUSTER', 'MEET', server.host, String(server.port));
    }
    await until('the Cluster is up', 30_000, async () => {
      const states = await Promise.all(servers.map((server) => server.run('CLUSTER', 'INFO')));
      return states.every((text) => /cluster_state:ok[\s\S]*cluster_known_nodes:3/.test(String(text)));
    });
    return new RedisCluster(servers);
  }

  get url(): string {
    return `redis+cluster://${this.servers.map(({ address }) => address).join(',')}`;
  }

  /** Gives this slot to another member, with all that is in it; `midway`: while it is on its way. */
  async move(slot: number, midway: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const owner = await this.#ownerOf(slot);
    const next = this.servers.find((server) => server !== owner);
    if (owner === undefined || next === undefined) throw new Error(`nobody has slot ${slot}`);
    const [from, to] = await Promise.all([owner.run('CLUSTER', 'MYID'), next.run('CLUSTER', 'MYID')]);
    await next.run('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', String(from));
    await owner.run('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', String(to));
    await midway();
    for (;;) {
      const keys = await owner.run('CLUSTER', 'GETKEYSINSLOT', String(slot), '100');
      if (!Array.isArray(keys) || keys.length === 0) break;
      await owner.run('MIGRATE', next.host, String(next.port), '', '0', '5000', 'KEYS', ...keys.map(String));
    }
    for (const server of [next, owner, ...this.servers])
      await server.run('CLUSTER', 'SETSLOT', String(slot), 'NODE', String(to));
  }

  async #ownerOf(slot: number): Promise<RedisServer | undefined> {
    for (const server of this.servers) {
      const keys = await server.run('CLUSTER', 'SLOTS');
      for (const range of Array.isArray(keys) ? keys : []) {
        const [from, to, master]: readonly unknown[] = Array.isArray(range) ? range : [];
        if (Number(from) <= slot && slot <= Number(to))
          return this.servers.find(({ port }) => Array.isArray(master) && master[1] === port);
      }
    }
    return undefined;
  }

  async end(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()));
  }
}
