/**
 * What a request to a carrier has that its sender did not write, and how it is taken back in the answers: credentials, a CSeq number that
 * is higher by the attempts that came before (RFC 3261 §22.2), and the caller as the carrier shall see him.
 */
import { ok, type Result } from '../../../src/internal.ts';
import { decode } from '../codec/decode.ts';
import { Edit, toBytes } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { param } from '../codec/values.ts';

export interface TrunkFields {
  /** How much higher our CSeq is than the sender's. */
  readonly cseqOffset: number;
  /** The same for the response that a PRACK acknowledges, by the CSeq in its RAck. */
  rackOffset?(cseq: number): number;
  /** Header fields with their line ends. */
  readonly credentials: string;
  /** In place of the URI in From. */
  readonly fromUri?: string | undefined;
}

/** Via parameter of ours: how much higher our CSeq is than the sender's. It tells a stand-in without the transaction. */
export const offsetMark = 'offset';

export function editForTrunk(edit: Edit, request: SipMessage, fields: TrunkFields): void {
  const { cseqOffset, credentials, fromUri } = fields;
  if (cseqOffset > 0) {
    const cseq = request.fieldIndex(H.cseq);
    edit.replace(
      request.valueStart(cseq),
      request.valueStop(cseq),
      `${Math.min(request.cseq + cseqOffset, maxCseq)} ${request.method}`,
    );
    if (request.method === 'PRACK') editRack(edit, request, fields.rackOffset);
  }
  const from = request.fieldIndex(H.from);
  if (credentials !== '') edit.insert(request.fieldStart(from), credentials);
  if (fromUri === undefined || request.toTag !== '') return;
  const isHidden = isPrivate(request);
  const shown = isHidden ? `"Anonymous" <${anonymous}>` : `<${fromUri}>`;
  const tag = request.fromTag === '' ? '' : `;tag=${request.fromTag}`;
  edit.replace(request.valueStart(from), request.valueStop(from), shown + tag);
  // Who the caller says that he is, nobody vouches for (RFC 3325 §5); we vouch for the line that he calls on.
  for (const id of assertedNames) dropNamed(edit, request, id);
  // Else the carrier would show what we assert.
  const privacy = isHidden && namedField(request, 'privacy') < 0 ? 'Privacy: id\r\n' : '';
  edit.insert(request.fieldStart(from), `P-Asserted-Identity: <${fromUri}>\r\n${privacy}`);
}

/** The answer as the sender of the request may expect it: his CSeq and his From. */
export function restored(response: SipMessage, request: SipMessage): SipMessage {
  if (response.cseq === request.cseq && response.from.uri === request.from.uri) return response;
  const edit = new Edit(response);
  const cseq = response.fieldIndex(H.cseq);
  edit.replace(response.valueStart(cseq), response.valueStop(cseq), `${request.cseq} ${response.method}`);
  const from = request.fieldIndex(H.from);
  const theirs = response.fieldIndex(H.from);
  edit.replace(
    response.valueStart(theirs),
    response.valueStop(theirs),
    request.text.slice(request.valueStart(from), request.valueStop(from)),
  );
  return orItself(decode(toBytes(edit.text())), response);
}

/** The same for an answer to a dead partner's request, of which only our mark on its Via is left. */
export function restoredByMark(response: SipMessage): SipMessage {
  const offset = Number(param(response.via.params, offsetMark, 1) ?? '0');
  if (!Number.isInteger(offset) || offset <= 0 || offset > maxOffset || response.cseq <= offset) return response;
  const edit = new Edit(response);
  const cseq = response.fieldIndex(H.cseq);
  edit.replace(response.valueStart(cseq), response.valueStop(cseq), `${response.cseq - offset} ${response.method}`);
  return orItself(decode(toBytes(edit.text())), response);
}

const orItself = (decoded: Result<SipMessage, unknown>, response: SipMessage): SipMessage =>
  (decoded.ok ? decoded : ok(response)).value;

/** RFC 3262 §7.2: RSeq, CSeq number and method of the response that a PRACK acknowledges. */
function editRack(edit: Edit, request: SipMessage, offsetOf: TrunkFields['rackOffset']): void {
  const index = namedField(request, 'rack');
  const [, rseq, cseq, method] = /^(\d+)\s+(\d{1,10})\s+(\S+)\s*$/.exec(index < 0 ? '' : request.valueAt(index)) ?? [];
  if (rseq === undefined || cseq === undefined || method === undefined) return;
  edit.replace(
    request.valueStart(index),
    request.valueStop(index),
    `${rseq} ${Number(cseq) + (offsetOf?.(Number(cseq)) ?? 0)} ${method}`,
  );
}

/**
 * Does the caller keep his identity to himself (RFC 3323 §4.1.1.3, §4.2, RFC 3325 §9.3)? Then the carrier has to know whom it serves, and
 * shows nobody.
 */
function isPrivate(request: SipMessage): boolean {
  if (/@anonymous\.invalid\b/i.test(request.from.uri)) return true;
  return request.allNamed('Privacy').some((value) => /(?:^|[;,\s])(?:id|user|header)(?:$|[;,\s])/i.test(value));
}

const anonymous = 'sip:anonymous@anonymous.invalid';

function dropNamed(edit: Edit, request: SipMessage, name: string): void {
  for (let i = namedField(request, name); i >= 0; i = namedField(request, name, i))
    edit.replace(request.fieldStart(i), request.fieldEnd(i), '');
}

/** Position of the first field with this name (in lower case), or of the next one; -1 where there is none. */
function namedField(request: SipMessage, name: string, after?: number): number {
  const { text } = request;
  for (let i = request.fieldIndex(H.other, after); i >= 0; i = request.fieldIndex(H.other, i)) {
    const start = request.fieldStart(i);
    if (text.slice(start, text.indexOf(':', start)).trim().toLowerCase() === name) return i;
  }
  return -1;
}

const assertedNames = ['p-asserted-identity', 'p-preferred-identity'];

/** RFC 3261 §8.1.1.5. */
const maxCseq = 2 ** 31 - 1;

const maxOffset = 64;
