/**
 * A dialog as a value (RFC 3261 §12): what its requests look like, which of the peer's come in order, and what refreshes its target.
 * Pure: whoever keeps it replaces it by what these functions return.
 *
 * A backup needs of it what cannot be computed (`DialogRecord`): the URIs, the remote tag, target and route set, the peer's CSeq, and
 * the Call-ID where the peer chose it. Our tag and our Call-ID are derived (derived-ids.ts), our CSeq follows the clock (`nextCseq`).
 */
import { H } from '../codec/header-names.ts';
import { kept, keptAll } from '../codec/kept-text.ts';
import type { SipMessage } from '../codec/messages.ts';
import { parseUri } from '../codec/uri.ts';
import { parseNameAddr } from '../codec/values.ts';

export interface Dialog {
  /** `uac`: we sent the INVITE. */
  readonly role: 'uac' | 'uas';
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** As in From and To, without tags: `"Anna" <sip:200@example.com>`. */
  readonly local: string;
  readonly remote: string;
  /** The remote target, a URI. */
  readonly target: string;
  /** Route values as they are sent, in order; an entry of ours (`token`) comes before them. */
  readonly routes: readonly string[];
  /** The flow that leads to the peer, where its own URIs do not: the flow token of the proxy core. */
  readonly token: string | undefined;
  /**
   * The peer is none whom the operator named: what it says of its whereabouts leads to no hop that the operator named. Not in the record: a
   * successor sends where the record says.
   */
  readonly isGuarded?: boolean | undefined;
  readonly localCseq: number;
  /** Of the INVITE of ours that opened it, as the peer knows it: its ACK has the same (RFC 3261 §13.2.2.4). */
  readonly inviteCseq?: number | undefined;
  /** -1: none yet. */
  readonly remoteCseq: number;
}

/** What a dialog is made again from, with what is derived; plain data. */
export interface DialogRecord {
  readonly role: 'uac' | 'uas';
  /** undefined: derived from the call id. */
  readonly callId?: string | undefined;
  readonly remoteTag: string;
  readonly local: string;
  readonly remote: string;
  readonly target: string;
  readonly routes: readonly string[];
  readonly token?: string | undefined;
  readonly inviteCseq?: number | undefined;
  readonly remoteCseq: number;
}

export function toRecord(dialog: Dialog): DialogRecord {
  const { role, callId, remoteTag, local, remote, target, routes, token, inviteCseq, remoteCseq } = dialog;
  return {
    role,
    ...(role === 'uas' ? { callId } : {}),
    remoteTag,
    local,
    remote,
    target,
    routes,
    token,
    inviteCseq,
    remoteCseq,
  };
}

/** `derived`: Call-ID and our tag as DerivedIds computes them; our CSeq is taken from the clock with the next request. */
export function fromRecord(
  record: DialogRecord,
  derived: { readonly callId: string; readonly localTag: string },
): Dialog {
  const { role, callId = derived.callId, remoteTag, local, remote, target, routes, token, inviteCseq } = record;
  const { localTag } = derived;
  return {
    role,
    callId,
    localTag,
    remoteTag,
    local,
    remote,
    target,
    routes,
    token,
    localCseq: 0,
    inviteCseq,
    remoteCseq: record.remoteCseq,
  };
}

/** RFC 3261 §12.1.1: the dialog that an INVITE opens at us; undefined where its Contact is none. */
export function dialogOfInvite(
  invite: SipMessage,
  localTag: string,
  token: string | undefined,
  isGuarded: boolean,
): Dialog | undefined {
  const target = contactOf(invite);
  if (target === undefined) return undefined;
  return detached({
    role: 'uas',
    callId: invite.callId,
    localTag,
    remoteTag: invite.fromTag,
    local: addressOf(invite, H.to),
    remote: addressOf(invite, H.from),
    target,
    routes: invite.list(H.recordRoute),
    token,
    isGuarded,
    localCseq: 0,
    remoteCseq: invite.cseq,
  });
}

export interface InviteSent {
  readonly callId: string;
  readonly localTag: string;
  readonly local: string;
  readonly remote: string;
  /** Where the INVITE went: the target of a peer that names none (a 180 without Contact). */
  readonly requestUri: string;
  readonly cseq: number;
  readonly isGuarded: boolean;
}

/** RFC 3261 §12.1.2: the dialog that a response opens, early or confirmed. */
export function dialogOfResponse(sent: InviteSent, response: SipMessage, token: string | undefined): Dialog {
  const { callId, localTag, local, remote, requestUri, cseq, isGuarded } = sent;
  return detached({
    role: 'uac',
    callId,
    localTag,
    remoteTag: response.toTag,
    local,
    remote,
    target: contactOf(response) ?? requestUri,
    routes: [...response.list(H.recordRoute)].reverse(),
    token,
    isGuarded,
    localCseq: cseq,
    // A carrier that challenged it on the way knows the one that came after it.
    inviteCseq: response.cseq,
    remoteCseq: -1,
  });
}

/** A dialog lives as long as its call: it keeps nothing of the message that it was read from alive. */
function detached(dialog: Dialog): Dialog {
  const { callId, remoteTag, local, remote, target, routes } = dialog;
  const [a = '', b = '', c = '', d = '', e = '', ...others] = keptAll([
    callId,
    remoteTag,
    local,
    remote,
    target,
    ...routes,
  ]);
  return { ...dialog, callId: a, remoteTag: b, local: c, remote: d, target: e, routes: others };
}

/** RFC 3261 §12.2.2: a lower CSeq is out of order; gaps are none. */
export function received(dialog: Dialog, request: SipMessage): Dialog | 'outOfOrder' {
  // A request that comes again has its transaction; the same number in another one is no step forward.
  if (request.cseq <= dialog.remoteCseq) return 'outOfOrder';
  return { ...dialog, remoteCseq: request.cseq };
}

/** RFC 3261 §12.2.1.2, §12.2.2: re-INVITE and UPDATE, and their 2xx, refresh the target; the route set stays. */
export function refreshed(dialog: Dialog, message: SipMessage, token: string | undefined = dialog.token): Dialog {
  const target = contactOf(message);
  return target === undefined || (target === dialog.target && token === dialog.token)
    ? dialog
    : { ...dialog, target: kept(target), token };
}

/**
 * The next CSeq of ours: always above the last, and above all that another member can have sent meanwhile (RFC 3261 §12.2.1.1, §12.2.2: a
 * gap is no error, a lower one is). A quarter of a second is one step; 2^31 is reached after 17 years.
 */
export const nextCseq = (dialog: Dialog, wallMs: number): number => Math.max(dialog.localCseq + 1, stepsSince(wallMs));

/** A request of ours was answered with this CSeq: a carrier that challenged it knows it by a higher one than we gave it. */
export const usedUpTo = (dialog: Dialog, cseq: number): Dialog =>
  cseq <= dialog.localCseq ? dialog : { ...dialog, localCseq: cseq };

/** For a dialog of a member that died: above whatever that has sent, though its clock was ahead of ours by up to a minute. */
export const takenOver = (dialog: Dialog, wallMs: number): Dialog => ({
  ...dialog,
  localCseq: stepsSince(wallMs) + takeoverSteps,
});

const stepsSince = (wallMs: number): number => Math.max(0, Math.floor((wallMs - cseqEpochMs) / cseqStepMs));

/** A minute. */
const takeoverSteps = 240;

const cseqStepMs = 250;

/** 2024-01-01T00:00:00Z. */
const cseqEpochMs = 1_704_067_200_000;

/** The fields of a request in the dialog that say which it is: From, To, Call-ID, CSeq. */
export function dialogFields(
  {
    local,
    localTag,
    remote,
    remoteTag,
    callId,
  }: Pick<Dialog, 'local' | 'localTag' | 'remote' | 'remoteTag' | 'callId'>,
  cseq: number,
  method: string,
): string {
  const to = remoteTag === '' ? remote : `${remote};tag=${remoteTag}`;
  return `From: ${local};tag=${localTag}\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\n`;
}

/** The first Contact, if it is one that requests can be sent to (RFC 3261 §8.1.1.8: sip or sips). */
export function contactOf(message: SipMessage): string | undefined {
  const [contact] = message.addresses(H.contact);
  const uri = contact === undefined ? undefined : parseUri(contact.uri);
  if (contact === undefined || uri === undefined || (uri.scheme !== 'sip' && uri.scheme !== 'sips')) return undefined;
  // RFC 3261 §19.1.1: no headers in a Request-URI.
  return uri.headers === '' ? contact.uri : contact.uri.slice(0, contact.uri.indexOf('?'));
}

/** Display name and URI of From or To, in brackets, without parameters. */
export function addressOf(message: SipMessage, id: typeof H.from | typeof H.to): string {
  const value = message.header(id) ?? '';
  const entry = parseNameAddr(value);
  if (entry === undefined) return `<${id === H.from ? message.from.uri : message.to.uri}>`;
  return entry.display === '' ? `<${entry.uri}>` : `${entry.display} <${entry.uri}>`;
}
