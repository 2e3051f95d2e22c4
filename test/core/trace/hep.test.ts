/** What is sent to a HEP collector: every message once, with its ends and its time, masked; and signaling does not care whether it arrives. */
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type Controller, startController } from '../../../src/index.ts';
import { encodeHep } from '../../../src/trace/hep.ts';
import { SipPeer, sipRequest } from '../../support/sip-peer.ts';

/** Strict: every octet belongs to a chunk, every chunk has its length (HEP/EEP draft 1.x, §3). */
function chunksOf(packet: Buffer): ReadonlyMap<number, Buffer> {
  expect(packet.subarray(0, 4).toString()).toBe('HEP3');
  expect(packet.readUInt16BE(4)).toBe(packet.length);
  const chunks = new Map<number, Buffer>();
  for (let at = 6; at < packet.length; ) {
    expect(packet.readUInt16BE(at)).toBe(0);
    const length = packet.readUInt16BE(at + 4);
    expect(length).toBeGreaterThanOrEqual(7);
    expect(at + length).toBeLessThanOrEqual(packet.length);
    chunks.set(packet.readUInt16BE(at + 2), packet.subarray(at + 6, at + length));
    at += length;
  }
  return chunks;
}

const hex = (chunks: ReadonlyMap<number, Buffer>, type: number): string | undefined =>
  chunks.get(type)?.toString('hex');

describe('HEP version 3', () => {
  const base = { wallMs: 1_764_298_000_123.5, type: 6, agentId: 7, payload: Buffer.from('hello') };

  it('says both ends, the transport, the time, the type, the agent and the payload', () => {
    const chunks = chunksOf(
      encodeHep({
        ...base,
        from: { host: '192.0.2.1', port: 2_427 },
        to: { host: '192.0.2.2', port: 2_727 },
        transport: 'udp',
        password: 'pw',
      }),
    );
    expect([1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 14, 15].map((type) => hex(chunks, type))).toEqual([
      '02',
      '11',
      'c0000201',
      'c0000202',
      '097b',
      '0aa7',
      '69290d10',
      '0001e26c',
      '06',
      '00000007',
      '7077',
      '68656c6c6f',
    ]);
  });

  it('writes IPv6 addresses, in every short form (RFC 4291 §2.2)', () => {
    const v6 = (host: string): string | undefined =>
      hex(chunksOf(encodeHep({ ...base, from: { host, port: 1 }, to: { host: '::1', port: 2 }, transport: 'tls' })), 5);
    expect(v6('2001:db8::1')).toBe('20010db8000000000000000000000001');
    expect(v6('::')).toBe('00000000000000000000000000000000');
    expect(v6('fe80::1%eth0')).toBe('fe800000000000000000000000000001');
    expect(v6('1:2:3:4:5:6:7:8')).toBe('00010002000300040005000600070008');
    expect(v6('::ffff:192.0.2.1')).toBe('00000000000000000000ffffc0000201');
    expect(v6('192.0.2.1')).toBe('00000000000000000000ffffc0000201');
  });
});

describe('capture', () => {
  let started: Controller | undefined;
  const open: { close(): void }[] = [];

  afterEach(async () => {
    await started?.stop();
    for (const each of open.splice(0)) each.close();
  });

  it('sends every message to the collector, without credentials', async () => {
    const packets: Buffer[] = [];
    const collector = createSocket('udp4');
    open.push(collector);
    collector.on('message', (bytes) => packets.push(bytes));
    await new Promise<void>((resolve) => collector.bind(0, '127.0.0.1', resolve));
    const peer = await SipPeer.open('127.0.0.1');
    open.push(peer);
    started = await startController({
      trace: 'off',
      capture: { hep: `127.0.0.1:${collector.address().port}`, agentId: 5 },
      sip: { listen: ['udp:127.0.0.1:0'], domains: ['example.com'] },
    });
    const port = Number(started.addresses[0]?.split(':').at(-1));
    const fields = ['Authorization: Digest response="c0ffee"'];
    peer.send(
      sipRequest({ method: 'MESSAGE', uri: 'sip:x@example.com', from: peer, callId: 'h1', fields }),
      port,
      '127.0.0.1',
    );
    await peer.awaits(/^SIP\/2.0 404/);
    await expect.poll(() => packets.length).toBe(2);
    const [request, answer] = packets.map(chunksOf);
    expect(request?.get(15)?.toString()).toMatch(/^MESSAGE sip:x@example.com/);
    expect(request?.get(15)?.toString()).not.toContain('c0ffee');
    expect(request?.get(7)?.readUInt16BE()).toBe(peer.port);
    expect(request?.get(8)?.readUInt16BE()).toBe(port);
    expect(request?.get(11)?.[0]).toBe(1);
    expect(answer?.get(15)?.toString()).toMatch(/^SIP\/2.0 404/);
    expect(answer?.get(7)?.readUInt16BE()).toBe(port);
    expect(await started.metrics()).toContain('altpath_capture_messages_total 2');
  });

  it('leaves out a message that is longer than a datagram, as a connection may bring it, and goes on', async () => {
    const packets: Buffer[] = [];
    const collector = createSocket('udp4');
    open.push(collector);
    collector.on('message', (bytes) => packets.push(bytes));
    await new Promise<void>((resolve) => collector.bind(0, '127.0.0.1', resolve));
    started = await startController({
      trace: 'off',
      capture: { hep: `127.0.0.1:${collector.address().port}` },
      sip: { listen: ['tcp:127.0.0.1:0'], domains: ['example.com'] },
    });
    const port = Number(started.addresses[0]?.split(':').at(-1));
    const socket = connect(port, '127.0.0.1');
    open.push({ close: () => socket.destroy() });
    let heard = '';
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
    });
    for (const [index, whole] of [65_535, 65_530, 65_001, 400].entries()) {
      const text = (body: number): string =>
        `MESSAGE sip:x@example.com SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5;branch=z9hG4bK${index}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:x@example.com>\r\nCall-ID: ${index}\r\nCSeq: 1 MESSAGE\r\nContent-Length: ${String(body).padStart(5, '0')}\r\n\r\n${'x'.repeat(body)}`;
      socket.write(text(whole - text(0).length), 'latin1');
    }
    await expect.poll(() => heard.match(/^SIP\/2.0 404/gm)?.length).toBe(4);
    await expect.poll(() => packets.length).toBe(5);
    expect(await started.metrics()).toContain('altpath_capture_dropped_total 3');
  });

  it('does not stop signaling where nobody collects', async () => {
    const peer = await SipPeer.open('127.0.0.1');
    open.push(peer);
    started = await startController({
      capture: { hep: 'no-such-host.invalid:9' },
      sip: { listen: ['udp:127.0.0.1:0'], domains: ['example.com'] },
    });
    const port = Number(started.addresses[0]?.split(':').at(-1));
    peer.send(sipRequest({ method: 'MESSAGE', uri: 'sip:x@example.com', from: peer, callId: 'h2' }), port, '127.0.0.1');
    await peer.awaits(/^SIP\/2.0 404/);
    await expect.poll(() => started?.metrics()).toContain('altpath_capture_dropped_total 2');
  });
});
