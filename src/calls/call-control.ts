/**
 * The one call control of a process: it joins a leg that calls with a leg that is called, whatever protocols they speak. Providers
 * bring the legs, the address resolver says who is where.
 */
import type { Clock } from '../clock.ts';
import type { EventSink } from '../controller/events.ts';
import type { CallWatch } from '../journal/call-journal.ts';
import type { Contact } from '../location-service.ts';
import type { Logger } from '../log.ts';
import { type LogFields, logEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Random } from '../random.ts';
import { Call, type Routed } from './call.ts';
import { CallIds } from './call-ids.ts';
import type { CallState } from './call-machine.ts';
import type { CallRecords } from './call-records.ts';
import { CallRecovery } from './call-recovery.ts';
import type { DiallingPlan } from './dialling-plan.ts';
import { type FailureTold, type Leg, otherSide, type ReleaseReason } from './leg.ts';
import type { LegProvider } from './leg-provider.ts';
import { NumberingPlan } from './numbering-plan.ts';
import { ReportedCalls } from './reported-calls.ts';

export interface CallControlParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Where a number or an address of record is now, best first. */
  locate(identity: string): readonly Contact[];
  readonly events?: EventSink | undefined;
  readonly journal?: CallWatch | undefined;
  /** What may be dialled beside the numbers of the providers: users, trunks, emergency numbers. */
  readonly dialling?: Dialling | undefined;
  /** What successors must know of parties that are no lines. */
  readonly records?: CallRecords | undefined;
}

/** As the address resolver knows it. */
export interface Dialling {
  readonly plan: DiallingPlan;
  dialled(): { readonly numbers: readonly string[]; readonly alternatives: readonly string[] };
  readonly dialledVersion: number;
}

export class CallControl {
  /** Calls from what gateways say after a takeover. */
  readonly recovery: CallRecovery;
  readonly records: CallRecords | undefined;
  readonly #parts: CallControlParts;
  readonly #ids: CallIds;
  readonly #providers = new Map<string, LegProvider>();
  readonly #counts = new Map<string, ProviderCounts>();
  readonly #calls = new Set<Call>();
  readonly #reported: ReportedCalls | undefined;
  /** By what was added; there are as many as protocols. */
  readonly #plans = new Map<string, { readonly version: number; readonly plan: NumberingPlan }>();
  /** Calls for which a line was asked for already: once is enough. */
  readonly #claimed = new WeakSet<Call>();

  constructor(parts: CallControlParts) {
    this.#parts = parts;
    this.#reported = parts.journal === undefined ? undefined : new ReportedCalls(parts.journal);
    this.records = parts.records;
    this.#ids = new CallIds(parts.random);
    this.recovery = new CallRecovery({
      clock: parts.clock,
      log: parts.log,
      provider: (protocol) => this.#providers.get(protocol),
      providers: () => this.#providers.values(),
      isReachable: (number) => this.#locate(number).length > 0,
      calls: () => this.#calls,
      restored: (protocol, callId, state) => this.#restored(protocol, callId, state),
      dropped: (call) => this.#calls.delete(call),
    });
  }

  /** A protocol joins in. Its calls are counted under its name. */
  register(provider: LegProvider): void {
    const { protocol } = provider;
    const { metrics } = this.#parts;
    const labels = { protocol };
    this.#providers.set(protocol, provider);
    this.#counts.set(protocol, {
      begun: metrics.counter('calls_begun_total', 'Calls that a party began', labels),
      answered: metrics.counter('calls_answered_total', 'Calls that were answered', labels),
      restored: metrics.counter('calls_restored_total', 'Calls of a dead partner that were taken over', labels),
    });
    metrics.gauge('calls', 'Calls under way', () => this.callsOf(protocol).length, labels);
  }

  /** Are there parties of another protocol than this? */
  hasOthers(protocol: string): boolean {
    return this.#providers.size > (this.#providers.has(protocol) ? 1 : 0);
  }

  get calls(): Iterable<Call> {
    return this.#calls;
  }

  /** Calls with a party of this protocol; a crossing call is of both. */
  callsOf(protocol: string): readonly Call[] {
    return [...this.#calls].filter((call) => call.isOf(protocol));
  }

  /** Every number that some provider knows a party by. */
  *numbers(): Iterable<string> {
    for (const provider of this.#providers.values()) yield* provider.numbers();
  }

  /** Every number that leads to some party now, as far as providers can tell. */
  *diallable(): Iterable<string> {
    yield* this.numbers();
    for (const provider of this.#providers.values()) yield* provider.diallable?.() ?? [];
  }

  /** Is it a line's, and known here what the line is doing? */
  isServed(number: string): boolean {
    for (const provider of this.#providers.values()) if (provider.hasNumber(number)) return provider.isServed(number);
    return false;
  }

  /** The number that a party of some provider has and that is meant by this one; undefined: there is none. */
  numberOf(dialled: string): string | undefined {
    for (const form of this.#parts.dialling?.plan.forms(dialled) ?? [dialled])
      for (const provider of this.#providers.values()) if (provider.hasNumber(form)) return form;
    return undefined;
  }

  /** Is this context of a local number (`+49`, `+49-30`) the one in which ours are valid? */
  isOwnContext(context: string): boolean {
    return this.#parts.dialling?.plan.isOwnContext(context) === true;
  }

  /** The endpoints that have this number, as messages name them. */
  endpointsOf(number: string): readonly string[] {
    return [...this.#providers.values()].flatMap((provider) => provider.endpointOf?.(number) ?? []);
  }

  /**
   * A number of a line that is not served here, or not yet: its gateway is asked, and `ready` called whatever came of it. False: it is known
   * what the line is doing, or nothing can be found out.
   */
  claim(number: string, ready: () => void): boolean {
    for (const provider of this.#providers.values())
      if (provider.hasNumber(number)) return !provider.isServed(number) && provider.claim(number, ready) === 'later';
    return false;
  }

  /** What may be dialled: the numbers of every provider, and what a protocol's operator adds for its own lines. */
  numberingPlan(extra: readonly string[]): NumberingPlan {
    const key = extra.join('|');
    const { dialling } = this.#parts;
    const ofProviders = [...this.#providers.values()].reduce((sum, provider) => sum + provider.numbersVersion, 0);
    const version = ofProviders + (dialling?.dialledVersion ?? 0);
    const known = this.#plans.get(key);
    if (known?.version === version) return known.plan;
    const { numbers = [], alternatives = [] } = dialling?.dialled() ?? {};
    const plan = new NumberingPlan([...this.numbers(), ...numbers], {
      extra: [...extra, ...alternatives],
      emergency: dialling?.plan.emergency ?? [],
    });
    this.#plans.set(key, { version, plan });
    return plan;
  }

  /** Is it a number for which every call is accepted? */
  isEmergency(number: string): boolean {
    return this.#parts.dialling?.plan.isEmergency(number) === true;
  }

  /** Is there any such number? */
  get hasEmergency(): boolean {
    return (this.#parts.dialling?.plan.emergency.length ?? 0) > 0;
  }

  /** A party begins a call. `attach` makes its leg; the call invites it to give a number. */
  begin(protocol: string, attach: (call: Call) => Leg): Call {
    const call = this.#newCall(protocol, undefined, undefined);
    call.attach('caller', attach(call), protocol);
    this.#counts.get(protocol)?.begun.add();
    this.#tell(protocol, call, 'begun');
    this.#reported?.begun(protocol, call);
    call.begin();
    return call;
  }

  /**
   * These parties are another member's from now on: nothing is sent for them. A party that stays and talks goes on talking; one that does
   * not hears that the call is over.
   */
  leave(call: Call, gone: readonly Leg[]): void {
    const stays = call.sideBeside(gone);
    const remote = stays === 'caller' ? call.caller : stays === 'callee' ? call.callee : undefined;
    if (stays === undefined || remote?.record !== undefined) {
      // A party that is no line goes with the line that keeps its record.
      remote?.abandon?.();
      call.stop();
      this.#calls.delete(call);
      this.#reported?.left(call);
    } else if (!this.recovery.continueOneSided(call, stays)) {
      call.on(otherSide(stays), { kind: 'failed', reason: 'gatewayLost' });
    }
  }

  stop(): void {
    this.records?.stop();
    this.recovery.stop();
    for (const call of this.#calls) call.stop();
    this.#calls.clear();
  }

  #restored(protocol: string, callId: string, state: CallState): Call {
    this.#counts.get(protocol)?.restored.add();
    const call = this.#newCall(protocol, callId, state);
    this.#reported?.restored(protocol, call);
    return call;
  }

  #newCall(protocol: string, callId: string | undefined, state: CallState | undefined): Call {
    const provider = this.#providers.get(protocol);
    const call: Call = new Call(
      {
        clock: this.#parts.clock,
        timers: provider?.timers,
        callIdFor: (number) => this.#ids.make(number),
        route: (number, routed) => this.#route(number, routed),
        ringing: () => this.#reported?.ringing(call),
        answered: () => this.#answered(protocol, call),
        ended: (ended, reason, told) => this.#ended(protocol, ended, reason, told),
        relay: provider?.relay,
      },
      state === undefined ? undefined : { callId, state },
    );
    this.#calls.add(call);
    return call;
  }

  #route(number: string, call: Call): Routed {
    this.#reported?.dialled(call, number);
    const contacts = this.#locate(number);
    if (contacts.length === 0) return this.#claim(number, call);
    let reason: ReleaseReason = 'unavailable';
    const tried: string[] = [];
    for (const contact of contacts) {
      const placed = this.#providers.get(contact.protocol)?.place(contact, call) ?? 'unavailable';
      if (typeof placed !== 'string') {
        this.#explain('numberRouted', {
          number,
          caller: call.caller?.name,
          protocol: contact.protocol,
          contact: contact.target,
          tried,
        });
        return { leg: placed, protocol: contact.protocol };
      }
      tried.push(`${contact.target} ${placed}`);
      // Busy says more than that another of the contacts is out of reach.
      if (placed === 'busy' || reason === 'unavailable') reason = placed;
    }
    this.#refused(call, number, reason, tried);
    return reason;
  }

  #refused(call: Call, number: string, reason: ReleaseReason, tried: readonly string[]): void {
    this.#reported?.explain(call, tried.length === 0 ? `nobody has the number ${number}` : `tried ${tried.join(', ')}`);
    this.#explain('numberRefused', { number, reason, tried });
  }

  #explain<N extends 'numberRouted' | 'numberRefused'>(name: N, fields: LogFields<N>): void {
    const { log } = this.#parts;
    if (log.isLevelEnabled('debug')) logEvent(log, name, fields);
  }

  /** A number of a line is the line's, whether it can be reached now or not; after those come users of that name. */
  #locate(number: string): readonly Contact[] {
    const found = this.#parts.locate(number);
    // Its line is out of service: no carrier has it.
    const contacts =
      this.numberOf(number) === undefined || this.isEmergency(number)
        ? found
        : found.filter(({ trunk }) => trunk === undefined);
    if (contacts.length > 0 || this.numberOf(number) !== undefined) return contacts;
    for (const provider of this.#providers.values()) {
      const users = provider.locate?.(number) ?? [];
      if (users.length > 0) return users;
    }
    return contacts;
  }

  #claim(number: string, call: Call): Routed {
    let reason: ReleaseReason = 'unknownNumber';
    const isClaimed = this.#claimed.has(call);
    this.#claimed.add(call);
    for (const provider of this.#providers.values()) {
      const claimed = isClaimed
        ? provider.hasNumber(number)
          ? 'unavailable'
          : 'unknownNumber'
        : provider.claim(number, () => call.routeAgain());
      if (claimed === 'later') return 'later';
      if (claimed === 'unavailable') reason = 'unavailable';
    }
    this.#refused(call, number, reason, reason === 'unavailable' ? ['no gateway that has it answers'] : []);
    return reason;
  }

  #answered(protocol: string, call: Call): void {
    this.#counts.get(protocol)?.answered.add();
    this.#tell(protocol, call, 'answered');
    this.#reported?.answered(call);
  }

  #tell(protocol: string, call: Call, phase: 'begun' | 'answered' | 'ended', reason?: ReleaseReason): void {
    const { events } = this.#parts;
    if (events?.isHeard === true)
      events.emit({
        kind: 'call',
        phase,
        protocol,
        callId: call.callId,
        caller: call.caller?.name,
        callee: call.callee?.name,
        ...(reason === undefined ? {} : { reason }),
      });
  }

  #ended(protocol: string, call: Call, reason: ReleaseReason, told: FailureTold | undefined): void {
    this.#calls.delete(call);
    this.#tell(protocol, call, 'ended', reason);
    this.#reported?.ended(call, reason, told);
    const { log, metrics } = this.#parts;
    metrics.counter('calls_ended_total', 'Calls that ended, by reason', { protocol, reason }).add();
    if (log.isLevelEnabled('debug'))
      logEvent(log, 'callEnded', { protocol, caller: call.caller?.name, callee: call.callee?.name, reason });
  }
}

interface ProviderCounts {
  readonly begun: Counter;
  readonly answered: Counter;
  readonly restored: Counter;
}
