/**
 * The proxy core (RFC 3261 §16): receive → validate → pre-process routes → resolve targets → forward, and responses back.
 * What it is asked to do for a message is one straight line; what happens to it afterwards is the response context's.
 */
import {
  type AddressResolver,
  type Assembler,
  Bag,
  type Cluster,
  type Contact,
  type ControllerAddress,
  type Counter,
  type Flow,
  formatSocketAddress,
  isSecure,
  type Metrics,
  type NamedHop,
} from '../../src/internal.ts';
import { probeIdOf } from './adapter.ts';
import { Admission, isOfDialog, type Refusal, type Standing, type Way } from './admission.ts';
import { nameAddrAlternates, uriAddress, uriHop, viaAlternates } from './alternate-path.ts';
import { isOtherVersion, loopPartOf } from './branch.ts';
import type { CarriedInvites } from './carried-invites.ts';
import type { SipConfig } from './config.ts';
import { dialledNumber, phoneContext, redial } from './dialled-number.ts';
import { response, toBytes } from './encode.ts';
import type { FlowNaming } from './flow-naming.ts';
import { FlowTargets } from './flow-targets.ts';
import type { Flows } from './flows.ts';
import { ForkBudget } from './fork-budget.ts';
import { forkMark, forwardedText, stampedVia } from './forward.ts';
import { H, type HeaderId } from './header-names.ts';
import { ackForAdopted } from './hop-requests.ts';
import type { Identity } from './identity.ts';
import type { SipMessage } from './messages.ts';
import { type ContextParts, type ProxyTarget, ResponseContext, type RoutePlan, reachable } from './response-context.ts';
import { retryAfterMs } from './retry-after.ts';
import { type DialogProof, type RouteUser, readRouteUser } from './route-user.ts';
import { onlyOneTag, stripTags } from './strip.ts';
import { adoptRecordRoute } from './takeover.ts';
import {
  reply,
  requestKey,
  type ServerTransaction,
  type TransactionLayer,
  viaAddress,
  withoutTopVia,
} from './transaction.ts';
import type { PathTrust } from './trust.ts';
import { UnansweredRequests } from './unanswered.ts';
import { isSipScheme, parseUri, type SipUri, uriParam } from './uri.ts';
import { type NameAddr, param, parseNameAddr, parseVia, unfold, type Via } from './values.ts';

export interface ProxyParts extends Omit<ContextParts, 'ended' | 'member' | 'flowToken' | 'onRenewal'> {
  readonly flows: Flows;
  readonly flowNaming: FlowNaming;
  readonly config: SipConfig;
  readonly assembler: Assembler<SipMessage>;
  readonly resolver: AddressResolver;
  readonly cluster: Cluster;
  readonly metrics: Metrics;
  readonly trust: PathTrust;
  readonly dialogs: DialogProof;
  /** REGISTER for a domain of ours. */
  register(request: SipMessage, flow: Flow, respond: (status: number, text: string) => void): void;
  /** undefined: the sender may go on; else the challenge or refusal to send. */
  authenticate(request: SipMessage, flow: Flow, target: SipUri): Refusal | undefined;
  readonly carried: CarriedInvites;
  /** Is this user one we know, registered or not? */
  knows(uri: SipUri): boolean;
  /** May a registered contact whose host is a name lead to this address? */
  mayLead(address: ControllerAddress): boolean;
  /** Are these credentials meant for us? undefined: we ask nobody for any. */
  readonly consumes?: ((credentials: string) => boolean) | undefined;
}

/** Where requests go that are not for users of ours. */
export type RoutingTable = Pick<SipConfig, 'routes' | 'defaultRoute'>;

const leadsOn = ({ routes, defaultRoute }: RoutingTable): boolean => routes.length > 0 || defaultRoute !== undefined;

/** Transactions in hand above which new requests are told to come back later: memory is finite. */
const maxTransactions = 400_000;

export class ProxyCore {
  readonly #parts: ProxyParts;
  readonly #context: ContextParts;
  readonly #layer: TransactionLayer;
  readonly #identity: Identity;
  readonly #admission: Admission;
  readonly #open = new Bag<ResponseContext>();
  readonly #budget: ForkBudget;
  /** Contexts whose branches are counted. */
  readonly #forks = new Map<ResponseContext, Fork>();
  readonly #requests: Counter;
  readonly #responses: Counter;
  readonly #stray: Counter;
  readonly #takeovers: Counter;
  readonly #unanswered: UnansweredRequests;
  /** Partners, so bounded by the configuration. */
  readonly #otherVersions = new Set<string>();
  readonly #flowTargets: FlowTargets;
  readonly #hopSets = new WeakMap<readonly NamedHop[], HopSet>();
  /** Hops that the operator configured, and what their names stand for: no contact and no dialog of others leads there. */
  readonly #barred = (address: ControllerAddress): boolean => this.#parts.trust.isConfigured(address);
  readonly #learn = (addresses: readonly ControllerAddress[]): void => this.#parts.trust.learn(addresses);
  /** Requests go on to hops behind us. */
  #isEdge: boolean;
  #routing: RoutingTable;
  #draining = false;
  readonly #startedMs: number;

  constructor(parts: ProxyParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.now();
    this.#context = {
      ...parts,
      member: (address) => parts.assembler.member(address),
      flowToken: (flow) => parts.flows.tokenOf(flow),
      onRenewal: (subscriber, run) => parts.flows.onRenewal(subscriber, run),
      ended: (context) => {
        this.#open.delete(context);
        if (this.#forks.size > 0) this.#endFork(context);
      },
    };
    this.#budget = new ForkBudget(parts.clock, parts.config);
    this.#layer = parts.layer;
    this.#flowTargets = new FlowTargets({
      flows: parts.flows,
      identity: parts.identity,
      forking: parts.config.forking,
      contacts: (record) => parts.resolver.locate(record),
      mayLead: (address) => parts.mayLead(address),
    });
    this.#unanswered = new UnansweredRequests(parts.layer.transmitter);
    this.#routing = parts.config;
    this.#isEdge = leadsOn(parts.config);
    this.#identity = parts.identity;
    const { metrics, identity, trust, resolver } = parts;
    const { backups, backupFor } = parts.cluster;
    const members = new Set([...backups, ...backupFor].map(({ host }) => host));
    this.#admission = new Admission({
      isOn: parts.config.auth.invite,
      identity,
      trust,
      dialogs: parts.dialogs,
      metrics,
      isMember: (host) => members.has(host),
      isRegistered: (uri) => resolver.locate(identity.record(uri)).length > 0,
      authenticate: (request, flow) => parts.authenticate(request, flow, unroutable),
    });
    this.#requests = metrics.counter('sip_requests_total', 'SIP requests received');
    this.#responses = metrics.counter('sip_responses_total', 'SIP responses received');
    this.#stray = metrics.counter('sip_stray_responses_total', 'Responses that belong to no transaction of ours');
    this.#takeovers = metrics.counter('sip_takeovers_total', 'Messages handled in the place of a partner');
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
    this.#routing = table;
    this.#isEdge = leadsOn(table);
  }

  /** From now on new work is refused, what is open goes on. */
  drain(): void {
    this.#draining = true;
  }

  onMessage(received: SipMessage, flow: Flow): void {
    const message = this.#parts.trust.strips(flow)
      ? stripTags(received, (id, value) => this.#isOurTag(id, value))
      : received;
    // Nothing readable is left of what a stranger made up.
    if (message === undefined) return;
    if (message.isRequest) {
      this.#requests.add();
      this.#onRequest(message, flow);
    } else {
      this.#responses.add();
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
      transaction.receive(message, flow);
      return;
    }
    this.#onForeignResponse(message, flow);
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
    if (request.maxForwards === 0 && request.method === 'OPTIONS') {
      // How peers ask whether we live: nothing is kept of it. For our domains we are the final recipient (RFC 3261 §11, §16.3 item 3).
      const isOurs = request.uri !== undefined && this.#identity.isLocal(request.uri);
      this.#refuseStateless(
        request,
        flow,
        isOurs ? this.#abilities(request) : { status: 483, reason: 'Too Many Hops' },
      );
      return;
    }
    const routing = this.#preprocess(request, flow);
    let standing = this.#admission.standing(request, flow, routing);
    if (request.method === 'ACK') {
      if (this.#endsRefusal(request)) return;
      if (standing !== 'stranger' || this.#admission.mayPass(routing, known !== undefined))
        this.#forwardStateless(request, flow, routing, standing);
      return;
    }
    const pass = this.#pass(request);
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
      this.#refuseStateless(request, flow, refusal);
      return;
    }
    if (routing.next === undefined && request.method === 'REGISTER' && this.#identity.isLocal(routing.uri)) {
      this.#register(request, flow, key);
      return;
    }
    const server = this.#layer.accept(request, flow, key);
    if (routing.next === undefined && this.#serveLocally(request, server, routing)) return;
    const targets = this.#targets(request, routing, standing);
    const fork = 'status' in targets ? undefined : this.#takeFork(request, routing, targets, pass);
    if (fork !== undefined && 'status' in fork) {
      this.#refuse(server, request, fork);
      return;
    }
    const context = new ResponseContext(
      this.#context,
      server,
      request,
      this.#plan(request, routing, standing, targets),
    );
    this.#open.add(context);
    if (fork !== undefined) this.#forks.set(context, fork);
    if ('status' in targets) context.refuse(targets.status, targets.reason);
    else context.start(targets);
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

  /** RFC 3261 §16.10: to the INVITE it means; without one, statelessly where that INVITE would go. */
  #onCancel(cancel: SipMessage, flow: Flow): void {
    const invite = this.#layer.cancelled(cancel);
    if (invite === undefined) {
      const routing = this.#preprocess(cancel, flow);
      const standing = this.#admission.standing(cancel, flow, routing);
      const { backupFor } = this.#parts.cluster;
      // Its INVITE may have been a dead partner's.
      if (standing !== 'stranger' || this.#admission.mayPass(routing, backupFor.length > 0))
        this.#forwardStateless(cancel, flow, routing, standing);
      return;
    }
    const server = this.#layer.accept(cancel, flow);
    this.#refuse(server, cancel, { status: 200, reason: 'OK' });
    invite.user?.cancel(cancel.allNamed('Reason'));
  }

  // --- RFC 3261 §16.3: request validation -----------------------------------------------------------------------------------

  #validate(request: SipMessage, flow: Flow, routing: Routing, pass: Pass): Refusal | undefined {
    if (this.#isFull(request, flow))
      return { status: 503, reason: 'Service Unavailable', fields: 'Retry-After: 5\r\n' };
    if (!isSipScheme(routing.uri.scheme) && routing.uri.scheme !== 'tel')
      return { status: 416, reason: 'Unsupported URI Scheme' };
    if (request.maxForwards === 0 && !this.#endsHere(request, routing)) return { status: 483, reason: 'Too Many Hops' };
    if (pass === 'loop') return { status: 482, reason: 'Loop Detected' };
    const unsupported = request.list(H.proxyRequire);
    if (unsupported.length > 0)
      return { status: 420, reason: 'Bad Extension', fields: `Unsupported: ${unsupported.join(', ')}\r\n` };
    if (this.#draining && request.toTag === '')
      return { status: 503, reason: 'Service Unavailable - draining', fields: 'Retry-After: 10\r\n' };
    return undefined;
  }

  /** REGISTER for our domains is its registrar's to challenge. */
  #ask(request: SipMessage, flow: Flow, routing: Routing): Refusal | Standing {
    const isRegistrars =
      request.method === 'REGISTER' && routing.next === undefined && this.#identity.isLocal(routing.uri);
    return isRegistrars ? 'stranger' : this.#admission.ask(request, flow, routing);
  }

  /** RFC 5393 §4.2.2: does a Via of ours say that the request was here before, or that it even went the same way? */
  #pass(request: SipMessage): Pass {
    const first = request.fieldIndex(H.via);
    // Most come straight from a telephone, which is not us.
    if (isOnlyVia(request, first) && !this.#identity.isSelf(request.via.host, request.via.port)) return 'first';
    // Only a Via that shows one of our own addresses can be ours: one search per address, and nothing is parsed twice.
    if (!this.#identity.isNamedIn(request.text, request.fieldStart(first), request.scan.headersEnd)) return 'first';
    const mine = this.#parts.branches.loopPart(request);
    let pass: Pass = 'first';
    for (const value of request.list(H.via)) {
      const via = parseVia(value);
      if (via?.branch === undefined || !this.#identity.isSelf(via.host, via.port)) continue;
      if (loopPartOf(via.branch) === mine) return 'loop';
      pass = 'again';
    }
    return pass;
  }

  /** The branches of a fork, and of whatever comes back to us, are counted (RFC 5393 §5); a plain call is not worth it. */
  #takeFork(
    request: SipMessage,
    { uri }: Routing,
    targets: readonly (readonly ProxyTarget[])[],
    pass: Pass,
  ): Fork | Refusal | undefined {
    let count = 0;
    for (const group of targets) count += group.length;
    if (count < 2 && pass === 'first') return undefined;
    const record = this.#identity.record(uri);
    switch (this.#budget.take(request, record, count)) {
      case 'fits':
        return { record, count };
      case 'requestSpent':
        return { status: 440, reason: 'Max-Breadth Exceeded' };
      case 'userSpent':
        return { status: 503, reason: 'Service Unavailable', fields: 'Retry-After: 5\r\n' };
    }
  }

  #endFork(context: ResponseContext): void {
    const fork = this.#forks.get(context);
    if (fork === undefined) return;
    this.#forks.delete(context);
    this.#budget.release(fork.record, fork.count);
  }

  // --- RFC 3261 §16.4: route information ------------------------------------------------------------------------------------

  #preprocess(request: SipMessage, flow: Flow): Routing {
    let uri = request.uri ?? unroutable;
    let requestUri = request.requestUri;
    const first = request.fieldIndex(H.route);
    const own = first < 0 ? undefined : this.#onlyOwnRoute(request, first, uri);
    if (first < 0 || own !== undefined)
      return {
        uri,
        requestUri,
        next: undefined,
        rest: none,
        popRoutes: own === undefined ? 0 : 1,
        strict: false,
        token: this.#outgoing(own?.flow, 1, flow),
        dialog: own?.dialog,
        standIn: undefined,
        from: flow,
      };
    const written = request.list(H.route);
    const routes = written.map((entry) => parseNameAddr(entry));
    let end = routes.length;
    // A strict router has put our Record-Route URI into the Request-URI and the target last into Route.
    let strict = false;
    let dialog: string | undefined;
    let token: string | undefined;
    if (uriParam(uri, 'lr') !== undefined && this.#identity.isSelf(uri.host, uri.port)) {
      const last = routes.at(-1);
      const target = last === undefined ? undefined : parseUri(last.uri);
      if (last !== undefined && target !== undefined) {
        ({ dialog, flow: token } = readRouteUser(uri.user) ?? noUser);
        uri = target;
        requestUri = last.uri;
        end -= 1;
        strict = true;
      }
    }
    let popRoutes = 0;
    let standIn: ControllerAddress | undefined;
    while (popRoutes < end) {
      const entry = routes[popRoutes];
      const routeUri = entry === undefined ? undefined : parseUri(entry.uri);
      if (entry === undefined || routeUri === undefined || !isSipScheme(routeUri.scheme)) break;
      if (!this.#identity.isSelf(routeUri.host, routeUri.port, routeUri.scheme === 'sips')) {
        // Behind an entry of our own a partner's is the next hop like any other: it may live.
        if (popRoutes > 0 && standIn?.host !== routeUri.host) break;
        const partner = this.#partner(routeUri, entry, flow);
        if (partner === undefined) break;
        standIn ??= partner;
      }
      const user = readRouteUser(routeUri.user);
      token = user?.flow;
      dialog ??= user?.dialog;
      popRoutes += 1;
    }
    token = this.#outgoing(token, popRoutes, flow);
    const ahead = popRoutes > 0 ? this.#memberTokenAhead(routes.slice(popRoutes, end)) : undefined;
    if (ahead !== undefined) {
      token = ahead;
      popRoutes = end;
    }
    const next = popRoutes < end ? routes[popRoutes] : undefined;
    return {
      uri,
      requestUri,
      next,
      rest: written.slice(popRoutes, end),
      popRoutes,
      strict,
      token,
      dialog,
      standIn,
      from: flow,
    };
  }

  /**
   * Behind our own entries only those of one other member remain, and the last names a flow of it: the flow is what counts, for the
   * telephone may be at another member by now.
   */
  #memberTokenAhead(rest: readonly (NameAddr | undefined)[]): string | undefined {
    let token: string | undefined;
    let host: string | undefined;
    for (const entry of rest) {
      const uri = entry === undefined ? undefined : parseUri(entry.uri);
      const user = readRouteUser(uri?.user);
      if (uri === undefined || (host !== undefined && host !== uri.host)) return undefined;
      host = uri.host;
      token = user?.flow;
    }
    const way = this.#parts.flows.way(token);
    return way?.kind === 'member' && way.address.host === host ? token : undefined;
  }

  /** RFC 5626 §5.3.2: the sender's own token on top says that the request is outgoing, and nothing of where it goes. */
  #outgoing(token: string | undefined, popRoutes: number, from: Flow): string | undefined {
    return popRoutes === 1 && token !== undefined && this.#parts.flows.isFrom(token, from) ? undefined : token;
  }

  /** One Route entry, letter by letter the one that we write: what a dialog's requests have when no other proxy is in their path. */
  #onlyOwnRoute(request: SipMessage, index: number, uri: SipUri): RouteUser | undefined {
    if (uri.params !== '' || request.fieldIndex(H.route, index) >= 0) return undefined;
    const user = this.#identity.ownRouteUser(request.text, request.valueStart(index), request.valueStop(index));
    return user === '' ? noUser : readRouteUser(user);
  }

  /** The partner that a Route entry names, where we may act in its place: one of our cluster's, and if it is tagged, the tag means us. */
  #partner(uri: SipUri, entry: NameAddr, flow: Flow): ControllerAddress | undefined {
    const address = uriAddress(uri);
    if (address === undefined) return undefined;
    const alternates = nameAddrAlternates(entry) ?? none;
    const named = alternates.some(({ host, port }) => this.#identity.isSelf(host, port));
    // Meant for another member. A tag that names nobody we know is a stranger's, and counts for nothing.
    if (!named && alternates.some((each) => this.#parts.trust.knows(each))) return undefined;
    const { assembler } = this.#parts;
    // A backup of ours that stood in for us names us in turn; without its tag it is a hop like any other.
    const partner =
      assembler.partner(address) ??
      (named ? assembler.backup(address) : undefined) ??
      this.#memberByToken(uri, address);
    return partner === undefined ? undefined : { ...partner, transport: flow.transport };
  }

  /** A member that is listed with other ports, known by the token of a flow of its own. */
  #memberByToken(uri: SipUri, address: ControllerAddress): ControllerAddress | undefined {
    const way = this.#parts.flows.way(readRouteUser(uri.user)?.flow);
    return way?.kind === 'member' && way.address.host === address.host ? address : undefined;
  }

  // --- requests that end here -----------------------------------------------------------------------------------------------

  /** A challenge needs no transaction; whatever is worth remembering has one. */
  #register(request: SipMessage, flow: Flow, key: string): void {
    let server: ServerTransaction | undefined;
    let isDone = false;
    this.#parts.register(request, flow, (status, text) => {
      isDone = true;
      if (status === 401) reply(this.#layer.transmitter, request, flow, toBytes(text));
      else (server ?? this.#layer.accept(request, flow, key)).respond(status, text);
    });
    if (!isDone) server = this.#layer.accept(request, flow, key);
  }

  /** OPTIONS to ourselves; false: it is to be proxied. */
  #serveLocally(request: SipMessage, server: ServerTransaction, routing: Routing): boolean {
    const { uri } = routing;
    if (!isSipScheme(uri.scheme) || !this.#identity.isLocal(uri)) return false;
    if (uri.user !== undefined || request.method !== 'OPTIONS') return false;
    this.#refuse(server, request, this.#abilities(request));
    return true;
  }

  /** A request for the registrar is at its destination: Max-Forwards has no say any more (RFC 3261 §16.3 item 3). */
  #endsHere({ method }: SipMessage, { next, uri }: Routing): boolean {
    return method === 'REGISTER' && next === undefined && isSipScheme(uri.scheme) && this.#identity.isLocal(uri);
  }

  /** The answer to OPTIONS; whoever asks whether we live hears as well that we are leaving (RFC 3261 §11.2, §21.5.4). */
  #abilities({ end, scan }: SipMessage): Refusal {
    const [status, reason, retry] = this.#draining
      ? [503, 'Service Unavailable - draining', 'Retry-After: 10\r\n']
      : [200, 'OK', ''];
    // Its sender may be forged: the answer is at most three times as long.
    return { status, reason, fields: end - scan.start < telephonesOptions ? retry : `${retry}${abilities}` };
  }

  // --- RFC 3261 §16.5: targets ----------------------------------------------------------------------------------------------

  #targets(request: SipMessage, routing: Routing, standing: Standing): Targets | Refusal {
    const { uri, next } = routing;
    const isStranger = standing === 'stranger';
    // A proven dialog goes where Route and Request-URI say, a stranger's request to users: the table is for neither.
    const configured = () => (isStranger || isOfDialog(standing) ? undefined : this.#configured(routing));
    const barred = isStranger || standing === 'dialog' ? this.#barred : undefined;
    if (next !== undefined) return isStranger ? notAllowed : this.#towardsRoute(routing, next, barred);
    // A token of ours leads to one telephone: no route and no domain knows better.
    const byToken = isStranger || routing.token === undefined ? undefined : this.#byToken(request, routing, standing);
    if (byToken !== undefined) return byToken;
    const contacts = this.#contacts(uri);
    if (contacts.length === 0 && (!this.#identity.isLocal(uri) || uri.user === undefined)) {
      if (uri.scheme === 'tel' || this.#identity.isLocal(uri))
        return (
          configured() ??
          (uri.scheme === 'tel'
            ? { status: 416, reason: 'Unsupported URI Scheme' }
            : { status: 404, reason: 'Not Found' })
        );
      if (isStranger) return notAllowed;
      const direct = { ...this.#direct(routing), barred };
      // The Request-URI of a dialog is where its other end is: no route knows better.
      if (isOfDialog(standing)) return [[direct]];
      // Whoever had to show who he is brought no proof: his request is a new one, whatever its To says.
      if (request.toTag !== '' && standing !== 'user') return [[direct]];
      return configured() ?? [[direct]];
    }
    const groups = contacts.length === 0 ? none : this.#flowTargets.ofContacts(contacts, barred);
    if (groups.length > 0) return groups;
    // Every flow has ended (RFC 5626 §7), or the only place is a line of another protocol, which cannot be reached from here.
    if (contacts.length > 0) return { status: 480, reason: 'Temporarily Unavailable' };
    return (
      configured() ??
      (this.#parts.knows(uri)
        ? { status: 480, reason: 'Temporarily Unavailable' }
        : { status: 404, reason: 'Not Found' })
    );
  }

  /** Who is registered under the address, or under the number that it means (RFC 3261 §19.1.6). */
  #contacts(uri: SipUri): readonly Contact[] {
    const { user } = uri;
    if (user === undefined) return none;
    const { resolver } = this.#parts;
    if (uri.scheme === 'tel') {
      const context = phoneContext(uri);
      const home = { ...uri, scheme: 'sip', user: dialledNumber(user), host: context ?? '' };
      return context === undefined || this.#identity.isLocal(home)
        ? resolver.locate(this.#identity.record(home))
        : none;
    }
    if (!this.#identity.isLocal(uri)) return none;
    const contacts = resolver.locate(this.#identity.record(uri));
    const number = contacts.length > 0 ? user : dialledNumber(user);
    return number === user ? contacts : resolver.locate(this.#identity.record({ ...uri, user: number }));
  }

  /** The rest of a Route set leads on: its first entry is the next hop (RFC 3261 §16.6 items 6 and 7). */
  #towardsRoute(routing: Routing, next: NameAddr, barred: ProxyTarget['barred']): Targets | Refusal {
    const nextUri = parseUri(next.uri);
    if (nextUri === undefined) return { status: 400, reason: 'Bad Request - Route' };
    const address = uriAddress(nextUri);
    if (address === undefined) return { status: 416, reason: 'Unsupported URI Scheme' };
    const strictNext = uriParam(nextUri, 'lr') === undefined;
    const hop = uriHop(nextUri);
    const named = this.#parts.trust.alternates(nameAddrAlternates(next), routing.from, isSecure(address.transport));
    // A user agent need not keep the tag (RFC 3261 §12.1): what the operator configured beside this hop counts then.
    const alternates = named.length > 0 ? named : this.#parts.trust.configuredBeside(address);
    const common = { hop, alternates, barred, pushRoutes: none, q: 1_000 };
    // A strict router behind us takes its own URI as Request-URI and finds the target last in Route.
    if (strictNext)
      return [
        [{ ...common, requestUri: next.uri, rewriteRoutes: [...routing.rest.slice(1), `<${routing.requestUri}>`] }],
      ];
    return [[{ ...common, requestUri: routing.requestUri, rewriteRoutes: routing.strict ? routing.rest : undefined }]];
  }

  /** Where the URI itself says. */
  #direct({ uri, requestUri, strict }: Routing): ProxyTarget {
    const rewriteRoutes = strict ? none : undefined;
    return { requestUri, hop: uriHop(uri), alternates: none, pushRoutes: none, rewriteRoutes, q: 1_000 };
  }

  #byToken(request: SipMessage, routing: Routing, standing: Standing): Targets | Refusal | undefined {
    const barred = standing === 'dialog' ? this.#barred : undefined;
    const targets = this.#flowTargets.byToken(routing, request.to.uri, barred);
    if (barred === undefined || targets === undefined || 'status' in targets) return targets;
    // The connection of a configured hop is none for a dialog in which it has no part.
    const { trust } = this.#parts;
    return targets.some((group) => group.some(({ flow }) => flow !== undefined && trust.isTrusted(flow)))
      ? notAllowed
      : targets;
  }

  /** The routing table: the longest prefix wins, then the order of the list; a domain without a prefix after those with one. */
  #configured(routing: Routing): readonly (readonly ProxyTarget[])[] | undefined {
    const { uri } = routing;
    const user = dialledNumber(uri.user ?? '');
    // A number without a domain is one of ours to route.
    const domain = uri.scheme === 'tel' ? (phoneContext(uri) ?? this.#identity.name) : uri.host;
    const { routes, defaultRoute } = this.#routing;
    let best: SipConfig['routes'][number] | undefined;
    for (const route of routes) {
      if (route.domain !== undefined && route.domain !== domain) continue;
      if (route.prefix !== undefined && !user.startsWith(route.prefix)) continue;
      if (best === undefined || (route.prefix?.length ?? 0) > (best.prefix?.length ?? 0)) best = route;
    }
    const hops = best?.to ?? defaultRoute;
    const set = hops === undefined ? undefined : this.#hopSet(hops);
    if (set === undefined || this.#comesFrom(hops, routing)) return undefined;
    const requestUri =
      best === undefined || uri.user === undefined
        ? routing.requestUri
        : redial(routing.requestUri, uri.user, best.stripDigits, best.prepend);
    const { hop, others, pushRoutes } = set;
    return [[{ requestUri, hop, alternates: others, pushRoutes, resolved: this.#learn, q: 1_000 }]];
  }

  /** A route's hops as they are sent to; made once for each list of the configuration. */
  #hopSet(hops: readonly NamedHop[]): HopSet | undefined {
    const known = this.#hopSets.get(hops);
    if (known !== undefined) return known;
    const [hop, ...others] = hops;
    if (hop === undefined) return undefined;
    // A set of hops is said to the next one as well, so that whoever sees the message knows the alternates (docs/alternate-path.md §3).
    const pushRoutes = others.length === 0 ? none : [this.#parts.trust.routeSet(hop, others)];
    const set = { hop, others, pushRoutes };
    this.#hopSets.set(hops, set);
    return set;
  }

  /** A request that was routed to us by name, from the very hops that would be next, is not theirs any more: its URI says where it goes. */
  #comesFrom(hops: readonly NamedHop[] | undefined, { popRoutes, standIn, from }: Routing): boolean {
    return popRoutes > 0 && standIn === undefined && hops?.some(({ host }) => host === from.remote.host) === true;
  }

  // --- forwarding without state ---------------------------------------------------------------------------------------------

  /** ACK for a 2xx, and CANCEL without its INVITE (RFC 3261 §16.6, §16.10, §16.11): to each target once. */
  #forwardStateless(request: SipMessage, flow: Flow, routing: Routing, standing: Standing): void {
    if (request.maxForwards === 0) return;
    const targets = this.#targets(request, routing, standing);
    if ('status' in targets) {
      if (request.method === 'CANCEL')
        this.#refuseStateless(request, flow, { status: 481, reason: 'Call/Transaction Does Not Exist' });
      return;
    }
    // What is not kept is not counted as open, but must not multiply either.
    const pass = this.#pass(request);
    if (pass === 'loop') return;
    const fork = this.#takeFork(request, routing, targets, pass);
    if (fork !== undefined && 'status' in fork) return;
    if (fork !== undefined) this.#budget.release(fork.record, fork.count);
    const plan = this.#plan(request, routing, standing, targets);
    for (const group of targets) for (const target of group) this.#forwardOnce(request, flow, plan, target);
  }

  #forwardOnce(request: SipMessage, flow: Flow, plan: RoutePlan, target: ProxyTarget): void {
    const { nextHops, branches, identity, layer } = this.#parts;
    nextHops.resolve(target.hop, target.alternates, (resolution) => {
      if (!resolution.ok) return;
      const addresses = reachable(target, resolution.value);
      const branch = branches.branchFor(request, target.branchKey ?? target.requestUri);
      const encode = (out: Flow): Buffer =>
        toBytes(
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
            },
            out,
            identity,
          ),
        );
      if (addresses.length > 1) {
        this.#unanswered.send(`${request.method} ${branch}`, { addresses, flow: target.flow }, encode);
        return;
      }
      const [to] = addresses;
      const out = target.flow ?? (to === undefined ? undefined : layer.transmitter.flowTo(to));
      out?.send(encode(out));
    });
  }

  /** A response of no transaction here: a partner's, which its tag led to us, goes on by the next Via; anything else is dropped (RFC 6026 §7.3). */
  #onForeignResponse(message: SipMessage, flow: Flow): void {
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
    const isOrphan = !isOwn || this.#parts.clock.now() - this.#startedMs < this.#parts.timerCMs;
    if (message.method === 'INVITE' && message.status >= 300 && isOrphan) flow.send(ackForAdopted(message));
    // Another branch may still be answered. Whoever sent us the request sends it again to who takes over, and hears the best answer.
    if (message.status >= 300 && param(via.params, forkMark, 1) !== undefined) return;
    if (!isOwn) this.#takeovers.add();
    this.#adoptResponse(message, next, isOwn ? undefined : partner);
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

  #adoptResponse(message: SipMessage, next: Via, partner: ControllerAddress | undefined): void {
    const text = withoutTopVia(message);
    const to = message.status === 100 ? undefined : viaAddress(next);
    if (to === undefined || text === undefined) return;
    const adopted = partner === undefined ? text : adoptRecordRoute(text, partner, this.#identity);
    const { transmitter } = this.#layer;
    transmitter.sendOnce(to, () => toBytes(adopted));
  }

  #plan(request: SipMessage, routing: Routing, standing: Standing, targets: Targets | Refusal): RoutePlan {
    const recordRoute = this.#parts.config.recordRoute && recordRouted.has(request.method);
    // Nobody without a name speaks in a partner's.
    const standIn = standing === 'stranger' ? undefined : routing.standIn;
    if (standIn !== undefined) this.#takeovers.add();
    const path = request.method === 'REGISTER' && this.#isEdge;
    const { flowNaming } = this.#parts;
    const outbound = path && flowNaming.isOutbound(request);
    let fromToken: string | undefined;
    if (outbound) fromToken = flowNaming.outboundToken(request, routing.from);
    else if (recordRoute || path) fromToken = flowNaming.tokenFor(request, routing.from);
    return {
      popRoutes: routing.popRoutes,
      recordRoute,
      dialog: recordRoute ? this.#dialogOf(request, routing, standing, targets) : undefined,
      path,
      outbound,
      fromToken,
      standIn,
      consumes: this.#parts.consumes,
    };
  }

  /** What proves the dialog of this request: what it brought, or for a new one what we write now; nothing where nobody asks for it. */
  #dialogOf(
    request: SipMessage,
    { dialog }: Routing,
    standing: Standing,
    targets: Targets | Refusal,
  ): string | undefined {
    if (standing === 'open' || 'status' in targets) return undefined;
    if (request.toTag !== '' && dialog !== undefined && (isOfDialog(standing) || standing === 'trusted')) return dialog;
    const { dialogs, trust } = this.#parts;
    const toConfigured =
      standing === 'trusted' || targets.some((group) => group.some(({ hop }) => trust.isConfigured(hop)));
    return dialogs.write(request, toConfigured ? 'h' : 'd');
  }

  #refuse(server: ServerTransaction, request: SipMessage, refusal: Refusal): void {
    server.respond(refusal.status, this.#answer(request, server.flow, refusal));
  }

  #refuseStateless(request: SipMessage, flow: Flow, refusal: Refusal): void {
    reply(this.#layer.transmitter, request, flow, toBytes(this.#answer(request, flow, refusal)));
  }

  #answer(request: SipMessage, flow: Flow, { status, reason, fields }: Refusal): string {
    return response(request, status, reason, {
      toTag: this.#identity.localTag(request),
      fields,
      topVia: stampedVia(request, flow),
    });
  }
}

/** No telephone's OPTIONS has fewer octets. */
const telephonesOptions = 200;

/** Has the request been here before, by the Vias of ours on it? */
type Pass = 'first' | 'again' | 'loop';

interface Fork {
  readonly record: string;
  readonly count: number;
}

interface HopSet {
  readonly hop: NamedHop;
  readonly others: readonly NamedHop[];
  readonly pushRoutes: readonly string[];
}

type Targets = readonly (readonly ProxyTarget[])[];

/** What the wall let through by mistake would end here. */
const notAllowed: Refusal = { status: 403, reason: 'Forbidden' };

interface Routing extends Way {
  readonly uri: SipUri;
  readonly requestUri: string;
  /** The Route entry that is the next hop; undefined: the Request-URI decides. */
  readonly next: NameAddr | undefined;
  /** The entries from there on, as written. */
  readonly rest: readonly string[];
  readonly popRoutes: number;
  /** The Request-URI was ours by a strict router's doing. */
  readonly strict: boolean;
  /** The flow that the last Route entry of ours names. */
  readonly token: string | undefined;
  /** The dialog that a Route entry of ours claims; nothing is verified yet. */
  readonly dialog: string | undefined;
  readonly standIn: ControllerAddress | undefined;
  readonly from: Flow;
}

/** Requests that may set up a dialog or refresh its targets; a proxy that wants the later ones asks for it in these (RFC 3261 §16.6 item 4). */
const recordRouted: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER', 'NOTIFY', 'UPDATE']);

const abilities =
  'Accept: application/sdp\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, MESSAGE, SUBSCRIBE, NOTIFY, REFER, UPDATE, PRACK, INFO, PUBLISH\r\nSupported: path, outbound\r\n';

const none: readonly never[] = [];

const noUser: RouteUser = { dialog: undefined, flow: undefined };

const unroutable: SipUri = { scheme: '', user: undefined, host: '', port: 0, params: '', headers: '', text: '' };

/** Is the top Via, in its field at `index`, the only one? */
const isOnlyVia = (message: SipMessage, index: number): boolean =>
  message.valueStop(index) - message.valueStart(index) === message.via.text.length &&
  message.fieldIndex(H.via, index) < 0;

function nextVia(message: SipMessage): Via | undefined {
  const [, second] = message.list(H.via);
  return second === undefined ? undefined : parseVia(second);
}
