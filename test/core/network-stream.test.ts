/** TCP over real sockets: connections, how they are found again, and how they end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { BindOptions, StreamLimits } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { lineFraming } from '../support/line-framing.ts';
import { closed, eventually, hasIpv6, type RealNetwork, realNetwork } from '../support/real-network.ts';

let net: RealNetwork = realNetwork();
const servers: Server[] = [];
const clients: Socket[] = [];
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await net.close();
  for (const server of servers.splice(0)) server.close();
  net = realNetwork();
});

const tcp = { transport: 'tcp' } as const;

describe('connections', () => {
  it('carry messages in order, whole, both ways, and are used again', async () => {
    const right = await net.station({ ...tcp, host: '127.0.0.2' }, lines(), (text, flow) =>
      flow.send(Buffer.from(`re: ${text}`)),
    );
    const left = await net.station(tcp, lines());
    const flow = left.listener.flowTo(right.listener.local);
    const numbers = Array.from({ length: 300 }, (_, index) => `${index} ${'x'.repeat(index)}\n`);
    for (const number of numbers) flow.send(Buffer.from(number));
    await eventually(() => left.texts.length === numbers.length);
    expect(right.texts).toEqual(numbers);
    expect(left.texts).toEqual(numbers.map((number) => `re: ${number}`));
    expect(left.listener.flowTo(right.listener.local)).toBe(flow);
    expect([left.listener.connections, right.listener.connections]).toEqual([1, 1]);
    expect(new Set(left.flows)).toEqual(new Set([flow]));
  });

  it('of peers are found by id and by where they come from', async () => {
    const right = await net.station({ ...tcp, host: '127.0.0.2' }, lines());
    const left = await net.station(tcp, lines());
    left.listener.flowTo(right.listener.local).send(Buffer.from('hello\n'));
    await eventually(() => right.flows.length === 1);
    const [inbound] = right.flows;
    expect(inbound?.remote.host).toBe('127.0.0.1');
    expect(inbound?.remote.port).not.toBe(left.listener.local.port);
    expect(inbound?.local).toEqual(right.listener.local);
    expect(right.listener.flowById(inbound?.id ?? '')).toBe(inbound);
    expect(right.listener.flowTo(inbound?.remote ?? right.listener.local)).toBe(inbound);
    expect(left.listener.flowById(inbound?.id ?? '')).toBeUndefined();
    inbound?.send(Buffer.from('back\n'));
    await eventually(() => left.texts.length === 1);
    expect(left.texts).toEqual(['back\n']);
  });

  it('are opened at the first send, not before', async () => {
    const right = await net.station({ ...tcp, host: '127.0.0.2' }, lines());
    const left = await net.station(tcp, lines());
    const flow = left.listener.flowTo(right.listener.local);
    for (let other = 1; other < 2_000; other += 1) left.listener.flowTo({ host: '127.0.0.3', port: other });
    expect(right.listener.connections).toBe(0);
    flow.send(Buffer.from('first\n'));
    await eventually(() => right.texts.length === 1);
    expect(left.listener.flowTo(right.listener.local)).toBe(flow);
  });

  it('leave from the listener’s own address', async () => {
    const right = await net.station({ ...tcp, host: '127.0.0.2' }, lines());
    const left = await net.station({ ...tcp, host: '127.0.0.7' }, lines());
    left.listener.flowTo(right.listener.local).send(Buffer.from('x\n'));
    await eventually(() => right.flows.length === 1);
    expect(right.flows[0]?.remote.host).toBe('127.0.0.7');
  });

  it('are answered a keep-alive by the framing, which is no message', async () => {
    const right = await net.station(tcp, lines());
    const client = await plainClient(right.listener.local.port);
    client.write('?\nhello\n');
    const [reply] = await once(client, 'data');
    expect(String(reply)).toBe('!\n');
    expect(right.texts).toEqual(['hello\n']);
  });

  it('with bytes that are no message are reported and closed; messages before them count', async () => {
    const right = await net.station(tcp, lines());
    const client = await plainClient(right.listener.local.port);
    client.write('good\n\0bad\nnever seen\n');
    await closed(client);
    expect(right.texts).toEqual(['good\n']);
    expect(right.malformed).toEqual(['a line must not begin with a zero octet']);
    await eventually(() => right.failures.length === 1);
    expect(right.listener.connections).toBe(0);
  });

  it.runIf(hasIpv6)('work over IPv6', async () => {
    const right = await net.station({ ...tcp, host: '::1' }, lines());
    const left = await net.station({ ...tcp, host: '::1' }, lines());
    const { port } = right.listener.local;
    const flow = left.listener.flowTo({ host: '0::1', port });
    flow.send(Buffer.from('six\n'));
    await eventually(() => right.texts.length === 1);
    expect([flow.remote.host, right.flows[0]?.remote.host]).toEqual(['::1', '::1']);
  });
});

describe('a failure', () => {
  it('is “refused” where nobody listens, later than send returns, and once', async () => {
    const left = await net.station(tcp, lines());
    const flow = left.listener.flowTo({ host: '127.0.0.2', port: await unusedPort() });
    for (const text of ['one\n', 'two\n', 'three\n']) flow.send(Buffer.from(text));
    expect(left.failures).toEqual([]);
    await eventually(() => left.failures.length > 0);
    await settle();
    expect(left.failures.map(({ error }) => error.reason)).toEqual(['refused']);
    expect(left.failures[0]?.flow).toBe(flow);
  });

  it('is “timeout” where the peer does not answer within the limit', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const deaf = await deafServer();
    const left = await net.station(tcp, lines({ connectMs: 700 }));
    const flow = left.listener.flowTo(deaf);
    flow.send(Buffer.from('x\n'));
    clock.advance(699);
    await settle();
    expect(left.failures).toEqual([]);
    clock.advance(1);
    expect(left.failures.map(({ error }) => error.reason)).toEqual(['timeout']);
  });

  it('is “unreachable” for an address that cannot be, and never thrown', async () => {
    const left = await net.station(tcp, lines());
    for (const remote of [
      { host: 'name.example', port: 5060 },
      { host: '127.0.0.1', port: 0 },
      { host: '127.0.0.1', port: 70_000 },
      { host: '::1', port: 5060 },
    ])
      left.listener.flowTo(remote).send(Buffer.from('x\n'));
    expect(left.failures).toEqual([]);
    await eventually(() => left.failures.length === 4);
    expect(new Set(left.failures.map(({ error }) => error.reason))).toEqual(new Set(['unreachable']));
  });

  it('is “closed” where the peer ends in order, “reset” where it breaks off; each is told once', async () => {
    const right = await net.station(tcp, lines());
    const orderly = await plainClient(right.listener.local.port);
    const broken = await plainClient(right.listener.local.port);
    orderly.write('orderly\n');
    broken.write('broken\n');
    await eventually(() => right.texts.length === 2);
    orderly.end();
    await eventually(() => right.failures.length === 1);
    broken.resetAndDestroy();
    await eventually(() => right.failures.length === 2);
    await settle();
    expect(right.failures.map(({ error }) => error.reason)).toEqual(['closed', 'reset']);
    expect(right.listener.connections).toBe(0);
  });

  it('is noticed when the peer’s process is killed', async () => {
    const left = await net.station(tcp, lines());
    const program = `require('node:net').createServer((s) => s.resume()).listen(0, '127.0.0.2', function () { console.log(this.address().port) })`;
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = await once(child.stdout, 'data');
    const flow = left.listener.flowTo({ host: '127.0.0.2', port: Number(String(line)) });
    flow.send(Buffer.from('x\n'));
    await eventually(() => left.listener.connections === 1);
    child.kill('SIGKILL');
    await eventually(() => left.failures.length === 1);
    expect(left.failures[0]?.flow).toBe(flow);
    expect(['closed', 'reset']).toContain(left.failures[0]?.error.reason);
  });

  it('is told again to who sends on a connection that has ended; a new flow connects anew', async () => {
    const right = await net.station(tcp, lines());
    const left = await net.station(tcp, lines());
    const flow = left.listener.flowTo(right.listener.local);
    flow.send(Buffer.from('one\n'));
    await eventually(() => right.flows.length === 1);
    right.flows[0]?.close();
    await eventually(() => left.failures.length === 1);
    flow.send(Buffer.from('two\n'));
    await eventually(() => left.failures.length === 2);
    expect(left.failures[1]).toMatchObject({ flow, error: { reason: 'closed' } });
    const next = left.listener.flowTo(right.listener.local);
    expect(next).not.toBe(flow);
    next.send(Buffer.from('three\n'));
    await eventually(() => right.texts.length === 2);
    expect(right.texts).toEqual(['one\n', 'three\n']);
    expect(right.failures).toEqual([]);
  });

  it('is “overflow” where a peer takes too little; the connection is given up', async () => {
    const deaf = await stallingServer();
    const left = await net.station(tcp, lines({ maxUnsentBytes: 100_000 }));
    const flow = left.listener.flowTo(deaf);
    for (let sent = 0; sent < 40 && left.failures.length === 0; sent += 1) {
      for (let each = 0; each < 50; each += 1) flow.send(Buffer.alloc(10_000, 'x'));
      await settle();
    }
    await eventually(() => left.failures.length > 0);
    expect(left.failures[0]?.error.reason).toBe('overflow');
    expect(left.failures.filter(({ error }) => error.reason === 'overflow')).toHaveLength(1);
    expect(left.listener.connections).toBe(0);
  });

  it('is “overflow” where many take too little together: one gives way, and the next ones to it', async () => {
    const left = await net.station(tcp, lines({ maxUnsentBytes: 1e9, maxUnsentTotalBytes: 300_000 }));
    const deaf = [await stallingServer(), await stallingServer(), await stallingServer()];
    const flows = deaf.map((each) => left.listener.flowTo(each));
    for (let sent = 0; sent < 200 && left.failures.length === 0; sent += 1) {
      for (const flow of flows) for (let each = 0; each < 5; each += 1) flow.send(Buffer.alloc(10_000, 'x'));
      await settle();
    }
    await eventually(() => left.failures.length > 0);
    expect(left.failures[0]?.error.reason).toBe('overflow');
    expect(left.listener.connections).toBeLessThan(3);
  });
});

describe('binding', () => {
  it('says what is wrong in one sentence', async () => {
    const ours = await net.station(tcp, lines());
    const { port } = ours.listener.local;
    await expect(net.station({ ...tcp, port }, lines())).rejects.toThrow(
      `tcp:127.0.0.1:${port} is already in use by another program`,
    );
    await expect(net.station({ ...tcp, host: '192.0.2.1', port: 5060 }, lines())).rejects.toThrow(
      'tcp:192.0.2.1:5060 is not an address of this machine',
    );
    await expect(net.station(tcp)).rejects.toThrow('tcp is not a transport of this protocol');
  });
});

describe('closing', () => {
  it('lets what was sent leave, ends every connection and frees the port; twice does no harm', async () => {
    const right = await net.station({ ...tcp, host: '127.0.0.2' }, lines());
    const left = await net.station(tcp, lines());
    const flow = left.listener.flowTo(right.listener.local);
    const big = `${'x'.repeat(60_000)}\n`;
    for (let each = 0; each < 15; each += 1) flow.send(Buffer.from(big));
    await Promise.all([left.listener.close(), left.listener.close()]);
    await eventually(() => right.texts.length === 15 && right.failures.length === 1);
    expect(right.failures[0]?.error.reason).toBe('closed');
    expect(left.failures).toEqual([]);
    expect([left.listener.connections, right.listener.connections]).toEqual([0, 0]);
    const again = await net.station({ ...tcp, port: left.listener.local.port }, lines());
    expect(again.listener.local.port).toBe(left.listener.local.port);
  });

  it('cuts a peer that will not end, after a while', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const right = await net.station(tcp, lines());
    const client = connect({ port: right.listener.local.port, host: '127.0.0.1', allowHalfOpen: true });
    clients.push(client);
    client.on('error', () => undefined);
    client.write('x\n');
    await eventually(() => right.texts.length === 1);
    let closed = false;
    const closing = right.listener.close().then(() => {
      closed = true;
    });
    await once(client.resume(), 'end');
    expect(closed).toBe(false);
    clock.advance(2_000);
    await closing;
  });
});

function lines(limits: Partial<StreamLimits> = {}): BindOptions {
  return { framing: lineFraming, limits };
}

async function plainClient(port: number): Promise<Socket> {
  const client = connect(port, '127.0.0.1');
  clients.push(client);
  client.on('error', () => undefined);
  await once(client, 'connect');
  return client;
}

async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.2');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Accepts and never reads. */
async function stallingServer(): Promise<{ host: string; port: number }> {
  const server = createServer({ pauseOnConnect: true }, (socket) => clients.push(socket)).listen(0, '127.0.0.2');
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  return { host: '127.0.0.2', port: typeof address === 'object' && address !== null ? address.port : 0 };
}

/** Another process that listens and never accepts: once its backlog is full, the system answers no further connection. */
async function deafServer(): Promise<{ host: string; port: number }> {
  const program = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.2', backlog: 1 }, function () {
    require('node:fs').writeSync(1, String(this.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 15_000);
  })`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = await once(child.stdout, 'data');
  const port = Number(String(line));
  const host = '127.0.0.2';
  for (let each = 0; each < 8; each += 1) {
    const client = connect(port, host);
    client.on('error', () => undefined);
    clients.push(client);
  }
  await eventually(() => clients.some((client) => !client.connecting));
  return { host, port };
}

/** What is under way in the event loop has happened. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
