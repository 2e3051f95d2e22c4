/** MEGACO as the core sees it: octets to messages and back, and where the path attribute sits. */
import type {
  ControllerAddress,
  DecodeFailure,
  PathAttribute,
  ProtocolAdapter,
  Result,
  SignalKind,
  Takeover,
} from '../../src/internal.ts';
import { alternatesOf, defaultTextPort, readPath } from './alternate-path.ts';
import type { NamingOf } from './binary/decode.ts';
import { decode, encode, isBinary, plainNaming } from './codec.ts';
import { createTpktFraming, isTpkt, withoutTpkt, withTpkt } from './framing.ts';
import type { Encoding, MegacoMessage, MId, Transaction } from './messages.ts';
import { addressMId } from './mid.ts';
import { digest } from './request-ids.ts';

export interface AdapterParts {
  /** Our own mId, for what we answer to messages that are none. */
  mId(): MId;
  /** How termination ids look in binary, per sender. */
  readonly namingOf?: NamingOf | undefined;
}

export function createMegacoAdapter({
  mId,
  namingOf = () => plainNaming,
}: AdapterParts): ProtocolAdapter<MegacoMessage> {
  return {
    protocol: 'megaco',
    defaultPort: () => defaultTextPort,
    framing: createTpktFraming,

    decode(bytes): Result<MegacoMessage, DecodeFailure> {
      const decoded = decode(bytes, namingOf);
      if (decoded.ok) return decoded;
      const { code, reason, offset } = decoded.error;
      const answer = errorAnswer(bytes, code, reason, mId());
      return { ok: false, error: answer === undefined ? { reason, offset, code } : { reason, offset, code, answer } };
    },
    encode: (message) => encode(message, { encoding: message.encoding ?? 'pretty', version: message.version }),

    kind(message): SignalKind {
      if (message.body.kind === 'error') return 'event';
      let kind: SignalKind = 'event';
      for (const transaction of message.body.transactions) {
        if (transaction.kind === 'request') return 'request';
        if (transaction.kind !== 'ack') kind = 'response';
      }
      return kind;
    },
    // The ids of our own and of the peer's transactions are kept apart by the maps that hold them (RFC 3525 §8.1.1).
    transactionKey(message): string {
      const first = message.body.kind === 'error' ? undefined : message.body.transactions.find(hasId);
      return first === undefined ? '' : String(first.transactionId);
    },

    pathAttributes(message): readonly PathAttribute[] {
      const path = readPath(message, 'udp');
      return path === undefined ? [] : [path];
    },
    insertPath: (message, path): MegacoMessage => ({ ...message, alternatePath: alternatesOf(path) }),
    // A gateway sends to its controller, a controller to its gateways: no message names its next hop.
    namedAddresses: (): readonly ControllerAddress[] => [],
    takeOver(message, { primary, self, path }: Takeover): MegacoMessage | undefined {
      if (message.mId !== addressMId(primary)) return undefined;
      return { ...message, mId: addressMId(self), alternatePath: alternatesOf(path) };
    },
    probe: (_to, from, id): MegacoMessage => probeMessage(addressMId(from), digest(id), 'pretty'),
  };
}

const hasId = (transaction: Transaction): transaction is Exclude<Transaction, { kind: 'ack' }> =>
  transaction.kind !== 'ack';

/** An audit of nothing: any peer that lives answers it, if only with an error. */
export const probeMessage = (mId: MId, transactionId: number, encoding: Encoding): MegacoMessage => ({
  version: 1,
  mId,
  encoding,
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
function errorAnswer(bytes: Uint8Array, code: number, reason: string, mId: MId): Buffer | undefined {
  const framed = isTpkt(bytes);
  const packet = framed ? withoutTpkt(bytes) : bytes;
  const binary = isBinary(packet);
  if (!binary && !resemblesRequest(packet)) return undefined;
  const error = { kind: 'Error' as const, code, text: reason.replace(/[^\w ./*-]/g, '') };
  // RFC 3525 §8.2.2: no legal transaction could be determined: a reply with the null transaction id.
  const body: MegacoMessage['body'] =
    code === 403
      ? {
          kind: 'transactions',
          transactions: [{ kind: 'reply', transactionId: 0, immAckRequired: false, error, actions: [] }],
        }
      : { kind: 'error', error };
  const answer = encode({ version: 1, mId, body }, { encoding: binary ? 'binary' : 'pretty', version: 1 });
  return framed ? withTpkt(answer) : answer;
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
