/**
 * Assembling a forwarded request (RFC 3261 §16.6): one edited copy of the text, every octet without a duty to change left alone.
 */
import type { ControllerAddress, Flow } from '../../../src/internal.ts';
import { Edit, topViaEnd } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { fieldStride } from '../codec/scanner.ts';
import { isSpace, parseNameAddr, replaceParam, trim, type Via, valueEnd } from '../codec/values.ts';
import { type Identity, type LocalHeaders, withUser } from '../identity.ts';
import { announcement, withoutOc } from '../overload/oc-params.ts';
import { editForTrunk, offsetMark, type TrunkFields } from '../trunks/rewriting.ts';
import { writeRouteUser } from './route-user.ts';
import type { MemberHop, OwnRequests } from './target.ts';

export interface ForwardPlan {
  readonly branch: string;
  /** Request-URI to send; the received one where nothing changes. */
  readonly requestUri: string;
  /** Route values of ours to take off the top. */
  readonly popRoutes: number;
  /** Route values to put on top, in order. */
  readonly pushRoutes: readonly string[];
  /** The whole Route set, where a strict router before or behind us turned it round (RFC 3261 §16.4, §16.6 item 6). */
  readonly rewriteRoutes?: readonly string[] | undefined;
  readonly recordRoute: boolean;
  /** What proves the dialog in our Record-Route entry (route-user.ts). */
  readonly dialog?: string | undefined;
  /** A REGISTER that leaves for the registrar behind us: its contacts are reached through us (RFC 3327 §5.2). */
  readonly path?: boolean | undefined;
  /** … over the flow that it came by (RFC 5626 §5.1). */
  readonly outbound?: boolean | undefined;
  /** The other member of ours that may be the next hop: it alone gets this Route entry. */
  readonly member?: MemberHop | undefined;
  /** The flow that the request came over. */
  readonly from: Flow;
  /** Its token, where nothing else leads back. */
  readonly fromToken?: string | undefined;
  /** The request leaves over a connection that only we can find again. */
  readonly toToken?: string | undefined;
  readonly maxBreadth?: number | undefined;
  /** The hop is told that we obey its overload control. */
  readonly announces?: boolean | undefined;
  /** The request goes to others as well: a refusal on this branch is not the answer yet. */
  readonly forked?: boolean | undefined;
  /** The controller in whose place we act: its sent-by stays on the Via, so that the next hop finds its transaction again. */
  readonly standIn?: ControllerAddress | undefined;
  /** Are these credentials meant for us? undefined: we ask nobody for any. */
  readonly consumes?: ((credentials: string) => boolean) | undefined;
  /** The request is the user agent's beside us. */
  readonly own?: OwnRequests | undefined;
  /** What a carrier gets that the sender did not write. */
  readonly trunk?: TrunkFields | undefined;
}

/** Via parameter of ours on each branch of a forked request: tells a stand-in without the transaction that other branches exist. */
export const forkMark = 'forked';

/** The text that leaves over `flow`. */
export function forwardedText(request: SipMessage, plan: ForwardPlan, flow: Flow, identity: Identity): string {
  const { scan } = request;
  const headers =
    plan.standIn === undefined ? identity.localHeaders(flow) : identity.standInHeaders(flow, plan.standIn);
  const edit = new Edit(request);
  if (plan.requestUri !== request.requestUri) {
    const start = scan.start + request.method.length + 1;
    edit.replace(start, start + request.requestUri.length, plan.requestUri);
  }
  const routed = routesFor(plan, flow);
  const firstVia = request.fieldIndex(H.via);
  const top = request.fieldStart(firstVia);
  let added = headers.viaStart + plan.branch + (plan.forked === true ? `;${forkMark}` : '');
  if (plan.announces === true) added += announcement;
  if (plan.trunk !== undefined && plan.trunk.cseqOffset > 0) added += `;${offsetMark}=${plan.trunk.cseqOffset}`;
  added += headers.viaEnd;
  if (request.maxForwards === undefined) added += 'Max-Forwards: 70\r\n';
  if (plan.maxBreadth !== undefined && request.fieldIndex(H.maxBreadth) < 0)
    added += `Max-Breadth: ${plan.maxBreadth}\r\n`;
  edit.insert(top, added);
  stampVia(edit, request, firstVia, plan.from);
  if (plan.recordRoute)
    edit.insert(recordRouteOffset(request, firstVia), recordRouteLines(request, routed, headers, identity));
  if (plan.path === true) edit.insert(pathOffset(request, firstVia), pathLines(request, plan, headers));
  editRoutes(edit, request, routed);
  if (plan.consumes !== undefined) dropCredentials(edit, request, plan.consumes);
  if (plan.own !== undefined) writeContact(edit, request, plan.own.contact(request, headers));
  if (plan.trunk !== undefined) editForTrunk(edit, request, plan.trunk);
  if (request.maxForwards !== undefined) {
    const index = request.fieldIndex(H.maxForwards);
    edit.replace(request.valueStart(index), request.valueStop(index), String(request.maxForwards - 1));
  }
  if (plan.maxBreadth !== undefined) {
    const index = request.fieldIndex(H.maxBreadth);
    if (index >= 0) edit.replace(request.valueStart(index), request.valueStop(index), String(plan.maxBreadth));
  }
  return edit.text();
}

/** The top Via as its next hop downstream must see it: `received` and `rport` filled in (RFC 3261 §18.2.1, RFC 3581 §4); undefined: as it is. */
export function stampedVia({ via }: { readonly via: Via }, from: Flow): string | undefined {
  const { host, port } = from.remote;
  // RFC 3581 §4: independent of the transport, and with `received` even where that is the sent-by.
  const wantsPort = via.rport !== undefined && via.rport !== String(port);
  let params = withoutOc(via.params);
  const isClean = params === via.params;
  if (isClean && via.host === host && !wantsPort && via.received === undefined) return undefined;
  if (isClean && via.received === host && !wantsPort) return undefined;
  // What the sender wrote there itself is not believed.
  if (via.received !== undefined) params = replaceParam(params, 'received', '');
  if (via.rport !== undefined) params = replaceParam(params, 'rport', `;rport=${port}`);
  const stamped = via.text.slice(0, via.text.length - via.params.length) + params;
  return via.host !== host || wantsPort ? `${stamped};received=${host}` : stamped;
}

function stampVia(edit: Edit, request: SipMessage, index: number, from: Flow): void {
  const stamped = stampedVia(request, from);
  if (stamped !== undefined) edit.replace(request.valueStart(index), topViaEnd(request, index), stamped);
}

/** Above the Record-Route entries that are there, else below the first run of Vias. */
function recordRouteOffset(request: SipMessage, firstVia: number): number {
  const existing = request.fieldIndex(H.recordRoute);
  if (existing >= 0) return request.fieldStart(existing);
  let index = firstVia;
  while (request.scan.fields[index + fieldStride] === H.via) index += fieldStride;
  return request.fieldEnd(index);
}

function pathOffset(request: SipMessage, firstVia: number): number {
  const existing = request.fieldIndex(H.path);
  return existing >= 0 ? request.fieldStart(existing) : recordRouteOffset(request, firstVia);
}

/**
 * Our entry, above those that are there. A registrar refuses a Path for a telephone that knows nothing of it (RFC 3327 §5.3); what it
 * need not know is our business, so we vouch for it.
 */
function pathLines(request: SipMessage, { fromToken, outbound }: ForwardPlan, headers: LocalHeaders): string {
  const entry = withUser(headers.route, writeRouteUser(undefined, fromToken));
  const knowsPath = request.list(H.supported).some((option) => option.toLowerCase() === 'path');
  const ours = outbound === true ? entry.replace(/;lr>/, ';lr;ob>') : entry;
  return `Path: ${ours}\r\n${knowsPath ? '' : 'Supported: path\r\n'}`;
}

/** One entry, or two where both sides differ: the side of the next hop on top (RFC 5658 §5). */
function recordRouteLines(request: SipMessage, plan: ForwardPlan, out: LocalHeaders, identity: Identity): string {
  const { from, fromToken, toToken, dialog } = plan;
  const incoming =
    plan.standIn === undefined ? identity.localHeaders(from) : identity.standInHeaders(from, plan.standIn);
  const secure = leavesForSips(request, plan);
  const outEntry = entryOf(out, writeRouteUser(dialog, toToken), secure);
  if (incoming.viaStart === out.viaStart && fromToken === undefined && toToken === undefined)
    return `Record-Route: ${outEntry}\r\n`;
  const inEntry = entryOf(incoming, writeRouteUser(dialog, fromToken), secure);
  return `Record-Route: ${outEntry}\r\nRecord-Route: ${inEntry}\r\n`;
}

const entryOf = ({ route, secureRoute = route }: LocalHeaders, user: string, secure: boolean): string =>
  withUser(secure ? secureRoute : route, user);

/** The plan as it is for this hop. */
function routesFor(plan: ForwardPlan, { remote }: Flow): ForwardPlan {
  const { member, rewriteRoutes } = plan;
  if (member === undefined || member.address.host !== remote.host || member.address.port !== remote.port) return plan;
  const routes = [member.route];
  return { ...plan, pushRoutes: routes, rewriteRoutes: rewriteRoutes === undefined ? undefined : routes };
}

/** RFC 3261 §16.6 item 4: is the Request-URI, or the topmost Route as it leaves, a SIPS URI? Record-Route is one then, else it is not. */
function leavesForSips(
  request: SipMessage,
  { requestUri, rewriteRoutes, pushRoutes, popRoutes }: ForwardPlan,
): boolean {
  if (isSips(requestUri)) return true;
  const [top] = rewriteRoutes ?? pushRoutes;
  if (top !== undefined) return isSips(uriOf(top));
  if (rewriteRoutes !== undefined) return false;
  const first = request.fieldIndex(H.route);
  if (first < 0) return false;
  const at = request.text.toLowerCase().indexOf('sips:', request.valueStart(first));
  if (at < 0 || at > request.scan.headersEnd) return false;
  const left = request.list(H.route)[popRoutes];
  return left !== undefined && isSips(uriOf(left));
}

const isSips = (uri: string): boolean => uri.length > 5 && uri.charCodeAt(4) === 58 && /^sips:/i.test(uri);

const uriOf = (entry: string): string => parseNameAddr(entry)?.uri ?? '';

/** Each proxy asks for credentials of its own realm (RFC 3261 §22.3); nobody behind us has a use for what was said to us. */
function dropCredentials(edit: Edit, request: SipMessage, consumes: (credentials: string) => boolean): void {
  const id = H.proxyAuthorization;
  for (let i = request.fieldIndex(id); i >= 0; i = request.fieldIndex(id, i))
    if (consumes(request.valueAt(i))) edit.replace(request.fieldStart(i), request.fieldEnd(i), '');
}

function writeContact(edit: Edit, request: SipMessage, contact: string | undefined): void {
  const index = request.fieldIndex(H.contact);
  if (contact !== undefined && index >= 0) edit.replace(request.valueStart(index), request.valueStop(index), contact);
}

function editRoutes(edit: Edit, request: SipMessage, plan: ForwardPlan): void {
  const first = request.fieldIndex(H.route);
  const added = plan.rewriteRoutes ?? plan.pushRoutes;
  if (added.length > 0) {
    const lines = added.map((route) => `Route: ${route}\r\n`).join('');
    edit.insert(first >= 0 ? request.fieldStart(first) : recordRouteOffset(request, request.fieldIndex(H.via)), lines);
  }
  let toPop = plan.rewriteRoutes === undefined ? plan.popRoutes : Number.POSITIVE_INFINITY;
  for (let i = first; i >= 0 && toPop > 0; i = request.fieldIndex(H.route, i)) toPop = popFrom(edit, request, i, toPop);
}

/** Takes up to `count` values off the front of one field; returns how many remain to be taken. */
function popFrom(edit: Edit, request: SipMessage, index: number, count: number): number {
  const { text } = request;
  const start = request.valueStart(index);
  const stop = request.valueStop(index);
  let at = start;
  let left = count;
  while (left > 0 && at < stop) {
    const end = valueEnd(text, at, stop);
    // An empty element of the list was not counted as a Route entry, so it is none here.
    if (trim(text, at, end) !== '') left -= 1;
    at = end + 1;
    while (at < stop && isSpace(text.charCodeAt(at))) at += 1;
  }
  if (at >= stop) edit.replace(request.fieldStart(index), request.fieldEnd(index), '');
  else edit.replace(start, at, '');
  return left;
}
