/**
 * Text encoding (RFC 3525 Annex B), pretty (long tokens, one item a line) or compact (short tokens, no white space that could be
 * left out). The path attribute is a comment right before the last brace: the one place where every stack that was tried reads on.
 */

import {
  type ActionReply,
  type ActionRequest,
  type Command,
  type CommandReply,
  type ContextAttributes,
  contextAll,
  contextChoose,
  contextNull,
  type Descriptor,
  type DigitMapValue,
  type ErrorDescriptor,
  type EventsDescriptor,
  type LocalControl,
  type MediaDescriptor,
  type MegacoMessage,
  type MId,
  type Parameter,
  type RequestedEvent,
  requestAll,
  type ServiceChangeDescriptor,
  type Signal,
  type SignalList,
  type SignalsDescriptor,
  type Stream,
  type TerminationState,
  type Transaction,
} from '../messages.ts';
import { keywords } from './keywords.ts';

export interface TextOptions {
  /** `Signals` instead of `Signals{}`: not Annex B, but all that some stacks read. */
  readonly bareEmptySignals?: boolean | undefined;
}

export function encodeText(message: MegacoMessage, style: 'pretty' | 'compact', options: TextOptions = {}): Buffer {
  const w = style === 'compact' ? compact : pretty;
  const body =
    message.body.kind === 'error'
      ? errorText(w, message.body.error)
      : transactionsText(w, message.body.transactions, options);
  let text = `${message.authentication === undefined ? '' : authenticationText(w, message)}${w.start}${message.version} ${message.mId}\n${body}`;
  const { alternatePath } = message;
  if (alternatePath !== undefined && alternatePath.length > 0) text = withPathComment(text, alternatePath);
  return Buffer.from(text, 'latin1');
}

/** `;AlternatePath=…` and the line end that ends the comment, before the last brace. */
function withPathComment(text: string, alternatePath: readonly MId[]): string {
  const last = text.lastIndexOf('}');
  return `${text.slice(0, last)} ;AlternatePath=${alternatePath.join(' ')}\n${text.slice(last)}`;
}

/** How one style writes: tokens, the sign between name and value, and the breaks by depth. */
interface Style {
  readonly t: Readonly<Record<keyof typeof keywords, string>>;
  readonly start: string;
  readonly eq: string;
  readonly sp: string;
  /** At depth n: after "{" or "," … */
  readonly nl: readonly string[];
}

const longTokens = Object.fromEntries(Object.keys(keywords).map((long) => [long, long]));
const maxDepth = 16;

const pretty: Style = {
  // Same keys, each its own value.
  t: { ...keywords, ...longTokens },
  start: 'MEGACO/',
  eq: ' = ',
  sp: ' ',
  nl: Array.from({ length: maxDepth }, (_, depth) => `\n${'\t'.repeat(depth)}`),
};

const compact: Style = {
  t: keywords,
  start: '!/',
  eq: '=',
  sp: '',
  nl: Array.from({ length: maxDepth }, () => ''),
};

const br = (w: Style, depth: number): string => w.nl[depth] ?? '';

function authenticationText(w: Style, { authentication }: MegacoMessage): string {
  if (authentication === undefined) return '';
  const { securityParmIndex, sequenceNum, authData } = authentication;
  return `${w.t.Authentication}${w.eq}0x${securityParmIndex}:0x${sequenceNum}:0x${authData}\n`;
}

function transactionsText(w: Style, transactions: readonly Transaction[], options: TextOptions): string {
  let text = '';
  for (const transaction of transactions) {
    if (text !== '') text += '\n';
    text += transactionText(w, transaction, options);
  }
  return text;
}

function transactionText(w: Style, transaction: Transaction, options: TextOptions): string {
  switch (transaction.kind) {
    case 'request': {
      let text = `${w.t.Transaction}${w.eq}${transaction.transactionId}${w.sp}{${br(w, 1)}`;
      let first = true;
      for (const action of transaction.actions) {
        if (!first) text += `,${br(w, 1)}`;
        first = false;
        text += actionText(w, action, options);
      }
      return `${text}${br(w, 0)}}`;
    }
    case 'reply': {
      let text = `${w.t.Reply}${w.eq}${transaction.transactionId}${w.sp}{${br(w, 1)}`;
      if (transaction.immAckRequired) text += `${w.t.ImmAckRequired},${br(w, 1)}`;
      if (transaction.error !== undefined) return `${text}${errorText(w, transaction.error)}${br(w, 0)}}`;
      let first = true;
      for (const action of transaction.actions) {
        if (!first) text += `,${br(w, 1)}`;
        first = false;
        text += actionReplyText(w, action, options);
      }
      return `${text}${br(w, 0)}}`;
    }
    case 'pending':
      return `${w.t.Pending}${w.eq}${transaction.transactionId}${w.sp}{}`;
    case 'ack': {
      const ranges = transaction.ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`));
      return `${w.t.TransactionResponseAck}${w.sp}{${ranges.join(',')}}`;
    }
  }
}

function contextText(contextId: number): string {
  if (contextId === contextNull) return '-';
  if (contextId === contextChoose) return '$';
  if (contextId === contextAll) return '*';
  return `${contextId}`;
}

function actionText(w: Style, action: ActionRequest, options: TextOptions): string {
  let text = `${w.t.Context}${w.eq}${contextText(action.contextId)}${w.sp}{`;
  let separator = br(w, 2);
  if (action.context !== undefined) {
    const attributes = attributesText(w, action.context);
    if (attributes !== '') {
      text += separator + attributes;
      separator = `,${br(w, 2)}`;
    }
  }
  if (action.contextAudit !== undefined && action.contextAudit.length > 0) {
    text += `${separator}${w.t.ContextAudit}${w.sp}{${action.contextAudit.map((item) => w.t[item]).join(',')}}`;
    separator = `,${br(w, 2)}`;
  }
  for (const command of action.commands) {
    text += separator + commandText(w, command, options);
    separator = `,${br(w, 2)}`;
  }
  return `${text}${br(w, 1)}}`;
}

function attributesText(w: Style, { topology, priority, emergency }: ContextAttributes): string {
  const parts: string[] = [];
  if (topology !== undefined && topology.length > 0) {
    const triples = topology.map(({ from, to, direction }) => `${from},${to},${w.t[direction]}`);
    parts.push(`${w.t.Topology}${w.sp}{${triples.join(',')}}`);
  }
  if (priority !== undefined) parts.push(`${w.t.Priority}${w.eq}${priority}`);
  if (emergency === true) parts.push(w.t.Emergency);
  return parts.join(`,${br(w, 2)}`);
}

function commandText(w: Style, command: Command, options: TextOptions): string {
  const flags = `${command.optional === true ? 'O-' : ''}${command.wildcardReturn === true ? 'W-' : ''}`;
  const text = `${flags}${w.t[command.verb]}${w.eq}${command.terminationId}`;
  return command.descriptors.length === 0 ? text : text + descriptorsText(w, command.descriptors, 2, options);
}

function actionReplyText(w: Style, action: ActionReply, options: TextOptions): string {
  let text = `${w.t.Context}${w.eq}${contextText(action.contextId)}${w.sp}{`;
  let separator = br(w, 2);
  if (action.context !== undefined) {
    const attributes = attributesText(w, action.context);
    if (attributes !== '') {
      text += separator + attributes;
      separator = `,${br(w, 2)}`;
    }
  }
  for (const command of action.commands) {
    text += separator + commandReplyText(w, command, options);
    separator = `,${br(w, 2)}`;
  }
  if (action.error !== undefined) text += separator + errorText(w, action.error);
  return `${text}${br(w, 1)}}`;
}

function commandReplyText(w: Style, command: CommandReply, options: TextOptions): string {
  if (command.contextTerminations !== undefined)
    return `${w.t[command.verb]}${w.eq}${w.t.Context}${w.sp}{${command.contextTerminations.join(',')}}`;
  const text = `${w.t[command.verb]}${w.eq}${command.terminationId}`;
  return command.descriptors.length === 0 ? text : text + descriptorsText(w, command.descriptors, 2, options);
}

function descriptorsText(w: Style, descriptors: readonly Descriptor[], depth: number, options: TextOptions): string {
  let text = `${w.sp}{`;
  let separator = br(w, depth + 1);
  for (const descriptor of descriptors) {
    text += separator + descriptorText(w, descriptor, depth + 1, options);
    separator = `,${br(w, depth + 1)}`;
  }
  return `${text}${br(w, depth)}}`;
}

function descriptorText(w: Style, descriptor: Descriptor, depth: number, options: TextOptions): string {
  switch (descriptor.kind) {
    case 'Media':
      return mediaText(w, descriptor, depth);
    case 'Events':
      return eventsText(w, descriptor, depth, options);
    case 'Signals':
      return signalsText(w, descriptor, depth, options);
    case 'ObservedEvents': {
      const inner = br(w, depth + 1);
      const events = descriptor.events.map(
        (event) => `${event.timeStamp === undefined ? '' : `${event.timeStamp}:`}${eventSpecText(w, event)}`,
      );
      return `${w.t.ObservedEvents}${w.eq}${requestText(descriptor.requestId)}${w.sp}{${inner}${events.join(`,${inner}`)}${br(w, depth)}}`;
    }
    case 'Audit':
      return `${w.t.Audit}${w.sp}{${descriptor.items.map((item) => w.t[item]).join(',')}}`;
    case 'Statistics': {
      const inner = br(w, depth + 1);
      let text = '';
      for (const { name, value } of descriptor.statistics)
        text += `${text === '' ? '' : ','}${inner}${name}${value === undefined ? '' : `=${value}`}`;
      return `${w.t.Statistics}${w.sp}{${text}${br(w, depth)}}`;
    }
    case 'DigitMap': {
      const value = descriptor.value === undefined ? '' : `{${digitMapText(descriptor.value)}}`;
      return `${w.t.DigitMap}${w.eq}${descriptor.name ?? ''}${value}`;
    }
    case 'Packages':
      return `${w.t.Packages}${w.sp}{${descriptor.packages.map(({ name, version }) => `${name}-${version}`).join(',')}}`;
    case 'EventBuffer': {
      if (descriptor.events.length === 0) return w.t.EventBuffer;
      return `${w.t.EventBuffer}${w.sp}{${descriptor.events.map((event) => eventSpecText(w, event)).join(',')}}`;
    }
    case 'Services':
      return servicesText(w, descriptor, depth);
    case 'Error':
      return errorText(w, descriptor);
    case 'Modem': {
      const properties =
        descriptor.properties.length === 0 ? '' : `${w.sp}{${descriptor.properties.map(parameterText).join(',')}}`;
      const [only = ''] = descriptor.types;
      const types = descriptor.types.length === 1 ? `${w.eq}${only}` : `[${descriptor.types.join(',')}]`;
      return `${w.t.Modem}${types}${properties}`;
    }
    case 'Mux':
      return `${w.t.Mux}${w.eq}${descriptor.type}${w.sp}{${descriptor.terminations.join(',')}}`;
    case 'empty':
      return w.t[descriptor.item];
  }
}

function mediaText(w: Style, media: MediaDescriptor, depth: number): string {
  let text = `${w.t.Media}${w.sp}{`;
  let separator = br(w, depth + 1);
  if (media.terminationState !== undefined) {
    text += separator + terminationStateText(w, media.terminationState);
    separator = `,${br(w, depth + 1)}`;
  }
  for (const stream of media.streams) {
    text += separator;
    if (stream.streamId === undefined) text += streamText(w, stream, depth + 1);
    else
      text += `${w.t.Stream}${w.eq}${stream.streamId}${w.sp}{${br(w, depth + 2)}${streamText(w, stream, depth + 2)}${br(w, depth + 1)}}`;
    separator = `,${br(w, depth + 1)}`;
  }
  return `${text}${br(w, depth)}}`;
}

function terminationStateText(w: Style, { properties, serviceStates, buffer }: TerminationState): string {
  let text = '';
  for (const property of properties) text += `${text === '' ? '' : ','}${parameterText(property)}`;
  if (serviceStates !== undefined) text += `${text === '' ? '' : ','}${w.t.ServiceStates}${w.eq}${w.t[serviceStates]}`;
  if (buffer !== undefined) text += `${text === '' ? '' : ','}${w.t.Buffer}${w.eq}${w.t[buffer]}`;
  return `${w.t.TerminationState}${w.sp}{${text}}`;
}

function streamText(w: Style, stream: Stream, depth: number): string {
  let text = '';
  if (stream.localControl !== undefined) text = localControlText(w, stream.localControl, depth);
  if (stream.local !== undefined)
    text += `${text === '' ? '' : `,${br(w, depth)}`}${w.t.Local}${w.sp}{\n${sdpText(stream.local)}}`;
  if (stream.remote !== undefined)
    text += `${text === '' ? '' : `,${br(w, depth)}`}${w.t.Remote}${w.sp}{\n${sdpText(stream.remote)}}`;
  return text;
}

/** A brace inside SDP is escaped (Annex B.2); the last line ends before ours. */
function sdpText(sdp: string): string {
  return `${sdp.includes('}') ? sdp.replaceAll('}', '\\}') : sdp}\n`;
}

function localControlText(w: Style, control: LocalControl, depth: number): string {
  const inner = br(w, depth + 1);
  let text = '';
  if (control.mode !== undefined) text = `${inner}${w.t.Mode}${w.eq}${w.t[control.mode]}`;
  if (control.reserveGroup !== undefined)
    text += `${text === '' ? '' : ','}${inner}${w.t.ReservedGroup}${w.eq}${control.reserveGroup ? 'ON' : 'OFF'}`;
  if (control.reserveValue !== undefined)
    text += `${text === '' ? '' : ','}${inner}${w.t.ReservedValue}${w.eq}${control.reserveValue ? 'ON' : 'OFF'}`;
  for (const property of control.properties) text += `${text === '' ? '' : ','}${inner}${parameterText(property)}`;
  return `${w.t.LocalControl}${w.sp}{${text}${br(w, depth)}}`;
}

function parameterText({ name, relation, values }: Parameter): string {
  switch (relation) {
    case '=':
      return `${name}=${values[0] ?? ''}`;
    case '>':
    case '<':
    case '#':
      return `${name}${relation}${values[0] ?? ''}`;
    case 'sublist':
      return `${name}=[${values.join(',')}]`;
    case 'alternatives':
      return `${name}={${values.join(',')}}`;
    case 'range':
      return `${name}=[${values.join(':')}]`;
  }
}

const requestText = (requestId: number | undefined): string =>
  requestId === undefined ? '0' : requestId === requestAll ? '*' : `${requestId}`;

function eventsText(w: Style, { requestId, events }: EventsDescriptor, depth: number, options: TextOptions): string {
  if (events.length === 0) return w.t.Events;
  const inner = br(w, depth + 1);
  let text = '';
  for (const event of events)
    text += `${text === '' ? '' : ','}${inner}${requestedEventText(w, event, depth, options)}`;
  return `${w.t.Events}${w.eq}${requestText(requestId)}${w.sp}{${text}${br(w, depth)}}`;
}

function requestedEventText(w: Style, event: RequestedEvent, depth: number, options: TextOptions): string {
  let text = '';
  if (event.keepActive === true) text = w.t.KeepActive;
  if (event.digitMap !== undefined) {
    const map = 'name' in event.digitMap ? event.digitMap.name : `{${digitMapText(event.digitMap.value)}}`;
    text += `${text === '' ? '' : ','}${w.t.DigitMap}${w.eq}${map}`;
  }
  if (event.embedSignals !== undefined || event.embedEvents !== undefined) {
    const signals = event.embedSignals === undefined ? '' : signalsText(w, event.embedSignals, depth + 1, options);
    const events = event.embedEvents === undefined ? '' : eventsText(w, event.embedEvents, depth + 1, options);
    const both = signals !== '' && events !== '' ? ',' : '';
    text += `${text === '' ? '' : ','}${w.t.Embed}${w.sp}{${signals}${both}${events}}`;
  }
  if (event.streamId !== undefined) text += `${text === '' ? '' : ','}${w.t.Stream}${w.eq}${event.streamId}`;
  for (const parameter of event.parameters) text += `${text === '' ? '' : ','}${parameterText(parameter)}`;
  return text === '' ? event.name : `${event.name}${w.sp}{${text}}`;
}

interface EventLike {
  readonly name: string;
  readonly streamId?: number | undefined;
  readonly parameters: readonly Parameter[];
}

function eventSpecText(w: Style, { name, streamId, parameters }: EventLike): string {
  let text = streamId === undefined ? '' : `${w.t.Stream}${w.eq}${streamId}`;
  for (const parameter of parameters) text += `${text === '' ? '' : ','}${parameterText(parameter)}`;
  return text === '' ? name : `${name}${w.sp}{${text}}`;
}

function digitMapText({ startTimer, shortTimer, longTimer, durationTimer, body }: DigitMapValue): string {
  let text = '';
  if (startTimer !== undefined) text += `T:${startTimer},`;
  if (shortTimer !== undefined) text += `S:${shortTimer},`;
  if (longTimer !== undefined) text += `L:${longTimer},`;
  if (durationTimer !== undefined) text += `Z:${durationTimer},`;
  return text + body;
}

function signalsText(w: Style, { signals }: SignalsDescriptor, depth: number, options: TextOptions): string {
  if (signals.length === 0) return options.bareEmptySignals === true ? w.t.Signals : `${w.t.Signals}${w.sp}{}`;
  const inner = br(w, depth + 1);
  let text = '';
  for (const signal of signals) text += `${text === '' ? '' : ','}${inner}${signalOrListText(w, signal)}`;
  return `${w.t.Signals}${w.sp}{${text}${br(w, depth)}}`;
}

function signalOrListText(w: Style, signal: Signal | SignalList): string {
  if (signal.kind === 'signal') return signalText(w, signal);
  return `${w.t.SignalList}${w.eq}${signal.id}${w.sp}{${signal.signals.map((each) => signalText(w, each)).join(',')}}`;
}

function signalText(w: Style, signal: Signal): string {
  let text = '';
  if (signal.streamId !== undefined) text = `${w.t.Stream}${w.eq}${signal.streamId}`;
  if (signal.type !== undefined) text += `${text === '' ? '' : ','}${w.t.SignalType}${w.eq}${w.t[signal.type]}`;
  if (signal.duration !== undefined) text += `${text === '' ? '' : ','}${w.t.Duration}${w.eq}${signal.duration}`;
  if (signal.notifyCompletion !== undefined)
    text += `${text === '' ? '' : ','}${w.t.NotifyCompletion}${w.eq}{${signal.notifyCompletion.map((reason) => w.t[reason]).join(',')}}`;
  if (signal.keepActive === true) text += `${text === '' ? '' : ','}${w.t.KeepActive}`;
  for (const parameter of signal.parameters) text += `${text === '' ? '' : ','}${parameterText(parameter)}`;
  return text === '' ? signal.name : `${signal.name}${w.sp}{${text}}`;
}

function servicesText(w: Style, services: ServiceChangeDescriptor, depth: number): string {
  const parts: string[] = [];
  if (services.method !== undefined) parts.push(`${w.t.Method}${w.eq}${methodText(w, services.method)}`);
  if (services.address !== undefined) parts.push(`${w.t.ServiceChangeAddress}${w.eq}${services.address}`);
  if (services.version !== undefined) parts.push(`${w.t.Version}${w.eq}${services.version}`);
  if (services.profile !== undefined) parts.push(`${w.t.Profile}${w.eq}${services.profile}`);
  if (services.reason !== undefined) parts.push(`${w.t.Reason}${w.eq}"${services.reason}"`);
  if (services.delay !== undefined) parts.push(`${w.t.Delay}${w.eq}${services.delay}`);
  if (services.mgcId !== undefined) parts.push(`${w.t.MgcIdToTry}${w.eq}${services.mgcId}`);
  if (services.timeStamp !== undefined) parts.push(services.timeStamp);
  if (services.extensions !== undefined)
    for (const extension of services.extensions) parts.push(parameterText(extension));
  const inner = br(w, depth + 1);
  return `${w.t.Services}${w.sp}{${inner}${parts.join(`,${inner}`)}${br(w, depth)}}`;
}

function methodText(w: Style, method: string): string {
  switch (method) {
    case 'Failover':
    case 'Forced':
    case 'Graceful':
    case 'Restart':
    case 'Disconnected':
    case 'HandOff':
      return w.t[method];
    default:
      return method;
  }
}

function errorText(w: Style, { code, text }: ErrorDescriptor): string {
  return `${w.t.Error}${w.eq}${code}${w.sp}{${text === undefined ? '' : `"${text}"`}}`;
}
