/** UDP over real sockets. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeClock } from '../support/fake-clock.ts';
import { eventually, hasIpv6, type RealNetwork, realNetwork } from '../support/real-network.ts';

let net: RealNetwork = realNetwork();
const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await net.close();
  net = realNetwork();
});

describe('datagrams', () => {
  it('come with the address they came from, and an answer goes back there', async () => {
    const right = await net.station({ transport: 'udp', host: '127.0.0.2' }, {}, (text, flow) =>
      flow.send(Buffer.from(`re: ${text}`)),
    );
    const left = await net.station({ transport: 'udp' });
    left.listener.flowTo(right.listener.local).send(Buffer.from('hello'));
    await eventually(() => left.texts.length > 0);
    expect([right.texts, left.texts]).toEqual([['hello'], ['re: hello']]);
    const [flow] = right.flows;
    expect(flow?.remote).toEqual({ host: '127.0.0.1', port: left.listener.local.port });
    expect(flow?.local).toMatchObject({ host: '127.0.0.2', port: right.listener.local.port });
    expect(flow?.id).toBe(right.listener.flowTo(left.listener.local).id);
    expect([flow?.transport, flow?.reliable, right.listener.connections]).toEqual(['udp', false, 0]);
  });

  it('of one sender come over one flow, those from another port of its host over another', async () => {
    const right = await net.station({ transport: 'udp', host: '127.0.0.2' }, {}, (text, flow) =>
      flow.send(Buffer.from(`re: ${text}`)),
    );
    const left = await net.station({ transport: 'udp' });
    const other = await net.station({ transport: 'udp' });
    for (const [station, text] of [
      [left, 'a'],
      [left, 'b'],
      [other, 'c'],
      [left, 'd'],
    ] as const) {
      const before = station.texts.length;
      station.listener.flowTo(right.listener.local).send(Buffer.from(text));
      await eventually(() => station.texts.length > before);
    }
    const [a, b, c, d] = right.flows;
    expect(a).toBe(b);
    expect([c?.remote.port, d?.remote.port]).toEqual([other.listener.local.port, left.listener.local.port]);
    expect([left.texts, other.texts]).toEqual([['re: a', 're: b', 're: d'], ['re: c']]);
  });

  it('above the limit are dropped and counted; empty ones are ignored', async () => {
    const right = await net.station({ transport: 'udp' }, { maxMessageBytes: 100 });
    const left = await net.station({ transport: 'udp' });
    const flow = left.listener.flowTo(right.listener.local);
    for (const size of [101, 0, 100]) flow.send(Buffer.alloc(size, 'x'));
    await eventually(() => right.texts.length > 0);
    expect(right.texts.map((text) => text.length)).toEqual([100]);
    expect(await net.count('messages_oversize_total', { transport: 'udp' })).toBe(1);
  });

  it('that cannot be sent are reported later than send returns, never thrown', async () => {
    const left = await net.station({ transport: 'udp' });
    const { listener, failures } = left;
    listener.flowTo({ host: '127.0.0.2', port: 9 }).send(Buffer.alloc(65_508));
    listener.flowTo({ host: '127.0.0.2', port: 9 }, { connected: true }).send(Buffer.alloc(65_508));
    listener.flowTo({ host: '127.0.0.2', port: 0 }).send(Buffer.from('x'));
    listener.flowTo({ host: 'name.example', port: 5060 }).send(Buffer.from('x'));
    listener.flowTo({ host: '::1', port: 5060 }).send(Buffer.from('x'));
    listener.flowTo({ host: '255.255.255.255', port: 5060 }).send(Buffer.from('x'));
    expect(failures).toEqual([]);
    await eventually(() => failures.length === 6);
    expect(failures.map(({ error }) => error.reason).sort()).toEqual([
      'overflow',
      'overflow',
      'unreachable',
      'unreachable',
      'unreachable',
      'unreachable',
    ]);
  });

  it.runIf(hasIpv6)('travel over IPv6, and an IPv4-mapped address is taken as IPv4', async () => {
    const right = await net.station({ transport: 'udp', host: '::1' });
    const left = await net.station({ transport: 'udp', host: '::1' });
    const { port } = right.listener.local;
    left.listener.flowTo({ host: '0:0:0:0:0:0:0:1', port }).send(Buffer.from('plain'));
    left.listener.flowTo({ host: '0:0::1', port }, { connected: true }).send(Buffer.from('connected'));
    await eventually(() => right.texts.length === 2);
    expect(right.flows[0]?.remote).toEqual({ host: '::1', port: left.listener.local.port });
    const four = await net.station({ transport: 'udp' });
    const flow = four.listener.flowTo({ host: '::FFFF:7f00:1', port: four.listener.local.port });
    flow.send(Buffer.from('mapped'));
    await eventually(() => four.texts.length === 1);
    expect(flow.remote.host).toBe('127.0.0.1');
  });
});

describe('binding', () => {
  it('says that a port is in use, by another program or by ourselves', async () => {
    const other = createSocket({ type: 'udp4', reuseAddr: true });
    other.bind(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address();
    await expect(net.station({ transport: 'udp', port })).rejects.toThrow(
      `udp:127.0.0.1:${port} is already in use by another program`,
    );
    other.close();
    await once(other, 'close');
    const ours = await net.station({ transport: 'udp', port });
    await expect(net.station({ transport: 'udp', port })).rejects.toMatchObject({ code: 'ERR_BIND' });
    expect(ours.listener.local.port).toBe(port);
  });

  it('says that an address is of another machine, and that a name has none', async () => {
    await expect(net.station({ transport: 'udp', host: '192.0.2.1', port: 5060 })).rejects.toThrow(
      'udp:192.0.2.1:5060 is not an address of this machine',
    );
    await expect(net.station({ transport: 'udp', host: 'no-such-name.invalid', port: 5060 })).rejects.toThrow(
      'the name no-such-name.invalid has no address',
    );
  });
});

describe('a connected flow', () => {
  it('reports at once that its peer was killed, and works again when the peer is back', async () => {
    const left = await net.station({ transport: 'udp' });
    const first = await echoProcess(0);
    const flow = left.listener.flowTo({ host: '127.0.0.2', port: first.port }, { connected: true });
    flow.send(Buffer.from('one'));
    await eventually(() => left.texts.length === 1);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');

    const sentMs = performance.now();
    flow.send(Buffer.from('two'));
    await eventually(() => left.failures.length === 1);
    expect(performance.now() - sentMs).toBeLessThan(500);
    expect(left.failures[0]?.error).toEqual({ reason: 'refused', detail: 'ECONNREFUSED' });
    expect(left.failures[0]?.flow.remote).toEqual({ host: '127.0.0.2', port: first.port });

    await echoProcess(first.port);
    flow.send(Buffer.from('three'));
    await eventually(() => left.texts.length === 2);
    expect(left.texts).toEqual(['echo one', 'echo three']);
  });

  it('tells that nothing listens even for the first message, which was queued', async () => {
    const left = await net.station({ transport: 'udp' });
    const closed = await net.station({ transport: 'udp', host: '127.0.0.3' });
    const { local } = closed.listener;
    await closed.listener.close();
    left.listener.flowTo(local).send(Buffer.from('unconnected: nobody hears of it'));
    left.listener.flowTo(local, { connected: true }).send(Buffer.from('x'));
    await eventually(() => left.failures.length > 0);
    expect(left.failures.map(({ error }) => error.reason)).toEqual(['refused']);
  });

  it('keeps the order of what was sent before it was connected', async () => {
    const right = await net.station({ transport: 'udp', host: '127.0.0.2' });
    const left = await net.station({ transport: 'udp' });
    const flow = left.listener.flowTo(right.listener.local, { connected: true });
    const numbers = Array.from({ length: 200 }, (_, index) => `${index}`);
    for (const number of numbers) flow.send(Buffer.from(number));
    await eventually(() => right.texts.length === numbers.length);
    expect(right.texts).toEqual(numbers);
    expect(new Set(right.flows.map(({ remote }) => remote.port))).toEqual(new Set([left.listener.local.port]));
  });

  it('receives what its peer sends to us, while others still reach the listener', async () => {
    const left = await net.station({ transport: 'udp' });
    const peers = await Promise.all(
      ['127.0.0.2', '127.0.0.3', '127.0.0.4'].map((host) => net.station({ transport: 'udp', host })),
    );
    const [first, second, third] = peers;
    for (const peer of [first, second])
      if (peer !== undefined) left.listener.flowTo(peer.listener.local, { connected: true }).send(Buffer.from('hi'));
    await eventually(() => first?.texts.length === 1 && second?.texts.length === 1);
    for (const peer of [first, second, third]) {
      peer?.listener.flowTo(left.listener.local).send(Buffer.from(`from ${peer.listener.local.host}`));
    }
    await eventually(() => left.texts.length === 3);
    expect([...left.texts].sort()).toEqual(['from 127.0.0.2', 'from 127.0.0.3', 'from 127.0.0.4']);
    left.flows.forEach((flow, index) => {
      expect(left.texts[index]).toBe(`from ${flow.remote.host}`);
    });
  });

  it('loses nothing that strangers send while it is being connected', async () => {
    const left = await net.station({ transport: 'udp' });
    const stranger = await net.station({ transport: 'udp', host: '127.0.0.9' });
    const toLeft = stranger.listener.flowTo(left.listener.local);
    let sent = 0;
    for (let round = 1; round <= 40; round += 1) {
      left.listener.flowTo({ host: '127.0.0.5', port: 10_000 + round }, { connected: true }).send(Buffer.from('hi'));
      for (let burst = 0; burst < 5; burst += 1) {
        sent += 1;
        toLeft.send(Buffer.from(`${sent}`));
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => left.texts.length === sent, 'every datagram arrives');
    expect(new Set(left.texts).size).toBe(sent);
  });

  it('leaves a wildcard listener from the address that the routing table picks', async () => {
    const left = await net.station({ transport: 'udp', host: '0.0.0.0' });
    const right = await net.station({ transport: 'udp', host: '127.0.0.2' }, {}, (text, flow) =>
      flow.send(Buffer.from(`re: ${text}`)),
    );
    left.listener.flowTo(right.listener.local).send(Buffer.from('plain'));
    await eventually(() => left.texts.length === 1);
    left.listener.flowTo(right.listener.local, { connected: true }).send(Buffer.from('connected'));
    await eventually(() => left.texts.length === 2);
    expect(right.flows[1]?.remote).toEqual(right.flows[0]?.remote);
  });

  it('is one per peer, and the sockets are bounded: the longest unused goes first and comes back when needed', async () => {
    const right = await net.station({ transport: 'udp', host: '127.0.0.2' });
    const left = await net.station({ transport: 'udp' });
    const flow = left.listener.flowTo(right.listener.local, { connected: true });
    expect(left.listener.flowTo(right.listener.local, { connected: true })).toBe(flow);
    const before = sockets();
    for (let index = 0; index < 1_100; index += 1)
      left.listener.flowTo({ host: `127.1.${index >> 8}.${index & 255}`, port: 5_060 }, { connected: true });
    await eventually(() => sockets() === before - 1 + 1_024 || sockets() === 1_024 + 2, `${sockets()} sockets`);
    expect(left.listener.flowTo(right.listener.local, { connected: true })).not.toBe(flow);
    flow.send(Buffer.from('by the old flow'));
    await eventually(() => right.texts.length === 1);
    await left.listener.close();
    await eventually(() => sockets() === 1);
  });
});

describe('a socket for a while', () => {
  it('reports ICMP for peers of which there may be thousands, is bounded, and is given back', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const left = await net.station({ transport: 'udp' });
    const ask = (index: number): void =>
      left.listener.flowTo({ host: `127.2.0.${index}`, port: 9 }, { briefly: true }).send(Buffer.from('anybody?'));
    const before = sockets();
    for (let index = 1; index <= 200; index += 1) ask(index);
    const hosts = () => new Set(left.failures.map(({ flow }) => flow.remote.host));
    await eventually(() => hosts().size === 128, 'the ICMP errors');
    expect(left.failures.every(({ error }) => error.reason === 'refused' && error.isLocal !== true)).toBe(true);
    expect(sockets() - before).toBeLessThanOrEqual(128);
    clock.advance(10_000);
    await eventually(() => sockets() <= before, 'the sockets given back');
    ask(200);
    await eventually(() => hosts().has('127.2.0.200'), 'one more ICMP error');
  });
});

describe('closing', () => {
  it('lets what was sent leave, also what still waited for its socket, and may be done twice', async () => {
    const right = await net.station({ transport: 'udp', host: '127.0.0.2' });
    const left = await net.station({ transport: 'udp' });
    left.listener.flowTo(right.listener.local, { connected: true }).send(Buffer.from('connected'));
    left.listener.flowTo(right.listener.local).send(Buffer.from('plain'));
    await Promise.all([left.listener.close(), left.listener.close()]);
    await left.listener.close();
    await eventually(() => right.texts.length === 2);
    left.listener.flowTo(right.listener.local).send(Buffer.from('after'));
    left.listener.flowTo(right.listener.local, { connected: true }).send(Buffer.from('after'));
    await net.station({ transport: 'udp', port: left.listener.local.port });
    expect([...right.texts].sort()).toEqual(['connected', 'plain']);
  });
});

const sockets = (): number => process.getActiveResourcesInfo().filter((each) => each === 'UDPWrap').length;

/** Another process that answers datagrams on 127.0.0.2, to be killed. */
async function echoProcess(port: number): Promise<{ child: ChildProcess; port: number }> {
  const program = `
    const socket = require('node:dgram').createSocket('udp4');
    socket.on('message', (bytes, from) => socket.send('echo ' + bytes, from.port, from.address));
    socket.bind(${port}, '127.0.0.2', () => console.log(socket.address().port));`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = await once(child.stdout, 'data');
  return { child, port: Number(String(line)) };
}
