import { once } from 'node:events';
import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdminServer, type AdminView, startAdmin } from '../../src/admin.ts';
import { askAdmin } from '../../src/admin-client.ts';
import { type Contact, Metrics, silentLog } from '../../src/internal.ts';
import { eventually } from '../support/real-network.ts';

const servers: AdminServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

const view: AdminView = {
  metrics: new Metrics(),
  log: silentLog,
  state: () => 'ready',
  status: () => ({ node: 'a' }),
  calls: () => [],
  peers: () => [],
  registrations: () => [],
  explain: () => ({}),
  drain: () => undefined,
};

async function serve(own: Partial<AdminView> = {}, host = '127.0.0.1'): Promise<AdminServer> {
  const whole: AdminView = { ...view, metrics: new Metrics(), ...own };
  const server = await startAdmin({ host, port: 0 }, whole);
  servers.push(server);
  return server;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

const ask = (
  { address }: AdminServer,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; host?: string } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body, host = '127.0.0.1' } = options;
    const asking = request({ host, port: address.port, path, method, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    asking.on('error', reject);
    asking.end(body);
  });

const contact = (key: string, expiresMs = 1_000.5): Contact => ({
  protocol: 'x',
  target: `x:${key}`,
  key,
  path: [],
  alternates: [],
  expiresMs,
  q: 1_000,
  updatedMs: 1,
});

describe('admin server', () => {
  it('shows metrics as Prometheus text', async () => {
    const metrics = new Metrics();
    metrics.counter('sent_total', 'Sent').add(3);
    const { status, body } = await ask(await serve({ metrics }), '/metrics');
    expect(status).toBe(200);
    expect(body).toContain('altpath_sent_total 3\n');
  });

  it.each([
    ['starting', 503],
    ['ready', 200],
    ['draining', 503],
  ] as const)('says on /healthz that it is %s with %d', async (state, status) => {
    expect(await ask(await serve({ state: () => state }), '/healthz')).toEqual({ status, body: `${state}\n` });
  });

  it('gives status, calls and peers as JSON', async () => {
    const server = await serve({ calls: () => [{ id: 1 }], peers: () => [{ peer: 'b' }, { peer: 'c' }] });
    expect(await askAdmin(server.address, '/status')).toEqual({ node: 'a' });
    expect(await askAdmin(server.address, '/calls')).toEqual({ total: 1, items: [{ id: 1 }] });
    expect(await askAdmin(server.address, '/peers?limit=1')).toEqual({ total: 2, items: [{ peer: 'b' }] });
  });

  it('lists registrations one contact a row; a provisioned one never lapses', async () => {
    const registrations: AdminView['registrations'] = () => [
      ['alice', [contact('1'), contact('2', Number.POSITIVE_INFINITY)]],
      ['bob', [contact('3')]],
    ];
    const server = await serve({ registrations });
    expect(await askAdmin(server.address, '/registrations')).toMatchObject({
      total: 3,
      items: [{ record: 'alice', key: '1', expiresMs: 1001 }, { key: '2', expiresMs: null }, { record: 'bob' }],
    });
    expect(await askAdmin(server.address, '/registrations?record=bo')).toMatchObject({ total: 1 });
  });

  it('shows page after page, each contact once', async () => {
    const all = ['a', 'b', 'c', 'd'].map((name) => [name, [contact('1'), contact('2'), contact('3')]] as const);
    const server = await serve({ registrations: () => all });
    const keys: string[] = [];
    for (let offset = 0; offset < 12; offset += 5) {
      const { body } = await ask(server, `/registrations?offset=${offset}&limit=5`);
      const page: { total: number; items: { record: string; key: string }[] } = JSON.parse(body);
      expect(page.total).toBe(12);
      keys.push(...page.items.map(({ record, key }) => record + key));
    }
    expect(keys).toEqual(['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'c1', 'c2', 'c3', 'd1', 'd2', 'd3']);
  });

  it('counts a million registrations without sending them, and serves others in between', async () => {
    function* registrations(): Generator<readonly [string, readonly Contact[]]> {
      const contacts = [contact('1')];
      for (let index = 0; index < 1_000_000; index += 1) yield [`user${index}`, contacts];
    }
    const server = await serve({ registrations });
    let done = false;
    const counting = ask(server, '/registrations?limit=99999999').finally(() => {
      done = true;
    });
    await ask(server, '/healthz');
    expect(done).toBe(false);
    expect(JSON.parse((await counting).body)).toMatchObject({ total: 1_000_000, items: { length: 5_000 } });
  });

  it('drains on a POST of the command, once per POST', async () => {
    let drains = 0;
    const server = await serve({ drain: () => ++drains });
    expect(await askAdmin(server.address, '/drain', { method: 'POST' })).toEqual({ draining: true });
    expect(drains).toBe(1);
  });

  it('does not drain for a web page: no header of its own, or by another name than ours', async () => {
    let drains = 0;
    const server = await serve({ drain: () => ++drains });
    expect((await ask(server, '/drain', { method: 'POST' })).status).toBe(403);
    const headers = { 'x-altpath': 'drain', host: 'evil.example:9060' };
    expect((await ask(server, '/drain', { method: 'POST', headers })).status).toBe(403);
    expect((await ask(server, '/registrations', { headers: { host: 'evil.example' } })).status).toBe(403);
    expect((await ask(server, '/drain')).status).toBe(404);
    expect(drains).toBe(0);
  });

  const outside = Object.values(networkInterfaces())
    .flat()
    .find((each) => each !== undefined && !each.internal && each.family === 'IPv4')?.address;

  it.skipIf(outside === undefined)('tells other machines metrics and health, and nothing else', async () => {
    const server = await serve({}, '0.0.0.0');
    const options = { host: outside ?? '' };
    expect((await ask(server, '/healthz', options)).status).toBe(200);
    expect((await ask(server, '/metrics', options)).status).toBe(200);
    for (const path of ['/status', '/calls', '/peers', '/registrations'])
      expect((await ask(server, path, options)).status).toBe(403);
    const drain = { ...options, method: 'POST', headers: { 'x-altpath': 'drain' } };
    expect((await ask(server, '/drain', drain)).status).toBe(403);
  });

  it('answers what it does not know with 404 and 405', async () => {
    const server = await serve();
    expect((await ask(server, '/')).status).toBe(404);
    expect((await ask(server, '/status', { method: 'DELETE' })).status).toBe(405);
    expect((await ask(server, '//')).status).toBe(404);
    expect((await ask(server, 'http://[/')).status).toBe(404);
  });

  it('survives a request that is none, and a body that nobody asked for', async () => {
    const server = await serve();
    const socket = connect(server.address.port, '127.0.0.1', () => socket.write('\u0000garbage\r\n\r\n'));
    await new Promise((resolve) =>
      socket
        .on('close', resolve)
        .on('error', () => undefined)
        .resume(),
    );
    const { status } = await ask(server, '/drain', { method: 'POST', body: 'x'.repeat(100_000) });
    expect(status).toBe(403);
    expect((await ask(server, '/healthz')).status).toBe(200);
  });

  it('answers 500 and goes on when a protocol throws', async () => {
    const server = await serve({
      status: () => {
        throw new Error('boom');
      },
    });
    await expect(askAdmin(server.address, '/status')).rejects.toThrow(/internal error/);
    expect((await ask(server, '/healthz')).status).toBe(200);
  });

  it('says that its port is in use', async () => {
    const { address } = await serve();
    await expect(startAdmin(address, view)).rejects.toThrow(
      `cannot open the admin server on 127.0.0.1:${address.port}: the port is in use`,
    );
  });
});

describe('admin server: whoever sends requests in part', () => {
  const half = async (server: AdminServer, text: string): Promise<Socket> => {
    const socket = connect(server.address.port, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };

  it('does not keep others out, with 300 of them', async () => {
    const server = await serve();
    const sockets = await Promise.all(
      Array.from({ length: 300 }, (_, index) => half(server, index % 2 === 0 ? 'GET /healthz HTTP/1.1\r\nX: ' : '')),
    );
    const before = performance.now();
    for (let turn = 0; turn < 10; turn += 1) expect((await ask(server, '/healthz')).status).toBe(200);
    expect(performance.now() - before).toBeLessThan(2_000);
    await eventually(() => sockets.every(({ closed }) => closed), 'all are gone', 8_000);
  });

  it('has few seconds, however slowly it goes on', async () => {
    const server = await serve();
    const socket = await half(server, 'GET /healthz HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('x: y\r\n'), 100);
    await eventually(() => socket.closed, 'the slow one is gone', 8_000);
    clearInterval(drip);
  });

  it('has one request per connection: none is kept open', async () => {
    const server = await serve();
    const socket = await half(server, 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n');
    await eventually(() => socket.closed, 'closed after the answer', 2_000);
  });

  it('keeps the connection of a body without an end no longer than that of another', async () => {
    const server = await serve();
    const socket = await half(server, 'POST /drain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
    const drip = setInterval(() => socket.write('1\r\nx\r\n'), 50);
    await eventually(() => socket.closed, 'closed', 4_000);
    clearInterval(drip);
    expect((await ask(server, '/healthz')).status).toBe(200);
  });
});

describe('admin server: its end', () => {
  it('frees the port at once, while an answer under way still leaves', async () => {
    const contacts = [contact('1')];
    const begun = Promise.withResolvers<void>();
    function* registrations(): Generator<readonly [string, readonly Contact[]]> {
      begun.resolve();
      for (let index = 0; index < 100_000; index += 1) yield [`user${index}`, contacts];
    }
    const server = await serve({ registrations });
    const answer = ask(server, '/registrations?limit=1');
    await begun.promise;
    const closing = server.close();
    const next = await startAdmin(server.address, { ...view, state: () => 'ready' });
    servers.push(next);
    expect((await ask(next, '/healthz')).status).toBe(200);
    expect(JSON.parse((await answer).body)).toMatchObject({ total: 100_000 });
    await closing;
  });
});

describe('admin client', () => {
  it('says that nobody answers', async () => {
    const server = await serve();
    const { address } = server;
    await server.close();
    await expect(askAdmin(address, '/status')).rejects.toThrow(
      `no altpath answers on 127.0.0.1:${address.port}: is one running`,
    );
  });

  it('says that something else answers', async () => {
    const server = await serve();
    await expect(askAdmin(server.address, '/metrics')).rejects.toThrow('is no altpath');
  });
});
