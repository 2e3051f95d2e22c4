/**
 * Calls between lines, and between a line and whatever another room's contact stands for. The rooms tell it what gateways report;
 * it answers with orders to lines. It knows no wire.
 */
import type { Clock } from '../clock.ts';
import type { Contact, LocationService } from '../location-service.ts';
import type { Logger } from '../log.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Random } from '../random.ts';
import { Call, type CallTimers, defaultCallTimers, type MediaRelay, type RestoredCallState } from './call.ts';
import { CallIds } from './call-ids.ts';
import type { Leg, LegEvent, ReleaseReason } from './leg.ts';
import { defaultLineTimers, type Line, type LineDriver, type LineTimers } from './line.ts';
import { Lines } from './lines.ts';
import { withoutTimer } from './numbering-plan.ts';
import type { LineDisposition, RebuiltCall } from './rebuild.ts';

export interface SwitchboardParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly locations: LocationService;
  /** The room whose lines these are, as contacts name it. */
  readonly protocol: string;
  readonly driver: LineDriver;
  readonly timers?: Partial<CallTimers & LineTimers> | undefined;
  /**
   * A line that is called but not in service here may be another controller's: the room asks its gateway for it and calls `ready`,
   * whatever came of it. False: nothing can be done.
   */
  readonly claim?: ((line: Line, ready: () => void) => boolean) | undefined;
  /** Media of new calls runs through it. */
  readonly relay?: MediaRelay | undefined;
  /** A leg to a contact of another protocol; `report` takes its events. Absent: only lines can be called. */
  readonly reach?: ((contact: Contact, report: (event: LegEvent) => void) => Leg | ReleaseReason) | undefined;
}

export class Switchboard {
  readonly lines: Lines;
  readonly #parts: SwitchboardParts;
  readonly #timers: CallTimers;
  readonly #ids: CallIds;
  readonly #calls = new Set<Call>();
  readonly #counts: { readonly begun: Counter; readonly answered: Counter; readonly restored: Counter };
  /** Calls for which a line was asked for already: once is enough. */
  readonly #claimed = new WeakSet<Call>();
  #draining = false;

  constructor(parts: SwitchboardParts) {
    this.#parts = parts;
    this.#timers = { ...defaultCallTimers, ...parts.timers };
    this.#ids = new CallIds(parts.random);
    this.lines = new Lines(
      parts.protocol,
      { clock: parts.clock, driver: parts.driver, timers: { ...defaultLineTimers, ...parts.timers } },
      parts.locations,
      (error) => parts.log.warn({ err: error }, 'the location store refused a line'),
    );
    const labels = { protocol: parts.protocol };
    this.#counts = {
      begun: parts.metrics.counter('calls_begun_total', 'Calls that a party began', labels),
      answered: parts.metrics.counter('calls_answered_total', 'Calls that were answered', labels),
      restored: parts.metrics.counter('calls_restored_total', 'Calls of a dead partner that were taken over', labels),
    };
    parts.metrics.gauge('calls', 'Calls under way', () => this.#calls.size, labels);
    parts.metrics.gauge('lines', 'Provisioned lines', () => this.lines.size, labels);
  }

  get calls(): Iterable<Call> {
    return this.#calls;
  }

  get callCount(): number {
    return this.#calls.size;
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
    else line.settle('normal');
  }

  /** The gateway serves the line no more; what it was doing is over. */
  outOfService(line: Line): void {
    this.lines.setInService(line, false);
    line.leg?.report({ kind: 'failed', reason: 'gatewayLost' });
    line.reset();
  }

  /** The line is provisioned no more: its call is over, and its endpoint is left idle as far as its gateway answers. */
  withdraw(line: Line): void {
    const wasIn = line.inService;
    line.leg?.report({ kind: 'failed', reason: 'gatewayLost' });
    this.lines.remove(line);
    line.reset();
    line.hook = 'on';
    line.inService = wasIn;
    if (wasIn) line.settle('normal');
  }

  /** The gateway lost the line's state (it restarted): a call with it is over. The line is to be brought into service again. */
  lost(line: Line): void {
    const wasIn = line.inService;
    this.lines.setLeaving(line, false);
    line.inService = false;
    line.leg?.report({ kind: 'failed', reason: 'gatewayLost' });
    line.reset();
    line.hook = 'on';
    line.inService = wasIn;
  }

  offHook(line: Line): void {
    line.hook = 'off';
    // Withdrawn meanwhile: it is left as it is.
    if (this.lines.byEndpoint(line.endpoint) !== line) line.inService = false;
    if (!line.inService) return;
    const { leg } = line;
    if (leg !== undefined) {
      if (leg.side === 'callee') {
        if (leg.call.phase !== 'talking') this.#counts.answered.add();
        leg.report({ kind: 'answered', description: leg.description });
      }
      return;
    }
    if (line.order.mark !== 'idle') return;
    if (this.#draining || line.isLeaving) {
      line.settle('overload');
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
    if (line.leg === undefined && line.order.mark !== 'idle') line.settle('normal');
  }

  /** Digits that the gateway matched (a trailing timer is not part of the number). */
  dialled(line: Line, digits: string): void {
    const { leg } = line;
    if (leg === undefined || leg.side !== 'caller' || leg.call.phase !== 'dialling') return;
    const number = withoutTimer(digits);
    if (number === '') leg.report({ kind: 'failed', reason: 'incompleteNumber' });
    else leg.report({ kind: 'digits', number });
  }

  /** The gateway gave up waiting for digits. */
  incomplete(line: Line): void {
    const { leg } = line;
    if (leg?.call.phase === 'dialling') leg.report({ kind: 'failed', reason: 'incompleteNumber' });
  }

  /** The line's media for this call exists, with this description. */
  mediaReady(line: Line, callId: string, description: string): void {
    if (line.leg?.call.callId === callId) line.leg.mediaReady(description);
  }

  /** The gateway cannot bring the line to its order. */
  refused(line: Line, reason: ReleaseReason): void {
    const { leg } = line;
    if (leg !== undefined) leg.report({ kind: 'failed', reason });
    else if (line.order.mark === 'tone') line.howl();
    else if (line.order.mark === 'howler' || line.order.mark === 'dialling') line.park();
  }

  /** A call that comes from another protocol: its leg's events go to `Call.on('caller', …)`, `digits` first. */
  accept(caller: Leg): Call {
    return this.#begin(caller, undefined);
  }

  /** After a takeover: a call as its lines' audits show it. Both lines are brought to where the call stands. */
  restore(rebuilt: RebuiltCall): Call | undefined {
    const callerLine = this.lines.byEndpoint(rebuilt.caller.endpoint);
    const calleeLine = rebuilt.callee && this.lines.byEndpoint(rebuilt.callee.endpoint);
    if (callerLine === undefined) return undefined;
    const callerEnd: LegHolder = { leg: undefined };
    const calleeEnd: LegHolder = { leg: undefined };
    const callee = calleeLine && lazyLeg(calleeLine.number, calleeEnd);
    const call = this.#newCall(lazyLeg(callerLine.number, callerEnd), {
      callId: rebuilt.callId,
      callee,
      state: restoredState(rebuilt),
    });
    this.#calls.add(call);
    this.#counts.restored.add();
    const callerLeg = callerLine.attach(call, 'caller');
    callerEnd.leg = callerLeg;
    const calleeLeg = calleeLine?.attach(call, 'callee');
    calleeEnd.leg = calleeLeg;
    const { phase, callId = '' } = rebuilt;
    const ownOffer = rebuilt.caller.media?.local;
    const ownAnswer = rebuilt.callee?.media?.local;
    if (phase === 'ringing' || phase === 'talking') {
      const mode = phase === 'talking' ? 'both' : 'receive';
      const mark = phase === 'talking' ? 'talking' : 'ringing';
      // Where one end does not tell its description, the other was given it once.
      const remoteOfCaller = ownAnswer ?? rebuilt.caller.media?.remote;
      const remoteOfCallee = ownOffer ?? rebuilt.callee?.media?.remote;
      calleeLeg?.restore(mark, { callId, mode, remote: remoteOfCallee }, ownAnswer);
      callerLeg.restore(
        phase === 'talking' ? 'talking' : 'ringback',
        { callId, mode, remote: remoteOfCaller },
        ownOffer,
      );
    }
    call.resume();
    return call;
  }

  /** After a takeover: a line without a call. */
  restoreLine(line: Line, disposition: LineDisposition): void {
    if (disposition === 'idle') line.settle('normal');
    // What a party left behind hears after any call (Line.settle).
    else if (disposition === 'tone') line.hear('busy');
    else if (disposition === 'howler') line.howl();
    else if (disposition === 'parked') line.park();
    else this.#beginAt(line);
  }

  /** The line is another controller's from now on: its call is forgotten with every party, nothing is sent. Returns the lines concerned. */
  forget(line: Line): readonly Line[] {
    const concerned = [line];
    const call = line.leg?.call;
    if (call !== undefined) {
      call.stop();
      this.#calls.delete(call);
      for (const party of [call.caller, call.callee]) {
        const other = party === undefined ? undefined : this.lines.byNumber(party.name);
        if (other !== undefined && other !== line && other.leg?.call === call) concerned.push(other);
      }
    }
    for (const each of concerned) {
      each.reset();
      this.lines.setInService(each, false);
    }
    return concerned;
  }

  stop(): void {
    for (const call of this.#calls) call.stop();
    for (const line of this.lines.all()) line.stop();
    this.#calls.clear();
  }

  #beginAt(line: Line): void {
    this.#counts.begun.add();
    this.#begin(undefined, line);
  }

  #begin(leg: Leg | undefined, line: Line | undefined): Call {
    const end: LegHolder = { leg };
    const call = this.#newCall(leg ?? lazyLeg(line?.number ?? '', end), undefined);
    if (line !== undefined) end.leg = line.attach(call, 'caller');
    this.#calls.add(call);
    call.begin();
    return call;
  }

  #newCall(caller: Leg, restored: RestoredCallState | undefined): Call {
    return new Call(
      {
        clock: this.#parts.clock,
        timers: this.#timers,
        caller,
        callIdFor: (number) => restored?.callId ?? this.#ids.make(number),
        route: (number, call) => this.#route(number, call),
        ended: (call, reason) => this.#ended(call, reason),
        relay: this.#parts.relay,
      },
      restored,
    );
  }

  #route(number: string, call: Call): Leg | ReleaseReason | 'later' {
    const { locations, protocol, reach, log, claim } = this.#parts;
    const contacts = locations.lookup(number);
    if (contacts.length === 0) {
      const line = this.lines.byNumber(number);
      if (line === undefined) return 'unknownNumber';
      if (this.#claimed.has(call)) return 'unavailable';
      this.#claimed.add(call);
      return claim?.(line, () => call.routeAgain()) === true ? 'later' : 'unavailable';
    }
    let reason: ReleaseReason = 'unavailable';
    for (const contact of contacts) {
      if (contact.protocol === protocol) {
        const line = this.lines.byEndpoint(contact.target);
        if (line?.isFree) return line.attach(call, 'callee');
        if (line?.inService) reason = 'busy';
      } else if (reach !== undefined) {
        const leg = reach(contact, (event) => call.on('callee', event));
        if (typeof leg !== 'string') return leg;
        reason = leg;
      }
    }
    log.debug({ number, reason }, 'number cannot be called');
    return reason;
  }

  #ended(call: Call, reason: ReleaseReason): void {
    this.#calls.delete(call);
    const { log, metrics, protocol } = this.#parts;
    metrics.counter('calls_ended_total', 'Calls that ended, by reason', { protocol, reason }).add();
    log.debug({ caller: call.caller.name, callee: call.callee?.name, reason }, 'call ended');
  }
}

interface LegHolder {
  leg: Leg | undefined;
}

/** A leg whose line is attached in a moment: a call and its legs know each other. */
function lazyLeg(name: string, end: LegHolder): Leg {
  return {
    name,
    collect: () => end.leg?.collect(),
    offer: (callId) => end.leg?.offer(callId),
    alert: (callId, offer) => end.leg?.alert(callId, offer),
    progress: (remote) => end.leg?.progress(remote),
    connect: (remote) => end.leg?.connect(remote),
    release: (reason) => end.leg?.release(reason),
  };
}

function restoredState({ phase, number, caller, callee }: RebuiltCall): Call['state'] {
  if (phase === 'offering') return { phase: 'routing', number };
  if (phase === 'talking') return { phase: 'talking', number };
  return { phase: 'ringing', number, offer: caller.media?.local ?? '', answer: callee?.media?.local };
}
