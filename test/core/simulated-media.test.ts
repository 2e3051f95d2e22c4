import { describe, expect, it } from 'vitest';
import { toneOfLine } from '../../src/gateways/simulated-media.ts';
import { pcmuTone, ToneDetector, toPcmu } from '../../src/gateways/tone.ts';
import { RtpMedia, type SimulatedStream } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryNetwork } from '../support/memory-network.ts';
import { seededRandom } from '../support/seeded-random.ts';

const [oneHost, otherHost] = ['127.0.0.31', '127.0.0.32'];

describe('speech of simulated gateways (RFC 3550, RFC 3551)', () => {
  it('goes both ways, and each hears the tone of the other, from its port', async () => {
    const { clock, one, other } = await bench();
    one.set(sdpOf(other, otherHost), 'both');
    other.set(sdpOf(one, oneHost), 'both');
    await clock.advanceAsync(1_000);
    expect(one.heard).toMatchObject({ from: `${otherHost}:${other.port}`, toneHz: 1_350, keys: '' });
    expect(other.heard).toMatchObject({ from: `${oneHost}:${one.port}`, toneHz: 400 });
    // 50 packets a second, whoever counts.
    for (const { counters } of [one, other]) {
      expect(counters.packetsSent).toBeGreaterThanOrEqual(50);
      expect(counters.packetsSent).toBeLessThanOrEqual(52);
      expect(counters.octetsSent).toBe(counters.packetsSent * 160);
      expect(counters.packetsReceived).toBeGreaterThanOrEqual(49);
      expect(counters.packetsLost).toBe(0);
    }
  });

  it('goes one way while one only receives, and none while it is inactive', async () => {
    const { clock, one, other } = await bench();
    one.set(sdpOf(other, otherHost), 'both');
    other.set(sdpOf(one, oneHost), 'receive');
    await clock.advanceAsync(500);
    expect(one.heard).toBeUndefined();
    expect(other.heard?.packets).toBeGreaterThan(20);
    other.set(sdpOf(one, oneHost), 'none');
    const { packetsReceived } = other.counters;
    await clock.advanceAsync(500);
    expect(other.counters.packetsReceived).toBe(packetsReceived);
    expect(other.heard?.quietMs).toBeGreaterThanOrEqual(480);
    other.set(sdpOf(one, oneHost), 'both');
    await clock.advanceAsync(500);
    expect(other.heard?.longestGapMs).toBeGreaterThanOrEqual(480);
    expect(one.heard?.toneHz).toBe(1_350);
  });

  it('is not sent in codecs that it has not, and stops when the stream is closed', async () => {
    const { clock, one, other } = await bench();
    other.set(undefined, 'receive');
    one.set(sdpOf(other, otherHost).replace('RTP/AVP 0', 'RTP/AVP 18'), 'both');
    await clock.advanceAsync(200);
    expect(one.counters.packetsSent).toBe(0);
    one.set(sdpOf(other, otherHost), 'both');
    await clock.advanceAsync(200);
    one.close();
    const { packetsSent } = one.counters;
    await clock.advanceAsync(200);
    expect(one.counters.packetsSent).toBe(packetsSent);
    expect(clock.pending).toBe(0);
  });

  it('reads keys that come as events, each once (RFC 4733 §2.5.1.4)', async () => {
    const { clock, other, network } = await bench();
    other.set(undefined, 'receive');
    const sender = await network.host(oneHost).bind(
      { transport: 'udp', host: oneHost, port: 9 },
      {},
      {
        received: () => undefined,
        failed: () => undefined,
      },
    );
    const flow = sender.flowTo({ host: otherHost, port: other.port });
    for (const [code, timestamp] of [
      [5, 800],
      [5, 800],
      [11, 1_600],
      [5, 2_400],
      [99, 3_200],
    ] as const) {
      const packet = Buffer.alloc(16);
      packet.set([0x80, 101]);
      packet.writeUInt32BE(timestamp, 4);
      packet.set([code, 0x8a, 0, 160], 12);
      flow.send(packet);
    }
    for (const junk of [
      Buffer.alloc(0),
      Buffer.alloc(11, 0x80),
      Buffer.from([0x8f, 0, 0, 1, ...Array(8).fill(0)]),
      Buffer.alloc(40),
    ])
      flow.send(junk);
    await clock.advanceAsync(100);
    expect(other.heard?.keys).toBe('5#5');
  });

  it('has ports enough for calls one after the other, even ones, and leaves none open', async () => {
    const { clock, media } = await bench();
    for (let call = 0; call < 200; call += 1) {
      const streams = [media.open(500), media.open(500)].filter((stream) => stream !== undefined);
      expect(streams).toHaveLength(2);
      for (const stream of streams) expect(stream.port % 2).toBe(0);
      await clock.advanceAsync(1);
      for (const stream of streams) stream.close();
    }
  });
});

describe('a tone in PCMU', () => {
  it('is found again, for every line', () => {
    for (let hz = 400; hz <= 2_350; hz += 50) {
      const detector = new ToneDetector();
      for (let packet = 0; packet < 60; packet += 1) detector.hear(pcmuTone(hz), 0xff);
      expect(detector.toneHz).toBe(hz);
    }
    for (const name of ['aaln/1@gw1', 'aaln/1@gw2', '']) expect(toneOfLine(name) % 50).toBe(0);
  });
  it('is none in silence', () => {
    const detector = new ToneDetector();
    for (let packet = 0; packet < 60; packet += 1) detector.hear(Buffer.alloc(160, 0xff), 0xff);
    expect(detector.toneHz).toBeUndefined();
  });
  it('is coded as G.711 has it', () => {
    expect([0, 8_031, -8_031, 32_635, -32_635, 100].map(toPcmu)).toEqual([0xff, 0xa0, 0x20, 0x80, 0x00, 0xf2]);
  });
});

const sdpOf = ({ port }: SimulatedStream, host: string): string =>
  `v=0\r\nc=IN IP4 ${host}\r\nm=audio ${port} RTP/AVP 0\r\n`;

async function bench() {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock, {}, 1);
  const mediaAt = async (host: string, seed: number) => {
    const media = new RtpMedia({ clock, random: seededRandom(seed), network: network.host(host), host });
    await media.start();
    return media;
  };
  const media = await mediaAt(oneHost, 1);
  const one = media.open(400);
  const other = (await mediaAt(otherHost, 2)).open(1_350);
  if (one === undefined || other === undefined) throw new Error('no port');
  await clock.advanceAsync(1);
  return { clock, network, media, one, other };
}
