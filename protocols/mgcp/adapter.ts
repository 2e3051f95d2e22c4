/** MGCP's side of the core's contract. A message is a datagram: one command or response, or several. */
import {
  type ControllerAddress,
  fail,
  ok,
  type PathAttribute,
  type ProtocolAdapter,
  type SignalKind,
} from '../../src/internal.ts';
import { insertPath, readPath } from './alternate-path.ts';
import { decodeDatagram } from './decode.ts';
import { command, encodeDatagram, encodeMessage } from './encode.ts';
import { type MgcpCommand, type MgcpDatagram, type MgcpMessage, parameter, respond } from './messages.ts';
import { domainOf, readNotifiedEntity, writeNotifiedEntity } from './values/names.ts';

export type MgcpSide = 'controller' | 'gateway';

/** `side`: whom we are; RFC 3435 §3.5 gives each its default port. */
export function createMgcpAdapter(side: MgcpSide = 'controller'): ProtocolAdapter<MgcpDatagram> {
  return {
    protocol: 'mgcp',
    defaultPort: () => (side === 'controller' ? 2727 : 2427),
    decode(bytes) {
      const decoded = decodeDatagram(bytes);
      if (!decoded.ok) return fail(decoded.error);
      const [only, ...others] = decoded.value.messages;
      // Alone and beyond reading: nothing to process, but the sender gets its code (RFC 3435 §2.4).
      if (others.length === 0 && only?.kind === 'broken')
        return fail({
          reason: only.reason,
          offset: only.offset,
          ...(only.code === undefined
            ? {}
            : { code: only.code, answer: encodeMessage(respond(only.transactionId, only.code, only.reason)) }),
        });
      return ok(decoded.value);
    },
    encode: encodeDatagram,
    kind: ({ messages }) => kindOf(messages[0]),
    transactionKey: ({ messages }) => String(first(messages)?.transactionId ?? 0),
    pathAttributes: ({ messages }) => messages.map(readPath).filter((path) => path !== undefined),
    insertPath: ({ messages }, path) => ({ messages: messages.map((message) => insertPath(message, path)) }),
    namedAddresses: ({ messages }) => messages.flatMap(addressesOf),
    takeOver: ({ messages }, { primary, self, path }) => {
      const named = messages.some((message) => names(message, primary));
      if (!named) return undefined;
      return { messages: messages.map((message) => (names(message, primary) ? rename(message, self, path) : message)) };
    },
    /** An empty Notify, which any call agent answers and no gateway's state depends on; to a gateway an audit. */
    probe: (to, from, id) => ({
      messages: [side === 'gateway' ? keepAlive(from, probeId(id)) : auditOf(to, probeId(id))],
    }),
  };
}

/** What asks a call agent whether it lives. */
export const keepAlive = (from: ControllerAddress, id: number): MgcpCommand =>
  command('NTFY', id, `*@${domainOf(from)}`, [
    { code: 'X', value: '0' },
    { code: 'O', value: '' },
  ]);

/** What asks a gateway whether it lives. */
export const auditOf = (to: ControllerAddress, id: number, domain = domainOf(to)): MgcpCommand =>
  command('AUEP', id, `*@${domain}`, []);

const kindOf = (message: MgcpMessage | undefined): SignalKind =>
  message?.kind === 'command' ? 'request' : message?.kind === 'response' && message.code >= 100 ? 'response' : 'event';

const first = (messages: readonly MgcpMessage[]): MgcpMessage | undefined => messages[0];

const addressesOf = (message: MgcpMessage): readonly ControllerAddress[] => {
  if (message.kind === 'broken') return [];
  const named = parameter(message, 'N') ?? parameter(message, 'RED/N');
  const address = named === undefined ? undefined : readNotifiedEntity(named);
  const path = readPath(message);
  return [...(address === undefined ? [] : [address]), ...(path?.alternates ?? [])];
};

/** Does the message name this controller as the one in charge? */
const names = (message: MgcpMessage, controller: ControllerAddress): boolean => {
  const [named] = addressesOf(message);
  return named !== undefined && named.host === controller.host && named.port === controller.port;
};

function rename(message: MgcpMessage, self: ControllerAddress, path: PathAttribute): MgcpMessage {
  if (message.kind === 'broken') return message;
  const parameters = message.parameters.map((each) =>
    each.code === 'N' || each.code.toUpperCase() === 'RED/N' ? { ...each, value: writeNotifiedEntity(self) } : each,
  );
  return insertPath({ ...message, parameters }, path);
}

/** Any text becomes a transaction id. */
function probeId(id: string): number {
  let hash = 17;
  for (let at = 0; at < id.length; at += 1) hash = (hash * 31 + id.charCodeAt(at)) % 999_999_999;
  return hash + 1;
}
