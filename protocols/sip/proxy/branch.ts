/** One branch of a request that is being proxied: one target, one client transaction, Timer C and CANCEL (RFC 3261 §16.6, §16.8, §16.10). */
import {
  type Attempt,
  type Cancel,
  type ControllerAddress,
  type Flow,
  formatAddress,
  type HopFailure,
  sameAddress,
} from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { ClientTransaction, ClientUser } from '../transactions/client.ts';
import { cancelFor } from '../transactions/hop-requests.ts';
import { restored, type TrunkFields } from '../trunks/rewriting.ts';
import type { BranchHost } from './branch-host.ts';
import { routeOf } from './explain-routing.ts';
import { forwardedText } from './forward.ts';
import { ignoreAnswer, RepeatedSuccess } from './relay.ts';
import { offsetKind } from './route-user.ts';
import { isFlow, type ProxyTarget, reachable } from './target.ts';
import { TrunkBranch } from './trunk-branch.ts';

/** RFC 3326 §3.1: a telephone that rang shows no missed call. */
export const completedElsewhere = 'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n';

/** Its target is tried, its answers are the context's to choose from. */
export class Branch implements ClientUser {
  readonly #context: BranchHost;
  readonly #target: ProxyTarget;
  readonly #breadth: number;
  /** Names the flow that the request left by, where it is needed to come back. */
  #token: string | undefined;
  #transaction: ClientTransaction | undefined;
  #timerC: Cancel | undefined;
  #timerCAtMs = 0;
  #wantsCancel = false;
  #cancelFields = '';
  #cancelSent = false;
  #cancel: ClientTransaction | undefined;
  #provisional = false;
  #ended = false;
  #renewal: (() => void) | undefined;
  #patience: Cancel | undefined;
  /** The target is a carrier's. */
  readonly #trunk: TrunkBranch | undefined;
  #addresses: readonly ControllerAddress[] = [];
  /** Has it rung? */
  #rang = false;

  constructor(context: BranchHost, target: ProxyTarget, breadth: number) {
    this.#context = context;
    this.#target = target;
    this.#breadth = breadth;
    this.#trunk = target.trunk === undefined ? undefined : new TrunkBranch(context, target, target.trunk);
  }

  start(): void {
    const { nextHops, log } = this.#context.parts;
    this.#awaitRenewal();
    if (this.#target.isAbsent === true) {
      this.#failed();
      return;
    }
    nextHops.resolve(this.#target.hop, this.#target.alternates, (resolution) => {
      if (this.#ended) return;
      if (!resolution.ok) {
        log.debug(
          { callId: this.#context.request.callId, hop: this.#target.hop, why: resolution.error.detail },
          'no address for the next hop',
        );
        this.#context.parts.watch?.sent(this.#context.request, undefined, routeOf(this.#target), true);
        this.#context.parts.watch?.branchUnreachable(
          this.#context.request,
          [],
          `no address for ${this.#target.hop.host}: ${resolution.error.detail}`,
        );
        this.#failed();
        return;
      }
      if (this.#wantsCancel) {
        this.#context.refuse(487, 'Request Terminated');
        this.#end();
        return;
      }
      this.#target.resolved?.(resolution.value);
      const addresses = reachable(this.#target, resolution.value);
      if (addresses.length > 0) {
        const passing = this.#context.parts.passing(addresses, this.#context);
        if (passing.length === 0) {
          if (!this.#goesElsewhere(503)) this.#context.onNextHopOverloaded();
          this.#end();
          return;
        }
        if (this.#trunk?.begin() === false) {
          if (!this.#goesElsewhere(503)) this.#context.onTrunksInUse();
          this.#end();
          return;
        }
        this.#send(passing);
        return;
      }
      this.#context.refuse(403, 'Forbidden');
      this.#end();
    });
  }

  /** `fields`: what the CANCEL says of the reason. */
  cancel(fields: string): void {
    if (this.#ended || this.#wantsCancel || this.#context.request.method !== 'INVITE') return;
    this.#wantsCancel = true;
    this.#cancelFields = fields;
    if (this.#patience !== undefined) {
      this.#context.refuse(487, 'Request Terminated');
      this.#end();
    } else if (this.#provisional || this.#mayBeKnown) this.#sendCancel();
  }

  /** Ends without a word to anybody. */
  forsake(): void {
    this.#transaction?.abandon();
    this.#cancel?.abandon();
    this.#end();
  }

  onResponse(received: SipMessage, transaction: ClientTransaction): void {
    const { status } = received;
    if ((status === 401 || status === 407) && this.#isChallenged(received, transaction)) return;
    const message = this.#readable(received);
    const { own } = this.#context.plan;
    if (own !== undefined && this.#token !== undefined) own.cameOver(this.#token, message);
    if (status < 200) {
      this.#provisional = true;
      if (status > 100) this.#rang = true;
      if (status > 100 && this.#target.member !== undefined) transaction.stay();
      if (status > 100) this.#timerCAtMs = this.#context.parts.clock.now() + this.#context.parts.timerCMs;
      if (this.#wantsCancel && !this.#cancelSent) this.#sendCancel();
      this.#context.onProvisional(message);
      return;
    }
    if (status < 300 && transaction.bypassFlow !== undefined) this.#cancelBypassed(transaction, transaction.bypassFlow);
    if (status >= 300 && !this.#ended)
      this.#context.parts.watch?.branchRefused(this.#context.request, status, message.reason, transaction.hop);
    if (status < 300) {
      this.#trunk?.answered();
      this.#context.onSuccess(message);
    } else if (!this.#ended && this.#goesElsewhere(status)) {
      // The next hop of the carrier, or the next carrier, has the call.
    } else if (!this.#ended && (status === 401 || status === 407) && this.#trunk?.hasAccount === true) {
      // The caller has no account there, and no use for the question.
      this.#context.refuse(500, 'Server Internal Error - carrier refuses our credentials');
    } else if (status === 430 && !this.#ended && isFlow(this.#target)) {
      if (this.#renewal !== undefined && !this.#wantsCancel) {
        this.#failed();
        return;
      }
      this.#context.onFlowFailed(this.#target);
    } else if (!this.#ended) this.#context.onFailure(message);
    this.#end();
  }

  onTimeout(): void {
    if (this.#ended) return;
    this.#context.parts.watch?.branchTimedOut(this.#context.request, this.#transaction?.hop);
    if (!this.#goesElsewhere(408)) this.#context.onBranchTimeout();
    this.#end();
  }

  onTransportError(_transaction: ClientTransaction, tried: readonly Attempt[]): void {
    if (this.#ended) return;
    const { reports } = this.#context.parts;
    const [first] = tried;
    this.#context.parts.watch?.branchUnreachable(this.#context.request, tried);
    reports.info('no hop took the request', first === undefined ? '' : formatAddress(first.address), () => ({
      callId: this.#context.request.callId,
      method: this.#context.request.method,
      tried: tried.map(({ address, failure }) => `${formatAddress(address)} ${failure}`),
    }));
    this.#failed();
  }

  /** The target cannot be reached now; a telephone that is about to connect anew is given a moment. */
  #failed(): void {
    const { clock } = this.#context.parts;
    const { spares = [] } = this.#target;
    const hasSpare = spares.length > 0;
    if (this.#goesElsewhere(503)) {
      this.#end();
      return;
    }
    if (this.#renewal === undefined || this.#wantsCancel || hasSpare) {
      this.#context.onBranchUnreachable(this.#target);
      this.#end();
      return;
    }
    this.#patience ??= clock.after(this.#target.renewal?.waitMs ?? 0, () => {
      this.#context.onBranchUnreachable(this.#target);
      this.#end();
    });
  }

  #awaitRenewal(): void {
    const { renewal } = this.#target;
    if (renewal === undefined) return;
    this.#renewal = this.#context.parts.onRenewal(renewal.subscriber, (flow) => {
      this.#renewal = undefined;
      // What was answered provisionally has arrived.
      if (this.#ended || this.#provisional) return;
      this.#transaction?.abandon();
      this.#context.onRenewed(this.#target, flow);
      this.#end();
    });
  }

  onMoved(_transaction: ClientTransaction, from: ControllerAddress, to: ControllerAddress, because: HopFailure): void {
    const { log } = this.#context.parts;
    this.#cancelSent = false;
    this.#provisional = false;
    this.#cancel?.abandon();
    this.#cancel = undefined;
    this.#context.parts.watch?.moved(this.#context.request, from, to, because);
    log.info(
      {
        callId: this.#context.request.callId,
        method: this.#context.request.method,
        from: formatAddress(from),
        to: formatAddress(to),
        because,
      },
      'request moved to the alternate',
    );
  }

  /** Later 2xx responses of this branch only need the way back; the request is kept where it says how they must look. */
  afterwards(): ClientUser {
    const { server, plan, parts, request } = this.#context;
    if (request.method !== 'INVITE') return ignoreAnswer;
    return new RepeatedSuccess(server, plan.standIn, parts, this.#isPlain ? undefined : request);
  }

  /** A carrier asks for credentials: the request goes there again with them, as another transaction (RFC 3261 §22.2). */
  #isChallenged(response: SipMessage, { hop }: ClientTransaction): boolean {
    if (this.#ended || this.#wantsCancel || this.#trunk?.isChallenged(response, hop) !== true) return false;
    this.#context.parts.offsets.raise(this.#context.request);
    this.#provisional = false;
    this.#timerC?.();
    const others = this.#addresses.filter((address) => hop === undefined || !sameAddress(address, hop));
    // The ACK of the refusal goes first: to a carrier it ends the attempt before.
    this.#timerC = this.#context.parts.clock.after(0, () => {
      if (this.#ended) return;
      if (!this.#wantsCancel) {
        this.#send(hop === undefined ? others : [hop, ...others]);
        return;
      }
      this.#context.refuse(487, 'Request Terminated');
      this.#end();
    });
    return true;
  }

  /** The next hop of the carrier, or the next carrier, is tried in its place. */
  #goesElsewhere(status: number): boolean {
    const others = this.#rang || this.#wantsCancel ? undefined : this.#trunk?.othersFor(status);
    return others !== undefined && this.#context.isSpared(others);
  }

  /** The response as who sent the request may expect it. */
  #readable(response: SipMessage): SipMessage {
    return this.#isPlain ? response : restored(response, this.#context.request);
  }

  /** The user agent beside us is told the CSeq that the carrier knows: its own requests within the dialog go on from there. */
  get #isPlain(): boolean {
    const { plan } = this.#context;
    return (this.#trunk === undefined && plan.cseqOffset === undefined) || plan.own !== undefined;
  }

  /** What this attempt has that the sender did not write. */
  #trunkFields(): TrunkFields | undefined {
    const { request, plan, parts } = this.#context;
    const trunk = this.#trunk;
    if (trunk === undefined && plan.cseqOffset === undefined) return undefined;
    return {
      cseqOffset: this.#cseqOffset,
      rackOffset: (cseq) => (plan.dialogOffset ?? 0) + parts.offsets.of(request, cseq),
      ...(trunk?.fields() ?? { credentials: '' }),
    };
  }

  get #cseqOffset(): number {
    return (this.#context.plan.cseqOffset ?? 0) + (this.#trunk?.attempts ?? 0);
  }

  #send(addresses: readonly ControllerAddress[]): void {
    const context = this.#context;
    const { parts, request, plan, server } = context;
    const target = this.#target;
    const { identity, layer } = parts;
    const needsToken = target.flow !== undefined && (plan.recordRoute || plan.own !== undefined);
    const toToken = needsToken ? (target.token ?? parts.flowToken(target.flow)) : undefined;
    this.#token = toToken;
    const offset = this.#cseqOffset;
    const key = target.branchKey ?? target.requestUri;
    // Each attempt is a transaction of its own; whoever does the same steps comes to the same branch.
    const branch = parts.branches.branchFor(request, offset === 0 ? key : `${key}\n${offset}`, offset);
    const dialog = this.#trunk?.isNewCall !== true ? plan.dialog : parts.dialogs.write(request, offsetKind(offset));
    this.#addresses = addresses;
    if (request.method === 'INVITE') {
      this.#armTimerC();
      parts.watch?.sent(request, addresses[0], routeOf(target), plan.recordRoute);
    }
    parts.explain?.sent(request, target, addresses);
    this.#transaction = layer.request(
      request.method,
      branch,
      { addresses, flow: target.flow, serverName: target.hop.secure === true ? target.hop.host : undefined },
      (flow) =>
        forwardedText(
          request,
          {
            branch,
            requestUri: target.requestUri,
            popRoutes: plan.popRoutes,
            pushRoutes: target.pushRoutes,
            rewriteRoutes: target.rewriteRoutes,
            member: target.member,
            recordRoute: plan.recordRoute || this.#trunk?.staysIn(offset) === true,
            dialog,
            path: plan.path,
            outbound: plan.outbound,
            from: server.flow,
            fromToken: plan.fromToken,
            toToken,
            maxBreadth: this.#breadth,
            announces: parts.announcesTo(target),
            forked: context.isForked,
            standIn: plan.standIn,
            consumes: plan.consumes,
            own: plan.own,
            trunk: this.#trunkFields(),
          },
          flow,
          identity,
        ),
      this,
    );
  }

  #sendCancel(): void {
    const transaction = this.#transaction;
    const { layer, clock } = this.#context.parts;
    const { hop, flow } = transaction ?? {};
    if (transaction === undefined || hop === undefined || !this.#isCancellable(transaction)) return;
    this.#cancelSent = true;
    const text = cancelFor(transaction.sentText, this.#cancelFields);
    this.#cancel = layer.request('CANCEL', transaction.branch, { addresses: [hop], flow }, () => text, ignoreAnswer);
    // RFC 3261 §9.1: without a final response in 64*T1 the INVITE counts as cancelled; one that nobody has answered to us is not repeated.
    const isUnheard = transaction.state === 'calling';
    this.#timerC?.();
    this.#timerC = clock.after(isUnheard ? 0 : 64 * layer.timers.t1Ms, () => {
      if (this.#ended) return;
      transaction.abandon();
      this.#context.onBranchTimeout();
      this.#end();
    });
  }

  #isCancellable({ state }: ClientTransaction): boolean {
    return state === 'proceeding' || (state === 'calling' && this.#mayBeKnown);
  }

  /** The INVITE of our own user agent went out from a dead member, who may have heard that it rings (RFC 3261 §9.1). */
  get #mayBeKnown(): boolean {
    const { own, standIn } = this.#context.plan;
    return own !== undefined && standIn !== undefined;
  }

  /**
   * The call was answered past the hop that has the request: that hop can no longer stop the other telephones it made ring. Its
   * stand-in can, by the same CANCEL; where a final response was given it has no effect (RFC 3261 §9.2).
   */
  #cancelBypassed(transaction: ClientTransaction, { remote, transport }: Flow): void {
    if (this.#ended || this.#context.request.method !== 'INVITE') return;
    const { layer } = this.#context.parts;
    const text = cancelFor(transaction.sentText, completedElsewhere);
    const hop = { transport, host: remote.host, port: remote.port };
    layer.request('CANCEL', transaction.branch, { addresses: [hop] }, () => text, ignoreAnswer);
  }

  /** Timer C (RFC 3261 §16.6 item 11, §16.8), put off by every provisional but 100 without touching the timer each time. */
  #armTimerC(): void {
    const { clock, timerCMs } = this.#context.parts;
    this.#timerCAtMs = clock.now() + timerCMs;
    const check = (): void => {
      if (this.#ended) return;
      const left = this.#timerCAtMs - clock.now();
      if (left > 0) this.#timerC = clock.after(left, check);
      else this.#timerCFired();
    };
    this.#timerC = clock.after(timerCMs, check);
  }

  #timerCFired(): void {
    this.#context.parts.watch?.branchTimedOut(this.#context.request, this.#transaction?.hop);
    if (this.#provisional) {
      this.#wantsCancel = true;
      this.#sendCancel();
      return;
    }
    this.#transaction?.abandon();
    this.#context.onBranchTimeout();
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#trunk?.end();
    this.#renewal?.();
    this.#patience?.();
    this.#timerC?.();
    this.#timerC = undefined;
    this.#context.branchEnded();
  }
}
