/**
 * One request that is being proxied: its branches, their timers, and the choice of the response that goes back
 * (RFC 3261 §16.6 to §16.8; non-INVITE by RFC 4320; breadth by RFC 5393).
 */
import type {
  Attempt,
  BagItem,
  Cancel,
  Clock,
  ControllerAddress,
  Flow,
  HopFailure,
  Logger,
  NamedHop,
  NextHops,
  RateLimitedLog,
} from '../../src/internal.ts';
import { formatAddress } from '../../src/internal.ts';
import type { BranchKey } from './branch.ts';
import { response } from './encode.ts';
import { forwardedText, stampedVia } from './forward.ts';
import { H, type HeaderId } from './header-names.ts';
import { cancelFor } from './hop-requests.ts';
import type { Identity } from './identity.ts';
import type { SipMessage } from './messages.ts';
import { adoptRecordRoute } from './takeover.ts';
import {
  type ClientTransaction,
  type ClientUser,
  type ServerTransaction,
  type ServerUser,
  type TransactionLayer,
  withoutTopVia,
} from './transaction.ts';
import { isUnicast } from './trust.ts';

/** The member that has a flow, and the Route entry by which it knows the flow. */
export interface MemberHop {
  readonly address: ControllerAddress;
  readonly route: string;
}

/** One place a request may go to, and how it must look there. */
export interface ProxyTarget {
  readonly requestUri: string;
  readonly hop: NamedHop;
  readonly alternates: readonly NamedHop[];
  /** The open connection that leads there. */
  readonly flow?: Flow | undefined;
  /** The token of this flow that says whose it is. */
  readonly token?: string | undefined;
  readonly pushRoutes: readonly string[];
  /** The whole Route set, where it must be written anew. */
  readonly rewriteRoutes?: readonly string[] | undefined;
  /** Addresses that this request may not go to, whatever name led there. */
  readonly barred?: ((address: ControllerAddress) => boolean) | undefined;
  /** Told what the hop's name stands for. */
  readonly resolved?: ((addresses: readonly ControllerAddress[]) => void) | undefined;
  /** The hop that is another member of ours and has the flow: it gets this Route entry, the alternates do not. */
  readonly member?: MemberHop | undefined;
  /** What it means if the target cannot be reached; 503 where nothing is said (RFC 3261 §16.9). */
  readonly failure?: { readonly status: number; readonly reason: string } | undefined;
  /** What a 430 of a proxy behind us means to the caller, where that is another thing (RFC 5626 §7). */
  readonly flowFailure?: { readonly status: number; readonly reason: string } | undefined;
  /** Other flows of the same instance, one to be tried if this one has failed (RFC 5626 §7). */
  readonly spares?: readonly ProxyTarget[] | undefined;
  /** The subscriber behind a flow that may have ended: renewed over another flow of ours, the request goes there. */
  readonly renewal?: string | undefined;
  /** There is nowhere to send it until then. */
  readonly isAbsent?: boolean | undefined;
  /** What tells its branch from others of the same Request-URI. */
  readonly branchKey?: string | undefined;
  /** Preference: equal ones are tried at once, lower ones after higher ones. */
  readonly q: number;
}

/** What is the same for every branch. */
export interface RoutePlan {
  readonly popRoutes: number;
  readonly recordRoute: boolean;
  /** What proves the dialog in our Record-Route entry (route-user.ts). */
  readonly dialog?: string | undefined;
  /** A REGISTER on its way to the registrar behind us. */
  readonly path?: boolean | undefined;
  /** The Path says that we keep the flow (RFC 5626 §5.1). */
  readonly outbound?: boolean | undefined;
  /** Names the flow that the request came over, for Record-Route and Path, where only that leads back (RFC 5626 §5.1, §5.3). */
  readonly fromToken?: string | undefined;
  /** The controller in whose place we act (RFC 3261 §18.1.2 with the exception of docs/alternate-path.md §6). */
  readonly standIn?: ControllerAddress | undefined;
  readonly consumes?: ((credentials: string) => boolean) | undefined;
}

export interface ContextParts {
  readonly clock: Clock;
  readonly layer: TransactionLayer;
  readonly nextHops: NextHops;
  readonly identity: Identity;
  readonly log: Logger;
  /** For lines that a sender can cause with every request. */
  readonly reports: RateLimitedLog;
  readonly branches: BranchKey;
  readonly timerCMs: number;
  readonly maxBreadth: number;
  /** Tells once when a subscriber has renewed his binding over a flow of ours. */
  onRenewal(subscriber: string, run: (flow: Flow) => void): () => void;
  /** Names a flow for those who come back by it. */
  flowToken(flow: Flow): string;
  /** The member of our cluster that this address is, if it is another one. */
  member(address: { readonly host: string; readonly port: number }): ControllerAddress | undefined;
  /** The context has sent its last final response, or never will. */
  ended(context: ResponseContext): void;
}

/** RFC 3326 §3.1: a telephone that rang shows no missed call. */
const completedElsewhere = 'Reason: SIP;cause=200;text="Call completed elsewhere"\r\n';
/** Where a name may have led that no tag may lead to (docs/alternate-path.md §8), and what is barred for this sender, is left out. */
export function reachable(
  { barred }: ProxyTarget,
  addresses: readonly ControllerAddress[],
): readonly ControllerAddress[] {
  const allowed = barred === undefined ? addresses : addresses.filter((address) => !barred(address));
  return addresses.length > 1 ? allowed.filter(({ host }) => isUnicast(host)) : allowed;
}

/** How long a request waits for a telephone whose member has just ended: as long as it may take it to notice and connect anew. */
const renewalMs = 4_000;

const requestTerminated = { status: 487, reason: 'Request Terminated' };

/** How long an INVITE may go without a word before it gets its 100 (RFC 3261 §17.2.1). */
const tryingMs = 200;

export class ResponseContext implements BagItem, ServerUser {
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

  /** @internal */
  onProvisional(response: SipMessage): void {
    if (response.status === 100 || this.server.isFinal) return;
    this.#disarmTrying();
    this.#relay(response);
  }

  /** @internal */
  onSuccess(response: SipMessage): void {
    this.#disarmTrying();
    if (this.request.method !== 'INVITE' && this.server.isFinal) return;
    this.#waiting = [];
    // First the others are stopped, then the answer goes on: if we die in between, the answer is repeated by who gave it.
    for (const branch of this.#branches) branch.cancel(completedElsewhere);
    this.#relay(response);
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
  onBranchUnreachable({ failure, spares }: ProxyTarget): void {
    if (!this.#isSpared(spares)) this.#consider(failure ?? { status: 503, reason: 'Service Unavailable' });
  }

  /** @internal A flow of a telephone has failed (RFC 5626 §7): the next one of the same instance, if there is one. */
  onFlowFailed({ failure, flowFailure = failure, spares }: ProxyTarget): void {
    if (!this.#isSpared(spares)) this.#consider(flowFailure ?? { status: 430, reason: 'Flow Failed' });
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

  #isSpared(spares: readonly ProxyTarget[] = []): boolean {
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
        best.status === 503 ? [500, 'Server Internal Error - next hop unavailable'] : [best.status, best.reason];
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
    this.server.respond(best.status, this.#withChallenges(text, best.response));
  }

  /** RFC 3261 §16.7 item 7: the chosen 401 or 407 carries the challenges of all. */
  #withChallenges(text: string, chosen: SipMessage): string {
    if (this.#challenges.length < 2) return text;
    let extra = '';
    for (const other of this.#challenges) {
      if (other === chosen) continue;
      extra += fieldLines(other, H.wwwAuthenticate) + fieldLines(other, H.proxyAuthenticate);
    }
    const firstLine = text.indexOf('\n') + 1;
    return text.slice(0, firstLine) + extra + text.slice(firstLine);
  }

  #relay(message: SipMessage): void {
    relay(this, message);
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

  /** @internal */
  get isCancelled(): boolean {
    return this.#cancelled;
  }
}

/** One branch of a context: one target, one client transaction (RFC 3261 §16.6). */
class Branch implements ClientUser {
  readonly #context: ResponseContext;
  readonly #target: ProxyTarget;
  readonly #breadth: number;
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

  constructor(context: ResponseContext, target: ProxyTarget, breadth: number) {
    this.#context = context;
    this.#target = target;
    this.#breadth = breadth;
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
        this.#send(addresses);
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
    } else if (this.#provisional) this.#sendCancel();
  }

  onResponse(message: SipMessage, transaction: ClientTransaction): void {
    const { status } = message;
    if (status < 200) {
      this.#provisional = true;
      if (status > 100 && this.#target.member !== undefined) transaction.stay();
      if (status > 100) this.#timerCAtMs = this.#context.parts.clock.now() + this.#context.parts.timerCMs;
      if (this.#wantsCancel && !this.#cancelSent) this.#sendCancel();
      this.#context.onProvisional(message);
      return;
    }
    if (status < 300 && transaction.aside !== undefined) this.#cancelAside(transaction, transaction.aside);
    if (status < 300) this.#context.onSuccess(message);
    else if (status === 430 && !this.#ended && isFlow(this.#target)) {
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
    this.#context.onBranchTimeout();
    this.#end();
  }

  onTransportError(_transaction: ClientTransaction, tried: readonly Attempt[]): void {
    if (this.#ended) return;
    const { reports } = this.#context.parts;
    const [first] = tried;
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
    const hasSpare = (this.#target.spares ?? []).length > 0;
    if (this.#renewal === undefined || this.#wantsCancel || hasSpare) {
      this.#context.onBranchUnreachable(this.#target);
      this.#end();
      return;
    }
    this.#patience ??= clock.after(renewalMs, () => {
      this.#context.onBranchUnreachable(this.#target);
      this.#end();
    });
  }

  #awaitRenewal(): void {
    const { renewal } = this.#target;
    if (renewal === undefined) return;
    this.#renewal = this.#context.parts.onRenewal(renewal, (flow) => {
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

  /** Later 2xx responses of this branch only need the way back. */
  afterwards(): ClientUser {
    const { server, plan, parts, request } = this.#context;
    return request.method === 'INVITE' ? new Repeated(server, plan, parts) : ignoreAnswer;
  }

  #send(addresses: readonly ControllerAddress[]): void {
    const context = this.#context;
    const { parts, request, plan, server } = context;
    const target = this.#target;
    const { identity, layer } = parts;
    const toToken =
      target.flow !== undefined && plan.recordRoute ? (target.token ?? parts.flowToken(target.flow)) : undefined;
    const branch = parts.branches.branchFor(request, target.branchKey ?? target.requestUri);
    if (request.method === 'INVITE') this.#armTimerC();
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
            recordRoute: plan.recordRoute,
            dialog: plan.dialog,
            path: plan.path,
            outbound: plan.outbound,
            from: server.flow,
            fromToken: plan.fromToken,
            toToken,
            maxBreadth: this.#breadth,
            forked: context.isForked,
            standIn: plan.standIn,
            consumes: plan.consumes,
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
    if (transaction === undefined || hop === undefined || transaction.state !== 'proceeding') return;
    this.#cancelSent = true;
    const text = cancelFor(transaction.sentText, this.#cancelFields);
    this.#cancel = layer.request('CANCEL', transaction.branch, { addresses: [hop], flow }, () => text, ignoreAnswer);
    // RFC 3261 §9.1: without a final response in 64*T1 the INVITE counts as cancelled.
    this.#timerC?.();
    this.#timerC = clock.after(64 * layer.timers.t1Ms, () => {
      if (this.#ended) return;
      transaction.abandon();
      this.#context.onBranchTimeout();
      this.#end();
    });
  }

  /**
   * The call was answered past the hop that has the request: that hop can no longer stop the other telephones it made ring. Its
   * stand-in can, by the same CANCEL; where a final response was given it has no effect (RFC 3261 §9.2).
   */
  #cancelAside(transaction: ClientTransaction, { remote, transport }: Flow): void {
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
    this.#renewal?.();
    this.#patience?.();
    this.#timerC?.();
    this.#timerC = undefined;
    this.#context.branchEnded();
  }
}

const isFlow = ({ failure, flowFailure }: ProxyTarget): boolean => failure !== undefined || flowFailure !== undefined;

/** Takes the 2xx responses of an INVITE that come after the first. */
class Repeated implements ClientUser {
  readonly server: ServerTransaction;
  readonly plan: RoutePlan;
  readonly parts: ContextParts;

  constructor(server: ServerTransaction, plan: RoutePlan, parts: ContextParts) {
    this.server = server;
    this.plan = plan;
    this.parts = parts;
  }

  onResponse(message: SipMessage): void {
    if (message.status >= 200 && message.status < 300) relay(this, message);
  }

  onTimeout(): void {}

  onTransportError(): void {}
}

/**
 * A stand-in writes itself in the place of its partner: the callee may have heard of the call from that one. So it does where only
 * the answer says so, by the partner's Via on it: the request came to us by itself, the callee answers the partner's copy.
 */
function relay(
  {
    server,
    plan,
    parts,
  }: { readonly server: ServerTransaction; readonly plan: RoutePlan; readonly parts: ContextParts },
  message: SipMessage,
): void {
  const text = withoutTopVia(message);
  if (text === undefined) return;
  const { host, port } = message.via;
  const partner =
    plan.standIn ?? (parts.identity.isSelf(host, port) ? undefined : parts.member({ host, port: port || 5_060 }));
  const adopted = partner === undefined ? text : adoptRecordRoute(text, partner, parts.identity);
  server.respond(message.status, adopted);
}

interface Candidate {
  readonly status: number;
  readonly reason: string;
  readonly fields?: string | undefined;
  readonly response?: SipMessage;
}

/** Within a class these tell the caller what to do next and are preferred (RFC 3261 §16.7 item 6). */
const telling: ReadonlySet<number> = new Set([401, 407, 415, 420, 484]);

/** RFC 3261 §16.7 item 6: 6xx first, then the lowest class; 503 is the last of its class. */
function isBetter(a: Candidate, b: Candidate): boolean {
  const rank = ({ status }: Candidate): number => {
    if (status >= 600) return 0;
    const within = telling.has(status) ? 0 : status === 408 || status === 503 ? 2 : 1;
    return Math.floor(status / 100) * 10 + within;
  };
  return rank(a) < rank(b);
}

function fieldLines(message: SipMessage, id: HeaderId): string {
  let lines = '';
  for (let i = message.fieldIndex(id); i >= 0; i = message.fieldIndex(id, i))
    lines += `${message.text.slice(message.fieldStart(i), message.valueStop(i))}\r\n`;
  return lines;
}

/** The 200 of a CANCEL says nothing about the INVITE, and no request but INVITE has two final responses to pass on. */
const ignoreAnswer: ClientUser = {
  onResponse: () => undefined,
  onTimeout: () => undefined,
  onTransportError: () => undefined,
};
