/**
 * The lines of one gateway protocol as parties of calls: what gateways report becomes events of legs, what call control wants becomes
 * desired states of lines. It knows no wire.
 */

import type { Call, CallTimers, MediaRelay } from '../calls/call.ts';
import type { CallControl } from '../calls/call-control.ts';
import type { RecordHabit } from '../calls/call-records.ts';
import type { FailureTold, Leg, ReleaseReason, Side } from '../calls/leg.ts';
import type { LegProvider } from '../calls/leg-provider.ts';
import { withoutTimer } from '../calls/numbering-plan.ts';
import type { LineDisposition, LineSnapshot, RestorablePart } from '../calls/rebuild.ts';
import type { Clock } from '../clock.ts';
import type { Contact, LocationService } from '../location-service.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { defaultLineTimers, type Line, type LineParts, type LineTimers } from './line.ts';
import { LineRecords } from './line-records.ts';
import { Lines } from './lines.ts';

export interface LineProviderParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly locations: LocationService;
  readonly callControl: CallControl;
  /** The protocol whose lines these are, as contacts name it. */
  readonly protocol: string;
  readonly driver: LineParts['driver'];
  /** Has the line a codec that is offered? */
  readonly accepts?: LineParts['accepts'];
  readonly canPlayKeys?: LineParts['canPlayKeys'];
  readonly timers?: Partial<CallTimers & LineTimers> | undefined;
  /**
   * A line that is called but not in service here may be another controller's: the protocol asks its gateway for it and calls `ready`,
   * whatever came of it. False: nothing can be done.
   */
  readonly claim?: ((line: Line, ready: () => void) => boolean) | undefined;
  /** Media of calls that begin at these lines runs through it. */
  readonly relay?: MediaRelay | undefined;
  /** Does the line's gateway give a record back that lies beside a description? Undefined: none of these lines is to keep any. */
  readonly recordHabit?: ((line: Line, hasRemote: boolean) => RecordHabit) | undefined;
  /** Do gateways keep the call id? */
  readonly tellsCall?: boolean | undefined;
  /** Lines of which this member does not know whether they are in a call: other members', or not audited yet. */
  readonly hasUnknownLines?: (() => boolean) | undefined;
}

export class LineProvider implements LegProvider {
  readonly protocol: string;
  readonly lines: Lines;
  readonly timers: Partial<CallTimers>;
  readonly relay: MediaRelay | undefined;
  readonly #parts: LineProviderParts;
  readonly #calls: CallControl;
  #draining = false;

  constructor(parts: LineProviderParts) {
    this.#parts = parts;
    this.protocol = parts.protocol;
    this.timers = parts.timers ?? {};
    this.relay = parts.relay;
    this.#calls = parts.callControl;
    this.lines = new Lines(
      parts.protocol,
      {
        clock: parts.clock,
        protocol: parts.protocol,
        driver: parts.driver,
        accepts: parts.accepts,
        canPlayKeys: parts.canPlayKeys,
        timers: { ...defaultLineTimers, ...parts.timers },
        records: recordsFor(parts),
      },
      parts.locations,
      (error) => parts.log.warn({ err: error }, 'the location store refused a line'),
    );
    parts.metrics.gauge('lines', 'Provisioned lines', () => this.lines.size, { protocol: parts.protocol });
    this.#calls.register(this);
  }

  get calls(): readonly Call[] {
    return this.#calls.callsOf(this.protocol);
  }

  get callCount(): number {
    return this.calls.length;
  }

  /** No new calls from now on. */
  drain(): void {
    this.#draining = true;
  }

  /** The gateway serves the line: it is armed, and if its handset is off already, that begins a call. */
  inService(line: Line, hook: 'on' | 'off'): void {
    this.lines.setInService(line, true);
    line.hook = hook;
    if (line.leg !== undefined) return;
    if (hook === 'off') this.offHook(line);
    else line.applyTreatment('normal');
  }

  /** The gateway serves the line no more; what it was doing is over. */
  outOfService(line: Line, told?: FailureTold): void {
    this.lines.setInService(line, false);
    line.leg?.report({ kind: 'failed', reason: 'gatewayLost', told });
    line.reset();
    this.#forgotten(line);
  }

  /** The line is provisioned no more: its call is over, and its endpoint is left idle as far as its gateway answers. */
  withdraw(line: Line): void {
    const wasIn = line.inService;
    line.leg?.report({ kind: 'failed', reason: 'gatewayLost', told: { detail: 'the line is provisioned no more' } });
    this.lines.remove(line);
    line.reset();
    line.hook = 'on';
    line.inService = wasIn;
    if (wasIn) line.applyTreatment('normal');
  }

  /** The gateway lost the line's state (it restarted): a call with it is over. The line is to be brought into service again. */
  lost(line: Line, told?: FailureTold): void {
    const wasIn = line.inService;
    this.lines.setLeaving(line, false);
    line.inService = false;
    line.leg?.report({ kind: 'failed', reason: 'gatewayLost', told });
    line.reset();
    line.hook = 'on';
    line.inService = wasIn;
    this.#forgotten(line);
  }

  offHook(line: Line): void {
    line.hook = 'off';
    // Withdrawn meanwhile: it is left as it is.
    if (this.lines.byEndpoint(line.endpoint) !== line) line.inService = false;
    if (!line.inService) return;
    const { leg } = line;
    if (leg !== undefined) {
      if (leg.side === 'callee') leg.report({ kind: 'answered', description: leg.description });
      return;
    }
    if (line.desired.state !== 'idle') return;
    // Who calls for help is not refused because we are about to leave; what else he dials is.
    if ((this.#draining || line.isLeaving) && !this.#calls.hasEmergency) {
      line.applyTreatment('overload');
      return;
    }
    this.#beginAt(line);
  }

  /** The handset was lifted before its bell could ring: the call meets a busy line, the handset gets its dial tone. */
  glare(line: Line): void {
    if (line.leg?.side === 'callee') {
      line.hook = 'on';
      line.leg.report({ kind: 'failed', reason: 'busy' });
    }
    this.offHook(line);
  }

  onHook(line: Line): void {
    line.hook = 'on';
    if (!line.inService) return;
    const { leg } = line;
    if (leg !== undefined) leg.report({ kind: 'hungUp' });
    if (line.leg === undefined && line.desired.state !== 'idle') line.applyTreatment('normal');
  }

  /** Digits that the gateway matched (a trailing timer is not part of the number). */
  dialled(line: Line, digits: string): void {
    const { leg } = line;
    if (leg === undefined || leg.side !== 'caller' || leg.call.phase !== 'dialling') return;
    const number = withoutTimer(digits);
    if (number === '') leg.report({ kind: 'failed', reason: 'incompleteNumber' });
    else if ((this.#draining || line.isLeaving) && !this.#calls.isEmergency(number))
      leg.report({ kind: 'failed', reason: 'overload' });
    else leg.report({ kind: 'digits', number });
  }

  /** The gateway gave up waiting for digits. */
  incomplete(line: Line): void {
    const { leg } = line;
    if (leg?.call.phase === 'dialling') leg.report({ kind: 'failed', reason: 'incompleteNumber' });
  }

  /** The line's media for this call exists, with this description. */
  mediaReady(line: Line, callId: string, description: string): void {
    if (line.desired.media?.callId === callId) line.leg?.mediaReady(description);
  }

  /** The gateway cannot bring the line to its desired state. */
  refused(line: Line, reason: ReleaseReason, told?: FailureTold): void {
    const { leg } = line;
    if (leg !== undefined) leg.refused(reason, told);
    else if (line.desired.state === 'tone') line.playHowler();
    else if (line.desired.state === 'howler' || line.desired.state === 'dialling') line.lockOut();
  }

  /** The gateway cannot bring the line to its desired state now, or does not answer. */
  postponed(line: Line): void {
    line.leg?.postponed();
  }

  /** The gateway has brought the line to its desired state. */
  settled(line: Line): void {
    line.leg?.settled();
  }

  /** After a takeover: a line without a call. */
  restoreLine(line: Line, disposition: LineDisposition): void {
    if (disposition === 'idle') line.applyTreatment('normal');
    // What a party left behind hears after any call (Line.applyTreatment).
    else if (disposition === 'tone') line.playTone('busy');
    else if (disposition === 'howler') line.playHowler();
    else if (disposition === 'lockout') line.lockOut();
    else this.#beginAt(line);
  }

  /**
   * The line is another controller's from now on: nothing is sent for it. Its call is forgotten with the other party where that is a line
   * of this protocol, unless `stays` says that its gateway stays here: then it goes on talking. Returns the lines that were forgotten.
   */
  forget(line: Line, stays: (other: Line) => boolean = () => false): readonly Line[] {
    const forgotten = [line];
    const call = line.leg?.call;
    for (const party of [call?.caller, call?.callee]) {
      const other = party === undefined ? undefined : this.lines.byNumber(party.name);
      if (other !== undefined && other !== line && other.leg?.call === call && !stays(other)) forgotten.push(other);
    }
    const legs = forgotten.map(({ leg }) => leg).filter((leg) => leg !== undefined);
    for (const each of forgotten) {
      each.reset();
      this.lines.setInService(each, false);
      this.#calls.recovery.forget(this.protocol, each.endpoint);
    }
    if (call !== undefined) this.#calls.leave(call, legs);
    return forgotten;
  }

  stop(): void {
    for (const line of this.lines.all()) line.stop();
    for (const line of this.lines.all()) if (line.leg !== undefined) this.#calls.leave(line.leg.call, [line.leg]);
  }

  place(contact: Contact, call: Call): Leg | ReleaseReason {
    const line = this.lines.byEndpoint(contact.target);
    if (line?.isFree) return line.attach(call, 'callee');
    return line?.inService ? 'busy' : 'unavailable';
  }

  claim(number: string, ready: () => void): 'later' | 'unavailable' | 'unknownNumber' {
    const line = this.lines.byNumber(number);
    if (line === undefined) return 'unknownNumber';
    return this.#parts.claim?.(line, ready) === true ? 'later' : 'unavailable';
  }

  numbers(): Iterable<string> {
    return this.lines.numbers();
  }

  endpointOf(number: string): string | undefined {
    return this.lines.byNumber(number)?.endpoint;
  }

  get numbersVersion(): number {
    return this.lines.version;
  }

  hasNumber(number: string): boolean {
    return this.lines.byNumber(number) !== undefined;
  }

  isServed(number: string): boolean {
    return this.lines.byNumber(number)?.inService === true;
  }

  isInCall(endpoint: string): boolean {
    return this.lines.byEndpoint(endpoint)?.leg !== undefined;
  }

  isNumberOf(number: string, endpoint: string): boolean {
    const line = this.lines.byNumber(number);
    return line !== undefined && line === this.lines.byEndpoint(endpoint);
  }

  restore(endpoint: string, call: Call, side: Side, part: RestorablePart | undefined): Leg | undefined {
    const leg = this.lines.byEndpoint(endpoint)?.attach(call, side);
    if (leg !== undefined && part !== undefined) {
      const { state, callId, mode, remote, local, isSilent } = part;
      leg.restore(state, { callId, mode, remote }, local, isSilent);
    }
    return leg;
  }

  snapshotOf(leg: Leg): LineSnapshot | undefined {
    const line = this.lines.byNumber(leg.name);
    const media = line?.desired.media;
    if (line === undefined || line.leg !== leg || media === undefined) return undefined;
    const { callId, mode, remote } = media;
    const { desired, hook, endpoint } = line;
    const { state, tone, collect } = desired;
    return {
      endpoint,
      hook,
      state,
      tone,
      collecting: collect,
      media: [{ callId, mode, remote, local: line.leg.ownDescription }],
    };
  }

  hasUnknownEnds(): boolean {
    return this.#parts.hasUnknownLines?.() === true;
  }

  #beginAt(line: Line): void {
    this.#calls.begin(this.protocol, (call) => line.attach(call, 'caller'));
  }

  #forgotten(line: Line): void {
    this.#calls.recovery.forget(this.protocol, line.endpoint);
    this.#calls.recovery.reconsider();
  }
}

function recordsFor({ callControl, recordHabit, tellsCall = false }: LineProviderParts): LineRecords | undefined {
  const { records } = callControl;
  if (records === undefined || recordHabit === undefined) return undefined;
  return new LineRecords({ records, habit: recordHabit, tellsCall });
}
