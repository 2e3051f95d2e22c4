/**
 * Octets → SipMessage, or the reason why not, together with the answer owed to the sender (RFC 3261 §8.2, §16.3, §18.3;
 * outcomes by RFC 4475). Latin1 keeps every octet as it came.
 */
import { Buffer } from 'node:buffer';
import { match } from 'ts-pattern';
import { type DecodeFailure, fail, ok, type Result } from '../../../src/internal.ts';
import { nameAddrAt, valueEndAt, viaAt } from './common-forms.ts';
import { refusal } from './encode.ts';
import { H } from './header-names.ts';
import { SipMessage } from './messages.ts';
import { limits, type Scan, scan } from './scanner.ts';
import { isSipScheme, parseUri, type SipUri } from './uri.ts';
import { isSpace, isToken, type NameAddr, parseNameAddr, parseVia, trim, unfold, type Via } from './values.ts';
import { Words } from './words.ts';

/** Never throws; linear time. `bytes` is one datagram or one framed message. */
export function decode(bytes: Uint8Array): Result<SipMessage, DecodeFailure> {
  if (bytes.length > limits.messageBytes)
    return fail({ reason: 'message too large', offset: limits.messageBytes, code: 513 });
  const text = latin1(bytes);
  const scanned = scan(bytes, text);
  if (!scanned.ok) return malformed(text, scanned.error.partial, 400, scanned.error.reason, scanned.error.offset);
  return read(bytes, text, scanned.value);
}

function read(bytes: Uint8Array, text: string, scanned: Scan): Result<SipMessage, DecodeFailure> {
  const { start, startLineEnd } = scanned;
  const isResponse = text.startsWith('SIP/', start) && text.charCodeAt(start + 7) === 32;
  let status = 0;
  let requestUri = '';
  let method = '';
  let uri: SipUri | undefined;
  if (isResponse) {
    if (!text.startsWith('SIP/2.0', start)) return silent('version', start);
    status = digits(bytes, start + 8, start + 11);
    // Status codes are three digits from 100 to 699; after them a blank (or, leniently, nothing).
    if (status < 100 || status > 699 || (startLineEnd > start + 11 && text.charCodeAt(start + 11) !== 32))
      return silent('status line', start + 8);
  } else {
    const space = text.indexOf(' ', start);
    if (space < 0 || space >= startLineEnd) return malformed(text, scanned, 400, 'request line', start);
    method = methodAt(bytes, text, start, space);
    if (method === '') return malformed(text, scanned, 400, 'method', start);
    let last = startLineEnd - 8;
    if (last <= space || !text.startsWith(' SIP/2.0', last)) {
      last = text.lastIndexOf(' ', startLineEnd - 1);
      if (last <= space) return malformed(text, scanned, 400, 'request line without a version', start);
      const version = text.slice(last + 1, startLineEnd);
      return /^SIP\/\d+\.\d+$/i.test(version) && version.toUpperCase() !== 'SIP/2.0'
        ? malformed(text, scanned, 505, 'version', last + 1)
        : version.toUpperCase() === 'SIP/2.0'
          ? malformed(text, scanned, 400, 'version in lower case', last + 1)
          : malformed(text, scanned, 400, 'version', last + 1);
    }
    requestUri = text.slice(space + 1, last);
  }

  const parts = collect(bytes, text, scanned);
  if (typeof parts === 'string')
    return isResponse ? silent(parts, startLineEnd) : malformed(text, scanned, 400, parts, startLineEnd);

  const cseq = readCseq(bytes, text, parts.cseqStart, parts.cseqEnd);
  if (cseq === undefined)
    return isResponse ? silent('CSeq', parts.cseqStart) : malformed(text, scanned, 400, 'CSeq', parts.cseqStart);
  if (isResponse) method = cseq.method;
  else {
    // RFC 4475 §3.1.2.17, §3.1.2.18: 400 for a known method, 501 for one that nobody knows.
    if (cseq.method !== method)
      return malformed(
        text,
        scanned,
        methodNames.includes(method) ? 400 : 501,
        'CSeq method differs from the request',
        parts.cseqStart,
      );
    uri = parseUri(requestUri);
    if (uri === undefined) return malformed(text, scanned, 400, 'Request-URI', start);
    // RFC 3261 §19.1.1: no header part in a Request-URI. Schemes we do not know are the proxy's business (416).
    if (uri.headers !== '' && isSipScheme(uri.scheme))
      return malformed(text, scanned, 400, 'Request-URI with headers', start);
  }

  const available = text.length - scanned.bodyStart;
  if (parts.contentLength > available)
    return isResponse
      ? silent('body shorter than Content-Length', text.length)
      : malformed(text, scanned, 400, 'body shorter than Content-Length', text.length);
  const end = parts.contentLength < 0 ? text.length : scanned.bodyStart + parts.contentLength;
  return ok(
    new SipMessage(text, scanned, end, status, requestUri, {
      via: parts.via,
      from: parts.from,
      to: parts.to,
      callId: parts.callId,
      cseq: cseq.number,
      method,
      maxForwards: parts.maxForwards,
      uri,
    }),
  );
}

interface Parts {
  readonly via: Via;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  readonly cseqStart: number;
  readonly cseqEnd: number;
  readonly maxForwards: number | undefined;
  /** -1: absent. */
  readonly contentLength: number;
}

/** One pass over the fields for what every message must have; a text says what is wrong. */
function collect(bytes: Uint8Array, text: string, scanned: Scan): Parts | string {
  const { fields } = scanned;
  let via: Via | undefined;
  let vias = 0;
  let from: NameAddr | undefined;
  let to: NameAddr | undefined;
  let callId: string | undefined;
  let cseqStart = -1;
  let cseqEnd = -1;
  let maxForwards: number | undefined;
  let seenMaxForwards = false;
  let contentLength = -1;
  for (let i = 0; i < fields.length; i += 4) {
    const start = fields[i + 2] ?? 0;
    const end = fields[i + 3] ?? 0;
    switch (fields[i]) {
      case H.via: {
        let stop = start - 1;
        if (via === undefined) {
          via = viaAt(bytes, text, start, end);
          if (via === undefined) {
            stop = valueEndAt(bytes, start, end);
            via = parseVia(unfold(trim(text, start, stop)));
            if (via === undefined) return 'Via';
          } else stop = start + via.text.length;
          vias += 1;
        }
        for (; stop < end; vias += 1) stop = valueEndAt(bytes, stop + 1, end);
        if (vias > limits.vias) return 'too many Via fields';
        break;
      }
      case H.from: {
        if (from !== undefined) return 'more than one From';
        from = nameAddrAt(bytes, text, start, end) ?? parseNameAddr(unfold(text.slice(start, end)));
        if (from === undefined) return 'From';
        break;
      }
      case H.to: {
        if (to !== undefined) return 'more than one To';
        to = nameAddrAt(bytes, text, start, end) ?? parseNameAddr(unfold(text.slice(start, end)));
        if (to === undefined) return 'To';
        break;
      }
      case H.callId:
        if (callId !== undefined) return 'more than one Call-ID';
        callId = text.slice(start, end);
        if (callId === '') return 'Call-ID';
        break;
      case H.cseq:
        if (cseqStart >= 0) return 'more than one CSeq';
        cseqStart = start;
        cseqEnd = end;
        break;
      case H.maxForwards: {
        if (seenMaxForwards) return 'more than one Max-Forwards';
        seenMaxForwards = true;
        const value = digits(bytes, start, end);
        if (value < 0) return 'Max-Forwards';
        maxForwards = Math.min(value, 255);
        break;
      }
      case H.contentLength: {
        const value = digits(bytes, start, end);
        if (value < 0) return 'Content-Length';
        if (contentLength >= 0 && contentLength !== value) return 'two different Content-Length';
        contentLength = value;
        break;
      }
    }
  }
  if (via === undefined) return 'no Via';
  if (from === undefined) return 'no From';
  if (to === undefined) return 'no To';
  if (callId === undefined) return 'no Call-ID';
  if (cseqStart < 0) return 'no CSeq';
  return { via, from, to, callId, cseqStart, cseqEnd, maxForwards, contentLength };
}

/** `4711 INVITE`; the number is below 2^31 (RFC 3261 §8.1.1.5; a few senders go to 2^32-1, which is let pass). */
function readCseq(
  bytes: Uint8Array,
  text: string,
  start: number,
  end: number,
): { readonly number: number; readonly method: string } | undefined {
  let at = start;
  let number = 0;
  for (; at < end; at += 1) {
    const digit = (bytes[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    number = number * 10 + digit;
    if (number > 4_294_967_295) return undefined;
  }
  const blank = at;
  while (at < end && isSpace(bytes[at] ?? 0)) at += 1;
  if (blank === start || at === blank || at === end) return undefined;
  const method = methodAt(bytes, text, at, end);
  return method === '' ? undefined : { number, method };
}

/** '' where it is no token. A method of the standards is always the same string, so that comparing it is cheap. */
function methodAt(bytes: Uint8Array, text: string, start: number, end: number): string {
  if (start === end) return '';
  const known = methods.find(bytes, start, end);
  if (known >= 0) return methodNames[known] ?? '';
  const method = text.slice(start, end);
  return isToken(method) ? method : '';
}

/** A decimal number between the offsets; -1 where it is none or beyond 2^31. */
function digits(bytes: Uint8Array, start: number, end: number): number {
  if (end <= start) return -1;
  let value = 0;
  for (let i = start; i < end; i += 1) {
    const digit = (bytes[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
    if (value > 2_147_483_647) return -1;
  }
  return value;
}

/** Malformed responses are dropped, never answered. */
const silent = (reason: string, offset: number): Result<never, DecodeFailure> =>
  fail({ reason: `response: ${reason}`, offset });

/** A malformed request is answered with what could be read of it; an ACK never is (RFC 3261 §17.1.1.3). */
function malformed(
  text: string,
  scanned: Scan,
  code: 400 | 501 | 505,
  reason: string,
  offset: number,
): Result<never, DecodeFailure> {
  if (text.startsWith('SIP/', scanned.start) || text.startsWith('ACK ', scanned.start))
    return fail({ reason, offset, code });
  const phrase = match(code)
    .with(400, () => `Bad Request - ${reason}`)
    .with(501, () => 'Not Implemented')
    .with(505, () => 'Version Not Supported')
    .exhaustive();
  const answer = refusal(text, scanned, code, phrase);
  return answer === undefined ? fail({ reason, offset, code }) : fail({ reason, offset, code, answer: () => answer });
}

/** Methods of RFC 3261, 3262, 3265, 3311, 3428, 3515, 3903, 2976. */
const methodNames = [
  'INVITE',
  'ACK',
  'OPTIONS',
  'BYE',
  'CANCEL',
  'REGISTER',
  'PRACK',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'INFO',
  'REFER',
  'MESSAGE',
  'UPDATE',
];
const methods = new Words(methodNames, false);

/** The octets as text, one character each. */
export function latin1(bytes: Uint8Array): string {
  return (Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)).toString(
    'latin1',
  );
}
