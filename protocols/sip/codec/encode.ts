/** SipMessage → octets: edited copies of a message that is forwarded, and responses of our own. */
import { Buffer } from 'node:buffer';
import { H } from './header-names.ts';
import type { SipMessage } from './messages.ts';
import { fieldStride, type Scan } from './scanner.ts';
import { valueEnd } from './values.ts';

export const toBytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** Changes to a message's text, kept in order of offset; every octet outside of them stays as it came. */
export class Edit {
  readonly #message: SipMessage;
  readonly #changes: Change[] = [];

  constructor(message: SipMessage) {
    this.#message = message;
  }

  /** Puts `text` in place of [start, end). Ranges do not overlap; insertions at one offset keep their order of call. */
  replace(start: number, end: number, text: string): this {
    const changes = this.#changes;
    const change = { start, end, text };
    let at = changes.length;
    while (at > 0 && (changes[at - 1]?.start ?? 0) > start) at -= 1;
    if (at === changes.length) changes.push(change);
    else changes.splice(at, 0, change);
    return this;
  }

  insert(at: number, text: string): this {
    return this.replace(at, at, text);
  }

  text(): string {
    const { text, scan, end } = this.#message;
    let out = '';
    let at = scan.start;
    for (const change of this.#changes) {
      out += text.slice(at, change.start) + change.text;
      at = change.end;
    }
    return out + text.slice(at, end);
  }

  bytes(): Buffer {
    return toBytes(this.text());
  }
}

/** The message's own octets, without noise around it. */
export const encode = (message: SipMessage): Buffer => toBytes(message.text.slice(message.scan.start, message.end));

interface Change {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface ResponseOptions {
  /** Tag added to To where the request has none (RFC 3261 §8.2.6.2); never for 100. */
  readonly toTag?: string | undefined;
  /** Further fields, each ending in CRLF. */
  readonly fields?: string | undefined;
  readonly body?: string | undefined;
  /** In place of the request's top Via value (received/rport filled in). */
  readonly topVia?: string | undefined;
}

/** A response of our own: Via, From, To, Call-ID, CSeq (and Timestamp in a 100) as the request has them (RFC 3261 §8.2.6). */
export function response(request: SipMessage, status: number, reason: string, options: ResponseOptions = {}): string {
  const { text, scan } = request;
  let out = `SIP/2.0 ${status} ${reason}\r\n`;
  let viaDone = options.topVia === undefined;
  for (let i = 0; i < scan.fields.length; i += fieldStride) {
    switch (scan.fields[i]) {
      case H.via:
        if (viaDone) out += line(text, request, i);
        else {
          viaDone = true;
          const rest = text.slice(topViaEnd(request, i), request.valueStop(i));
          out += `Via: ${options.topVia}${rest}\r\n`;
        }
        break;
      case H.to:
        out +=
          options.toTag !== undefined && request.toTag === ''
            ? `${text.slice(request.fieldStart(i), request.valueStop(i))};tag=${options.toTag}\r\n`
            : line(text, request, i);
        break;
      case H.from:
      case H.callId:
      case H.cseq:
        out += line(text, request, i);
        break;
      case H.timestamp:
        if (status === 100) out += line(text, request, i);
        break;
    }
  }
  if (options.fields !== undefined) out += options.fields;
  const body = options.body ?? '';
  return `${out}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** Where the top Via value ends in its field: a comma or the end of the field. */
export function topViaEnd(message: SipMessage, index: number): number {
  const start = message.valueStart(index);
  const stop = message.valueStop(index);
  const end = start + message.via.text.length;
  const fold = message.text.indexOf('\n', start);
  return end <= stop && (fold < 0 || fold >= stop) ? end : valueEnd(message.text, start, stop);
}

/** An answer to a request that could not be decoded: whatever of the mandatory fields was found goes back as it came. */
export function refusal(text: string, scanned: Scan, status: number, reason: string): Buffer | undefined {
  const { fields } = scanned;
  let out = `SIP/2.0 ${status} ${reason}\r\n`;
  let vias = 0;
  const seen = new Set<number>();
  for (let i = 0; i < fields.length; i += fieldStride) {
    const id = fields[i] ?? 0;
    if (id === H.via) vias += 1;
    else if (id !== H.from && id !== H.to && id !== H.callId && id !== H.cseq) continue;
    else if (seen.has(id)) continue;
    seen.add(id);
    const field = text.slice(fields[i + 1] ?? 0, fields[i + 3] ?? 0);
    // Every response but 100 has a To tag (RFC 3261 §8.2.6.2); without state it is the same for a repetition.
    out += id === H.to && !/;\s*tag\s*=/i.test(field) ? `${field};tag=${statelessTag(text)}\r\n` : `${field}\r\n`;
  }
  // Without any of the mandatory fields it was not SIP: silence.
  if (vias === 0 && seen.size === 0) return undefined;
  return toBytes(`${out}Content-Length: 0\r\n\r\n`);
}

/** The same for the same octets; good enough to tell two refusals apart. */
function statelessTag(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length && i < 2_048; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return `e${(hash >>> 0).toString(16)}`;
}

function line(text: string, message: SipMessage, index: number): string {
  return `${text.slice(message.fieldStart(index), message.valueStop(index))}\r\n`;
}
