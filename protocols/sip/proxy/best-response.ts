/** The choice of the response that goes back (RFC 3261 §16.7 items 6 and 7). */
import { H, type HeaderId } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';

export interface Candidate {
  readonly status: number;
  readonly reason: string;
  readonly fields?: string | undefined;
  readonly response?: SipMessage;
  /** It says something of us, not of a hop behind us: a 503 goes on as it is (RFC 3261 §16.7 item 6). */
  readonly isOurs?: boolean;
}

/** RFC 7339 §5.10: the next hop asked for less, so we refuse in its place. */
export const nextHopOverloaded: Candidate = {
  status: 503,
  reason: 'Service Unavailable - next hop is overloaded',
  isOurs: true,
};

/** Every trunk that takes the number has as many calls as it may have. Q.850: no circuit or channel available. */
export const trunksInUse: Candidate = {
  status: 503,
  reason: 'Service Unavailable - all lines of the trunk are in use',
  fields: 'Reason: Q.850;cause=34;text="No circuit/channel available"\r\nRetry-After: 10\r\n',
  isOurs: true,
};

/** RFC 3261 §16.7 item 6: 6xx first, then the lowest class; 503 is the last of its class. */
export function isBetter(a: Candidate, b: Candidate): boolean {
  const rank = ({ status }: Candidate): number => {
    if (status >= 600) return 0;
    const within = preferredStatuses.has(status) ? 0 : status === 408 || status === 503 ? 2 : 1;
    return Math.floor(status / 100) * 10 + within;
  };
  return rank(a) < rank(b);
}

/** RFC 3261 §16.7 item 7: the chosen 401 or 407 carries the challenges of all. */
export function withChallenges(text: string, chosen: SipMessage, challenges: readonly SipMessage[]): string {
  if (challenges.length < 2) return text;
  let extra = '';
  for (const other of challenges) {
    if (other === chosen) continue;
    extra += fieldLines(other, H.wwwAuthenticate) + fieldLines(other, H.proxyAuthenticate);
  }
  const firstLine = text.indexOf('\n') + 1;
  return text.slice(0, firstLine) + extra + text.slice(firstLine);
}

/** Within a class these tell the caller what to do next and are preferred (RFC 3261 §16.7 item 6). */
const preferredStatuses: ReadonlySet<number> = new Set([401, 407, 415, 420, 484]);

function fieldLines(message: SipMessage, id: HeaderId): string {
  let lines = '';
  for (let i = message.fieldIndex(id); i >= 0; i = message.fieldIndex(id, i))
    lines += `${message.text.slice(message.fieldStart(i), message.valueStop(i))}\r\n`;
  return lines;
}
