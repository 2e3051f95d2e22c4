/**
 * The admin server: metrics and health for monitoring, plain data for the commands of the operator, and a stream of events.
 * All but metrics and health is for this machine, or for those who have the token: it tells who telephones whom, and it can end the
 * process. Where there is a token, whatever changes something needs it on this machine as well.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { isIP } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Attachment, type Page, pageOf } from './admin-page.ts';
import { type EventKind, type EventSource, EventStreams, eventKinds, isEventKind, usualKinds } from './admin-stream.ts';
import { systemClock } from './clock.ts';
import { networkHolds, readIpNetwork } from './config/ip-network.ts';
import { AltpathError, BindError } from './errors.ts';
import type { Contact } from './location-service.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { Admission } from './network/admission.ts';
import { defaultStreamLimits } from './network/limits.ts';
import { formatSocketAddress, type SocketAddress } from './signaling/controller-address.ts';

type Row = Readonly<Record<string, unknown>>;

/** What the server shows of the process that runs it. */
export interface AdminView {
  readonly metrics: Pick<Metrics, 'text' | 'contentType' | 'counter'>;
  readonly log: Logger;
  readonly state: () => 'starting' | 'ready' | 'draining' | 'stopped';
  readonly status: () => Row;
  readonly calls: () => readonly Row[];
  readonly peers: () => readonly Row[];
  /** What would become of a call to this number. */
  readonly explain: (number: string, from: string | undefined) => unknown;
  readonly registrations: () => Iterable<readonly [record: string, contacts: readonly Contact[]]>;
  /** Begins the orderly end; returns at once. */
  readonly drain: () => void;
  readonly events?: EventSource | undefined;
  /** Further lists, by path: what they show of these parameters, or why not. */
  readonly lists?: Readonly<Record<string, AdminQuery>> | undefined;
  /** The dashboard's files. */
  readonly pages?: PageSource | undefined;
  /** Further orders, by path. */
  readonly orders?: Readonly<Record<string, AdminQuery>> | undefined;
  /** What DELETE takes away, by path. */
  readonly removals?: Readonly<Record<string, AdminQuery>> | undefined;
}

/** Plain data. @throws AltpathError (rejects) with what is wrong with the parameters. */
export type AdminQuery = (query: URLSearchParams) => unknown;

export interface PageRequest {
  /** Behind `/dashboard/`. */
  readonly name: string;
  readonly acceptsGzip: boolean;
  /** What the browser has already. */
  readonly etag: string | undefined;
}

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Undefined: there is no such file. */
export type PageSource = (request: PageRequest) => Promise<Reply | undefined>;

export interface AdminServer {
  readonly address: SocketAddress;
  close(): Promise<void>;
}

/** A page of a list, and how many there are in all. */
export interface AdminList {
  readonly total: number;
  readonly items: readonly Row[];
}

/** @throws BindError (rejects) where the address cannot be had. */
export function startAdmin({ host, port }: SocketAddress, view: AdminView, token?: string): Promise<AdminServer> {
  const admission = new Admission(limits, systemClock, view.metrics, 'admin');
  const streams = view.events === undefined ? undefined : new EventStreams(systemClock, view.events);
  /** What ends a connection that takes too long; a stream of events may take all day. */
  const limitOf = new WeakMap<Socket, () => void>();
  const server = createServer(
    // One request per connection, so that whoever is in leaves again.
    { maxHeaderSize: 8_192, requestTimeout: requestMs, headersTimeout: requestMs, keepAlive: false },
    (request, response) => {
      const { remoteAddress = '', remotePort = 0 } = request.socket;
      admission.proven(remoteAddress, remotePort);
      answer(request, view, token, streams).then(
        (reply) => {
          if (typeof reply !== 'function') send(request, response, reply);
          else {
            limitOf.get(request.socket)?.();
            reply(response);
          }
        },
        (error: unknown) => {
          if (error instanceof AltpathError) {
            send(request, response, failure(400, error.message));
            return;
          }
          view.log.error({ err: error, url: request.url }, 'an admin request failed');
          send(request, response, failure(500, 'internal error, see the log'));
        },
      );
    },
  );
  server.maxHeadersCount = 64;
  server.on('connection', (socket) => {
    if (!admission.admit(socket)) return;
    // Neither a slow request nor a slow reader of the answer stays longer.
    const cancel = systemClock.after(connectionMs, () => socket.destroy());
    limitOf.set(socket, cancel);
    socket.once('close', cancel);
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const at = formatSocketAddress({ host, port });
      reject(new BindError(`cannot open the admin server on ${at}: ${bindProblem(error)}`, { cause: error }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', (error) => view.log.error({ err: error }, 'the admin server failed'));
      resolve({
        address: boundAddress(server, host),
        close: () => {
          streams?.close();
          return close(server, admission);
        },
      });
    });
  });
}

function bindProblem(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'the port is in use (choose another with --admin, or --admin off)';
    case 'EADDRNOTAVAIL':
      return 'this machine has no such address';
    case 'EACCES':
      return 'permission denied';
    default:
      return error.message;
  }
}

function boundAddress(server: Server, host: string): SocketAddress {
  const bound: AddressInfo | string | null = server.address();
  return typeof bound === 'object' && bound !== null ? { host: bound.address, port: bound.port } : { host, port: 0 };
}

/** The port is free at once; an answer under way may still leave. */
function close(server: Server, admission: Admission): Promise<void> {
  const cancel = systemClock.after(lastAnswerMs, () => admission.close());
  return new Promise((resolve) => {
    server.close(() => {
      cancel();
      resolve();
    });
    admission.closeUnproven();
  });
}

/** What begins the answer itself. */
type Streaming = (response: ServerResponse) => void;

async function answer(
  request: IncomingMessage,
  view: AdminView,
  token: string | undefined,
  streams: EventStreams | undefined,
): Promise<Reply | Streaming> {
  const [pathname = '/', words = ''] = (request.url ?? '/').split('?', 2);
  const query = new URLSearchParams(words);
  const removal = request.method === 'DELETE' ? view.removals?.[pathname] : undefined;
  if (removal !== undefined) return mayOrder(request, token) ?? json(200, await removal(query));
  if (request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'POST')
    return failure(405, 'GET and POST only');
  if (request.method === 'POST') {
    const order = view.orders?.[pathname];
    if (pathname !== '/drain' && order === undefined) return failure(404, `no POST ${pathname}`);
    const refusal = mayOrder(request, token);
    if (refusal !== undefined) return refusal;
    if (order !== undefined) return json(200, await order(query));
    view.drain();
    return json(202, { draining: true });
  }
  const list = view.lists?.[pathname];
  if (list !== undefined) return mayRead(request, token) ?? shown(await list(query));
  switch (pathname) {
    case '/metrics':
      return { status: 200, type: view.metrics.contentType, body: await view.metrics.text() };
    case '/access':
      return json(200, access(request, token));
    case '/healthz': {
      const state = view.state();
      return { status: state === 'ready' ? 200 : 503, type: 'text/plain; charset=utf-8', body: `${state}\n` };
    }
    case '/status':
    case '/calls':
    case '/peers':
    case '/registrations':
    case '/explain':
      return mayRead(request, token) ?? json(200, await data(pathname, query, view));
    case '/events':
      return mayRead(request, token) ?? stream(request, query, streams);
    default: {
      const page = await dashboard(request, pathname, view);
      if (page !== undefined) return page;
      const paths = [
        '/metrics',
        '/healthz',
        '/access',
        '/status',
        '/calls',
        '/peers',
        '/registrations',
        '/explain',
        '/events',
      ];
      const orders = [
        ...Object.keys(view.orders ?? {}).map((path) => `POST ${path}`),
        ...Object.keys(view.removals ?? {}).map((path) => `DELETE ${path}`),
      ];
      return failure(
        404,
        `there are ${[...paths, ...Object.keys(view.lists ?? {}), ...orders].join(', ')} and POST /drain`,
      );
    }
  }
}

/** Its files say nothing of this controller, so everybody may have them. */
async function dashboard(
  { headers }: IncomingMessage,
  pathname: string,
  { pages }: AdminView,
): Promise<Reply | undefined> {
  if (pages === undefined) return undefined;
  // Relative: whoever stands before this server may have put it into a folder of its own.
  if (pathname === '/') return moved('dashboard/');
  if (pathname === '/dashboard') return moved('dashboard/');
  if (!pathname.startsWith('/dashboard/')) return undefined;
  return pages({
    name: pathname.slice('/dashboard/'.length),
    acceptsGzip: /\bgzip\b/.test(String(headers['accept-encoding'] ?? '')),
    etag: headers['if-none-match'],
  });
}

const moved = (location: string): Reply => ({ status: 302, type: 'text/plain', body: '', headers: { location } });

const shown = (value: unknown): Reply =>
  value instanceof Attachment
    ? {
        status: 200,
        type: value.type,
        body: value.bytes,
        headers: { 'content-disposition': `attachment; filename="${value.name}"`, 'x-content-type-options': 'nosniff' },
      }
    : json(200, value);

/** What this reader may do, for a page that has to know before it asks. */
function access(request: IncomingMessage, token: string | undefined): Row {
  const given = request.headers.authorization !== undefined;
  return {
    read: mayRead(request, token) === undefined,
    order: mayOrder({ socket: request.socket, headers: { ...request.headers, 'x-altpath': '1' } }, token) === undefined,
    token: token === undefined ? 'none' : !given ? 'missing' : hasToken(request, token) ? 'right' : 'wrong',
  };
}

/** What the right to read and to order follows from. */
type Asker = Pick<IncomingMessage, 'socket' | 'headers'>;

function mayRead(request: Asker, token: string | undefined): Reply | undefined {
  if (isLocal(request) || (token !== undefined && hasToken(request, token))) return undefined;
  return token === undefined ? failure(403, 'from this machine only') : failure(401, 'give the token of adminToken');
}

/** A page in a browser of this machine can send a form here, but no header of its own without asking first. */
function mayOrder(request: Asker, token: string | undefined): Reply | undefined {
  if (request.headers['x-altpath'] === undefined) return failure(403, 'from this machine only');
  if (token === undefined) return isLocal(request) ? undefined : failure(403, 'from this machine only');
  return hasToken(request, token) ? undefined : failure(401, 'give the token of adminToken');
}

function hasToken({ headers }: Asker, token: string): boolean {
  const given = /^Bearer[ ]+(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  if (given === undefined) return false;
  const [a, b] = [Buffer.from(given), Buffer.from(token)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function stream(
  request: IncomingMessage,
  query: URLSearchParams,
  streams: EventStreams | undefined,
): Reply | Streaming {
  if (streams === undefined) return failure(404, 'no events here');
  if (streams.isFull) return failure(503, 'too many streams of events');
  const wanted = (query.get('kinds') ?? usualKinds.join(',')).split(',').filter((word) => word !== '');
  const kinds = wanted.filter(isEventKind);
  const unknown = wanted.find((word) => !isEventKind(word));
  if (unknown !== undefined)
    return failure(400, `no events of the kind "${unknown}": there are ${eventKinds.join(', ')}`);
  return (response) => streams.begin(request, response, new Set<EventKind>(kinds), query.get('about') ?? undefined);
}

async function data(
  path: '/status' | '/calls' | '/peers' | '/registrations' | '/explain',
  query: URLSearchParams,
  view: AdminView,
): Promise<unknown> {
  const page = pageOf(query);
  switch (path) {
    case '/status':
      return view.status();
    case '/calls':
      return cut(view.calls(), page);
    case '/peers':
      return cut(view.peers(), page);
    case '/explain':
      return view.explain((query.get('number') ?? '').slice(0, 256), query.get('from')?.slice(0, 256));
    case '/registrations':
      return registrations(view, query.get('record') ?? undefined, page);
  }
}

const cut = (rows: readonly Row[], { from, size }: Page): AdminList => ({
  total: rows.length,
  items: rows.slice(from, from + size),
});

/** One row per contact. All are counted, few are shown, and messages are served in between: there may be a million. */
async function registrations(view: AdminView, wanted: string | undefined, { from, size }: Page): Promise<AdminList> {
  const items: Row[] = [];
  let total = 0;
  let seen = 0;
  for (const [record, contacts] of view.registrations()) {
    seen += 1;
    if (seen % recordsPerTurn === 0) await nextTurn();
    if (wanted !== undefined && !record.includes(wanted)) continue;
    if (total + contacts.length > from && items.length < size)
      for (const contact of contacts.slice(Math.max(0, from - total), Math.max(0, from - total) + size - items.length))
        items.push(registration(record, contact));
    total += contacts.length;
  }
  return { total, items };
}

const registration = (record: string, contact: Contact): Row => ({
  record,
  ...contact,
  // JSON has no infinity: what never lapses has no end.
  expiresMs: Number.isFinite(contact.expiresMs) ? Math.round(contact.expiresMs) : null,
  updatedMs: Math.round(contact.updatedMs),
});

/** From a loopback address, and by a name that is no other site's (a page can make its own name lead to 127.0.0.1). */
function isLocal({ socket, headers }: Asker): boolean {
  const from = socket.remoteAddress ?? '';
  if (!loopback.some((network) => networkHolds(network, from))) return false;
  const name = (headers.host ?? '').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  return name === '' || name === 'localhost' || isIP(name) !== 0;
}

const loopback = ['127.0.0.0/8', '::1'].flatMap((text) => readIpNetwork(text) ?? []);

const json = (status: number, value: unknown): Reply => ({
  status,
  type: 'application/json; charset=utf-8',
  body: `${JSON.stringify(value)}\n`,
});

const failure = (status: number, error: string): Reply => json(status, { error });

function send(request: IncomingMessage, response: ServerResponse, { status, type, body, headers }: Reply): void {
  // Nothing here reads a body: what is sent is let go, and a sender that goes on loses the connection.
  request.resume();
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    connection: 'close',
    ...headers,
  });
  response.end(request.method === 'HEAD' || status === 304 ? undefined : body);
}

/** A request must be whole after this … */
const requestMs = 3_000;

/** … and its answer taken after this. */
const connectionMs = 15_000;

/** After its end, what is being answered has this long. */
const lastAnswerMs = 500;

/** Half-sent requests make way for new connections. */
const limits = { ...defaultStreamLimits, maxConnectionsPerSource: 64, maxConnections: 96, firstMessageMs: requestMs };

/** Less than 1 ms of work. */
const recordsPerTurn = 2_000;
