/**
 * Session descriptions on their way between SIP and call control: what strangers send is read line by line and written anew, so that
 * nothing but lines of SDP reaches a gateway; what is ours gets a version that says whether it has changed (RFC 3264 §8).
 */
import { servedMedia, withoutRecord } from '../../../src/internal.ts';
import { warning } from '../causes.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';

export interface BodyRefusal {
  readonly status: number;
  readonly reason: string;
  readonly fields: string;
}

export type Body =
  | { readonly kind: 'none' }
  | { readonly kind: 'description'; readonly text: string }
  | { readonly kind: 'refused'; readonly refusal: BodyRefusal };

/** The session description of a message. */
export function descriptionOf(message: SipMessage): Body {
  const { body } = message;
  if (body === '') return { kind: 'none' };
  const type = message.header(H.contentType)?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/sdp') return unsupportedType;
  const encoding = message.named('Content-Encoding') ?? message.named('e');
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') return unsupportedEncoding;
  const text = readDescription(body);
  return text === undefined ? refused(399, 'not a session description') : { kind: 'description', text };
}

/** As `descriptionOf`; an offer without anything that a line can serve is refused (RFC 3261 §21.4.26, §20.43). */
export function offerOf(message: SipMessage): Body {
  const body = descriptionOf(message);
  if (body.kind !== 'description' || servedMedia(body.text) !== undefined) return body;
  if (!/^m=audio /im.test(body.text)) return refused(304, 'Media type not available');
  return refused(302, 'Incompatible transport protocol');
}

/**
 * The lines of a description that are SDP, without attributes of ours that others may not plant; undefined where it is none. A description
 * goes on into messages of other protocols: no line of it may look like anything else there.
 */
function readDescription(body: string): string | undefined {
  const lines = body.split(/\r\n|\n|\r/, maxLines + 1);
  if (lines.length > maxLines || !/^v=0\s*$/.test(lines[0] ?? '')) return undefined;
  const kept: string[] = [];
  for (const line of lines) {
    if (line === '') continue;
    if (!isLine(line)) return undefined;
    // RFC 4566 §5: types that nobody knows are ignored.
    if (knownTypes.has(line.charAt(0))) kept.push(line);
  }
  return kept.some((line) => line.startsWith('m=')) && kept.some((line) => line.startsWith('o='))
    ? withoutRecord(`${kept.join('\r\n')}\r\n`)
    : undefined;
}

/** Our side's description as the peer is told it: the version goes up exactly when the text has changed (RFC 3264 §8). */
export class OwnDescription {
  /** Without its version. */
  #told: string | undefined;
  #version: number;

  /** `version`: the last one that was told, of a dialog that is made again. */
  constructor(version = 0) {
    this.#version = version;
  }

  get version(): number {
    return this.#version;
  }

  /** What the peer was told last. */
  get told(): string | undefined {
    return this.#told === undefined ? undefined : withVersion(this.#told, this.#version);
  }

  /** Is this what the peer was told last? */
  isTold(description: string): boolean {
    return withVersion(plain(description), 0) === this.#told;
  }

  tell(description: string): string {
    const text = plain(description);
    const given = Number(originLine.exec(text)?.[2] ?? 0);
    const unversioned = withVersion(text, 0);
    if (unversioned !== this.#told) {
      this.#version = Math.max(given, this.#told === undefined ? this.#version : this.#version + 1);
      this.#told = unversioned;
    }
    return withVersion(unversioned, this.#version);
  }
}

/** One spelling of line ends, and nothing that members keep with a gateway's media. */
function plain(description: string): string {
  const lines = withoutRecord(description)
    .split(/\r\n|\n/)
    .filter((line) => line !== '');
  return `${lines.join('\r\n')}\r\n`;
}

const withVersion = (text: string, version: number): string =>
  text.replace(originLine, (_, before: string) => `${before}${version}`);

/** `o=- 123 1 IN IP4 …`: up to the version. */
const originLine = /^(o=\S+ +\d+ +)(\d{1,15})(?= )/m;

const knownTypes: ReadonlySet<string> = new Set('vosiuepcbtrzkam');

/** `x=…` without control characters but the tab. */
function isLine(line: string): boolean {
  if (line.length > maxLineLength || !/^[A-Za-z]=/.test(line)) return false;
  for (let i = 0; i < line.length; i += 1) {
    const c = line.charCodeAt(i);
    if (c < 32 && c !== 9) return false;
  }
  return true;
}

/** No telephone has as many; a gateway need not take more than a datagram. */
const maxLines = 256;
const maxLineLength = 1_024;

const refused = (code: number, text: string): Body => ({
  kind: 'refused',
  refusal: { status: 488, reason: 'Not Acceptable Here', fields: warning(code, text) },
});

const unsupportedType: Body = {
  kind: 'refused',
  refusal: { status: 415, reason: 'Unsupported Media Type', fields: 'Accept: application/sdp\r\n' },
};

const unsupportedEncoding: Body = {
  kind: 'refused',
  refusal: { status: 415, reason: 'Unsupported Media Type', fields: 'Accept-Encoding: identity\r\n' },
};
