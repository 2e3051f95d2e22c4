/** The listening socket of every connection-oriented transport: binds, and lets in whom admission lets in. */
import { createServer, type Server, type Socket } from 'node:net';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { Admission } from './admission.ts';
import { bindError } from './local-address.ts';

export interface Acceptor {
  readonly port: number;
  close(): Promise<void>;
}

export async function startAcceptor(
  address: ControllerAddress,
  admission: Admission,
  onSocket: (socket: Socket) => void,
  isShared = false,
): Promise<Acceptor> {
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs }, (socket) => {
    if (admission.admit(socket)) onSocket(socket);
  });
  const port = await listening(server, address, isShared);
  // An accept that fails (out of descriptors) concerns the one connection: go on with the next.
  server.on('error', () => undefined);
  return { port, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** TCP keep-alive probes begin after this much silence, so that a peer that vanished is noticed some day. */
export const keepAliveMs = 60_000;

function listening(server: Server, address: ControllerAddress, isShared: boolean): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(bindError(address, error)));
    const { host, port } = address;
    // One family per listener, as for datagrams.
    const options = { host, port, ipv6Only: host.includes(':'), exclusive: true, backlog: 1_024 };
    server.listen(isShared ? { ...options, reusePort: true } : options, () => {
      server.removeAllListeners('error');
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port);
    });
  });
}
