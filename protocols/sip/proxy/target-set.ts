/**
 * Where a request goes (RFC 3261 §16.5): along the rest of its Route, over the flow that a token names, to the contacts of a user, by
 * the operator's routing table, or where the Request-URI itself says.
 */
import { type Contact, type ControllerAddress, type Flow, isSecure, type NamedHop } from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { parseUri, type SipUri, uriParam } from '../codec/uri.ts';
import type { NameAddr } from '../codec/values.ts';
import type { SipConfig } from '../config.ts';
import type { Identity } from '../identity.ts';
import { nameAddrAlternates, uriAddress, uriHop } from '../path.ts';
import type { Trunks } from '../trunks/trunks.ts';
import { isOfDialog, type Refusal, type Standing } from './admission.ts';
import { dialledNumber, phoneContext, redial } from './dialled-number.ts';
import { FlowTargets, type TargetGroups } from './flow-targets.ts';
import type { Flows } from './flows.ts';
import type { OtherMembers } from './other-members.ts';
import type { Routing } from './route-preprocessing.ts';
import type { DialogProof } from './route-user.ts';
import type { ProxyTarget } from './target.ts';
import { calledNumbers, firstReached, TrunkTargets } from './trunk-targets.ts';
import type { PathTrust } from './trust.ts';

/** Where requests go that are not for users of ours. */
export type RoutingTable = Pick<SipConfig, 'routes' | 'defaultRoute'>;

export interface TargetParts extends Pick<OtherMembers, 'isMemberAt'> {
  readonly identity: Identity;
  readonly trust: PathTrust;
  readonly flows: Flows;
  readonly config: Pick<SipConfig, 'forking'> & RoutingTable;
  readonly trunks: Trunks;
  readonly dialogs: Pick<DialogProof, 'provesPart'>;
  /** The live contacts of a record, best first. */
  contacts(record: string): readonly Contact[];
  /** Has a user or line of ours this number, in whatever form? */
  isOwnNumber(number: string): boolean;
  /** Is this user one we know, registered or not? */
  knows(uri: SipUri): boolean;
  /** May a registered contact whose host is a name lead to this address? */
  mayLead(address: ControllerAddress): boolean;
  /** Does it come from this machine? */
  isWithin(from: Flow): boolean;
  /** May what somebody outside wrote lead there? */
  mayReach(address: ControllerAddress, from: Flow): boolean;
  /** Does the user agent beside us send it in a dialog whose peer is none of the operator's hops? */
  isGuarded(from: Flow): boolean;
}

export class TargetSet {
  readonly #parts: TargetParts;
  readonly #identity: Identity;
  readonly #flowTargets: FlowTargets;
  readonly #hopSets = new WeakMap<readonly NamedHop[], HopSet>();
  /** Hops that the operator configured, and what their names stand for: no contact and no dialog of others leads there. */
  readonly #barred = (address: ControllerAddress): boolean =>
    this.#parts.trust.isConfigured(address) || this.#isCarriers(address);
  /** The same for a dialog in which they have no part; another member may be in its path, and judges for itself. */
  readonly #barredInDialog = (address: ControllerAddress): boolean =>
    this.#barred(address) && !this.#parts.isMemberAt(address);
  readonly #isCarriers = (address: ControllerAddress): boolean => this.#parts.trunks.at(address) !== undefined;
  readonly #learn = (addresses: readonly ControllerAddress[]): void => this.#parts.trust.learn(addresses);
  readonly #trunkTargets: TrunkTargets;
  #routing: RoutingTable;
  #isEdge: boolean;

  constructor(parts: TargetParts) {
    this.#parts = parts;
    this.#identity = parts.identity;
    const { flows, identity, config } = parts;
    this.#flowTargets = new FlowTargets({
      flows,
      identity,
      forking: config.forking,
      contacts: (record) => parts.contacts(record),
      isEdge: (hop) => parts.trust.isConfigured(hop) && parts.trunks.at(hop) === undefined,
      mayLead: (address) => parts.mayLead(address),
    });
    this.#trunkTargets = new TrunkTargets({ trunks: parts.trunks, isLocal: (uri) => identity.isLocal(uri) });
    this.#routing = config;
    this.#isEdge = leadsOn(config);
  }

  /** Requests go on to hops behind us. */
  get isEdge(): boolean {
    return this.#isEdge;
  }

  /** From the next request on; what is under way keeps its hops. */
  reroute(table: RoutingTable): void {
    this.#routing = table;
    this.#isEdge = leadsOn(table);
  }

  of(request: SipMessage, routing: Routing, standing: Standing): TargetGroups | Refusal {
    const found = this.#of(request, routing, standing);
    // RFC 3261 §16.4: the Route entry that became the Request-URI is gone, wherever that leads.
    return routing.strict && !('status' in found) ? found.map((group) => group.map(withoutRoutes)) : found;
  }

  #of(request: SipMessage, routing: Routing, standing: Standing): TargetGroups | Refusal {
    const { uri, next } = routing;
    if (standing === 'trunk') return this.#fromTrunk(request, routing);
    const emergency = this.emergency(request, routing);
    if (emergency !== undefined) return emergency;
    // Whoever calls for help without a name reaches nothing else.
    const isStranger = standing === 'stranger' || standing === 'emergency';
    // A proven dialog goes where Route and Request-URI say, a stranger's request to users: the table is for neither.
    const configured = () => (isStranger || isOfDialog(standing) ? undefined : this.#beyond(routing, standing));
    const barred = this.#barredFor(request, routing, standing);
    if (next !== undefined)
      return isStranger ? notAllowed : this.#towardsRoute(routing, next, this.#outward(request, routing, barred));
    // A token of ours leads to one telephone: no route and no domain knows better.
    const byToken =
      isStranger || routing.token === undefined ? undefined : this.#byToken(request, routing, standing, barred);
    if (byToken !== undefined) return byToken;
    if (uri.scheme === 'tel' && this.#trunkTargets.number(uri) === undefined && !this.#isRouted(uri)) return notHere;
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
      const direct = { ...this.#direct(routing), barred: this.#outward(request, routing, barred) };
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

  /** Where this sender's requests may not go, whatever leads there. */
  #barredFor(request: SipMessage, { dialog, from }: Routing, standing: Standing): ProxyTarget['barred'] {
    switch (standing) {
      case 'stranger':
      case 'emergency':
        return this.#barred;
      case 'dialog':
        return this.#barredInDialog;
      case 'open': {
        const { trunks, trust, dialogs } = this.#parts;
        // A carrier believes our address: whom nobody knows reaches it by no other name either, but in a dialog with it.
        const isKnown = trunks.all.length === 0 || trust.isTrusted(from) || dialogs.provesPart(dialog, request);
        return isKnown ? undefined : this.#isCarriers;
      }
      default:
        return undefined;
    }
  }

  /** A new call to an emergency number of ours. */
  isEmergency(request: SipMessage, { uri, next }: Pick<Routing, 'uri' | 'next'>): boolean {
    const { plan } = this.#parts.trunks;
    if (plan.emergency.length === 0 || request.method !== 'INVITE') return false;
    if (request.toTag !== '' || next !== undefined) return false;
    const number = this.#trunkTargets.number(uri);
    return number !== undefined && plan.isEmergency(number);
  }

  /** For an emergency call, the trunks that take it, before users and routes of that number; undefined where there are none. */
  emergency(request: SipMessage, routing: Routing): TargetGroups | undefined {
    const number = this.isEmergency(request, routing) ? this.#trunkTargets.number(routing.uri) : undefined;
    if (number === undefined) return undefined;
    const groups = [...(this.#trunkTargets.of(number) ?? none)];
    const contacts = this.#contacts(routing.uri);
    if (contacts.length > 0) groups.push(...this.#flowTargets.ofContacts(contacts, undefined));
    else groups.push(...(this.#configured(routing) ?? none));
    return groups.length > 0 ? groups : undefined;
  }

  /** Whom a call from a carrier may be for, likeliest first, as URIs of ours. */
  calledByTrunk(request: SipMessage, { uri, from, next }: Pick<Routing, 'uri' | 'from' | 'next'>): readonly SipUri[] {
    const trunk = this.#parts.trunks.from(from);
    if (trunk === undefined || next !== undefined) return none;
    const { name } = this.#identity;
    return calledNumbers(uri, request.to.uri, trunk).map((user) => ({
      ...uri,
      scheme: 'sip',
      user,
      host: name,
      port: 0,
    }));
  }

  /** A call from a carrier is for a user or line of ours: it goes to no other carrier. */
  #fromTrunk(request: SipMessage, routing: Routing): TargetGroups | Refusal {
    if (routing.next !== undefined) return notAllowed;
    const contacts = firstReached(this.calledByTrunk(request, routing), (uri) =>
      this.#parts.contacts(this.#identity.record(uri)),
    );
    if (contacts.length === 0) return notFound;
    const groups = this.#flowTargets.ofContacts(contacts, undefined);
    return groups.length > 0 ? groups : notReached;
  }

  /** What is nobody's here: the trunk or route with the longest prefix, a trunk before a route of the same. */
  #beyond(routing: Routing, standing: Standing): TargetGroups | Refusal | undefined {
    const number = this.#parts.trunks.all.length === 0 ? undefined : this.#trunkTargets.number(routing.uri);
    // A number of ours is nobody else's, whether it can be reached now or not.
    const isOurs = number !== undefined && this.#parts.isOwnNumber(number);
    const length = number === undefined || isOurs ? -1 : this.#trunkTargets.prefixLength(number);
    if (number === undefined || length < 0) return this.#configured(routing);
    const route = this.#route(routing);
    if (route !== undefined && (route.prefix?.length ?? 0) > length) return this.#configured(routing);
    // Nobody calls at our expense whom we do not know.
    if (standing === 'open' && !this.#parts.trust.isTrusted(routing.from)) return trunksAreForUsers;
    return this.#trunkTargets.of(number);
  }

  /** Does a route name this context (RFC 3966 §5.1.5)? Then who is there knows what the number means. */
  #isRouted(uri: SipUri): boolean {
    const context = phoneContext(uri);
    if (context === undefined) return false;
    const { routes, defaultRoute } = this.#routing;
    return defaultRoute !== undefined || routes.some(({ domain }) => domain === context);
  }

  /** Who is registered under the address, or under the number that it means (RFC 3261 §19.1.6). */
  #contacts(uri: SipUri): readonly Contact[] {
    const { user } = uri;
    if (user === undefined) return none;
    if (uri.scheme === 'tel') {
      const number = this.#trunkTargets.number(uri);
      const home = { ...uri, scheme: 'sip', user: number, host: '' };
      return number === undefined ? none : this.#parts.contacts(this.#identity.record(home));
    }
    if (!this.#identity.isLocal(uri)) return none;
    const contacts = this.#parts.contacts(this.#identity.record(uri));
    const number = contacts.length > 0 ? user : dialledNumber(user);
    return number === user ? contacts : this.#parts.contacts(this.#identity.record({ ...uri, user: number }));
  }

  /** The rest of a Route set leads on: its first entry is the next hop (RFC 3261 §16.6 items 6 and 7). */
  #towardsRoute(routing: Routing, next: NameAddr, barred: ProxyTarget['barred']): TargetGroups | Refusal {
    const nextUri = parseUri(next.uri);
    if (nextUri === undefined) return { status: 400, reason: 'Bad Request - Route' };
    const address = uriAddress(nextUri);
    if (address === undefined) return { status: 416, reason: 'Unsupported URI Scheme' };
    const strictNext = uriParam(nextUri, 'lr') === undefined;
    const hop = uriHop(nextUri);
    const named = this.#parts.trust.alternates(nameAddrAlternates(next), routing.from, isSecure(address.transport));
    // A user agent need not keep the tag (RFC 3261 §12.1): what the operator configured beside this hop counts then.
    const alternates = named.length > 0 ? named : this.#parts.trust.configuredBeside(address);
    const common = { hop, alternates, barred, pushRoutes: none, route: 'Route header', q: 1_000 };
    // A strict router behind us takes its own URI as Request-URI and finds the target last in Route.
    if (strictNext)
      return [
        [{ ...common, requestUri: next.uri, rewriteRoutes: [...routing.rest.slice(1), `<${routing.requestUri}>`] }],
      ];
    return [[{ ...common, requestUri: routing.requestUri, rewriteRoutes: routing.strict ? routing.rest : undefined }]];
  }

  /**
   * Where a Route or Request-URI may lead that somebody outside wrote: not into this machine, whose other services believe whoever comes from
   * within, but to hops that the operator named and to a telephone that registered from there.
   */
  #outward(request: SipMessage, { from }: Routing, barred: ProxyTarget['barred']): ProxyTarget['barred'] {
    const { trust, isWithin, mayReach, isGuarded } = this.#parts;
    // Our own user agent writes what its peer wrote as Contact.
    if (isWithin(from) || (trust.isTrusted(from) && !isGuarded(from))) return barred;
    return (address) =>
      barred?.(address) === true ||
      (!mayReach(address, from) && !trust.isNamedSocket(address) && !this.#isContactOf(request.to.uri, address));
  }

  #isContactOf(to: string, { host, port }: ControllerAddress): boolean {
    const uri = parseUri(to);
    if (uri === undefined) return false;
    return this.#contacts(uri).some(({ target }) => {
      const contact = parseUri(target);
      const place = contact === undefined ? undefined : uriAddress(contact);
      return place?.host === host && place.port === port;
    });
  }

  /** Where the URI itself says. */
  #direct({ uri, requestUri, strict }: Routing): ProxyTarget {
    const rewriteRoutes = strict ? none : undefined;
    const address = uriAddress(uri);
    // As with Route: the Contact of a controller that ends a dialog itself leads to it alone.
    const alternates = address === undefined ? none : this.#parts.trust.configuredBeside(address);
    return { requestUri, hop: uriHop(uri), alternates, pushRoutes: none, rewriteRoutes, route: 'direct', q: 1_000 };
  }

  #byToken(
    request: SipMessage,
    routing: Routing,
    standing: Standing,
    barred: ProxyTarget['barred'],
  ): TargetGroups | Refusal | undefined {
    const targets = this.#flowTargets.byToken(routing, request.to.uri, this.#outward(request, routing, barred));
    if (standing !== 'dialog' || targets === undefined || 'status' in targets) return targets;
    // The connection of a configured hop is none for a dialog in which it has no part.
    const { trust } = this.#parts;
    const isConfigured = (flow: Flow): boolean =>
      trust.isTrusted(flow) || trust.isConfigured({ ...flow.remote, transport: flow.transport });
    return targets.some((group) => group.some(({ flow }) => flow !== undefined && isConfigured(flow)))
      ? notAllowed
      : targets;
  }

  /** The longest prefix wins, then the order of the list; a domain without a prefix after those with one. */
  #route({ uri }: Routing): SipConfig['routes'][number] | undefined {
    const user = dialledNumber(uri.user ?? '');
    // A number without a domain is one of ours to route.
    const context = uri.scheme === 'tel' ? phoneContext(uri) : uri.host;
    const domain = context === undefined || context.startsWith('+') ? this.#identity.name : context;
    let best: SipConfig['routes'][number] | undefined;
    for (const route of this.#routing.routes) {
      if (route.domain !== undefined && route.domain !== domain) continue;
      if (route.prefix !== undefined && !user.startsWith(route.prefix)) continue;
      if (best === undefined || (route.prefix?.length ?? 0) > (best.prefix?.length ?? 0)) best = route;
    }
    return best;
  }

  /** The routing table. */
  #configured(routing: Routing): TargetGroups | undefined {
    const { uri } = routing;
    const best = this.#route(routing);
    const hops = best?.to ?? this.#routing.defaultRoute;
    const set = hops === undefined ? undefined : this.#hopSet(hops);
    if (set === undefined || this.#comesFrom(hops, routing)) return undefined;
    const requestUri =
      best === undefined || uri.user === undefined
        ? routing.requestUri
        : redial(routing.requestUri, uri.user, best.stripDigits, best.prepend);
    const { hop, others, pushRoutes } = set;
    return [
      [{ requestUri, hop, alternates: others, pushRoutes, resolved: this.#learn, route: nameOf(best), q: 1_000 }],
    ];
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
}

/** With a Route set of its own alone. */
const withoutRoutes = (target: ProxyTarget): ProxyTarget => ({
  ...target,
  rewriteRoutes: target.rewriteRoutes ?? target.pushRoutes,
  spares: target.spares?.map(withoutRoutes),
});

/** As lists and metrics show it: what the operator wrote of it. */
const nameOf = (route: SipConfig['routes'][number] | undefined): string =>
  route === undefined
    ? 'default'
    : `route ${[route.domain, route.prefix].filter((word) => word !== undefined).join(' ')}`;

interface HopSet {
  readonly hop: NamedHop;
  readonly others: readonly NamedHop[];
  readonly pushRoutes: readonly string[];
}

/** What the wall let through by mistake would end here. */
const notAllowed: Refusal = { status: 403, reason: 'Forbidden' };

const trunksAreForUsers: Refusal = { status: 403, reason: 'Forbidden - trunks are for users who authenticate' };

/** RFC 3966 §5.1.5: a local number that is valid elsewhere, or nobody knows where. */
const notHere: Refusal = { status: 404, reason: 'Not Found - unknown phone-context' };

const notFound: Refusal = { status: 404, reason: 'Not Found' };

const notReached: Refusal = { status: 480, reason: 'Temporarily Unavailable' };

const none: readonly never[] = [];

const leadsOn = ({ routes, defaultRoute }: RoutingTable): boolean => routes.length > 0 || defaultRoute !== undefined;
