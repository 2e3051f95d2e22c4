/**
 * A call of two legs, as a pure machine: (state, event) → [state, effects]. It knows parties, not protocols.
 *
 *     dialling ──digits──► routing ──routed──► offering ──offered──► alerting ──alerting──► ringing ──answered──► talking
 *        │                    │                   │            (callee answers at once) └──────────────────────────►│
 *        └────────────────────┴──── hungUp, failed, unroutable, timeout ──► over ◄────────────── hungUp, failed ────┘
 *
 * Every phase names every event: what ends the call, what moves it on, and what means nothing in it, and why. A call that is over has
 * released both legs; what a party that stays off-hook hears is its line's business.
 */
import { match, P } from 'ts-pattern';
import { type LegEvent, otherSide, type ReleaseReason, type Side } from './leg.ts';

export type CallState =
  | { readonly phase: 'dialling' }
  | { readonly phase: 'routing'; readonly number: string }
  | { readonly phase: 'offering'; readonly number: string }
  | { readonly phase: 'alerting'; readonly number: string; readonly offer: string; readonly answered: boolean }
  | {
      readonly phase: 'ringing';
      readonly number: string;
      readonly offer: string;
      readonly answer: string | undefined;
    }
  | { readonly phase: 'talking'; readonly number: string }
  | { readonly phase: 'over'; readonly reason: ReleaseReason };

export type CallPhase = CallState['phase'];

export type CallEvent =
  | { readonly kind: 'leg'; readonly side: Side; readonly event: LegEvent }
  | { readonly kind: 'routed' }
  | { readonly kind: 'unroutable'; readonly reason: ReleaseReason }
  | { readonly kind: 'timeout' };

export type CallEffect =
  /** Find the called party: answered by `routed` or `unroutable`. */
  | { readonly kind: 'route'; readonly number: string }
  | { readonly kind: 'collect' }
  | { readonly kind: 'offer' }
  | { readonly kind: 'alert'; readonly offer: string }
  | { readonly kind: 'progress'; readonly remote: string | undefined }
  | { readonly kind: 'connect'; readonly side: Side; readonly remote: string | undefined }
  | { readonly kind: 'release'; readonly side: Side; readonly reason: ReleaseReason }
  /** Arms the call's one timer for this phase; every change of phase disarms it first. */
  | { readonly kind: 'arm'; readonly timer: 'dialling' | 'setUp' | 'noAnswer' };

export type CallStep = readonly [CallState, readonly CallEffect[]];

export const beginCall = (): CallStep => [
  { phase: 'dialling' },
  [{ kind: 'collect' }, { kind: 'arm', timer: 'dialling' }],
];

export const onCallEvent = (state: CallState, event: CallEvent): CallStep =>
  match<CallState, CallStep>(state)
    .with({ phase: 'dialling' }, (at) => onDialling(at, event))
    .with({ phase: 'routing' }, (at) => onRouting(at, event))
    .with({ phase: 'offering' }, (at) => onOffering(at, event))
    .with({ phase: 'alerting' }, (at) => onAlerting(at, event))
    .with({ phase: 'ringing' }, (at) => onRinging(at, event))
    .with({ phase: 'talking' }, (at) => onTalking(at, event))
    // Both legs are released: whatever still comes of them is late.
    .with({ phase: 'over' }, (at) => stay(at))
    .exhaustive();

type In<P extends CallPhase> = Extract<CallState, { phase: P }>;

const onDialling = (state: In<'dialling'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(caller('digits'), ({ event: { number } }) => [{ phase: 'routing', number }, [{ kind: 'route', number }]])
    .with({ kind: 'timeout' }, () => over('incompleteNumber'))
    .with(caller('hungUp'), () => over('normal'))
    .with(either('failed'), ({ event: { reason } }) => over(reason))
    // There is no callee yet, and nothing was asked of the caller's media.
    .with(anyOf(either('offered'), either('alerting'), either('answered'), either('modified')), () => stay(state))
    .with(anyOf(callee('digits'), callee('hungUp'), routed), () => stay(state))
    .exhaustive();

const onRouting = (state: In<'routing'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with({ kind: 'routed' }, () => [
      { phase: 'offering', number: state.number },
      [{ kind: 'offer' }, { kind: 'arm', timer: 'setUp' }],
    ])
    .with({ kind: 'unroutable' }, ({ reason }) => over(reason))
    .with(caller('hungUp'), () => over('normal'))
    .with(either('failed'), ({ event: { reason } }) => over(reason))
    // The number is settled; there is no callee yet, and no timer runs.
    .with(anyOf(either('digits'), either('offered'), either('alerting'), either('answered')), () => stay(state))
    .with(anyOf(either('modified'), callee('hungUp'), { kind: 'timeout' } as const), () => stay(state))
    .exhaustive();

const onOffering = (state: In<'offering'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(caller('offered'), ({ event: { description } }) => [
      { phase: 'alerting', number: state.number, offer: description, answered: false },
      [
        { kind: 'alert', offer: description },
        { kind: 'arm', timer: 'setUp' },
      ],
    ])
    .with({ kind: 'timeout' }, () => over('unavailable'))
    .with(caller('hungUp'), () => over('normal'))
    .with(either('failed'), ({ event: { reason } }) => over(reason))
    // The callee has not been called: it is on-hook, and stays so.
    .with(anyOf(callee('offered'), either('alerting'), either('answered'), callee('hungUp')), () => stay(state))
    .with(anyOf(either('digits'), either('modified'), routed), () => stay(state))
    .exhaustive();

const onAlerting = (state: In<'alerting'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(callee('alerting'), ({ event: { description } }) =>
      state.answered
        ? talk(state.number, state.offer, description)
        : [
            { phase: 'ringing', number: state.number, offer: state.offer, answer: description },
            [
              { kind: 'progress', remote: description },
              { kind: 'arm', timer: 'noAnswer' },
            ],
          ],
    )
    .with(callee('answered'), ({ event: { description } }) =>
      // Answered before its description is known: the description is still to come.
      description === undefined ? [{ ...state, answered: true }, []] : talk(state.number, state.offer, description),
    )
    // Before it answered, a callee that is on-hook has nothing to hang up.
    .with(callee('hungUp'), () => (state.answered ? over('normal') : stay(state)))
    .with({ kind: 'timeout' }, () => over('unavailable'))
    .with(caller('hungUp'), () => over('normal'))
    .with(either('failed'), ({ event: { reason } }) => over(reason))
    // The caller's offer is on its way; what it says again changes nothing.
    .with(anyOf(either('offered'), caller('alerting'), caller('answered'), either('modified')), () => stay(state))
    .with(anyOf(either('digits'), routed), () => stay(state))
    .exhaustive();

const onRinging = (state: In<'ringing'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(callee('answered'), ({ event: { description } }) =>
      talk(state.number, state.offer, description ?? state.answer),
    )
    // A better description while ringing (early media that moves).
    .with(callee('alerting'), ({ event: { description } }) =>
      description === undefined || description === state.answer
        ? stay(state)
        : [{ ...state, answer: description }, [{ kind: 'progress', remote: description }]],
    )
    .with({ kind: 'timeout' }, () => over('noAnswer'))
    .with(caller('hungUp'), () => over('normal'))
    .with(either('failed'), ({ event: { reason } }) => over(reason))
    // A bell that rings on-hook has nothing to hang up.
    .with(anyOf(callee('hungUp'), either('offered'), caller('alerting'), caller('answered')), () => stay(state))
    .with(anyOf(either('modified'), either('digits'), routed), () => stay(state))
    .exhaustive();

const onTalking = (state: In<'talking'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(either('modified'), ({ side, event: { description } }) => [
      state,
      [{ kind: 'connect', side: otherSide(side), remote: description }],
    ])
    .with(either('hungUp'), () => over('normal'))
    .with(either('failed'), ({ event: { reason } }) => over(reason))
    // Repeated words of a set-up that is complete.
    .with(anyOf(either('digits'), either('offered'), either('alerting'), either('answered')), () => stay(state))
    .with(anyOf(routed, { kind: 'timeout' } as const), () => stay(state))
    .exhaustive();

const from = <const S extends Side, const K extends LegEvent['kind']>(side: S, kind: K) =>
  ({ kind: 'leg', side, event: { kind } }) as const;

const caller = <const K extends LegEvent['kind']>(kind: K) => from('caller', kind);

const callee = <const K extends LegEvent['kind']>(kind: K) => from('callee', kind);

const either = <const K extends LegEvent['kind']>(kind: K) => ({ kind: 'leg', event: { kind } }) as const;

/** Routing has been answered. */
const routed = { kind: P.union('routed', 'unroutable') } as const;

const anyOf = P.union;

const stay = (state: CallState): CallStep => [state, []];

const talk = (number: string, offer: string, answer: string | undefined): CallStep => [
  { phase: 'talking', number },
  [
    { kind: 'connect', side: 'callee', remote: offer },
    { kind: 'connect', side: 'caller', remote: answer },
  ],
];

const over = (reason: ReleaseReason): CallStep => [
  { phase: 'over', reason },
  [
    { kind: 'release', side: 'callee', reason },
    { kind: 'release', side: 'caller', reason },
  ],
];
