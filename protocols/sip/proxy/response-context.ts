/**
 * One request that is being proxied: its branches, their timers, and the choice of the response that goes back
 * (RFC 3261 §16.6 to §16.8; non-INVITE by RFC 4320; breadth by RFC 5393).
 */
import type { Cancel, Flow, UnorderedItem } from '../../../src/internal.ts';
import { response } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { ServerTransaction, ServerUser } from '../transactions/server.ts';
import { withoutTopVia } from '../transactions/way-back.ts';
import { type Candidate, isBetter, nextHopOverloaded, trunksInUse, withChallenges } from './best-response.ts';
import { Branch, completedElsewhere } from './branch.ts';
import type { BranchHost, BranchParts } from './branch-host.ts';
import { stampedVia } from './forward.ts';
import { relay } from './relay.ts';
import type { ProxyTarget, RoutePlan } from './target.ts';

export interface ContextParts extends BranchParts {
  readonly maxBreadth: number;
  /** The context has sent its last final response, or never will. */
  ended(context: ResponseContext): void;
}

export class ResponseContext implements UnorderedItem, BranchHost, ServerUser {
  readonly parts: ContextParts;
  readonly request: SipMessage;
  readonly plan: RoutePlan;
  readonly server: ServerTransaction;
  /** @internal */
  place = -1;
  #waiting: (readonly ProxyTarget[])[] = [];
  readonly #branches: Branch[] = [];
  #open = 0;
  #best: Candidate | undefined;
  #challenges: SipMessage[] = [];
  #trying: Cancel | undefined;
  #closed = false;
  #cancelled = false;
  #forked = false;

  constructor(parts: ContextParts, server: ServerTransaction, request: SipMessage, plan: RoutePlan) {
    this.parts = parts;
    this.server = server;
    this.request = request;
    this.plan = plan;
    server.user = this;
    if (this.request.method === 'INVITE') this.#trying = parts.clock.after(tryingMs, () => this.#sendTrying());
  }

  /** Forwards to groups of targets: those of one group at once, the next group when the last has failed. */
  start(groups: readonly (readonly ProxyTarget[])[]): void {
    this.#waiting = [...groups];
    this.#forked = groups.length > 1 || (groups[0]?.length ?? 0) > 1;
    this.#nextGroup();
  }

  /** @internal */
  get isForked(): boolean {
    return this.#forked;
  }

  /** Refuses the request ourselves. */
  refuse(status: number, reason: string, fields?: string): void {
    this.#consider({ status, reason, fields });
    this.#finishIfDone();
  }

  /** CANCEL from upstream (RFC 3261 §16.10) with the values of its Reason fields, which go on (RFC 3326 §2). */
  cancel(reasons: readonly string[]): void {
    this.#cancelled = true;
    this.#waiting = [];
    const fields = reasons.map((reason) => `Reason: ${reason}\r\n`).join('');
    for (const branch of this.#branches) branch.cancel(fields);
    // Nothing was sent yet (a name is being resolved): the answer is ours.
    if (this.#open === 0) this.refuse(487, 'Request Terminated');
  }

  /** The request came to an address that is on another host now: nothing more is said, in either direction. */
  forsaken(): void {
    this.#waiting = [];
    this.#close();
    for (const branch of this.#branches) branch.forsake();
  }

  /** @internal */
  onProvisional(response: SipMessage): void {
    if (response.status === 100 || this.server.isFinal) return;
    this.parts.watch?.ringing(this.request);
    this.#disarmTrying();
    relay(this.server, this.plan.standIn, this.parts, response);
  }

  /** @internal */
  onSuccess(response: SipMessage): void {
    this.#disarmTrying();
    if (this.request.method !== 'INVITE' && this.server.isFinal) return;
    this.#waiting = [];
    // First the others are stopped, then the answer goes on: if we die in between, the answer is repeated by who gave it.
    for (const branch of this.#branches) branch.cancel(completedElsewhere);
    relay(this.server, this.plan.standIn, this.parts, response);
    this.#close();
  }

  /** @internal */
  onFailure(response: SipMessage): void {
    const { status } = response;
    // Without room for it, its status has to do.
    const isKept = this.server.hold(response.text.length);
    if (isKept && (status === 401 || status === 407)) this.#challenges.push(response);
    if (status >= 600) {
      // RFC 3261 §16.7 item 5: a 6xx ends the search.
      this.#waiting = [];
      for (const branch of this.#branches) branch.cancel('');
    }
    this.#consider({ status, reason: response.reason, ...(isKept ? { response } : {}) });
  }

  /** @internal A branch without an answer: 408 for INVITE, nothing for the rest (RFC 4320 §4.2). */
  onBranchTimeout(): void {
    if (this.request.method === 'INVITE') this.#consider({ status: 408, reason: 'Request Timeout' });
  }

  /** @internal RFC 3261 §16.9: as if a 503 had come, unless the target says what its failure means. */
  onBranchUnreachable({ failure, spares, trunk }: ProxyTarget): void {
    if (trunk !== undefined || !this.isSpared(spares))
      this.#consider(failure ?? { status: 503, reason: 'Service Unavailable' });
  }

  /** @internal */
  onNextHopOverloaded(): void {
    this.#consider(nextHopOverloaded);
  }

  /** @internal */
  onTrunksInUse(): void {
    this.#consider(trunksInUse);
  }

  /** @internal A flow of a telephone has failed (RFC 5626 §7): the next one of the same instance, if there is one. */
  onFlowFailed({ failure, flowFailure = failure, spares }: ProxyTarget): void {
    if (!this.isSpared(spares)) this.#consider(flowFailure ?? { status: 430, reason: 'Flow Failed' });
  }

  /** @internal The telephone is back over this flow: the branch goes on there. */
  onRenewed({ requestUri, rewriteRoutes, failure, spares, q }: ProxyTarget, flow: Flow): void {
    const { host, port } = flow.remote;
    const hop = { host, port, transport: flow.transport };
    if (this.#cancelled || this.#closed || this.server.isFinal) this.#consider(requestTerminated);
    else
      this.#waiting.unshift([
        {
          requestUri,
          hop,
          alternates: [],
          flow,
          pushRoutes: [],
          rewriteRoutes: rewriteRoutes === undefined ? undefined : [],
          failure,
          spares,
          q,
          branchKey: `${requestUri}\n${flow.id}`,
        },
      ]);
  }

  /** @internal */
  isSpared(spares: readonly ProxyTarget[] = []): boolean {
    const [spare, ...others] = spares;
    if (spare === undefined || this.#cancelled || this.#closed || this.server.isFinal) return false;
    this.#waiting.unshift([{ ...spare, spares: others }]);
    return true;
  }

  /** @internal */
  branchEnded(): void {
    this.#open -= 1;
    this.#finishIfDone();
  }

  #nextGroup(): void {
    const group = this.#waiting.shift();
    if (group === undefined) return;
    const breadth = Math.min(this.#incomingBreadth(), this.parts.maxBreadth);
    if (group.length > breadth) {
      // Not enough breadth to try them at once: one part after the other (RFC 5393 §5.3.3).
      if (breadth < 1) {
        this.refuse(440, 'Max-Breadth Exceeded');
        return;
      }
      this.#waiting.unshift(group.slice(breadth));
    }
    const now = group.slice(0, breadth);
    const share = Math.max(1, Math.floor(breadth / now.length));
    this.#open += now.length;
    for (const target of now) {
      const branch = new Branch(this, target, share);
      this.#branches.push(branch);
      branch.start();
    }
  }

  #incomingBreadth(): number {
    const value = this.request.header(H.maxBreadth);
    return value === undefined || !/^\d{1,6}$/.test(value) ? this.parts.maxBreadth : Number(value);
  }

  #consider(candidate: Candidate): void {
    if (this.#best === undefined || isBetter(candidate, this.#best)) this.#best = candidate;
  }

  #finishIfDone(): void {
    if (this.#open > 0 || this.#closed) return;
    if (this.#waiting.length > 0) {
      this.#nextGroup();
      return;
    }
    this.#disarmTrying();
    const best = this.#best;
    if (best === undefined) {
      // A non-INVITE nobody answered: the sender's own timer has run out as well, a 408 would only hurt (RFC 4320 §4.2).
      this.server.abandon();
      this.#close();
      return;
    }
    if (this.#cancelled && best.status !== 487 && best.status < 600)
      this.#answer({ status: 487, reason: 'Request Terminated' });
    else this.#answer(best);
    this.#close();
  }

  #answer(best: Candidate): void {
    if (best.response === undefined || best.status === 503) {
      // RFC 3261 §16.7 item 6: a 503 says something of a hop behind us, not of us.
      const [status, reason] =
        best.status === 503 && best.isOurs !== true
          ? [500, 'Server Internal Error - next hop unavailable']
          : [best.status, best.reason];
      this.server.respond(
        status,
        response(this.request, status, reason, {
          toTag: this.parts.identity.localTag(this.request),
          fields: best.fields,
          topVia: stampedVia(this.request, this.server.flow),
        }),
      );
      return;
    }
    const text = withoutTopVia(best.response);
    if (text === undefined) return;
    this.server.respond(best.status, withChallenges(text, best.response, this.#challenges));
  }

  #sendTrying(): void {
    this.#trying = undefined;
    if (this.server.isFinal) return;
    this.server.respond(
      100,
      response(this.request, 100, 'Trying', { topVia: stampedVia(this.request, this.server.flow) }),
    );
  }

  #disarmTrying(): void {
    this.#trying?.();
    this.#trying = undefined;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#disarmTrying();
    this.#challenges = [];
    this.#best = undefined;
    this.server.user = undefined;
    this.parts.ended(this);
  }
}

const requestTerminated = { status: 487, reason: 'Request Terminated' };

/** How long an INVITE may go without a word before it gets its 100 (RFC 3261 §17.2.1). */
const tryingMs = 200;
