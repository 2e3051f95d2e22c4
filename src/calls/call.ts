/** A call under way: performs the machine's effects on its two legs, and holds its one timer. */
import type { Cancel, Clock } from '../clock.ts';
import { crossingCallId } from './call-ids.ts';
import {
  beginCall,
  type CallEffect,
  type CallEvent,
  type CallPhase,
  type CallState,
  type CallTimer,
  onCallEvent,
} from './call-machine.ts';
import type { CallRecord } from './call-record.ts';
import {
  type FailureTold,
  type Leg,
  type LegEvent,
  type ModifyRefusal,
  otherSide,
  type ReleaseReason,
  type Side,
} from './leg.ts';
import { withoutRecord } from './record-text.ts';

export interface CallTimers {
  /** The caller gives no number for this long. */
  readonly diallingMs: number;
  /** A side does not become ready, or does not answer an offer in mid-call, for this long. */
  readonly setUpMs: number;
  readonly noAnswerMs: number;
}

const defaultCallTimers: CallTimers = { diallingMs: 60_000, setUpMs: 30_000, noAnswerMs: 120_000 };

/** Something between the parties through which their media runs; descriptions are exchanged for its own on the way. */
export interface MediaRelay {
  /** The caller's description comes; `done` gets the one to offer to the callee, undefined where the relay cannot. */
  offer(callId: string, description: string, done: (description: string | undefined) => void): void;
  /** The callee's comes; `done` gets the one for the caller. */
  answer(callId: string, description: string, done: (description: string | undefined) => void): void;
  /**
   * A party that talks has another description; `done` gets the relay's answer, undefined where it refuses and nothing has changed. A party
   * that gives none is told the relay's, whole and in both directions.
   */
  modify(
    callId: string,
    side: Side,
    description: string | undefined,
    done: (description: string | undefined) => void,
  ): void;
  /** The call is over, however far it came. */
  end(callId: string): void;
}

export interface CallParts {
  readonly clock: Clock;
  readonly timers?: Partial<CallTimers> | undefined;
  /** The id that both sides' media carry; made when the number is known, so that it may tell of it. */
  callIdFor(number: string): string;
  /** Finds the called party. `later`: `Call.routeAgain` follows. */
  route(number: string, call: Call): Routed;
  /** The called party is alerted. */
  ringing?(): void;
  /** The called party accepted. */
  answered(): void;
  ended(call: Call, reason: ReleaseReason, told: FailureTold | undefined): void;
  readonly relay?: MediaRelay | undefined;
}

/** What routing came to: a leg of this protocol, a reason against, or an answer that comes later. */
export type Routed = { readonly leg: Leg; readonly protocol: string } | ReleaseReason | 'later';

export class Call {
  readonly #parts: CallParts;
  readonly #timers: CallTimers;
  readonly startedMs: number;
  /** The host of the member that had it before, where that is known. */
  formerHost: string | undefined;
  readonly #legs: { caller: Party | undefined; callee: Party | undefined } = { caller: undefined, callee: undefined };
  #state: CallState;
  #callId: string | undefined;
  #timer: Cancel | undefined;
  #answeredMs: number | undefined;
  /** The callee's description, and what the relay made of it. */
  #answer: { readonly from: string; readonly to: string } | undefined;
  /** A call that was taken over goes on without the relay: what that held for it nobody can ask. */
  readonly #relayed: boolean;
  /** Effects may raise events at once: they wait their turn. */
  readonly #waiting: CallEvent[] = [];
  /** What waits until the effects of the event under way have been performed. */
  readonly #afterwards: (() => void)[] = [];
  readonly #isRestored: boolean;
  #busy = false;

  constructor(parts: CallParts, restored?: RestoredCallState) {
    this.#parts = parts;
    this.#timers = { ...defaultCallTimers, ...parts.timers };
    this.startedMs = parts.clock.now();
    this.#state = restored?.state ?? { phase: 'dialling' };
    this.#callId = restored?.callId;
    this.#relayed = restored === undefined;
    this.#isRestored = restored !== undefined;
  }

  get phase(): CallPhase {
    return this.#state.phase;
  }

  get state(): CallState {
    return this.#state;
  }

  get callId(): string | undefined {
    return this.#callId;
  }

  get caller(): Leg | undefined {
    return this.#legs.caller?.leg;
  }

  get callee(): Leg | undefined {
    return this.#legs.callee?.leg;
  }

  /** Is one of the parties of this protocol? */
  isOf(protocol: string): boolean {
    return this.#legs.caller?.protocol === protocol || this.#legs.callee?.protocol === protocol;
  }

  /** The side of a known party that is none of these. */
  sideBeside(gone: readonly Leg[]): Side | undefined {
    return (['caller', 'callee'] as const).find((side) => {
      const party = this.#legs[side];
      return party?.protocol !== undefined && !gone.includes(party.leg);
    });
  }

  protocolOf(side: Side): string | undefined {
    return this.#legs[side]?.protocol;
  }

  /** The party on this side, from now on; `protocol` is undefined for one that no provider has. */
  attach(side: Side, leg: Leg, protocol: string | undefined): void {
    this.#legs[side] = { leg, protocol };
  }

  /** The record of the other party than this side's, if that is no line. */
  recordBeside(side: Side): CallRecord | undefined {
    return this.#leg(otherSide(side))?.record;
  }

  /**
   * For a party that is no line, before it says what it cannot take back: `run` once its record is with the other party's gateway, or with
   * another member, or neither can be had.
   */
  whenKept(side: Side, run: () => void): void {
    if (this.#busy) {
      this.#afterwards.push(() => this.whenKept(side, run));
      return;
    }
    const leg = this.#leg(otherSide(side));
    if (leg?.whenSettled === undefined) run();
    else leg.whenSettled(run);
  }

  /** Another member had it before. */
  get isRestored(): boolean {
    return this.#isRestored;
  }

  get answeredMs(): number | undefined {
    return this.#answeredMs;
  }

  begin(): void {
    const [state, effects] = beginCall();
    this.#state = state;
    this.#perform(effects);
  }

  /** After a takeover, once the legs know their part: goes on from where the call stands. */
  resume(): void {
    const { state } = this;
    if (state.phase === 'talking') this.#answeredMs = this.#parts.clock.now();
    if (state.phase === 'ringing') this.#perform([{ kind: 'arm', timer: 'noAnswer' }]);
    // The caller's media exists already; its leg says so as soon as it is asked, and the callee is called (again).
    if (state.phase === 'routing') this.#route(state.number);
  }

  /** What the called party's whereabouts waited for has come. */
  routeAgain(): void {
    if (this.#state.phase === 'routing') this.#route(this.#state.number);
  }

  on(side: Side, said: LegEvent): void {
    const { relay } = this.#parts;
    const event = withoutPlanted(said);
    if (relay === undefined || !this.#relayed) this.#raise({ kind: 'leg', side, event });
    else this.#throughRelay(relay, side, event);
  }

  /** A description on its way to the other party is exchanged for the relay's. */
  #throughRelay(relay: MediaRelay, side: Side, event: LegEvent): void {
    const callId = this.#callId ?? '';
    const raise = (exchanged: LegEvent) => this.#raise({ kind: 'leg', side, event: exchanged });
    if (event.kind === 'offered' && event.description !== undefined) {
      relay.offer(callId, event.description, (description) =>
        raise(description === undefined ? { kind: 'failed', reason: 'noResources' } : { kind: 'offered', description }),
      );
      return;
    }
    if ((event.kind === 'alerting' || event.kind === 'answered') && event.description !== undefined) {
      const raiseWith = (description: string): void => raise({ ...event, description });
      // Asked already: the answer goes on as it is known.
      if (this.#answer?.from === event.description) {
        raiseWith(this.#answer.to);
        return;
      }
      const from = event.description;
      relay.answer(callId, from, (description) => {
        if (description === undefined) {
          raise({ kind: 'failed', reason: 'noResources' });
          return;
        }
        this.#answer = { from, to: description };
        raiseWith(description);
      });
      return;
    }
    if (event.kind === 'modified' || event.kind === 'modifyOffered') this.#modifyAtRelay(relay, side, event);
    else raise(event);
  }

  /** The relay is the other party of the media: it answers, and the other leg hears nothing of it. */
  #modifyAtRelay(
    relay: MediaRelay,
    side: Side,
    { kind, description }: Extract<LegEvent, { kind: 'modified' | 'modifyOffered' }>,
  ): void {
    const refuse = (reason: ModifyRefusal): void => {
      if (kind === 'modifyOffered') this.#leg(side)?.modifyRefuse(reason);
    };
    if (this.phase !== 'talking') {
      refuse('temporary');
      return;
    }
    relay.modify(this.#callId ?? '', side, description, (answer) => {
      if (this.phase !== 'talking') return;
      if (answer === undefined) refuse('notAcceptable');
      else if (kind === 'modifyOffered') this.#leg(side)?.modifyAnswer(answer);
    });
  }

  #raise(event: CallEvent): void {
    this.#waiting.push(event);
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
        const before = this.#state;
        const [state, effects] = onCallEvent(before, next);
        this.#state = state;
        if (state.phase !== before.phase) this.#timer?.();
        if (state.phase === 'ringing' && before.phase !== 'ringing') this.#parts.ringing?.();
        if (state.phase === 'talking' && before.phase !== 'talking') {
          this.#answeredMs = this.#parts.clock.now();
          this.#parts.answered();
        }
        this.#perform(effects);
        if (state.phase === 'over' && before.phase !== 'over') {
          if (this.#relayed && this.#callId !== undefined) this.#parts.relay?.end(this.#callId);
          this.#parts.ended(this, state.reason, this.#told(next, before.phase));
        }
      }
    } finally {
      this.#busy = false;
      for (const run of this.#afterwards.splice(0)) run();
    }
  }

  /** What is known of the failure that ended it. */
  #told(event: CallEvent, phase: CallPhase): FailureTold | undefined {
    if (event.kind === 'leg') return event.event.kind === 'failed' ? event.event.told : undefined;
    if (event.kind !== 'timeout') return undefined;
    const { diallingMs, noAnswerMs, setUpMs } = this.#timers;
    if (phase === 'dialling') return { detail: `no number within ${diallingMs / 1_000} s` };
    if (phase === 'ringing') return { detail: `rang for ${noAnswerMs / 1_000} s` };
    const silent = phase === 'offering' ? this.caller : this.callee;
    return { reason: 'timeout', detail: `${silent?.name ?? 'a party'} was not ready within ${setUpMs / 1_000} s` };
  }

  #perform(effects: readonly CallEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: CallEffect): void {
    const { caller } = this;
    switch (effect.kind) {
      case 'collect':
        caller?.collect();
        return;
      case 'route':
        this.#route(effect.number);
        return;
      case 'offer':
        caller?.offer(this.#callId ?? '');
        return;
      case 'alert':
        this.callee?.alert(this.#callId ?? '', effect.offer, caller?.identity);
        return;
      case 'progress':
        caller?.progress(effect.early, effect.answer);
        return;
      case 'connect':
        this.#leg(effect.side)?.connect(effect.remote);
        return;
      case 'modify':
        this.#leg(effect.side)?.modify(effect.offer);
        return;
      case 'modifyAnswer':
        this.#leg(effect.side)?.modifyAnswer(effect.description);
        return;
      case 'modifyRefuse':
        this.#leg(effect.side)?.modifyRefuse(effect.reason);
        return;
      case 'digit':
        this.#leg(effect.side)?.digit(effect.signal, effect.durationMs);
        return;
      case 'release':
        this.#release(effect.side, effect.reason, effect.cause);
        return;
      case 'disarm':
        this.#timer?.();
        return;
      case 'arm':
        this.#timer?.();
        this.#timer = this.#parts.clock.after(this.#waitMs(effect.timer), () => this.#raise({ kind: 'timeout' }));
        return;
    }
  }

  #route(number: string): void {
    this.#callId ??= this.caller?.callIdFor?.(number) ?? this.#parts.callIdFor(number);
    const routed = this.#parts.route(number, this);
    if (routed === 'later') return;
    if (typeof routed === 'string') {
      this.#raise({ kind: 'unroutable', reason: routed });
      return;
    }
    this.attach('callee', routed.leg, routed.protocol);
    const isRemote = routed.leg.record !== undefined || this.caller?.record !== undefined;
    if (isRemote && !this.#isRestored) this.#callId = crossingCallId(this.#callId.slice(0, 16), number);
    this.#raise({ kind: 'routed' });
  }

  /**
   * A party that is no line is told first: while the line has its media, a backup finds the call and ends it, if we die between the two.
   * Who has left by itself needs no word.
   */
  #release(side: Side, reason: ReleaseReason, cause: number | undefined): void {
    const leg = this.#leg(side);
    if (leg === undefined) return;
    if (leg.record !== undefined || this.recordBeside(side) === undefined) leg.release(reason, cause);
    else this.#parts.clock.after(0, () => leg.release(reason, cause));
  }

  #leg(side: Side): Leg | undefined {
    return this.#legs[side]?.leg;
  }

  #waitMs(timer: CallTimer): number {
    const { diallingMs, setUpMs, noAnswerMs } = this.#timers;
    switch (timer) {
      case 'dialling':
        return diallingMs;
      case 'noAnswer':
        return noAnswerMs;
      case 'setUp':
      case 'modify':
        return setUpMs;
    }
  }

  /** The call is somebody else's: nothing comes of it here any more. Its legs hear nothing. */
  stop(): void {
    this.#timer?.();
    this.#state = { phase: 'over', reason: 'normal' };
  }
}

interface Party {
  readonly leg: Leg;
  readonly protocol: string | undefined;
}

export interface RestoredCallState {
  readonly state: CallState;
  readonly callId: string | undefined;
}

/** Of what a party says of its media, our own attribute is nothing to anybody: it is not passed on, whoever wrote it. */
function withoutPlanted(event: LegEvent): LegEvent {
  if (!('description' in event) || event.description === undefined) return event;
  const description = withoutRecord(event.description);
  return description === event.description ? event : { ...event, description };
}
