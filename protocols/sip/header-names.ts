/** The header fields that a proxy or registrar reads, as small numbers; everything else is `other` and passes through unread. */

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

/** Candidates by (length, first letter): at most a few names each, so a lookup is one table read and one comparison. */
const table: ({ readonly id: HeaderId; readonly name: string; readonly lower: string }[] | undefined)[] = [];

for (const [id, name, compact] of spellings) {
  for (const spelling of compact === undefined ? [name] : [name, compact]) {
    const slot = (spelling.length << 5) | (spelling.charCodeAt(0) & 31);
    table[slot] ??= [];
    table[slot].push({ id, name: spelling, lower: spelling.toLowerCase() });
  }
}

/** The number of the header name that stands at `start`, `length` characters long, in any case, long or compact. */
export function headerId(text: string, start: number, length: number): HeaderId {
  if (length > 19) return H.other;
  const candidates = table[(length << 5) | (text.charCodeAt(start) & 31)];
  if (candidates === undefined) return H.other;
  for (const { id, name } of candidates) if (text.startsWith(name, start)) return id;
  const lower = text.slice(start, start + length).toLowerCase();
  for (const candidate of candidates) if (candidate.lower === lower) return candidate.id;
  return H.other;
}
