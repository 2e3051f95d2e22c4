/** Cuts SIP messages out of a connection's bytes by Content-Length (RFC 3261 §18.3) and answers keep-alives (RFC 5626 §3.5.1). */
import { StreamBuffer, type StreamFraming } from '../../../src/internal.ts';
import { refusal } from './encode.ts';
import { H, headerId } from './header-names.ts';
import { limits, scan } from './scanner.ts';

const pong = Buffer.from('\r\n');
const nothing: readonly Buffer[] = [];

export function createFraming(): StreamFraming {
  const buffer = new StreamBuffer();
  /** Where the search for the empty line goes on, so that a slow sender costs no second look. */
  let searched = 0;
  /** Total length of the message at the front, once its header is complete. */
  let needed = 0;
  /** Octets of line ends at the front: no message has begun with them. */
  let blank = 0;
  return {
    get held() {
      return buffer.length - blank;
    },
    push(chunk) {
      buffer.append(chunk);
      blank = 0;
      let messages: Buffer[] | undefined;
      let reply: Buffer | undefined;
      for (;;) {
        if (needed === 0) {
          let held = buffer.bytes;
          const skipped = leadingLineEnds(held);
          if (skipped >= 4) reply = pong;
          // A single CRLF may be the first half of a ping: it stays until it is known.
          if (skipped > 0 && (skipped < held.length || skipped >= 4)) {
            buffer.drop(skipped);
            held = buffer.bytes;
            searched = 0;
          }
          if (held.length === 0 || skipped === held.length) {
            blank = held.length;
            break;
          }
          const headerEnd = endOfHeader(held, searched);
          if (headerEnd < 0) {
            if (held.length > limits.headerBytes) return refuse(messages, held, 513, 'headers too large');
            searched = Math.max(0, held.length - 3);
            break;
          }
          if (headerEnd > limits.headerBytes + 4) return refuse(messages, held, 513, 'headers too large');
          const length = contentLength(held, headerEnd);
          if (length === undefined)
            return refuse(messages, held.subarray(0, headerEnd), 400, 'no usable Content-Length');
          if (headerEnd + length > limits.messageBytes)
            return refuse(messages, held.subarray(0, headerEnd), 513, 'message too large');
          needed = headerEnd + length;
        }
        if (buffer.length < needed) break;
        messages ??= [];
        messages.push(buffer.take(needed));
        needed = 0;
        searched = 0;
      }
      return result(messages, reply);
    },
  };
}

function result(
  messages: readonly Buffer[] | undefined,
  reply: Buffer | undefined,
  error?: string,
): ReturnType<StreamFraming['push']> {
  return {
    messages: messages ?? nothing,
    ...(reply === undefined ? {} : { reply }),
    ...(error === undefined ? {} : { error }),
  };
}

/** The stream ends here; a request of which enough can be read is answered first (RFC 3261 §18.3, §21.5.7). */
function refuse(
  messages: readonly Buffer[] | undefined,
  head: Buffer,
  code: 400 | 513,
  error: string,
): ReturnType<StreamFraming['push']> {
  const bytes = head.subarray(0, limits.headerBytes);
  const text = bytes.toString('latin1');
  if (text.startsWith('SIP/') || text.startsWith('ACK ')) return result(messages, undefined, error);
  const scanned = scan(bytes, text);
  const phrase = code === 400 ? `Bad Request - ${error}` : 'Message Too Large';
  return result(messages, refusal(text, scanned.ok ? scanned.value : scanned.error.partial, code, phrase), error);
}

function leadingLineEnds(bytes: Buffer): number {
  let i = 0;
  while (i < bytes.length && (bytes[i] === 13 || bytes[i] === 10)) i += 1;
  return i;
}

/** Offset behind the empty line; -1 where it has not come yet. */
function endOfHeader(bytes: Buffer, from: number): number {
  for (let lf = bytes.indexOf(10, from); lf >= 0; lf = bytes.indexOf(10, lf + 1)) {
    if (bytes[lf + 1] === 10) return lf + 2;
    if (bytes[lf + 1] === 13 && bytes[lf + 2] === 10) return lf + 3;
  }
  return -1;
}

/** Undefined where it is missing, no number, negative or said twice differently: the stream cannot be cut any more (RFC 3261 §18.3). */
function contentLength(bytes: Buffer, headerEnd: number): number | undefined {
  const text = bytes.toString('latin1', 0, headerEnd);
  let length: number | undefined;
  let at = text.indexOf('\n') + 1;
  while (at > 0 && at < text.length) {
    const first = text.charCodeAt(at) | 32;
    // `c`ontent-length or `l`: the only names of interest.
    if (first === 99 || first === 108) {
      const colon = text.indexOf(':', at);
      if (colon > 0) {
        let nameEnd = colon;
        while (nameEnd > at && (text.charCodeAt(nameEnd - 1) === 32 || text.charCodeAt(nameEnd - 1) === 9))
          nameEnd -= 1;
        if (headerId(bytes, at, nameEnd) === H.contentLength) {
          const value = /^[ \t]*(?:\r?\n[ \t]+)*(\d{1,9})[ \t]*(?:\r?\n(?![ \t]))/.exec(
            text.slice(colon + 1, colon + 64),
          );
          const number = value === null ? undefined : Number(value[1]);
          if (number === undefined || (length !== undefined && length !== number)) return undefined;
          length = number;
        }
      }
    }
    at = text.indexOf('\n', at) + 1;
  }
  return length;
}
