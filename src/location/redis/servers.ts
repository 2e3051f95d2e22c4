/**
 * Which server has a shard. One server: always that one. Sentinels: whom they name, asked again whenever it is in doubt. A Cluster: who
 * has the slot, by its own table and by what its members say when they are asked for what is not theirs.
 */
import { formatSocketAddress, type SocketAddress } from '../../signaling/controller-address.ts';
import type { StoreAddress } from './location-url.ts';
import { shards, slotOf } from './shards.ts';
import { type Connector, type StoreConnection, StoreLost } from './store-connection.ts';

export interface Servers {
  /** Shards that one blocking read can cover: a Cluster reads no two slots with one command. */
  readonly feeds: readonly (readonly number[])[];
  /** Must be asked whether it is the master? */
  readonly mayBeReplica: boolean;
  /** Rejects where nobody tells, in bounded time. */
  of(shard: number): Promise<SocketAddress>;
  /** What was said of this shard does not hold any more. */
  doubt(shard: number): void;
  /** A server said who has the shard now. */
  moved(shard: number, to: SocketAddress): void;
}

export function createServers(address: StoreAddress, connect: Connector): Servers {
  if (address.kind === 'sentinel') return new SentinelServers(address, connect);
  if (address.kind === 'cluster') return new ClusterServers(address, connect);
  const [server] = address.servers;
  if (server === undefined) throw new TypeError('a store has a server');
  return {
    feeds: [shards],
    mayBeReplica: false,
    of: () => Promise.resolve(server),
    doubt() {},
    moved() {},
  };
}

class SentinelServers implements Servers {
  readonly feeds = [shards];
  readonly mayBeReplica = true;
  readonly #master: string;
  readonly #sentinels: readonly SocketAddress[];
  readonly #connect: Connector;
  #asking: Promise<SocketAddress> | undefined;
  /** The Sentinel that is asked first. */
  #first = 0;

  constructor({ master, servers }: StoreAddress, connect: Connector) {
    this.#master = master;
    this.#sentinels = servers;
    this.#connect = connect;
  }

  of(): Promise<SocketAddress> {
    if (this.#asking === undefined) {
      const asking = this.#ask();
      this.#asking = asking;
      asking.catch(() => {
        if (this.#asking === asking) this.#asking = undefined;
      });
    }
    return this.#asking;
  }

  doubt(): void {
    if (this.#asking === undefined) return;
    // The one that named it may be cut off from the others.
    this.#first += 1;
    this.#asking = undefined;
  }

  moved(): void {
    this.doubt();
  }

  async #ask(): Promise<SocketAddress> {
    const failures: string[] = [];
    for (let tried = 0; tried < this.#sentinels.length; tried += 1) {
      const sentinel = this.#sentinels[(this.#first + tried) % this.#sentinels.length];
      if (sentinel === undefined) break;
      try {
        const named = await this.#askOne(sentinel);
        if (named !== undefined) return named;
        failures.push(`${formatSocketAddress(sentinel)} knows no master named ${this.#master}`);
      } catch (error) {
        failures.push(`${formatSocketAddress(sentinel)}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    throw new StoreLost(`no Sentinel names the master: ${failures.join('; ')}`);
  }

  async #askOne(sentinel: SocketAddress): Promise<SocketAddress | undefined> {
    const connection = await this.#connect(sentinel, 'sentinel');
    try {
      return readServer(await connection.send(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#master]));
    } finally {
      connection.close();
    }
  }
}

class ClusterServers implements Servers {
  readonly feeds = shards.map((shard) => [shard]);
  readonly mayBeReplica = false;
  readonly #known = new Map<string, SocketAddress>();
  readonly #connect: Connector;
  #byShard = new Map<number, SocketAddress>();
  #asking: Promise<void> | undefined;

  constructor({ servers }: StoreAddress, connect: Connector) {
    for (const server of servers) this.#known.set(formatSocketAddress(server), server);
    this.#connect = connect;
  }

  async of(shard: number): Promise<SocketAddress> {
    if (!this.#byShard.has(shard)) await this.#table();
    const server = this.#byShard.get(shard);
    if (server === undefined) throw new StoreLost(`no server of the Cluster has slot ${slotOf(shard)}`);
    return server;
  }

  doubt(shard: number): void {
    this.#byShard.delete(shard);
  }

  moved(shard: number, to: SocketAddress): void {
    this.#byShard.set(shard, to);
    if (this.#known.size < maxKnown) this.#known.set(formatSocketAddress(to), to);
  }

  /** One question for all who wait. */
  #table(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const failures: string[] = [];
    for (const [name, server] of [...this.#known]) {
      let connection: StoreConnection | undefined;
      try {
        connection = await this.#connect(server, 'store');
        this.#learn(await connection.send(['CLUSTER', 'SLOTS']), server);
        // The next question goes to the others first: this one may be cut off from them.
        this.#known.delete(name);
        this.#known.set(name, server);
        return;
      } catch (error) {
        failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      } finally {
        connection?.close();
      }
    }
    throw new StoreLost(`no member of the Cluster tells who has what: ${failures.join('; ')}`);
  }

  #learn(reply: unknown, asked: SocketAddress): void {
    const ranges = Array.isArray(reply) ? reply : [];
    const byShard = new Map<number, SocketAddress>();
    for (const range of ranges) {
      const [from, to, master]: readonly unknown[] = Array.isArray(range) ? range : [];
      const [host, port]: readonly unknown[] = Array.isArray(master) ? master : [];
      // A member that does not know its own address leaves it out.
      const server = readServer([host === '' || host === null ? asked.host : host, port]);
      if (server === undefined || typeof from !== 'number' || typeof to !== 'number') continue;
      for (const shard of shards) if (slotOf(shard) >= from && slotOf(shard) <= to) byShard.set(shard, server);
      if (this.#known.size < maxKnown) this.#known.set(formatSocketAddress(server), server);
    }
    this.#byShard = byShard;
  }
}

/** Members of a Cluster that are remembered; Redis advises against more than 1,000. */
const maxKnown = 1_000;

export function readServer(reply: unknown): SocketAddress | undefined {
  const [host, port]: readonly unknown[] = Array.isArray(reply) ? reply : [];
  const number = Number(port);
  return typeof host === 'string' && host !== '' && Number.isInteger(number) && number > 0 && number < 65_536
    ? { host, port: number }
    : undefined;
}
