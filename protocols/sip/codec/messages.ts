/**
 * A SIP message: the latin1 text of its octets, the field positions of one scan, and the few values that every proxy needs.
 * Everything else is read when asked for; what nobody asks for is never touched.
 */
import { H, type HeaderId } from './header-names.ts';
import { fieldStride, type Scan } from './scanner.ts';
import type { SipUri } from './uri.ts';
import { type NameAddr, param, parseNameAddr, splitList, unfold, type Via } from './values.ts';

export interface SipEssentials {
  /** Top-most Via. */
  readonly via: Via;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  readonly cseq: number;
  /** The method of the request line, or of CSeq in a response. */
  readonly method: string;
  /** undefined: absent (RFC 2543) or not a number a proxy may trust. */
  readonly maxForwards: number | undefined;
  /** The parsed Request-URI; undefined in a response. */
  readonly uri: SipUri | undefined;
}

export class SipMessage {
  readonly text: string;
  readonly scan: Scan;
  /** Offset behind the body; what a datagram carries beyond Content-Length is noise (RFC 3261 §18.3). */
  readonly end: number;
  /** 0: a request. */
  readonly status: number;
  /** '' in a response. */
  readonly requestUri: string;
  readonly method: string;
  readonly via: Via;
  readonly from: NameAddr;
  readonly to: NameAddr;
  readonly callId: string;
  readonly cseq: number;
  readonly maxForwards: number | undefined;
  #fromTag: string | undefined;
  #toTag: string | undefined;
  /** The parsed Request-URI; undefined in a response. */
  readonly uri: SipUri | undefined;

  constructor(text: string, scan: Scan, end: number, status: number, requestUri: string, essentials: SipEssentials) {
    this.text = text;
    this.scan = scan;
    this.end = end;
    this.status = status;
    this.requestUri = requestUri;
    this.method = essentials.method;
    this.via = essentials.via;
    this.from = essentials.from;
    this.to = essentials.to;
    this.callId = essentials.callId;
    this.cseq = essentials.cseq;
    this.maxForwards = essentials.maxForwards;
    this.uri = essentials.uri;
  }

  get isRequest(): boolean {
    return this.status === 0;
  }

  get reason(): string {
    return this.isRequest ? '' : this.text.slice(this.scan.start + 12, this.scan.startLineEnd);
  }

  /** '' where there is none. */
  get fromTag(): string {
    this.#fromTag ??= param(this.from.params, 'tag', 1) ?? '';
    return this.#fromTag;
  }

  get toTag(): string {
    this.#toTag ??= param(this.to.params, 'tag', 1) ?? '';
    return this.#toTag;
  }

  get body(): string {
    return this.text.slice(this.scan.bodyStart, this.end);
  }

  /** The value of the first field with this name, folding taken out; undefined where there is none. */
  header(id: HeaderId): string | undefined {
    const index = this.fieldIndex(id);
    return index < 0 ? undefined : this.valueAt(index);
  }

  /** Position in `scan.fields` of the first (or next, from `after`) field with this name; -1 where there is none. */
  fieldIndex(id: HeaderId, after = -fieldStride): number {
    const { fields } = this.scan;
    for (let i = after + fieldStride; i < fields.length; i += fieldStride) if (fields[i] === id) return i;
    return -1;
  }

  /** Offset at which the field begins. */
  fieldStart(index: number): number {
    return this.scan.fields[index + 1] ?? 0;
  }

  /** Offset of the line after the field. */
  fieldEnd(index: number): number {
    return this.scan.fields[index + fieldStride + 1] ?? this.scan.headersEnd;
  }

  valueStart(index: number): number {
    return this.scan.fields[index + 2] ?? 0;
  }

  valueStop(index: number): number {
    return this.scan.fields[index + 3] ?? 0;
  }

  valueAt(index: number): string {
    return unfold(this.text.slice(this.valueStart(index), this.valueStop(index)));
  }

  /** Every value of a list header, in order, whether joined by commas or in fields of their own. */
  list(id: HeaderId): readonly string[] {
    const values: string[] = [];
    for (let i = this.fieldIndex(id); i >= 0; i = this.fieldIndex(id, i)) {
      const value = this.valueAt(i);
      splitList(value, 0, value.length, values);
    }
    return values;
  }

  /** The entries of Route, Record-Route, Contact, Path or Service-Route; what does not parse is undefined in its place. */
  addresses(id: HeaderId): readonly (NameAddr | undefined)[] {
    return this.list(id).map(parseNameAddr);
  }

  /** The header by its name as text, for the rarely read ones; any case. */
  named(name: string): string | undefined {
    const [first] = this.allNamed(name);
    return first;
  }

  /** The values of all its fields, in order. */
  allNamed(name: string): readonly string[] {
    const { fields } = this.scan;
    const wanted = name.toLowerCase();
    const found: string[] = [];
    for (let i = 0; i < fields.length; i += fieldStride) {
      if (fields[i] !== H.other) continue;
      const start = this.fieldStart(i);
      const colon = this.text.indexOf(':', start);
      if (this.text.slice(start, colon).trim().toLowerCase() === wanted) found.push(this.valueAt(i));
    }
    return found;
  }
}
