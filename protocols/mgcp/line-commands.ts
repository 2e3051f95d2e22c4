/**
 * Pure: the next command that lies between what an endpoint's gateway has and what its line is to be doing (one at a time, RFC 3435
 * §4.4.4), and its parameters.
 */
import {
  type CallRecord,
  type DesiredLine,
  desiredIdle,
  isSameRecord,
  type MediaMode,
  withRecord,
} from '../../src/internal.ts';
import type { Parameter } from './codec/messages.ts';
import { type RequestStyle, requestKey, requestParameters } from './requests.ts';
import type { Draft } from './transactions.ts';

/** What an endpoint's gateway has of it, as far as it has told. */
export interface ObservedEndpoint {
  readonly connection: Connection | undefined;
  /** To be deleted: what an audit found beside the call, or what the gateway did not delete when it was told to. */
  readonly strays: readonly Stray[];
  /** Key of the request in force; undefined: not known, so it must be made. */
  readonly requested: string | undefined;
}

export interface Connection {
  readonly callId: string;
  readonly id: string;
  /** false: an audit did not tell its call id or its own, so no command can name it (RFC 3435 §2.3.6, §2.3.7). */
  readonly isNamed: boolean;
  readonly mode: MediaMode;
  /** The remote description the gateway was given. */
  readonly remote: string | undefined;
  /** The record of the other party that lies beside it. */
  readonly record?: CallRecord | undefined;
  /** The gateway's own description. */
  readonly local: string | undefined;
}

/** A connection that belongs to no call. */
export interface Stray {
  readonly id: string;
  /** undefined where it is not known, or the gateway denies it: only a deletion of all connections reaches it (RFC 3435 §2.3.9). */
  readonly callId: string | undefined;
}

type Step =
  | { readonly kind: 'deleteStray'; readonly stray: Stray; readonly callId: string }
  /** All connections of the endpoint (RFC 3435 §2.3.9). */
  | { readonly kind: 'clear' }
  | { readonly kind: 'delete' | 'modify'; readonly connection: Connection; readonly request: boolean }
  | { readonly kind: 'create'; readonly request: boolean }
  | { readonly kind: 'request'; readonly request: true };

export type LineCommand = Step & { readonly desired: DesiredLine };

export function nextCommand(
  desired: DesiredLine = desiredIdle,
  observed: ObservedEndpoint,
  { cleansUp }: { readonly cleansUp: boolean },
): LineCommand | undefined {
  const step = (cleansUp ? strayStep(desired, observed) : undefined) ?? lineStep(desired, observed);
  return step && { ...step, desired };
}

function lineStep(desired: DesiredLine, { connection, requested }: ObservedEndpoint): Step | undefined {
  const { media } = desired;
  const request = requested !== requestKey(desired);
  if (connection !== undefined && connection.callId !== media?.callId) {
    if (!connection.isNamed) return { kind: 'clear' };
    // A request that only fits once the connection is gone would fail with it (RFC 3435 §4.4.2): media first, if a new one follows.
    return { kind: 'delete', connection, request: request && media === undefined };
  }
  if (media !== undefined && connection === undefined) return { kind: 'create', request };
  if (
    media !== undefined &&
    connection?.isNamed === true &&
    (!isMode(connection, desired) ||
      (media.remote !== undefined && media.remote !== connection.remote) ||
      isRecordNew(desired, connection))
  )
    return { kind: 'modify', connection, request };
  return request ? { kind: 'request', request } : undefined;
}

/** Is there a record to be put beside a remote description, or another than lies there? */
const isRecordNew = ({ media }: DesiredLine, connection: Connection): boolean =>
  media?.record !== undefined &&
  (media.remote ?? connection.remote) !== undefined &&
  !isSameRecord(media.record, connection.record);

/** Nothing is sent before there is a remote description: 527 (RFC 3435 §2.3.5). */
export const effectiveMode = ({ media }: DesiredLine, connection?: Connection): MediaMode =>
  media !== undefined && (media.remote ?? connection?.remote) !== undefined ? media.mode : 'receive';

/** A gateway that has it in both ways already knows the other party, whether its audit told or not. */
const isMode = (connection: Connection, desired: DesiredLine): boolean =>
  connection.mode === effectiveMode(desired, connection) ||
  (connection.mode === 'both' && desired.media?.mode === 'both');

function strayStep({ state }: DesiredLine, { connection, strays }: ObservedEndpoint): Step | undefined {
  if (strays.length === 0) return undefined;
  for (const stray of strays)
    if (stray.callId !== undefined) return { kind: 'deleteStray', stray, callId: stray.callId };
  // A locked-out handset may be talking over what we cannot name: that ends when it is hung up. A call of ours is not cleared with the rest.
  return connection === undefined && state !== 'lockout' ? { kind: 'clear' } : undefined;
}

export interface CommandStyle extends RequestStyle {
  readonly serial: number;
  localConnectionOptions(offer: string | undefined): string;
  /** Our name for `N:`. */
  readonly routing: readonly Parameter[];
  /** The record that the line is to have, sealed for it; undefined where there is none, or the gateway does not keep it here. */
  readonly sealed?: Uint8Array | undefined;
}

export function draftOf(command: LineCommand, endpoint: string, style: CommandStyle): Draft {
  const { desired } = command;
  const { media } = desired;
  const { routing } = style;
  const request = 'request' in command && command.request ? requestParameters(desired, style.serial, style) : [];
  const draft = (verb: string, own: readonly Parameter[], remote?: string): Draft => ({
    verb,
    endpoint,
    parameters: [...own, ...request, ...routing],
    sdp: remote === undefined ? [] : [remote],
  });
  switch (command.kind) {
    case 'deleteStray':
      return draft('DLCX', named(command.callId, command.stray.id));
    case 'clear':
      return { verb: 'DLCX', endpoint, parameters: [], sdp: [] };
    case 'delete':
      return draft('DLCX', named(command.connection.callId, command.connection.id));
    case 'create':
      return draft(
        'CRCX',
        [
          { code: 'C', value: media?.callId ?? '' },
          ...options(style.localConnectionOptions(media?.remote)),
          { code: 'M', value: wireMode(desired, style.dialect) },
        ],
        media?.remote === undefined ? undefined : withRecord(media.remote, style.sealed),
      );
    case 'modify': {
      const { connection } = command;
      const remote = media?.remote ?? connection.remote;
      // The record goes with the whole description: what is told of it anew replaces what was told before.
      const isTold = remote !== undefined && (remote !== connection.remote || isRecordNew(desired, connection));
      return draft(
        'MDCX',
        [
          ...named(connection.callId, connection.id),
          ...changedOptions(media?.remote, connection.remote, style),
          { code: 'M', value: wireMode(desired, style.dialect, connection) },
        ],
        isTold ? withRecord(remote, style.sealed) : undefined,
      );
    }
    case 'request':
      return draft('RQNT', []);
  }
}

const named = (callId: string, id: string): readonly Parameter[] => [
  { code: 'C', value: callId },
  { code: 'I', value: id },
];

/** What the other party offers now may need other codecs than what it offered before (RFC 3435 §2.3.6: omitted, the options stay). */
function changedOptions(
  remote: string | undefined,
  before: string | undefined,
  { localConnectionOptions }: CommandStyle,
): readonly Parameter[] {
  if (remote === undefined || before === undefined || remote === before) return [];
  const value = localConnectionOptions(remote);
  return value === localConnectionOptions(before) ? [] : options(value);
}

const options = (value: string): readonly Parameter[] => (value === '' ? [] : [{ code: 'L', value }]);

/** A gateway that refuses a mode is given the nearest that it may know: the party that holds the call sends nothing that could be heard. */
function wireMode(desired: DesiredLine, dialect: ReadonlySet<string>, connection?: Connection): string {
  switch (effectiveMode(desired, connection)) {
    case 'both':
      return 'sendrecv';
    case 'receive':
      return dialect.has('noReceiveOnly') && !dialect.has('noInactive') ? 'inactive' : 'recvonly';
    case 'send':
      return dialect.has('noSendOnly') ? 'sendrecv' : 'sendonly';
    case 'none':
      return dialect.has('noInactive') ? 'recvonly' : 'inactive';
  }
}
