/** A call under way: performs the machine's effects on its two legs, and holds its one timer. */
import type { Cancel, Clock } from '../clock.ts';
import {
  beginCall,
  type CallEffect,
  type CallEvent,
  type CallPhase,
  type CallState,
  onCallEvent,
} from './call-machine.ts';
import type { Leg, LegEvent, ReleaseReason, Side } from './leg.ts';

export interface CallTimers {
  /** The caller gives no number for this long. */
  readonly diallingMs: number;
  /** A side does not become ready for this long. */
  readonly setUpMs: number;
  readonly noAnswerMs: number;
}

export const defaultCallTimers: CallTimers = { diallingMs: 60_000, setUpMs: 30_000, noAnswerMs: 120_000 };

export interface CallParts {
  readonly clock: Clock;
  readonly timers: CallTimers;
  readonly caller: Leg;
  /** The id that both sides' media carry; made when the number is known, so that it may tell of it. */
  callIdFor(number: string): string;
  /** Finds the called party. `later`: `Call.routeAgain` follows. */
  route(number: string, call: Call): Leg | ReleaseReason | 'later';
  ended(call: Call, reason: ReleaseReason): void;
}

export class Call {
  readonly #parts: CallParts;
  readonly startedMs: number;
  #state: CallState;
  #callee: Leg | undefined;
  #callId: string | undefined;
  #timer: Cancel | undefined;
  #answeredMs: number | undefined;
  /** Effects may raise events at once: they wait their turn. */
  readonly #waiting: CallEvent[] = [];
  #busy = false;

  constructor(parts: CallParts, restored?: RestoredCallState) {
    this.#parts = parts;
    this.startedMs = parts.clock.now();
    this.#state = restored?.state ?? { phase: 'dialling' };
    this.#callee = restored?.callee;
    this.#callId = restored?.callId;
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

  get caller(): Leg {
    return this.#parts.caller;
  }

  get callee(): Leg | undefined {
    return this.#callee;
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

  on(side: Side, event: LegEvent): void {
    this.#raise({ kind: 'leg', side, event });
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
        if (state.phase === 'talking' && before.phase !== 'talking') this.#answeredMs = this.#parts.clock.now();
        this.#perform(effects);
        if (state.phase === 'over' && before.phase !== 'over') this.#parts.ended(this, state.reason);
      }
    } finally {
      this.#busy = false;
    }
  }

  #perform(effects: readonly CallEffect[]): void {
    for (const effect of effects) this.#performOne(effect);
  }

  #performOne(effect: CallEffect): void {
    const { caller } = this.#parts;
    switch (effect.kind) {
      case 'collect':
        caller.collect();
        return;
      case 'route':
        this.#route(effect.number);
        return;
      case 'offer':
        caller.offer(this.#callId ?? '');
        return;
      case 'alert':
        this.#callee?.alert(this.#callId ?? '', effect.offer);
        return;
      case 'progress':
        caller.progress(effect.remote);
        return;
      case 'connect':
        this.#leg(effect.side)?.connect(effect.remote);
        return;
      case 'release':
        this.#leg(effect.side)?.release(effect.reason);
        return;
      case 'arm':
        this.#timer?.();
        this.#timer = this.#parts.clock.after(this.#waitMs(effect.timer), () => this.#raise({ kind: 'timeout' }));
        return;
    }
  }

  #route(number: string): void {
    this.#callId ??= this.#parts.callIdFor(number);
    const routed = this.#parts.route(number, this);
    if (routed === 'later') return;
    if (typeof routed === 'string') {
      this.#raise({ kind: 'unroutable', reason: routed });
      return;
    }
    this.#callee = routed;
    this.#raise({ kind: 'routed' });
  }

  #leg(side: Side): Leg | undefined {
    return side === 'caller' ? this.#parts.caller : this.#callee;
  }

  #waitMs(timer: 'dialling' | 'setUp' | 'noAnswer'): number {
    const { diallingMs, setUpMs, noAnswerMs } = this.#parts.timers;
    if (timer === 'dialling') return diallingMs;
    return timer === 'setUp' ? setUpMs : noAnswerMs;
  }

  /** Settles the timer; the legs stay as they are. */
  stop(): void {
    this.#timer?.();
  }
}

export interface RestoredCallState {
  readonly state: CallState;
  readonly callId: string | undefined;
  readonly callee: Leg | undefined;
}
