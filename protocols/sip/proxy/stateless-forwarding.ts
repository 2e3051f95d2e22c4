/** Requests that are forwarded without a transaction: ACK of a 2xx, and CANCEL without its INVITE (RFC 3261 §16.6, §16.10, §16.11). */
import type { ControllerAddress, Flow, NextHops } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Identity } from '../identity.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import { AckForwarding } from './ack-forwarding.ts';
import type { TargetGroups } from './flow-targets.ts';
import { forwardedText } from './forward.ts';
import { type ProxyTarget, type RoutePlan, reachable } from './target.ts';
import type { BranchKey } from './via-branch.ts';

export interface StatelessParts {
  readonly layer: TransactionLayer;
  readonly nextHops: NextHops;
  readonly identity: Identity;
  readonly branches: BranchKey;
}

export class StatelessForwarding {
  readonly #parts: StatelessParts;
  readonly #acks: AckForwarding;

  constructor(parts: StatelessParts) {
    this.#parts = parts;
    this.#acks = new AckForwarding(parts.layer.transmitter);
  }

  /** To each target once. */
  forward(request: SipMessage, flow: Flow, plan: RoutePlan, targets: TargetGroups): void {
    for (const group of targets) for (const target of group) this.#forwardOnce(request, flow, plan, target);
  }

  #forwardOnce(request: SipMessage, flow: Flow, plan: RoutePlan, target: ProxyTarget): void {
    const { nextHops } = this.#parts;
    nextHops.resolve(target.hop, target.alternates, (resolution) => {
      if (!resolution.ok) return;
      const addresses = reachable(target, resolution.value);
      // A carrier that challenged the INVITE knows the one that came after it; which of them is under way, only its owner knew.
      const offsets = request.method === 'CANCEL' && target.trunk?.account !== undefined ? cancelOffsets : justOne;
      for (const each of offsets) this.#send(request, flow, plan, target, addresses, (plan.cseqOffset ?? 0) + each);
    });
  }

  #send(
    request: SipMessage,
    flow: Flow,
    plan: RoutePlan,
    target: ProxyTarget,
    addresses: readonly ControllerAddress[],
    offset: number,
  ): void {
    const { branches, identity, layer } = this.#parts;
    const key = target.branchKey ?? target.requestUri;
    const branch = branches.branchFor(request, offset === 0 ? key : `${key}\n${offset}`, offset);
    const encode = (out: Flow): Uint8Array =>
      layer.octets(
        forwardedText(
          request,
          {
            branch,
            requestUri: target.requestUri,
            popRoutes: plan.popRoutes,
            pushRoutes: target.pushRoutes,
            rewriteRoutes: target.rewriteRoutes,
            member: target.member,
            recordRoute: false,
            from: flow,
            standIn: plan.standIn,
            consumes: plan.consumes,
            trunk:
              offset === 0 && target.trunk === undefined
                ? undefined
                : { cseqOffset: offset, credentials: '', fromUri: target.trunk?.fromUri },
          },
          out,
          identity,
        ),
        out,
      );
    if (addresses.length > 1) {
      this.#acks.send(`${request.method} ${branch}`, { addresses, flow: target.flow }, encode);
      return;
    }
    const [to] = addresses;
    const out = target.flow ?? (to === undefined ? undefined : layer.transmitter.flowTo(to));
    out?.send(encode(out));
  }
}

const justOne: readonly number[] = [0];
/** One realm that challenges is what carriers have. */
const cancelOffsets: readonly number[] = [0, 1];
