/**
 * The challenge that a request without credentials gets (RFC 3261 §22.2, §22.3). Its sender may be somebody else than it says, so it
 * needs no transaction (§26.3.2.4): the copies of one request get the same answer (§8.2.7), over UDP at most three times as long.
 */
import type { Flow } from '../../../src/internal.ts';
import { response } from '../codec/encode.ts';
import type { SipMessage } from '../codec/messages.ts';
import { stampedVia } from '../proxy/forward.ts';
import type { Digest } from './digest.ts';
import { type Refusal, refusal } from './refusal.ts';

export type ChallengedBy = 'registrar' | 'proxy';

export function challenge(digest: Digest, request: SipMessage, flow: Flow, by: ChallengedBy, stale: boolean): Refusal {
  const { status, reason, field } = words[by];
  const { callId, fromTag, cseq, method, via } = request;
  const { host, port } = flow.remote;
  const id = `${callId}\0${fromTag}\0${cseq} ${method}\0${via.branch ?? ''}\0${host}:${port}`;
  const call = by === 'proxy' ? callOf(request) : undefined;
  const lines = (values: readonly string[]): string => values.map((value) => `${field}: ${value}\r\n`).join('');
  const whole = lines(digest.challenge(stale, id, false, call));
  if (flow.reliable) return refusal(status, reason, whole);
  const bare = response(request, status, reason, { toTag: tagOfOurs, topVia: stampedVia(request, flow) });
  const room = maxGrowth * (request.end - request.scan.start) - bare.length;
  if (whole.length <= room) return refusal(status, reason, whole);
  const short = digest.challenge(stale, id, true, call);
  for (const fields of [lines(short), lines(short.slice(0, 1))])
    if (fields.length <= room) return refusal(status, reason, fields);
  // No telephone sends so little: whoever does wants somebody else to be answered.
  return refusal(403, 'Forbidden');
}

/** The call that an INVITE outside of dialogs would begin: the same for the INVITE with credentials (RFC 3261 §22.2) and for its copies. */
export const callOf = ({ method, toTag, callId, fromTag }: SipMessage): string | undefined =>
  method === 'INVITE' && toTag === '' ? `${callId}\n${fromTag}` : undefined;

const words = {
  registrar: { status: 401, reason: 'Unauthorized', field: 'WWW-Authenticate' },
  proxy: { status: 407, reason: 'Proxy Authentication Required', field: 'Proxy-Authenticate' },
} as const;

/** An answer to a forged sender may not be longer than this times the request. */
const maxGrowth = 3;

/** As long as any that we write (Identity.localTag), at least. */
const tagOfOurs = 'x'.repeat(12);
