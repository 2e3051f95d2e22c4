/**
 * Datagram to messages (RFC 3435 §3, Appendix A): one linear scan, limits first, any case, CRLF or LF, white space tolerated. A message
 * that cannot be read becomes a BrokenMessage with the code that answers it and does not touch its neighbours (§3.5.5).
 */
import { type DecodeFailure, fail, ok, type Result } from '../../../src/internal.ts';
import type { BrokenMessage, MgcpDatagram, MgcpMessage, Parameter } from './messages.ts';
import { blankEnd, isDot, isEmptyLine, isLetter, lineEnd, tokenEnd, trimmed } from './scanner.ts';

export const maxDatagramBytes = 65_507;
const maxMessages = 64;
const maxParameters = 512;
const maxSdp = 4;

/** Fails only where there is nothing to answer at all: empty, oversized. */
export function decodeDatagram(bytes: Uint8Array): Result<MgcpDatagram, DecodeFailure> {
  if (bytes.length > maxDatagramBytes) return fail({ reason: 'datagram too large', offset: maxDatagramBytes });
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const messages: MgcpMessage[] = [];
  let at = 0;
  while (at < text.length) {
    if (isEmptyLine(text, at) || isDot(text, at)) {
      at = lineEnd(text, at) + 1;
      continue;
    }
    if (messages.length === maxMessages) {
      messages.push(broken('too many piggy-backed messages', at, undefined, 0));
      break;
    }
    const scanner: Scan = { text, at };
    messages.push(decodeMessage(scanner));
    at = scanner.at;
  }
  if (messages.length === 0) return fail({ reason: 'empty datagram', offset: 0 });
  const [first] = messages;
  if (messages.length === 1 && first?.kind === 'broken' && first.transactionId === 0)
    return fail({
      reason: first.reason,
      offset: first.offset,
      ...(first.code === undefined ? {} : { code: first.code }),
    });
  return ok({ messages });
}

interface Scan {
  readonly text: string;
  at: number;
}

/** Leaves `scan.at` behind the message's separator, or at the end. */
function decodeMessage(scan: Scan): MgcpMessage {
  const { text } = scan;
  const start = scan.at;
  const end = lineEnd(text, start);
  const head = readHead(text, start, end);
  scan.at = end + 1;
  const parameters: Parameter[] = [];
  let failure = head.kind === 'broken' ? head : undefined;
  let line = scan.at;
  for (; line < text.length; line = scan.at) {
    const to = lineEnd(text, line);
    scan.at = to + 1;
    if (isDot(text, line)) return head.kind === 'broken' ? head : (failure ?? { ...head, parameters, sdp: [] });
    if (isEmptyLine(text, line)) break;
    if (failure !== undefined) continue;
    const parsed = parameters.length < maxParameters ? readParameter(text, line, to) : undefined;
    if (parsed === undefined) failure = brokenBody(head, 'a line is no parameter', line);
    else parameters.push(parsed);
  }
  const sdp = readSdp(scan);
  if (failure !== undefined) return failure;
  return head.kind === 'broken' ? head : { ...head, parameters, sdp };
}

type Head =
  | BrokenMessage
  | { kind: 'command'; verb: string; transactionId: number; endpoint: string; version: string }
  | { kind: 'response'; code: number; transactionId: number; packageName: string | undefined; comment: string };

function readHead(text: string, start: number, end: number): Head {
  const from = blankEnd(text, start, end);
  const firstEnd = tokenEnd(text, from, end);
  const idStart = blankEnd(text, firstEnd, end);
  const idEnd = tokenEnd(text, idStart, end);
  const transactionId = readNumber(text, idStart, idEnd, 9);
  const isResponse = isDigitAt(text, from);
  if (isResponse) {
    const code = firstEnd - from === 3 ? readNumber(text, from, firstEnd, 3) : -1;
    // A response that cannot be read is not answered: that would be a response to a response.
    if (code < 0 || transactionId < 0) return broken('malformed response line', from, undefined, 0);
    return readResponseTail(text, idEnd, end, code, transactionId);
  }
  if (firstEnd - from !== 4 || !isLetter(text.charCodeAt(from)))
    return broken('malformed verb', from, 510, Math.max(0, transactionId));
  if (transactionId < 0) return broken('malformed transaction id', idStart, 510, 0);
  const nameStart = blankEnd(text, idEnd, end);
  const nameEnd = tokenEnd(text, nameStart, end);
  if (nameEnd === nameStart) return broken('no endpoint name', nameStart, 510, transactionId);
  if (!isEndpointName(text, nameStart, nameEnd))
    return broken('malformed endpoint name', nameStart, 500, transactionId);
  const versionStart = blankEnd(text, nameEnd, end);
  const version = readVersion(text, versionStart, end);
  if (version === undefined) return broken('no protocol version', versionStart, 510, transactionId);
  // RFC 3435 §3.2.1.4: 1.0, with 0.1 of RFC 2705 still in the field; another major version is not ours.
  if (!version.startsWith('1.') && !version.startsWith('0.1'))
    return broken('protocol version not supported', versionStart, 528, transactionId);
  return {
    kind: 'command',
    verb: upperVerb(text.slice(from, firstEnd)),
    transactionId,
    endpoint: text.slice(nameStart, nameEnd),
    version,
  };
}

function readResponseTail(text: string, idEnd: number, end: number, code: number, transactionId: number): Head {
  let at = blankEnd(text, idEnd, end);
  let packageName: string | undefined;
  if (code >= 800 && text.charCodeAt(at) === slash) {
    const to = tokenEnd(text, at, end);
    packageName = text.slice(at + 1, to);
    at = blankEnd(text, to, end);
  }
  return { kind: 'response', code, transactionId, packageName, comment: trimmed(text, at, end) };
}

function readParameter(text: string, line: number, end: number): Parameter | undefined {
  const from = blankEnd(text, line, end);
  let colon = from;
  while (colon < end && text.charCodeAt(colon) !== colonCode) colon += 1;
  if (colon === end || colon === from) return undefined;
  // One letter is by far the commonest code.
  if (colon - from === 1) {
    const code = text.charCodeAt(from);
    if (!isLetter(code)) return undefined;
    return { code: upperLetters[code & 31] ?? '', value: trimmed(text, colon + 1, end) };
  }
  const name = trimmed(text, from, colon);
  if (name === '' || name.includes(' ') || name.includes('\t')) return undefined;
  const upper = name.toUpperCase();
  return { code: name.length === 1 || twoLetterCodes.has(upper) ? upper : name, value: trimmed(text, colon + 1, end) };
}

/** Session descriptions: blocks of lines, parted by empty lines, up to the separator of the next message (RFC 3435 §3.4, §3.3). */
function readSdp(scan: Scan): readonly string[] {
  const { text } = scan;
  if (scan.at >= text.length) return noSdp;
  const blocks: string[] = [];
  let block = '';
  while (scan.at < text.length) {
    const line = scan.at;
    const end = lineEnd(text, line);
    scan.at = end + 1;
    if (isDot(text, line)) break;
    if (isEmptyLine(text, line)) {
      if (block !== '') blocks.push(block);
      block = '';
      continue;
    }
    // Some gateways leave the empty line out: `v=` begins a description anyway.
    if (block !== '' && text.charCodeAt(line) === letterV && text.charCodeAt(line + 1) === equals) {
      blocks.push(block);
      block = '';
    }
    block += `${text.slice(line, text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end)}\r\n`;
  }
  if (block !== '') blocks.push(block);
  return blocks.length > maxSdp ? blocks.slice(0, maxSdp) : blocks;
}

const noSdp: readonly string[] = [];

const broken = (reason: string, offset: number, code: number | undefined, transactionId: number): BrokenMessage => ({
  kind: 'broken',
  reason,
  offset,
  code,
  transactionId,
});

const brokenBody = (head: Head, reason: string, offset: number): BrokenMessage =>
  head.kind === 'broken'
    ? head
    : head.kind === 'command'
      ? broken(reason, offset, 510, head.transactionId)
      : { ...broken(reason, offset, undefined, head.transactionId), response: head.code };

/** -1: no number of at most `digits` digits. */
function readNumber(text: string, from: number, to: number, digits: number): number {
  if (to === from || to - from > digits) return -1;
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = text.charCodeAt(at) - zero;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function readVersion(text: string, from: number, end: number): string | undefined {
  const wordEnd = tokenEnd(text, from, end);
  if (wordEnd - from !== 4 || text.slice(from, wordEnd).toUpperCase() !== 'MGCP') return undefined;
  const version = trimmed(text, wordEnd, end);
  return isDigitAt(version, 0) && version.includes('.') ? version : undefined;
}

/** Exactly one at sign with something on both sides; printable characters only (Appendix A). */
function isEndpointName(text: string, from: number, to: number): boolean {
  let signs = 0;
  for (let at = from; at < to; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code > 0x7e) return false;
    if (code === atSign) {
      if (at === from || at === to - 1) return false;
      signs += 1;
    }
  }
  return signs === 1;
}

/** The verbs come in upper case nearly always. */
function upperVerb(verb: string): string {
  for (let at = 0; at < 4; at += 1) if (verb.charCodeAt(at) > 0x5a) return verb.toUpperCase();
  return verb;
}

const isDigitAt = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  return code >= zero && code <= zero + 9;
};

/** RFC 3435 §3.2.2. */
const twoLetterCodes: ReadonlySet<string> = new Set(['ES', 'MD', 'PL', 'RD', 'RM', 'I2', 'Z2', 'RC', 'LC']);

const upperLetters = [...'@ABCDEFGHIJKLMNOPQRSTUVWXYZ'];

const carriageReturn = 0x0d;
const slash = 0x2f;
const zero = 0x30;
const colonCode = 0x3a;
const equals = 0x3d;
const atSign = 0x40;
const letterV = 0x76;
