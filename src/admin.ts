/**
 * The admin server: metrics and health for monitoring, plain data for the commands `status`, `calls`, `peers`, `reg` and `drain`.
 * All but metrics and health is for this machine alone: it tells who telephones whom, and it can end the process.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isIP } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from './clock.ts';
import { networkHolds, readIpNetwork } from './config/ip-network.ts';
import { BindError } from './errors.ts';
import type { Contact } from './location-service.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { Admission } from './network/admission.ts';
import { defaultStreamLimits } from './network/limits.ts';
import { formatSocketAddress, type SocketAddress } from './signaling/controller-address.ts';

type Row = Readonly<Record<string, unknown>>;

/** What the server shows of the process that runs it. */
export interface AdminView {
  readonly metrics: Metrics;
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
}

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
export function startAdmin({ host, port }: SocketAddress, view: AdminView): Promise<AdminServer> {
  const admission = new Admission(limits, systemClock, view.metrics, 'admin');
  const server = createServer(
    // One request per connection, so that whoever is in leaves again.
    { maxHeaderSize: 8_192, requestTimeout: requestMs, headersTimeout: requestMs, keepAlive: false },
    (request, response) => {
      const { remoteAddress = '', remotePort = 0 } = request.socket;
      admission.proven(remoteAddress, remotePort);
      answer(request, view).then(
        (reply) => send(request, response, reply),
        (error: unknown) => {
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
      resolve({ address: boundAddress(server, host), close: () => close(server, admission) });
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

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function answer(request: IncomingMessage, view: AdminView): Promise<Reply> {
  const [pathname = '/', query = ''] = (request.url ?? '/').split('?', 2);
  if (request.method !== 'GET' && request.method !== 'HEAD' && request.method !== 'POST')
    return failure(405, 'GET and POST only');
  if (request.method === 'POST') {
    if (pathname !== '/drain') return failure(404, `no POST ${pathname}`);
    // A page in a browser of this machine can send a form here, but no header of its own without asking first.
    if (!isLocal(request) || request.headers['x-altpath'] !== 'drain') return failure(403, 'from this machine only');
    view.drain();
    return json(202, { draining: true });
  }
  switch (pathname) {
    case '/metrics':
      return { status: 200, type: view.metrics.contentType, body: await view.metrics.text() };
    case '/healthz': {
      const state = view.state();
      return { status: state === 'ready' ? 200 : 503, type: 'text/plain; charset=utf-8', body: `${state}\n` };
    }
    case '/status':
    case '/calls':
    case '/peers':
    case '/registrations':
    case '/explain':
      if (!isLocal(request)) return failure(403, 'from this machine only');
      return json(200, await data(pathname, new URLSearchParams(query), view));
    default:
      return failure(
        404,
        'there are /metrics, /healthz, /status, /calls, /peers, /registrations, /explain and POST /drain',
      );
  }
}

async function data(
  path: '/status' | '/calls' | '/peers' | '/registrations' | '/explain',
  query: URLSearchParams,
  view: AdminView,
): Promise<unknown> {
  const page = { from: count(query, 'offset', 0), size: Math.min(count(query, 'limit', defaultPage), maxPage) };
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

interface Page {
  readonly from: number;
  readonly size: number;
}

function count(query: URLSearchParams, name: string, otherwise: number): number {
  const asked = Number(query.get(name) ?? otherwise);
  return Number.isSafeInteger(asked) && asked >= 0 ? asked : otherwise;
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
function isLocal({ socket, headers }: IncomingMessage): boolean {
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

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Reply): void {
  // Nothing here reads a body: what is sent is let go, and a sender that goes on loses the connection.
  request.resume();
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    connection: 'close',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** A request must be whole after this … */
const requestMs = 3_000;

/** … and its answer taken after this. */
const connectionMs = 15_000;

/** After its end, what is being answered has this long. */
const lastAnswerMs = 500;

/** Half-sent requests make way for new connections. */
const limits = { ...defaultStreamLimits, maxConnectionsPerSource: 64, maxConnections: 96, firstMessageMs: requestMs };

const defaultPage = 1_000;

/** Some 10 ms of work. */
const maxPage = 5_000;

/** Less than 1 ms of work. */
const recordsPerTurn = 2_000;
