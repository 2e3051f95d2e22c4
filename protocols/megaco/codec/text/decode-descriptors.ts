/** Text decoding of the descriptors (RFC 3525 Annex B.2, §7.1), one function per production. */

import type {
  Descriptor,
  DigitMapValue,
  ErrorDescriptor,
  EventDigitMap,
  EventSpec,
  EventsDescriptor,
  LocalControl,
  MediaDescriptor,
  NotificationReason,
  ObservedEvent,
  Parameter,
  RequestedEvent,
  Signal,
  SignalList,
  SignalsDescriptor,
  SignalType,
  Statistic,
  Stream,
  StreamMode,
  TerminationState,
  TopologyTriple,
} from '../messages.ts';
import {
  maxListItems,
  readAudit,
  readParameter,
  readRequestId,
  readTimeStamp,
  readValues,
} from './decode-parameters.ts';
import { readExtensionName, readServices } from './decode-services.ts';
import type { Keyword } from './keywords.ts';
import type { Scanner } from './scanner.ts';

const [open, close, comma, equals, dash, colon] = [0x7b, 0x7d, 0x2c, 0x3d, 0x2d, 0x3a];
const [openList, closeList] = [0x5b, 0x5d];
const uint16 = 0xffff;

const noParameters: readonly Parameter[] = [];

/** Descriptors up to the closing brace, which is taken. `code`: what a mistake in them is called. */
export function readDescriptors(s: Scanner, code: number): readonly Descriptor[] {
  const descriptors: Descriptor[] = [];
  do {
    const descriptor = readDescriptor(s, s.word(), code);
    if (descriptor !== undefined) descriptors.push(descriptor);
    if (descriptors.length > maxListItems) s.fail(code, 'too many descriptors');
  } while (s.take(comma));
  s.expect(close, code);
  return descriptors;
}

function readDescriptor(s: Scanner, word: Keyword | undefined, code: number): Descriptor | undefined {
  switch (word) {
    case 'Media':
      return s.take(open) ? readMedia(s, code) : { kind: 'empty', item: 'Media' };
    case 'Events':
      return readEvents(s, code, true);
    case 'Signals':
      return readSignals(s, code);
    case 'ObservedEvents':
      return s.take(equals) ? readObservedEvents(s, code) : { kind: 'empty', item: 'ObservedEvents' };
    case 'Audit':
      return readAudit(s, code);
    case 'Statistics':
      return s.take(open) ? readStatistics(s, code) : { kind: 'empty', item: 'Statistics' };
    case 'DigitMap':
      return s.take(equals) || s.peek() === open ? readDigitMap(s, code) : { kind: 'empty', item: 'DigitMap' };
    case 'Packages':
      return s.take(open) ? readPackages(s, code) : { kind: 'empty', item: 'Packages' };
    case 'EventBuffer':
      return { kind: 'EventBuffer', events: s.take(open) ? readEventSpecs(s, code) : [] };
    case 'Services':
      return readServices(s, code);
    case 'Error':
      return readError(s, code);
    case 'Modem':
      return readModem(s, code);
    case 'Mux':
      return readMux(s, code);
    default:
      s.fail(code, 'no such descriptor');
      return undefined;
  }
}

function readMedia(s: Scanner, code: number): MediaDescriptor {
  const streams: Stream[] = [];
  let terminationState: TerminationState | undefined;
  let single: MutableStream | undefined;
  do {
    const word = s.word();
    if (word === 'Stream') {
      s.expect(equals, code);
      const stream = newStream(s.uint(uint16, code));
      s.expect(open, code);
      do readStreamPart(s, s.word(), stream, code);
      while (s.take(comma));
      s.expect(close, code);
      streams.push(stream);
      if (streams.length > maxListItems) s.fail(code, 'too many streams');
    } else if (word === 'TerminationState') terminationState = readTerminationState(s, code);
    else {
      if (single === undefined) {
        single = newStream(undefined);
        streams.push(single);
      }
      readStreamPart(s, word, single, code);
    }
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'Media', terminationState, streams };
}

interface MutableStream {
  streamId: number | undefined;
  localControl: LocalControl | undefined;
  local: string | undefined;
  remote: string | undefined;
}

const newStream = (streamId: number | undefined): MutableStream => ({
  streamId,
  localControl: undefined,
  local: undefined,
  remote: undefined,
});

function readStreamPart(s: Scanner, word: Keyword | undefined, stream: MutableStream, code: number): void {
  switch (word) {
    case 'LocalControl':
      stream.localControl = readLocalControl(s, code);
      return;
    case 'Local':
      stream.local = readSdp(s, code);
      return;
    case 'Remote':
      stream.remote = readSdp(s, code);
      return;
    case 'Statistics':
      // Per stream since version 3; the termination's own are what we account by.
      if (s.take(open)) readStatistics(s, code);
      return;
    default:
      s.fail(code, 'stream parameter expected');
  }
}

/** The session description; white space before it is accepted (Annex B.2), comments there would be part of it. */
function readSdp(s: Scanner, code: number): string {
  if (s.peek() !== open) {
    s.fail(code, '"{" expected');
    return '';
  }
  const { text, end } = s;
  let pos = s.pos + 1;
  while (pos < end && isSpace(text.charCodeAt(pos))) pos += 1;
  s.pos = pos;
  return s.octetString(code);
}

const isSpace = (char: number): boolean => char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09;

function readLocalControl(s: Scanner, code: number): LocalControl {
  s.expect(open, code);
  let mode: StreamMode | undefined;
  let reserveGroup: boolean | undefined;
  let reserveValue: boolean | undefined;
  let properties: Parameter[] | undefined;
  do {
    const start = s.pos;
    const word = s.word();
    if (s.isPackage()) {
      const property = readParameter(s, s.packageItem(start, code), code);
      if (properties === undefined) properties = [property];
      else properties.push(property);
      if (properties.length > maxListItems) s.fail(code, 'too many properties');
      continue;
    }
    s.expect(equals, code);
    if (word === 'Mode') mode = readMode(s, code);
    else if (word === 'ReservedGroup') reserveGroup = readSwitch(s, code);
    else if (word === 'ReservedValue') reserveValue = readSwitch(s, code);
    else s.fail(code, 'no such local control');
  } while (s.take(comma));
  s.expect(close, code);
  return { mode, reserveGroup, reserveValue, properties: properties ?? noParameters };
}

function readMode(s: Scanner, code: number): StreamMode | undefined {
  const word = s.word();
  switch (word) {
    case 'SendOnly':
    case 'ReceiveOnly':
    case 'SendReceive':
    case 'Inactive':
    case 'Loopback':
      return word;
    default:
      s.fail(code, 'no such mode');
      return undefined;
  }
}

function readSwitch(s: Scanner, code: number): boolean {
  const word = s.word();
  if (word !== 'ON' && word !== 'OFF') s.fail(code, 'ON or OFF expected');
  return word === 'ON';
}

function readTerminationState(s: Scanner, code: number): TerminationState {
  s.expect(open, code);
  const properties: Parameter[] = [];
  let serviceStates: TerminationState['serviceStates'];
  let buffer: TerminationState['buffer'];
  do {
    const start = s.pos;
    const word = s.word();
    if (s.isPackage()) {
      properties.push(readParameter(s, s.packageItem(start, code), code));
      if (properties.length > maxListItems) s.fail(code, 'too many properties');
      continue;
    }
    s.expect(equals, code);
    const value = s.word();
    if (word === 'ServiceStates' && (value === 'Test' || value === 'OutOfService' || value === 'InService'))
      serviceStates = value;
    else if (word === 'Buffer' && (value === 'OFF' || value === 'LockStep')) buffer = value;
    else s.fail(code, 'no such termination state');
  } while (s.take(comma));
  s.expect(close, code);
  return { properties, serviceStates, buffer };
}

function readEvents(s: Scanner, code: number, embedding: boolean): EventsDescriptor {
  if (!s.take(equals)) {
    // Seen from real gateways though Annex B has the bare token only: Events{}.
    if (s.take(open)) s.expect(close, code);
    return { kind: 'Events', requestId: undefined, events: [] };
  }
  const requestId = readRequestId(s, code);
  const events: RequestedEvent[] = [];
  if (!s.take(open)) return { kind: 'Events', requestId, events };
  do {
    events.push(readRequestedEvent(s, code, embedding));
    if (events.length > maxListItems) s.fail(code, 'too many events');
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'Events', requestId, events };
}

/** One level of embedding is all the grammar has (Annex B.2, secondRequestedEvent). */
function readRequestedEvent(s: Scanner, code: number, embedding: boolean): RequestedEvent {
  const name = s.packageItem(s.pos, code);
  let streamId: number | undefined;
  let keepActive: boolean | undefined;
  let digitMap: EventDigitMap | undefined;
  let embedSignals: SignalsDescriptor | undefined;
  let embedEvents: EventsDescriptor | undefined;
  let parameters: Parameter[] | undefined;
  if (s.take(open)) {
    do {
      const word = s.word();
      switch (word) {
        case 'KeepActive':
          keepActive = true;
          break;
        case 'Stream':
          s.expect(equals, code);
          streamId = s.uint(uint16, code);
          break;
        case 'DigitMap':
          // RFC 3015 Annex B.2 has no "=" before a map of its own (eventDM); RFC 3525 put it there.
          if (!s.take(equals) && s.peek() !== open) s.fail(code, '"=" expected');
          digitMap = s.take(open) ? { value: readDigitMapValue(s, code) } : { name: s.name(code) };
          break;
        case 'Embed':
          s.expect(open, code);
          do {
            const inner = s.word();
            if (inner === 'Signals') embedSignals = readSignals(s, code);
            else if (inner === 'Events' && embedding) embedEvents = readEvents(s, code, false);
            else s.fail(code, 'signals or events expected');
          } while (s.take(comma));
          s.expect(close, code);
          break;
        default:
          parameters = readOther(s, parameters, code);
      }
    } while (s.take(comma));
    s.expect(close, code);
  }
  return { name, streamId, keepActive, digitMap, embedSignals, embedEvents, parameters: parameters ?? noParameters };
}

/** eventOther, sigOther: the last word is the parameter's name. */
function readOther(s: Scanner, before: Parameter[] | undefined, code: number): Parameter[] {
  if (s.wordEnd === s.wordStart) s.fail(code, 'parameter expected');
  const parameter = readParameter(s, s.lastWord(), code);
  if (before === undefined) return [parameter];
  before.push(parameter);
  if (before.length > maxListItems) s.fail(code, 'too many parameters');
  return before;
}

function readEventSpecs(s: Scanner, code: number): readonly EventSpec[] {
  const events: EventSpec[] = [];
  do {
    const { name, streamId, parameters } = readRequestedEvent(s, code, false);
    events.push({ name, streamId, parameters });
    if (events.length > maxListItems) s.fail(code, 'too many events');
  } while (s.take(comma));
  s.expect(close, code);
  return events;
}

function readSignals(s: Scanner, code: number): SignalsDescriptor {
  const signals: (Signal | SignalList)[] = [];
  // The bare token is not in Annex B but in audits and in what widespread stacks write for "none".
  if (!s.take(open) || s.take(close)) return { kind: 'Signals', signals };
  do {
    const start = s.pos;
    const word = s.word();
    if (word === 'SignalList' && !s.isPackage()) {
      s.expect(equals, code);
      const id = s.uint(uint16, code);
      const list: Signal[] = [];
      s.expect(open, code);
      do {
        list.push(readSignal(s, s.pos, code));
        if (list.length > maxListItems) s.fail(code, 'too many signals');
      } while (s.take(comma));
      s.expect(close, code);
      signals.push({ kind: 'list', id, signals: list });
    } else signals.push(readSignal(s, start, code));
    if (signals.length > maxListItems) s.fail(code, 'too many signals');
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'Signals', signals };
}

function readSignal(s: Scanner, start: number, code: number): Signal {
  const name = s.packageItem(start, code);
  let streamId: number | undefined;
  let type: SignalType | undefined;
  let duration: number | undefined;
  let notifyCompletion: readonly NotificationReason[] | undefined;
  let keepActive: boolean | undefined;
  let parameters: Parameter[] | undefined;
  if (s.take(open)) {
    do {
      switch (s.word()) {
        case 'KeepActive':
          keepActive = true;
          break;
        case 'Stream':
          s.expect(equals, code);
          streamId = s.uint(uint16, code);
          break;
        case 'SignalType': {
          s.expect(equals, code);
          const word = s.word();
          if (word === 'OnOff' || word === 'TimeOut' || word === 'Brief') type = word;
          else s.fail(code, 'no such signal type');
          break;
        }
        case 'Duration':
          s.expect(equals, code);
          duration = s.uint(uint16, code);
          break;
        case 'NotifyCompletion':
          s.expect(equals, code);
          notifyCompletion = readReasons(s, code);
          break;
        default:
          parameters = readOther(s, parameters, code);
      }
    } while (s.take(comma));
    s.expect(close, code);
  }
  return {
    kind: 'signal',
    name,
    streamId,
    type,
    duration,
    notifyCompletion,
    keepActive,
    parameters: parameters ?? noParameters,
  };
}

function readReasons(s: Scanner, code: number): readonly NotificationReason[] {
  s.expect(open, code);
  const reasons: NotificationReason[] = [];
  do {
    const word = s.word();
    if (word === 'TimeOut' || word === 'IntByEvent' || word === 'IntBySigDescr' || word === 'OtherReason')
      reasons.push(word);
    else s.fail(code, 'no such reason');
  } while (s.take(comma) && reasons.length < 8);
  s.expect(close, code);
  return reasons;
}

function readObservedEvents(s: Scanner, code: number): Descriptor {
  const requestId = readRequestId(s, code);
  s.expect(open, code);
  const events: ObservedEvent[] = [];
  do {
    const timeStamp = readTimeStamp(s);
    if (timeStamp !== undefined) s.expect(colon, code);
    const { name, streamId, parameters } = readRequestedEvent(s, code, false);
    events.push({ name, timeStamp, streamId, parameters });
    if (events.length > maxListItems) s.fail(code, 'too many events');
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'ObservedEvents', requestId, events };
}

function readStatistics(s: Scanner, code: number): Descriptor {
  const statistics: Statistic[] = [];
  do {
    const name = s.packageItem(s.pos, code);
    statistics.push({ name, value: s.take(equals) ? readStatisticValue(s, code) : undefined });
    if (statistics.length > maxListItems) s.fail(code, 'too many statistics');
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'Statistics', statistics };
}

/** One VALUE; the list form that later versions know is kept as its first value. */
function readStatisticValue(s: Scanner, code: number): string {
  if (s.take(openList)) return readValues(s, closeList, code)[0] ?? '';
  return s.value(code);
}

function readDigitMap(s: Scanner, code: number): Descriptor {
  if (s.take(open)) return { kind: 'DigitMap', name: undefined, value: readDigitMapValue(s, code) };
  const name = s.name(code);
  return { kind: 'DigitMap', name, value: s.take(open) ? readDigitMapValue(s, code) : undefined };
}

/** Timers and body up to the closing brace, which is taken. */
function readDigitMapValue(s: Scanner, code: number): DigitMapValue {
  const stop = s.text.indexOf('}', s.pos);
  if (stop < 0 || stop - s.pos > 16_384) {
    s.fail(code, 'digit map without end');
    return { body: '' };
  }
  const text = s.text.slice(s.pos, stop);
  s.pos = stop + 1;
  s.skip();
  const timers: Record<'t' | 's' | 'l' | 'z', number | undefined> = {
    t: undefined,
    s: undefined,
    l: undefined,
    z: undefined,
  };
  let body = text;
  for (let found = timerForm.exec(body); found !== null; found = timerForm.exec(body)) {
    const letter = (found[1] ?? '').toLowerCase();
    if (letter === 't' || letter === 's' || letter === 'l' || letter === 'z') timers[letter] = Number(found[2]);
    body = body.slice(found[0].length);
  }
  body = body.replace(/;[^\r\n]*[\r\n]?/g, '').trim();
  if (!/^[0-9A-Za-z()[\]|.\s-]*$/.test(body)) s.fail(code, 'digit map');
  return { startTimer: timers.t, shortTimer: timers.s, longTimer: timers.l, durationTimer: timers.z, body };
}

const timerForm = /^\s*([TSLZ])\s*:\s*(\d{1,2})\s*,/i;

function readPackages(s: Scanner, code: number): Descriptor {
  const packages: { readonly name: string; readonly version: number }[] = [];
  if (s.take(close)) return { kind: 'Packages', packages };
  do {
    const name = s.name(code);
    s.expect(dash, code);
    packages.push({ name, version: s.uint(uint16, code) });
    if (packages.length > maxListItems) s.fail(code, 'too many packages');
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'Packages', packages };
}

function readModem(s: Scanner, code: number): Descriptor {
  const types: string[] = [];
  if (s.take(equals)) types.push(readType(s, code));
  else if (s.take(openList)) {
    do types.push(readType(s, code));
    while (s.take(comma) && types.length < 64);
    s.expect(closeList, code);
  } else return { kind: 'empty', item: 'Modem' };
  const properties: Parameter[] = [];
  if (s.take(open)) {
    do {
      // RFC 3015 Annex B.2 has a plain NAME here, RFC 3525 the item of a package.
      const start = s.pos;
      s.word();
      const name = s.isPackage() || s.wordEnd === start ? s.packageItem(start, code) : s.lastWord();
      properties.push(readParameter(s, name, code));
      if (properties.length > maxListItems) s.fail(code, 'too many properties');
    } while (s.take(comma));
    s.expect(close, code);
  }
  return { kind: 'Modem', types, properties };
}

/** modemType, MuxType: `v32b`, `synchisdn`, `h223`, `x-…`, in lower case. */
function readType(s: Scanner, code: number): string {
  if (s.word() === 'SynchISDN') return 'synchisdn';
  if (s.peek() === dash || s.peek() === 0x2b) return readExtensionName(s, code);
  if (s.wordEnd === s.wordStart) s.fail(code, 'type expected');
  return s.lastWord();
}

function readMux(s: Scanner, code: number): Descriptor {
  if (!s.take(equals)) return { kind: 'empty', item: 'Mux' };
  const type = readType(s, code);
  const terminations: string[] = [];
  s.expect(open, code);
  do {
    terminations.push(s.termination(code));
    if (terminations.length > maxListItems) s.fail(code, 'too many terminations');
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'Mux', type, terminations };
}

/** Behind the token: `{a, b, Bothway, …}` (RFC 3525 §7.1.18). */
export function readTopology(s: Scanner): readonly TopologyTriple[] {
  s.expect(open, 422);
  const triples: TopologyTriple[] = [];
  do {
    const from = s.termination(422);
    s.expect(comma, 422);
    const to = s.termination(422);
    s.expect(comma, 422);
    const direction = s.word();
    if (direction === 'Bothway' || direction === 'Isolate' || direction === 'Oneway')
      triples.push({ from, to, direction });
    else s.fail(422, 'direction expected');
    if (triples.length > maxListItems) s.fail(422, 'too many triples');
  } while (s.take(comma));
  s.expect(close, 422);
  return triples;
}

/** Behind the token: `= code { "text" }`. */
export function readError(s: Scanner, errorCode: number): ErrorDescriptor {
  s.expect(equals, errorCode);
  const code = s.uint(0xffff, errorCode);
  s.expect(open, errorCode);
  const text = s.peek() === 0x22 ? s.value(errorCode).slice(1, -1) : undefined;
  s.expect(close, errorCode);
  return { kind: 'Error', code, text };
}
