/**
 * A call of two legs, as a pure machine: (state, event) → [state, effects]. It knows parties, not protocols.
 *
 *     dialling ──digits──► routing ──routed──► offering ──offered──► alerting ──alerting──► ringing ──answered──► talking
 *        │                    │                   │            (callee answers at once) └──────────────────────────►│
 *        └────────────────────┴──── hungUp, failed, unroutable, timeout ──► over ◄────────────── hungUp, failed ────┘
 *
 * Parties that talk may make new offers, one at a time: the other party answers or refuses, and a refusal changes nothing.
 *
 * Every phase names every event: what ends the call, what moves it on, and what means nothing in it, and why. A call that is over has
 * released both legs; what a party that stays off-hook hears is its line's business.
 */
import { match, P } from 'ts-pattern';
import { type LegEvent, type ModifyRefusal, otherSide, type ReleaseReason, type Side } from './leg.ts';

export type CallState =
  | { readonly phase: 'dialling' }
  | { readonly phase: 'routing'; readonly number: string }
  | { readonly phase: 'offering'; readonly number: string }
  | {
      readonly phase: 'alerting';
      readonly number: string;
      readonly offer: string | undefined;
      readonly answered: boolean;
    }
  | {
      readonly phase: 'ringing';
      readonly number: string;
      readonly offer: string | undefined;
      readonly answer: string | undefined;
      /** There is something to hear at `answer` already. */
      readonly early?: boolean | undefined;
    }
  | {
      readonly phase: 'talking';
      readonly number: string;
      /** Who has made an offer that the other party has not answered yet. */
      readonly offerer?: Side | undefined;
    }
  | { readonly phase: 'over'; readonly reason: ReleaseReason; readonly cause?: number | undefined };

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
  | { readonly kind: 'alert'; readonly offer: string | undefined }
  | { readonly kind: 'progress'; readonly early: string | undefined; readonly answer: string | undefined }
  | { readonly kind: 'connect'; readonly side: Side; readonly remote: string | undefined }
  | { readonly kind: 'modify'; readonly side: Side; readonly offer: string | undefined }
  | { readonly kind: 'modifyAnswer'; readonly side: Side; readonly description: string }
  | { readonly kind: 'modifyRefuse'; readonly side: Side; readonly reason: ModifyRefusal }
  | { readonly kind: 'digit'; readonly side: Side; readonly signal: string; readonly durationMs: number }
  | {
      readonly kind: 'release';
      readonly side: Side;
      readonly reason: ReleaseReason;
      readonly cause?: number | undefined;
    }
  /** Arms the call's one timer for this phase; every change of phase disarms it first. */
  | { readonly kind: 'arm'; readonly timer: CallTimer }
  | { readonly kind: 'disarm' };

export type CallTimer = 'dialling' | 'setUp' | 'noAnswer' | 'modify';

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
    .with(caller('hungUp'), ({ event }) => over('normal', causeIn(event)))
    .with(either('failed'), ({ event }) => over(event.reason, causeIn(event)))
    .with(either('modifyOffered'), ({ side }) => tooEarly(state, side))
    // There is no callee yet, and nothing was asked of the caller's media.
    .with(anyOf(either('offered'), either('alerting'), either('answered'), either('modified')), () => stay(state))
    .with(anyOf(callee('digits'), callee('hungUp'), routed, answerToOffer, either('digit')), () => stay(state))
    .exhaustive();

const onRouting = (state: In<'routing'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with({ kind: 'routed' }, () => [
      { phase: 'offering', number: state.number },
      [{ kind: 'offer' }, { kind: 'arm', timer: 'setUp' }],
    ])
    .with({ kind: 'unroutable' }, ({ reason }) => over(reason))
    .with(caller('hungUp'), ({ event }) => over('cancelled', causeIn(event)))
    .with(either('failed'), ({ event }) => over(event.reason, causeIn(event)))
    .with(either('modifyOffered'), ({ side }) => tooEarly(state, side))
    // The number is settled; there is no callee yet, and no timer runs.
    .with(anyOf(either('digits'), either('offered'), either('alerting'), either('answered')), () => stay(state))
    .with(anyOf(either('modified'), callee('hungUp'), { kind: 'timeout' } as const), () => stay(state))
    .with(anyOf(answerToOffer, either('digit')), () => stay(state))
    .exhaustive();

const onOffering = (state: In<'offering'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(caller('offered'), ({ event }) => [
      { phase: 'alerting', number: state.number, offer: descriptionIn(event), answered: false },
      [
        { kind: 'alert', offer: descriptionIn(event) },
        { kind: 'arm', timer: 'setUp' },
      ],
    ])
    .with({ kind: 'timeout' }, () => over('unavailable'))
    .with(caller('hungUp'), ({ event }) => over('cancelled', causeIn(event)))
    .with(either('failed'), ({ event }) => over(event.reason, causeIn(event)))
    .with(either('modifyOffered'), ({ side }) => tooEarly(state, side))
    // The callee has not been called: it is on-hook, and stays so.
    .with(anyOf(callee('offered'), either('alerting'), either('answered'), callee('hungUp')), () => stay(state))
    .with(anyOf(either('digits'), either('modified'), routed, answerToOffer, either('digit')), () => stay(state))
    .exhaustive();

const onAlerting = (state: In<'alerting'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(callee('alerting'), ({ event }) => {
      const [description, early] = [descriptionIn(event), isEarly(event)];
      if (state.answered) return talk(state.number, state.offer, description);
      return [
        { phase: 'ringing', number: state.number, offer: state.offer, answer: description, early },
        [progress(description, early), { kind: 'arm', timer: 'noAnswer' }],
      ];
    })
    .with(callee('answered'), ({ event }) => {
      const description = descriptionIn(event);
      // Answered before its description is known: the description is still to come.
      return description === undefined
        ? [{ ...state, answered: true }, []]
        : talk(state.number, state.offer, description);
    })
    // Before it answered, a callee that is on-hook has nothing to hang up.
    .with(callee('hungUp'), ({ event }) => (state.answered ? over('normal', causeIn(event)) : stay(state)))
    .with({ kind: 'timeout' }, () => over('unavailable'))
    .with(caller('hungUp'), ({ event }) => over('cancelled', causeIn(event)))
    .with(either('failed'), ({ event }) => over(event.reason, causeIn(event)))
    .with(either('modifyOffered'), ({ side }) => tooEarly(state, side))
    // A caller without an offer answers the callee's; one whose media moved since its offer is heard where it is now.
    .with(caller('modified'), ({ event: { description } }) => [{ ...state, offer: description }, []])
    // The caller's offer is on its way; that it is ready again changes nothing.
    .with(anyOf(either('offered'), caller('alerting'), caller('answered'), callee('modified')), () => stay(state))
    .with(anyOf(either('digits'), routed, answerToOffer, either('digit')), () => stay(state))
    .exhaustive();

const onRinging = (state: In<'ringing'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(callee('answered'), ({ event }) => talk(state.number, state.offer, descriptionIn(event) ?? state.answer))
    // A better description while ringing (early media that begins, or moves). What was to be heard once goes on.
    .with(callee('alerting'), ({ event }) => {
      const [description, early] = [descriptionIn(event), isEarly(event)];
      if (description === undefined || (description === state.answer && early === (state.early ?? false)))
        return stay(state);
      return [{ ...state, answer: description, early }, [progress(description, early)]];
    })
    .with({ kind: 'timeout' }, () => over('noAnswer'))
    .with(caller('hungUp'), ({ event }) => over('cancelled', causeIn(event)))
    .with(either('failed'), ({ event }) => over(event.reason, causeIn(event)))
    .with(either('modifyOffered'), ({ side }) => tooEarly(state, side))
    // A caller without an offer answers the callee's (in a PRACK, RFC 3262 §5); one whose media moved is heard where it is now.
    .with(caller('modified'), ({ event: { description } }) => [{ ...state, offer: description }, []])
    // A bell that rings on-hook has nothing to hang up.
    .with(anyOf(callee('hungUp'), either('offered'), caller('alerting'), caller('answered')), () => stay(state))
    .with(anyOf(callee('modified'), either('digits'), routed, answerToOffer, either('digit')), () => stay(state))
    .exhaustive();

const onTalking = (state: In<'talking'>, event: CallEvent): CallStep =>
  match<CallEvent, CallStep>(event)
    .with(either('modified'), ({ side, event: { description } }) => [
      state,
      [{ kind: 'connect', side: otherSide(side), remote: description }],
    ])
    .with(either('modifyOffered'), ({ side, event }) =>
      state.offerer === undefined
        ? [
            { ...state, offerer: side },
            [
              { kind: 'arm', timer: 'modify' },
              { kind: 'modify', side: otherSide(side), offer: descriptionIn(event) },
            ],
          ]
        : // RFC 3264 §4: no offer before the last one is answered, the party's own or the other's.
          [state, [{ kind: 'modifyRefuse', side, reason: state.offerer === side ? 'temporary' : 'glare' }]],
    )
    .with(either('modifyAnswered'), ({ side, event: { description } }) =>
      state.offerer === otherSide(side)
        ? [
            { ...state, offerer: undefined },
            [{ kind: 'disarm' }, { kind: 'modifyAnswer', side: state.offerer, description }],
          ]
        : stay(state),
    )
    .with(either('modifyRefused'), ({ side, event: { reason } }) =>
      state.offerer === otherSide(side)
        ? [
            { ...state, offerer: undefined },
            [{ kind: 'disarm' }, { kind: 'modifyRefuse', side: state.offerer, reason }],
          ]
        : stay(state),
    )
    // Nobody answers the offer: it has not been taken.
    .with({ kind: 'timeout' }, () =>
      state.offerer === undefined
        ? stay(state)
        : [{ ...state, offerer: undefined }, [{ kind: 'modifyRefuse', side: state.offerer, reason: 'temporary' }]],
    )
    .with(either('digit'), ({ side, event: { signal, durationMs } }) => [
      state,
      [{ kind: 'digit', side: otherSide(side), signal, durationMs }],
    ])
    .with(either('hungUp'), ({ event }) => over('normal', causeIn(event)))
    .with(either('failed'), ({ event }) => over(event.reason, causeIn(event)))
    // Repeated words of a set-up that is complete.
    .with(anyOf(either('digits'), either('offered'), either('alerting'), either('answered')), () => stay(state))
    .with(routed, () => stay(state))
    .exhaustive();

const from = <const S extends Side, const K extends LegEvent['kind']>(side: S, kind: K) =>
  ({ kind: 'leg', side, event: { kind } }) as const;

const caller = <const K extends LegEvent['kind']>(kind: K) => from('caller', kind);

const callee = <const K extends LegEvent['kind']>(kind: K) => from('callee', kind);

const either = <const K extends LegEvent['kind']>(kind: K) => ({ kind: 'leg', event: { kind } }) as const;

/** Routing has been answered. */
const routed = { kind: P.union('routed', 'unroutable') } as const;

/** Answers to an offer in mid-call. */
const answerToOffer = { kind: 'leg', event: { kind: P.union('modifyAnswered', 'modifyRefused') } } as const;

const anyOf = P.union;

const stay = (state: CallState): CallStep => [state, []];

/** RFC 3264 §4: the first offer is not answered yet, so there can be no second one. */
const tooEarly = (state: CallState, side: Side): CallStep => [
  state,
  [{ kind: 'modifyRefuse', side, reason: 'temporary' }],
];

/** ts-pattern narrows away what an event may leave out. */
const descriptionIn = (event: LegEvent): string | undefined => ('description' in event ? event.description : undefined);

const causeIn = (event: LegEvent): number | undefined => ('cause' in event ? event.cause : undefined);

const isEarly = (event: LegEvent): boolean => !('early' in event) || event.early !== false;

const progress = (description: string | undefined, early: boolean): CallEffect => ({
  kind: 'progress',
  early: early ? description : undefined,
  answer: early ? undefined : description,
});

const talk = (number: string, offer: string | undefined, answer: string | undefined): CallStep => [
  { phase: 'talking', number },
  [
    { kind: 'connect', side: 'callee', remote: offer },
    { kind: 'connect', side: 'caller', remote: answer },
  ],
];

const over = (reason: ReleaseReason, cause?: number): CallStep => [
  { phase: 'over', reason, cause },
  [
    { kind: 'release', side: 'callee', reason, cause },
    { kind: 'release', side: 'caller', reason, cause },
  ],
];
