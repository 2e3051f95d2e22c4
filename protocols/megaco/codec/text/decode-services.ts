/** Text decoding of the ServiceChange descriptor (RFC 3525 Annex B.2, serviceChangeDescriptor; §7.2.8). */

import type { Parameter, ServiceChangeDescriptor } from '../messages.ts';
import { parseMId, readMId } from '../mid.ts';
import { readAudit, readParameter, readTimeStamp } from './decode-parameters.ts';
import type { Keyword } from './keywords.ts';
import type { Scanner } from './scanner.ts';

const [open, close, comma, equals, slash, dash] = [0x7b, 0x7d, 0x2c, 0x3d, 0x2f, 0x2d];
const uint32 = 0xffffffff;

interface MutableServices {
  kind: 'Services';
  method?: string | undefined;
  address?: string | undefined;
  version?: number | undefined;
  profile?: string | undefined;
  reason?: string | undefined;
  delay?: number | undefined;
  mgcId?: string | undefined;
  timeStamp?: string | undefined;
  extensions?: readonly Parameter[] | undefined;
}

export function readServices(s: Scanner, code: number): ServiceChangeDescriptor {
  s.expect(open, code);
  const services: MutableServices = { kind: 'Services' };
  const extensions: Parameter[] = [];
  do {
    const timeStamp = readTimeStamp(s);
    if (timeStamp !== undefined) {
      services.timeStamp = timeStamp;
      continue;
    }
    const word = s.word();
    if (s.peek() === dash || s.peek() === 0x2b) {
      const name = readExtensionName(s, code);
      extensions.push(readParameter(s, name, code));
      if (extensions.length > 32) s.fail(code, 'too many extensions');
      continue;
    }
    // Version 3: whatever the change left out of an audit; nothing of it concerns us.
    if (word === undefined || !readServiceParameter(s, word, services, code)) {
      s.fail(code, 'no such service change parameter');
    }
  } while (s.take(comma));
  s.expect(close, code);
  if (extensions.length > 0) services.extensions = extensions;
  return services;
}

function readServiceParameter(s: Scanner, word: Keyword, services: MutableServices, code: number): boolean {
  if (word === 'Audit') {
    readAudit(s, code);
    return true;
  }
  s.expect(equals, code);
  switch (word) {
    case 'Method': {
      const method = s.word();
      services.method = s.peek() === dash || s.peek() === 0x2b ? readExtensionName(s, code) : (method ?? s.lastWord());
      if (services.method === '') s.fail(code, 'method expected');
      return true;
    }
    case 'Reason': {
      const value = s.value(code);
      services.reason = value.startsWith('"') ? value.slice(1, -1) : value;
      return true;
    }
    case 'ServiceChangeAddress': {
      services.address = readServiceChangeAddress(s, code);
      return true;
    }
    case 'MgcIdToTry':
      services.mgcId = readMId(s);
      return true;
    case 'Version':
      services.version = s.uint(99, code);
      return true;
    case 'Profile': {
      const name = s.name(code);
      s.expect(slash, code);
      services.profile = `${name}/${s.uint(99, code)}`;
      return true;
    }
    case 'Delay':
      services.delay = s.uint(uint32, code);
      return true;
    default:
      return false;
  }
}

/** RFC 3525 Annex B.2: an mId or a port. RFC 3015 has a VALUE: the same in quotes, or an address without brackets. */
function readServiceChangeAddress(s: Scanner, code: number): string {
  const digits = /\d{1,5}(?=[\s,};])/y;
  digits.lastIndex = s.pos;
  if (digits.test(s.text)) return String(s.uint(65_535, code));
  const first = s.peek();
  if (first !== 0x22 && !(first >= 0x30 && first <= 0x39)) return readMId(s);
  const value = s.value(code);
  const text = value.startsWith('"') ? value.slice(1, -1).trim() : value;
  const address = /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? text : parseMId(bracketed(text));
  if (address === undefined) s.fail(code, 'address expected');
  return address ?? '';
}

/** `1.2.3.4:2944` as an mId is written. */
const bracketed = (text: string): string => text.replace(/^(\d+(?:\.\d+){3})(:\d{1,5})?$/, '[$1]$2');

/** `x-` or `x+` and up to six characters; the cursor stands on the sign, the last word is the X. */
export function readExtensionName(s: Scanner, code: number): string {
  const start = s.wordStart;
  if (s.lastWord() !== 'x' || s.pos !== s.wordEnd) s.fail(code, 'extension expected');
  s.pos += 1;
  s.word();
  if (s.wordEnd === s.wordStart) s.fail(code, 'extension expected');
  return s.text.slice(start, s.wordEnd).toLowerCase();
}
