/** TCP and TLS over node:net and node:tls. The role's framing cuts the messages out of each connection's bytes. */
import { connect, type Socket } from 'node:net';
import { createServer, type Server as TlsServer, connect as tlsConnect } from 'node:tls';
import { BindError } from '../errors.ts';
import type { BindOptions, Listener, NetworkEvents, StreamFraming } from '../network.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import { keepAliveMs, startAcceptor } from './acceptor.ts';
import { Admission } from './admission.ts';
import type { Connection } from './connection.ts';
import { ConnectionTable } from './connection-table.ts';
import { defaultStreamLimits } from './limits.ts';
import { bindableAddress, isWildcard } from './local-address.ts';
import type { NetworkParts } from './network-parts.ts';
import { streamListener } from './stream-listener.ts';
import { clientName, tlsBindError, tlsClientOptions, tlsServerOptions } from './tls.ts';
import { transmitError } from './transmit-error.ts';
import { UnfinishedMessages } from './unfinished-messages.ts';

export async function bindStream(
  { clock, metrics, sharing }: NetworkParts,
  address: ControllerAddress,
  options: BindOptions,
  events: NetworkEvents,
): Promise<Listener> {
  const { transport } = address;
  let { tls } = options;
  const framing = framingOf(transport, options);
  const limits = { ...defaultStreamLimits, ...options.limits };
  const wanted = await bindableAddress(address);
  const admission = new Admission(limits, clock, metrics, transport);
  const unfinished = new UnfinishedMessages(limits, clock);

  const welcome = (socket: Socket, peerName: string | undefined): void => {
    const { remoteAddress: host, remotePort: port } = socket;
    if (host === undefined || port === undefined) return;
    const connection = table.accepted({ host, port }, () => admission.proven(host, port));
    carry(connection, socket, framing(), unfinished);
    connection.opened(peerName);
  };
  const tlsServer = transport === 'tls' ? makeTlsServer() : undefined;
  const acceptor = await startAcceptor(
    wanted,
    admission,
    (socket) => {
      if (tlsServer === undefined) welcome(socket, undefined);
      else tlsServer.emit('connection', socket);
    },
    sharing !== undefined,
  );

  const local = { ...wanted, port: acceptor.port };
  const table = new ConnectionTable({ local, limits, events, clock, metrics, dial });
  return streamListener(table, acceptor, admission, (fresh) => {
    tlsServer?.setSecureContext(tlsServerOptions(wanted, fresh, limits.firstMessageMs));
    tls = fresh;
  });

  function dial(connection: Connection): void {
    const { host, port } = connection.remote;
    const from = isWildcard(local.host) ? {} : { localAddress: local.host };
    if (transport === 'tcp') {
      const socket = connect({ host, port, ...from });
      carry(connection, socket, framing(), unfinished);
      socket.once('connect', () => connection.opened(undefined));
      return;
    }
    const name = connection.serverName ?? host;
    const socket = tlsConnect({ host, port, ...from, ...tlsClientOptions(name, tls) });
    carry(connection, socket, framing(), unfinished);
    socket.once('secureConnect', () => connection.opened(socket.authorized ? name : undefined));
  }

  function makeTlsServer(): TlsServer {
    const errors = metrics.counter('tls_errors_total', 'TLS handshakes that failed', { transport });
    const serverOptions = tlsServerOptions(wanted, tls, limits.firstMessageMs);
    try {
      const server = createServer(serverOptions, (socket) => welcome(socket, clientName(socket)));
      server.on('tlsClientError', (_error, socket) => {
        errors.add();
        socket.destroy();
      });
      return server;
    } catch (error) {
      throw tlsBindError(wanted, error);
    }
  }
}

function framingOf(transport: string, { framing }: BindOptions): () => StreamFraming {
  if (framing === undefined) throw new BindError(`${transport} is not a transport of this protocol`);
  return framing;
}

/** Joins a connection to the socket under it. */
function carry(connection: Connection, socket: Socket, framing: StreamFraming, unfinished: UnfinishedMessages): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, keepAliveMs);
  connection.attach({
    write: (bytes) => {
      socket.write(bytes);
    },
    get unsentBytes() {
      return socket.writableLength;
    },
    end: () => {
      socket.end();
    },
    destroy: () => {
      socket.destroy();
    },
  });
  const begun = unfinished.watch((reason) => connection.ended({ reason: 'closed', detail: reason }, 'unfinished'));
  socket.on('data', (chunk: Buffer) => {
    if (connection.hasEnded) return;
    connection.heard();
    const { messages, reply, error } = framing.push(chunk);
    begun.update(framing.held, messages.length > 0);
    for (const message of messages) {
      if (connection.hasEnded) return;
      connection.received(message);
    }
    if (reply !== undefined && connection.isOpen) connection.send(reply);
    if (error !== undefined) connection.malformed(chunk.subarray(0, shownBytes), error);
  });
  socket.on('end', () => connection.ended({ reason: 'closed', detail: 'the peer closed the connection' }));
  socket.on('error', (error) => connection.ended(transmitError(error, connection.isOpen ? 'reset' : 'unreachable')));
  socket.on('close', () => {
    begun.update(0, false);
    connection.wireClosed({ reason: 'closed', detail: 'the connection was closed' });
  });
}

/** Of malformed bytes this many are shown. */
const shownBytes = 256;
