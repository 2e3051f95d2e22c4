/**
 * Connections of the memory network: ordered and reliable. What a partition or a silent host holds back arrives when it ends; a
 * crash resets. tcp and tls pass through the framing as bytes; a ws message is a message.
 */
import type {
  BindOptions,
  ControllerAddress,
  Flow,
  FlowOptions,
  NetworkEvents,
  SocketAddress,
  StreamFraming,
  TransmitError,
  Transport,
} from '../../src/internal.ts';
import { isSecure } from '../../src/internal.ts';
import type { Host, MemoryPacket, MemorySocket } from './memory-network.ts';

const defaultConnectMs = 1_000;

export class StreamSocket implements MemorySocket {
  readonly host: Host;
  readonly local: ControllerAddress;
  readonly events: NetworkEvents;
  readonly options: BindOptions;
  readonly #ends = new Set<StreamEnd>();
  readonly #closed: () => void;
  #open = true;

  constructor(host: Host, local: ControllerAddress, options: BindOptions, events: NetworkEvents, closed: () => void) {
    this.host = host;
    this.local = local;
    this.options = options;
    this.events = events;
    this.#closed = closed;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get connections(): number {
    let count = 0;
    for (const end of this.#ends) if (end.isOpen) count += 1;
    return count;
  }

  flowTo(remote: SocketAddress, { serverName }: FlowOptions = {}): Flow {
    for (const end of this.#ends) {
      if (end.remote.host !== remote.host || end.remote.port !== remote.port) continue;
      if (serverName === undefined || end.peerName === serverName || end.serverName === serverName) return end;
    }
    const source = { host: this.host.source(this.local).host, port: this.host.freePort() };
    const end = new StreamEnd(this, source, { host: remote.host, port: remote.port }, serverName);
    this.#ends.add(end);
    return end;
  }

  flowById(id: string): Flow | undefined {
    for (const end of this.#ends) if (end.isOpen && end.id === id) return end;
    return undefined;
  }

  accept(client: StreamEnd): StreamEnd {
    const end = new StreamEnd(this, client.remote, client.source, undefined);
    this.#ends.add(end);
    end.joined(client);
    return end;
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    for (const end of [...this.#ends]) end.close();
    this.#open = false;
    this.#closed();
  }

  crash(): void {
    this.#open = false;
    for (const end of [...this.#ends]) end.crash();
  }

  resume(): void {
    for (const end of [...this.#ends]) end.resume();
  }

  forget(end: StreamEnd): void {
    this.#ends.delete(end);
  }
}

type Entry = { readonly dueMs: number } & (
  | { readonly kind: 'bytes'; readonly bytes: Buffer; readonly packet: MemoryPacket }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' }
);

/** One end of a connection. */
class StreamEnd implements Flow {
  readonly transport: Transport;
  readonly reliable = true;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  readonly id: string;
  /** Where our packets say they come from: an ephemeral port where we opened the connection. */
  readonly source: SocketAddress;
  readonly serverName: string | undefined;
  peerName: string | undefined;
  readonly #socket: StreamSocket;
  readonly #framing: StreamFraming | undefined;
  #state: 'idle' | 'connecting' | 'open' | 'ended' = 'idle';
  #peer: StreamEnd | undefined;
  #unsent: Buffer[] = [];
  #closeAfterConnect = false;
  /** On its way to us, in order. */
  readonly #inbound: Entry[] = [];

  constructor(socket: StreamSocket, source: SocketAddress, remote: SocketAddress, serverName: string | undefined) {
    this.#socket = socket;
    this.transport = socket.local.transport;
    this.local = socket.local;
    this.remote = remote;
    this.source = source;
    this.serverName = serverName;
    this.id = socket.host.connectionId(this.transport);
    const isByteStream = this.transport === 'tcp' || this.transport === 'tls';
    this.#framing = isByteStream ? socket.options.framing?.() : undefined;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get host(): Host {
    return this.#socket.host;
  }

  send(bytes: Uint8Array): void {
    const copy = Buffer.from(bytes);
    if (this.#dead()) return;
    this.#socket.events.sent?.(copy, this);
    if (this.#state === 'open') this.#write(copy);
    else if (this.#state === 'ended')
      this.#later(0, () => this.#socket.events.failed(this, { reason: 'closed', detail: 'the connection has ended' }));
    else {
      this.#unsent.push(copy);
      if (this.#state === 'idle') this.#connect();
    }
  }

  close(): void {
    if (this.#state === 'connecting') this.#closeAfterConnect = true;
    else {
      if (this.#state === 'open') this.#transmit({ kind: 'end' });
      this.#leave();
    }
  }

  crash(): void {
    if (this.#state === 'open') this.#transmit({ kind: 'reset' });
    this.#leave();
  }

  resume(): void {
    this.#pump();
  }

  /** The accepting side: open from the start. */
  joined(peer: StreamEnd): void {
    this.#peer = peer;
    this.#state = 'open';
    if (isSecure(this.transport)) this.peerName = peer.host.certificateNames[0];
  }

  #connect(): void {
    this.#state = 'connecting';
    const { network } = this.host;
    const { latencyMs } = network.conditions;
    this.#later(this.#socket.options.limits?.connectMs ?? defaultConnectMs, () => {
      if (this.#state !== 'connecting') return;
      this.#peer?.crash();
      this.#end({ reason: 'timeout', detail: 'no connection within the limit' });
    });
    this.#later(latencyMs, () => {
      const target = network.find(this.remote.host);
      if (this.#state !== 'connecting' || network.blocked(this.host, target)) return;
      const answer = this.#knock(target);
      this.#later(latencyMs, () => {
        if (this.#state !== 'connecting' || (target !== undefined && network.blocked(target, this.host))) return;
        if (answer instanceof StreamEnd) this.#connected(answer);
        else this.#end(answer);
      });
    });
  }

  /** What the other machine says to our wish to connect. */
  #knock(target: Host | undefined): StreamEnd | TransmitError {
    const socket = target?.streamSocket(this.remote);
    if (target === undefined || socket === undefined) return { reason: 'refused', detail: 'ECONNREFUSED' };
    if (socket.local.transport !== this.transport)
      return isSecure(this.transport)
        ? { reason: 'tls', detail: 'the peer speaks no TLS' }
        : { reason: 'closed', detail: 'the peer speaks another transport' };
    if (isSecure(this.transport)) {
      const name = this.serverName ?? this.remote.host;
      const names = target.certificateNames;
      if (names.length > 0 && !names.includes(name) && this.#socket.options.tls?.verify !== false)
        return { reason: 'tls', detail: `the certificate does not carry ${name}` };
      this.peerName = name;
    }
    return socket.accept(this);
  }

  #connected(peer: StreamEnd): void {
    this.#peer = peer;
    this.#state = 'open';
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const bytes of unsent) this.#write(bytes);
    if (this.#closeAfterConnect) this.close();
    this.#pump();
  }

  #write(bytes: Buffer): void {
    const { network } = this.host;
    const packet = network.packet(this.transport, this.source, this.remote, bytes);
    if (packet === undefined) return;
    const cut =
      this.#framing !== undefined && network.conditions.splitStreams && bytes.length > 1
        ? 1 + network.random.below(bytes.length - 1)
        : bytes.length;
    this.#transmit({ kind: 'bytes', bytes: bytes.subarray(0, cut), packet });
    if (cut < bytes.length) this.#transmit({ kind: 'bytes', bytes: bytes.subarray(cut), packet });
  }

  #transmit(entry: { kind: 'bytes'; bytes: Buffer; packet: MemoryPacket } | { kind: 'end' } | { kind: 'reset' }): void {
    const { network } = this.host;
    const { latencyMs } = network.conditions;
    const peer = this.#peer;
    if (peer === undefined) return;
    const line = peer.#inbound;
    // A tap that kills us while it looks at our message has let that message out: it goes before the reset.
    const at = entry.kind === 'bytes' && line.at(-1)?.kind === 'reset' ? line.length - 1 : line.length;
    line.splice(at, 0, { ...entry, dueMs: network.clock.now() + latencyMs });
    network.clock.after(latencyMs, () => peer.#pump());
  }

  /** Delivers what is due, in order, as far as the way is free. */
  #pump(): void {
    const { network } = this.host;
    const now = network.clock.now();
    for (let entry = this.#inbound[0]; entry !== undefined && entry.dueMs <= now; entry = this.#inbound[0]) {
      if (this.#state === 'connecting' || this.#state === 'idle') return;
      if (this.#peer !== undefined && network.blocked(this.#peer.host, this.host)) return;
      this.#inbound.shift();
      if (this.#state === 'ended') continue;
      if (entry.kind === 'bytes') this.#read(entry.bytes, entry.packet);
      else if (entry.kind === 'end') this.#end({ reason: 'closed', detail: 'the peer closed the connection' });
      else this.#end({ reason: 'reset', detail: 'ECONNRESET' });
    }
  }

  #read(bytes: Buffer, packet: MemoryPacket): void {
    // A message cut in two arrives with its last part.
    const isLastPart = bytes.byteOffset + bytes.length === packet.bytes.byteOffset + packet.bytes.length;
    if (isLastPart && !this.host.network.arrives(packet)) return;
    if (this.#dead() || this.#state !== 'open') return;
    const { events, options } = this.#socket;
    if (this.#framing === undefined) {
      if (bytes.length <= (options.maxMessageBytes ?? Number.POSITIVE_INFINITY))
        events.received(Buffer.from(bytes), this);
      return;
    }
    const { messages, reply, error } = this.#framing.push(Buffer.from(bytes));
    for (const message of messages) if (this.#socket.isOpen) events.received(message, this);
    if (reply !== undefined) this.send(reply);
    if (error === undefined) return;
    events.malformed?.(bytes, this, error);
    this.close();
  }

  #dead(): boolean {
    return !this.#socket.isOpen || this.host.crashed;
  }

  #leave(): void {
    this.#state = 'ended';
    this.#unsent = [];
    this.#socket.forget(this);
  }

  #end(error: TransmitError): void {
    this.#leave();
    if (!this.#dead()) this.#socket.events.failed(this, error);
  }

  #later(ms: number, run: () => void): void {
    this.host.clock.after(ms, run);
  }
}
