/**
 * What a successor must know of a SIP party of a call, as fields of the call's record: the dialog, as far as it cannot be computed
 * (dialog.ts), and of an INVITE that is not settled yet the Via values that its responses go back by (RFC 3261 §18.2.2).
 */

import { type Dialog, type DialogRecord, toRecord } from './dialog.ts';
import type { SessionInterval } from './session-timer.ts';

export interface PartyRecord {
  readonly dialog: DialogRecord;
  /** Of an INVITE that came and whose ACK has not: where its responses go. */
  readonly vias: readonly string[];
  /** The next hop obeys the path attribute: it sends again what we do not answer, to whoever stands in for us. */
  readonly isAware: boolean;
  /** RFC 4028: the interval and who refreshes; undefined where there is no session timer. */
  readonly session?: { readonly seconds: number; readonly refresher: 'uac' | 'uas' } | undefined;
  /** RFC 3264 §8: the version of our description that the peer was told last, as far as it was known when this was written. */
  readonly version?: number | undefined;
}

/** Of a dialog as it is now. */
export const partyOf = (
  dialog: Dialog,
  vias: readonly string[] = [],
  interval?: SessionInterval | undefined,
  version?: number | undefined,
): PartyRecord => ({
  dialog: toRecord(dialog),
  vias,
  isAware: [dialog.target, ...dialog.routes, ...vias.slice(0, 1)].some((value) => namesAlternates.test(value)),
  session: sessionOf(dialog.role, interval),
  version,
});

/** Who refreshes, by his part in the dialog. */
export const sessionOf = (role: Dialog['role'], interval: SessionInterval | undefined): PartyRecord['session'] =>
  interval && {
    seconds: interval.seconds,
    refresher: (interval.refresher === 'us') === (role === 'uac') ? 'uac' : 'uas',
  };

export const intervalOf = (role: Dialog['role'], session: PartyRecord['session']): SessionInterval | undefined =>
  session && { seconds: session.seconds, refresher: session.refresher === role ? 'us' : 'them' };

/** Whoever writes the path attribute follows it. */
const namesAlternates = /alternatepath/i;

export function partyFields({ dialog, vias, isAware, session, version }: PartyRecord): readonly string[] {
  const { role, callId = '', remoteTag, local, remote, target, routes, token = '', remoteCseq } = dialog;
  const flags = (role === 'uas' ? 1 : 0) + (isAware ? 2 : 0);
  const again = (dialog.inviteCseq ?? 1) - 1;
  return [
    flags.toString(16) +
      (again > 0 && again < 10 ? `+${again}` : '') +
      (session === undefined ? '' : `${session.seconds};${session.refresher}`),
    remoteCseq < 0 ? '' : String(remoteCseq),
    callId,
    remoteTag,
    local,
    remote,
    target,
    token,
    routes.join(separator),
    vias.join(separator),
    ...(version === undefined ? [] : [String(version)]),
  ];
}

/** Undefined where the fields are none of ours: a later version may write other ones. */
export function readPartyFields(fields: readonly string[]): PartyRecord | undefined {
  const [head, cseq, callId, remoteTag, local, remote, target, token, routes, vias, version] = fields;
  const [, flags, again, seconds, refresher] = /^([0-3])(?:\+([1-9]))?(?:(\d{1,9});(uac|uas))?$/.exec(head ?? '') ?? [];
  if (flags === undefined || cseq === undefined || !/^\d{0,10}$/.test(cseq)) return undefined;
  if (callId === undefined || remoteTag === undefined || local === undefined || remote === undefined) return undefined;
  if (target === undefined || token === undefined || routes === undefined || vias === undefined) return undefined;
  const isUas = (Number(flags) & 1) === 1;
  return {
    dialog: {
      role: isUas ? 'uas' : 'uac',
      ...(isUas ? { callId } : {}),
      remoteTag,
      local,
      remote,
      target,
      routes: listOf(routes),
      ...(token === '' ? {} : { token }),
      ...(again === undefined ? {} : { inviteCseq: Number(again) + 1 }),
      remoteCseq: cseq === '' ? -1 : Number(cseq),
    },
    vias: listOf(vias),
    isAware: (Number(flags) & 2) === 2,
    ...(seconds === undefined
      ? {}
      : { session: { seconds: Number(seconds), refresher: refresher === 'uas' ? 'uas' : 'uac' } }),
    ...(version !== undefined && /^\d{1,15}$/.test(version) ? { version: Number(version) } : {}),
  };
}

const listOf = (joined: string): readonly string[] => (joined === '' ? [] : joined.split(separator));

/** Stands in no value of a header field. */
const separator = '\n';
