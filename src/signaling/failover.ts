/**
 * Failover of one message under way, as a pure machine (design: each address once, never back, it ends).
 *
 *     trying ──answered──► settled
 *       │  ▲
 *       │  └─ hopFailed, addresses remain: try the next
 *       └──── hopFailed, none remains ──► exhausted
 *
 * A provisional answer proves that the hop lives at that moment: the machine stays in `trying`, so that a hop which dies
 * afterwards (seen by probing) still moves the message on.
 */
import { match, P } from 'ts-pattern';
import type { ControllerAddress } from './controller-address.ts';

/** Why a hop counts as failed. `silent`: no response of any kind within the silence limit; `refusing`: it said it is going down. */
export type HopFailure =
  | 'refused'
  | 'unreachable'
  | 'reset'
  | 'closed'
  | 'timeout'
  | 'tls'
  | 'overflow'
  | 'silent'
  | 'refusing'
  | 'down';

export interface Attempt {
  readonly address: ControllerAddress;
  readonly failure: HopFailure;
}

export type FailoverState =
  | {
      readonly kind: 'trying';
      readonly current: ControllerAddress;
      readonly remaining: readonly ControllerAddress[];
      readonly tried: readonly Attempt[];
    }
  | { readonly kind: 'settled'; readonly by: ControllerAddress; readonly tried: readonly Attempt[] }
  | { readonly kind: 'exhausted'; readonly tried: readonly Attempt[] };

export type FailoverEvent =
  | { readonly kind: 'hopFailed'; readonly address: ControllerAddress; readonly failure: HopFailure }
  | { readonly kind: 'provisional' }
  | { readonly kind: 'answered' };

export type FailoverEffect =
  | { readonly kind: 'send'; readonly to: ControllerAddress; readonly because: HopFailure }
  | { readonly kind: 'giveUp'; readonly tried: readonly Attempt[] };

export type FailoverStep = readonly [FailoverState, readonly FailoverEffect[]];

/** The state in which the first address is being tried. */
export const beginFailover = (addresses: readonly [ControllerAddress, ...ControllerAddress[]]): FailoverState => {
  const [current, ...remaining] = addresses;
  return { kind: 'trying', current, remaining, tried: [] };
};

export const onFailoverEvent = (state: FailoverState, event: FailoverEvent): FailoverStep =>
  match<[FailoverState, FailoverEvent], FailoverStep>([state, event])
    .with([{ kind: 'trying' }, { kind: 'hopFailed' }], ([trying, { address, failure }]) =>
      tryNext(trying, address, failure),
    )
    .with([{ kind: 'trying' }, { kind: 'answered' }], ([{ current, tried }]) => [
      { kind: 'settled', by: current, tried },
      [],
    ])
    .with([{ kind: 'trying' }, { kind: 'provisional' }], () => [state, []])
    // Whatever is heard of a hop after the end changes nothing: the message is not ours any more.
    .with([{ kind: P.union('settled', 'exhausted') }, P._], () => [state, []])
    .exhaustive();

function tryNext(
  state: FailoverState & { kind: 'trying' },
  address: ControllerAddress,
  failure: HopFailure,
): FailoverStep {
  // A late failure of a hop that was left already.
  if (address !== state.current) return [state, []];
  const tried = [...state.tried, { address, failure }];
  const [current, ...remaining] = state.remaining;
  if (current === undefined) return [{ kind: 'exhausted', tried }, [{ kind: 'giveUp', tried }]];
  return [{ kind: 'trying', current, remaining, tried }, [{ kind: 'send', to: current, because: failure }]];
}
