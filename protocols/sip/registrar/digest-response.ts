/** The two hashes of digest authentication (RFC 7616 §3.4.1, §3.4.2; RFC 2069 for clients without qop). */
import { hash } from 'node:crypto';
import type { Credentials } from './digest-credentials.ts';

export const digestAlgorithms = ['SHA-256', 'MD5'] as const;

export type DigestAlgorithm = (typeof digestAlgorithms)[number];

/** H(user:realm:password) (RFC 7616 §3.4.2), names and passwords as UTF-8. */
export const ha1 = (algorithm: DigestAlgorithm, user: string, realm: string, password: string): string =>
  hash(hashNames[algorithm], `${user}:${realm}:${password}`, 'hex');

/** RFC 7616 §3.4.1, and RFC 2069 §2.1.2 where there is no qop. What comes from the wire is latin1 text of octets. */
export function digestResponse(
  algorithm: DigestAlgorithm,
  ha1Hex: string,
  method: string,
  { nonce, nc, cnonce, qop, uri }: Pick<Credentials, 'nonce' | 'nc' | 'cnonce' | 'qop' | 'uri'>,
): string {
  const name = hashNames[algorithm];
  const a2 = hash(name, Buffer.from(`${method}:${uri}`, 'latin1'), 'hex');
  const data = qop === undefined ? `${nonce}:${a2}` : `${nonce}:${nc}:${cnonce}:${qop}:${a2}`;
  return hash(name, Buffer.from(`${ha1Hex}:${data}`, 'latin1'), 'hex');
}

const hashNames: Readonly<Record<DigestAlgorithm, string>> = { 'SHA-256': 'sha256', MD5: 'md5' };
