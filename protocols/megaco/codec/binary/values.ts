/**
 * Values of properties and parameters: a VALUE of Annex B on one side, the BER encoding of its type inside an octet string on
 * the other (RFC 3525 Annex A.2, "double wrapping").
 */
import type { BerReader } from './reader.ts';
import type { BerWriter } from './writer.ts';

const [boolean, integer, octetString, utf8String, enumerated, ia5String] = [0x01, 0x02, 0x04, 0x0c, 0x0a, 0x16];

/** Enumerations whose values have names in text, by parameter. */
const enumerations: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'al/on strict': { exact: 0, state: 1, failwrong: 2 },
  'al/of strict': { exact: 0, state: 1, failwrong: 2 },
  'dd/ce meth': { UM: 1, PM: 2, FM: 3 },
  'g/sc meth': { TO: 1, EV: 2, SD: 3, NC: 4 },
  'g/cause generalcause': { NR: 1, UR: 2, FT: 3, FP: 4, IW: 5, UN: 6 },
  'ct/cmp res': { failure: 0, success: 1 },
};

/** Octet strings: hexadecimal digits in text (Annex B.2). */
const octetStrings: ReadonlySet<string> = new Set(['andisp/dwa ddb', 'andisp/data ddb']);

const enumNumbers = new Map<string, number>();
const enumNames = new Map<string, string>();
for (const [parameter, names] of Object.entries(enumerations)) {
  for (const [name, number] of Object.entries(names)) {
    enumNumbers.set(`${parameter} ${name.toLowerCase()}`, number);
    enumNames.set(`${parameter} ${number}`, name);
  }
}

/** An OCTET STRING with one value inside. `owner`: the property, or the event and its parameter, as far as enumerations go. */
export function writeValue(w: BerWriter, owner: string, value: string): void {
  const mark = w.mark;
  writeInner(w, owner, value);
  w.close(octetString, mark);
}

function writeInner(w: BerWriter, owner: string, value: string): void {
  if (octetStrings.has(owner)) {
    w.octets(octetString, Buffer.from(value.replaceAll('"', ''), 'hex'));
    return;
  }
  const first = value.charCodeAt(0);
  if (first === 0x22) {
    writeString(w, value.slice(1, -1));
    return;
  }
  if ((first >= 0x30 && first <= 0x39) || first === 0x2d) {
    if (/^-?\d{1,15}$/.test(value)) {
      w.int(integer, Number(value));
      return;
    }
    if (/^0x[0-9a-f]{1,12}$/i.test(value)) {
      w.uint(integer, Number(value));
      return;
    }
  }
  const lower = value.toLowerCase();
  if (lower === 'on' || lower === 'off') {
    w.bool(boolean, lower === 'on');
    return;
  }
  const number = enumNumbers.get(`${owner} ${lower}`);
  if (number !== undefined) w.uint(enumerated, number);
  else writeString(w, value);
}

/** IA5String, or UTF8String where a character is not ASCII (Annex A.2 note 4). */
export function writeString(w: BerWriter, text: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the question is whether all are ASCII
  w.string(/^[\x00-\x7f]*$/.test(text) ? ia5String : utf8String, text);
}

/** The value inside the octet string [r.pos, stop). Octets that are no BER are taken as text: some stacks do not wrap. */
export function readValue(r: BerReader, stop: number, owner: string, numeric: boolean): string {
  const { bytes, pos } = r;
  const length = stop - pos;
  const tag = bytes[pos] ?? 0;
  const inner = bytes[pos + 1] ?? 0;
  if (length < 2 || !isWrapped(tag, inner, length)) return text(r, pos, stop, numeric);
  const start = inner < 0x80 ? pos + 2 : pos + 2 + (inner & 0x7f);
  switch (tag) {
    case octetString:
      if (octetStrings.has(owner)) return Buffer.from(r.text.slice(start, stop), 'latin1').toString('hex');
      return text(r, start, stop, numeric);
    case ia5String:
    case utf8String:
      return text(r, start, stop, numeric);
    case integer:
      return String(signed(bytes, start, stop));
    case boolean:
      return bytes[start] === 0 ? 'off' : 'on';
    case enumerated: {
      const number = signed(bytes, start, stop);
      return enumNames.get(`${owner} ${number}`) ?? String(number);
    }
    default:
      return text(r, pos, stop, numeric);
  }
}

/** A tag we know whose length is just what is there. */
function isWrapped(tag: number, inner: number, length: number): boolean {
  if (
    tag !== integer &&
    tag !== ia5String &&
    tag !== boolean &&
    tag !== enumerated &&
    tag !== utf8String &&
    tag !== octetString
  )
    return false;
  if (inner < 0x80) return inner === length - 2;
  return inner <= 0x83 && length > 2 + (inner & 0x7f);
}

/** The text of a string: quoted, as Annex B wants strings, unless a number was expected and stands there. */
function text(r: BerReader, start: number, stop: number, numeric: boolean): string {
  const raw = r.text.slice(start, stop);
  if (numeric && /^[-+]?[0-9]+(\.[0-9]+)?$/.test(raw)) return raw;
  return `"${raw.includes('"') ? raw.replaceAll('"', "'") : raw}"`;
}

function signed(bytes: Uint8Array, start: number, stop: number): number {
  let value = (bytes[start] ?? 0) >= 0x80 ? -1 : 0;
  for (let pos = start; pos < stop && pos < start + 8; pos += 1) value = value * 256 + (bytes[pos] ?? 0);
  return value;
}

/** The characters of a value that is a plain string (SDP lines, the reason of a ServiceChange), without quotes. */
export function readPlainString(r: BerReader, stop: number): string {
  const { bytes, pos } = r;
  const inner = bytes[pos + 1] ?? 0;
  if (stop - pos >= 2 && isWrapped(bytes[pos] ?? 0, inner, stop - pos))
    return r.text.slice(inner < 0x80 ? pos + 2 : pos + 2 + (inner & 0x7f), stop);
  return r.text.slice(pos, stop);
}
