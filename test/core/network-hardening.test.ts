/** What strangers may do to the sockets, and that it leaves them serving. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import type { BindOptions, StreamLimits } from '../../src/internal.ts';
import { serverTls } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { lineFraming } from '../support/line-framing.ts';
import { closed, eventually, type RealNetwork, realNetwork } from '../support/real-network.ts';

let net: RealNetwork = realNetwork();
const clients: Socket[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await net.close();
  net = realNetwork();
});

describe('idle connections', () => {
  it('500 of them leave the listener serving, and those who have spoken stay', async () => {
    const { right, port } = await server({ maxConnectionsPerSource: 200, maxConnections: 400 });
    const faithful = await client(port);
    faithful.write('before\n');
    await eventually(() => right.texts.length === 1);
    const idle: Socket[] = [];
    for (let batch = 0; batch < 10; batch += 1)
      idle.push(...(await Promise.all(Array.from({ length: 50 }, () => client(port)))));
    await eventually(() => idle.filter((each) => !each.destroyed).length === 199, 'the oldest silent ones made way');
    const newcomer = await client(port);
    newcomer.write('newcomer\n');
    faithful.write('after\n');
    await eventually(() => right.texts.length === 3);
    expect([...right.texts].sort()).toEqual(['after\n', 'before\n', 'newcomer\n']);
    expect(right.listener.connections).toBe(200);
    expect(await net.count('connections_refused_total', { transport: 'tcp', reason: 'displaced' })).toBe(302);
  });

  it('are cut off when they show no whole message in time, however slowly they talk', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const { right, port } = await server({ firstMessageMs: 5_000, idleMs: 60_000 });
    const slow = await client(port);
    const quick = await client(port);
    quick.write('quick\n');
    await eventually(() => right.texts.length === 1);
    for (let second = 1; second < 5; second += 1) {
      slow.write('a');
      clock.advance(1_000);
    }
    expect(slow.destroyed).toBe(false);
    clock.advance(1_000);
    await closed(slow);
    await eventually(() => right.listener.connections === 1);
    expect(quick.destroyed).toBe(false);
    clock.advance(54_999);
    expect(right.listener.connections).toBe(1);
    clock.advance(1_001);
    await closed(quick);
    expect(right.failures.map(({ error }) => error.reason)).toEqual(['closed', 'closed']);
    expect(await net.count('connections_refused_total', { reason: 'first_message' })).toBe(1);
    expect(await net.count('connections_ended_total', { reason: 'idle' })).toBe(1);
  });
});

describe('unfinished messages', () => {
  it('end their connection in time, also where it has spoken before; what is idle between messages stays', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const { right, port } = await server({ unfinishedMs: 5_000 });
    const [slow, idle] = [await client(port), await client(port)];
    slow.write('whole\nand the beginning of');
    idle.write('whole\n');
    await eventually(() => right.texts.length === 2);
    for (let second = 1; second < 5; second += 1) {
      clock.advance(1_000);
      slow.write('.');
    }
    expect(right.listener.connections).toBe(2);
    clock.advance(1_000);
    await closed(slow);
    clock.advance(600_000);
    expect(right.listener.connections).toBe(1);
    idle.write('half');
    await new Promise((resolve) => setTimeout(resolve, 20));
    clock.advance(4_000);
    idle.write(' and half\n');
    await eventually(() => right.texts.includes('half and half\n'));
    clock.advance(600_000);
    expect(right.listener.connections).toBe(1);
    expect(await net.count('connections_ended_total', { reason: 'unfinished' })).toBe(1);
  });

  it('hold a bounded number of octets in all: the oldest gives way', async () => {
    const { right, port } = await server({ maxUnfinishedBytes: 100_000 });
    const hoarders: Socket[] = [];
    for (let index = 0; index < 8; index += 1) {
      const hoarder = await client(port);
      hoarder.write('x'.repeat(30_000));
      hoarders.push(hoarder);
    }
    await eventually(() => right.listener.connections === 3);
    expect(hoarders.slice(0, 4).map(({ destroyed, readyState }) => destroyed || readyState !== 'open')).not.toContain(
      false,
    );
    const honest = await client(port);
    honest.write('served\n');
    await eventually(() => right.texts.includes('served\n'));
  });

  it('of a WebSocket end it as well, in frames and in fragments, and in too many of these', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const right = await net.station({ transport: 'ws' }, { subprotocol: 'x', limits: { unfinishedMs: 5_000 } });
    const { port } = right.listener.local;
    const open = async (): Promise<Socket> => {
      const socket = await client(port);
      socket.write(
        'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
          'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: x\r\n\r\n',
      );
      await once(socket, 'data');
      return socket;
    };
    /** RFC 6455 §5.2, with a mask of zeros. */
    const frame = (text: string, opcode = 0x81, length = text.length): Buffer =>
      Buffer.concat([Buffer.from([opcode, 0xfe, length >> 8, length & 255, 0, 0, 0, 0]), Buffer.from(text)]);
    const [faithful, partial, fragments, many] = [await open(), await open(), await open(), await open()];
    faithful.write(frame('hello'));
    partial.write(Buffer.concat([frame('hello'), frame('x'.repeat(20_000), 0x81, 60_000)]));
    fragments.write(Buffer.concat([frame('x'.repeat(20_000), 0x01), frame('y'.repeat(20_000), 0x00)]));
    await eventually(() => right.texts.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(right.listener.connections).toBe(4);
    many.write(Buffer.concat([frame('x', 0x01), ...Array.from({ length: 1_100 }, () => frame('x', 0x00))]));
    await closed(many);
    clock.advance(5_000);
    await Promise.all([closed(partial), closed(fragments)]);
    await eventually(() => right.listener.connections === 1);
    faithful.write(Buffer.concat([frame('a', 0x01), frame('b', 0x80)]));
    await eventually(() => right.texts.includes('ab'));
    clock.advance(600_000);
    expect(right.listener.connections).toBe(1);
  });
});

describe('the limits', () => {
  it('per source and in all refuse a new connection where everybody there has spoken', async () => {
    const { right, port } = await server({ maxConnectionsPerSource: 2, maxConnections: 3 });
    for (const from of ['127.0.0.1', '127.0.0.1', '127.0.0.2']) {
      const speaker = await client(port, from);
      speaker.write(`${from}\n`);
    }
    await eventually(() => right.texts.length === 3);
    await closed(await client(port, '127.0.0.1'));
    await closed(await client(port, '127.0.0.3'));
    expect(await net.count('connections_refused_total', { reason: 'source' })).toBe(1);
    expect(await net.count('connections_refused_total', { reason: 'total' })).toBe(1);
    clients.splice(0, 1)[0]?.destroy();
    await eventually(() => right.listener.connections === 2);
    const next = await client(port, '127.0.0.1');
    next.write('room again\n');
    await eventually(() => right.texts.length === 4);
  });

  it('hold for a line without end and for a flood of bytes that are none', async () => {
    const { right, port } = await server();
    const endless = await client(port);
    endless.write('x'.repeat(70_000));
    await closed(endless);
    const zeros = await client(port);
    zeros.write(Buffer.alloc(1_000_000));
    zeros.write('\n');
    await closed(zeros);
    expect(right.malformed).toHaveLength(2);
    expect(right.texts).toEqual([]);
    await eventually(() => right.listener.connections === 0);
  });
});

describe('closing', () => {
  it('leaves no handle: a process that used every transport ends by itself', async () => {
    const program = `
      import { systemClock, silentLog, Metrics } from ${JSON.stringify(source('../../src/internal.ts'))};
      import { createNetwork } from ${JSON.stringify(source('../../src/network/node-network.ts'))};
      import { lineFraming } from ${JSON.stringify(source('../support/line-framing.ts'))};
      const network = createNetwork({ clock: systemClock, log: silentLog, metrics: new Metrics() });
      const tls = JSON.parse(process.env.TEST_TLS);
      const listeners = [];
      let got = 0;
      for (const transport of ['udp', 'tcp', 'tls', 'ws', 'wss']) {
        const bind = (host) => network.bind({ transport, host, port: 0 }, { framing: lineFraming, tls, subprotocol: 'signal' },
          { received: () => { got += 1; }, failed: (_flow, error) => { console.error(transport, error); process.exit(2); } });
        const [left, right] = [await bind('127.0.0.1'), await bind('127.0.0.2')];
        left.flowTo(right.local, { connected: true }).send(Buffer.from('hello\\n'));
        listeners.push(left, right);
      }
      while (got < 5) await new Promise((resolve) => setTimeout(resolve, 5));
      await Promise.all(listeners.map((listener) => listener.close()));
      console.log('closed');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TEST_TLS: JSON.stringify(serverTls) },
    });
    const deadline = setTimeout(() => child.kill('SIGKILL'), 10_000);
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    const [code] = await once(child, 'exit');
    clearTimeout(deadline);
    expect([output, code]).toEqual(['closed\n', 0]);
  });
});

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

async function server(limits: Partial<StreamLimits> = {}) {
  const options: BindOptions = { framing: lineFraming, limits };
  const right = await net.station({ transport: 'tcp' }, options);
  return { right, port: right.listener.local.port };
}

async function client(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  clients.push(socket);
  socket.on('error', () => undefined);
  // A refused connection may be gone already when it is reported as made.
  socket.resume();
  await once(socket, 'connect');
  return socket;
}
