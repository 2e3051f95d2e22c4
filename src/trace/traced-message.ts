/** A recorded message and what it says. */
import type { SocketAddress } from '../signaling/controller-address.ts';
import type { MessageReading } from './message-reader.ts';
import type { RecordedMessage } from './message-ring.ts';

export interface TracedMessage extends RecordedMessage {
  /** Since the Unix epoch, by the machine's calendar. */
  readonly wallMs: number;
  readonly readings: readonly MessageReading[];
}

/** From whom to whom it went. */
export const endsOf = ({
  direction,
  local,
  remote,
}: RecordedMessage): readonly [from: SocketAddress, to: SocketAddress] =>
  direction === 'in' ? [remote, local] : [local, remote];
