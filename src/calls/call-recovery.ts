/**
 * After a takeover: calls from what the gateways of every protocol say. Providers report what they audited; ends of one call may come in
 * different reports. An end that is talking is never torn down because its other end has not been heard of: it stays a call, and the
 * other end joins when it reports. An end of a half-built call waits for a while.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Call } from './call.ts';
import { isCrossingCallId } from './call-ids.ts';
import type { CallState } from './call-machine.ts';
import { type Leg, otherSide, type Side } from './leg.ts';
import type { LegProvider } from './leg-provider.ts';
import {
  type CallEnd,
  dispositionOf,
  hasTalked,
  type LineDisposition,
  type LineSnapshot,
  type LooseEnd,
  type MediaSnapshot,
  type RebuiltCall,
  type RebuiltParty,
  type RemoteParty,
  type RestorablePart,
  rebuild,
  talkingMode,
} from './rebuild.ts';
import { completeDescription, isSameMedia } from './session-description.ts';
import type { MediaMode } from './session-media.ts';

export interface AuditReport {
  readonly protocol: string;
  /** Every line that was audited, also those that were asked for pairing only. */
  readonly snapshots: readonly LineSnapshot[];
  /** Is the line to be served here from now on? */
  isOurs(endpoint: string): boolean;
  /** The line is served here: with this media of its audit, or with none of them. Called before the line is commanded. */
  adopt(snapshot: LineSnapshot, kept: KeptMedia | undefined): void;
  /** The host of the member that had the line's call before, where that is known. */
  formerHost?(endpoint: string): string | undefined;
  /** The line is in no call. */
  restoreLine(endpoint: string, disposition: LineDisposition): void;
}

export interface KeptMedia {
  readonly media: MediaSnapshot;
  /** As commands to the line name the call: the media's own identifier where it has one. */
  readonly callId: string;
}

export interface CallRecoveryParts {
  readonly clock: Clock;
  readonly log: Logger;
  provider(protocol: string): LegProvider | undefined;
  providers(): Iterable<LegProvider>;
  /** Is there a contact for the number now? */
  isReachable(number: string): boolean;
  calls(): Iterable<Call>;
  /** A new call in this state, counted for the protocol. */
  restored(protocol: string, callId: string, state: CallState): Call;
  /** It came to nothing. */
  dropped(call: Call): void;
  /** How long an end of a half-built call waits for its other end. */
  readonly holdMs?: number;
}

export class CallRecovery {
  readonly #parts: CallRecoveryParts;
  /** Ends of half-built calls that wait, by protocol and endpoint. */
  readonly #waiting = new Map<string, WaitingEnd>();
  /** Calls of which one end has not been heard of, with the end that has. */
  readonly #oneSided = new Map<Call, OneSided>();

  constructor(parts: CallRecoveryParts) {
    this.#parts = parts;
  }

  /** Returns how many calls were restored. */
  report(report: AuditReport): number {
    const { protocol, snapshots } = report;
    this.#dropEnded();
    for (const { endpoint } of snapshots) this.#drop(keyOf(protocol, endpoint));
    const fresh = snapshots.map((snapshot): CallEnd => ({ protocol, snapshot }));
    const earlier = new Map<CallEnd, WaitingEnd | OneSided>();
    for (const waiting of [...this.#waiting.values(), ...this.#oneSided.values()]) earlier.set(waiting.end, waiting);
    const { calls, loose, others } = rebuild([...earlier.keys(), ...fresh], {
      isNumberOf: (number, end) => this.#isNumberOf(number, end),
      reach: (number) => this.#reach(number, [...earlier.keys(), ...fresh]),
    });
    const isFresh = (end: CallEnd): boolean => !earlier.has(end);
    const idle = others
      .filter((end) => isFresh(end) && report.isOurs(end.snapshot.endpoint))
      .map(({ snapshot }) => snapshot);
    // In service before any call is restored: a restored call may be about to call one of them.
    for (const snapshot of idle) report.adopt(snapshot, undefined);
    let restored = 0;
    for (const call of calls) if (this.#restore(call, report, earlier)) restored += 1;
    for (const end of loose) if (isFresh(end.end) && this.#hold(end, report)) restored += 1;
    for (const snapshot of idle)
      if (this.#isFree(protocol, snapshot)) report.restoreLine(snapshot.endpoint, dispositionOf(snapshot));
    this.reconsider();
    return restored;
  }

  /** Something became known without an audit (a gateway restarted, a line left service): what waits for it in vain ends. */
  reconsider(): void {
    this.#dropEnded();
    for (const provider of this.#parts.providers()) if (provider.hasUnknownEnds()) return;
    for (const { call, side, isRemote } of [...this.#oneSided.values()])
      if (isRemote !== true) call.on(otherSide(side), { kind: 'hungUp' });
    for (const waiting of [...this.#waiting.values()]) this.#giveUp(waiting);
    this.#dropEnded();
  }

  /** The other party's gateway is another member's now. False: nobody talks, so there is nothing to go on with. */
  continueOneSided(call: Call, side: Side): boolean {
    const leg = side === 'caller' ? call.caller : call.callee;
    const protocol = call.protocolOf(side);
    if (leg === undefined || protocol === undefined || call.phase !== 'talking') return false;
    const snapshot = this.#parts.provider(protocol)?.snapshotOf(leg);
    if (snapshot === undefined) return false;
    call.attach(otherSide(side), unheardLeg(''), undefined);
    this.#oneSided.set(call, { call, side, end: { protocol, snapshot } });
    return true;
  }

  stop(): void {
    for (const { timer } of this.#waiting.values()) timer();
    this.#waiting.clear();
    this.#oneSided.clear();
  }

  /** An end that nobody has to wait for any more, because it was asked again or reported something itself. */
  forget(protocol: string, endpoint: string): void {
    this.#drop(keyOf(protocol, endpoint));
  }

  #drop(key: string): void {
    this.#waiting.get(key)?.timer();
    this.#waiting.delete(key);
  }

  #dropEnded(): void {
    for (const call of [...this.#oneSided.keys()]) if (call.phase === 'over') this.#oneSided.delete(call);
  }

  #reach(number: string, ends: readonly CallEnd[]): 'now' | 'unheard' | 'never' {
    if (this.#parts.isReachable(number) || ends.some((end) => this.#isNumberOf(number, end))) return 'now';
    for (const provider of this.#parts.providers())
      if (provider.hasNumber(number)) return provider.hasUnknownEnds() ? 'unheard' : 'now';
    return 'never';
  }

  #isNumberOf(number: string, { protocol, snapshot }: CallEnd): boolean {
    return this.#parts.provider(protocol)?.isNumberOf(number, snapshot.endpoint) === true;
  }

  /** False: none of its ends is ours. */
  #restore(rebuilt: RebuiltCall, report: AuditReport, earlier: ReadonlyMap<CallEnd, WaitingEnd | OneSided>): boolean {
    const { caller, callee, callId, remote } = rebuilt;
    if (remote !== undefined) return this.#restoreWithRemote(rebuilt, remote, report);
    const parties = [caller, callee].filter((party) => party !== undefined);
    const known = new Map([...earlier].map(([end, held]) => [keyOf(end.protocol, end.snapshot.endpoint), held]));
    const isHeld = (party: RebuiltParty): boolean => known.has(keyOf(party.protocol, party.endpoint));
    if (!parties.some((party) => isHeld(party) || report.isOurs(party.endpoint))) return false;
    for (const party of parties) {
      const held = known.get(keyOf(party.protocol, party.endpoint));
      if (held !== undefined && 'call' in held) return this.#join(held, rebuilt, report);
      const snapshot =
        held?.end.snapshot ?? report.snapshots.find(({ endpoint }) => endpoint === party.endpoint) ?? undefined;
      const by = held !== undefined && 'report' in held ? held.report : report;
      const other = party === caller ? callee : caller;
      if (snapshot !== undefined) by.adopt(snapshot, keptOf(party, other, callId));
      this.#drop(keyOf(party.protocol, party.endpoint));
    }
    const first = caller ?? callee;
    if (first === undefined) return false;
    const call = this.#parts.restored(first.protocol, callId, stateOf(rebuilt));
    call.formerHost = report.formerHost?.(first.endpoint);
    const { ringing, talking } = partsOf(rebuilt);
    const offering = rebuilt.phase === 'offering';
    this.#attach(call, 'caller', caller, offering ? undefined : (talking?.caller ?? ringing?.caller));
    this.#attach(call, 'callee', callee, talking?.callee ?? ringing?.callee);
    call.resume();
    return true;
  }

  /** A line and a party that is none. */
  #restoreWithRemote(rebuilt: RebuiltCall, remote: RemoteParty, report: AuditReport): boolean {
    const { side, record, line, hasHungUp } = remote;
    const party = rebuilt.caller ?? rebuilt.callee;
    const snapshot = report.snapshots.find(({ endpoint }) => endpoint === party?.endpoint);
    if (party === undefined || snapshot === undefined || !report.isOurs(party.endpoint)) return false;
    const lineSide = otherSide(side);
    const mirrored = mirrorOf(party, record.protocol);
    const whole = side === 'caller' ? { ...rebuilt, caller: mirrored } : { ...rebuilt, callee: mirrored };
    const isRouted = rebuilt.phase !== 'offering' || hasHungUp;
    const call = this.#parts.restored(party.protocol, rebuilt.callId, stateOf(whole));
    call.formerHost = report.formerHost?.(party.endpoint);
    const resumed = isRouted
      ? this.#parts.provider(record.protocol)?.resume?.({
          record,
          call,
          side,
          line,
          description: offerOf(party),
          remote: party.media?.remote,
        })
      : undefined;
    if (isRouted && resumed === undefined) {
      call.stop();
      this.#parts.dropped(call);
      report.adopt(snapshot, undefined);
      report.restoreLine(snapshot.endpoint, dispositionOf(snapshot));
      return false;
    }
    report.adopt(snapshot, keptOf(party, mirrored, rebuilt.callId));
    if (resumed !== undefined) call.attach(side, resumed.leg, record.protocol);
    const { ringing, talking } = partsOf(whole);
    this.#attach(call, lineSide, party, (talking ?? ringing)?.[lineSide]);
    call.resume();
    resumed?.begin();
    if (hasHungUp) call.on(lineSide, { kind: 'hungUp' });
    else if (line === 'lifted') call.on(lineSide, { kind: 'answered', description: undefined });
    return true;
  }

  /** The other end of a call of which one end was talking already. */
  #join({ call, side, end }: OneSided, rebuilt: RebuiltCall, report: AuditReport): boolean {
    this.#oneSided.delete(call);
    const joins = [rebuilt.caller, rebuilt.callee].find((party) => party?.endpoint !== end.snapshot.endpoint);
    const snapshot = report.snapshots.find(({ endpoint }) => endpoint === joins?.endpoint);
    if (joins === undefined || snapshot === undefined) return false;
    const known: RebuiltParty = {
      protocol: end.protocol,
      endpoint: end.snapshot.endpoint,
      media: end.snapshot.media[0],
    };
    const kept = keptOf(joins, known, call.callId ?? rebuilt.callId);
    report.adopt(snapshot, kept);
    const other = otherSide(side);
    this.#attach(call, other, joins, {
      state: 'talking',
      callId: kept?.callId ?? rebuilt.callId,
      mode: talkingMode(joins),
      remote: offerOf(known),
      local: joins.media?.local,
    });
    // Whoever was on-hook by the time it was asked has left.
    if (snapshot.hook === 'on') call.on(other, { kind: 'hungUp' });
    return true;
  }

  #attach(call: Call, side: Side, party: RebuiltParty | undefined, part: RestorablePart | undefined): void {
    if (party === undefined) return;
    const leg = this.#parts.provider(party.protocol)?.restore(party.endpoint, call, side, part);
    if (leg !== undefined) call.attach(side, leg, party.protocol);
  }

  /** True: it is a call already. */
  #hold({ end, media, callId, number }: LooseEnd, report: AuditReport): boolean {
    const { snapshot, protocol } = end;
    if (!report.isOurs(snapshot.endpoint)) return false;
    if (snapshot.hook === 'on' || !hasTalked({ end, media })) {
      const { clock, holdMs = defaultHoldMs } = this.#parts;
      const waiting: WaitingEnd = {
        end,
        report,
        loose: { end, media, callId, number },
        timer: clock.after(holdMs, () => this.#giveUp(waiting)),
      };
      this.#waiting.set(keyOf(protocol, snapshot.endpoint), waiting);
      return false;
    }
    report.adopt(snapshot, { media, callId: media.callId ?? callId });
    const side: Side = this.#isNumberOf(number, end) ? 'callee' : 'caller';
    const call = this.#parts.restored(protocol, callId, { phase: 'talking', number });
    const party: RebuiltParty = { protocol, endpoint: snapshot.endpoint, media, state: snapshot.state };
    const { local, remote } = media;
    this.#attach(call, side, party, { state: 'talking', callId, mode: talkingMode(party), remote, local });
    call.attach(otherSide(side), unheardLeg(number), undefined);
    const isRemote = isCrossingCallId(callId);
    this.#oneSided.set(call, { call, side, end, isRemote });
    call.resume();
    // The party that is no line will not be reported, and nothing is known of it.
    if (isRemote)
      this.#parts.clock.after(unknownPartyMs, () => {
        if (this.#oneSided.get(call)?.isRemote === true)
          call.on(otherSide(side), { kind: 'failed', reason: 'gatewayLost' });
        this.#dropEnded();
      });
    logEvent(this.#parts.log, 'partyAlone', { endpoint: snapshot.endpoint });
    return true;
  }

  #giveUp(waiting: WaitingEnd): void {
    const { end, report, loose } = waiting;
    const key = keyOf(end.protocol, end.snapshot.endpoint);
    if (this.#waiting.get(key) !== waiting) return;
    this.#drop(key);
    const { media, callId, number } = loose;
    if (end.snapshot.hook === 'off' && media.remote === undefined) {
      // Whoever is called has not reported: routing asks for the line, and tells the caller what came of it.
      const caller = { protocol: end.protocol, endpoint: end.snapshot.endpoint, media };
      this.#restore({ phase: 'offering', callId, number, caller, callee: undefined }, report, new Map());
      return;
    }
    report.adopt(end.snapshot, undefined);
    report.restoreLine(end.snapshot.endpoint, dispositionOf(end.snapshot));
  }

  /** No call that was restored just now has taken it meanwhile. */
  #isFree(protocol: string, { endpoint }: LineSnapshot): boolean {
    return this.#parts.provider(protocol)?.isInCall(endpoint) !== true;
  }
}

/** A remote description that the gateway gave back in other words is the one that it was given: nothing has to be sent again. */
function keptOf(party: RebuiltParty, other: RebuiltParty | undefined, callId: string): KeptMedia | undefined {
  const { media } = party;
  if (media === undefined) return undefined;
  const given = offerOf(other);
  const remote = isSameMedia(media.remote, given) ? given : media.remote;
  return { media: { ...media, remote }, callId: media.callId ?? callId };
}

/** What the line's gateway was told of the other party, as if that had a line. */
const mirrorOf = ({ media }: RebuiltParty, protocol: string): RebuiltParty => ({
  protocol,
  endpoint: '',
  media: media && { callId: media.callId, mode: media.mode, local: media.remote, remote: media.local },
});

interface WaitingEnd {
  readonly end: CallEnd;
  readonly report: AuditReport;
  readonly loose: LooseEnd;
  readonly timer: Cancel;
}

interface OneSided {
  readonly call: Call;
  /** The side that is known. */
  readonly side: Side;
  readonly end: CallEnd;
  /** The other party is no line. */
  readonly isRemote?: boolean;
}

/** A line that talks with a party of which nothing is known hears so after this long: it may be in the middle of a word. */
const unknownPartyMs = 5_000;

/** Longer than gateways need that come by themselves after their controller's death (RFC 3435 §4.3: several repetitions). */
const defaultHoldMs = 10_000;

const keyOf = (protocol: string, endpoint: string): string => `${protocol} ${endpoint.toLowerCase()}`;

/** The place of a party that has not reported yet: it hears nothing and says nothing. */
const unheardLeg = (name: string): Leg => ({
  name,
  collect: () => undefined,
  offer: () => undefined,
  alert: () => undefined,
  progress: () => undefined,
  connect: () => undefined,
  modify: () => undefined,
  modifyAnswer: () => undefined,
  modifyRefuse: () => undefined,
  digit: () => undefined,
  release: () => undefined,
});

/** What the party's gateway said of its media, as the other party's was or will be told. */
const offerOf = (party: RebuiltParty | undefined): string | undefined => {
  const local = party?.media?.local;
  return local === undefined ? undefined : completeDescription(local);
};

function stateOf({ phase, number, caller, callee }: RebuiltCall): CallState {
  if (phase === 'offering') return { phase: 'routing', number };
  if (phase === 'talking') return { phase: 'talking', number };
  return { phase: 'ringing', number, offer: offerOf(caller), answer: offerOf(callee) };
}

interface Parts {
  readonly caller: RestorablePart;
  readonly callee: RestorablePart;
}

function partsOf({ phase, callId, caller, callee }: RebuiltCall): { ringing?: Parts; talking?: Parts } {
  const offer = offerOf(caller);
  const answer = offerOf(callee);
  const modeOf = (party: RebuiltParty | undefined): MediaMode => {
    if (phase !== 'talking') return 'receive';
    return party === undefined ? 'both' : talkingMode(party);
  };
  if (phase === 'offering') return {};
  // Where one end does not tell its description, the other was given it once.
  const parts = (callerState: RestorablePart['state'], calleeState: RestorablePart['state']): Parts => ({
    caller: {
      mode: modeOf(caller),
      callId: caller?.media?.callId ?? callId,
      state: callerState,
      remote: answer ?? caller?.media?.remote,
      local: offer,
    },
    callee: {
      mode: modeOf(callee),
      callId: callee?.media?.callId ?? callId,
      state: calleeState,
      remote: offer ?? callee?.media?.remote,
      local: answer,
    },
  });
  return phase === 'talking' ? { talking: parts('talking', 'talking') } : { ringing: parts('ringback', 'ringing') };
}
