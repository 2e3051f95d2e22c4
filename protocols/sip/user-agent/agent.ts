/** What all legs of the user agent share: identifiers, the way through our own proxy core, and how their requests and responses look. */
import type { CallControl, Clock, FailureTold, Flow, Logger, Random } from '../../../src/internal.ts';
import { response, toBytes } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { type Identity, type LocalHeaders, withUser } from '../identity.ts';
import type { FlowNaming } from '../proxy/flow-naming.ts';
import { stampedVia } from '../proxy/forward.ts';
import { writeRouteUser } from '../proxy/route-user.ts';
import type { PathTrust } from '../proxy/trust.ts';
import type { ClientTransaction, ClientUser } from '../transactions/client.ts';
import type { TransactionLayer } from '../transactions/layer.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import { escapeUser } from './caller-identity.ts';
import { type DerivedIds, userAgentHost } from './derived-ids.ts';
import { type Dialog, dialogFields } from './dialog.ts';
import { type InnerPath, userAgentAddress } from './inner-path.ts';

export interface AgentParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly layer: TransactionLayer;
  readonly identity: Identity;
  readonly ids: DerivedIds;
  readonly inner: InnerPath;
  readonly trust: PathTrust;
  readonly flowNaming: FlowNaming;
  readonly callControl: CallControl;
  /** Ends of dialogs, by what their requests bring. */
  readonly ends: DialogEnds;
  /** Whoever observes the proxy's calls. */
  readonly watch?:
    | {
        withdraw(request: SipMessage): void;
        /** What became of the branches of an INVITE of ours that was answered so. */
        failureOf(callId: string, status: number): FailureTold;
      }
    | undefined;
}

/** One end of a dialog of ours, early or confirmed. */
export interface DialogEnd {
  readonly callId: string;
  readonly localTag: string;
  /** A request with our tag in To; never a repetition. */
  receive(request: SipMessage, flow: Flow): void;
  /** A response of the peer has come over a flow that only this token names. */
  cameOver?(token: string, response: SipMessage): void;
  /** A response to a request of this end, of which no transaction is here. */
  onResponse?(response: SipMessage): void;
  /** The process ends: nothing more is sent. */
  stop(): void;
}

export class DialogEnds {
  readonly #byCallId = new Map<string, readonly DialogEnd[]>();

  get size(): number {
    return this.#byCallId.size;
  }

  find(callId: string, localTag: string): DialogEnd | undefined {
    return this.#byCallId.get(callId)?.find((end) => end.localTag === localTag);
  }

  of(callId: string): readonly DialogEnd[] {
    return this.#byCallId.get(callId) ?? none;
  }

  add(end: DialogEnd): void {
    this.#byCallId.set(end.callId, [...this.of(end.callId), end]);
  }

  stop(): void {
    for (const end of [...this.#byCallId.values()].flat()) end.stop();
  }

  delete(end: DialogEnd): void {
    const left = this.of(end.callId).filter((other) => other !== end);
    if (left.length > 0) this.#byCallId.set(end.callId, left);
    else this.#byCallId.delete(end.callId);
  }
}

const none: readonly DialogEnd[] = [];

/** Methods that we serve (RFC 3261 §20.5). */
export const allow = 'Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO\r\n';

/** Extensions that we have (RFC 3261 §20.37). */
export const supported = 'Supported: 100rel, timer\r\n';

/** What a request of ours says besides what every request says. */
export interface RequestContent {
  readonly fields?: string | undefined;
  /** A session description. */
  readonly body?: string | undefined;
  readonly contentType?: string | undefined;
}

/** A request in a dialog as it goes to our proxy core: with the peer's route set, below an entry of ours where only a flow leads there. */
export function dialogRequest(
  agent: AgentParts,
  dialog: Dialog,
  method: string,
  cseq: number,
  branch: string,
  contactUser: string,
  content: RequestContent = {},
): string {
  const { token, routes, target } = dialog;
  const ownRoute = token === undefined ? [] : [ownRouteEntry(agent.identity, token)];
  const route = [...ownRoute, ...routes].map((entry) => `Route: ${entry}\r\n`).join('');
  const fields = route + dialogFields(dialog, cseq, method);
  return requestText(agent, method, target, branch, fields, contactUser, content);
}

export function requestText(
  { identity }: AgentParts,
  method: string,
  requestUri: string,
  branch: string,
  dialogPart: string,
  contactUser: string,
  { fields = '', body = '', contentType = 'application/sdp' }: RequestContent,
): string {
  const { host, port } = identity.address;
  const where = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  // Written anew for the socket that the request leaves by (ownContact).
  const contact = targetRefreshing.has(method) ? `Contact: <sip:${escapeUser(contactUser)}@${where}>\r\n` : '';
  const type = body === '' ? '' : `Content-Type: ${contentType}\r\n`;
  return (
    `${method} ${requestUri} SIP/2.0\r\nVia: SIP/2.0/UDP ${userAgentHost};branch=${branch}\r\nMax-Forwards: 70\r\n${dialogPart}${contact}` +
    `${fields}${type}Content-Length: ${body.length}\r\n\r\n${body}`
  );
}

/** Sends through our proxy core; what comes of it is the user's. `dialog`: the request is one of it. */
export function send(
  agent: AgentParts,
  method: string,
  branch: string,
  text: string,
  user: ClientUser,
  dialog?: Dialog,
): ClientTransaction {
  const target = { addresses: [userAgentAddress], flow: flowFor(agent, dialog) };
  return agent.layer.request(method, branch, target, () => text, user);
}

/** An ACK has no transaction (RFC 3261 §13.2.2.4). */
export const sendAck = (agent: AgentParts, text: string, dialog: Dialog): void =>
  flowFor(agent, dialog).send(toBytes(text));

const flowFor = ({ inner }: AgentParts, dialog: Dialog | undefined): Flow =>
  dialog?.isGuarded === true ? inner.guarded : inner.flow;

/** Our Contact for a socket: the number that is called, at our address there, with our backups. */
export function ownContact({ route, secureRoute }: LocalHeaders, number: string, secure: boolean): string {
  const entry = (secure ? secureRoute : undefined) ?? route;
  return withUser(entry.replace(/;lr(?=>)/, ''), escapeUser(number));
}

/** The entry that makes our proxy core send over a flow. */
function ownRouteEntry(identity: Identity, token: string): string {
  const { host, port } = identity.address;
  return withUser(`<sip:${host.includes(':') ? `[${host}]` : host}:${port};lr>`, writeRouteUser(undefined, token));
}

export interface AnswerContent {
  readonly toTag?: string | undefined;
  /** The user of our Contact, for responses that open or refresh a dialog. */
  readonly contactUser?: string | undefined;
  readonly fields?: string | undefined;
  readonly body?: string | undefined;
}

/** A response of ours; one with a Contact says the route set back as well (RFC 3261 §12.1.1). */
export function answerText(
  { identity }: AgentParts,
  request: SipMessage,
  flow: Flow,
  status: number,
  reason: string,
  { toTag, contactUser, fields = '', body = '' }: AnswerContent = {},
): string {
  let own = fields;
  if (contactUser !== undefined) {
    const isSecure = request.requestUri.startsWith('sips:');
    own = `${recordRoutes(request)}Contact: ${ownContact(identity.localHeaders(flow), contactUser, isSecure)}\r\n${allow}${fields}`;
  }
  if (body !== '') own += 'Content-Type: application/sdp\r\n';
  return response(request, status, reason, { toTag, fields: own, body, topVia: stampedVia(request, flow) });
}

function recordRoutes(request: SipMessage): string {
  let out = '';
  for (let i = request.fieldIndex(H.recordRoute); i >= 0; i = request.fieldIndex(H.recordRoute, i))
    out += `Record-Route: ${request.valueAt(i)}\r\n`;
  return out;
}

/** Answers a request in a dialog. */
export function reply(
  agent: AgentParts,
  server: ServerTransaction,
  request: SipMessage,
  status: number,
  reason: string,
  content?: AnswerContent,
): void {
  server.respond(status, answerText(agent, request, server.flow, status, reason, content));
}

/** Extensions that a request demands and we do not have (RFC 3261 §8.2.2.3). */
export function unsupportedIn(request: SipMessage): string | undefined {
  const unknown = request.list(H.require).filter((option) => !known.has(option.toLowerCase()));
  return unknown.length === 0 ? undefined : `Unsupported: ${unknown.join(', ')}\r\n`;
}

const known: ReadonlySet<string> = new Set(['100rel', 'timer']);

/** Requests and responses with a Contact refresh the target (RFC 3261 §12.2). */
const targetRefreshing: ReadonlySet<string> = new Set(['INVITE', 'UPDATE']);

/** For a request whose answer says nothing. */
export const ignored: ClientUser = {
  onResponse: () => undefined,
  onTimeout: () => undefined,
  onTransportError: () => undefined,
};
