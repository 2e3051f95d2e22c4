/**
 * Under overload most of what comes is to be refused: new INVITEs, and the ACKs of those that were. They are told by a look at their first
 * lines, and refused before anybody decodes them, so that a refusal costs little more than the kernel takes for it. Whatever is written in an
 * unusual way, or may have to be treated in another, goes the long way, where the same is decided (shedding.ts).
 */
import type { Flow, OverloadControl } from '../../../src/internal.ts';
import { toBytes } from '../codec/encode.ts';
import { parseVia, type Via } from '../codec/values.ts';
import { stampedVia } from '../proxy/forward.ts';
import { isUnique, viaKey } from '../transactions/keys.ts';
import { none, replyWay } from '../transactions/way-back.ts';
import { announcedAlgorithm } from './oc-params.ts';

export interface EarlyRefusalParts {
  readonly overload: OverloadControl;
  /** Is the request with this key under way? */
  isUnderWay(key: string): boolean;
  /** May this be the user part of an emergency call's Request-URI? */
  isEmergency(user: string): boolean;
  localTag(callId: string, fromTag: string, cseq: number): string;
}

export class EarlyRefusal {
  readonly #parts: EarlyRefusalParts;
  #hasAdmitted = false;

  constructor(parts: EarlyRefusalParts) {
    this.#parts = parts;
  }

  /** The INVITE that is being read has been counted, and taken. */
  takeAdmission(): boolean {
    const has = this.#hasAdmitted;
    this.#hasAdmitted = false;
    return has;
  }

  /** Is that all that happens to this message? */
  turnsAway(bytes: Buffer, flow: Flow): boolean {
    this.#hasAdmitted = false;
    const { overload } = this.#parts;
    if (!overload.isShedding || flow.reliable) return false;
    const [first] = bytes;
    if (first === letterI) return this.#refuses(bytes, flow);
    return first === letterA && this.#endsRefusal(bytes);
  }

  #refuses(bytes: Buffer, flow: Flow): boolean {
    const { overload, isUnderWay, isEmergency, localTag } = this.#parts;
    const text = bytes.toString('latin1');
    if (!text.startsWith('INVITE sip')) return false;
    const head = readHead(text, 'INVITE');
    if (head === undefined || head.toTag !== '') return false;
    const { via } = head;
    if (via.transport !== 'UDP' || !isUnique(via.branch) || announcedAlgorithm(via.params) !== undefined) return false;
    if (isUnderWay(viaKey(via, 'INVITE')) || isEmergency(userOf(text))) return false;
    if (replyWay(via, flow, () => none) !== undefined) return false;
    if (overload.admits()) {
      this.#hasAdmitted = true;
      return false;
    }
    overload.shed();
    // RFC 3261 §21.5.4, RFC 7339 §5.10.2: Retry-After is for those who call, and would keep a proxy away altogether.
    const comeBack = head.otherVias === '' ? `Retry-After: ${overload.retryAfterSeconds()}\r\n` : '';
    const tag = localTag(head.callId, head.fromTag, head.cseq);
    flow.send(
      toBytes(
        `SIP/2.0 503 Service Unavailable - overload\r\nVia: ${stampedVia(head, flow) ?? via.text}\r\n${head.otherVias}${head.from}${head.to};tag=${tag}\r\n` +
          `Call-ID: ${head.callId}\r\nCSeq: ${head.cseq} INVITE\r\n${comeBack}Content-Length: 0\r\n\r\n`,
      ),
    );
    return true;
  }

  /** RFC 3261 §17.2.1: it would be absorbed by a transaction, had the INVITE had one. */
  #endsRefusal(bytes: Buffer): boolean {
    const { isUnderWay, localTag } = this.#parts;
    const text = bytes.toString('latin1');
    if (!text.startsWith('ACK sip')) return false;
    const head = readHead(text, 'ACK');
    if (head === undefined || head.toTag === '' || !isUnique(head.via.branch)) return false;
    return head.toTag === localTag(head.callId, head.fromTag, head.cseq) && !isUnderWay(viaKey(head.via, 'INVITE'));
  }
}

interface Head {
  readonly via: Via;
  /** Lines with their ends. */
  readonly otherVias: string;
  readonly from: string;
  /** Without its end. */
  readonly to: string;
  readonly callId: string;
  readonly cseq: number;
  readonly fromTag: string;
  readonly toTag: string;
}

/** Of a request whose mandatory fields stand there as nearly everybody writes them; undefined: it takes a closer look. */
function readHead(text: string, method: 'INVITE' | 'ACK'): Head | undefined {
  let end = lineEnd(text, 0);
  if (end < 0 || !text.startsWith(' SIP/2.0', end - 8)) return undefined;
  let via: Via | undefined;
  let otherVias = '';
  let from = '';
  let to = '';
  let callId = '';
  let cseq = -1;
  for (let at = end + 2; ; at = end + 2) {
    end = lineEnd(text, at);
    if (end < 0) return undefined;
    if (end === at) break;
    switch (text.charCodeAt(at) | 32) {
      case 118: {
        const start = nameEnd(text, at, 'Via: ', 'v: ');
        // A list, or something quoted, is not read here.
        const value = text.slice(start, end);
        if (start === 0 || value.includes(',') || value.includes('"')) return undefined;
        if (via !== undefined) otherVias += `Via: ${value}\r\n`;
        else {
          via = parseVia(value);
          if (via === undefined) return undefined;
        }
        break;
      }
      case 102:
        if (!isSecond(text, at, 114)) break;
        if (from !== '' || nameEnd(text, at, 'From: ', 'f: ') === 0) return undefined;
        from = text.slice(at, end + 2);
        break;
      case 116:
        if (!isSecond(text, at, 111)) break;
        if (to !== '' || nameEnd(text, at, 'To: ', 't: ') === 0) return undefined;
        to = text.slice(at, end);
        break;
      case 105:
      case 99: {
        // Call-ID, i, CSeq; Contact, Content-Length and others pass.
        if (text.startsWith('CSeq: ', at)) {
          const space = text.indexOf(' ', at + 6);
          if (cseq >= 0 || space < 0 || space > end) return undefined;
          cseq = wholeNumber(text.slice(at + 6, space));
          if (cseq < 0 || text.slice(space + 1, end) !== method) return undefined;
          break;
        }
        const start = nameEnd(text, at, 'Call-ID: ', 'i: ');
        if (start > 0) {
          if (callId !== '') return undefined;
          callId = text.slice(start, end);
        } else if (/^(?:call-id|cseq|i)[ \t]*:/i.test(text.slice(at, at + 16))) return undefined;
        break;
      }
      case 32:
        // A folded line (RFC 3261 §7.3.1).
        return undefined;
      default:
        if (text.charCodeAt(at) === 9) return undefined;
    }
  }
  const fromTag = tagOf(from.slice(0, -2));
  const toTag = tagOf(to);
  if (via === undefined || from === '' || to === '' || callId === '' || cseq < 0) return undefined;
  if (fromTag === undefined || fromTag === '' || toTag === undefined || callId.trim() !== callId) return undefined;
  return { via, otherVias, from, to, callId, cseq, fromTag, toTag };
}

/** Where the line that begins here has its CRLF; negative: it has none, or another line end before it. */
function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\r', at);
  return end >= 0 && text.indexOf('\n', at) === end + 1 ? end : -1;
}

/** Where the value begins after one of these ways to write its name; 0: it is written in neither. */
const nameEnd = (text: string, at: number, long: string, short: string): number =>
  text.startsWith(long, at) ? at + long.length : text.startsWith(short, at) ? at + short.length : 0;

/** Is the second letter this one, or is the name a single letter? */
const isSecond = (text: string, at: number, letter: number): boolean => {
  const second = text.charCodeAt(at + 1);
  return (second | 32) === letter || second === 58 || second === 32 || second === 9;
};

/** '': there is none. undefined: look more closely. */
function tagOf(field: string): string | undefined {
  const close = field.lastIndexOf('>');
  const params = close < 0 ? field : field.slice(close + 1);
  if (params.includes('"')) return undefined;
  const at = params.indexOf(';tag=');
  if (at < 0) return /tag/i.test(params) ? undefined : '';
  const end = params.indexOf(';', at + 1);
  const tag = params.slice(at + 5, end < 0 ? undefined : end);
  return /^[!%'*+\-.0-9A-Z_`a-z~]+$/.test(tag) && params.indexOf(';tag=', at + 1) < 0 ? tag : undefined;
}

/** What stands between the scheme and the host. */
function userOf(text: string): string {
  const start = text.indexOf(':') + 1;
  const end = text.indexOf(' ', start);
  const at = text.indexOf('@', start);
  return at < 0 || at > end ? '' : text.slice(start, at);
}

const wholeNumber = (text: string): number => (/^[0-9]{1,10}$/.test(text) ? Number(text) : -1);

const letterI = 73;
const letterA = 65;
