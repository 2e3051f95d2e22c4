/**
 * What workers say to each other over their private sockets, octet by octet. Pure.
 *
 *     length of all that follows (4) | kind (1) | length of the head (2) | head: fields with line feeds between | body
 */

const frameKinds = [
  /** index, life: who speaks. The first frame of a connection. */
  'hello',
  /** role: the sender serves it, and takes its messages. */
  'serves',
  /** role, index of the listener, life and id of the connection (empty for datagrams), host, port | a message that came in. */
  'message',
  /** as a message, and a key: whoever has this transaction takes it. */
  'offer',
  /** id | octets for a connection that the receiver has. */
  'send',
  /** id: the connection is to end. */
  'close',
  /** role, index of the listener, id, host, port, peer name: a connection of the sender's that tokens name. */
  'named',
  /** id: it has ended. */
  'ended',
  /** number, role, key: have you this transaction? */
  'ask',
  /** number, 1 or 0 */
  'answer',
  /** host: messages from there may come to another worker from now on. */
  'moved',
  /** a datagram of the member link, from: host, port */
  'link',
  /** What is stored beside all this: the name of who reads it | body. */
  'note',
] as const;

export type FrameKind = (typeof frameKinds)[number];

export interface Frame {
  readonly kind: FrameKind;
  readonly fields: readonly string[];
  readonly body: Buffer;
}

export function encodeFrame(kind: FrameKind, fields: readonly string[], body: Uint8Array = nothing): Buffer {
  const head = fields.join('\n');
  const headLength = Buffer.byteLength(head);
  const length = 3 + headLength + body.length;
  const bytes = Buffer.allocUnsafe(4 + length);
  bytes.writeUInt32BE(length, 0);
  bytes[4] = frameKinds.indexOf(kind);
  bytes.writeUInt16BE(headLength, 5);
  bytes.write(head, 7);
  bytes.set(body, 7 + headLength);
  return bytes;
}

const nothing = Buffer.alloc(0);

/** Cuts frames out of a stream. One for each connection. */
export class FrameReader {
  #held: Buffer = nothing;

  /** Undefined: what came is no frame, and nothing after it can be read. */
  push(chunk: Buffer): readonly Frame[] | undefined {
    let bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const frames: Frame[] = [];
    while (bytes.length >= 4) {
      const length = bytes.readUInt32BE(0);
      if (length < 3 || length > maxFrameBytes) return undefined;
      if (bytes.length < 4 + length) break;
      const frame = readFrame(bytes.subarray(4, 4 + length));
      if (frame === undefined) return undefined;
      frames.push(frame);
      bytes = bytes.subarray(4 + length);
    }
    this.#held = bytes;
    return frames;
  }
}

function readFrame(bytes: Buffer): Frame | undefined {
  const kind = frameKinds[bytes[0] ?? 255];
  const headLength = bytes.readUInt16BE(1);
  if (kind === undefined || 3 + headLength > bytes.length) return undefined;
  const head = bytes.toString('utf8', 3, 3 + headLength);
  return { kind, fields: head === '' ? [] : head.split('\n'), body: bytes.subarray(3 + headLength) };
}

/** Far above any message. */
const maxFrameBytes = 4_194_304;
