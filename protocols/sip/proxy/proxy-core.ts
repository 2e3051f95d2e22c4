/**
 * The proxy core (RFC 3261 §16): receive → validate → pre-process routes → resolve targets → forward, and responses back.
 * What it is asked to do for a message is one straight line; what happens to it afterwards is the response context's.
 */
import {
  type AddressResolver,
  type Cluster,
  type ControllerAddress,
  type Flow,
  type Metrics,
  type OverloadControl,
  UnorderedSet,
} from '../../../src/internal.ts';
import type { SipAssembler } from '../adapter.ts';
import { H, type HeaderId } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isSipScheme, parseUri, type SipUri } from '../codec/uri.ts';
import { parseNameAddr, parseVia, unfold } from '../codec/values.ts';
import type { SipConfig } from '../config.ts';
import type { Identity } from '../identity.ts';
import { MessageCounts } from '../message-counts.ts';
import type { EarlyRefusal } from '../overload/early-refusal.ts';
import type { HopFeedback } from '../overload/hop-feedback.ts';
import type { NextHopControl } from '../overload/next-hop-control.ts';
import { Shedding } from '../overload/shedding.ts';
import { nameAddrAlternates, viaAlternates } from '../path.ts';
import type { Respond } from '../registrar/registrar.ts';
import { requestKey } from '../transactions/keys.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import type { Trunks } from '../trunks/trunks.ts';
import { Admission, type Refusal, type Standing } from './admission.ts';
import type { BranchHost } from './branch-host.ts';
import type { CarriedInvites } from './carried-invites.ts';
import { RoutingExplanation } from './explain-routing.ts';
import type { FlowNaming } from './flow-naming.ts';
import type { TargetGroups } from './flow-targets.ts';
import type { Flows } from './flows.ts';
import { type ForeignResponseParts, ForeignResponses } from './foreign-responses.ts';
import { type Fork, ForkControl, type Pass } from './fork-control.ts';
import { LocalAnswers } from './local-answers.ts';
import { otherMembers } from './other-members.ts';
import { RegisterAnswers } from './register-answers.ts';
import { type ContextParts, ResponseContext } from './response-context.ts';
import { RoutePlanning, type TakenOver } from './route-planning.ts';
import { RoutePreprocessing, type Routing, unreadable, unroutable } from './route-preprocessing.ts';
import type { DialogProof } from './route-user.ts';
import { StatelessForwarding } from './stateless-forwarding.ts';
import { StoreLookups } from './store-lookups.ts';
import { onlyOneTag, stripTags } from './strip.ts';
import type { OwnRequests } from './target.ts';
import { type RoutingTable, TargetSet } from './target-set.ts';
import type { PathTrust } from './trust.ts';

export interface ProxyParts
  extends Omit<ContextParts, 'ended' | 'member' | 'flowToken' | 'onRenewal' | 'announcesTo' | 'passing'> {
  readonly flows: Flows;
  readonly flowNaming: FlowNaming;
  readonly config: SipConfig;
  readonly assembler: SipAssembler;
  readonly resolver: AddressResolver;
  readonly cluster: Cluster;
  readonly metrics: Metrics;
  readonly trust: PathTrust;
  readonly dialogs: DialogProof;
  readonly trunks: Trunks;
  readonly takenOver?: TakenOver | undefined;
  readonly workers?: ForeignResponseParts['workers'];
  /** REGISTER for a domain of ours. */
  register(request: SipMessage, flow: Flow, respond: Respond): void;
  /** undefined: the sender may go on; else the challenge or refusal to send. */
  authenticate(request: SipMessage, flow: Flow, target: SipUri): Refusal | undefined;
  readonly carried: CarriedInvites;
  /** Is this user one we know, registered or not? */
  knows(uri: SipUri): boolean;
  /** May a registered contact whose host is a name lead to this address? */
  mayLead(address: ControllerAddress): boolean;
  /** Does it come from this machine? */
  isWithin(from: Flow): boolean;
  /** May what somebody outside wrote lead there? */
  mayReach(address: ControllerAddress, from: Flow): boolean;
  /** Are these credentials meant for us? undefined: we ask nobody for any. */
  readonly consumes?: ((credentials: string) => boolean) | undefined;
  readonly userAgent: LocalUserAgent;
  /** How much new work is taken, and what the hops before us hear of it; absent: all of it, and nothing. */
  readonly load?: LoadParts | undefined;
  /** What next hops ask of us; absent: they are not told that we would obey. */
  readonly nextHopControl?: NextHopControl | undefined;
}

export interface LoadParts {
  readonly overload: OverloadControl;
  readonly feedback: HopFeedback;
  readonly early: EarlyRefusal;
}

/** What stands beside the proxy core and answers for numbers of lines. */
export interface LocalUserAgent extends OwnRequests {
  /** Is it for a number that a line has? */
  isFor(uri: SipUri): boolean;
  /** Has a line this number, in whatever form? */
  hasLine(number: string): boolean;
  /** An INVITE whose sender says that he is a line, and is none, is refused so. */
  falseCaller(request: SipMessage, flow: Flow): Refusal | undefined;
  /** Did it send what came over this flow? */
  isOwn(flow: Flow): boolean;
  /** ... in a dialog whose peer may not lead it to configured hops? */
  isGuarded(flow: Flow): boolean;
  /** A request with a To tag; false: of no dialog of the user agent's. */
  takes(request: SipMessage, flow: Flow): boolean;
  /** A request for a number of a line, outside of any dialog that is known. */
  onRequest(request: SipMessage, flow: Flow, uri: SipUri, key: string): void;
  /** Does this host in a Via name a member's user agent? */
  isNamed(host: string): boolean;
  /** A response to a request that the user agent of another member sent, or ours in an earlier life. */
  adopt(response: SipMessage): void;
}

export class ProxyCore {
  readonly #parts: ProxyParts;
  readonly #context: ContextParts;
  readonly #layer: TransactionLayer;
  readonly #identity: Identity;
  readonly #admission: Admission;
  readonly #open = new UnorderedSet<ResponseContext>();
  readonly #routes: RoutePreprocessing;
  readonly #targets: TargetSet;
  readonly #planning: RoutePlanning;
  readonly #answers: LocalAnswers;
  readonly #registers: RegisterAnswers;
  readonly #stateless: StatelessForwarding;
  readonly #foreign: ForeignResponses;
  readonly #forkControl: ForkControl;
  /** Emergency calls that are being set up: they are not shed, and not without bound. */
  readonly #emergencies = new Set<BranchHost>();
  /** Contexts whose branches are counted. */
  readonly #forks = new Map<ResponseContext, Fork>();
  readonly #explanation: RoutingExplanation;
  readonly #counts: MessageCounts;
  readonly #shedding: Shedding | undefined;
  readonly #stored: StoreLookups;

  constructor(parts: ProxyParts) {
    this.#parts = parts;
    const explain = new RoutingExplanation(parts.log, parts.layer.transmitter.pool);
    this.#explanation = explain;
    this.#context = {
      ...parts,
      explain,
      member: (address) => parts.assembler.member(address),
      flowToken: (flow) => parts.flows.tokenOf(flow),
      onRenewal: (subscriber, run) => parts.flows.onRenewal(subscriber, run),
      announcesTo: ({ hop, trunk }) =>
        parts.nextHopControl !== undefined && (trunk !== undefined || parts.trust.isConfigured(hop)),
      passing: (addresses, context) =>
        parts.nextHopControl?.passing(addresses, context.request.toTag === '' && !this.#emergencies.has(context)) ??
        addresses,
      ended: (context) => {
        this.#open.delete(context);
        this.#emergencies.delete(context);
        if (this.#forks.size > 0) this.#endFork(context);
      },
    };
    this.#layer = parts.layer;
    this.#identity = parts.identity;
    const { metrics, identity, trust, resolver, layer } = parts;
    const members = otherMembers(parts.cluster);
    this.#forkControl = new ForkControl(parts);
    this.#stored = new StoreLookups(parts);
    this.#routes = new RoutePreprocessing(parts);
    this.#targets = new TargetSet({
      identity,
      trust,
      flows: parts.flows,
      config: parts.config,
      trunks: parts.trunks,
      dialogs: parts.dialogs,
      contacts: (record) => resolver.contactsOf(record),
      isOwnNumber: (number) => resolver.isUser(number) || parts.userAgent.hasLine(number),
      knows: (uri) => parts.knows(uri),
      mayLead: (address) => parts.mayLead(address),
      isWithin: (from) => parts.isWithin(from),
      mayReach: (address, from) => parts.mayReach(address, from),
      isGuarded: (from) => parts.userAgent.isGuarded(from),
      ...members,
    });
    this.#planning = new RoutePlanning({ ...parts, ...members });
    this.#registers = new RegisterAnswers(layer, (request, flow, respond) => parts.register(request, flow, respond));
    this.#answers = new LocalAnswers(layer, identity, explain, parts.watch);
    this.#stateless = new StatelessForwarding(parts);
    this.#foreign = new ForeignResponses(parts);
    this.#admission = new Admission({
      isOn: parts.config.auth.invite,
      identity,
      trust,
      dialogs: parts.dialogs,
      metrics,
      ...members,
      isGuarded: (flow) => parts.userAgent.isGuarded(flow),
      isCallable: (uri) => resolver.contactsOf(identity.record(uri)).length > 0 || parts.userAgent.isFor(uri),
      isTrunk: (flow) => parts.trunks.from(flow) !== undefined,
      isEmergency: (request, way) => this.#targets.isEmergency(request, way),
      authenticate: (request, flow) => parts.authenticate(request, flow, unroutable),
    });
    this.#counts = new MessageCounts(metrics);
    if (parts.load !== undefined)
      this.#shedding = new Shedding({
        ...parts.load,
        isOwn: (flow) => parts.userAgent.isOwn(flow),
        isEmergency: (request, flow) =>
          this.#emergencies.size < maxEmergencies &&
          this.#targets.isEmergency(request, this.#routes.routing(request, flow)),
      });
  }

  /** Requests without a final answer yet. */
  get pending(): number {
    return this.#open.items.length;
  }

  /** What is being set up or otherwise awaits its final answer, for `altpath calls`. */
  calls(): readonly Readonly<Record<string, unknown>>[] {
    return this.#open.items.map(({ request }) => ({
      callId: request.callId,
      method: request.method,
      from: request.from.uri,
      to: request.requestUri,
    }));
  }

  /** From the next request on; what is under way keeps its hops. */
  reroute(table: RoutingTable): void {
    this.#targets.reroute(table);
  }

  get isDraining(): boolean {
    return this.#answers.isDraining;
  }

  /** From now on new work is refused, what is open goes on. */
  drain(): void {
    this.#answers.drain();
  }

  onMessage(received: SipMessage, flow: Flow): void {
    const message = this.#parts.trust.strips(flow)
      ? stripTags(received, (id, value) => this.#isOurTag(id, value))
      : received;
    // Nothing readable is left of what a stranger made up.
    if (message === undefined) return;
    if (message.isRequest) {
      this.#counts.request(message.method);
      this.#onRequest(message, flow);
    } else {
      this.#counts.response(message.method, message.status);
      this.#onResponse(message, flow);
    }
  }

  /** What we, or hops that the operator named, wrote into a dialog comes back from telephones and stays. */
  #isOurTag(id: HeaderId, value: string): boolean {
    const { trust } = this.#parts;
    const text = unfold(value).trim();
    if (id === H.via) {
      const via = parseVia(text);
      if (via === undefined) return false;
      return trust.vouches(via.host, this.#identity.isSelf(via.host, via.port), viaAlternates(via)) && onlyOneTag(text);
    }
    const entry = parseNameAddr(text);
    const uri = entry === undefined ? undefined : parseUri(entry.uri);
    if (entry === undefined || uri === undefined) return false;
    const isSelf = this.#identity.isSelf(uri.host, uri.port);
    return trust.vouches(uri.host, isSelf, nameAddrAlternates(entry)) && onlyOneTag(text);
  }

  #onResponse(message: SipMessage, flow: Flow): void {
    const transaction = this.#layer.client(message);
    if (transaction !== undefined) {
      this.#parts.nextHopControl?.heard(message.via, flow, transaction.flow);
      transaction.receive(message, flow);
      return;
    }
    this.#foreign.receive(message, flow);
  }

  #onRequest(request: SipMessage, flow: Flow): void {
    const key = requestKey(request);
    const known = this.#layer.server(request, key);
    if (known !== undefined && !(request.method === 'ACK' && known.state === 'accepted')) {
      known.receive(request, flow);
      return;
    }
    if (request.method === 'CANCEL') {
      this.#onCancel(request, flow);
      return;
    }
    const { userAgent } = this.#parts;
    // Most of what comes under overload: the end of what was refused.
    if (this.#shedding?.isActive === true && request.method === 'ACK' && this.#endsRefusal(request)) return;
    if (request.toTag !== '' && userAgent.takes(request, flow)) return;
    if (request.maxForwards === 0 && request.method === 'OPTIONS') {
      // How peers ask whether we live: nothing is kept of it. For our domains we are the final recipient (RFC 3261 §11, §16.3 item 3).
      const isOurs = request.uri !== undefined && this.#identity.isLocal(request.uri);
      this.#answers.refuseStateless(
        request,
        flow,
        isOurs ? this.#answers.abilities(request) : { status: 483, reason: 'Too Many Hops' },
      );
      return;
    }
    const shed = request.method === 'ACK' ? undefined : this.#shedding?.refusal(request, flow);
    if (shed !== undefined) {
      this.#answers.shed(request, flow, shed);
      return;
    }
    const routing = this.#routes.routing(request, flow);
    let standing = this.#admission.standing(request, flow, routing);
    if (request.method === 'ACK') {
      if (this.#endsRefusal(request)) return;
      if (standing !== 'stranger' || this.#admission.mayPass(routing, known !== undefined))
        this.#forwardStateless(request, flow, routing, standing);
      return;
    }
    if (this.#stored.holdsEarly(request, routing, () => this.#onRequest(request, flow))) return;
    const pass = this.#forkControl.pass(request);
    let refusal = this.#validate(request, flow, routing, pass);
    if (refusal === undefined && standing === 'stranger') {
      const asked = this.#ask(request, flow, routing);
      if (typeof asked === 'string') standing = asked;
      else refusal = asked;
      if (refusal?.isCarried && this.#parts.carried.hold(request, flow, (held, from) => this.#onRequest(held, from)))
        return;
    }
    if (refusal !== undefined) {
      // RFC 3261 §26.3.2.4: the sender may be forged. Each copy is answered once, and nothing is kept of it.
      this.#answers.refuseStateless(request, flow, refusal);
      return;
    }
    if (routing.next === undefined && request.method === 'REGISTER' && this.#identity.isLocal(routing.uri)) {
      this.#registers.take(request, flow, key);
      return;
    }
    if (this.#answers.isAsked(request, routing)) {
      // Every copy is answered alike (RFC 3261 §8.2.7).
      this.#answers.refuseStateless(request, flow, this.#answers.abilities(request));
      return;
    }
    this.#forward(request, flow, key, routing, standing, pass);
  }

  /** To a line of ours, or to wherever it goes. */
  #forward(request: SipMessage, flow: Flow, key: string, routing: Routing, standing: Standing, pass: Pass): void {
    const { userAgent } = this.#parts;
    const line = userAgent.isOwn(flow) ? undefined : this.#lineFor(request, routing, standing);
    if (line !== undefined) {
      userAgent.onRequest(request, flow, line, key);
      return;
    }
    const found = userAgent.falseCaller(request, flow) ?? this.#targets.of(request, routing, standing);
    const reached = 'status' in found ? found : this.#ofTrunks(found, request, routing);
    const isUnknown = 'status' in reached && reached.status === 404;
    const targets = (isUnknown ? this.#stored.doubt(request) : undefined) ?? reached;
    if ('status' in targets) {
      const again = (): void => {
        // A copy may have come meanwhile.
        if (this.#layer.server(request, key) === undefined) this.#forward(request, flow, key, routing, standing, pass);
      };
      if (this.#stored.holds(request, routing, again)) return;
      // Where nobody has shown who he is, the same holds as above (RFC 3261 §8.2.7).
      if (standing === 'open' || standing === 'stranger' || standing === 'trunk')
        this.#answers.refuseStateless(request, flow, targets);
      else this.#answers.refuse(this.#layer.accept(request, flow, key), request, targets);
      return;
    }
    this.#explanation.routed(request, flow, standing, targets);
    const server = this.#layer.accept(request, flow, key);
    const fork = this.#forkControl.take(request, routing, targets, pass);
    if (fork !== undefined && 'status' in fork) {
      this.#answers.refuse(server, request, fork);
      return;
    }
    const plan = this.#planning.plan(request, routing, standing, targets, this.#targets.isEdge);
    const context = new ResponseContext(this.#context, server, request, plan);
    this.#open.add(context);
    if (this.#targets.isEmergency(request, routing)) this.#emergencies.add(context);
    if (fork !== undefined) this.#forks.set(context, fork);
    context.start(targets);
  }

  /** The number of a line that the request is for. A carrier may mean it in more than one way; for help the trunks are asked first. */
  #lineFor(request: SipMessage, routing: Routing, standing: Standing): SipUri | undefined {
    const { userAgent } = this.#parts;
    if (routing.next !== undefined) return undefined;
    if (standing === 'trunk') return this.#targets.calledByTrunk(request, routing).find((uri) => userAgent.isFor(uri));
    if (!userAgent.isFor(routing.uri)) return undefined;
    return this.#targets.emergency(request, routing) === undefined ? routing.uri : undefined;
  }

  /** A request of a dialog with a carrier may be challenged like the one that began it: by whose hop, its target is told. */
  #ofTrunks(targets: TargetGroups, request: SipMessage, { dialog, from }: Routing): TargetGroups {
    const { trunks, dialogs, userAgent } = this.#parts;
    if (trunks.all.length === 0 || request.toTag === '') return targets;
    if (!dialogs.provesPart(dialog, request) && !userAgent.isOwn(from)) return targets;
    return targets.map((group) => group.map((target) => ({ ...target, trunk: trunks.at(target.hop) })));
  }

  /** Is there no room for one more transaction like this? Requests of a dialog come first. */
  #isFull({ text, toTag }: SipMessage, flow: Flow): boolean {
    const { size, memory } = this.#layer;
    // It is kept as it came and as it leaves, as text and as octets.
    const octets = 3 * text.length;
    return (
      size > maxTransactions || !(toTag === '' ? memory.mayBegin(flow.remote.host, octets) : memory.mayGoOn(octets))
    );
  }

  /** The ACK of a refusal that we keep nothing of goes no further. */
  #endsRefusal(ack: SipMessage): boolean {
    return this.#identity.isLocalTag(ack);
  }

  /** RFC 3261 §16.10: to the INVITE it means, before the 200 that ends its repetitions; without one, statelessly where that would go. */
  #onCancel(cancel: SipMessage, flow: Flow): void {
    const invite = this.#layer.cancelled(cancel);
    if (invite === undefined) {
      const routing = this.#routes.routing(cancel, flow);
      const standing = this.#admission.standing(cancel, flow, routing);
      const { backupFor } = this.#parts.cluster;
      // Its INVITE may have been a dead partner's.
      if (standing !== 'stranger' || this.#admission.mayPass(routing, backupFor.length > 0))
        this.#forwardStateless(cancel, flow, routing, standing);
      return;
    }
    const server = this.#layer.accept(cancel, flow);
    invite.user?.cancel(cancel.allNamed('Reason'));
    this.#answers.refuse(server, cancel, { status: 200, reason: 'OK' });
  }

  #validate(request: SipMessage, flow: Flow, routing: Routing, pass: Pass): Refusal | undefined {
    // An emergency call is the last to be shed.
    const isEmergency = this.#targets.isEmergency(request, routing) && this.#emergencies.size < maxEmergencies;
    if (!isEmergency && this.#isFull(request, flow))
      return { status: 503, reason: 'Service Unavailable', fields: 'Retry-After: 5\r\n' };
    if (!isSipScheme(routing.uri.scheme) && routing.uri.scheme !== 'tel')
      return { status: 416, reason: 'Unsupported URI Scheme' };
    if (routing.next === unreadable) return { status: 400, reason: 'Bad Request - Route' };
    if (request.maxForwards === 0 && !this.#endsHere(request, routing)) return { status: 483, reason: 'Too Many Hops' };
    if (pass === 'loop') return { status: 482, reason: 'Loop Detected' };
    const unsupported = request.list(H.proxyRequire);
    if (unsupported.length > 0)
      return { status: 420, reason: 'Bad Extension', fields: `Unsupported: ${unsupported.join(', ')}\r\n` };
    if (this.#answers.isDraining && request.toTag === '' && !isEmergency)
      return { status: 503, reason: 'Service Unavailable - draining', fields: 'Retry-After: 10\r\n' };
    return undefined;
  }

  /** REGISTER for our domains is its registrar's to challenge. */
  #ask(request: SipMessage, flow: Flow, routing: Routing): Refusal | Standing {
    const isRegistrars =
      request.method === 'REGISTER' && routing.next === undefined && this.#identity.isLocal(routing.uri);
    return isRegistrars ? 'stranger' : this.#admission.ask(request, flow, routing);
  }

  #endFork(context: ResponseContext): void {
    const fork = this.#forks.get(context);
    if (fork === undefined) return;
    this.#forks.delete(context);
    this.#forkControl.release(fork);
  }

  /** A request for the registrar is at its destination: Max-Forwards has no say any more (RFC 3261 §16.3 item 3). */
  #endsHere({ method }: SipMessage, { next, uri }: Routing): boolean {
    return method === 'REGISTER' && next === undefined && isSipScheme(uri.scheme) && this.#identity.isLocal(uri);
  }

  /** ACK for a 2xx, and CANCEL without its INVITE (RFC 3261 §16.6, §16.10, §16.11): to each target once. */
  #forwardStateless(request: SipMessage, flow: Flow, routing: Routing, standing: Standing): void {
    if (request.maxForwards === 0) return;
    const targets = this.#targets.of(request, routing, standing);
    if ('status' in targets) {
      if (request.method === 'CANCEL')
        this.#answers.refuseStateless(request, flow, { status: 481, reason: 'Call/Transaction Does Not Exist' });
      return;
    }
    // What is not kept is not counted as open, but must not multiply either.
    const pass = this.#forkControl.pass(request);
    if (pass === 'loop') return;
    const fork = this.#forkControl.take(request, routing, targets, pass);
    if (fork !== undefined && 'status' in fork) return;
    if (fork !== undefined) this.#forkControl.release(fork);
    const plan = this.#planning.plan(request, routing, standing, targets, this.#targets.isEdge);
    this.#stateless.forward(request, flow, plan, targets);
  }
}

/** Transactions in hand above which new requests are told to come back later: memory is finite. */
const maxTransactions = 400_000;

/** Emergency calls that are set up at a time, before they are taken for a flood and shed like others. */
const maxEmergencies = 1_000;
