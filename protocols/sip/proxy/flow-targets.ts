/**
 * Where a request goes when it is for a telephone: over the flow it registered by, to the member that has this flow, or where its URI
 * says (RFC 5626 §5.3, §7). A telephone that had to connect anew is found by its binding.
 */
import {
  addressKind,
  type Contact,
  type ControllerAddress,
  type Flow,
  isIpLiteral,
  type NamedHop,
  sameAddress,
} from '../../../src/internal.ts';
import { isSipScheme, parseUri, type SipUri } from '../codec/uri.ts';
import { type Identity, routeUri, withUser } from '../identity.ts';
import { uriHop } from '../path.ts';
import { type Flows, type FlowWay, isBoundToFlow, isDialable } from './flows.ts';
import { writeRouteUser } from './route-user.ts';
import type { ProxyTarget } from './target.ts';

export type TargetGroups = readonly (readonly ProxyTarget[])[];

export interface FlowTargetParts {
  readonly flows: Flows;
  readonly identity: Identity;
  readonly forking: 'parallel' | 'serial';
  /** The live contacts of a record, best first. */
  contacts(record: string): readonly Contact[];
  /** Did the operator name this hop, and not as a carrier? */
  isEdge(hop: NamedHop): boolean;
  /** May a contact whose host is a name lead to this address? */
  mayLead(address: ControllerAddress): boolean;
}

/** What is asked of a request with a token of ours in its Route. */
export interface TokenRoute {
  readonly uri: SipUri;
  readonly requestUri: string;
  readonly token: string | undefined;
  readonly strict: boolean;
  readonly from: Flow;
  /** The dialog that the entry with the token claims: another member that has the flow is told. */
  readonly dialog?: string | undefined;
}

const none: readonly never[] = [];

/** RFC 5626 §11.5. */
const flowFailed = { status: 430, reason: 'Flow Failed' } as const;

/** What a caller is told of a telephone whose flow is gone. */
const notThere = { status: 480, reason: 'Temporarily Unavailable' } as const;

export class FlowTargets {
  readonly #parts: FlowTargetParts;

  constructor(parts: FlowTargetParts) {
    this.#parts = parts;
  }

  /** Where the token leads; undefined where it is none of ours. `to`: the URI of the To field, by which a renewed binding is found. */
  byToken(route: TokenRoute, to: string, barred?: ProxyTarget['barred']): TargetGroups | typeof flowFailed | undefined {
    const { flows } = this.#parts;
    const way = flows.way(route.token);
    if (way === undefined) return undefined;
    const common = {
      requestUri: route.requestUri,
      alternates: none,
      barred,
      pushRoutes: none,
      rewriteRoutes: route.strict ? none : undefined,
      q: 1_000,
    };
    if (way.kind === 'open') return [[over(way.flow, common)]];
    const renewed = flows.renewed(way.subscriber);
    if (renewed !== undefined) return [[over(renewed, common)]];
    const moved = this.#renewedElsewhere(to, way, route, barred);
    if (moved !== undefined) return [[{ ...moved, requestUri: route.requestUri, rewriteRoutes: common.rewriteRoutes }]];
    // What the member itself sent here has no way back to it.
    const isFromThere = way.kind === 'member' && way.address.host === route.from.remote.host;
    const seen = way.kind === 'member' ? way.remote : undefined;
    const dialable =
      seen !== undefined
        ? [{ ...seen, transport: 'udp' } as const]
        : isDialable(route.uri)
          ? [uriHop(route.uri)]
          : none;
    const target = this.#fallback(way, dialable, { ...common, failure: flowFailed }, isFromThere, route.dialog);
    return target === undefined ? flowFailed : [[target]];
  }

  /**
   * Registered contacts, best q first; equal q at once, unless serial forking is configured. Of one instance only one flow at a time,
   * the latest; the others stand ready for the case that it has failed (RFC 5626 §7).
   */
  ofContacts(contacts: readonly Contact[], barred?: ProxyTarget['barred']): TargetGroups {
    const groups: ProxyTarget[][] = [];
    const instances = new Map<string, ProxyTarget[]>();
    let q = -1;
    for (const contact of contacts) {
      const target = this.#contactTarget(contact, barred);
      if (target === undefined) continue;
      const { instance } = contact;
      if (instance !== undefined) {
        const spares = instances.get(instance);
        if (spares !== undefined) {
          spares.push({ ...target, branchKey: `${target.requestUri}\n${contact.key}` });
          continue;
        }
        const own: ProxyTarget[] = [];
        instances.set(instance, own);
        this.#group(groups, { ...target, spares: own }, contact.q === q);
      } else this.#group(groups, target, contact.q === q);
      q = contact.q;
    }
    return groups;
  }

  #group(groups: ProxyTarget[][], target: ProxyTarget, isEqual: boolean): void {
    const last = groups.at(-1);
    if (last !== undefined && isEqual && this.#parts.forking === 'parallel') last.push(target);
    else groups.push([target]);
  }

  #contactTarget(contact: Contact, barred: ProxyTarget['barred']): ProxyTarget | undefined {
    const { identity, flows } = this.#parts;
    const uri = parseUri(contact.target);
    // One of ours with header fields in it would come back to us without them (RFC 4475 §3.3.14).
    if (uri === undefined || !isSipScheme(uri.scheme) || (uri.headers !== '' && identity.isLocal(uri)))
      return undefined;
    // RFC 3261 §19.1.1: no headers in a Request-URI.
    const requestUri = uri.headers === '' ? contact.target : contact.target.slice(0, contact.target.indexOf('?'));
    const common = { requestUri, alternates: none, pushRoutes: none, q: contact.q };
    const [firstPath] = contact.path;
    if (firstPath !== undefined) {
      const parsed = parseUri(/<([^>]*)>/.exec(firstPath)?.[1] ?? firstPath);
      if (parsed === undefined) return undefined;
      // A Path that begins with ourselves (a partner of the cluster wrote it, or we did) is no hop to visit.
      const path = identity.isSelf(parsed.host, parsed.port) ? contact.path.slice(1) : contact.path;
      const [next] = path;
      const nextUri = next === undefined ? undefined : parseUri(/<([^>]*)>/.exec(next)?.[1] ?? next);
      if (next !== undefined && nextUri !== undefined)
        return {
          ...common,
          // An edge of the operator's that the Path names is where calls for this user go, whoever calls.
          barred: this.#barredFor(nextUri, this.#parts.isEdge(uriHop(nextUri)) ? undefined : barred),
          hop: uriHop(nextUri),
          alternates: contact.alternates,
          pushRoutes: path,
          flowFailure: notThere,
        };
    }
    const { address, alternates } = contact;
    const barredToo = address === undefined ? this.#barredFor(uri, barred) : barred;
    const straight = { ...common, barred: barredToo, hop: address ?? uriHop(uri), alternates };
    const way = flows.way(contact.flow);
    if (way === undefined) return straight;
    if (way.kind === 'open') return { ...over(way.flow, common), token: contact.flow, failure: notThere };
    const renewed = flows.renewed(way.subscriber);
    if (renewed !== undefined) return { ...over(renewed, common), failure: notThere };
    // RFC 5626 §7: a binding of a flow of ours that has ended is none; one that another member had may still be dialled.
    const isNowhere = way.kind === 'member' ? !isDialable(uri) : isBoundToFlow(contact);
    return this.#fallback(way, isNowhere && address === undefined ? none : [straight.hop, ...alternates], {
      ...common,
      barred: barredToo,
      failure: notThere,
    });
  }

  /** An address was judged when it was registered; what a name leads to is judged each time. */
  #barredFor(uri: SipUri, barred: ProxyTarget['barred']): ProxyTarget['barred'] {
    const { identity, mayLead } = this.#parts;
    if (isIpLiteral(uri.host) || addressKind(uri.host) !== 'name' || identity.isLocal(uri)) return barred;
    return (address) => barred?.(address) === true || !mayLead(address);
  }

  /** To the member that has the flow, unless it is dead; else where the URI says; else wherever the telephone connects next. */
  #fallback(
    way: Exclude<FlowWay, { kind: 'open' }>,
    dialable: readonly NamedHop[],
    common: Omit<ProxyTarget, 'hop'>,
    isFromThere = false,
    dialog: string | undefined = undefined,
  ): ProxyTarget | undefined {
    const { flows } = this.#parts;
    const renewalWaitMs = flows.renewalWaitMs(way);
    const renewal = renewalWaitMs > 0 ? { subscriber: way.subscriber, waitMs: renewalWaitMs } : undefined;
    const isSecure = common.requestUri.startsWith('sips:');
    const address = way.kind !== 'member' || isFromThere ? undefined : flows.memberAddress(way.address, isSecure);
    if (way.kind === 'member' && address !== undefined && (dialable.length > 0 || !flows.isDown(way.address)))
      return {
        ...common,
        barred: exceptFor(address, common.barred),
        renewal,
        hop: address,
        alternates: dialable,
        member: { address, route: withUser(`<${routeUri(address)}>`, writeRouteUser(dialog, way.token)) },
      };
    const [hop, ...alternates] = dialable;
    if (hop !== undefined) return { ...common, renewal, hop, alternates };
    return renewal === undefined ? undefined : { ...common, renewal, hop: nowhere, isAbsent: true };
  }

  /** The same binding as another member stored it since, by the address of record in To. */
  #renewedElsewhere(
    to: string,
    { subscriber }: { readonly subscriber: string },
    route: TokenRoute,
    barred: ProxyTarget['barred'],
  ): ProxyTarget | undefined {
    const { identity, flows, contacts } = this.#parts;
    const uri = subscriber === '' ? undefined : parseUri(to);
    if (uri === undefined || uri.user === undefined || !isSipScheme(uri.scheme) || !identity.isLocal(uri))
      return undefined;
    const record = identity.record(uri);
    const contact = contacts(record).find((each) => flows.isOf(record, each, subscriber));
    if (contact === undefined || contact.flow === route.token || flows.isGone(contact)) return undefined;
    return this.#contactTarget(contact, barred);
  }
}

/** The operator named the member, and it may be sent to all the same. */
const exceptFor = (member: ControllerAddress, barred: ProxyTarget['barred']): ProxyTarget['barred'] =>
  barred === undefined ? undefined : (address) => !sameAddress(address, member) && barred(address);

const nowhere: NamedHop = { host: 'invalid', port: 0 };

const over = (flow: Flow, common: Omit<ProxyTarget, 'hop'>): ProxyTarget => ({
  ...common,
  flow,
  hop: flowHop(flow),
  failure: flowFailed,
});

const flowHop = (flow: Flow): NamedHop => ({
  host: flow.remote.host,
  port: flow.remote.port,
  transport: flow.transport,
});
