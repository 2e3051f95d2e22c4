/**
 * A datagram peer with a socket of its own, bound to the listener's address and connected to the peer: the system reports ICMP
 * errors to such sockets only (RFC 1122 §4.1.3.3 asks that they reach the application). It also gets what the peer sends to us.
 *
 *     opening ──connected──► open ──retire (longest unused, or the listener closes)──► retired
 *        └──no socket to be had──► plain: goes through the listener's socket, ICMP errors unseen
 */
import type { Socket } from 'node:dgram';
import type { Flow, NetworkEvents, TransmitError } from '../network.ts';
import { type ControllerAddress, formatSocketAddress, type SocketAddress } from '../signaling/controller-address.ts';
import { type DatagramSource, receiveFrom } from './datagram-receiver.ts';
import { DatagramSender } from './datagram-sender.ts';
import { briefMs, maxDatagramBytes, maxQueuedMessages } from './limits.ts';
import type { NetworkParts } from './network-parts.ts';
import { transmitError } from './transmit-error.ts';
import { bound, datagramFlowId } from './udp-socket.ts';

/** The listener as its peers see it. */
export interface PeerListener {
  readonly local: ControllerAddress;
  readonly isOpen: boolean;
  readonly events: NetworkEvents;
  sendConnected(bytes: Uint8Array, remote: SocketAddress): void;
  send(bytes: Uint8Array, remote: SocketAddress): void;
  sendPlain(bytes: Uint8Array, remote: SocketAddress): void;
  receive(bytes: Buffer, from: DatagramSource, peer?: ConnectedPeer): void;
  report(remote: SocketAddress, error: TransmitError): void;
  forget(peer: ConnectedPeer): void;
}

export class ConnectedPeer implements Flow {
  readonly remote: SocketAddress;
  readonly id: string;
  /** The listener's count of uses at the last one: the smallest goes first. */
  lastUse = 0;
  readonly #listener: PeerListener;
  readonly #parts: NetworkParts;
  #state: 'opening' | 'open' | 'plain' | 'retired' = 'opening';
  #socket: Socket | undefined;
  #sender: DatagramSender | undefined;
  #queue: Uint8Array[] = [];
  /** Settles when the socket is there, or cannot be had. */
  readonly #opening: Promise<void>;

  /** Gives its socket back by itself. */
  readonly #isBrief: boolean;

  constructor(listener: PeerListener, remote: SocketAddress, parts: NetworkParts, isBrief = false) {
    this.#isBrief = isBrief;
    this.#listener = listener;
    this.remote = remote;
    this.#parts = parts;
    this.id = datagramFlowId(this);
    this.#opening = this.#open();
    if (isBrief) this.#retireLater(0);
  }

  get transport(): 'udp' {
    return 'udp';
  }

  get reliable(): boolean {
    return false;
  }

  /** A wildcard listener's peers see the address that the routing table picks, as they would from the listener's own socket. */
  get local(): SocketAddress {
    return this.#listener.local;
  }

  send(bytes: Uint8Array): void {
    this.#listener.events.sent?.(bytes, this);
    this.sendOn(bytes);
  }

  /** @internal What is recorded as sent already. */
  sendOn(bytes: Uint8Array): void {
    if (!this.#listener.isOpen) return;
    if (bytes.length > maxDatagramBytes)
      this.#listener.report(this.remote, {
        reason: 'overflow',
        detail: `${bytes.length} bytes do not fit in a datagram`,
      });
    else this.#send(bytes);
  }

  close(): void {}

  /** Gives the socket back. Who still holds this flow gets a new socket with the next send. */
  async retire(): Promise<void> {
    if (this.#state === 'retired') return;
    const { remote } = this;
    const unsent = this.#queue;
    this.#queue = [];
    this.#state = 'retired';
    this.#listener.forget(this);
    for (const bytes of unsent) this.#listener.sendPlain(bytes, remote);
    await this.#opening;
    const socket = this.#socket;
    if (socket === undefined) return;
    for (let turn = 0; turn < 100 && socket.getSendQueueCount() > 0; turn += 1)
      await new Promise((resolve) => setImmediate(resolve));
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  #send(bytes: Uint8Array): void {
    switch (this.#state) {
      case 'open':
        this.#sender?.send(bytes);
        break;
      case 'opening':
        if (this.#queue.length < maxQueuedMessages) this.#queue.push(bytes);
        else
          this.#listener.report(this.remote, { reason: 'overflow', detail: 'too many messages wait for the socket' });
        break;
      case 'plain':
        this.#listener.send(bytes, this.remote);
        break;
      case 'retired':
        if (this.#isBrief) this.#listener.send(bytes, this.remote);
        else this.#listener.sendConnected(bytes, this.remote);
    }
  }

  #retireLater(seenUse: number): void {
    this.#parts.clock.after(briefMs, () => {
      if (this.#state === 'retired') return;
      if (this.lastUse === seenUse) void this.retire();
      else this.#retireLater(this.lastUse);
    });
  }

  #open(): Promise<void> {
    const { local } = this.#listener;
    return bound(local, local.port, this.#parts.sharing === undefined ? 'ourselves' : 'workers').then(
      (socket) => this.#connect(socket),
      (error: unknown) => {
        this.#parts.log.warn(
          { err: error, peer: formatSocketAddress(this.remote) },
          'no socket for this peer: its ICMP errors stay unseen',
        );
        if (this.#state === 'opening') this.#flush('plain');
        this.#listener.forget(this);
      },
    );
  }

  #connect(socket: Socket): void {
    this.#socket = socket;
    if (this.#state === 'retired') return;
    this.#sender = new DatagramSender(socket, (error) => this.#failed(error));
    // Until the socket is connected it gets datagrams of others, too: who sent one decides, not whose socket it is.
    receiveFrom(socket, (bytes, from) => this.#received(bytes, from));
    socket.on('error', (error) => this.#failed(error));
    // A failed connect is passed to the callback; the declared type knows of successful ones only.
    socket.connect(this.remote.port, this.remote.host, (...failure: readonly unknown[]) => {
      const [error] = failure;
      if (this.#state !== 'opening') return;
      if (error === undefined || error === null) {
        this.#flush('open');
        return;
      }
      this.#queue = [];
      this.#failed(error);
      void this.retire();
    });
  }

  #flush(state: 'open' | 'plain'): void {
    this.#state = state;
    const queue = this.#queue;
    this.#queue = [];
    for (const bytes of queue) this.#send(bytes);
  }

  #received(bytes: Buffer, from: DatagramSource): void {
    this.#listener.receive(
      bytes,
      from,
      from.port === this.remote.port && from.address === this.remote.host ? this : undefined,
    );
  }

  #failed(error: unknown): void {
    if (this.#listener.isOpen) this.#listener.events.failed(this, transmitError(error, 'unreachable'));
  }
}
