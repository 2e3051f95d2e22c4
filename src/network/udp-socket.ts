/** Datagram sockets: bound so that a port in use is noticed although our own sockets share it, and without any name lookup. */
import { createSocket, type Socket } from 'node:dgram';
import type { Flow } from '../network.ts';
import { type ControllerAddress, formatSocketAddress, type SocketAddress } from '../signaling/controller-address.ts';
import { socketBufferBytes } from './limits.ts';
import { bindError } from './local-address.ts';
import { errorCode } from './transmit-error.ts';

/**
 * Two steps: a first socket shows that no other program has the port, a second one, which others of ours may share (that is how
 * connected peers work), takes it. With address reuse alone a port in use would go unnoticed.
 */
export async function openSocket(
  wanted: ControllerAddress,
  isShared = false,
): Promise<{ socket: Socket; port: number }> {
  if (isShared) {
    // Who may have it besides us was found out before there were workers.
    const socket = await bound(wanted, wanted.port, 'workers').catch((error: unknown) => {
      throw bindError(wanted, error);
    });
    return { socket, port: socket.address().port };
  }
  for (let attempt = 1; ; attempt += 1) {
    try {
      const probe = await bound(wanted, wanted.port, 'nobody');
      const { port } = probe.address();
      await new Promise<void>((resolve) => probe.close(() => resolve()));
      return { socket: await bound(wanted, port, 'ourselves'), port };
    } catch (error) {
      // Port 0: another program may have got the same one between the two steps.
      if (wanted.port !== 0 || attempt >= 5 || errorCode(error) !== 'EADDRINUSE') throw bindError(wanted, error);
    }
  }
}

/** Who else may bind the address: nobody, our own sockets, or those of other workers, too. All sockets of a port have to agree. */
export type SharedWith = 'nobody' | 'ourselves' | 'workers';

/** A socket bound to the address; rejects with the system's error. */
export function bound({ host }: SocketAddress, port: number, sharedWith: SharedWith): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const type = host.includes(':') ? 'udp6' : 'udp4';
    // One family per listener: [::] and 0.0.0.0 may then be bound side by side.
    const reuseAddr = sharedWith !== 'nobody';
    const socket = createSocket({
      type,
      reuseAddr,
      ...(sharedWith === 'workers' ? { reusePort: true } : {}),
      ipv6Only: type === 'udp6',
      lookup: literalLookup,
    });
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind({ address: host, port, exclusive: true }, () => {
      socket.removeAllListeners('error');
      if (reuseAddr) enlargeBuffers(socket);
      resolve(socket);
    });
  });
}

function enlargeBuffers(socket: Socket): void {
  try {
    socket.setRecvBufferSize(socketBufferBytes);
    socket.setSendBufferSize(socketBufferBytes);
  } catch {
    // A system that grants no such size keeps its own: slower in a burst, otherwise the same.
  }
}

/** Names were resolved long before: a literal resolves to itself at once, anything else is an error. */
function literalLookup(
  host: string,
  _options: unknown,
  callback: (error: Error | null, address: string, family: number) => void,
): void {
  const family = host.includes(':') ? 6 : 4;
  callback(null, host, family);
}

export const datagramFlowId = ({ local, remote }: Flow): string =>
  `udp-${formatSocketAddress(local)}-${formatSocketAddress(remote)}`;
