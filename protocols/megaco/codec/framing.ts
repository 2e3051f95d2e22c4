/** TPKT over TCP (RFC 1006 §6; RFC 3525 Annex D.2): four octets before each message, its whole length in the last two. */
import { StreamBuffer, type StreamFraming } from '../../../src/internal.ts';

const headBytes = 4;

/** The message as one connection carries it. */
export function withTpkt(bytes: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(bytes.length + headBytes);
  framed[0] = 3;
  framed[1] = 0;
  framed.writeUInt16BE(bytes.length + headBytes, 2);
  framed.set(bytes, headBytes);
  return framed;
}

/** Is this a packet of the stream rather than a datagram? No text or BER message begins so. */
export const isTpkt = (bytes: Uint8Array): boolean => bytes.length >= headBytes && bytes[0] === 3 && bytes[1] === 0;

export const withoutTpkt = (bytes: Uint8Array): Uint8Array => bytes.subarray(headBytes);

/** Cuts the packets out of a connection; each keeps its head, which tells the decoder how to frame an answer. */
export function createTpktFraming(): StreamFraming {
  const buffer = new StreamBuffer();
  return {
    get held() {
      return buffer.length;
    },
    push(chunk) {
      buffer.append(chunk);
      const messages: Buffer[] = [];
      while (buffer.length >= headBytes) {
        if (buffer.bytes[0] !== 3) return { messages, error: 'no TPKT' };
        const length = buffer.bytes.readUInt16BE(2);
        if (length < headBytes) return { messages, error: 'TPKT too short' };
        if (buffer.length < length) break;
        const message = buffer.take(length);
        if (length > headBytes) messages.push(message);
      }
      return { messages };
    },
  };
}
