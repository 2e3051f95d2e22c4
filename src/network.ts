/**
 * The sockets as ports. `src/network/` implements them over node:dgram, node:net, node:tls and ws;
 * test/support/memory-network.ts over nothing at all, with latency, loss, duplication, reordering and partition.
 */
import type { ControllerAddress, SocketAddress, Transport } from './signaling/controller-address.ts';

/** One way to and from a peer: the two addresses of a datagram, or one connection. */
export interface Flow {
  readonly transport: Transport;
  /** Does the transport itself repeat what is lost? */
  readonly reliable: boolean;
  /** Our end: the listener's bound address (for an outgoing connection too: the address peers may answer to). */
  readonly local: SocketAddress;
  /** The peer's end: always an IP literal and the port that bytes come from. */
  readonly remote: SocketAddress;
  /** Unlike for any two connections of this process's life; equal for datagrams of one address pair. */
  readonly id: string;
  /** The name the peer proved by certificate, where it did. */
  readonly peerName?: string | undefined;
  /** A connection that another worker of this host has: which, and is it open there? */
  readonly relayed?: { readonly life: string; readonly id: string; readonly isOpen: boolean } | undefined;
  /**
   * Sends one message. `bytes` must not change afterwards. Never throws: what cannot be sent is reported to `NetworkEvents.failed`,
   * later than this call returns.
   */
  send(bytes: Uint8Array): void;
  /** Ends the connection; nothing to do for a datagram flow. */
  close(): void;
}

export type TransmitErrorReason = 'refused' | 'unreachable' | 'reset' | 'closed' | 'timeout' | 'tls' | 'overflow';

export interface TransmitError {
  readonly reason: TransmitErrorReason;
  /** The system's word for it (`ECONNREFUSED`), or a sentence. */
  readonly detail: string;
  /** Our own system refused to send it: no report of others, which may be forged. */
  readonly isLocal?: boolean;
}

export interface NetworkEvents {
  /** One whole message: a datagram, or what the stream framing cut out of a connection. `bytes` are the receiver's to keep. */
  received(bytes: Buffer, flow: Flow): void;
  /** A message is given to the flow to be sent. Absent where nobody keeps a trace. */
  sent?(bytes: Uint8Array, flow: Flow): void;
  /** The peer of this flow could not be reached: an ICMP error on a connected datagram flow, or the connection failed or ended. */
  failed(flow: Flow, error: TransmitError): void;
  /** Bytes that no framing can make sense of; the connection is closed right after. `bytes` are the start of what was there. */
  malformed?(bytes: Buffer, flow: Flow, reason: string): void;
  /** The floating address of this listener has left the host: another host has whatever was under way over it. */
  left?(local: ControllerAddress): void;
  /** It has come to this host, and is bound: what the other host had under way is ours to find out. */
  came?(local: ControllerAddress): void;
}

/** Cuts the messages out of one connection's bytes. One instance per connection. */
export interface StreamFraming {
  /**
   * Takes the next chunk; returns the whole messages now complete, in order, and the bytes to answer a keep-alive with, if one came.
   * `error` set: the stream is beyond repair.
   */
  push(chunk: Buffer): { readonly messages: readonly Buffer[]; readonly reply?: Buffer; readonly error?: string };
  /** Octets of a message that has begun and not ended. */
  readonly held: number;
}

export interface TlsOptions {
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly ca?: string | Buffer;
  /** Ask clients for a certificate and refuse those without a valid one. */
  readonly requireClientCert?: boolean;
  /** Check the server's certificate when we connect (default true). */
  readonly verify?: boolean;
}

export interface StreamLimits {
  /** Connections per remote IP address and listener. */
  readonly maxConnectionsPerSource: number;
  readonly maxConnections: number;
  /** A connection with no byte for this long is closed. */
  readonly idleMs: number;
  /** A connection that has sent no whole message for this long after it was accepted is closed. */
  readonly firstMessageMs: number;
  /** A message must have ended this long after its first octet, or its connection is closed. */
  readonly unfinishedMs: number;
  /** Octets of unfinished messages over all connections of a listener. */
  readonly maxUnfinishedBytes: number;
  readonly connectMs: number;
  /** Bytes that may wait to be written before a connection is given up. */
  readonly maxUnsentBytes: number;
  /** ... over all connections of a listener: whoever keeps most waiting is given up. */
  readonly maxUnsentTotalBytes: number;
}

export interface BindOptions {
  /** Needed for tcp, tls, ws and wss (a ws message is a message: framing is used for tcp and tls only). */
  readonly framing?: () => StreamFraming;
  readonly tls?: TlsOptions;
  /** WebSocket subprotocol to offer and demand. */
  readonly subprotocol?: string;
  readonly limits?: Partial<StreamLimits>;
  /** A datagram or WebSocket message above this is counted and dropped. */
  readonly maxMessageBytes?: number;
}

export interface FlowOptions {
  /** Datagrams: report the peer's ICMP errors, by a socket connected to it. */
  readonly connected?: boolean;
  /** The same for a few seconds only, and only while there are few of them: for peers of which there may be thousands. */
  readonly briefly?: boolean;
  /** TLS: the name that the peer's certificate must carry (else its address). */
  readonly serverName?: string;
}

/** A bound local address. */
export interface Listener {
  /** As bound: with the real port where 0 was asked for. */
  readonly local: ControllerAddress;
  /** The flow to a peer: an open connection is used again, else one is opened at the first send. */
  flowTo(remote: SocketAddress, options?: FlowOptions): Flow;
  /** The open connection with this id, if any. */
  flowById(id: string): Flow | undefined;
  /** Certificates for connections from now on; whether peers are asked for theirs stays as it is. @throws where they cannot be used. */
  renewTls?(tls: TlsOptions | undefined): void;
  /** Bound to an address that moves between hosts: is it on this one? Absent: an address that stays. */
  readonly floating?: 'here' | 'elsewhere';
  /** Number of open connections (0 for datagrams). */
  readonly connections: number;
  /** Ends all connections after what was sent has left; safe to call twice. */
  close(): Promise<void>;
}

export interface Network {
  /** @throws BindError (rejects) with a sentence that names the address and the reason. */
  bind(address: ControllerAddress, options: BindOptions, events: NetworkEvents): Promise<Listener>;
}
