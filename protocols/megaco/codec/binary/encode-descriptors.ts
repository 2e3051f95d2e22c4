/** Descriptors into BER (RFC 3525 Annex A.2, §7.1); each function writes from its last field to its first. */
import type {
  AuditItem,
  Descriptor,
  DigitMapValue,
  ErrorDescriptor,
  EventDigitMap,
  EventSpec,
  EventsDescriptor,
  LocalControl,
  MediaDescriptor,
  ObservedEventsDescriptor,
  Parameter,
  RequestedEvent,
  Signal,
  SignalsDescriptor,
  Stream,
  TerminationState,
} from '../messages.ts';
import {
  auditBits,
  completionBits,
  modemTypes,
  muxTypes,
  sdpLetters,
  signalTypes,
  streamModes,
} from './decode-descriptors.ts';
import { digitMapNumber, itemNumber, packageNumber, parameterNumber } from './names.ts';
import { writeTermination } from './termination.ts';
import type { TerminationNaming } from './termination-naming.ts';
import { writeString, writeValue } from './values.ts';
import type { BerWriter } from './writer.ts';

export function writeAmmDescriptors(
  w: BerWriter,
  tag: number,
  descriptors: readonly Descriptor[],
  naming: TerminationNaming,
): void {
  const mark = w.mark;
  for (let index = descriptors.length - 1; index >= 0; index -= 1) {
    const descriptor = descriptors[index];
    switch (descriptor?.kind) {
      case 'Media':
        writeMedia(w, 0xa0, descriptor);
        break;
      case 'Modem':
        writeModem(w, 0xa1, descriptor.types, descriptor.properties);
        break;
      case 'Mux':
        writeMux(w, 0xa2, descriptor.type, descriptor.terminations, naming);
        break;
      case 'Events':
        writeEvents(w, 0xa3, descriptor, false);
        break;
      case 'EventBuffer':
        writeEventSpecs(w, 0xa4, descriptor.events);
        break;
      case 'Signals':
        writeSignals(w, 0xa5, descriptor);
        break;
      case 'DigitMap':
        writeDigitMap(w, 0xa6, descriptor.name, descriptor.value);
        break;
      case 'Audit':
        writeAudit(w, 0xa7, descriptor.items);
        break;
    }
  }
  w.close(tag, mark);
}

/** Bare tokens of the text encoding gather in one emptyDescriptors at the end. */
export function writeAuditReturn(
  w: BerWriter,
  tag: number,
  descriptors: readonly Descriptor[],
  naming: TerminationNaming,
): void {
  const mark = w.mark;
  const empty: AuditItem[] = [];
  for (const descriptor of descriptors) if (descriptor.kind === 'empty') empty.push(descriptor.item);
  if (empty.length > 0) writeAudit(w, 0xab, empty);
  for (let index = descriptors.length - 1; index >= 0; index -= 1) {
    const descriptor = descriptors[index];
    switch (descriptor?.kind) {
      case 'Error':
        writeErrorDescriptor(w, 0xa0, descriptor);
        break;
      case 'Media':
        writeMedia(w, 0xa1, descriptor);
        break;
      case 'Modem':
        writeModem(w, 0xa2, descriptor.types, descriptor.properties);
        break;
      case 'Mux':
        writeMux(w, 0xa3, descriptor.type, descriptor.terminations, naming);
        break;
      case 'Events':
        writeEvents(w, 0xa4, descriptor, false);
        break;
      case 'EventBuffer':
        writeEventSpecs(w, 0xa5, descriptor.events);
        break;
      case 'Signals':
        writeSignals(w, 0xa6, descriptor);
        break;
      case 'DigitMap':
        writeDigitMap(w, 0xa7, descriptor.name, descriptor.value);
        break;
      case 'ObservedEvents':
        writeObserved(w, 0xa8, descriptor);
        break;
      case 'Statistics': {
        const list = w.mark;
        for (const { name, value } of descriptor.statistics.toReversed()) {
          const item = w.mark;
          if (value !== undefined) {
            writeValue(w, name, value);
            w.close(0xa1, item);
          }
          w.uint32(0x80, itemNumber(name));
          w.close(0x30, item);
        }
        w.close(0xa9, list);
        break;
      }
      case 'Packages': {
        const list = w.mark;
        for (const { name, version } of descriptor.packages.toReversed()) {
          const item = w.mark;
          w.uint(0x81, Math.min(version, 99));
          w.uint16(0x80, packageNumber(name));
          w.close(0x30, item);
        }
        w.close(0xaa, list);
        break;
      }
    }
  }
  w.close(tag, mark);
}

export function writeErrorDescriptor(w: BerWriter, tag: number, { code, text }: ErrorDescriptor): void {
  const mark = w.mark;
  if (text !== undefined) w.string(0x81, text);
  w.uint(0x80, code);
  w.close(tag, mark);
}

function writeMedia(w: BerWriter, tag: number, { terminationState, streams }: MediaDescriptor): void {
  const mark = w.mark;
  const [first] = streams;
  if (first !== undefined) {
    const choice = w.mark;
    if (first.streamId === undefined) writeStream(w, 0xa0, first);
    else {
      for (let index = streams.length - 1; index >= 0; index -= 1) {
        const stream = streams[index];
        if (stream === undefined) continue;
        const item = w.mark;
        writeStream(w, 0xa1, stream);
        w.uint(0x80, stream.streamId ?? 0);
        w.close(0x30, item);
      }
      w.close(0xa1, choice);
    }
    w.close(0xa1, choice);
  }
  if (terminationState !== undefined) writeTerminationState(w, 0xa0, terminationState);
  w.close(tag, mark);
}

function writeStream(w: BerWriter, tag: number, { localControl, local, remote }: Stream): void {
  const mark = w.mark;
  if (remote !== undefined) writeSdp(w, 0xa2, remote);
  if (local !== undefined) writeSdp(w, 0xa1, local);
  if (localControl !== undefined) writeLocalControl(w, 0xa0, localControl);
  w.close(tag, mark);
}

function writeLocalControl(w: BerWriter, tag: number, control: LocalControl): void {
  const mark = w.mark;
  writeProperties(w, 0xa3, control.properties);
  if (control.reserveGroup !== undefined) w.bool(0x82, control.reserveGroup);
  if (control.reserveValue !== undefined) w.bool(0x81, control.reserveValue);
  if (control.mode !== undefined) w.uint(0x80, streamModes.indexOf(control.mode));
  w.close(tag, mark);
}

function writeTerminationState(w: BerWriter, tag: number, state: TerminationState): void {
  const mark = w.mark;
  const { serviceStates, buffer } = state;
  if (serviceStates !== undefined)
    w.uint(0x82, serviceStates === 'Test' ? 0 : serviceStates === 'OutOfService' ? 1 : 2);
  if (buffer !== undefined) w.uint(0x81, buffer === 'LockStep' ? 1 : 0);
  writeProperties(w, 0xa0, state.properties);
  w.close(tag, mark);
}

function writeProperties(w: BerWriter, tag: number, properties: readonly Parameter[]): void {
  const mark = w.mark;
  for (let index = properties.length - 1; index >= 0; index -= 1) {
    const property = properties[index];
    if (property !== undefined) writeParameter(w, property, undefined);
  }
  w.close(tag, mark);
}

/** A PropertyParm, or with `owner` a parameter of that event or signal. */
function writeParameter(w: BerWriter, { name, relation, values }: Parameter, owner: string | undefined): void {
  const mark = w.mark;
  switch (relation) {
    case '=':
    case 'alternatives':
      break;
    case '>':
    case '<':
    case '#':
      w.uint(0x80, relation === '>' ? 0 : relation === '<' ? 1 : 2);
      w.close(0xa2, mark);
      break;
    case 'range':
      w.bool(0x81, true);
      w.close(0xa2, mark);
      break;
    case 'sublist':
      w.bool(0x82, true);
      w.close(0xa2, mark);
      break;
  }
  const list = w.mark;
  const enumeration = owner === undefined ? name : `${owner} ${name}`;
  // No value at all means "choose" (Annex A.2, PropertyParm).
  if (!(values.length === 1 && values[0] === '$'))
    for (let index = values.length - 1; index >= 0; index -= 1) writeValue(w, enumeration, values[index] ?? '');
  w.close(0xa1, list);
  if (owner === undefined) w.uint32(0x80, itemNumber(name));
  else w.uint16(0x80, parameterNumber(owner, name));
  w.close(0x30, mark);
}

function writeParameters(w: BerWriter, tag: number, parameters: readonly Parameter[], owner: string): void {
  const mark = w.mark;
  for (let index = parameters.length - 1; index >= 0; index -= 1) {
    const parameter = parameters[index];
    if (parameter !== undefined) writeParameter(w, parameter, owner);
  }
  w.close(tag, mark);
}

/** Each `v=` begins a property group; each line is a property B001 … B00F (Annex C.11). */
function writeSdp(w: BerWriter, tag: number, sdp: string): void {
  const mark = w.mark;
  let end = sdp.length;
  let group = w.mark;
  while (end > 0) {
    const start = sdp.lastIndexOf('\n', end - 1) + 1;
    const stop = sdp.charCodeAt(end - 1) === 0x0d ? end - 1 : end;
    const letter = sdpLetters.indexOf(sdp.charAt(start).toLowerCase());
    const isLine = stop > start + 1 && letter >= 0 && sdp.charCodeAt(start + 1) === 0x3d;
    if (isLine) {
      const item = w.mark;
      writeString(w, sdp.slice(start + 2, stop));
      w.close(0x04, item);
      w.close(0xa1, item);
      w.uint32(0x80, 0xb001 + letter);
      w.close(0x30, item);
      if (letter === 0) {
        w.close(0x30, group);
        group = w.mark;
      }
    }
    end = start - 1;
  }
  if (w.mark !== group) w.close(0x30, group);
  w.close(0xa0, mark);
  w.close(tag, mark);
}

function writeModem(w: BerWriter, tag: number, types: readonly string[], properties: readonly Parameter[]): void {
  const mark = w.mark;
  writeProperties(w, 0xa1, properties);
  const list = w.mark;
  for (const type of types.toReversed()) w.uint(0x0a, Math.max(0, modemTypes.indexOf(type)));
  w.close(0xa0, list);
  w.close(tag, mark);
}

function writeMux(
  w: BerWriter,
  tag: number,
  type: string,
  terminations: readonly string[],
  naming: TerminationNaming,
): void {
  const mark = w.mark;
  for (const name of terminations.toReversed()) writeTermination(w, 0x30, name, naming);
  w.close(0xa1, mark);
  w.uint(0x80, Math.max(0, muxTypes.indexOf(type)));
  w.close(tag, mark);
}

/** The requestID is always sent: version 1 of the module obliges to, later ones allow it. */
function writeEvents(w: BerWriter, tag: number, { requestId, events }: EventsDescriptor, second: boolean): void {
  const mark = w.mark;
  for (let index = events.length - 1; index >= 0; index -= 1) {
    const event = events[index];
    if (event !== undefined) writeRequestedEvent(w, event, second);
  }
  w.close(0xa1, mark);
  w.uint(0x80, requestId ?? 0);
  w.close(tag, mark);
}

function writeRequestedEvent(w: BerWriter, event: RequestedEvent, second: boolean): void {
  const mark = w.mark;
  writeParameters(w, 0xa3, event.parameters, event.name);
  const { keepActive, digitMap, embedSignals, embedEvents } = event;
  if (keepActive !== undefined || digitMap !== undefined || embedSignals !== undefined || embedEvents !== undefined) {
    const actions = w.mark;
    if (embedSignals !== undefined) writeSignals(w, second ? 0xa2 : 0xa3, embedSignals);
    if (embedEvents !== undefined && !second) writeEvents(w, 0xa2, embedEvents, true);
    if (digitMap !== undefined) writeEventDigitMap(w, 0xa1, digitMap);
    if (keepActive === true) w.bool(0x80, true);
    w.close(0xa2, actions);
  }
  if (event.streamId !== undefined) w.uint(0x81, event.streamId);
  w.uint32(0x80, itemNumber(event.name));
  w.close(0x30, mark);
}

function writeEventDigitMap(w: BerWriter, tag: number, digitMap: EventDigitMap): void {
  const mark = w.mark;
  if ('name' in digitMap) w.uint16(0x80, digitMapNumber(digitMap.name));
  else writeDigitMapValue(w, 0xa1, digitMap.value);
  w.close(tag, mark);
}

function writeEventSpecs(w: BerWriter, tag: number, events: readonly EventSpec[]): void {
  const mark = w.mark;
  for (const { name, streamId, parameters } of events.toReversed()) {
    const item = w.mark;
    writeParameters(w, 0xa2, parameters, name);
    if (streamId !== undefined) w.uint(0x81, streamId);
    w.uint32(0x80, itemNumber(name));
    w.close(0x30, item);
  }
  w.close(tag, mark);
}

function writeSignals(w: BerWriter, tag: number, { signals }: SignalsDescriptor): void {
  const mark = w.mark;
  for (let index = signals.length - 1; index >= 0; index -= 1) {
    const signal = signals[index];
    if (signal === undefined) continue;
    if (signal.kind === 'signal') writeSignal(w, 0xa0, signal);
    else {
      const list = w.mark;
      for (const each of signal.signals.toReversed()) writeSignal(w, 0x30, each);
      w.close(0xa1, list);
      w.uint(0x80, signal.id);
      w.close(0xa1, list);
    }
  }
  w.close(tag, mark);
}

function writeSignal(w: BerWriter, tag: number, signal: Signal): void {
  const mark = w.mark;
  writeParameters(w, 0xa6, signal.parameters, signal.name);
  if (signal.keepActive !== undefined) w.bool(0x85, signal.keepActive);
  if (signal.notifyCompletion !== undefined) writeBits(w, 0x84, signal.notifyCompletion, completionBits);
  if (signal.duration !== undefined) w.uint(0x83, signal.duration);
  if (signal.type !== undefined) w.uint(0x82, signalTypes.indexOf(signal.type));
  if (signal.streamId !== undefined) w.uint(0x81, signal.streamId);
  w.uint32(0x80, itemNumber(signal.name));
  w.close(tag, mark);
}

function writeDigitMap(w: BerWriter, tag: number, name: string | undefined, value: DigitMapValue | undefined): void {
  const mark = w.mark;
  if (value !== undefined) writeDigitMapValue(w, 0xa1, value);
  if (name !== undefined) w.uint16(0x80, digitMapNumber(name));
  w.close(tag, mark);
}

function writeDigitMapValue(w: BerWriter, tag: number, value: DigitMapValue): void {
  const mark = w.mark;
  if (value.durationTimer !== undefined) w.uint(0x84, value.durationTimer);
  w.string(0x83, value.body);
  if (value.longTimer !== undefined) w.uint(0x82, value.longTimer);
  if (value.shortTimer !== undefined) w.uint(0x81, value.shortTimer);
  if (value.startTimer !== undefined) w.uint(0x80, value.startTimer);
  w.close(tag, mark);
}

export function writeAudit(w: BerWriter, tag: number, items: readonly AuditItem[]): void {
  const mark = w.mark;
  if (items.length > 0) writeBits(w, 0x80, items, auditBits);
  w.close(tag, mark);
}

/** A named BIT STRING without trailing zero bits (X.690 §11.2.2). */
function writeBits<T>(w: BerWriter, tag: number, set: readonly T[], names: readonly T[]): void {
  let bits = 0;
  let last = 0;
  for (const item of set) {
    const bit = names.indexOf(item);
    if (bit < 0) continue;
    bits |= 0x8000 >> bit;
    if (bit > last) last = bit;
  }
  const octets = (last >> 3) + 1;
  const mark = w.mark;
  if (octets === 2) w.octet(bits & 0xff);
  w.octet(bits >> 8);
  w.octet(7 - (last & 7));
  w.close(tag, mark);
}

export function writeObserved(w: BerWriter, tag: number, { requestId, events }: ObservedEventsDescriptor): void {
  const mark = w.mark;
  for (let index = events.length - 1; index >= 0; index -= 1) {
    const event = events[index];
    if (event === undefined) continue;
    const item = w.mark;
    if (event.timeStamp !== undefined) writeTimeNotation(w, 0xa3, event.timeStamp);
    writeParameters(w, 0xa2, event.parameters, event.name);
    if (event.streamId !== undefined) w.uint(0x81, event.streamId);
    w.uint32(0x80, itemNumber(event.name));
    w.close(0x30, item);
  }
  w.close(0xa1, mark);
  w.uint(0x80, requestId);
  w.close(tag, mark);
}

/** `yyyymmddThhmmssss`. */
export function writeTimeNotation(w: BerWriter, tag: number, timeStamp: string): void {
  const mark = w.mark;
  w.string(0x81, timeStamp.slice(9));
  w.string(0x80, timeStamp.slice(0, 8));
  w.close(tag, mark);
}
