/** Keys in INFO (application/dtmf-relay, application/dtmf), as telephones send them that have no telephone-event. */
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';

export const dtmfRelay = 'application/dtmf-relay';

export interface Digit {
  readonly signal: string;
  readonly durationMs: number;
}

/** undefined: there is none in it. `unknownBody`: what it brings is of a kind that we do not take. */
export function digitIn(info: SipMessage): Digit | 'unknownBody' | undefined {
  const { body } = info;
  if (body.trim() === '') return undefined;
  const type = info.header(H.contentType)?.split(';', 1)[0]?.trim().toLowerCase();
  if (type !== dtmfRelay && type !== 'application/dtmf') return 'unknownBody';
  const signal = (type === dtmfRelay ? /^signal\s*=\s*(\S+)/im.exec(body)?.[1] : body.trim())?.toUpperCase();
  const key = signal === undefined ? undefined : (named.get(signal) ?? signal);
  if (key === undefined || !/^[0-9A-D*#]$/.test(key)) return undefined;
  const given = Number(/^duration\s*=\s*(\d{1,6})/im.exec(body)?.[1] ?? defaultMs);
  return { signal: key, durationMs: Math.min(Math.max(given, shortestMs), longestMs) };
}

export const digitBody = (signal: string, durationMs: number): string =>
  `Signal=${signal}\r\nDuration=${Math.round(Math.min(Math.max(durationMs, shortestMs), longestMs))}\r\n`;

/** Events of RFC 4733 by number. */
const named: ReadonlyMap<string, string> = new Map([
  ['10', '*'],
  ['11', '#'],
  ['12', 'A'],
  ['13', 'B'],
  ['14', 'C'],
  ['15', 'D'],
]);

const defaultMs = 160;
const shortestMs = 40;
const longestMs = 5_000;
