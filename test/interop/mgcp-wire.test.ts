/** tshark's MGCP dissector reads every datagram of calls, takeover and return: none is malformed. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { primaryHost, World } from '../protocols/mgcp/world.ts';
import type { MemoryPacket } from '../support/memory-network.ts';
import { findProgram, missing } from './support/programs.ts';
import { scratchDirectory } from './support/scratch.ts';

const absent = missing('tshark');

describe.skipIf(absent)(`tshark judges MGCP${absent === undefined ? '' : ` (${absent})`}`, () => {
  it('sees that a broken message is broken, or this file proves nothing', () => {
    const [good, bad] = dissect(
      ['AUEP 1 *@rgw1 MGCP 1.0\r\nF: I\r\n', 'AUEP 1 *@rgw1 MGCP 1.0\r\nnonsense\r\n'].map(fake),
    );
    expect(good).toMatchObject({ verb: 'AUEP', fault: '', unknown: '' });
    expect(bad?.unknown).not.toBe('');
  });

  it('finds nothing malformed and no invalid parameter in calls, takeover and return', async () => {
    const world = await World.up();
    await call(world, true);
    world.kill(primaryHost);
    await world.run(4_000);
    await call(world, false);
    world.network.revive(primaryHost);
    await world.startAgent(primaryHost);
    await world.run(30_000);
    await world.stop();
    const packets = dissect(world.packets);
    expect(packets.length).toBe(world.packets.length);
    expect(packets.length).toBeGreaterThan(100);
    const verbs = new Set<string>();
    for (const { verb, code, fault, unknown } of packets) {
      expect(fault).toBe('');
      expect(unknown).toBe('');
      expect(`${verb}${code}`).not.toBe('');
      for (const each of verb.split(',')) verbs.add(each);
    }
    for (const verb of ['RSIP', 'AUEP', 'AUCX', 'RQNT', 'NTFY', 'CRCX', 'MDCX', 'DLCX'])
      expect([...verbs]).toContain(verb);
  });
});

async function call(world: World, killInTheMiddle: boolean): Promise<void> {
  const a = world.line('200');
  const b = world.line('202');
  a.offHook();
  await world.run(100);
  a.dial('202');
  await world.run(100);
  b.offHook();
  await world.run(100);
  if (killInTheMiddle) return;
  a.onHook();
  b.onHook();
  await world.run(500);
}

interface Judged {
  readonly verb: string;
  readonly code: string;
  readonly fault: string;
  readonly unknown: string;
}

function dissect(packets: readonly MemoryPacket[]): readonly Judged[] {
  const file = join(scratchDirectory('mgcp-wire'), 'mgcp.pcap');
  writeFileSync(file, pcap(packets));
  const fields = ['mgcp.req.verb', 'mgcp.rsp.rspcode', '_ws.malformed', '_ws.expert.message', 'mgcp.param.invalid'];
  const output = execFileSync(
    findProgram('tshark') ?? 'tshark',
    [
      '-r',
      file,
      '-d',
      'udp.port==2727,mgcp',
      '-d',
      'udp.port==2427,mgcp',
      '-T',
      'fields',
      '-E',
      'separator=|',
      ...fields.flatMap((field) => ['-e', field]),
    ],
    { encoding: 'latin1', maxBuffer: 64 * 1_024 * 1_024, stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return output
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [verb = '', code = '', malformed = '', expert = '', unknown = ''] = line.split('|');
      return { verb, code, fault: malformed + (/malformed|error/i.test(expert) ? expert : ''), unknown };
    });
}

const fake = (text: string, index: number): MemoryPacket => ({
  sequence: index,
  transport: 'udp',
  from: { host: '127.0.0.1', port: 2727 },
  to: { host: '127.0.0.11', port: 2427 },
  bytes: Buffer.from(text),
});

/** The classic file format, raw IPv4 (link type 101); checksums are left 0, which tshark does not check by default. */
function pcap(packets: readonly MemoryPacket[]): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65_535, 16);
  header.writeUInt32LE(101, 20);
  const records = packets.map(({ from, to, bytes }, index) => {
    const length = 28 + bytes.length;
    const record = Buffer.alloc(16 + 28);
    record.writeUInt32LE(index, 0);
    record.writeUInt32LE(length, 8);
    record.writeUInt32LE(length, 12);
    record[16] = 0x45;
    record.writeUInt16BE(length, 18);
    record[24] = 64;
    record[25] = 17;
    for (const [at, host] of [
      [28, from.host],
      [32, to.host],
    ] as const)
      for (const [octet, value] of host.split('.').entries()) record[at + octet] = Number(value);
    record.writeUInt16BE(from.port, 36);
    record.writeUInt16BE(to.port, 38);
    record.writeUInt16BE(8 + bytes.length, 40);
    return Buffer.concat([record, bytes]);
  });
  return Buffer.concat([header, ...records]);
}
