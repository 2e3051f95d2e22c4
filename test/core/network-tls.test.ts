/** TLS over real sockets: who is believed, who is refused, and that garbage disturbs nobody. */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import type { BindOptions, TlsOptions } from '../../src/internal.ts';
import { partnerTls, serverTls, strangerTls, testCa } from '../support/certificates.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { lineFraming } from '../support/line-framing.ts';
import { closed, eventually, type RealNetwork, realNetwork } from '../support/real-network.ts';

let net: RealNetwork = realNetwork();
const servers: Server[] = [];
const clients: Socket[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  await net.close();
  for (const server of servers.splice(0)) server.close();
  net = realNetwork();
});

const tls = { transport: 'tls' } as const;
const remote = { ...tls, host: '127.0.0.2' } as const;

describe('the server’s name', () => {
  it('is its address unless another is asked for; the peer’s name is what it proved', async () => {
    const right = await net.station(remote, lines(serverTls), (text, flow) => flow.send(Buffer.from(`re: ${text}`)));
    const left = await net.station(tls, lines(serverTls));
    const byAddress = left.listener.flowTo(right.listener.local);
    byAddress.send(Buffer.from('address\n'));
    const byName = left.listener.flowTo(right.listener.local, { serverName: 'example.com' });
    byName.send(Buffer.from('name\n'));
    await eventually(() => left.texts.length === 2);
    expect([...left.texts].sort()).toEqual(['re: address\n', 're: name\n']);
    expect([byAddress.peerName, byName.peerName]).toEqual(['127.0.0.2', 'example.com']);
    // Proven for one name is not proven for another: two connections.
    expect([left.listener.connections, right.listener.connections]).toEqual([2, 2]);
    expect(left.listener.flowTo(right.listener.local, { serverName: 'example.com' })).toBe(byName);
  });

  it.each([
    ['is not in the certificate', serverTls, 'other.example'],
    ['is vouched for by a stranger', strangerTls, 'example.com'],
  ])('that %s ends in a tls failure, and nothing is sent', async (_what, certificate, serverName) => {
    const right = await net.station(remote, lines(certificate));
    const left = await net.station(tls, lines(serverTls));
    left.listener.flowTo(right.listener.local, { serverName }).send(Buffer.from('secret\n'));
    await eventually(() => left.failures.length === 1);
    expect(left.failures[0]?.error.reason).toBe('tls');
    expect(right.texts).toEqual([]);
  });

  it('is not checked where the operator says so, and then none is proven', async () => {
    const right = await net.station(remote, lines(strangerTls));
    const left = await net.station(tls, lines({ ...serverTls, verify: false }));
    const flow = left.listener.flowTo(right.listener.local, { serverName: 'anything.example' });
    flow.send(Buffer.from('x\n'));
    await eventually(() => right.texts.length === 1);
    expect(flow.peerName).toBeUndefined();
  });
});

describe('the client’s name', () => {
  it('is known where it shows a certificate, and not asked of others', async () => {
    const right = await net.station(remote, lines(serverTls));
    const partner = await net.station(tls, lines(partnerTls));
    partner.listener.flowTo(right.listener.local).send(Buffer.from('partner\n'));
    await eventually(() => right.flows.length === 1);
    const anonymous = tlsConnect({ host: '127.0.0.2', port: right.listener.local.port, ca: testCa });
    clients.push(anonymous);
    anonymous.write('anonymous\n');
    await eventually(() => right.flows.length === 2);
    expect(right.flows.map(({ peerName }) => peerName)).toEqual(['partner.example', undefined]);
  });

  it('is demanded where the operator says so', async () => {
    const right = await net.station(remote, lines({ ...serverTls, requireClientCert: true }));
    const { port } = right.listener.local;
    const anonymous = tlsConnect({ host: '127.0.0.2', port, ca: testCa });
    anonymous.on('error', () => undefined);
    anonymous.write('anonymous\n');
    const stranger = tlsConnect({ host: '127.0.0.2', port, ...strangerTls, ca: testCa });
    stranger.on('error', () => undefined);
    stranger.write('stranger\n');
    await Promise.all([closed(anonymous), closed(stranger)]);
    const partner = await net.station(tls, lines(partnerTls));
    partner.listener.flowTo(right.listener.local).send(Buffer.from('partner\n'));
    await eventually(() => right.texts.length === 1);
    expect(right.texts).toEqual(['partner\n']);
    expect(right.flows[0]?.peerName).toBe('partner.example');
  });
});

describe('RFC 8996 old versions', () => {
  it('are refused', async () => {
    const right = await net.station(remote, lines(serverTls));
    const old = tlsConnect({
      host: '127.0.0.2',
      port: right.listener.local.port,
      ca: testCa,
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    old.on('error', () => undefined);
    await closed(old);
    expect(await net.count('tls_errors_total', { transport: 'tls' })).toBe(1);
  });
});

describe('garbage', () => {
  it('on the TLS port is counted and disturbs nobody', async () => {
    const right = await net.station(remote, lines(serverTls));
    const { port } = right.listener.local;
    const good = tlsConnect({ host: '127.0.0.2', port, ca: testCa });
    clients.push(good);
    good.write('before\n');
    await eventually(() => right.texts.length === 1);
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\xff\xff'.padEnd(70_000, '\0'), '\0'.repeat(500)]) {
      const client = connect(port, '127.0.0.2');
      client.on('error', () => undefined);
      client.end(Buffer.from(bytes, 'latin1'));
      await closed(client);
    }
    good.write('after\n');
    await eventually(() => right.texts.length === 2);
    expect(right.texts).toEqual(['before\n', 'after\n']);
    expect(await net.count('tls_errors_total', { transport: 'tls' })).toBe(3);
    expect(right.failures).toEqual([]);
  });

  it('from a server is a tls failure', async () => {
    const server = await plainServer((socket) => socket.end('no TLS here\n'));
    const left = await net.station(tls, lines(serverTls));
    left.listener.flowTo(server).send(Buffer.from('x\n'));
    await eventually(() => left.failures.length === 1);
    expect(left.failures[0]?.error.reason).toBe('tls');
  });
});

describe('a handshake that does not go on', () => {
  it('is a timeout for us as client, and is cut off by us as server', async () => {
    const clock = new FakeClock();
    net = realNetwork(clock);
    const server = await plainServer(() => undefined);
    const right = await net.station(remote, lines(serverTls));
    const left = await net.station(tls, lines(serverTls));
    left.listener.flowTo(server).send(Buffer.from('x\n'));
    const mute = connect(right.listener.local.port, '127.0.0.2');
    mute.on('error', () => undefined);
    await once(mute, 'connect');
    await eventually(() => clock.pending >= 2);
    clock.advance(1_000);
    expect(left.failures.map(({ error }) => error.reason)).toEqual(['timeout']);
    clock.advance(19_000);
    await closed(mute);
    expect(await net.count('connections_refused_total', { transport: 'tls', reason: 'first_message' })).toBe(1);
  });
});

describe('binding', () => {
  it('needs a certificate and a key that fit', async () => {
    await expect(net.station(tls, { framing: lineFraming })).rejects.toThrow('needs a certificate and a key');
    const mismatch = { cert: serverTls.cert ?? '', key: partnerTls.key ?? '' };
    await expect(net.station(tls, lines(mismatch))).rejects.toThrow('cannot use this certificate or key');
    await expect(net.station(tls, lines({ cert: 'nonsense', key: 'nonsense' }))).rejects.toMatchObject({
      code: 'ERR_BIND',
    });
  });
});

function lines(options: TlsOptions): BindOptions {
  return { framing: lineFraming, tls: options };
}

async function plainServer(onSocket: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const server = createServer((socket) => {
    clients.push(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  }).listen(0, '127.0.0.2');
  servers.push(server);
  await once(server, 'listening');
  const address = server.address();
  return { host: '127.0.0.2', port: typeof address === 'object' && address !== null ? address.port : 0 };
}

describe.each(['tls', 'wss'] as const)('certificates that are renewed (%s)', (transport) => {
  it('are shown to the next connection; those that are there stay', async () => {
    const options = { ...lines(strangerTls), subprotocol: 'x' };
    const right = await net.station({ transport, host: '127.0.0.2' }, options);
    const { port } = right.listener.local;
    const shown = async (): Promise<string> => {
      const socket = tlsConnect({ host: '127.0.0.2', port, rejectUnauthorized: false });
      await once(socket, 'secureConnect');
      const { fingerprint256 } = socket.getPeerCertificate();
      clients.push(socket);
      return fingerprint256;
    };
    const before = await shown();
    expect(await shown()).toBe(before);
    right.listener.renewTls?.(serverTls);
    expect(await shown()).not.toBe(before);
    expect(clients.slice(-3).map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
    expect(() => right.listener.renewTls?.({ ...serverTls, key: partnerTls.key ?? '' })).toThrow();
    expect(await shown()).not.toBe(before);
  });
});
