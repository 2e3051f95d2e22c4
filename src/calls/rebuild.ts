/**
 * From what gateways of every protocol say when audited back to calls: pure. Two media belong to one call if they carry the same call
 * id, or if one sends to where the other receives. Which end called is told by the number that was dialled and by who is being rung;
 * how far the call had come, by hooks and media modes.
 */
import { createHash } from 'node:crypto';
import type { LineState } from '../gateways/line-state.ts';
import { CallIds, dialledNumber, isCrossingCallId } from './call-ids.ts';
import type { CallRecord } from './call-record.ts';
import type { Side, Tone } from './leg.ts';
import { mediaAddress } from './session-description.ts';
import type { MediaMode } from './session-media.ts';

/** One line as its audit shows it. */
export interface LineSnapshot {
  readonly endpoint: string;
  readonly hook: 'on' | 'off';
  /** Nobody has said so: it follows from other things. */
  readonly isHookGuessed?: boolean | undefined;
  /** What is being heard or rung. */
  readonly tone: Tone | undefined;
  readonly collecting: boolean;
  /** Our own or a partner's word on what the line was doing, if the wire carried one. */
  readonly state: LineState | undefined;
  readonly media: readonly MediaSnapshot[];
  /** The gateway has media there, or may have, that it does not tell enough of. */
  readonly isPartial?: boolean | undefined;
}

export interface MediaSnapshot {
  /** The identifier that the gateway keeps with the media; undefined where the protocol has none, or the gateway said none. */
  readonly callId: string | undefined;
  /** The number that was dialled, where the wire tells of it in another way than by the call id. */
  readonly number?: string | undefined;
  readonly mode: MediaMode;
  readonly local: string | undefined;
  readonly remote: string | undefined;
  /** What stands beside it in our attribute, as the gateway gave it back: unread. */
  readonly sealed?: readonly Uint8Array[] | undefined;
  /** What is known of the other party, where that is no line. */
  readonly record?: CallRecord | undefined;
}

/** A line as one end of what may be a call, whatever protocol its gateway speaks. */
export interface CallEnd {
  readonly protocol: string;
  readonly snapshot: LineSnapshot;
}

/** A line's part in a rebuilt call. */
export interface RebuiltParty {
  readonly protocol: string;
  readonly endpoint: string;
  readonly media: MediaSnapshot | undefined;
  readonly state?: LineState | undefined;
}

export interface RebuiltCall {
  /** `offering`: the caller's media exists, the callee is still to be called. */
  readonly phase: 'offering' | 'ringing' | 'talking';
  readonly callId: string;
  readonly number: string;
  /** undefined: an end that has not been heard of yet. */
  readonly caller: RebuiltParty | undefined;
  readonly callee: RebuiltParty | undefined;
  /** The party that is no line, in the place of the one that is missing. */
  readonly remote?: RemoteParty | undefined;
}

/** A party that no gateway has. */
export interface RemoteParty {
  readonly side: Side;
  readonly record: CallRecord;
  readonly line: LinePhase;
  /** The line was on-hook by the time it was asked. */
  readonly hasHungUp: boolean;
}

/** How far the line is in a call with a party that is none. `lifted`: off-hook, and not connected yet. */
export type LinePhase = 'offering' | 'ringing' | 'lifted' | 'talking';

/** What a line is to be doing in a call that was taken over. */
export interface RestorablePart {
  readonly state: 'ringing' | 'ringback' | 'talking';
  readonly callId: string;
  readonly mode: MediaMode;
  readonly remote: string | undefined;
  readonly local: string | undefined;
  /** It hears the other party, not a tone of its gateway. */
  readonly isSilent?: boolean | undefined;
}

/** What becomes of a line that is in no call. `dialling`: it is invited to dial. */
export type LineDisposition = 'idle' | 'dialling' | 'tone' | 'howler' | 'lockout';

export interface Rebuilt {
  readonly calls: readonly RebuiltCall[];
  /** Ends of calls whose other end nobody has reported. */
  readonly loose: readonly LooseEnd[];
  /** Ends in no call. */
  readonly others: readonly CallEnd[];
}

export interface LooseEnd {
  readonly end: CallEnd;
  readonly media: MediaSnapshot;
  readonly callId: string;
  readonly number: string;
}

export interface RebuildRules {
  /** Is the number that of this endpoint? */
  isNumberOf(number: string, end: CallEnd): boolean;
  /** Can the number be called, by whatever protocol? `unheard`: only once more gateways have reported. */
  reach(number: string): 'now' | 'unheard' | 'never';
}

export function rebuild(ends: readonly CallEnd[], rules: RebuildRules): Rebuilt {
  const calls: RebuiltCall[] = [];
  const loose: LooseEnd[] = [];
  const taken = new Set<CallEnd>();
  // Talking calls first: a line that is in two (call waiting was never offered, but gateways err) keeps the one that is talked in.
  const groups = pairEnds(ends).sort((a, b) => talkers(b) - talkers(a));
  for (const group of groups) {
    if (group.ends.some(({ end }) => taken.has(end))) continue;
    const call = rebuildCall(group, rules);
    if (call === undefined) continue;
    for (const { end } of group.ends) taken.add(end);
    const { callId, number = '' } = group;
    if (call === 'loose') loose.push(...group.ends.map((each) => ({ ...each, callId, number })));
    else calls.push(call);
  }
  return { calls, loose, others: ends.filter((end) => !taken.has(end)) };
}

/** Is there an end of a call of which none of these lines is the other end? */
export const hasLooseEnd = (lines: readonly LineSnapshot[]): boolean =>
  pairEnds(lines.map((snapshot) => ({ protocol: '', snapshot }))).some(
    ({ ends: [one, ...others] }) => one !== undefined && others.length === 0 && isPairable(one),
  );

const isPairable = ({ media: { callId, local, remote, record, sealed } }: MediaEnd): boolean =>
  // The other party is no line: nobody will report it.
  record === undefined &&
  sealed === undefined &&
  (callId === undefined || !isCrossingCallId(callId)) &&
  [callId, local, remote].some((each) => each !== undefined);

/** What becomes of a line in no call. */
export function dispositionOf({ hook, tone, collecting, state, media, isPartial }: LineSnapshot): LineDisposition {
  if (hook === 'on') return 'idle';
  // Perhaps it talks: it is left alone until it is hung up.
  if (isPartial === true && (state === 'talking' || state === 'lockout')) return 'lockout';
  // Off-hook with media of a call that is gone: the other party left.
  if (media.length > 0) return 'tone';
  if (collecting || tone === 'dial') return 'dialling';
  if (tone === 'howler' || state === 'howler') return 'howler';
  if (tone === 'busy' || tone === 'reorder' || state === 'tone' || state === 'talking') return 'tone';
  if (state === 'lockout') return 'lockout';
  // Last desired idle, but off-hook: the call was about to begin. Anything else starts again with dial tone: no line stays stuck.
  return 'dialling';
}

/** The media of one call, as far as they are known. */
interface EndGroup {
  readonly callId: string;
  readonly number: string | undefined;
  readonly ends: readonly MediaEnd[];
}

interface MediaEnd {
  readonly end: CallEnd;
  readonly media: MediaSnapshot;
}

/**
 * Media of the same call, by call id and by address. A group without any call id gets one made of its addresses and number, so that
 * every member that audits the same gateways makes the same.
 */
function pairEnds(ends: readonly CallEnd[]): EndGroup[] {
  const all: MediaEnd[] = ends.flatMap((end) => end.snapshot.media.map((media) => ({ end, media })));
  const byLocal = new Map<string, MediaEnd>();
  const groups = new Map<MediaEnd, MediaEnd[]>();
  const byCallId = new Map<string, MediaEnd>();
  const join = (one: MediaEnd, other: MediaEnd): void => {
    const [a = [], b = []] = [groups.get(one), groups.get(other)];
    if (a === b) return;
    a.push(...b);
    for (const each of b) groups.set(each, a);
  };
  for (const each of all) {
    groups.set(each, [each]);
    const local = mediaAddress(each.media.local);
    if (local !== undefined) byLocal.set(local, each);
    const callId = callIdOf(each.media);
    if (callId === undefined || callId === '') continue;
    const same = byCallId.get(callId);
    if (same === undefined) byCallId.set(callId, each);
    else join(same, each);
  }
  // Ends that name each other first: an address that was used again must not draw a third one in.
  for (const mutual of [true, false])
    for (const each of all) {
      const named = byLocal.get(mediaAddress(each.media.remote) ?? '');
      if (named === undefined || named.end === each.end) continue;
      // Two lines that talk by way of a party that is none are ends of two calls.
      if (named.media.record !== undefined || each.media.record !== undefined) continue;
      const isMutual = mediaAddress(named.media.remote) === mediaAddress(each.media.local);
      const isTaken = (groups.get(each)?.length ?? 0) + (groups.get(named)?.length ?? 0) > 2;
      if (isMutual === mutual && !isTaken && !isSettled(each, named)) join(each, named);
    }
  return [...new Set(groups.values())].map((members) => {
    const callId = members.map(({ media }) => callIdOf(media)).find((id = '') => id !== '');
    const number =
      (callId === undefined ? undefined : dialledNumber(callId)) ??
      members.find(({ media }) => media.number !== undefined)?.media.number;
    return { callId: callId ?? derivedCallId(members, number), number, ends: members };
  });
}

const callIdOf = ({ callId, record }: MediaSnapshot): string | undefined => callId ?? record?.callId;

/** Through a relay each end sends to the relay; where both have a call id, that alone decides. */
const isSettled = ({ media: a }: MediaEnd, { media: b }: MediaEnd): boolean =>
  a.callId !== undefined && b.callId !== undefined && a.callId !== b.callId;

function derivedCallId(members: readonly MediaEnd[], number: string | undefined): string {
  const key = members.map(({ end, media }) => mediaAddress(media.local) ?? end.snapshot.endpoint).sort();
  const hash = createHash('sha256').update(key.join(' ')).digest('hex');
  return new CallIds({ hex: (octets) => hash.slice(0, octets * 2), fraction: () => 0 }).make(number ?? '');
}

const talkers = ({ ends }: EndGroup): number => ends.filter(({ media }) => media.mode === 'both').length;

/** undefined: nothing to save; its lines are cleared by their dispositions. */
function rebuildCall(group: EndGroup, rules: RebuildRules): RebuiltCall | 'loose' | undefined {
  const { callId, number } = group;
  const [one, two, ...others] = group.ends;
  if (one === undefined || others.length > 0) return undefined;
  if (two === undefined) return withRemote(group, one) ?? alone(group, one, rules);
  const isCallee = ({ end }: MediaEnd): boolean => number !== undefined && rules.isNumberOf(number, end);
  const firstIsCallee = isCallee(one) === isCallee(two) ? isRung(one.end.snapshot) : isCallee(one);
  const [caller, callee] = firstIsCallee ? [two, one] : [one, two];
  if (caller.end.snapshot.hook === 'on') return undefined;
  const isAnswered = callee.end.snapshot.hook === 'off';
  // A callee that was talking and is on-hook now has hung up: there is no call left.
  if (!isAnswered && hasTalked(callee)) return undefined;
  return {
    phase: isAnswered ? 'talking' : 'ringing',
    callId,
    number: number ?? '',
    caller: partyOf(caller),
    callee: partyOf(callee),
  };
}

const partyOf = ({ end, media }: MediaEnd): RebuiltParty => ({
  protocol: end.protocol,
  endpoint: end.snapshot.endpoint,
  media,
  state: end.snapshot.state,
});

/** Media that send, or have been told not to, are those of a call that was answered. */
export const hasTalked = ({ end, media }: Pick<LooseEnd, 'end' | 'media'>): boolean =>
  media.mode !== 'receive' || (end.snapshot.state === 'talking' && media.remote !== undefined);

/** How a party talks: in both directions, unless the other party holds the call. */
export const talkingMode = ({ media, state }: RebuiltParty): MediaMode => {
  if (media === undefined || media.mode === 'both') return 'both';
  // Before it was connected it only received.
  return media.mode === 'receive' && (state !== 'talking' || media.remote === undefined) ? 'both' : media.mode;
};
/** The other party is no line, and what must be known of it is. */
function withRemote({ callId, number }: EndGroup, only: MediaEnd): RebuiltCall | undefined {
  const { media, end } = only;
  const { record } = media;
  if (record === undefined) return undefined;
  const { hook } = end.snapshot;
  const isTalking = hasTalked(only);
  const isCalled = record.side === 'caller';
  const party = partyOf(only);
  const line = isTalking ? 'talking' : isCalled ? (hook === 'off' ? 'lifted' : 'ringing') : waitingPhase(only, record);
  const call = {
    phase:
      line === 'talking' ? ('talking' as const) : line === 'offering' ? ('offering' as const) : ('ringing' as const),
    callId: record.callId === '' ? callId : record.callId,
    number: record.number === '' ? (number ?? '') : record.number,
  };
  // A line that rings is on-hook; any other that is has been hung up.
  const hasHungUp = hook === 'on' && (isTalking || !isCalled);
  const remote = { side: record.side, record, line, hasHungUp };
  return isCalled
    ? { ...call, caller: undefined, callee: party, remote }
    : { ...call, caller: party, callee: undefined, remote };
}

/** A line that calls and does not talk yet: nothing has come of its call, or the called party is being alerted. */
const waitingPhase = ({ end, media }: MediaEnd, { phase }: CallRecord): LinePhase =>
  phase === 'calling' && media.remote === undefined && end.snapshot.state !== 'ringback' ? 'offering' : 'ringing';

/** Only one end has media: a call whose other end is still to be called, has left already, or has not been heard of. */
function alone({ callId, number }: EndGroup, only: MediaEnd, rules: RebuildRules): RebuiltCall | 'loose' | undefined {
  const { snapshot } = only.end;
  const isCallee = number !== undefined && rules.isNumberOf(number, only.end);
  // Called by a party of which nothing is known: it asks again, and is to find the line free.
  if (isCallee && isCrossingCallId(callId) && !hasTalked(only)) return undefined;
  const isHalfBuilt = !isCallee && only.media.mode === 'receive' && only.media.remote === undefined;
  if (isHalfBuilt && snapshot.hook === 'off' && number !== undefined) {
    const reach = rules.reach(number);
    if (reach === 'now') return { phase: 'offering', callId, number, caller: partyOf(only), callee: undefined };
    if (reach === 'unheard') return 'loose';
  }
  if (only.media.remote === undefined) return undefined;
  return snapshot.hook === 'off' || isRung(snapshot) ? 'loose' : undefined;
}

/** Its bell rings, or has just been stopped by the handset that was lifted: the gateway reports that when it has found us. */
const isRung = ({ hook, tone, state }: LineSnapshot): boolean =>
  tone === 'ring' || (hook === 'on' && state === 'ringing');
