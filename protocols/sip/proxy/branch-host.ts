/** What branches share, and what a branch sees of the request that it is one of. */
import type { Clock, ControllerAddress, Flow, Logger, NextHops, RateLimitedLog } from '../../../src/internal.ts';
import type { SipCallWatch } from '../call-watch.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import type { DialogOffsets } from '../trunks/dialog-offsets.ts';
import type { RoutingExplanation } from './explain-routing.ts';
import type { RelayParts } from './relay.ts';
import type { DialogProof } from './route-user.ts';
import type { ProxyTarget, RoutePlan } from './target.ts';
import type { BranchKey } from './via-branch.ts';

export interface BranchParts extends RelayParts {
  readonly clock: Clock;
  readonly layer: TransactionLayer;
  readonly nextHops: NextHops;
  readonly log: Logger;
  /** For lines that a sender can cause with every request. */
  readonly reports: RateLimitedLog;
  readonly branches: BranchKey;
  readonly dialogs: DialogProof;
  readonly offsets: DialogOffsets;
  readonly timerCMs: number;
  readonly explain?: RoutingExplanation | undefined;
  /** Is told what becomes of the branches of calls. */
  readonly watch?: SipCallWatch | undefined;
  /** Tells once when a subscriber has renewed his binding over a flow of ours. */
  onRenewal(subscriber: string, run: (flow: Flow) => void): () => void;
  /** Names a flow for those who come back by it. */
  flowToken(flow: Flow): string;
  /** Is the hop of this target told that we obey its overload control? */
  announcesTo(target: ProxyTarget): boolean;
  /** Those that have not asked for less than one more request of this context. */
  passing(addresses: readonly ControllerAddress[], context: BranchHost): readonly ControllerAddress[];
}

/** The response context, as its branches see it. */
export interface BranchHost {
  readonly parts: BranchParts;
  readonly request: SipMessage;
  readonly plan: RoutePlan;
  readonly server: ServerTransaction;
  readonly isForked: boolean;
  refuse(status: number, reason: string): void;
  onProvisional(response: SipMessage): void;
  onSuccess(response: SipMessage): void;
  onFailure(response: SipMessage): void;
  /** A branch without an answer. */
  onBranchTimeout(): void;
  onBranchUnreachable(target: ProxyTarget): void;
  /** Every hop of a branch asked for less. */
  onNextHopOverloaded(): void;
  /** Its trunk has as many calls as it may have. */
  onTrunksInUse(): void;
  /** A flow of a telephone has failed (RFC 5626 §7). */
  onFlowFailed(target: ProxyTarget): void;
  /** Another target is tried in the place of this one. */
  isSpared(spares: readonly ProxyTarget[] | undefined): boolean;
  /** The telephone is back over this flow: the branch goes on there. */
  onRenewed(target: ProxyTarget, flow: Flow): void;
  branchEnded(): void;
}
