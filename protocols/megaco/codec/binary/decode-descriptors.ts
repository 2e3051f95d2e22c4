/** Descriptors in BER (RFC 3525 Annex A.2, §7.1), one function per type. */
import type {
  AuditItem,
  Descriptor,
  DigitMapDescriptor,
  DigitMapValue,
  ErrorDescriptor,
  EventDigitMap,
  EventSpec,
  EventsDescriptor,
  LocalControl,
  MediaDescriptor,
  NotificationReason,
  ObservedEvent,
  ObservedEventsDescriptor,
  Parameter,
  Relation,
  RequestedEvent,
  Signal,
  SignalList,
  SignalsDescriptor,
  Statistic,
  Stream,
  StreamMode,
  TerminationState,
} from '../messages.ts';
import { digitMapName, itemName, packageName, parameterName } from './names.ts';
import type { BerReader } from './reader.ts';
import { readTermination } from './termination.ts';
import type { TerminationNaming } from './termination-naming.ts';
import { readPlainString, readValue } from './values.ts';

export const streamModes: readonly StreamMode[] = ['SendOnly', 'ReceiveOnly', 'SendReceive', 'Inactive', 'Loopback'];
export const auditBits: readonly AuditItem[] = [
  'Mux',
  'Modem',
  'Media',
  'Events',
  'Signals',
  'DigitMap',
  'Statistics',
  'ObservedEvents',
  'Packages',
  'EventBuffer',
];
export const signalTypes = ['Brief', 'OnOff', 'TimeOut'] as const;
export const completionBits: readonly NotificationReason[] = ['TimeOut', 'IntByEvent', 'IntBySigDescr', 'OtherReason'];
export const modemTypes: readonly string[] = ['v18', 'v22', 'v22b', 'v32', 'v32b', 'v34', 'v90', 'v91', 'synchisdn'];
export const muxTypes: readonly string[] = ['h221', 'h223', 'h226', 'v76'];
export const sdpLetters = 'vosiuepcbzkatrm';

const noParameters: readonly Parameter[] = [];

/** AmmDescriptor: eight alternatives. */
export function readAmmDescriptors(r: BerReader, limit: number, naming: TerminationNaming): readonly Descriptor[] {
  const list: Descriptor[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    switch (tag) {
      case 0xa0:
        list.push(readMedia(r, stop));
        break;
      case 0xa1:
        list.push(readModem(r, stop));
        break;
      case 0xa2:
        list.push(readMux(r, stop, naming));
        break;
      case 0xa3:
        list.push(readEvents(r, stop, false));
        break;
      case 0xa4:
        list.push({ kind: 'EventBuffer', events: readEventSpecs(r, stop) });
        break;
      case 0xa5:
        list.push(readSignals(r, stop));
        break;
      case 0xa6:
        list.push(readDigitMap(r, stop));
        break;
      case 0xa7:
        list.push(readAudit(r, stop));
        break;
    }
    r.pos = stop;
  }
  return list;
}

/** AuditReturnParameter: twelve alternatives. */
export function readAuditReturn(r: BerReader, limit: number, naming: TerminationNaming): readonly Descriptor[] {
  const list: Descriptor[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    switch (tag) {
      case 0xa0:
        list.push(readErrorDescriptor(r, stop));
        break;
      case 0xa1:
        list.push(readMedia(r, stop));
        break;
      case 0xa2:
        list.push(readModem(r, stop));
        break;
      case 0xa3:
        list.push(readMux(r, stop, naming));
        break;
      case 0xa4:
        list.push(readEvents(r, stop, false));
        break;
      case 0xa5:
        list.push({ kind: 'EventBuffer', events: readEventSpecs(r, stop) });
        break;
      case 0xa6:
        list.push(readSignals(r, stop));
        break;
      case 0xa7:
        list.push(readDigitMap(r, stop));
        break;
      case 0xa8:
        list.push(readObserved(r, stop));
        break;
      case 0xa9:
        list.push({ kind: 'Statistics', statistics: readStatistics(r, stop) });
        break;
      case 0xaa:
        list.push(readPackages(r, stop));
        break;
      case 0xab:
        for (const item of readAuditItems(r, stop)) list.push({ kind: 'empty', item });
        break;
    }
    r.pos = stop;
  }
  return list;
}

export function readErrorDescriptor(r: BerReader, limit: number): ErrorDescriptor {
  let code = 0;
  let text: string | undefined;
  while (r.pos < limit) {
    const tag = r.next(limit);
    if (tag === 0x80) code = r.uint(r.stop);
    else if (tag === 0x81) text = r.string(r.stop).replaceAll('"', "'");
    r.pos = r.stop;
  }
  return { kind: 'Error', code, text };
}

function readMedia(r: BerReader, limit: number): MediaDescriptor {
  let terminationState: TerminationState | undefined;
  const streams: Stream[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) terminationState = readTerminationState(r, stop);
    else if (tag === 0xa1) {
      const choice = r.next(stop);
      const last = r.stop;
      if (choice === 0xa0) streams.push(readStream(r, last, undefined));
      else
        while (r.pos < last) {
          r.next(last);
          const end = r.stop;
          let streamId = 0;
          let stream: Stream | undefined;
          while (r.pos < end) {
            const field = r.next(end);
            const fieldEnd = r.stop;
            if (field === 0x80) streamId = r.uint(fieldEnd);
            else if (field === 0xa1) stream = readStream(r, fieldEnd, streamId);
            r.pos = fieldEnd;
          }
          if (stream !== undefined) streams.push(stream);
        }
    }
    r.pos = stop;
  }
  return { kind: 'Media', terminationState, streams };
}

function readStream(r: BerReader, limit: number, streamId: number | undefined): Stream {
  let localControl: LocalControl | undefined;
  let local: string | undefined;
  let remote: string | undefined;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) localControl = readLocalControl(r, stop);
    else if (tag === 0xa1) local = readSdp(r, stop);
    else if (tag === 0xa2) remote = readSdp(r, stop);
    r.pos = stop;
  }
  return { streamId, localControl, local, remote };
}

function readLocalControl(r: BerReader, limit: number): LocalControl {
  let mode: StreamMode | undefined;
  let reserveGroup: boolean | undefined;
  let reserveValue: boolean | undefined;
  let properties = noParameters;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) mode = streamModes[r.uint(stop)];
    else if (tag === 0x81) reserveValue = r.bool(stop);
    else if (tag === 0x82) reserveGroup = r.bool(stop);
    else if (tag === 0xa3 && stop > r.pos) properties = readProperties(r, stop);
    r.pos = stop;
  }
  return { mode, reserveGroup, reserveValue, properties };
}

const serviceStates = ['Test', 'OutOfService', 'InService'] as const;

function readTerminationState(r: BerReader, limit: number): TerminationState {
  let properties = noParameters;
  let buffer: TerminationState['buffer'];
  let state: TerminationState['serviceStates'];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) properties = readProperties(r, stop);
    else if (tag === 0x81) buffer = r.uint(stop) === 1 ? 'LockStep' : 'OFF';
    else if (tag === 0x82) state = serviceStates[r.uint(stop)];
    r.pos = stop;
  }
  return { properties, serviceStates: state, buffer };
}

function readProperties(r: BerReader, limit: number): readonly Parameter[] {
  const list: Parameter[] = [];
  while (r.pos < limit) {
    r.next(limit);
    list.push(readParameter(r, r.stop, undefined));
  }
  return list;
}

const relations: readonly Relation[] = ['>', '<', '#'];

/** A PropertyParm, or with `owner` a parameter of that event or signal. Leaves the cursor at `limit`. */
function readParameter(r: BerReader, limit: number, owner: string | undefined): Parameter {
  let name = '';
  let enumeration = '';
  let relation: Relation = '=';
  let values: string[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) {
      if (owner === undefined) {
        name = itemName(r.uint32(stop));
        enumeration = name;
      } else {
        name = parameterName(owner, r.uint16(stop));
        enumeration = `${owner} ${name}`;
      }
    } else if (tag === 0xa1) {
      values = [];
      while (r.pos < stop) {
        r.next(stop);
        const end = r.stop;
        values.push(readValue(r, end, enumeration, false));
        r.pos = end;
      }
    } else if (tag === 0xa2) {
      const choice = r.next(stop);
      if (choice === 0x80) relation = relations[r.uint(r.stop)] ?? '#';
      else if (choice === 0x81) relation = r.bool(r.stop) ? 'range' : '=';
      else if (choice === 0x82) relation = r.bool(r.stop) ? 'sublist' : '=';
    }
    r.pos = stop;
  }
  // Text has a sign for "choose one of these", binary says it by the number of values (Annex A.2, PropertyParm).
  if (relation === '=' && values.length > 1) relation = 'alternatives';
  if (values.length === 0) values = ['$'];
  return { name, relation, values };
}

function readParameters(r: BerReader, limit: number, owner: string): readonly Parameter[] {
  if (r.pos >= limit) return noParameters;
  const list: Parameter[] = [];
  while (r.pos < limit) {
    r.next(limit);
    list.push(readParameter(r, r.stop, owner));
  }
  return list;
}

/** Property groups back to session descriptions (Annex C.11): tag B001 is `v=` and so on. */
function readSdp(r: BerReader, limit: number): string {
  let sdp = '';
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0)
      while (r.pos < stop) {
        r.next(stop);
        const groupEnd = r.stop;
        while (r.pos < groupEnd) {
          r.next(groupEnd);
          const line = readSdpLine(r, r.stop);
          if (line !== '') sdp = sdp === '' ? line : `${sdp}\n${line}`;
        }
      }
    r.pos = stop;
  }
  return sdp;
}

function readSdpLine(r: BerReader, limit: number): string {
  let letter = '';
  let value: string | undefined;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) letter = sdpLetters[r.uint32(stop) - 0xb001] ?? '';
    else if (tag === 0xa1 && stop > r.pos) {
      r.next(stop);
      value = readPlainString(r, r.stop);
    }
    r.pos = stop;
  }
  return letter === '' ? '' : `${letter}=${value ?? '$'}`;
}

function readModem(r: BerReader, limit: number): Descriptor {
  const types: string[] = [];
  let properties = noParameters;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0)
      while (r.pos < stop) {
        r.next(stop);
        types.push(modemTypes[r.uint(r.stop)] ?? 'x-modem');
        r.pos = r.stop;
      }
    else if (tag === 0xa1) properties = readProperties(r, stop);
    r.pos = stop;
  }
  return { kind: 'Modem', types, properties };
}

function readMux(r: BerReader, limit: number, naming: TerminationNaming): Descriptor {
  let type = '';
  const terminations: string[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) type = muxTypes[r.uint(stop)] ?? 'x-mux';
    else if (tag === 0xa1)
      while (r.pos < stop) {
        r.next(stop);
        const end = r.stop;
        terminations.push(readTermination(r, end, naming));
        r.pos = end;
      }
    r.pos = stop;
  }
  return { kind: 'Mux', type, terminations };
}

/** EventsDescriptor and SecondEventsDescriptor: the inner one has no further events, so its actions are numbered closer. */
function readEvents(r: BerReader, limit: number, second: boolean): EventsDescriptor {
  let requestId: number | undefined;
  const events: RequestedEvent[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) requestId = r.uint(stop);
    else if (tag === 0xa1)
      while (r.pos < stop) {
        r.next(stop);
        events.push(readRequestedEvent(r, r.stop, second));
      }
    r.pos = stop;
  }
  // Where version 1 of the module obliges to send one, an empty list has a number that means nothing.
  if (events.length === 0 && requestId === 0) requestId = undefined;
  return { kind: 'Events', requestId, events };
}

function readRequestedEvent(r: BerReader, limit: number, second: boolean): RequestedEvent {
  let name = '';
  let streamId: number | undefined;
  let keepActive: boolean | undefined;
  let digitMap: EventDigitMap | undefined;
  let embedSignals: SignalsDescriptor | undefined;
  let embedEvents: EventsDescriptor | undefined;
  let parameters = noParameters;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) name = itemName(r.uint32(stop));
    else if (tag === 0x81) streamId = r.uint(stop);
    else if (tag === 0xa3) parameters = readParameters(r, stop, name);
    else if (tag === 0xa2)
      while (r.pos < stop) {
        const action = r.next(stop);
        const end = r.stop;
        if (action === 0x80) keepActive = r.bool(end) || undefined;
        else if (action === 0xa1) digitMap = readEventDigitMap(r, end);
        else if (action === 0xa2 && !second) embedEvents = readEvents(r, end, true);
        else if (action === (second ? 0xa2 : 0xa3)) embedSignals = readSignals(r, end);
        r.pos = end;
      }
    r.pos = stop;
  }
  return { name, streamId, keepActive, digitMap, embedSignals, embedEvents, parameters };
}

function readEventDigitMap(r: BerReader, limit: number): EventDigitMap {
  const choice = r.next(limit);
  const stop = r.stop;
  return choice === 0x80 ? { name: digitMapName(r.uint16(stop)) } : { value: readDigitMapValue(r, stop) };
}

function readEventSpecs(r: BerReader, limit: number): readonly EventSpec[] {
  const events: EventSpec[] = [];
  while (r.pos < limit) {
    r.next(limit);
    const end = r.stop;
    let name = '';
    let streamId: number | undefined;
    let parameters = noParameters;
    while (r.pos < end) {
      const tag = r.next(end);
      const stop = r.stop;
      if (tag === 0x80) name = itemName(r.uint32(stop));
      else if (tag === 0x81) streamId = r.uint(stop);
      else if (tag === 0xa2) parameters = readParameters(r, stop, name);
      r.pos = stop;
    }
    events.push({ name, streamId, parameters });
  }
  return events;
}

function readSignals(r: BerReader, limit: number): SignalsDescriptor {
  const signals: (Signal | SignalList)[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0xa0) signals.push(readSignal(r, stop));
    else if (tag === 0xa1) {
      let id = 0;
      const list: Signal[] = [];
      while (r.pos < stop) {
        const field = r.next(stop);
        const end = r.stop;
        if (field === 0x80) id = r.uint(end);
        else if (field === 0xa1)
          while (r.pos < end) {
            r.next(end);
            list.push(readSignal(r, r.stop));
          }
        r.pos = end;
      }
      signals.push({ kind: 'list', id, signals: list });
    }
    r.pos = stop;
  }
  return { kind: 'Signals', signals };
}

/** Leaves the cursor at `limit`. */
function readSignal(r: BerReader, limit: number): Signal {
  let name = '';
  let streamId: number | undefined;
  let type: Signal['type'];
  let duration: number | undefined;
  let notifyCompletion: readonly NotificationReason[] | undefined;
  let keepActive: boolean | undefined;
  let parameters = noParameters;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    switch (tag) {
      case 0x80:
        name = itemName(r.uint32(stop));
        break;
      case 0x81:
        streamId = r.uint(stop);
        break;
      case 0x82:
        type = signalTypes[r.uint(stop)];
        break;
      case 0x83:
        duration = r.uint(stop);
        break;
      case 0x84:
        notifyCompletion = readBits(r, stop, completionBits);
        break;
      case 0x85:
        keepActive = r.bool(stop) || undefined;
        break;
      case 0xa6:
        parameters = readParameters(r, stop, name);
        break;
    }
    r.pos = stop;
  }
  return { kind: 'signal', name, streamId, type, duration, notifyCompletion, keepActive, parameters };
}

function readDigitMap(r: BerReader, limit: number): DigitMapDescriptor {
  let name: string | undefined;
  let value: DigitMapValue | undefined;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) name = digitMapName(r.uint16(stop));
    else if (tag === 0xa1) value = readDigitMapValue(r, stop);
    r.pos = stop;
  }
  return { kind: 'DigitMap', name, value };
}

function readDigitMapValue(r: BerReader, limit: number): DigitMapValue {
  const timers: (number | undefined)[] = [undefined, undefined, undefined, undefined, undefined];
  let body = '';
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x83) body = r.string(stop).trim();
    else if (tag >= 0x80 && tag <= 0x84) timers[tag - 0x80] = r.uint(stop);
    r.pos = stop;
  }
  if (!/^[0-9A-Za-z()[\]|.\s-]*$/.test(body)) r.fail('digit map');
  const [startTimer, shortTimer, longTimer, , durationTimer] = timers;
  return { startTimer, shortTimer, longTimer, durationTimer, body };
}

export function readAudit(r: BerReader, limit: number): Descriptor {
  return { kind: 'Audit', items: readAuditItems(r, limit) };
}

function readAuditItems(r: BerReader, limit: number): readonly AuditItem[] {
  let items: readonly AuditItem[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) items = readBits(r, stop, auditBits);
    r.pos = stop;
  }
  return items;
}

/** A named BIT STRING: the first octet counts the unused bits of the last. */
function readBits<T>(r: BerReader, stop: number, names: readonly T[]): T[] {
  const set: T[] = [];
  for (let bit = 0; bit < names.length; bit += 1) {
    const pos = r.pos + 1 + (bit >> 3);
    const name = names[bit];
    if (pos < stop && name !== undefined && ((r.bytes[pos] ?? 0) & (0x80 >> (bit & 7))) !== 0) set.push(name);
  }
  return set;
}

export function readObserved(r: BerReader, limit: number): ObservedEventsDescriptor {
  let requestId = 0;
  const events: ObservedEvent[] = [];
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) requestId = r.uint(stop);
    else if (tag === 0xa1)
      while (r.pos < stop) {
        r.next(stop);
        events.push(readObservedEvent(r, r.stop));
      }
    r.pos = stop;
  }
  return { kind: 'ObservedEvents', requestId, events };
}

function readObservedEvent(r: BerReader, limit: number): ObservedEvent {
  let name = '';
  let timeStamp: string | undefined;
  let streamId: number | undefined;
  let parameters = noParameters;
  while (r.pos < limit) {
    const tag = r.next(limit);
    const stop = r.stop;
    if (tag === 0x80) name = itemName(r.uint32(stop));
    else if (tag === 0x81) streamId = r.uint(stop);
    else if (tag === 0xa2) parameters = readParameters(r, stop, name);
    else if (tag === 0xa3) timeStamp = readTimeNotation(r, stop);
    r.pos = stop;
  }
  return { name, timeStamp, streamId, parameters };
}

export function readTimeNotation(r: BerReader, limit: number): string {
  let date = '';
  let time = '';
  while (r.pos < limit) {
    const tag = r.next(limit);
    if (tag === 0x80) date = r.string(r.stop);
    else if (tag === 0x81) time = r.string(r.stop);
    r.pos = r.stop;
  }
  if (!/^\d{8}$/.test(date) || !/^\d{8}$/.test(time)) r.fail('time');
  return `${date}T${time}`;
}

function readStatistics(r: BerReader, limit: number): readonly Statistic[] {
  const list: Statistic[] = [];
  while (r.pos < limit) {
    r.next(limit);
    const end = r.stop;
    let name = '';
    let value: string | undefined;
    while (r.pos < end) {
      const tag = r.next(end);
      const stop = r.stop;
      if (tag === 0x80) name = itemName(r.uint32(stop));
      else if (tag === 0xa1 && stop > r.pos) {
        r.next(stop);
        value = readValue(r, r.stop, name, true);
      }
      r.pos = stop;
    }
    list.push({ name, value });
  }
  return list;
}

function readPackages(r: BerReader, limit: number): Descriptor {
  const packages: { name: string; version: number }[] = [];
  while (r.pos < limit) {
    r.next(limit);
    const end = r.stop;
    let name = '';
    let version = 1;
    while (r.pos < end) {
      const tag = r.next(end);
      if (tag === 0x80) name = packageName(r.uint16(r.stop));
      else if (tag === 0x81) version = r.uint(r.stop);
      r.pos = r.stop;
    }
    packages.push({ name, version });
  }
  return { kind: 'Packages', packages };
}
