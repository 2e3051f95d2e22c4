/** Which part of a list somebody asks for at the admin server, and answers of it that are no lists. */

import { isWildcard } from './network/local-address.ts';
import { formatSocketAddress, type SocketAddress } from './signaling/controller-address.ts';

export interface Page {
  readonly from: number;
  readonly size: number;
}

export const pageOf = (query: URLSearchParams): Page => ({
  from: count(query, 'offset', 0),
  size: Math.min(count(query, 'limit', defaultPage), maxPage),
});

function count(query: URLSearchParams, name: string, otherwise: number): number {
  const asked = Number(query.get(name) ?? otherwise);
  return Number.isSafeInteger(asked) && asked >= 0 ? asked : otherwise;
}

const defaultPage = 1_000;

/** Some 10 ms of work. */
const maxPage = 5_000;

/** Where a browser on this machine finds the dashboard. */
export const pageAddress = ({ host, port }: SocketAddress): string =>
  `http://${formatSocketAddress({ host: isWildcard(host) ? (host.includes(':') ? '::1' : '127.0.0.1') : host, port })}/`;

/** An answer that is a file. */
export class Attachment {
  readonly type: string;
  readonly name: string;
  readonly bytes: Buffer;

  constructor(type: string, name: string, bytes: Buffer) {
    this.type = type;
    this.name = name;
    this.bytes = bytes;
  }
}
