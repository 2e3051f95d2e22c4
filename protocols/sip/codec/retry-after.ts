/** Retry-After of a 503 (RFC 3261 §20.33, §21.5.4): for so long the server asks to be left alone. */
import { H } from './header-names.ts';
import type { SipMessage } from './messages.ts';

/** In milliseconds; undefined where the response is no 503, or names no time. */
export function retryAfterMs(response: SipMessage): number | undefined {
  if (response.status !== 503) return undefined;
  const seconds = /^\s*(\d{1,9})(?=[\s;(]|$)/.exec(response.header(H.retryAfter) ?? '')?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
