/**
 * Who serves the gateways of one home: a member whose gateways normally are with it. Pure: one state per home (or per single gateway
 * that came by itself), one event, the next state and what to do. Facts come from `Members`; `GatewayOwnership` makes events of them.
 *
 *     state \ event  died*    alive**    serves(nobody)  serves(other)  gatewayCame  auditDone  holdOver   drain      elsewhere  conflict: wins / loses
 *     theirs         taking   ·          taking (home)   ·              taking       ·          ·          ·          ·          · / ·
 *     taking         ·        theirs     ·               ·              ·            ours       ·          theirs     theirs     contested / theirs
 *     ours           ·        returning  ·               ·              ·            ·          ·          releasing  theirs     contested / theirs
 *     returning      ours     ·          ·               ·              ·            ·          releasing  releasing  theirs     contested / theirs
 *     releasing      taking   ·          ·               theirs         ·            ·          taking     ·          theirs     theirs / theirs
 *     contested      ·        ·          taking          ·              ·            ·          taking     theirs     theirs     · / theirs
 *
 *     *  only for the first living alternate      ** of another's home
 *     suspect moves nothing in any state: a silent link is no death.
 */
import { match, P } from 'ts-pattern';

export type OwnershipState =
  /** Another's, or nobody's yet. */
  | 'theirs'
  /** Audits run; we serve from their end on. */
  | 'taking'
  | 'ours'
  /** We serve for an owner that is back; its hold time runs. */
  | 'returning'
  /** We have let go and wait until another serves. */
  | 'releasing'
  /** Another served beside us; it lets go, then we ask the gateways anew. */
  | 'contested';

export type OwnershipEvent =
  /** The owner is dead or leaves, and nobody serves. */
  | { readonly kind: 'died'; readonly isFirst: boolean }
  | { readonly kind: 'suspect' }
  /** The owner lives (again). */
  | { readonly kind: 'alive' }
  /** Who else serves now. */
  | { readonly kind: 'serves'; readonly who: 'nobody' | 'other' }
  | { readonly kind: 'gatewayCame' }
  | { readonly kind: 'auditDone' }
  /** The time of the state is over: hold time, or the wait for the one who was to take. */
  | { readonly kind: 'holdOver' }
  | { readonly kind: 'drain' }
  /** The address by which the gateways reach us is on another host. */
  | { readonly kind: 'elsewhere' }
  /** Another serves as well; `wins`: it is the other who lets go. */
  | { readonly kind: 'conflict'; readonly wins: boolean };

export type OwnershipAction =
  /** Ask the gateways what they do, and command them from then on. */
  | 'take'
  | 'dropAudits'
  /** Forget what they do; nothing is sent. */
  | 'letGo'
  /** Let go, and tell the gateways whose they are now where the protocol has a word for it. */
  | 'handOver';

export interface OwnershipStep {
  readonly state: OwnershipState;
  readonly actions: readonly OwnershipAction[];
}

/** `isHome`: the gateways are our own. */
export function nextOwnership(state: OwnershipState, event: OwnershipEvent, isHome: boolean): OwnershipStep {
  const stay: OwnershipStep = { state, actions: [] };
  const take: OwnershipStep = { state: 'taking', actions: ['take'] };
  const drop: OwnershipStep = { state: 'theirs', actions: ['dropAudits', 'letGo'] };
  return match<readonly [OwnershipState, OwnershipEvent], OwnershipStep>([state, event])
    .with([P._, { kind: 'suspect' }], () => stay)
    .with(['theirs', { kind: 'died', isFirst: true }], () => take)
    .with(['theirs', { kind: 'serves', who: 'nobody' }], () => (isHome ? take : stay))
    .with(['theirs', { kind: 'gatewayCame' }], () => take)
    .with(['theirs', P._], () => stay)

    .with(['taking', { kind: 'alive' }], () => (isHome ? stay : drop))
    .with(['taking', { kind: 'auditDone' }], () => ({ state: 'ours', actions: [] }))
    .with(['taking', { kind: P.union('drain', 'elsewhere') }], () => drop)
    .with(['taking', { kind: 'conflict', wins: true }], () => ({ ...drop, state: 'contested' }))
    .with(['taking', { kind: 'conflict' }], () => drop)
    .with(['taking', P._], () => stay)

    .with(['ours', { kind: 'alive' }], () => (isHome ? stay : { state: 'returning', actions: [] }))
    .with(['returning', { kind: 'died' }], () => ({ state: 'ours', actions: [] }))
    .with(['returning', { kind: 'holdOver' }], () => ({ state: 'releasing', actions: ['handOver'] }))
    .with([P.union('ours', 'returning'), { kind: 'drain' }], () => ({ state: 'releasing', actions: ['handOver'] }))
    .with([P.union('ours', 'returning'), { kind: 'elsewhere' }], () => ({ state: 'theirs', actions: ['letGo'] }))
    .with([P.union('ours', 'returning'), { kind: 'conflict' }], ([, { wins }]) => ({
      state: wins ? 'contested' : 'theirs',
      actions: ['letGo'],
    }))
    .with([P.union('ours', 'returning'), P._], () => stay)

    .with(['releasing', { kind: 'serves', who: 'other' }], () => ({ state: 'theirs', actions: [] }))
    .with(['releasing', { kind: P.union('conflict', 'elsewhere') }], () => ({ state: 'theirs', actions: [] }))
    .with(['releasing', { kind: 'died', isFirst: true }], () => take)
    .with(['releasing', { kind: 'holdOver' }], () => take)
    .with(['releasing', P._], () => stay)

    .with(['contested', { kind: 'serves', who: 'nobody' }], () => take)
    .with(['contested', { kind: 'holdOver' }], () => take)
    .with(['contested', { kind: P.union('drain', 'elsewhere') }], () => ({ state: 'theirs', actions: [] }))
    .with(['contested', { kind: 'conflict', wins: false }], () => ({ state: 'theirs', actions: [] }))
    .with(['contested', P._], () => stay)
    .exhaustive();
}

/** Do others hear that we serve in this state? */
export const isClaim = (state: OwnershipState): boolean =>
  state === 'taking' || state === 'ours' || state === 'returning' || state === 'contested';
