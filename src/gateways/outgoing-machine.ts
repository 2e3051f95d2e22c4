/**
 * One command of ours until its final response, as a pure machine. Time and randomness come in with the events.
 *
 *     sent ──timer: repeat, longer wait──► sent          provisional ──timer: repeat every LONG-TIMER──► provisional
 *      │ ──provisional──► provisional                        │
 *      └──── final ──► done ◄── final ───────────────────────┘      T-MAX passed: silent; 2 × T-HIST passed or no hop: failed
 *
 * `silent`: nothing is repeated any more, but a response is still welcome (RFC 3435 §3.5.6, §4.3).
 */
export interface TransactionTimers {
  /** Nothing is repeated after this (RFC 3435 §4.3: 20 s). */
  readonly tMaxMs: number;
  /** How long a response is remembered (§3.5.1: 30 s). */
  readonly tHistMs: number;
  /** The wait once a provisional response came (§3.5.6: 5 s). */
  readonly longTimerMs: number;
}

export const defaultTransactionTimers: TransactionTimers = { tMaxMs: 20_000, tHistMs: 30_000, longTimerMs: 5_000 };

export type OutgoingState =
  | {
      readonly kind: 'sent' | 'provisional' | 'silent';
      readonly firstSentMs: number;
      /** When this hop first got it; a switch to another hop begins anew (RFC 3435 §4.3, N = 0). */
      readonly hopSentMs: number;
      readonly repetitions: number;
      readonly waitMs: number;
      readonly delayMs: number;
    }
  | { readonly kind: 'done' };

export type OutgoingEvent =
  | { readonly kind: 'timer'; readonly nextWaitMs: (delayMs: number) => number }
  | { readonly kind: 'provisional' }
  | { readonly kind: 'final' }
  | { readonly kind: 'switched'; readonly firstWaitMs: number }
  | { readonly kind: 'noHop' }
  | { readonly kind: 'cancelled' };

export type OutgoingEffect =
  | { readonly kind: 'repeat' }
  | { readonly kind: 'arm'; readonly ms: number }
  | { readonly kind: 'disarm' }
  | { readonly kind: 'measured'; readonly ms: number }
  | { readonly kind: 'measuredAfterRepetition'; readonly waitMs: number }
  | { readonly kind: 'failed'; readonly because: 'timedOut' | 'unreachable' };

export type OutgoingStep = readonly [OutgoingState, readonly OutgoingEffect[]];

export function beginOutgoing(nowMs: number, firstWaitMs: number): OutgoingStep {
  return [
    {
      kind: 'sent',
      firstSentMs: nowMs,
      hopSentMs: nowMs,
      repetitions: 0,
      waitMs: firstWaitMs,
      delayMs: firstWaitMs,
    },
    [{ kind: 'arm', ms: firstWaitMs }],
  ];
}

/** A plain switch: it runs several times for every message on the wire. */
export function onOutgoingEvent(
  state: OutgoingState,
  event: OutgoingEvent,
  nowMs: number,
  timers: TransactionTimers,
): OutgoingStep {
  if (state.kind === 'done') return [state, []];
  switch (event.kind) {
    case 'timer':
      return onTimer(state, event.nextWaitMs, nowMs, timers);
    case 'provisional':
      return [
        { ...state, kind: state.kind === 'silent' ? 'silent' : 'provisional' },
        state.kind === 'silent' ? [] : [...measure(state, nowMs), { kind: 'arm', ms: timers.longTimerMs }],
      ];
    case 'final':
      return [{ kind: 'done' }, [{ kind: 'disarm' }, ...(state.kind === 'sent' ? measure(state, nowMs) : [])]];
    case 'switched':
      return [
        {
          ...state,
          kind: 'sent',
          hopSentMs: nowMs,
          repetitions: 0,
          waitMs: event.firstWaitMs,
          delayMs: event.firstWaitMs,
        },
        [{ kind: 'arm', ms: event.firstWaitMs }],
      ];
    case 'noHop':
      return [{ kind: 'done' }, [{ kind: 'disarm' }, { kind: 'failed', because: 'unreachable' }]];
    case 'cancelled':
      return [{ kind: 'done' }, [{ kind: 'disarm' }]];
  }
}

function onTimer(
  state: Exclude<OutgoingState, { kind: 'done' }>,
  nextWaitMs: (delayMs: number) => number,
  nowMs: number,
  timers: TransactionTimers,
): OutgoingStep {
  const sinceMs = nowMs - state.firstSentMs;
  if (state.kind === 'silent') {
    // RFC 3435 §3.5.6: a final response is awaited for 2 × T-HIST; who never answered at all is given up at T-MAX.
    return [{ kind: 'done' }, [{ kind: 'failed', because: 'timedOut' }]];
  }
  if (sinceMs >= timers.tMaxMs) {
    if (state.kind === 'sent') return [{ kind: 'done' }, [{ kind: 'failed', because: 'timedOut' }]];
    return [{ ...state, kind: 'silent' }, [{ kind: 'arm', ms: Math.max(0, 2 * timers.tHistMs - sinceMs) }]];
  }
  const untilTMaxMs = timers.tMaxMs - sinceMs;
  if (state.kind === 'provisional')
    return [
      { ...state, repetitions: state.repetitions + 1 },
      [{ kind: 'repeat' }, { kind: 'arm', ms: Math.min(timers.longTimerMs, untilTMaxMs) }],
    ];
  const delayMs = state.delayMs * 2;
  const waitMs = nextWaitMs(delayMs);
  return [
    { ...state, repetitions: state.repetitions + 1, waitMs, delayMs },
    [{ kind: 'repeat' }, { kind: 'arm', ms: Math.min(waitMs, untilTMaxMs) }],
  ];
}

function measure(
  state: { readonly repetitions: number; readonly hopSentMs: number; readonly waitMs: number },
  nowMs: number,
): readonly OutgoingEffect[] {
  return state.repetitions === 0
    ? [{ kind: 'measured', ms: nowMs - state.hopSentMs }]
    : [{ kind: 'measuredAfterRepetition', waitMs: state.waitMs }];
}
