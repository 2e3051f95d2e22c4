/** All encodings: which one octets are in is seen from their first, and how to write is said per peer. */
import type { Result } from '../../../src/internal.ts';
import { decodeBinary, type NamingOf } from './binary/decode.ts';
import { encodeBinary } from './binary/encode.ts';
import { TerminationNaming } from './binary/termination-naming.ts';
import { isTpkt, withoutTpkt } from './framing.ts';
import type { MegacoMessage, PeerFormat } from './messages.ts';
import { decodeText, type MegacoFailure } from './text/decode.ts';
import { encodeText } from './text/encode.ts';

/** A message may have this many octets, whatever the transport. */
export const maxMessageBytes = 65_535;

export const plainNaming = new TerminationNaming();

export function decode(bytes: Uint8Array, namingOf: NamingOf): Result<MegacoMessage, MegacoFailure> {
  const packet = isTpkt(bytes) ? withoutTpkt(bytes) : bytes;
  if (packet.length > maxMessageBytes)
    return { ok: false, error: { code: 400, reason: 'message too large', offset: maxMessageBytes } };
  return isBinary(packet) ? decodeBinary(packet, namingOf) : decodeText(packet);
}

/** A BER message is a SEQUENCE; no text message begins with the digit zero, which has the same octet. */
export const isBinary = (bytes: Uint8Array): boolean => bytes[0] === 0x30;

export const encode = (message: MegacoMessage, format: PeerFormat): Buffer =>
  format.encoding === 'binary'
    ? encodeBinary(message, format.naming ?? plainNaming)
    : encodeText(message, format.encoding, format);
