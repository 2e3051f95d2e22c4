/** MGCP by the core’s contract. A message of this protocol is a datagram: one command or response, or several. */
import { type ControllerAddress, fail, ok, type ProtocolAdapter } from '../../src/internal.ts';
import { decodeDatagram } from './codec/decode.ts';
import { command, encodeDatagram } from './codec/encode.ts';
import { type MgcpCommand, type MgcpDatagram, respond } from './codec/messages.ts';
import { domainOf } from './codec/values/names.ts';
import { readPath } from './path.ts';

export type MgcpSide = 'controller' | 'gateway';

/** What a question to a gateway must know of it. */
export interface ProbedGateway {
  /** The domain of its endpoints. */
  readonly name: string;
  /** Words of its dialect (refusals.ts). */
  readonly dialect: ReadonlySet<string>;
}

/** `side`: whom we are. `gatewayAt`: the gateway at this address, where it is one that is known. */
export function createMgcpAdapter(
  side: MgcpSide = 'controller',
  gatewayAt: (address: ControllerAddress) => ProbedGateway | undefined = () => undefined,
): ProtocolAdapter<MgcpDatagram> {
  return {
    protocol: 'mgcp',
    decode(bytes) {
      const decoded = decodeDatagram(bytes);
      if (!decoded.ok) return fail(decoded.error);
      const [only, ...others] = decoded.value.messages;
      // Alone and beyond reading: nothing to process, but the sender gets its code (RFC 3435 §2.4).
      if (others.length === 0 && only?.kind === 'broken' && only.response === undefined) {
        const { reason, offset, code, transactionId } = only;
        if (code === undefined) return fail({ reason, offset });
        const answer = respond(transactionId, code, reason);
        return fail({ reason, offset, code, answer: (path) => encodeDatagram({ messages: [answer] }, path) });
      }
      return ok(decoded.value);
    },
    encode: encodeDatagram,
    paths: ({ messages }) => messages.map(readPath).filter((path) => path !== undefined),
    /** To a call agent an empty Notify, which any answers and no gateway's state depends on; to a gateway an audit. */
    probe(to, from, id) {
      if (side === 'gateway') return { messages: [keepAlive(from, probeId(id))] };
      const gateway = gatewayAt(to);
      const pathless = gateway?.dialect.has('noPath');
      return { messages: [{ ...auditOf(to, probeId(id), gateway?.name), pathless }] };
    },
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

/** A number is the transaction id itself; any other text becomes one. */
function probeId(id: string): number {
  if (/^[1-9]\d{0,8}$/.test(id)) return Number(id);
  let hash = 17;
  for (let at = 0; at < id.length; at += 1) hash = (hash * 31 + id.charCodeAt(at)) % 999_999_999;
  return hash + 1;
}
