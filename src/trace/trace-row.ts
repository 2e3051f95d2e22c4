/** A traced message as plain data: what the admin server gives to `altpath trace` and to the dashboard. */
import { formatSocketAddress, type Transport } from '../signaling/controller-address.ts';
import { endsOf, type TracedMessage } from './traced-message.ts';

export interface TraceRow {
  readonly sequence: number;
  /** Since the Unix epoch. */
  readonly wallMs: number;
  readonly protocol: string;
  readonly transport: Transport;
  readonly direction: 'in' | 'out';
  /** `192.0.2.1:5060` */
  readonly from: string;
  readonly to: string;
  readonly title: string;
  readonly isRequest: boolean;
  readonly call?: string | undefined;
  /** It was sent here because another address failed. */
  readonly moved?: { readonly from: string; readonly because: string } | undefined;
  /** Base64, masked. */
  readonly octets?: string | undefined;
}

/** `masked`: the octets as they may be shown; undefined leaves them out. */
export function traceRow(message: TracedMessage, masked: Buffer | undefined): TraceRow {
  const { sequence, wallMs, protocol, transport, direction, readings, moved } = message;
  const [from, to] = endsOf(message);
  return {
    sequence,
    wallMs: Math.round(wallMs * 1_000) / 1_000,
    protocol,
    transport,
    direction,
    from: formatSocketAddress(from),
    to: formatSocketAddress(to),
    title: readings.length === 0 ? unread(message.bytes) : readings.map(({ title }) => title).join(' + '),
    isRequest: readings.some(({ isRequest }) => isRequest),
    call: readings.find(({ call }) => call !== undefined)?.call,
    moved,
    ...(masked === undefined ? {} : { octets: masked.toString('base64') }),
  };
}

export const isTraceRow = (value: unknown): value is TraceRow =>
  typeof value === 'object' &&
  value !== null &&
  'wallMs' in value &&
  typeof value.wallMs === 'number' &&
  'from' in value &&
  typeof value.from === 'string' &&
  'to' in value &&
  typeof value.to === 'string' &&
  'title' in value &&
  typeof value.title === 'string';

/** What nobody could read is shown by its beginning. */
const unread = (bytes: Buffer): string =>
  `unreadable: ${bytes
    .subarray(0, 32)
    .toString('latin1')
    .replaceAll(/[^\x20-\x7e]/g, '.')}`;
