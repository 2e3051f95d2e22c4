/**
 * Responses that belong to no transaction of ours: answers to probes, and those of a partner whose tag led them to us, which go on by the
 * next Via (docs/alternate-path.md §6); anything else is dropped (RFC 6026 §7.3).
 */
import {
  type Clock,
  type ControllerAddress,
  type Counter,
  type Flow,
  formatSocketAddress,
  type Logger,
  type Metrics,
  type WorkerGroup,
} from '../../../src/internal.ts';
import { probeIdOf, type SipAssembler } from '../adapter.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { retryAfterMs } from '../codec/retry-after.ts';
import { param, parseVia, type Via } from '../codec/values.ts';
import type { Identity } from '../identity.ts';
import { ackForAdopted } from '../transactions/hop-requests.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import { viaAddress, withoutTopVia } from '../transactions/way-back.ts';
import { restoredByMark } from '../trunks/rewriting.ts';
import type { Trunks } from '../trunks/trunks.ts';
import { forkMark } from './forward.ts';
import { type TakenOver, takeovers } from './route-planning.ts';
import { adoptRecordRoute } from './takeover.ts';
import type { PathTrust } from './trust.ts';
import { type BranchKey, isOtherVersion } from './via-branch.ts';

export interface ForeignResponseParts {
  readonly clock: Clock;
  readonly layer: TransactionLayer;
  readonly identity: Identity;
  readonly assembler: SipAssembler;
  readonly branches: BranchKey;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly timerCMs: number;
  readonly trunks: Trunks;
  readonly trust: PathTrust;
  /** Does it come from this machine? */
  isWithin(from: Flow): boolean;
  /** May what somebody outside wrote lead there? */
  mayReach(address: ControllerAddress, from: Flow): boolean;
  readonly takenOver?: TakenOver | undefined;
  /** Other processes of this host: what one of them has sent is an orphan when it dies, however long we have lived. */
  readonly workers?: Pick<WorkerGroup, 'isUnsettled'> | undefined;
  readonly userAgent: {
    /** Does this host in a Via name the user agent beside us, or beside another member? */
    isNamed(host: string): boolean;
    /** A response to a request that the user agent of another member sent, or ours in an earlier life. */
    adopt(response: SipMessage): void;
  };
}

export class ForeignResponses {
  readonly #parts: ForeignResponseParts;
  readonly #layer: TransactionLayer;
  readonly #identity: Identity;
  readonly #stray: Counter;
  readonly #takeovers: Counter;
  readonly #startedMs: number;
  /** Partners, so bounded by the configuration. */
  readonly #otherVersions = new Set<string>();

  constructor(parts: ForeignResponseParts) {
    this.#parts = parts;
    this.#layer = parts.layer;
    this.#identity = parts.identity;
    this.#startedMs = parts.clock.now();
    this.#stray = parts.metrics.counter('sip_stray_responses_total', 'Responses that belong to no transaction of ours');
    this.#takeovers = takeovers(parts.metrics);
  }

  receive(message: SipMessage, flow: Flow): void {
    const { via } = message;
    const probe = probeIdOf(message);
    if (probe !== undefined) {
      if (!this.#layer.transmitter.probeAnswered(probe, flow, retryAfterMs(message))) this.#stray.add();
      return;
    }
    const next = nextVia(message);
    const top = viaAddress(via);
    // Ours as well: of a request that we forwarded in an earlier life.
    const isOwn = this.#identity.isSelf(via.host, via.port);
    const address = top === undefined ? undefined : { ...top, host: via.host, port: via.port || top.port };
    const { assembler, branches } = this.#parts;
    const partner = address === undefined ? undefined : assembler.member(address);
    if (next === undefined || !(isOwn || partner !== undefined) || !branches.isOurs(message, next)) {
      this.#stray.add();
      if (next !== undefined && partner !== undefined) this.#warnOfVersion(via.branch ?? '', partner);
      this.#parts.log.debug(
        { from: formatSocketAddress(flow.remote), status: message.status, callId: message.callId },
        'response of no transaction: dropped',
      );
      return;
    }
    // The sender repeats a refusal until somebody acknowledges it (RFC 3261 §17.2.1), and who sent the INVITE does so no more: a dead
    // partner, or we in an earlier life. What this life sent it has acknowledged for as long as Timer D says.
    const isOrphan =
      !isOwn ||
      this.#parts.clock.now() - this.#startedMs < this.#parts.timerCMs ||
      this.#parts.workers?.isUnsettled(flow.remote.host) === true;
    if (message.method === 'INVITE' && message.status >= 300 && isOrphan)
      flow.send(this.#layer.octets(ackForAdopted(message), flow));
    // Another branch may still be answered. Whoever sent us the request sends it again to who takes over, and hears the best answer.
    if (message.status >= 300 && param(via.params, forkMark, 1) !== undefined) return;
    // What a carrier asks is for us to answer, once the caller has sent his request again: he knows nothing of the carrier.
    if ((message.status === 401 || message.status === 407) && this.#parts.trunks.from(flow) !== undefined) return;
    if (!isOwn && partner !== undefined) {
      this.#takeovers.add();
      this.#parts.takenOver?.(partner, 'response', message.callId);
    }
    if (this.#parts.userAgent.isNamed(next.host)) {
      // As a carrier knows the CSeq: the user agent goes on from there.
      this.#parts.userAgent.adopt(message);
      return;
    }
    this.#adoptResponse(restoredByMark(message), flow, next, isOwn ? undefined : partner);
  }

  /** Once for each partner: what a member of another version has under way when it dies cannot be taken over. */
  #warnOfVersion(branch: string, { host, port }: ControllerAddress): void {
    const partner = formatSocketAddress({ host, port });
    if (!isOtherVersion(branch) || this.#otherVersions.has(partner)) return;
    this.#otherVersions.add(partner);
    this.#parts.log.warn(
      { partner },
      'a partner computes branches in another way (another version of altpath?): answers to it are not taken over',
    );
  }

  #adoptResponse(message: SipMessage, flow: Flow, next: Via, partner: ControllerAddress | undefined): void {
    const text = withoutTopVia(message);
    const to = message.status === 100 ? undefined : viaAddress(next);
    if (to === undefined || text === undefined) return;
    // Who answers could have written it anew: what a hop adds to a Via is not in the branch.
    const { isWithin, mayReach, trust } = this.#parts;
    if (!isWithin(flow) && !trust.isTrusted(flow) && !mayReach(to, flow) && !trust.isNamedSocket(to)) {
      this.#stray.add();
      return;
    }
    const adopted = partner === undefined ? text : adoptRecordRoute(text, partner, this.#identity);
    const { transmitter, octets } = this.#layer;
    transmitter.sendOnce(to, (flow) => octets(adopted, flow));
  }
}

/** Of whom the request came from. */
export function nextVia(message: SipMessage): Via | undefined {
  const [, second] = message.list(H.via);
  return second === undefined ? undefined : parseVia(second);
}
