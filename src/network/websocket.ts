/**
 * WebSocket (RFC 6455) over the package `ws`, on HTTP servers that exist for the handshake alone. A message is a message, in a text or
 * a binary frame; the role's subprotocol is demanded at the handshake.
 */
import { isUtf8 } from 'node:buffer';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createSecureServer, Server as SecureServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket, connect as tlsConnect } from 'node:tls';
import { WebSocket, WebSocketServer } from 'ws';
import type { Counter } from '../metrics.ts';
import type { BindOptions, Listener, NetworkEvents } from '../network.ts';
import { type ControllerAddress, formatSocketAddress } from '../signaling/controller-address.ts';
import { startAcceptor } from './acceptor.ts';
import { Admission } from './admission.ts';
import type { Connection } from './connection.ts';
import { ConnectionTable } from './connection-table.ts';
import { defaultMaxMessageBytes, defaultStreamLimits, maxPieces } from './limits.ts';
import { bindableAddress, isWildcard } from './local-address.ts';
import type { NetworkParts } from './network-parts.ts';
import { streamListener } from './stream-listener.ts';
import { clientName, tlsBindError, tlsClientOptions, tlsServerOptions } from './tls.ts';
import { errorCode, transmitError } from './transmit-error.ts';
import { UnfinishedMessages } from './unfinished-messages.ts';

export async function bindWebSocket(
  { clock, metrics, sharing }: NetworkParts,
  address: ControllerAddress,
  options: BindOptions,
  events: NetworkEvents,
): Promise<Listener> {
  const { transport } = address;
  let { tls } = options;
  const { subprotocol, maxMessageBytes = defaultMaxMessageBytes } = options;
  const limits = { ...defaultStreamLimits, ...options.limits };
  const wanted = await bindableAddress(address);
  const admission = new Admission(limits, clock, metrics, transport);
  const unfinished = new UnfinishedMessages(limits, clock);
  const oversize = metrics.counter('messages_oversize_total', 'Messages above the size limit, dropped', { transport });
  const refused = metrics.counter('connections_refused_total', 'Incoming connections closed by a limit, by reason', {
    transport,
    reason: 'handshake',
  });

  const handshake = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Compression costs memory per connection and time per message, for texts of a few hundred bytes.
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    ...pieces,
    handleProtocols: (offered) => (subprotocol !== undefined && offered.has(subprotocol) ? subprotocol : false),
  });
  handshake.on('wsClientError', () => refused.add());

  const server = transport === 'wss' ? makeSecureServer() : createServer(httpOptions);
  server.on('request', (_request, response) => {
    refused.add();
    response.writeHead(426, { Connection: 'close', Upgrade: 'websocket' }).end();
  });
  server.on('clientError', (_error, socket) => {
    refused.add();
    socket.destroy();
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => undefined);
    if (subprotocol !== undefined && !offers(request, subprotocol)) {
      refused.add();
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    handshake.handleUpgrade(request, socket, head, (webSocket) => welcome(webSocket, request.socket));
  });

  const acceptor = await startAcceptor(
    wanted,
    admission,
    (socket) => {
      server.emit('connection', socket);
    },
    sharing !== undefined,
  );
  const local = { ...wanted, port: acceptor.port };
  const table = new ConnectionTable({ local, limits, events, clock, metrics, dial });
  return streamListener(table, acceptor, admission, (fresh) => {
    if (server instanceof SecureServer) server.setSecureContext(tlsServerOptions(wanted, fresh, limits.firstMessageMs));
    tls = fresh;
  });

  function welcome(webSocket: WebSocket, socket: Socket): void {
    const { remoteAddress: host, remotePort: port } = socket;
    if (host === undefined || port === undefined) {
      webSocket.terminate();
      return;
    }
    const connection = table.accepted({ host, port }, () => admission.proven(host, port));
    carry(connection, webSocket, oversize);
    watch(connection, webSocket, socket, unfinished);
    connection.opened(socket instanceof TLSSocket ? clientName(socket) : undefined);
  }

  function dial(connection: Connection): void {
    const { host, port } = connection.remote;
    const name = connection.serverName ?? host;
    const to = { host, port, ...(isWildcard(local.host) ? {} : { localAddress: local.host }) };
    const socket = transport === 'wss' ? tlsConnect({ ...to, ...tlsClientOptions(name, tls) }) : connect(to);
    socket.setNoDelay(true);
    const webSocket = new WebSocket(
      `${transport}://${formatSocketAddress(connection.remote)}/`,
      subprotocol === undefined ? [] : [subprotocol],
      { perMessageDeflate: false, maxPayload: maxMessageBytes, ...pieces, createConnection: () => socket },
    );
    carry(connection, webSocket, oversize);
    webSocket.on('open', () => {
      watch(connection, webSocket, socket, unfinished);
      connection.opened(socket instanceof TLSSocket && socket.authorized ? name : undefined);
    });
  }

  function makeSecureServer(): Server {
    const errors = metrics.counter('tls_errors_total', 'TLS handshakes that failed', { transport });
    const tlsOptions = tlsServerOptions(wanted, tls, limits.firstMessageMs);
    try {
      const secure = createSecureServer({ ...tlsOptions, ...httpOptions });
      secure.on('tlsClientError', (_error, socket) => {
        errors.add();
        socket.destroy();
      });
      return secure;
    } catch (error) {
      throw tlsBindError(wanted, error);
    }
  }
}

/** A frame or a message in very many pieces ends its connection (RFC 6455 §10.4). */
const pieces = { maxFragments: maxPieces, maxBufferedChunks: maxPieces };

/** The handshake's deadline is admission's. */
const httpOptions = { maxHeaderSize: 16_384, keepAlive: false, requestTimeout: 0, headersTimeout: 0 };

/** RFC 6455 §4.2.1: the client lists the subprotocols it would speak. */
function offers(request: IncomingMessage, subprotocol: string): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((each) => each.trim() === subprotocol);
}

/** Joins a connection to the WebSocket under it. */
function carry(connection: Connection, webSocket: WebSocket, oversize: Counter): void {
  connection.attach({
    // RFC 6455 §5.6: a text frame must be UTF-8.
    write: (bytes) => webSocket.send(bytes, { binary: !isUtf8(bytes) }),
    get unsentBytes() {
      return webSocket.bufferedAmount;
    },
    end: () => webSocket.close(normalClosure),
    destroy: () => webSocket.terminate(),
  });
  const heard = (): void => connection.heard();
  webSocket.on('ping', heard);
  webSocket.on('pong', heard);
  webSocket.on('message', (data) => {
    if (connection.hasEnded || !Buffer.isBuffer(data)) return;
    connection.heard();
    connection.received(data);
  });
  webSocket.on('unexpected-response', (request, response) => {
    connection.ended({ reason: 'refused', detail: `HTTP ${response.statusCode}` });
    request.destroy();
  });
  webSocket.on('error', (error) => {
    if (errorCode(error) === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') oversize.add();
    connection.ended(transmitError(error, connection.isOpen ? 'closed' : 'refused'));
  });
  webSocket.on('close', (code) =>
    connection.wireClosed({ reason: code === abnormalClosure ? 'reset' : 'closed', detail: `WebSocket close ${code}` }),
  );
}

/** A WebSocket does not tell of frames that have begun: what came and was part of no message yet is reckoned here. */
function watch(connection: Connection, webSocket: WebSocket, socket: Socket, unfinished: UnfinishedMessages): void {
  const begun = unfinished.watch((reason) => connection.ended({ reason: 'closed', detail: reason }, 'unfinished'));
  let octets = 0;
  const update = (completed: boolean): void => begun.update(octets > frameHeads ? octets : 0, completed);
  const came = (data: unknown): void => {
    octets -= Buffer.isBuffer(data) ? data.length : 0;
    if (octets <= frameHeads) octets = 0;
    update(true);
  };
  socket.prependListener('data', (chunk: Buffer) => {
    octets += chunk.length;
  });
  socket.on('data', () => update(false));
  webSocket.on('message', came);
  webSocket.on('ping', came);
  webSocket.on('pong', came);
  webSocket.on('close', () => begun.update(0, false));
}

/** The heads of a message's frames are up to 14 octets each (RFC 6455 §5.2) and come out with no message. */
const frameHeads = 2_048;

/** RFC 6455 §7.4.1. 1006 is never sent: the connection broke without a close frame. */
const normalClosure = 1_000;
const abnormalClosure = 1_006;
