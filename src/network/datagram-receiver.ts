/**
 * Takes datagrams from a socket of node:dgram where Node's own listener takes them, without the event that is made of each (ADR 0014).
 *
 * How Node passes them on is watched, not assumed: the first datagram goes the public way, and if what happens underneath looks as
 * expected, the following ones are taken there. On a Node in which it looks otherwise all of them come as events.
 */
import type { Socket } from 'node:dgram';
import { handleOf } from './datagram-handle.ts';

/** Who sent it, as the system writes the address. */
export interface DatagramSource {
  readonly address: string;
  readonly port: number;
}

/** The socket is bound. */
export function receiveFrom(socket: Socket, received: (bytes: Buffer, from: DatagramSource) => void): void {
  const last: { bytes: unknown } = { bytes: undefined };
  socket.on('message', (bytes, from) => {
    last.bytes = bytes;
    received(bytes, from);
  });
  const handle = handleOf(socket);
  const theirs = handle?.onmessage;
  if (handle === undefined || typeof theirs !== 'function') return;
  const directly = (...given: unknown[]): void => {
    const [, , bytes, from] = given;
    if (isOctets(bytes) && isSource(from)) received(bytes, from);
    else theirs.apply(handle, given);
  };
  const watch = (...given: unknown[]): void => {
    const [length, , bytes, from] = given;
    last.bytes = undefined;
    handle.onmessage = theirs;
    theirs.apply(handle, given);
    // Anything else was done with the handle meanwhile.
    if (handle.onmessage !== theirs) return;
    const isExpected = isOctets(bytes) && last.bytes === bytes && length === bytes.length && isSource(from);
    if (given.length === 4 && isExpected) handle.onmessage = directly;
    // An error of the system: the next one will show.
    else if (typeof length === 'number' && length < 0) handle.onmessage = watch;
  };
  handle.onmessage = watch;
}

const isOctets = (value: unknown): value is Buffer => value instanceof Buffer;

const isSource = (from: unknown): from is DatagramSource =>
  typeof from === 'object' &&
  from !== null &&
  'address' in from &&
  typeof from.address === 'string' &&
  'port' in from &&
  typeof from.port === 'number';
