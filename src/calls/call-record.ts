/**
 * What a successor must know of a call beyond what a gateway's own audit tells: a few fields of the party that is no line. Call control
 * knows who the party is and how far the call is; the fields are its provider's. The compact octets here are what is sealed
 * (sealed-record.ts).
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { dialledNumber } from './call-ids.ts';

export interface CallRecord {
  /** The protocol of the party, as contacts name it: its provider reads the fields. */
  readonly protocol: string;
  /** The side of the call that the party is on. */
  readonly side: 'caller' | 'callee';
  readonly phase: RecordPhase;
  readonly callId: string;
  /** The number that was dialled. */
  readonly number: string;
  readonly fields: readonly string[];
}

/**
 * `answered`: accepted, but the party has not been told so, or has not confirmed it. `over`: nothing is left to be done for it.
 * Later phases are later in this list.
 */
export type RecordPhase = (typeof recordPhases)[number];
export const recordPhases = ['calling', 'ringing', 'answered', 'talking', 'over'] as const;

export const isLaterPhase = (one: RecordPhase, other: RecordPhase): boolean =>
  recordPhases.indexOf(one) > recordPhases.indexOf(other);

/** Equal records need not be written twice. */
export function isSameRecord(one: CallRecord | undefined, other: CallRecord | undefined): boolean {
  if (one === other) return true;
  if (one === undefined || other === undefined) return false;
  return (
    one.phase === other.phase &&
    one.side === other.side &&
    one.protocol === other.protocol &&
    one.callId === other.callId &&
    one.number === other.number &&
    one.fields.length === other.fields.length &&
    one.fields.every((field, index) => field === other.fields[index])
  );
}

/** Text that a protocol's records are likely to have, by a version that is written with each record: old versions stay readable. */
export interface RecordDictionary {
  /** 1 to 255. */
  readonly version: number;
  readonly text: string;
}

/** The dictionaries of each protocol, the one to write with first. */
export type RecordDictionaries = ReadonlyMap<string, readonly RecordDictionary[]>;

/**
 *     dictionary version, 0: not compressed | protocol | phase and flags | call id | number | fields
 *
 * Texts are UTF-8 with their length in front. A call id that the place tells, and a number that the call id tells, are left out.
 * Undefined: too much for a record.
 */
export function encodeRecord(
  { protocol, side, phase, callId, number, fields }: CallRecord,
  placeCallId: string | undefined,
  dictionaries: RecordDictionaries,
): Buffer | undefined {
  if (fields.length > maxFields) return undefined;
  const isPlaced = callId === placeCallId;
  const isTold = dialledNumber(callId) === number;
  const tag =
    recordPhases.indexOf(phase) * 8 +
    (side === 'callee' ? calleeFlag : 0) +
    (isPlaced ? placedFlag : 0) +
    (isTold ? toldFlag : 0);
  const texts = [...(isPlaced ? [] : [callId]), ...(isTold ? [] : [number]), ...fields];
  const body = Buffer.concat([Buffer.of(tag), ...texts.map(textOctets)]);
  if (body.length > maxRecordBytes) return undefined;
  const [dictionary] = dictionaries.get(protocol) ?? [];
  const name = textOctets(protocol);
  if (dictionary === undefined || body.length <= compressAbove) return Buffer.concat([Buffer.of(0), name, body]);
  const deflated = deflateRawSync(body, { level: 1, dictionary: Buffer.from(dictionary.text, 'utf8') });
  if (deflated.length >= body.length) return Buffer.concat([Buffer.of(0), name, body]);
  return Buffer.concat([Buffer.of(dictionary.version), name, deflated]);
}

export function decodeRecord(
  octets: Buffer,
  placeCallId: string | undefined,
  dictionaries: RecordDictionaries,
): CallRecord | undefined {
  const version = octets[0];
  const protocol = readText(octets, 1);
  if (version === undefined || protocol === undefined) return undefined;
  let body = octets.subarray(protocol.end);
  if (version !== 0) {
    const dictionary = dictionaries.get(protocol.text)?.find((each) => each.version === version);
    if (dictionary === undefined) return undefined;
    try {
      body = inflateRawSync(body, {
        dictionary: Buffer.from(dictionary.text, 'utf8'),
        maxOutputLength: maxRecordBytes,
      });
    } catch {
      return undefined;
    }
  }
  const tag = body[0];
  const phase = tag === undefined ? undefined : recordPhases[tag >> 3];
  if (tag === undefined || phase === undefined) return undefined;
  const texts: string[] = [];
  for (let at = 1; at < body.length; ) {
    const next = readText(body, at);
    if (next === undefined || texts.length > maxFields + 2) return undefined;
    texts.push(next.text);
    at = next.end;
  }
  const callId = (tag & placedFlag) !== 0 ? placeCallId : texts.shift();
  const number = callId === undefined || (tag & toldFlag) === 0 ? texts.shift() : dialledNumber(callId);
  if (callId === undefined || number === undefined) return undefined;
  const side = (tag & calleeFlag) !== 0 ? 'callee' : 'caller';
  return { protocol: protocol.text, side, phase, callId, number, fields: texts };
}

const calleeFlag = 4;
const placedFlag = 2;
const toldFlag = 1;

/** Shorter ones get longer by it, or hardly shorter. */
const compressAbove = 120;

/** Far above any record of a real call; more is not written, and not inflated. */
const maxRecordBytes = 8_192;
const maxFields = 64;

function textOctets(text: string): Buffer {
  const octets = Buffer.from(text, 'utf8');
  const { length } = octets;
  return Buffer.concat([length < 0x80 ? Buffer.of(length) : Buffer.of(0x80 | (length >> 8), length & 0xff), octets]);
}

function readText(octets: Buffer, at: number): { readonly text: string; readonly end: number } | undefined {
  const first = octets[at];
  if (first === undefined) return undefined;
  let begin = at + 1;
  let length = first;
  if (first >= 0x80) {
    const second = octets[begin];
    if (second === undefined) return undefined;
    begin += 1;
    length = ((first & 0x7f) << 8) | second;
  }
  const end = begin + length;
  return end > octets.length ? undefined : { text: octets.toString('utf8', begin, end), end };
}
