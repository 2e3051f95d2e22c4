/** What is written into a forwarded request besides its target (RFC 3261 §16.6): Record-Route, Path, the flow's token, the proof of the dialog. */
import type { ControllerAddress, Counter, Flow, Metrics, NamedHop } from '../../../src/internal.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { parseUri } from '../codec/uri.ts';
import { parseVia } from '../codec/values.ts';
import type { SipConfig } from '../config.ts';
import type { DialogOffsets } from '../trunks/dialog-offsets.ts';
import { isOfDialog, type Standing } from './admission.ts';
import type { FlowNaming } from './flow-naming.ts';
import type { TargetGroups } from './flow-targets.ts';
import type { OtherMembers } from './other-members.ts';
import type { Routing } from './route-preprocessing.ts';
import { type DialogProof, readRouteUser } from './route-user.ts';
import type { OwnRequests, RoutePlan } from './target.ts';
import type { PathTrust } from './trust.ts';

export interface PlanParts extends OtherMembers {
  readonly config: Pick<SipConfig, 'recordRoute'>;
  readonly flowNaming: FlowNaming;
  readonly dialogs: DialogProof;
  readonly trust: PathTrust;
  readonly offsets: DialogOffsets;
  readonly metrics: Metrics;
  /** Are these credentials meant for us? undefined: we ask nobody for any. */
  readonly consumes?: ((credentials: string) => boolean) | undefined;
  readonly userAgent: OwnRequests & { isOwn(flow: Flow): boolean; isNamed(host: string): boolean };
  readonly takenOver?: TakenOver | undefined;
}

/** A message of this partner's is handled here. */
export type TakenOver = (partner: ControllerAddress, what: 'request' | 'response', callId: string) => void;

export class RoutePlanning {
  readonly #parts: PlanParts;
  readonly #takeovers: Counter;

  constructor(parts: PlanParts) {
    this.#parts = parts;
    this.#takeovers = takeovers(parts.metrics);
  }

  /** `isEdge`: requests go on to hops behind us. */
  plan(request: SipMessage, routing: Routing, standing: Standing, targets: TargetGroups, isEdge: boolean): RoutePlan {
    const { userAgent } = this.#parts;
    // No Record-Route for our own: we are an end of the dialog, and our Contact leads to us.
    if (userAgent.isOwn(routing.from)) {
      const { consumes } = this.#parts;
      const standIn = userAgent.standInFor(request);
      return { popRoutes: routing.popRoutes, recordRoute: false, consumes, own: userAgent, standIn };
    }
    const recordRoute = this.#parts.config.recordRoute && recordRouted.has(request.method);
    // Nobody without a name speaks in a partner's.
    const standIn = standing === 'stranger' || standing === 'emergency' ? undefined : routing.standIn;
    if (standIn !== undefined) {
      this.#takeovers.add();
      this.#parts.takenOver?.(standIn, 'request', request.callId);
    }
    const path = request.method === 'REGISTER' && isEdge;
    const { flowNaming } = this.#parts;
    const outbound = path && flowNaming.isOutbound(request);
    let fromToken: string | undefined;
    if (outbound) fromToken = flowNaming.outboundToken(request, routing.from);
    else if (recordRoute || path) fromToken = flowNaming.tokenFor(request, routing.from);
    const { dialogs, offsets } = this.#parts;
    const dialogOffset = dialogs.cseqOffset(routing.dialog, request);
    const cseqOffset = dialogOffset + offsets.of(request);
    return {
      ...(cseqOffset > 0 ? { cseqOffset, dialogOffset } : {}),
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
    { dialog, from }: Routing,
    standing: Standing,
    targets: TargetGroups,
  ): string | undefined {
    if (standing === 'open') return undefined;
    if (request.toTag !== '' && dialog !== undefined && (isOfDialog(standing) || standing === 'trusted')) return dialog;
    const hasPart =
      (standing === 'trusted' && !this.#isOfStranger(request, from)) ||
      standing === 'trunk' ||
      targets.some((group) => group.some(({ hop }) => this.#isConfigured(hop)));
    return this.#parts.dialogs.write(request, hasPart ? 'h' : 'd');
  }

  /** Another member forwards it for somebody who is no hop of the operator's: its Record-Route says so, or it is its user agent's. */
  #isOfStranger(request: SipMessage, { remote }: Flow): boolean {
    if (!this.#parts.isMember(remote.host)) return false;
    const [first] = request.addresses(H.recordRoute);
    const written = readRouteUser(first === undefined ? undefined : parseUri(first.uri)?.user)?.dialog;
    if (written === undefined) return request.list(H.via).some((each) => this.#isUserAgents(each));
    return written === this.#parts.dialogs.write(request, 'd');
  }

  #isUserAgents(text: string): boolean {
    const via = parseVia(text);
    return via !== undefined && this.#parts.userAgent.isNamed(via.host);
  }

  /** A hop that the operator named for calls; a member judges for itself. */
  #isConfigured(hop: NamedHop): boolean {
    const { trust, isMemberAt } = this.#parts;
    return trust.isConfigured(hop) && !isMemberAt(hop);
  }
}

export const takeovers = (metrics: Metrics): Counter =>
  metrics.counter('sip_takeovers_total', 'Messages handled in the place of a partner');

/** Requests that may set up a dialog or refresh its targets; a proxy that wants the later ones asks for it in these (RFC 3261 §16.6 item 4). */
const recordRouted: ReadonlySet<string> = new Set(['INVITE', 'SUBSCRIBE', 'REFER', 'NOTIFY', 'UPDATE']);
