/** Datagrams of the memory network: may be lost, doubled or overtaken; a connected flow hears when its peer's port is closed. */
import type {
  BindOptions,
  ControllerAddress,
  Flow,
  FlowOptions,
  NetworkEvents,
  SocketAddress,
} from '../../src/internal.ts';
import { formatSocketAddress } from '../../src/internal.ts';
import type { Host, MemoryPacket, MemorySocket } from './memory-network.ts';

export class DatagramSocket implements MemorySocket {
  readonly host: Host;
  readonly local: ControllerAddress;
  readonly events: NetworkEvents;
  readonly connections = 0;
  readonly #maxMessageBytes: number;
  readonly #closed: () => void;
  #open = true;

  constructor(host: Host, local: ControllerAddress, options: BindOptions, events: NetworkEvents, closed: () => void) {
    this.host = host;
    this.local = local;
    this.events = events;
    this.#maxMessageBytes = options.maxMessageBytes ?? 65_535;
    this.#closed = closed;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  flowTo(remote: SocketAddress, options: FlowOptions = {}): Flow {
    return new DatagramFlow(
      this,
      { host: remote.host, port: remote.port },
      options.connected === true || options.briefly === true,
    );
  }

  flowById(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#closed();
  }

  crash(): void {
    this.#open = false;
  }

  resume(): void {}

  receive(bytes: Buffer, from: SocketAddress): void {
    if (bytes.length > this.#maxMessageBytes) return;
    this.host.deliver(() => {
      if (!this.#open) return;
      this.events.received(Buffer.from(bytes), new DatagramFlow(this, from, false));
    });
  }
}

class DatagramFlow implements Flow {
  readonly transport = 'udp';
  readonly reliable = false;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly #socket: DatagramSocket;
  readonly #connected: boolean;

  constructor(socket: DatagramSocket, remote: SocketAddress, connected: boolean) {
    this.#socket = socket;
    this.local = { ...socket.local, host: socket.host.network.shown(socket.local.host) };
    this.remote = remote;
    this.#connected = connected;
  }

  get id(): string {
    return `udp ${formatSocketAddress(this.local)} ${formatSocketAddress(this.remote)}`;
  }

  send(bytes: Uint8Array): void {
    const { host } = this.#socket;
    const { network } = host;
    if (!this.#socket.isOpen || host.crashed) return;
    this.#socket.events.sent?.(bytes, this);
    const packet = network.packet('udp', this.#source, this.remote, Buffer.from(bytes));
    // The tap may have killed us in the middle of this send.
    if (packet === undefined || host.silent) return;
    if (host.isUnplugged) {
      const lost = { reason: 'unreachable', detail: 'ENETUNREACH', isLocal: true } as const;
      network.clock.after(0, () => host.deliver(() => this.#socket.events.failed(this, lost)));
      return;
    }
    const { latencyMs, loss, duplication, reordering, reorderMs } = network.conditions;
    const { random, clock } = network;
    const copies = random.chance(duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      if (random.chance(loss)) continue;
      const delayMs = latencyMs + (random.chance(reordering) ? random.fraction() * reorderMs : 0);
      clock.after(delayMs, () => this.#arrive(packet));
    }
  }

  close(): void {}

  get #source(): SocketAddress {
    const { host, port } = this.#socket.host.source(this.#socket.local);
    return { host: this.#socket.host.network.shown(host), port };
  }

  #arrive(packet: MemoryPacket): void {
    const { host } = this.#socket;
    const { network } = host;
    const made = network.made(packet.to.host);
    if (made === undefined) return;
    const target = network.find(made);
    if (network.blocked(host, target) || !network.arrives(packet)) return;
    const socket = target?.datagramSocket({ host: made, port: packet.to.port });
    if (socket !== undefined) socket.receive(packet.bytes, packet.from);
    else if (this.#connected) network.clock.after(network.conditions.latencyMs, () => this.#refused(target));
  }

  /** RFC 1122 §4.1.3.3: the ICMP error reaches the application that sent the datagram. */
  #refused(target: Host | undefined): void {
    const { host } = this.#socket;
    if (!this.#socket.isOpen || host.silent || (target !== undefined && host.network.blocked(target, host))) return;
    host.deliver(() => this.#socket.events.failed(this, { reason: 'refused', detail: 'ECONNREFUSED' }));
  }
}
