/** Pure: the next command that lies between what an endpoint's gateway has and what its line's order wants. */
import type { LineOrder } from '../../src/internal.ts';
import type { Connection, Endpoint, Stray } from './endpoint.ts';
import { requestKey } from './requests.ts';

export type Step =
  | { readonly kind: 'deleteStray'; readonly stray: Stray; readonly callId: string }
  /** All connections of the endpoint (RFC 3435 §2.3.9). */
  | { readonly kind: 'clear' }
  | { readonly kind: 'delete'; readonly connection: Connection; readonly request: boolean }
  | { readonly kind: 'create'; readonly request: boolean }
  | { readonly kind: 'modify'; readonly connection: Connection; readonly request: boolean }
  | { readonly kind: 'request' };

type EndpointState = Pick<Endpoint, 'line' | 'connection' | 'strays' | 'requested' | 'postponed'>;

export function nextStep(endpoint: EndpointState): Step | undefined {
  const { connection } = endpoint;
  const { order } = endpoint.line;
  const { media } = order;
  const stray = strayStep(endpoint);
  if (stray !== undefined) return stray;
  const request = endpoint.requested !== requestKey(order);
  if (connection !== undefined && connection.callId !== media?.callId) {
    if (!connection.isNamed) return { kind: 'clear' };
    // A request that only fits once the connection is gone would fail with it (RFC 3435 §4.4.2): media first, if a new one follows.
    return { kind: 'delete', connection, request: request && media === undefined };
  }
  if (media !== undefined && connection === undefined) return { kind: 'create', request };
  if (
    media !== undefined &&
    connection?.isNamed === true &&
    (!isMode(connection, order) || (media.remote !== undefined && media.remote !== connection.remote))
  )
    return { kind: 'modify', connection, request };
  return request ? { kind: 'request' } : undefined;
}

/** Never sendrecv before there is a remote description: 527 (RFC 3435 §2.3.5). */
export const effectiveMode = ({ media }: LineOrder, connection?: Connection): 'receive' | 'both' =>
  media?.mode === 'both' && (media.remote ?? connection?.remote) !== undefined ? 'both' : 'receive';

/** A gateway that has it in both ways already knows the other party, whether its audit told or not. */
const isMode = (connection: Connection, order: LineOrder): boolean =>
  connection.mode === effectiveMode(order, connection) || (connection.mode === 'both' && order.media?.mode === 'both');

function strayStep({ line, connection, strays, postponed }: EndpointState): Step | undefined {
  if (strays.length === 0 || postponed !== undefined) return undefined;
  for (const stray of strays)
    if (stray.callId !== undefined) return { kind: 'deleteStray', stray, callId: stray.callId };
  // A parked handset may be talking over what we cannot name: that ends when it is hung up. A call of ours is not cleared with the rest.
  return connection === undefined && line.order.mark !== 'parked' ? { kind: 'clear' } : undefined;
}
