/** MEGACO as the core sees it: octets to messages and back, and where the path attribute sits. */
import type { ControllerAddress, DecodeFailure, PathAttribute, ProtocolAdapter, Result } from '../../src/internal.ts';
import type { NamingOf } from './codec/binary/decode.ts';
import { decode, encode, isBinary, plainNaming } from './codec/codec.ts';
import { createTpktFraming, isTpkt, withoutTpkt, withTpkt } from './codec/framing.ts';
import type { MegacoMessage, MId, PeerFormat } from './codec/messages.ts';
import { alternatesOf, readPath } from './path.ts';
import { digest } from './request-ids.ts';

export interface AdapterParts {
  /** Our own mId. */
  mId(): MId;
  /** How termination ids look in binary, per sender. */
  readonly namingOf?: NamingOf | undefined;
  /** How this address is written to. */
  formatFor?(to: ControllerAddress): PeerFormat;
}

const plainFormat: PeerFormat = { encoding: 'pretty', version: 1 };

/** A number is the transaction id itself; any other text becomes one. */
const probeId = (id: string): number =>
  /^[1-9]\d{0,9}$/.test(id) && Number(id) <= 0xffff_fffe ? Number(id) : digest(id);

export function createMegacoAdapter({
  mId,
  namingOf = () => plainNaming,
  formatFor = () => plainFormat,
}: AdapterParts): ProtocolAdapter<MegacoMessage> {
  return {
    protocol: 'megaco',
    framing: createTpktFraming,

    decode(bytes): Result<MegacoMessage, DecodeFailure> {
      const decoded = decode(bytes, namingOf);
      if (decoded.ok) return decoded;
      const { code, reason, offset } = decoded.error;
      if (!isAnswered(bytes)) return { ok: false, error: { reason, offset, code } };
      const answer = (path: PathAttribute | undefined) => errorAnswer(bytes, code, reason, mId(), alternatesOf(path));
      return { ok: false, error: { reason, offset, code, answer } };
    },
    encode(message, path) {
      const format = message.format ?? { encoding: message.encoding ?? 'pretty', version: message.version };
      return encode(path === undefined ? message : { ...message, alternatePath: alternatesOf(path) }, format);
    },

    paths(message): readonly PathAttribute[] {
      const path = readPath(message, 'udp');
      return path === undefined ? [] : [path];
    },
    probe: (to, _from, id): MegacoMessage => probeMessage(mId(), probeId(id), formatFor(to)),
  };
}

/** An audit of nothing: any peer that lives answers it, if only with an error. */
const probeMessage = (mId: MId, transactionId: number, format: PeerFormat): MegacoMessage => ({
  version: 1,
  mId,
  encoding: format.encoding,
  format,
  body: {
    kind: 'transactions',
    transactions: [
      {
        kind: 'request',
        transactionId,
        actions: [
          {
            contextId: 0,
            commands: [{ verb: 'AuditValue', terminationId: 'ROOT', descriptors: [{ kind: 'Audit', items: [] }] }],
          },
        ],
      },
    ],
  },
});

/**
 * What is owed to the sender of octets that are no message (RFC 3525 §8.2.2, §8.3). Nothing to what does not even resemble one, and
 * nothing to an error or a reply: two peers would answer each other for ever.
 */
function errorAnswer(
  bytes: Uint8Array,
  code: number,
  reason: string,
  mId: MId,
  alternatePath: readonly MId[] | undefined,
): Buffer {
  const framed = isTpkt(bytes);
  const binary = isBinary(framed ? withoutTpkt(bytes) : bytes);
  const error = { kind: 'Error' as const, code, text: reason.replace(/[^\w ./*-]/g, '') };
  // RFC 3525 §8.2.2: no legal transaction could be determined: a reply with the null transaction id.
  const body: MegacoMessage['body'] =
    code === 403
      ? {
          kind: 'transactions',
          transactions: [{ kind: 'reply', transactionId: 0, immAckRequired: false, error, actions: [] }],
        }
      : { kind: 'error', error };
  const answer = encode(
    { version: 1, mId, body, alternatePath },
    { encoding: binary ? 'binary' : 'pretty', version: 1 },
  );
  return framed ? withTpkt(answer) : answer;
}

function isAnswered(bytes: Uint8Array): boolean {
  const packet = isTpkt(bytes) ? withoutTpkt(bytes) : bytes;
  return isBinary(packet) || resemblesRequest(packet);
}

/** The header of a message, and not of an error or a reply. */
function resemblesRequest(packet: Uint8Array): boolean {
  const start = Buffer.from(packet.subarray(0, 256)).toString('latin1');
  const header =
    /^(?:[ \t\r\n]|;[^\r\n]*[\r\n])*(?:(?:authentication|au)[ \t\r\n]*=\S+[ \t\r\n]+)?(?:megaco|!)\//i.exec(start);
  if (header === null) return false;
  return !/^\d+\s+\S+\s+(?:error|er|reply|p|pending|pn|k|transactionresponseack)\s*[={]/i.test(
    start.slice(header[0].length),
  );
}
