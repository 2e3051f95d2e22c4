/** tshark reads the capture files of the trace: packets of all three protocols over UDP and TCP, none malformed, every checksum right. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { SocketAddress, Transport } from '../../src/internal.ts';
import { encodeHep } from '../../src/trace/hep.ts';
import { type CapturedMessage, pcapFile } from '../../src/trace/pcap.ts';
import { vectors } from '../protocols/megaco/vectors.ts';
import { missing, program } from './support/programs.ts';
import { scratchDirectory } from './support/scratch.ts';

const sip =
  'OPTIONS sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n';
const mgcp = 'NTFY 2002 aaln/1@rgw MGCP 1.0\r\nX: 1\r\nO: hd\r\n\r\n';
const megaco = vectors[0]?.compact ?? '';

const message = (
  text: string,
  port: number,
  transport: Transport = 'udp',
  [a, b]: readonly [string, string] = ['127.0.0.1', '127.0.0.2'],
): CapturedMessage => {
  const from: SocketAddress = { host: a, port };
  return {
    wallMs: 1_764_298_000_000 + port,
    transport,
    from,
    to: { host: b, port },
    bytes: Buffer.from(text, 'latin1'),
  };
};

function dissected(messages: readonly CapturedMessage[]): readonly string[] {
  const file = join(scratchDirectory('trace'), 'trace.pcap');
  writeFileSync(file, pcapFile(messages));
  const checks = ['ip', 'udp', 'tcp'].flatMap((layer) => ['-o', `${layer}.check_checksum:TRUE`]);
  const fields = ['frame.protocols', '_ws.malformed', '_ws.expert.severity'].flatMap((field) => ['-e', field]);
  return execFileSync(program('tshark'), ['-r', file, ...checks, '-T', 'fields', ...fields], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.trim());
}

describe.skipIf(missing('tshark') !== undefined)('tshark reads what altpath trace --pcap writes', () => {
  it('finds messages of all protocols, IPv6 and connections among them', () => {
    const v6 = ['2001:db8::1', '2001:db8::2'] as const;
    expect(
      dissected([
        message(sip, 5_060),
        message(mgcp, 2_727),
        message(megaco, 2_944),
        message(sip, 5_060, 'udp', v6),
        message(sip, 5_060, 'tcp'),
        message(sip, 5_060, 'tcp'),
        message(sip, 5_060, 'tcp', v6),
      ]),
    ).toEqual([
      'raw:ip:udp:sip',
      'raw:ip:udp:mgcp',
      'raw:ip:udp:megaco',
      'raw:ipv6:udp:sip',
      'raw:ip:tcp:sip',
      'raw:ip:tcp:sip',
      'raw:ipv6:tcp:sip',
    ]);
  });

  it('sees a wrong octet, or this file proves nothing', () => {
    expect(dissected([message(sip.replace('Call-ID: 1', 'Call-ID 1'), 5_060)])[0]).not.toBe('raw:ip:udp:sip');
  });

  it('finds in the payload of a HEP packet the message that was captured', () => {
    const packet = encodeHep({
      from: { host: '127.0.0.1', port: 2_427 },
      to: { host: '127.0.0.2', port: 2_727 },
      transport: 'udp',
      wallMs: 1,
      type: 6,
      agentId: 1,
      payload: Buffer.from(mgcp),
    });
    const payload = packet.subarray(packet.length - mgcp.length).toString('latin1');
    expect(dissected([message(payload, 2_727)])).toEqual(['raw:ip:udp:mgcp']);
  });
});
