/**
 * A call of two legs, as a pure machine: (state, event) → [state, effects]. It knows parties, not protocols.
 *
 *     dialling ──digits──► routing ──routed──► offering ──offered──► alerting ──alerting──► ringing ──answered──► talking
 *        │                    │                   │            (callee answers at once) └──────────────────────────►│
 *        └────────────────────┴──── hungUp, failed, unroutable, timeout ──► over ◄────────────── hungUp, failed ────┘
 *
 * A call that is over has released both legs; what a party that stays off-hook hears is its line's business.
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
  match<[CallState, CallEvent], CallStep>([state, event])
    .with([{ phase: 'over' }, P._], () => [state, []])

    .with(
      [{ phase: 'dialling' }, fromLeg('caller', 'digits')],
      ([
        ,
        {
          event: { number },
        },
      ]) => [{ phase: 'routing', number }, [{ kind: 'route', number }]],
    )
    .with([{ phase: 'dialling' }, { kind: 'timeout' }], () => over('incompleteNumber'))

    .with([{ phase: 'routing' }, { kind: 'routed' }], ([{ number }]) => [
      { phase: 'offering', number },
      [{ kind: 'offer' }, { kind: 'arm', timer: 'setUp' }],
    ])
    .with([{ phase: 'routing' }, { kind: 'unroutable' }], ([, { reason }]) => over(reason))

    .with(
      [{ phase: 'offering' }, fromLeg('caller', 'offered')],
      ([
        { number },
        {
          event: { description },
        },
      ]) => [
        { phase: 'alerting', number, offer: description, answered: false },
        [
          { kind: 'alert', offer: description },
          { kind: 'arm', timer: 'setUp' },
        ],
      ],
    )

    .with(
      [{ phase: 'alerting', answered: false }, fromLeg('callee', 'alerting')],
      ([
        { number, offer },
        {
          event: { description },
        },
      ]) => [
        { phase: 'ringing', number, offer, answer: description },
        [
          { kind: 'progress', remote: description },
          { kind: 'arm', timer: 'noAnswer' },
        ],
      ],
    )
    .with(
      [{ phase: 'alerting', answered: true }, fromLeg('callee', 'alerting')],
      ([
        { number, offer },
        {
          event: { description },
        },
      ]) => talk(number, offer, description),
    )
    .with(
      [{ phase: 'alerting' }, fromLeg('callee', 'answered')],
      ([
        { number, offer },
        {
          event: { description },
        },
      ]) =>
        // Answered before its description is known: the description is still to come.
        description === undefined
          ? [{ phase: 'alerting', number, offer, answered: true }, []]
          : talk(number, offer, description),
    )

    .with(
      [{ phase: 'ringing' }, fromLeg('callee', 'answered')],
      ([
        { number, offer, answer },
        {
          event: { description },
        },
      ]) => talk(number, offer, description ?? answer),
    )
    // A better description while ringing (early media that moves).
    .with(
      [{ phase: 'ringing' }, fromLeg('callee', 'alerting')],
      ([
        ringing,
        {
          event: { description },
        },
      ]) =>
        description === undefined || description === ringing.answer
          ? [state, []]
          : [{ ...ringing, answer: description }, [{ kind: 'progress', remote: description }]],
    )

    .with(
      [{ phase: 'talking' }, { kind: 'leg', event: { kind: 'modified' } }],
      ([
        ,
        {
          side,
          event: { description },
        },
      ]) => [state, [{ kind: 'connect', side: otherSide(side), remote: description }]],
    )

    // Whoever leaves, and whatever fails, ends the call for both; the reason is what the party left behind is told.
    .with([P._, { kind: 'leg', side: 'caller', event: { kind: 'hungUp' } }], () => over('normal'))
    .with([{ phase: 'talking' }, { kind: 'leg', event: { kind: 'hungUp' } }], () => over('normal'))
    .with([{ phase: 'alerting', answered: true }, fromLeg('callee', 'hungUp')], () => over('normal'))
    .with(
      [P._, { kind: 'leg', event: { kind: 'failed' } }],
      ([
        ,
        {
          event: { reason },
        },
      ]) => over(reason),
    )
    .with([{ phase: P.union('offering', 'alerting') }, { kind: 'timeout' }], () => over('unavailable'))
    .with([{ phase: 'ringing' }, { kind: 'timeout' }], () => over('noAnswer'))

    // Late or repeated words of a leg, a callee that is on-hook anyway, an answer to a question that is settled: nothing changes.
    .with([P._, { kind: P.union('leg', 'routed', 'unroutable', 'timeout') }], () => [state, []])
    .exhaustive();

const fromLeg = <const S extends Side, const K extends LegEvent['kind']>(side: S, kind: K) =>
  ({ kind: 'leg', side, event: { kind } }) as const;

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
