/** The connections of one listener: found again by peer or by id, told apart by the name a TLS peer must prove, ended together. */
import type { Clock } from '../clock.ts';
import type { Metrics } from '../metrics.ts';
import type { Flow, FlowOptions, NetworkEvents, StreamLimits, TransmitError } from '../network.ts';
import {
  type ControllerAddress,
  formatAddress,
  formatSocketAddress,
  isSecure,
  type SocketAddress,
} from '../signaling/controller-address.ts';
import { Connection, type EndCause } from './connection.ts';
import { canonicalAddress, isSendable } from './local-address.ts';
import { SlowReaders } from './slow-readers.ts';

export interface TableParts {
  readonly local: ControllerAddress;
  readonly limits: StreamLimits;
  readonly events: NetworkEvents;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Begins to connect; ends in `opened`, `ended` or `wireClosed` of the connection. */
  dial(connection: Connection): void;
}

export class ConnectionTable {
  readonly sent: NetworkEvents['sent'];
  readonly #parts: TableParts;
  /** Connections that somebody may use, by peer (and by name, for those we opened with TLS). */
  readonly #byPeer = new Map<string, Connection>();
  readonly #open = new Map<string, Connection>();
  /** Whatever still has a wire. */
  readonly #living = new Set<Connection>();
  /** Asked for, never sent on: the oldest are forgotten. */
  readonly #unused = new Set<Connection>();
  readonly #slowReaders: SlowReaders;
  #outgoing = 0;
  #closed = false;

  constructor(parts: TableParts) {
    this.#parts = parts;
    this.sent = parts.events.sent;
    this.#slowReaders = new SlowReaders(parts.limits.maxUnsentTotalBytes);
    parts.metrics.gauge('connections', 'Open connections', () => this.#open.size, {
      listener: formatAddress(parts.local),
    });
  }

  get local(): ControllerAddress {
    return this.#parts.local;
  }

  get limits(): StreamLimits {
    return this.#parts.limits;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  /** Open connections. */
  get size(): number {
    return this.#open.size;
  }

  flowTo(remote: SocketAddress, options?: FlowOptions): Flow {
    const peer = canonicalAddress(remote);
    const serverName = isSecure(this.local.transport) ? options?.serverName : undefined;
    const inbound = this.#byPeer.get(peerKey(peer, undefined));
    // A peer that connected to us proved no name unless its certificate did.
    if (inbound !== undefined && (serverName === undefined || inbound.peerName === serverName)) return inbound;
    const name = serverName ?? peer.host;
    const known = this.#byPeer.get(peerKey(peer, name));
    if (known !== undefined) return known;
    const connection = new Connection(this, peer, { serverName: name });
    this.#byPeer.set(peerKey(peer, name), connection);
    this.#unused.add(connection);
    if (this.#unused.size > maxUnused) this.#forgetUnused();
    return connection;
  }

  flowById(id: string): Flow | undefined {
    return this.#open.get(id);
  }

  /** A connection that a peer opened. */
  accepted(remote: SocketAddress, onFirstMessage: () => void): Connection {
    const connection = new Connection(this, canonicalAddress(remote), { onFirstMessage });
    this.#byPeer.set(peerKey(connection.remote, undefined), connection);
    this.#living.add(connection);
    return connection;
  }

  dial(connection: Connection): void {
    const { remote } = connection;
    this.#unused.delete(connection);
    if (this.#closed) throw new Error('the listener is closed');
    if (!isSendable(remote)) throw new Error(`${formatSocketAddress(remote)} is no address to connect to`);
    if (this.#outgoing >= this.limits.maxConnections) throw new Error('too many outgoing connections');
    this.#byPeer.set(peerKey(remote, connection.serverName), connection);
    this.#outgoing += 1;
    this.#living.add(connection);
    void connection.gone.then(() => {
      this.#outgoing -= 1;
    });
    this.#parts.dial(connection);
  }

  opened(connection: Connection): void {
    this.#open.set(connection.id, connection);
  }

  wrote(connection: Connection, unsentBytes: number): void {
    this.#slowReaders.wrote(connection, unsentBytes);
  }

  forget(connection: Connection): void {
    this.#slowReaders.gone(connection);
    const key = peerKey(connection.remote, connection.serverName);
    if (this.#byPeer.get(key) === connection) this.#byPeer.delete(key);
    this.#open.delete(connection.id);
    this.#unused.delete(connection);
    void connection.gone.then(() => this.#living.delete(connection));
  }

  received(bytes: Buffer, connection: Connection): void {
    if (!this.#closed) this.#parts.events.received(bytes, connection);
  }

  failed(connection: Connection, error: TransmitError): void {
    if (!this.#closed) this.#parts.events.failed(connection, error);
  }

  malformed(bytes: Buffer, connection: Connection, reason: string): void {
    if (!this.#closed) this.#parts.events.malformed?.(bytes, connection, reason);
  }

  countEnd(reason: EndCause): void {
    const { transport } = this.local;
    this.#parts.metrics
      .counter('connections_ended_total', 'Connections that we ended ourselves, by reason', { transport, reason })
      .add();
  }

  /** Ends every connection after what was sent has left; nothing is reported any more. */
  async close(): Promise<void> {
    this.#closed = true;
    const living = [...this.#living];
    for (const connection of living) connection.close();
    await Promise.all(living.map((connection) => connection.gone));
  }

  #forgetUnused(): void {
    for (const oldest of this.#unused) {
      this.forget(oldest);
      return;
    }
  }
}

const maxUnused = 1_024;

const peerKey = (peer: SocketAddress, name: string | undefined): string =>
  name === undefined ? formatSocketAddress(peer) : `${formatSocketAddress(peer)} ${name}`;
