/** HEP version 3, the encapsulation that Homer and its like collect: a message with both its ends and its time, in chunks. */
import { isIPv6 } from 'node:net';
import type { SocketAddress, Transport } from '../signaling/controller-address.ts';

export interface HepPacket {
  readonly from: SocketAddress;
  readonly to: SocketAddress;
  readonly transport: Transport;
  readonly wallMs: number;
  /** What the payload is: the capture protocol id. */
  readonly type: number;
  /** Whoever captures. */
  readonly agentId: number;
  readonly payload: Uint8Array;
  /** Demanded by some collectors. */
  readonly password?: string | undefined;
}

/** A payload may have `maxHepPayload` octets. @throws beyond that: lengths have sixteen bits. */
export function encodeHep({ from, to, transport, wallMs, type, agentId, payload, password }: HepPacket): Buffer {
  const seconds = Math.floor(wallMs / 1_000);
  const isV6 = isIPv6(from.host) || isIPv6(to.host);
  const chunks = [
    chunk(1, Buffer.of(isV6 ? inet6 : inet)),
    chunk(2, Buffer.of(transport === 'udp' ? udp : tcp)),
    chunk(isV6 ? 5 : 3, ipOctets(from.host, isV6)),
    chunk(isV6 ? 6 : 4, ipOctets(to.host, isV6)),
    chunk(7, uint16(from.port)),
    chunk(8, uint16(to.port)),
    chunk(9, uint32(seconds)),
    chunk(10, uint32(Math.floor((wallMs - seconds * 1_000) * 1_000))),
    chunk(11, Buffer.of(type)),
    chunk(12, uint32(agentId)),
    ...(password === undefined ? [] : [chunk(14, Buffer.from(password))]),
    chunk(15, payload),
  ];
  const length = chunks.reduce((sum, { length: each }) => sum + each, headBytes);
  return Buffer.concat([Buffer.from('HEP3'), uint16(length), ...chunks], length);
}

function chunk(type: number, value: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(headBytes + value.length);
  // Vendor 0: the chunks that the specification defines.
  bytes.writeUInt16BE(0, 0);
  bytes.writeUInt16BE(type, 2);
  bytes.writeUInt16BE(bytes.length, 4);
  bytes.set(value, headBytes);
  return bytes;
}

const uint16 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeUInt16BE(value & 0xffff);
  return bytes;
};

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
};

/** Four or sixteen octets; what is no address becomes zeros. An IPv4 address among IPv6 ones is written as mapped (RFC 4291 §2.5.5.2). */
export function ipOctets(host: string, isV6: boolean): Buffer {
  const v4 = /^\d+\.\d+\.\d+\.\d+$/.test(host) ? host.split('.').map(Number) : undefined;
  if (!isV6) return Buffer.from(v4 ?? [0, 0, 0, 0]);
  if (v4 !== undefined) return Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...v4]);
  if (!isIPv6(host)) return Buffer.alloc(16);
  const [head = '', tail] = (host.split('%')[0] ?? '').split('::');
  const left = words(head);
  const right = tail === undefined ? [] : words(tail);
  const all = [...left, ...Array<number>(Math.max(0, 8 - left.length - right.length)).fill(0), ...right];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}

const words = (text: string): readonly number[] =>
  text
    .split(':')
    .filter((part) => part !== '')
    .flatMap((part) => {
      if (!part.includes('.')) return Number.parseInt(part, 16);
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      return [(a << 8) | b, (c << 8) | d];
    });

/** Of a packet and of a chunk. */
const headBytes = 6;

/** Beside it stand addresses, times and a password. */
export const maxHepPayload = 65_000;

/** Address families and protocols by their usual numbers. */
const [inet, inet6] = [2, 10];
const [udp, tcp] = [17, 6];
