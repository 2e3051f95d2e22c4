import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeText } from '../../protocols/megaco/codec/text/decode.ts';
import { encodeText } from '../../protocols/megaco/codec/text/encode.ts';
import { playCall } from '../protocols/megaco/call-script.ts';
import { vectors } from '../protocols/megaco/vectors.ts';
import { primaryHost, World } from '../protocols/megaco/world.ts';
import { missing, program } from './support/programs.ts';
import { scratchDirectory } from './support/scratch.ts';

interface Datagram {
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
}

describe.skipIf(missing('tshark') !== undefined)('tshark, the judge of every datagram in text', () => {
  it.each(['pretty', 'compact'] as const)(
    'finds nothing malformed in calls, a takeover and a drain: %s',
    async (encoding) => {
      const world = await World.up({ gateway: { encoding }, gatewayConfig: { encoding } });
      await playCall(world, '200', '202');
      world.line('201').offHook();
      await world.run(100);
      world.line('201').dial('999');
      await world.run(100);
      world.line('201').onHook();
      const killed = playCall(world, '203', '200', {
        during: (phase) => {
          if (phase === 'talking') world.kill(primaryHost);
        },
      });
      expect((await killed).stuckAt).toBeUndefined();
      const sent = world.packets.map(({ from, to, bytes }) => ({ from: from.host, to: to.host, bytes }));
      expect(sent.length).toBeGreaterThan(80);
      judge(encoding, sent);
    },
  );

  it('finds nothing malformed in the appendix as we write it, path attribute included', () => {
    const alternatePath = ['[127.0.0.2]:2944', '<mgc3.example>:2944'];
    // Two of the RFC's own session descriptions are none (fmtp without a payload type, two blanks): tshark says so of the SDP.
    const sent = vectors.flatMap(({ compact: text }) => {
      const compact = text.replace('a=fmtp:PCMU', 'a=fmtp:0').replaceAll('AVP  4', 'AVP 4');
      const decoded = decodeText(Buffer.from(compact, 'latin1'));
      if (!decoded.ok) return [];
      return (['pretty', 'compact'] as const).map((style) => ({
        from: '127.0.0.1',
        to: '127.0.0.9',
        bytes: encodeText({ ...decoded.value, alternatePath }, style),
      }));
    });
    expect(sent).toHaveLength(56);
    judge('appendix', sent);
  });
});

/** Every datagram dissects as MEGACO, and none is malformed. */
function judge(name: string, datagrams: readonly Datagram[]): void {
  const file = join(scratchDirectory('megaco-wire'), `${name}.pcap`);
  writeFileSync(file, capture(datagrams));
  const text = execFileSync(
    program('tshark'),
    [
      '-r',
      file,
      '-d',
      'udp.port==2944,megaco',
      '-T',
      'fields',
      '-e',
      'frame.protocols',
      '-e',
      '_ws.malformed',
      '-e',
      '_ws.expert.message',
      '-e',
      'megaco.transid',
    ],
    { encoding: 'utf8', maxBuffer: 64 << 20 },
  );
  const lines = text.split('\n').slice(0, datagrams.length);
  expect(lines).toHaveLength(datagrams.length);
  for (const [index, line] of lines.entries()) {
    const [protocols = '', malformed = '', expert = ''] = line.split('\t');
    const what = Buffer.from(datagrams[index]?.bytes ?? []).toString('latin1');
    expect(protocols, what).toContain('megaco');
    expect(`${malformed}${expert}`, what).not.toMatch(/[Mm]alformed|[Ee]xception/);
  }
}

/** A capture file of raw IPv4 packets (link type 101). */
function capture(datagrams: readonly Datagram[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(65_535, 16);
  head.writeUInt32LE(101, 20);
  const records = datagrams.map(({ from, to, bytes }, index) => {
    const packet = Buffer.alloc(28);
    packet[0] = 0x45;
    packet.writeUInt16BE(28 + bytes.length, 2);
    packet[8] = 64;
    packet[9] = 17;
    packet.set(from.split('.').map(Number), 12);
    packet.set(to.split('.').map(Number), 16);
    packet.writeUInt16BE(2944, 20);
    packet.writeUInt16BE(2944, 22);
    packet.writeUInt16BE(8 + bytes.length, 24);
    const record = Buffer.alloc(16);
    record.writeUInt32LE(1_700_000_000 + index, 0);
    record.writeUInt32LE(28 + bytes.length, 8);
    record.writeUInt32LE(28 + bytes.length, 12);
    return Buffer.concat([record, packet, bytes]);
  });
  return Buffer.concat([head, ...records]);
}
