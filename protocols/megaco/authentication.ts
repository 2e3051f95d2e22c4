/**
 * Interim AH scheme (RFC 3525 §10.2, RFC 2402 §5: HMAC-MD5-96): an integrity check value over a synthesized IPv4 header and all
 * transactions as they stand in the message. The RFC leaves two things open; read here: the header is 20 upper-case hexadecimal
 * digits, and the transactions reach from the first transaction token to the last brace, the comment of our path attribute included.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import type { SocketAddress } from '../../src/internal.ts';
import type { AuthenticationHeader } from './codec/messages.ts';
import type { ReplayGuard, SequenceNumbers } from './replay-guard.ts';

export interface SecurityAssociation {
  /** Eight hexadecimal digits: the SPI that both ends were provisioned with. */
  readonly securityParmIndex: string;
  readonly key: string;
  /** Numbers of what is sent; without: the caller's. */
  readonly numbers?: SequenceNumbers | undefined;
  /** What has come before; without: replays are not looked for. */
  readonly replays?: ReplayGuard | undefined;
}

/** The text message with its header in front. IPv6 has IPsec and no header (§10.2). */
export function sign(
  text: Buffer,
  { securityParmIndex, key }: SecurityAssociation,
  sequence: number,
  from: SocketAddress,
  to: SocketAddress,
): Buffer {
  const value = integrity(text, key, from, to);
  if (value === undefined) return text;
  const number = (sequence >>> 0).toString(16).padStart(8, '0').toUpperCase();
  const header = `Authentication = 0x${securityParmIndex.toUpperCase()}:0x${number}:0x${value.toString('hex').toUpperCase()}\n`;
  return Buffer.concat([Buffer.from(header, 'latin1'), text]);
}

/** Is the header right for these octets, sent from there to here? */
export function verify(
  bytes: Uint8Array,
  header: AuthenticationHeader,
  { securityParmIndex, key }: SecurityAssociation,
  from: SocketAddress,
  to: SocketAddress,
): boolean {
  if (header.securityParmIndex.toLowerCase() !== securityParmIndex.toLowerCase()) return false;
  const value = integrity(Buffer.from(bytes), key, from, to);
  const said = Buffer.from(header.authData, 'hex');
  return value !== undefined && said.length === value.length && timingSafeEqual(said, value);
}

const icvBytes = 12;

function integrity(bytes: Buffer, key: string, from: SocketAddress, to: SocketAddress): Buffer | undefined {
  if (isIP(from.host) !== 4 || isIP(to.host) !== 4) return undefined;
  const address = Buffer.from([...octets(from.host), ...octets(to.host), to.port >> 8, to.port & 0xff]);
  return createHmac('md5', key)
    .update(address.toString('hex').toUpperCase())
    .update(transactionsOf(bytes))
    .digest()
    .subarray(0, icvBytes);
}

const octets = (host: string): readonly number[] => host.split('.').map(Number);

function transactionsOf(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1');
  const start = /\b(?:Transaction|T|Reply|P|Pending|PN|TransactionResponseAck|K|Error|ER)[ \t\r\n]*[={]/i.exec(text);
  const end = text.lastIndexOf('}');
  return start === null || end < start.index ? bytes : bytes.subarray(start.index, end + 1);
}
