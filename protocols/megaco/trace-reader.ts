/** MEGACO messages as the trace shows them, in whichever encoding they are. */
import { type MessageReader, type MessageReading, maskedOctets } from '../../src/internal.ts';
import { decode, isBinary, plainNaming } from './codec/codec.ts';
import { isTpkt, withoutTpkt } from './codec/framing.ts';
import {
  type Command,
  type CommandReply,
  contextAll,
  contextChoose,
  contextNull,
  type Descriptor,
  type ErrorDescriptor,
  type MegacoMessage,
  type Transaction,
} from './codec/messages.ts';

export const megacoReader: MessageReader = {
  hepType: 7,
  read(bytes): readonly MessageReading[] {
    const message = messageIn(bytes);
    if (message === undefined) return [];
    const { body } = message;
    return body.kind === 'error'
      ? [{ title: errorText(body.error), isRequest: false, transaction: '0', parties: [] }]
      : body.transactions.flatMap(reading);
  },
  masked(bytes) {
    const packet = isTpkt(bytes) ? withoutTpkt(bytes) : bytes;
    const masked = maskedOctets(bytes, secrets, '0');
    const proof = isBinary(packet) ? messageIn(bytes)?.authentication?.authData : undefined;
    const at = proof === undefined || proof === '' ? -1 : masked.indexOf(Buffer.from(proof, 'hex'));
    if (proof === undefined || at < 0) return masked;
    const copy = Buffer.from(masked);
    return copy.fill(0, at, at + proof.length / 2);
  },
};

function messageIn(bytes: Buffer): MegacoMessage | undefined {
  const decoded = decode(bytes, () => plainNaming);
  return decoded.ok ? decoded.value : undefined;
}

function reading(transaction: Transaction): readonly MessageReading[] {
  switch (transaction.kind) {
    case 'request': {
      const commands = transaction.actions.flatMap(({ contextId, commands: all }) =>
        all.map((command) => ({ contextId, command })),
      );
      return [
        {
          title: commands.map(({ contextId, command }) => commandText(contextId, command)).join(', ') || 'request',
          isRequest: true,
          transaction: String(transaction.transactionId),
          parties: partiesOf(commands.map(({ command }) => command)),
        },
      ];
    }
    case 'reply': {
      const commands = transaction.actions.flatMap(({ contextId, commands: all }) =>
        all.map((command) => ({ contextId, command })),
      );
      const errors = [transaction.error, ...transaction.actions.map(({ error }) => error)].flatMap((error) =>
        error === undefined ? [] : errorText(error),
      );
      const told = [...commands.map(({ contextId, command }) => commandText(contextId, command)), ...errors];
      return [
        {
          title: `Reply ${told.join(', ')}`.trim(),
          isRequest: false,
          transaction: String(transaction.transactionId),
          parties: partiesOf(commands.map(({ command }) => command)),
        },
      ];
    }
    case 'pending':
      return [{ title: 'Pending', isRequest: false, transaction: String(transaction.transactionId), parties: [] }];
    case 'ack':
      return [{ title: 'TransactionResponseAck', isRequest: false, transaction: '', parties: [] }];
  }
}

function commandText(contextId: number, { verb, terminationId, descriptors }: Command | CommandReply): string {
  const context = contextId === contextNull ? '' : ` in ${contextText(contextId)}`;
  return `${verb} ${terminationId}${context}${descriptors.map(descriptorText).join('')}`;
}

function contextText(contextId: number): string {
  if (contextId === contextChoose) return '$';
  return contextId === contextAll ? '*' : String(contextId);
}

/** What happened, and what went wrong. */
function descriptorText(descriptor: Descriptor): string {
  switch (descriptor.kind) {
    case 'ObservedEvents':
      return ` ${descriptor.events.map(({ name }) => name).join(' ')}`;
    case 'Services':
      return descriptor.method === undefined ? '' : ` ${descriptor.method}`;
    case 'Error':
      return ` ${errorText(descriptor)}`;
    default:
      return '';
  }
}

const errorText = ({ code, text }: ErrorDescriptor): string => `error ${code}${text === undefined ? '' : ` ${text}`}`;

const partiesOf = (commands: readonly (Command | CommandReply)[]): readonly string[] => [
  ...new Set(commands.map(({ terminationId }) => terminationId).filter((id) => id !== '' && id !== '*' && id !== '$')),
];

/** RFC 3525 §10.2, Annex B.2: the integrity check value, the last of the header's three numbers. */
const secrets: readonly RegExp[] = [
  /(\b(?:authentication|au)[ \t\r\n]*=[ \t\r\n]*0x[0-9a-f]+[ \t\r\n]*:[ \t\r\n]*0x[0-9a-f]+[ \t\r\n]*:[ \t\r\n]*0x)([0-9a-f]+)/gi,
];
