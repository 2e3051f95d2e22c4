/**
 * Datagrams over node:dgram. A received datagram costs one lookup and nothing else; peers whose death must be noticed get
 * a socket of their own (udp-peer.ts), since the system reports ICMP errors to connected sockets only.
 */
import type { Socket } from 'node:dgram';
import type { Counter } from '../metrics.ts';
import type { BindOptions, Flow, FlowOptions, Listener, NetworkEvents, TransmitError } from '../network.ts';
import type { ControllerAddress, SocketAddress } from '../signaling/controller-address.ts';
import { formatSocketAddress } from '../signaling/controller-address.ts';
import { type DatagramSource, receiveFrom } from './datagram-receiver.ts';
import { DatagramSender } from './datagram-sender.ts';
import { defaultMaxMessageBytes, maxBriefPeers, maxConnectedPeers, maxDatagramBytes, maxSenders } from './limits.ts';
import { bindableAddress, canonicalAddress, canonicalHost, isSendable } from './local-address.ts';
import type { NetworkParts } from './network-parts.ts';
import { transmitError } from './transmit-error.ts';
import { ConnectedPeer } from './udp-peer.ts';
import { datagramFlowId, openSocket } from './udp-socket.ts';

export async function bindUdp(
  parts: NetworkParts,
  address: ControllerAddress,
  options: BindOptions,
  events: NetworkEvents,
): Promise<Listener> {
  const wanted = await bindableAddress(address);
  const { socket, port } = await openSocket(wanted, parts.sharing !== undefined);
  return new UdpListener(parts, socket, { ...wanted, port }, options, events);
}

class UdpListener implements Listener {
  readonly local: ControllerAddress;
  readonly connections = 0;
  readonly events: NetworkEvents;
  readonly #parts: NetworkParts;
  readonly #socket: Socket;
  readonly #sender: DatagramSender;
  readonly #isIpv6: boolean;
  readonly #maxMessageBytes: number;
  readonly #oversize: Counter;
  readonly #peers = new Map<string, ConnectedPeer>();
  readonly #briefPeers = new Map<string, ConnectedPeer>();
  /** By address as the system writes it. */
  readonly #senders = new Map<string, DatagramFlow>();
  #uses = 0;
  #closing: Promise<void> | undefined;

  constructor(
    parts: NetworkParts,
    socket: Socket,
    local: ControllerAddress,
    options: BindOptions,
    events: NetworkEvents,
  ) {
    this.#parts = parts;
    this.#socket = socket;
    this.local = local;
    this.events = events;
    this.#isIpv6 = local.host.includes(':');
    this.#maxMessageBytes = options.maxMessageBytes ?? defaultMaxMessageBytes;
    this.#oversize = parts.metrics.counter('messages_oversize_total', 'Messages above the size limit, dropped', {
      transport: 'udp',
    });
    this.#sender = new DatagramSender(socket, (error, remote) => this.#onFailed(error, remote));
    receiveFrom(socket, (bytes, from) => this.receive(bytes, from));
    socket.on('error', (error) => parts.log.warn({ err: error, listener: formatSocketAddress(local) }, 'socket error'));
  }

  get isOpen(): boolean {
    return this.#closing === undefined;
  }

  flowTo(remote: SocketAddress, options?: FlowOptions): Flow {
    const peer = this.#isIpv6 || remote.host.includes(':') ? canonicalAddress(remote) : remote;
    if (this.isOpen && isSendable(peer)) {
      if (options?.connected === true) return this.#peer(peer);
      // With other workers a socket that comes and goes would take what its peer sends from one to the other and back.
      if (options?.briefly === true && this.#parts.sharing === undefined)
        return this.#briefPeer(peer) ?? new DatagramFlow(this, peer);
    }
    // Who was heard of lately has one already.
    const known = this.#senders.get(peer.host);
    return known !== undefined && known.remote.port === peer.port && known.remote.host === peer.host
      ? known
      : new DatagramFlow(this, peer);
  }

  flowById(): undefined {
    return undefined;
  }

  /** The hot path: one datagram, from anybody or from a connected peer. */
  receive(bytes: Buffer, from: DatagramSource, peer?: ConnectedPeer): void {
    if (bytes.length > this.#maxMessageBytes) {
      this.#oversize.add();
      return;
    }
    // An empty datagram says nothing and is used to keep a NAT binding open.
    if (bytes.length === 0 || !this.isOpen) return;
    if (peer !== undefined) {
      this.events.received(bytes, peer);
      return;
    }
    this.events.received(bytes, this.#flowFrom(from));
  }

  /**
   * Who sends one datagram sends more: the last flow of each host is kept, so that what is looked up by its address always meets the
   * same string, whose hash is known.
   */
  #flowFrom({ address, port }: DatagramSource): DatagramFlow {
    const known = this.#senders.get(address);
    if (known !== undefined && known.remote.port === port) return known;
    const host = known?.remote.host ?? (this.#isIpv6 ? canonicalHost(address) : address);
    const flow = new DatagramFlow(this, { host, port });
    if (known === undefined && this.#senders.size >= maxSenders) this.#senders.clear();
    this.#senders.set(address, flow);
    return flow;
  }

  send(bytes: Uint8Array, remote: SocketAddress): void {
    if (!this.isOpen) return;
    if (bytes.length > maxDatagramBytes) {
      this.report(remote, { reason: 'overflow', detail: `${bytes.length} bytes do not fit in a datagram` });
      return;
    }
    if (!isPort(remote.port)) {
      this.report(remote, { reason: 'unreachable', detail: `${remote.port} is no port`, isLocal: true });
      return;
    }
    this.#sender.send(bytes, remote);
  }

  /** @internal What a retired peer is still asked to send. */
  sendConnected(bytes: Uint8Array, remote: SocketAddress): void {
    if (this.isOpen) this.#peer(remote).sendOn(bytes);
  }

  /** @internal What a retiring peer had not sent yet leaves through our socket, also while we close. */
  sendPlain(bytes: Uint8Array, remote: SocketAddress): void {
    this.#sender.sendPublicly(bytes, remote);
  }

  /** Later than the call that caused it, as the port promises. */
  report(remote: SocketAddress, error: TransmitError): void {
    setImmediate(() => {
      if (this.isOpen) this.events.failed(new DatagramFlow(this, remote), error);
    });
  }

  /** @internal The peer's socket is gone. */
  forget(peer: ConnectedPeer): void {
    const key = formatSocketAddress(peer.remote);
    for (const peers of [this.#peers, this.#briefPeers]) if (peers.get(key) === peer) peers.delete(key);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #peer(remote: SocketAddress): ConnectedPeer {
    const key = formatSocketAddress(remote);
    this.#uses += 1;
    let peer = this.#peers.get(key);
    if (peer === undefined) {
      if (this.#peers.size >= maxConnectedPeers) this.#evict();
      peer = new ConnectedPeer(this, { host: remote.host, port: remote.port }, this.#parts);
      this.#peers.set(key, peer);
      this.#parts.sharing?.moved(remote.host);
    }
    peer.lastUse = this.#uses;
    return peer;
  }

  #briefPeer(remote: SocketAddress): ConnectedPeer | undefined {
    const key = formatSocketAddress(remote);
    this.#uses += 1;
    let peer = this.#peers.get(key) ?? this.#briefPeers.get(key);
    if (peer === undefined) {
      if (this.#briefPeers.size >= maxBriefPeers) return undefined;
      peer = new ConnectedPeer(this, { host: remote.host, port: remote.port }, this.#parts, true);
      this.#briefPeers.set(key, peer);
    }
    peer.lastUse = this.#uses;
    return peer;
  }

  #evict(): void {
    let oldest: ConnectedPeer | undefined;
    for (const peer of this.#peers.values()) if (oldest === undefined || peer.lastUse < oldest.lastUse) oldest = peer;
    void oldest?.retire();
  }

  #onFailed(error: unknown, remote: SocketAddress | undefined): void {
    if (this.isOpen && remote !== undefined) this.events.failed(new DatagramFlow(this, remote), ownError(error));
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#peers.values(), ...this.#briefPeers.values()].map((peer) => peer.retire()));
    // What the kernel did not take at once waits in the process: let it go first, within reason.
    for (let turn = 0; turn < 1_000 && this.#socket.getSendQueueCount() > 0; turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
    await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
  }
}

/** Made for nearly every datagram that we are the first to send: keep it small. */
class DatagramFlow implements Flow {
  readonly remote: SocketAddress;
  readonly #listener: UdpListener;

  constructor(listener: UdpListener, remote: SocketAddress) {
    this.#listener = listener;
    this.remote = remote;
  }

  get transport(): 'udp' {
    return 'udp';
  }

  get reliable(): boolean {
    return false;
  }

  get local(): SocketAddress {
    return this.#listener.local;
  }

  get id(): string {
    return datagramFlowId(this);
  }

  send(bytes: Uint8Array): void {
    this.#listener.events.sent?.(bytes, this);
    this.#listener.send(bytes, this.remote);
  }

  close(): void {}
}

/** A socket that is not connected hears of no ICMP error: it is our own system that did not send. */
function ownError(error: unknown): TransmitError {
  const { reason, detail } = transmitError(error, 'unreachable');
  return { reason, detail, isLocal: reason !== 'overflow' };
}

const isPort = (port: number): boolean => Number.isInteger(port) && port > 0 && port <= 65_535;
