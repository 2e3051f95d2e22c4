/** Where responses go: back over the request's flow, or where its top Via and the alternates on it say (RFC 3261 §18.2.2, RFC 3581 §4). */
import {
  addressKind,
  type ControllerAddress,
  canonicalHost,
  type Flow,
  isReliable,
  type Transmitter,
} from '../../../src/internal.ts';
import { topViaEnd } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isUnicast } from '../codec/uri.ts';
import type { Via } from '../codec/values.ts';
import { sipDefaultPort } from '../config.ts';
import { viaTransport } from '../path.ts';
import type { AlternatesOf, TransactionHost } from './host.ts';

/** Sends a response that belongs to no transaction of ours. */
export const reply = (
  { transmitter, octets, feedback }: Pick<TransactionHost, 'transmitter' | 'octets' | 'feedback'>,
  request: SipMessage,
  flow: Flow,
  text: string,
): void =>
  sendBack(
    transmitter,
    flow,
    replyWay(request.via, flow, () => none),
    octets(feedback?.write(text, request.via, flow.remote) ?? text, flow),
    0,
  );

/** The address a response goes to by Via alone, for a response that belongs to no transaction (RFC 3261 §16.11, §18.2.2). */
export function viaAddress(via: SipMessage['via']): ControllerAddress | undefined {
  const transport = viaTransport(via.transport);
  if (transport === undefined) return undefined;
  const rport = via.rport === undefined || via.rport === '' ? 0 : Number(via.rport);
  const host = via.maddr ?? via.received ?? via.host;
  if (!isUnicast(host)) return undefined;
  return {
    transport,
    host,
    port: isReliable(transport) ? via.port || sipDefaultPort(transport) : rport || via.port || 5_060,
  };
}

/** A response with its top Via taken off (RFC 3261 §16.7 item 3); undefined where no other Via remains: it was for us. */
export function withoutTopVia(response: SipMessage): string | undefined {
  const first = response.fieldIndex(H.via);
  const { text, scan, end } = response;
  const stop = response.valueStop(first);
  let next = topViaEnd(response, first);
  // Behind the comma, unless nothing follows.
  while (next < stop && isSeparator(text.charCodeAt(next))) next += 1;
  if (next < stop) return text.slice(scan.start, response.valueStart(first)) + text.slice(next, end);
  if (response.fieldIndex(H.via, first) < 0) return undefined;
  return text.slice(scan.start, response.fieldStart(first)) + text.slice(response.fieldEnd(first), end);
}

/** Where a response goes: the flow of the request, and what its top Via says where that differs. */
export interface ReplyWay {
  readonly flow: Flow;
  readonly port: number;
  readonly maddr: string | undefined;
  /** All of them, the hop itself first; `none` where the hop named no alternates that we obey. */
  readonly alternates: readonly ControllerAddress[];
}

/** RFC 3261 §18.2.2 and RFC 3581 §4; undefined: simply back over the flow. */
export function replyWay(via: Via, flow: Flow, alternatesOf: AlternatesOf): ReplyWay | undefined {
  const port =
    via.rport !== undefined && !flow.reliable ? flow.remote.port : via.port || sipDefaultPort(flow.transport);
  // A group or a whole network is no place for an answer (RFC 4475 §3.3.10), nor is the inside of this machine for one to the outside.
  const maddr =
    flow.reliable || via.maddr === undefined || !isUnicast(via.maddr) || isInside(via.maddr, flow)
      ? undefined
      : via.maddr;
  const alternates = alternatesOf(via, flow);
  if (alternates.length === 0)
    return !flow.reliable && maddr === undefined && port === flow.remote.port
      ? undefined
      : { flow, port, maddr, alternates: none };
  const { transport } = flow;
  const hop: ControllerAddress = { transport, host: maddr ?? flow.remote.host, port };
  // A stand-in sends with its partner's sent-by: the partner itself comes last.
  const named: ControllerAddress = { transport, host: via.host, port: via.port || sipDefaultPort(transport) };
  return { flow, port, maddr, alternates: [hop, ...[...alternates, named].filter((other) => !isFrom(flow, other))] };
}

/** A loopback address, or our own, where the request came from elsewhere. */
function isInside(maddr: string, { local, remote }: Flow): boolean {
  const host = canonicalHost(maddr);
  if (host === remote.host || addressKind(remote.host) === 'loopback') return false;
  return addressKind(host) === 'loopback' || host === local.host;
}

export function sendBack(
  transmitter: Transmitter,
  straight: Flow,
  way: ReplyWay | undefined,
  bytes: Uint8Array,
  turn: number,
): void {
  if (way === undefined) {
    straight.send(bytes);
    return;
  }
  const { flow, port, maddr, alternates } = way;
  if (alternates.length > 0) {
    // RFC 3263 §5 comes after what the hop itself named (docs/alternate-path.md §7.5).
    const isGone = flow.reliable && !transmitter.isOpen(flow);
    const addresses = isGone ? [...alternates.slice(1), ...alternates.slice(0, 1)] : alternates;
    transmitter.sendToFirst(addresses, bytes, turn, flow.reliable && !isGone ? flow : undefined);
    return;
  }
  if (flow.reliable && transmitter.isOpen(flow)) flow.send(bytes);
  else transmitter.sendOnce({ transport: flow.transport, host: maddr ?? flow.remote.host, port }, () => bytes);
}

/** Is this address the other end of the flow? The port of a connection's other end says nothing. */
export const isFrom = (
  { reliable, remote }: Flow,
  { host, port }: { readonly host: string; readonly port: number },
): boolean => remote.host === host && (reliable || remote.port === port);

const isSeparator = (c: number): boolean => c <= 32 || c === 44;

export const none: readonly never[] = [];
