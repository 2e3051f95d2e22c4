/**
 * Commands to the store: each to the server that has its shard, over one connection per server, so that the answers of a shard come in the
 * order of its commands. Nothing waits here for a server that is away: who asks is told at once.
 */
import { formatSocketAddress, type SocketAddress } from '../../signaling/controller-address.ts';
import { readServer, type Servers } from './servers.ts';
import { type Connector, type StoreConnection, StoreLost, StoreRefusal } from './store-connection.ts';

export class StoreLink {
  readonly #servers: Servers;
  readonly #connect: Connector;
  readonly #byServer = new Map<string, Promise<StoreConnection>>();
  /** Over what commands of a shard go now. */
  readonly #byShard = new Map<number, StoreConnection>();
  #isClosed = false;

  constructor(servers: Servers, connect: Connector) {
    this.#servers = servers;
    this.#connect = connect;
  }

  get feeds(): readonly (readonly number[])[] {
    return this.#servers.feeds;
  }

  /** Connects to the server of this shard, if need be. Rejects in bounded time. */
  async reach(shard: number): Promise<StoreConnection> {
    const open = this.#byShard.get(shard);
    if (open?.isOpen === true) return open;
    this.#byShard.delete(shard);
    try {
      const connection = await this.#connectionTo(await this.#servers.of(shard));
      this.#byShard.set(shard, connection);
      return connection;
    } catch (error) {
      this.#servers.doubt(shard);
      throw error;
    }
  }

  /** Over the connection that is there. Rejects at once where there is none. */
  async send(shard: number, words: readonly string[]): Promise<unknown> {
    const connection = this.#byShard.get(shard);
    if (connection === undefined || !connection.isOpen) throw new StoreLost('not connected');
    try {
      return await connection.send(words);
    } catch (error) {
      return this.#redirected(shard, words, connection, error);
    }
  }

  /** A connection of its own for reads that block. */
  async openFeed(shard: number): Promise<StoreConnection> {
    const server = await this.#servers.of(shard);
    return this.#open(server);
  }

  /** The servers that are connected, each with its shards. */
  connected(): ReadonlyMap<StoreConnection, readonly number[]> {
    const found = new Map<StoreConnection, number[]>();
    for (const [shard, connection] of this.#byShard) {
      const held = found.get(connection);
      if (held === undefined) found.set(connection, [shard]);
      else held.push(shard);
    }
    return found;
  }

  /** The server is not what it was: the next `reach` asks for it anew. */
  drop(shard: number): void {
    this.#byShard.get(shard)?.close();
    this.#byShard.delete(shard);
    this.#servers.doubt(shard);
  }

  /** This server says that another has the shard. */
  follow(shard: number, error: unknown): boolean {
    const to = error instanceof StoreRefusal && error.kind === 'MOVED' ? whereTo(error) : undefined;
    if (to === undefined) return false;
    this.#servers.moved(shard, to);
    this.#byShard.delete(shard);
    return true;
  }

  close(): void {
    this.#isClosed = true;
    for (const connection of this.#byServer.values()) connection.then((open) => open.close()).catch(() => {});
    this.#byServer.clear();
    this.#byShard.clear();
  }

  /** What a Cluster says of a slot that moves, and what a master says that is none any more. */
  async #redirected(
    shard: number,
    words: readonly string[],
    connection: StoreConnection,
    error: unknown,
  ): Promise<unknown> {
    if (!(error instanceof StoreRefusal)) throw error;
    if (error.kind === 'MOVED' && this.follow(shard, error)) {
      const next = await this.reach(shard);
      if (next !== connection) return next.send(words);
    }
    const to = error.kind === 'ASK' ? whereTo(error) : undefined;
    if (to !== undefined) {
      const next = await this.#connectionTo(to);
      const asking = next.send(['ASKING']);
      const answer = next.send(words);
      asking.catch(() => {});
      return answer;
    }
    if (error.kind === 'READONLY') this.drop(shard);
    throw error;
  }

  #connectionTo(server: SocketAddress): Promise<StoreConnection> {
    const name = formatSocketAddress(server);
    const known = this.#byServer.get(name);
    if (known === undefined) return this.#connectAnew(name, server);
    return known.then(
      (connection) => (connection.isOpen ? connection : this.#connectInstead(name, server, known)),
      () => this.#connectInstead(name, server, known),
    );
  }

  #connectInstead(name: string, server: SocketAddress, former: Promise<StoreConnection>): Promise<StoreConnection> {
    const known = this.#byServer.get(name);
    return known === undefined || known === former ? this.#connectAnew(name, server) : known;
  }

  #connectAnew(name: string, server: SocketAddress): Promise<StoreConnection> {
    const connecting = this.#open(server);
    this.#byServer.set(name, connecting);
    connecting.then(
      (connection) => {
        if (this.#isClosed) connection.close();
      },
      () => {
        if (this.#byServer.get(name) === connecting) this.#byServer.delete(name);
      },
    );
    return connecting;
  }

  async #open(server: SocketAddress): Promise<StoreConnection> {
    if (this.#isClosed) throw new StoreLost('the location service is closed');
    const connection = await this.#connect(server, 'store');
    if (!this.#servers.mayBeReplica) return connection;
    const role = await connection.send(['ROLE']).catch((error: unknown) => {
      // A user who may not ask: then the first write tells.
      if (error instanceof StoreRefusal && error.kind === 'NOPERM') return ['master'];
      throw error;
    });
    if (Array.isArray(role) && role[0] === 'master') return connection;
    connection.close();
    throw new StoreLost(`${formatSocketAddress(server)} is no master (yet)`);
  }
}

/** `MOVED 3999 127.0.0.1:6381`. */
function whereTo({ message }: StoreRefusal): SocketAddress | undefined {
  const [, , where = ''] = message.split(' ');
  const at = where.lastIndexOf(':');
  return readServer([where.slice(0, at), where.slice(at + 1)]);
}
