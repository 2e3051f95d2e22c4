/** TPKT over TCP (RFC 1006 §6; RFC 3525 Annex D.2): four octets before each message, its whole length in the last two. */
import type { StreamFraming } from '../../src/index.ts';

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
  const chunks: Buffer[] = [];
  let held = 0;
  return {
    push(chunk) {
      chunks.push(chunk);
      held += chunk.length;
      const messages: Buffer[] = [];
      for (;;) {
        if (held < headBytes) break;
        const head = join(chunks, headBytes);
        if (head[0] !== 3) return { messages, error: 'no TPKT' };
        const length = head.readUInt16BE(2);
        if (length < headBytes) return { messages, error: 'TPKT too short' };
        if (held < length) break;
        const all = join(chunks, length);
        const message = all.subarray(0, length);
        held -= length;
        if (all.length > length) chunks[0] = all.subarray(length);
        else chunks.shift();
        if (length > headBytes) messages.push(message);
      }
      return { messages };
    },
  };
}

/** The first `length` octets (at least) in one piece, left at the front of the list. */
function join(chunks: Buffer[], length: number): Buffer {
  const first = chunks[0] ?? Buffer.alloc(0);
  if (first.length >= length) return first;
  const all = Buffer.concat(chunks);
  chunks.length = 0;
  chunks.push(all);
  return all;
}
