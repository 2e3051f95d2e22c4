/**
 * Recorded messages as a capture file of IP packets, for Wireshark, tshark and sngrep. Datagrams are what they were; a connection's
 * messages are segments with their sequence numbers right, and what came encrypted stands as it was before.
 */
import { isIPv6 } from 'node:net';
import { readAddress, type SocketAddress, type Transport } from '../signaling/controller-address.ts';
import { ipOctets } from './hep.ts';
import type { TraceRow } from './trace-row.ts';

export interface CapturedMessage {
  readonly wallMs: number;
  readonly transport: Transport;
  readonly from: SocketAddress;
  readonly to: SocketAddress;
  readonly bytes: Uint8Array;
}

/** Of messages as the trace gives them out; those without octets are left out. */
export const pcapOf = (rows: readonly TraceRow[]): Buffer =>
  pcapFile(
    rows.flatMap(({ wallMs, transport, from, to, octets }) => {
      const [a, b] = [readAddress(from, { port: 0 }), readAddress(to, { port: 0 })];
      return a === undefined || b === undefined || octets === undefined
        ? []
        : { wallMs, transport, from: a, to: b, bytes: Buffer.from(octets, 'base64') };
    }),
  );

export function pcapFile(messages: readonly CapturedMessage[]): Buffer {
  const head = Buffer.alloc(24);
  head.writeUInt32LE(0xa1b2c3d4, 0);
  head.writeUInt16LE(2, 4);
  head.writeUInt16LE(4, 6);
  head.writeUInt32LE(262_144, 16);
  head.writeUInt32LE(rawIp, 20);
  const sequences = new Map<string, number>();
  return Buffer.concat([head, ...messages.flatMap((message) => packets(message, sequences))]);
}

function packets(message: CapturedMessage, sequences: Map<string, number>): readonly Buffer[] {
  const { from, to, transport, bytes, wallMs } = message;
  const isV6 = isIPv6(from.host) || isIPv6(to.host);
  const shown: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += maxSegment) {
    const part = bytes.subarray(at, at + maxSegment);
    const upper = transport === 'udp' ? udpDatagram(from, to, part) : tcpSegment(from, to, part, sequences);
    shown.push(record(wallMs, ipPacket(from.host, to.host, isV6, transport === 'udp' ? 17 : 6, upper)));
  }
  return shown;
}

function record(wallMs: number, packet: Buffer): Buffer {
  const head = Buffer.alloc(16);
  const seconds = Math.floor(wallMs / 1_000);
  head.writeUInt32LE(seconds >>> 0, 0);
  head.writeUInt32LE(Math.floor((wallMs - seconds * 1_000) * 1_000), 4);
  head.writeUInt32LE(packet.length, 8);
  head.writeUInt32LE(packet.length, 12);
  return Buffer.concat([head, packet]);
}

function ipPacket(from: string, to: string, isV6: boolean, protocol: number, upper: Buffer): Buffer {
  const source = ipOctets(from, isV6);
  const target = ipOctets(to, isV6);
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(upper.length, 0);
  pseudo.writeUInt32BE(protocol, 4);
  const sum = checksum(Buffer.concat([source, target, pseudo, upper]));
  // A checksum of zero says of a datagram that it has none (RFC 768).
  upper.writeUInt16BE(sum === 0 && protocol === 17 ? 0xffff : sum, protocol === 17 ? 6 : 16);
  if (isV6) {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(0x60000000, 0);
    head.writeUInt16BE(upper.length, 4);
    head[6] = protocol;
    head[7] = 64;
    return Buffer.concat([head, source, target, upper]);
  }
  const head = Buffer.alloc(12);
  head[0] = 0x45;
  head.writeUInt16BE(20 + upper.length, 2);
  head[8] = 64;
  head[9] = protocol;
  const packet = Buffer.concat([head, source, target, upper]);
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
  return packet;
}

function udpDatagram(from: SocketAddress, to: SocketAddress, bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(from.port, 0);
  head.writeUInt16BE(to.port, 2);
  head.writeUInt16BE(8 + bytes.length, 4);
  return Buffer.concat([head, bytes]);
}

function tcpSegment(from: SocketAddress, to: SocketAddress, bytes: Uint8Array, sequences: Map<string, number>): Buffer {
  const way = (a: SocketAddress, b: SocketAddress): string => `${a.host} ${a.port} ${b.host} ${b.port}`;
  const sequence = sequences.get(way(from, to)) ?? 1;
  sequences.set(way(from, to), sequence + bytes.length);
  const head = Buffer.alloc(20);
  head.writeUInt16BE(from.port, 0);
  head.writeUInt16BE(to.port, 2);
  head.writeUInt32BE(sequence >>> 0, 4);
  head.writeUInt32BE((sequences.get(way(to, from)) ?? 1) >>> 0, 8);
  head[12] = 0x50;
  // PSH and ACK.
  head[13] = 0x18;
  head.writeUInt16BE(65_535, 14);
  return Buffer.concat([head, bytes]);
}

/** RFC 1071 §1. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at + 1 < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  if (bytes.length % 2 === 1) sum += (bytes[bytes.length - 1] ?? 0) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** LINKTYPE_RAW: packets begin with the IP header. */
const rawIp = 101;

/** What fits into one packet beside its headers. */
const maxSegment = 65_000;
