/** The header fields that a proxy or registrar reads, as small numbers; everything else is `other` and passes through unread. */
import { Words } from './words.ts';

export const H = {
  other: 0,
  via: 1,
  from: 2,
  to: 3,
  callId: 4,
  cseq: 5,
  contact: 6,
  maxForwards: 7,
  route: 8,
  recordRoute: 9,
  contentLength: 10,
  contentType: 11,
  proxyRequire: 12,
  require: 13,
  supported: 14,
  expires: 15,
  authorization: 16,
  proxyAuthorization: 17,
  path: 18,
  serviceRoute: 19,
  wwwAuthenticate: 20,
  proxyAuthenticate: 21,
  maxBreadth: 22,
  timestamp: 23,
  retryAfter: 24,
  minExpires: 25,
  userAgent: 26,
} as const;

export type HeaderId = (typeof H)[keyof typeof H];

/** Canonical spelling and, where one is registered, the compact form (RFC 3261 §7.3.3, §20). */
const spellings: readonly (readonly [HeaderId, string, string?])[] = [
  [H.via, 'Via', 'v'],
  [H.from, 'From', 'f'],
  [H.to, 'To', 't'],
  [H.callId, 'Call-ID', 'i'],
  [H.cseq, 'CSeq'],
  [H.contact, 'Contact', 'm'],
  [H.maxForwards, 'Max-Forwards'],
  [H.route, 'Route'],
  [H.recordRoute, 'Record-Route'],
  [H.contentLength, 'Content-Length', 'l'],
  [H.contentType, 'Content-Type', 'c'],
  [H.proxyRequire, 'Proxy-Require'],
  [H.require, 'Require'],
  [H.supported, 'Supported', 'k'],
  [H.expires, 'Expires'],
  [H.authorization, 'Authorization'],
  [H.proxyAuthorization, 'Proxy-Authorization'],
  [H.path, 'Path'],
  [H.serviceRoute, 'Service-Route'],
  [H.wwwAuthenticate, 'WWW-Authenticate'],
  [H.proxyAuthenticate, 'Proxy-Authenticate'],
  [H.maxBreadth, 'Max-Breadth'],
  [H.timestamp, 'Timestamp'],
  [H.retryAfter, 'Retry-After'],
  [H.minExpires, 'Min-Expires'],
  [H.userAgent, 'User-Agent'],
];

const all = spellings.flatMap(([id, name, compact]) =>
  (compact === undefined ? [name] : [name, compact]).map((spelling) => ({ id, spelling: spelling.toLowerCase() })),
);
const names = new Words(
  all.map(({ spelling }) => spelling),
  true,
);
const ids = all.map(({ id }) => id);

/** The number of the header name that stands in [start, end), in any case, long or compact; `other` (0) where it is none of these. */
export function headerId(bytes: Uint8Array, start: number, end: number): HeaderId {
  const index = start < end ? names.find(bytes, start, end) : -1;
  return index < 0 ? H.other : (ids[index] ?? H.other);
}
