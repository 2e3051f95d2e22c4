/** MGCP messages as the trace shows them. */
import { type MessageReader, type MessageReading, maskedOctets } from '../../src/internal.ts';
import { decodeDatagram } from './codec/decode.ts';
import { type MgcpCommand, type MgcpMessage, parameter } from './codec/messages.ts';

export const mgcpReader: MessageReader = {
  hepType: 6,
  read(bytes): readonly MessageReading[] {
    const decoded = decodeDatagram(bytes);
    return decoded.ok ? decoded.value.messages.flatMap(reading) : [];
  },
  masked: (bytes) => maskedOctets(bytes, secrets),
};

function reading(message: MgcpMessage): readonly MessageReading[] {
  switch (message.kind) {
    case 'command':
      return [
        {
          title: [`${message.verb} ${message.endpoint}`, ...told(message)].join(' '),
          isRequest: true,
          call: parameter(message, 'C')?.toUpperCase(),
          transaction: String(message.transactionId),
          parties: [message.endpoint.toLowerCase(), message.endpoint],
        },
      ];
    case 'response':
      return [
        {
          title: `${message.code} ${message.comment}`.trim(),
          isRequest: false,
          transaction: String(message.transactionId),
          parties: [],
        },
      ];
    case 'broken':
      return [];
  }
}

/** What happened, what shall happen, and how the connection shall be. */
const told = (command: MgcpCommand): readonly string[] =>
  ['O', 'RM', 'S', 'M'].flatMap((code) => {
    const value = parameter(command, code);
    return value === undefined || value === '' ? [] : `${code}: ${value}`;
  });

/** RFC 3435 §3.2.2.10: the key of the media may stand among the local connection options. */
const secrets: readonly RegExp[] = [/((?:^|\n)L[ \t]*:[^\r\n]*?\bk:)([^,\r\n]+)/gi];
