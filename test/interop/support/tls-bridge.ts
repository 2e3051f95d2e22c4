/**
 * TLS for programs that have none (Debian's SIPp): plain TCP in, TLS out, and the other way round.
 * It looks at no byte, so what the proxy sees is what SIPp wrote.
 */
import { connect as connectTcp, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, Server as TlsServer } from 'node:tls';
import type { Certificate } from './certificate.ts';

export interface Bridge {
  /** Connections carried so far. */
  readonly carried: () => number;
  close(): Promise<void>;
}

export interface End {
  readonly host: string;
  readonly port: number;
}

/** Plain TCP arrives at `from`; each connection goes on to `to` over TLS. */
export const bridgeToTls = (from: End, to: End, certificate: Certificate): Promise<Bridge> =>
  bridge(createTcpServer(), from, () =>
    connectTls({ host: to.host, port: to.port, ca: certificate.cert, servername: '' }),
  );

/** TLS arrives at `from`; each connection goes on to `to` over plain TCP. */
export const bridgeFromTls = (from: End, to: End, certificate: Certificate): Promise<Bridge> =>
  bridge(createTlsServer({ cert: certificate.cert, key: certificate.key }), from, () =>
    connectTcp({ host: to.host, port: to.port }),
  );

async function bridge(server: Server, from: End, connect: () => Socket): Promise<Bridge> {
  const sockets = new Set<Socket>();
  let carried = 0;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.setNoDelay(true).on('close', () => sockets.delete(socket));
  };
  const onConnection = (near: Socket): void => {
    carried += 1;
    const far = keep(connect());
    keep(near).pipe(far).pipe(near);
    near.on('error', () => far.destroy()).on('close', () => far.destroy());
    far.on('error', () => near.destroy()).on('close', () => near.destroy());
  };
  server.on(server instanceof TlsServer ? 'secureConnection' : 'connection', onConnection);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(from.port, from.host, resolve);
  });
  return {
    carried: () => carried,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
