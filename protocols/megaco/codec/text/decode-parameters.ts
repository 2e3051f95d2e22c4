/** Text decoding of what several descriptors have in common: parameters, request ids, time stamps, lists of audit items (RFC 3525 Annex B.2). */

import type { AuditItem, Descriptor, Parameter, Relation } from '../messages.ts';
import type { Keyword } from './keywords.ts';
import type { Scanner } from './scanner.ts';

const [open, close, comma, equals, colon] = [0x7b, 0x7d, 0x2c, 0x3d, 0x3a];
const [openList, closeList] = [0x5b, 0x5d];
const uint32 = 0xffffffff;
/** More items than this in one list are taken for an attack. */
export const maxListItems = 2_000;

/** parmValue behind a name that was read. */
export function readParameter(s: Scanner, name: string, code: number): Parameter {
  const sign = s.peek();
  if (sign === 0x3e || sign === 0x3c || sign === 0x23) {
    s.take(sign);
    return { name, relation: sign === 0x3e ? '>' : sign === 0x3c ? '<' : '#', values: [s.value(code)] };
  }
  s.expect(equals, code);
  if (s.take(open)) return { name, relation: 'alternatives', values: readValues(s, close, code) };
  if (!s.take(openList)) return { name, relation: '=', values: [s.value(code)] };
  const first = s.value(code);
  let relation: Relation = 'sublist';
  const values = [first];
  if (s.take(colon)) {
    relation = 'range';
    values.push(s.value(code));
    s.expect(closeList, code);
  } else if (s.take(comma)) values.push(...readValues(s, closeList, code));
  else s.expect(closeList, code);
  return { name, relation, values };
}

export function readValues(s: Scanner, end: number, code: number): string[] {
  const values: string[] = [];
  do {
    values.push(s.value(code));
    if (values.length > maxListItems) s.fail(code, 'too many values');
  } while (s.take(comma));
  s.expect(end, code);
  return values;
}

export function readRequestId(s: Scanner, code: number): number {
  return s.take(0x2a) ? uint32 : s.uint(uint32, code);
}

/** `yyyymmddThhmmssss`; undefined where none stands at the cursor. */
export function readTimeStamp(s: Scanner): string | undefined {
  const { text } = s;
  const start = s.pos;
  if (start + 17 > s.end || (text.charCodeAt(start + 8) | 32) !== 0x74) return undefined;
  for (let index = 0; index < 17; index += 1) {
    const digit = text.charCodeAt(start + index) - 0x30;
    if (index !== 8 && (digit < 0 || digit > 9)) return undefined;
  }
  s.pos = start + 17;
  s.skip();
  return text.slice(start, start + 17).toUpperCase();
}

export function readAudit(s: Scanner, code: number): Descriptor {
  s.expect(open, code);
  const items: AuditItem[] = [];
  if (s.take(close)) return { kind: 'Audit', items };
  do {
    const word = s.word();
    if (isAuditItem(word)) items.push(word);
    else s.fail(code, 'no such audit item');
    // Audits of single properties (version 2): what they restrict is answered in full.
    if (s.pos < s.end && (s.peek() === open || s.peek() === equals)) skipGroup(s, code);
    if (items.length > maxListItems) s.fail(code, 'too many items');
  } while (s.take(comma));
  s.expect(close, code);
  return { kind: 'Audit', items };
}

function skipGroup(s: Scanner, code: number): void {
  if (s.take(equals)) readRequestId(s, code);
  if (s.take(open) && !s.resync(s.pos)) s.fail(code, 'group without end');
}

function isAuditItem(word: Keyword | undefined): word is AuditItem {
  switch (word) {
    case 'Mux':
    case 'Modem':
    case 'Media':
    case 'Events':
    case 'Signals':
    case 'DigitMap':
    case 'Statistics':
    case 'ObservedEvents':
    case 'Packages':
    case 'EventBuffer':
      return true;
    default:
      return false;
  }
}
