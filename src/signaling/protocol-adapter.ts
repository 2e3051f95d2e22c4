/**
 * The contract of a protocol: all that the core asks of one, and nothing that it does not ask. `M` is the protocol's own message type and
 * opaque to the core. test/contract/protocol-adapter.contract.ts examines every adapter by the same questions.
 */

import type { StreamFraming } from '../network.ts';
import type { Result } from '../result.ts';
import type { ControllerAddress, Transport } from './controller-address.ts';
import type { PathAttribute } from './path-attribute.ts';

/** Why bytes are no message, with what is needed to answer them all the same. */
export interface DecodeFailure {
  readonly reason: string;
  /** Octet at which decoding stopped. */
  readonly offset: number;
  /** The protocol's own code for the error, where it has one. */
  readonly code?: number;
  /** The answer the protocol owes to the sender, with our attribute where it has a place for it; absent where it must stay silent. */
  readonly answer?: (path: PathAttribute | undefined) => Uint8Array;
}

export interface ProtocolAdapter<M> {
  /** Short name for logs and metrics. */
  readonly protocol: string;
  /** Stream framing for connections; absent where the protocol has none. */
  readonly framing?: () => StreamFraming;
  readonly subprotocol?: string;

  /** Bytes that only keep a way open and are no message: ignored, and no sign of life, for anybody can send them. */
  isKeepAlive?(bytes: Uint8Array): boolean;
  /** The octets that the sender of such bytes waits for over this transport, where it waits for any. */
  keepAliveAnswer?(bytes: Uint8Array, transport: Transport): Uint8Array | undefined;
  /** Never throws, whatever the bytes; linear time. */
  decode(bytes: Uint8Array): Result<M, DecodeFailure>;
  /**
   * The message's octets with our attribute in every place that the protocol gives it, in place of any it had there. Without a path: as the
   * message is; for one that came from `decode` unchanged, an equivalent (for a text forwarder the same) message.
   */
  encode(message: M, path: PathAttribute | undefined): Uint8Array;
  /** Every path attribute that the message carries, those that govern an answer first. Malformed ones are left out. */
  paths(message: M): readonly PathAttribute[];
  /** A harmless request that any living peer answers. `id` makes its transaction unlike any other, and its answer hard to forge. */
  probe(to: ControllerAddress, from: ControllerAddress, id: string): M;
}
