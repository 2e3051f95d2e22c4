/**
 * From what gateways say when audited back to calls: pure. Two media with the same call id are the two ends of one call; which end
 * called is told by the number in the call id (call-ids.ts) and by who is being rung; how far it had come, by hooks and media modes.
 */
import type { Tone } from './leg.ts';
import type { LineMark } from './line-order.ts';

/** One line as its audit shows it. */
export interface LineSnapshot {
  readonly endpoint: string;
  readonly hook: 'on' | 'off';
  /** What is being heard or rung. */
  readonly tone: Tone | undefined;
  readonly collecting: boolean;
  /** Our own or a partner's word on what the line was doing, if the wire carried one. */
  readonly mark: LineMark | undefined;
  readonly media: readonly MediaSnapshot[];
  /** The gateway has media there, or may have, that it does not tell enough of. */
  readonly isPartial?: boolean | undefined;
}

export interface MediaSnapshot {
  readonly callId: string;
  /** `receive`: anything that does not send. */
  readonly mode: 'receive' | 'both';
  readonly local: string | undefined;
  readonly remote: string | undefined;
}

/** A line's part in a rebuilt call. */
export interface RebuiltParty {
  readonly endpoint: string;
  readonly media: MediaSnapshot | undefined;
}

export interface RebuiltCall {
  /** `offering`: the caller's media exists, the callee is still to be called. */
  readonly phase: 'offering' | 'ringing' | 'talking';
  readonly callId: string | undefined;
  readonly number: string;
  readonly caller: RebuiltParty;
  readonly callee: RebuiltParty | undefined;
}

/** What becomes of a line that is in no call. `dialling`: it is invited to dial. */
export type LineDisposition = 'idle' | 'dialling' | 'tone' | 'howler' | 'parked';

export interface Rebuilt {
  readonly calls: readonly RebuiltCall[];
  readonly lines: ReadonlyMap<string, LineDisposition>;
}

export interface RebuildRules {
  /** The number that a call id tells of. */
  dialled(callId: string): string | undefined;
  /** The endpoint that a number stands for. */
  endpointOf(number: string): string | undefined;
}

export function rebuild(snapshots: readonly LineSnapshot[], rules: RebuildRules): Rebuilt {
  const ends = new Map<string, { snapshot: LineSnapshot; media: MediaSnapshot }[]>();
  for (const snapshot of snapshots) {
    for (const media of snapshot.media) {
      const known = ends.get(media.callId);
      if (known === undefined) ends.set(media.callId, [{ snapshot, media }]);
      else known.push({ snapshot, media });
    }
  }
  const calls: RebuiltCall[] = [];
  const taken = new Set<string>();
  // Talking calls first: a line that is in two (call waiting was never offered, but gateways err) keeps the one that is talked in.
  const groups = [...ends].sort(([, a], [, b]) => talkers(b) - talkers(a));
  for (const [callId, group] of groups) {
    if (group.some(({ snapshot }) => taken.has(snapshot.endpoint))) continue;
    const call = rebuildCall(callId, group, rules);
    if (call === undefined) continue;
    calls.push(call);
    taken.add(call.caller.endpoint);
    if (call.callee !== undefined) taken.add(call.callee.endpoint);
  }
  const lines = new Map<string, LineDisposition>();
  for (const snapshot of snapshots) {
    if (taken.has(snapshot.endpoint)) continue;
    lines.set(snapshot.endpoint, dispositionOf(snapshot));
  }
  return { calls, lines };
}

type End = { readonly snapshot: LineSnapshot; readonly media: MediaSnapshot };

const talkers = (group: readonly End[]): number => group.filter(({ media }) => media.mode === 'both').length;

/** undefined: nothing to save; its lines are cleared by their dispositions. */
function rebuildCall(callId: string, group: readonly End[], rules: RebuildRules): RebuiltCall | undefined {
  const number = rules.dialled(callId);
  const called = number === undefined ? undefined : rules.endpointOf(number)?.toLowerCase();
  const [one, two, ...others] = group;
  if (one === undefined || others.length > 0) return undefined;
  if (two === undefined)
    return number === undefined || called === undefined ? undefined : alone(callId, number, called, one);
  const firstIsCallee =
    called === undefined ? one.snapshot.tone === 'ring' : one.snapshot.endpoint.toLowerCase() === called;
  const [caller, callee] = firstIsCallee ? [two, one] : [one, two];
  if (caller.snapshot.hook === 'on') return undefined;
  const phase = callee.snapshot.hook === 'off' ? 'talking' : callee.media.mode === 'both' ? undefined : 'ringing';
  // A callee that was talking and is on-hook now has hung up: there is no call left.
  if (phase === undefined) return undefined;
  return {
    phase,
    callId,
    number: number ?? '',
    caller: { endpoint: caller.snapshot.endpoint, media: caller.media },
    callee: { endpoint: callee.snapshot.endpoint, media: callee.media },
  };
}

/** Only one end has media: a call whose other end is still to be called, or has left already. */
function alone(callId: string, number: string, called: string, end: End): RebuiltCall | undefined {
  const isCallee = end.snapshot.endpoint.toLowerCase() === called;
  if (isCallee || end.snapshot.hook === 'on' || end.media.mode === 'both') return undefined;
  return {
    phase: 'offering',
    callId,
    number,
    caller: { endpoint: end.snapshot.endpoint, media: end.media },
    callee: undefined,
  };
}

function dispositionOf({ hook, tone, collecting, mark, media, isPartial }: LineSnapshot): LineDisposition {
  if (hook === 'on') return 'idle';
  // Perhaps it talks: it is left alone until it is hung up.
  if (isPartial === true && (mark === 'talking' || mark === 'parked')) return 'parked';
  // Off-hook with media of a call that is gone: the other party left.
  if (media.length > 0) return 'tone';
  if (collecting || tone === 'dial') return 'dialling';
  if (tone === 'howler' || mark === 'howler') return 'howler';
  if (tone === 'busy' || tone === 'reorder' || mark === 'tone' || mark === 'talking') return 'tone';
  if (mark === 'parked') return 'parked';
  // Idle by the last order, but off-hook: the call was about to begin. Anything else starts again with dial tone: no line stays stuck.
  return 'dialling';
}
