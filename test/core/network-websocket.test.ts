/** RFC 6455 over real sockets: the subprotocol is demanded, a message is a message, nobody is disturbed by others. */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { BindOptions, StreamLimits } from '../../src/internal.ts';
import { partnerTls, serverTls, testCa } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { closed, eventually, type RealNetwork, realNetwork } from '../support/real-network.ts';

let net: RealNetwork = realNetwork();
const clients: WebSocket[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate();
  await net.close();
  net = realNetwork();
});

describe.each(['ws', 'wss'] as const)('messages over %s', (transport) => {
  it('go both ways on one connection, in order, found again by id and by peer', async () => {
    const right = await net.station({ transport, host: '127.0.0.2' }, frames(), (text, flow) =>
      flow.send(Buffer.from(`re: ${text}`)),
    );
    const left = await net.station({ transport }, frames());
    const flow = left.listener.flowTo(right.listener.local);
    const texts = Array.from({ length: 100 }, (_, index) => `${index}\nof any\r\nlines ${'x'.repeat(index * 10)}`);
    for (const text of texts) flow.send(Buffer.from(text));
    await eventually(() => left.texts.length === texts.length);
    expect(right.texts).toEqual(texts);
    expect(left.texts).toEqual(texts.map((text) => `re: ${text}`));
    expect(left.listener.flowTo(right.listener.local)).toBe(flow);
    expect([left.listener.connections, right.listener.connections]).toEqual([1, 1]);
    const [inbound] = right.flows;
    expect(right.listener.flowById(inbound?.id ?? '')).toBe(inbound);
    expect(right.listener.flowTo(inbound?.remote ?? right.listener.local)).toBe(inbound);
  });

  it('end with the connection: closed in order, reset when broken, refused where nobody listens', async () => {
    const right = await net.station({ transport, host: '127.0.0.2' }, frames());
    const orderly = await client(transport, right.listener.local.port);
    const broken = await client(transport, right.listener.local.port);
    orderly.send('one');
    broken.send('two');
    await eventually(() => right.texts.length === 2);
    orderly.close();
    await eventually(() => right.failures.length === 1);
    broken.terminate();
    await eventually(() => right.failures.length === 2);
    expect(right.failures.map(({ error }) => error.reason)).toEqual(['closed', 'reset']);
    await right.listener.close();
    const left = await net.station({ transport }, frames());
    left.listener.flowTo(right.listener.local).send(Buffer.from('x'));
    await eventually(() => left.failures.length === 1);
    expect(left.failures[0]?.error.reason).toBe('refused');
  });
});

describe('frames', () => {
  it('of either type are messages; ours are text where they are UTF-8, else binary (RFC 6455 §5.6)', async () => {
    const right = await net.station({ transport: 'ws', host: '127.0.0.2' }, frames());
    const socket = await client('ws', right.listener.local.port);
    const received: { isBinary: boolean; bytes: string }[] = [];
    socket.on('message', (data, isBinary) =>
      received.push({ isBinary, bytes: Buffer.isBuffer(data) ? data.toString('hex') : '' }),
    );
    socket.send('text');
    socket.send(Buffer.from('binary'));
    await eventually(() => right.texts.length === 2);
    expect(right.texts).toEqual(['text', 'binary']);
    right.flows[0]?.send(Buffer.from('Grüße'));
    right.flows[0]?.send(Buffer.from([0x47, 0x72, 0xfc]));
    await eventually(() => received.length === 2);
    expect(received).toEqual([
      { isBinary: false, bytes: Buffer.from('Grüße').toString('hex') },
      { isBinary: true, bytes: '4772fc' },
    ]);
  });

  it('above the limit end their connection and are counted; others go on', async () => {
    const right = await net.station({ transport: 'ws', host: '127.0.0.2' }, { ...frames(), maxMessageBytes: 1_000 });
    const good = await client('ws', right.listener.local.port);
    const bad = await client('ws', right.listener.local.port);
    bad.send('x'.repeat(1_001));
    const [code] = await once(bad, 'close');
    good.send('x'.repeat(1_000));
    await eventually(() => right.texts.length === 1);
    expect(code).toBe(1_009);
    expect(await net.count('messages_oversize_total', { transport: 'ws' })).toBe(1);
  });

  it('that keep alive are answered and count as a sign of life', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const right = await net.station({ transport: 'ws', host: '127.0.0.2' }, frames({ idleMs: 60_000 }));
    const socket = await client('ws', right.listener.local.port);
    socket.send('x');
    await eventually(() => right.texts.length === 1);
    clock.advance(50_000);
    socket.ping('alive');
    const [payload] = await once(socket, 'pong');
    expect(String(payload)).toBe('alive');
    clock.advance(50_000);
    expect(right.failures).toEqual([]);
    clock.advance(10_000);
    expect(right.failures.map(({ error }) => error.reason)).toEqual(['closed']);
    await once(socket, 'close');
  });
});

describe('the handshake', () => {
  it('demands the subprotocol (RFC 6455 §4.2.2)', async () => {
    const right = await net.station({ transport: 'ws', host: '127.0.0.2' }, frames());
    const { port } = right.listener.local;
    for (const offered of [[], ['chat'], ['signal2', 'xsignal']]) {
      const socket = new WebSocket(`ws://127.0.0.2:${port}/`, offered);
      const [error] = await once(socket, 'error');
      expect(String(error)).toContain('400');
    }
    const accepted = new WebSocket(`ws://127.0.0.2:${port}/any/path`, ['chat', 'signal']);
    clients.push(accepted);
    await once(accepted, 'open');
    expect(accepted.protocol).toBe('signal');
    expect(await net.count('connections_refused_total', { transport: 'ws', reason: 'handshake' })).toBe(3);
  });

  it('that the peer refuses is “refused”, one that it leaves unanswered a timeout', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const right = await net.station({ transport: 'ws', host: '127.0.0.2' }, { subprotocol: 'other' });
    const left = await net.station({ transport: 'ws' }, frames());
    left.listener.flowTo(right.listener.local).send(Buffer.from('x'));
    await eventually(() => left.failures.length === 1);
    const mute = createServer(() => undefined).listen(0, '127.0.0.2');
    await once(mute, 'listening');
    const address = mute.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    left.listener.flowTo({ host: '127.0.0.2', port }).send(Buffer.from('x'));
    clock.advance(1_000);
    mute.close();
    expect(left.failures.map(({ error }) => error.reason)).toEqual(['refused', 'timeout']);
    expect(left.failures[0]?.error.detail).toBe('HTTP 400');
  });

  it('is all that the port serves: other requests and garbage are turned away', async () => {
    const right = await net.station({ transport: 'ws', host: '127.0.0.2' }, frames());
    const { port } = right.listener.local;
    const [response] = await once(request({ host: '127.0.0.2', port, path: '/' }).end(), 'response');
    expect(response.statusCode).toBe(426);
    response.resume();
    const garbage = connect(port, '127.0.0.2');
    garbage.write(Buffer.alloc(40_000, 0xff));
    await closed(garbage);
    const good = await client('ws', port);
    good.send('still here');
    await eventually(() => right.texts.length === 1);
  });

  it('over TLS checks names on both sides', async () => {
    const right = await net.station({ transport: 'wss', host: '127.0.0.2' }, frames());
    const partner = await net.station({ transport: 'wss' }, { subprotocol: 'signal', tls: partnerTls });
    const flow = partner.listener.flowTo(right.listener.local, { serverName: 'example.com' });
    flow.send(Buffer.from('x'));
    await eventually(() => right.flows.length === 1);
    expect([flow.peerName, right.flows[0]?.peerName]).toEqual(['example.com', 'partner.example']);
    partner.listener.flowTo(right.listener.local, { serverName: 'other.example' }).send(Buffer.from('secret'));
    await eventually(() => partner.failures.length === 1);
    expect(partner.failures[0]?.error.reason).toBe('tls');
    expect(right.texts).toEqual(['x']);
  });
});

function frames(limits: Partial<StreamLimits> = {}): BindOptions {
  return { subprotocol: 'signal', tls: serverTls, limits };
}

async function client(transport: 'ws' | 'wss', port: number): Promise<WebSocket> {
  const socket = new WebSocket(`${transport}://127.0.0.2:${port}/`, ['signal'], { ca: testCa });
  clients.push(socket);
  await once(socket, 'open');
  socket.on('error', () => undefined);
  return socket;
}
