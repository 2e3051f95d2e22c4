/**
 * The contract of a protocol: all that the core ever asks of a protocol. `M` is the protocol's own message type and
 * opaque to the core. test/contract/protocol-adapter.contract.ts examines every adapter by the same questions.
 */

import type { StreamFraming } from '../network.ts';
import type { Result } from '../result.ts';
import type { ControllerAddress, Transport } from './controller-address.ts';
import type { PathAttribute } from './path-attribute.ts';

/** request: awaits a response. response: ends or advances a request. event: awaits nothing. */
export type SignalKind = 'request' | 'response' | 'event';

/** Why bytes are no message, with what is needed to answer them all the same. */
export interface DecodeFailure {
  readonly reason: string;
  /** Octet at which decoding stopped. */
  readonly offset: number;
  /** The protocol's own code for the error, where it has one. */
  readonly code?: number;
  /** The answer the protocol owes to the sender, ready to send; absent where it must stay silent. */
  readonly answer?: Uint8Array;
}

/** What a backup needs to act in place of a primary. */
export interface Takeover {
  /** The dead controller, as the message names it. */
  readonly primary: ControllerAddress;
  /** The address of ours that the message names as an alternate, and from which we shall send. */
  readonly self: ControllerAddress;
  /** What we write in its place: ourselves, with our alternates (the primary among them). */
  readonly path: PathAttribute;
}

export interface ProtocolAdapter<M> {
  /** Short name for logs and metrics. */
  readonly protocol: string;
  defaultPort(transport: Transport): number;
  /** Stream framing for connections; absent where the protocol has none. */
  readonly framing?: () => StreamFraming;
  readonly subprotocol?: string;

  /** Bytes that only keep a way open and are no message: ignored, and no sign of life, for anybody can send them. */
  isKeepAlive?(bytes: Uint8Array): boolean;
  /** The octets that the sender of such bytes waits for over this transport, where it waits for any. */
  keepAliveAnswer?(bytes: Uint8Array, transport: Transport): Uint8Array | undefined;
  /** Never throws, whatever the bytes; linear time. */
  decode(bytes: Uint8Array): Result<M, DecodeFailure>;
  /** The message's octets; for a message that came from `decode` unchanged, an equivalent (for a text forwarder the same) message. */
  encode(message: M): Uint8Array;

  kind(message: M): SignalKind;
  /** Equal for a request, its repetitions and its responses; unlike for any two transactions. */
  transactionKey(message: M): string;

  /** Every path attribute that the message carries, those that govern an answer first. Malformed ones are left out. */
  pathAttributes(message: M): readonly PathAttribute[];
  /** The message with our path attribute in every place that the protocol gives it; a second insertion replaces the first. */
  insertPath(message: M, path: PathAttribute): M;
  /** The addresses this message itself names as its next hop, in order; empty where only the location service can tell. */
  namedAddresses(message: M): readonly ControllerAddress[];
  /** As backup: the message with its routing attributes rewritten from the primary to us; undefined where it names no such primary. */
  takeOver(message: M, takeover: Takeover): M | undefined;
  /** A harmless request that any living peer answers. `id` makes its transaction unlike any other, and its answer hard to forge. */
  probe(to: ControllerAddress, from: ControllerAddress, id: string): M;
}
