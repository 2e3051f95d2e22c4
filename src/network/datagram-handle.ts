/** What is underneath a socket of node:dgram (ADR 0014): private to Node, so whoever uses it looks first whether it is as expected. */
import type { Socket } from 'node:dgram';

/** libuv's socket. */
export interface DatagramHandle {
  /** The octets sent plus one, 0 where they wait, or a negative error number. */
  send(...given: unknown[]): number;
  /** Called for each datagram that comes in, once the socket listens. */
  onmessage?(...given: unknown[]): void;
}

export function handleOf(socket: Socket): DatagramHandle | undefined {
  const symbol = Object.getOwnPropertySymbols(socket).find(({ description }) => description === 'state symbol');
  const state: unknown = symbol === undefined ? undefined : Reflect.get(socket, symbol);
  const handle: unknown = typeof state === 'object' && state !== null ? Reflect.get(state, 'handle') : undefined;
  return isHandle(handle) ? handle : undefined;
}

const isHandle = (value: unknown): value is DatagramHandle =>
  typeof value === 'object' && value !== null && 'send' in value && typeof value.send === 'function';
