/**
 * The npm package `sip` enters the project here and nowhere else, with what must be known of its inside (docs/adr/0002): it asks
 * `dgram` for one socket while an instance is made, and everything it sends and receives over UDP goes through that.
 */
import dgram from 'node:dgram';
import sip from 'sip';

export const sipPackage = sip;

/** The parts of a dgram socket that the package uses. */
export interface DatagramStandIn {
  bind(port: number, address: string): void;
  send(bytes: Buffer, offset: number, length: number, port: number, address: string): void;
  close(): void;
}

/** Runs `make`, which creates an instance of the package, with our stand-in as its UDP socket. */
export function withDatagramStandIn<T>(
  standIn: (onMessage: (bytes: Buffer, from: { address: string; port: number }) => void) => DatagramStandIn,
  make: () => T,
): T {
  const { createSocket } = dgram;
  const substitute = (_type: unknown, onMessage: Parameters<typeof standIn>[0]): DatagramStandIn => standIn(onMessage);
  dgram.createSocket = substitute as unknown as typeof createSocket;
  try {
    return make();
  } finally {
    dgram.createSocket = createSocket;
  }
}
