/**
 * Route information (RFC 3261 §16.4): which Route entries are ours or those of a partner in whose place we act, what the user parts of
 * them say, and which entry is the next hop.
 */
import type { ControllerAddress, Flow } from '../../../src/internal.ts';
import type { SipAssembler } from '../adapter.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isSipScheme, parseUri, type SipUri, uriParam } from '../codec/uri.ts';
import { type NameAddr, parseNameAddr } from '../codec/values.ts';
import type { Identity } from '../identity.ts';
import { nameAddrAlternates, uriAddress } from '../path.ts';
import type { Way } from './admission.ts';
import type { Flows } from './flows.ts';
import { type RouteUser, readRouteUser } from './route-user.ts';
import type { PathTrust } from './trust.ts';

/** What the Route set of a request says once the entries of ours are off. */
export interface Routing extends Way {
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

export interface RouteParts {
  readonly identity: Identity;
  readonly flows: Flows;
  readonly assembler: SipAssembler;
  readonly trust: PathTrust;
}

export class RoutePreprocessing {
  readonly #parts: RouteParts;
  readonly #identity: Identity;

  constructor(parts: RouteParts) {
    this.#parts = parts;
    this.#identity = parts.identity;
  }

  routing(request: SipMessage, flow: Flow): Routing {
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
    // What cannot be read is not passed over: what stands behind it would go on unjudged.
    const next = popRoutes < end ? (routes[popRoutes] ?? unreadable) : undefined;
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
}

/** The target of a Request-URI that cannot be read. */
export const unroutable: SipUri = { scheme: '', user: undefined, host: '', port: 0, params: '', headers: '', text: '' };

/** A Route entry that cannot be read. */
export const unreadable: NameAddr = { uri: '', params: '', display: '' };

const none: readonly never[] = [];

const noUser: RouteUser = { dialog: undefined, flow: undefined };
