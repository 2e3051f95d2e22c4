/**
 * The SIP user agent beside our proxy core: telephones call lines through it, and lines telephones. It brings SIP's parties to the one
 * call control, and takes from the proxy core what is for them: requests for numbers of lines, and those of its dialogs.
 */
import type {
  Call,
  CallTimers,
  Contact,
  ControllerAddress,
  Counter,
  Flow,
  Leg,
  LegProvider,
  Metrics,
  ReleaseReason,
  ResumedLeg,
  ResumedParty,
} from '../../../src/internal.ts';
import { response as responseText } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { isSipScheme, parseUri, type SipUri } from '../codec/uri.ts';
import type { LocalHeaders } from '../identity.ts';
import type { Refusal } from '../proxy/admission.ts';
import { dialledNumber, phoneContext } from '../proxy/dialled-number.ts';
import { stampedVia } from '../proxy/forward.ts';
import { BoundedMap } from '../telephone/bounded-map.ts';
import { reply as replyStateless } from '../transactions/way-back.ts';
import { type AgentParts, allow, answerText, ownContact, reply, supported, unsupportedIn } from './agent.ts';
import { callerOf, escapeUser } from './caller-identity.ts';
import { userAgentHost } from './derived-ids.ts';
import { dialogOfInvite } from './dialog.ts';
import { IncomingCall } from './incoming-call.ts';
import { OutgoingCall, type RingingParty } from './outgoing-call.ts';
import { Resuming } from './resume.ts';
import { refuseMethod } from './session.ts';
import { offerOf } from './session-description.ts';
import { answerInterval, minimumSeconds } from './session-timer.ts';

export interface UserAgentParts extends AgentParts {
  readonly metrics: Metrics;
  /** The contacts of a record of ours, best first. */
  contacts(record: string): readonly Contact[];
  /** Every record of ours. */
  records(): Iterable<string>;
  /** Is this user one we know, registered or not? */
  knows(uri: SipUri): boolean;
  /** Is the other end of this flow a trunk's? */
  isTrunk(flow: Flow): boolean;
  /** A flow of ours to this address. */
  flowTo(to: ControllerAddress): Flow | undefined;
  /** The member that died, for what is sent in its place: the one at this host, where that is known. */
  predecessor(host?: string): ControllerAddress | undefined;
}

export class UserAgent implements LegProvider {
  readonly protocol = 'sip';
  readonly timers: Partial<CallTimers> = {};
  readonly numbersVersion = 0;
  readonly #parts: UserAgentParts;
  readonly #refused: Counter;
  readonly #stray: Counter;
  readonly #falseCallers: Counter;
  readonly #resuming: Resuming;
  /** Call-IDs of INVITEs that a dead member may have sent already, and who that was. */
  readonly #stoodInFor = new BoundedMap<string, ControllerAddress>(maxStoodIn);
  /** Requests that wait until it is known what a line was doing, by transaction. */
  readonly #held = new Map<string, { readonly callId: string; readonly run: () => void }>();

  constructor(parts: UserAgentParts) {
    this.#parts = parts;
    this.#refused = parts.metrics.counter(
      'sip_calls_to_lines_refused_total',
      'INVITEs for lines that were refused before there was a call: session descriptions, extensions, repetitions',
    );
    this.#resuming = new Resuming({
      ...parts,
      outgoing: (call, number, isGuarded, ringing) => this.#outgoing(call, number, isGuarded, ringing),
      resumed: (callId) => this.#letGo(callId),
      standsIn: (callId, { formerHost }) => {
        const predecessor = parts.predecessor(formerHost);
        if (predecessor !== undefined) this.#stoodInFor.set(callId, predecessor);
      },
    });
    this.#stray = parts.metrics.counter(
      'sip_stray_dialog_requests_total',
      'Requests with a To tag for numbers of lines that belong to no dialog of ours',
    );
    this.#falseCallers = parts.metrics.counter(
      'sip_false_callers_total',
      'INVITEs that were refused because they say in From that a line calls, and no line does',
    );
    parts.metrics.gauge('sip_dialogs', 'Dialogs of calls between telephones and lines', () => parts.ends.size);
    parts.callControl.register(this);
  }

  // --- for the proxy core ---------------------------------------------------------------------------------------------------

  /** Is it for a number that a line has? */
  isFor(uri: SipUri): boolean {
    return this.#lineNumber(uri) !== undefined;
  }

  /** No telephone is a line: whoever says so without being trusted lies, and is refused. */
  falseCaller({ from, method, toTag }: SipMessage, flow: Flow): Refusal | undefined {
    if (method !== 'INVITE' || toTag !== '') return undefined;
    const { callControl, trust } = this.#parts;
    if (!callControl.hasOthers(this.protocol) || trust.isTrusted(flow)) return undefined;
    const uri = parseUri(from.uri);
    if (uri === undefined || !this.isFor(uri)) return undefined;
    this.#falseCallers.add();
    return lineClaimed;
  }

  hasLine(number: string): boolean {
    return this.#parts.callControl.numberOf(number) !== undefined;
  }

  /** Did the user agent send it? */
  isOwn(flow: Flow): boolean {
    return flow === this.#parts.inner.fromUserAgent || this.isGuarded(flow);
  }

  /** ... in a dialog whose peer may not lead it to hops that the operator named? */
  isGuarded(flow: Flow): boolean {
    return flow === this.#parts.inner.fromGuarded;
  }

  /** A request with a To tag; false: of no dialog of ours. */
  takes(request: SipMessage, flow: Flow): boolean {
    const { ends } = this.#parts;
    if (ends.size === 0 || this.isOwn(flow)) return false;
    const end = ends.find(request.callId, request.toTag);
    end?.receive(request, flow);
    return end !== undefined;
  }

  /** A request for a line, outside of any dialog that we know. `uri`: where it goes, our own Route entries taken off. */
  onRequest(request: SipMessage, flow: Flow, uri: SipUri, key: string): void {
    const number = this.#lineNumber(uri) ?? '';
    if (this.#hold(request, key, number, () => this.#retry(request, flow, uri, key))) return;
    this.#onKnown(request, flow, uri, key);
  }

  #onKnown(request: SipMessage, flow: Flow, uri: SipUri, key: string): void {
    const number = this.#lineNumber(uri) ?? '';
    const { layer } = this.#parts;
    if (request.toTag !== '') {
      this.#stray.add();
      this.#refuseStateless(request, flow, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    if (request.method === 'INVITE') {
      this.#onInvite(request, flow, number, key);
      return;
    }
    const server = layer.accept(request, flow, key);
    if (request.method === 'OPTIONS')
      reply(this.#parts, server, request, 200, 'OK', { fields: `${allow}${supported}Accept: application/sdp\r\n` });
    else if (inDialogOnly.has(request.method))
      reply(this.#parts, server, request, 481, 'Call/Transaction Does Not Exist');
    else refuseMethod(this.#parts, server, request);
  }

  /**
   * The line may be in a call that a dead member knew of: the request waits until its gateway has been asked. True: it waits, or one like it
   * does.
   */
  #hold({ callId, toTag }: SipMessage, key: string, number: string, run: () => void): boolean {
    if (this.#held.has(key)) return true;
    if (this.#held.size >= maxHeld) return false;
    const { callControl, clock } = this.#parts;
    const limitMs = toTag === '' ? maxNewMs : maxInDialogMs;
    // Only a member that stands in for others is asked for what another knew.
    if (callControl.isServed(number) || this.#parts.predecessor() === undefined) return false;
    const held = { callId, run };
    this.#held.set(key, held);
    const untilMs = clock.now() + limitMs;
    const look = (): void => {
      if (this.#held.get(key) !== held) return;
      if (callControl.isServed(number) || clock.now() >= untilMs) {
        this.#held.delete(key);
        run();
      } else clock.after(lookMs, look);
    };
    // A gateway that cannot be asked before it has come to us is awaited.
    if (!callControl.claim(number, look)) look();
    return true;
  }

  /** What was held: for a dialog that has been made again, a repetition of what is being answered, or as if it came now. */
  #retry(request: SipMessage, flow: Flow, uri: SipUri, key: string): void {
    const known = this.#parts.layer.server(request, key);
    if (known !== undefined) known.receive(request, flow);
    else if (request.toTag === '' || !this.takes(request, flow)) this.#onKnown(request, flow, uri, key);
  }

  /** In whose place is this request of ours sent? */
  standInFor(request: SipMessage): ControllerAddress | undefined {
    const isOfInvite = request.method === 'INVITE' || request.method === 'CANCEL';
    return isOfInvite && request.toTag === '' ? this.#stoodInFor.get(request.callId) : undefined;
  }

  /** The dialog has been made again: what its peer has said meanwhile is older than anything that we say now. */
  #letGo(callId: string): void {
    for (const [key, held] of [...this.#held]) {
      if (held.callId !== callId) continue;
      this.#held.delete(key);
      held.run();
    }
  }

  resume(party: ResumedParty): ResumedLeg | undefined {
    return this.#resuming.resume(party);
  }

  /** What stands in the Contact of a request of the user agent's that leaves over a socket with these headers. */
  contact(request: SipMessage, headers: LocalHeaders): string | undefined {
    const [contact] = request.addresses(H.contact);
    const user = contact === undefined ? undefined : parseUri(contact.uri)?.user;
    if (user === undefined) return undefined;
    return ownContact(headers, dialledNumber(user), request.requestUri.startsWith('sips:'));
  }

  /** The peer's response to a request of the user agent's came over a flow that only this token leads to. */
  cameOver(token: string, response: SipMessage): void {
    this.#parts.ends.find(response.callId, response.fromTag)?.cameOver?.(token, response);
  }

  /** A response on its way from the proxy core to the user agent. */
  onResponse(response: SipMessage): void {
    this.#parts.layer.client(response)?.receive(response, this.#parts.inner.flow);
  }

  isNamed(host: string): boolean {
    return host === userAgentHost;
  }

  /** A 2xx for a leg that is not known here is left alone: its sender repeats it until a member has made the leg again. */
  adopt(response: SipMessage): void {
    const end = this.#parts.ends.find(response.callId, response.fromTag);
    if (end?.onResponse === undefined) this.#stray.add();
    else end.onResponse(response);
  }

  /** Does a request belong to a call of call control's, which tells of its calls itself? */
  hasCallOf({ via, callId, toTag, uri }: SipMessage): boolean {
    return (
      this.isNamed(via.host) ||
      this.#parts.ends.find(callId, toTag) !== undefined ||
      (uri !== undefined && this.isFor(uri))
    );
  }

  stop(): void {
    this.#parts.inner.stop();
    this.#parts.ends.stop();
  }

  // --- for call control -----------------------------------------------------------------------------------------------------

  place(contact: Contact, call: Call): Leg | ReleaseReason {
    const { state } = call;
    const number = 'number' in state ? state.number : undefined;
    if (number === undefined) return 'unavailable';
    if (call.isRestored) this.#resuming.placedAgain(call);
    return this.#outgoing(call, number, contact.trunk === undefined);
  }

  #outgoing(call: Call, number: string, isGuarded: boolean, ringing?: RingingParty): OutgoingCall {
    return new OutgoingCall({
      agent: this.#parts,
      call,
      requestUri: this.#uriOf(number),
      name: number,
      host: this.#host,
      isGuarded,
      mayAssert: false,
      ringing,
    });
  }

  /** Users of ours with this number for a name. */
  locate(number: string): readonly Contact[] {
    const uri = this.#userUri(number);
    return uri === undefined ? none : this.#parts.contacts(this.#parts.identity.record(uri)).filter(isSip);
  }

  claim(number: string): 'unavailable' | 'unknownNumber' {
    const uri = this.#userUri(number);
    return uri !== undefined && this.#parts.knows(uri) ? 'unavailable' : 'unknownNumber';
  }

  numbers(): Iterable<string> {
    return none;
  }

  /** Users whose names are numbers. */
  *diallable(): Iterable<string> {
    for (const record of this.#parts.records()) {
      const [, user] = /^(?:sips?:)?([0-9*#+]{1,15})@/i.exec(record) ?? [];
      if (user !== undefined) yield user;
    }
  }

  hasNumber(): boolean {
    return false;
  }

  isServed(): boolean {
    return false;
  }

  isInCall(): boolean {
    return false;
  }

  isNumberOf(): boolean {
    return false;
  }

  restore(): undefined {}

  snapshotOf(): undefined {}

  hasUnknownEnds(): boolean {
    return false;
  }

  // --------------------------------------------------------------------------------------------------------------------------

  #onInvite(request: SipMessage, flow: Flow, number: string, key: string): void {
    const parts = this.#parts;
    const { callId, fromTag } = request;
    const localTag = parts.ids.calledTag(callId, fromTag, number);
    // RFC 3261 §8.2.2.2: the same request by another way; what its first copy comes to is the caller's answer.
    if (parts.ends.find(callId, localTag) !== undefined) {
      this.#refuse(request, flow, key, 482, 'Loop Detected', '');
      return;
    }
    const unsupported = unsupportedIn(request);
    if (unsupported !== undefined) {
      this.#refuse(request, flow, key, 420, 'Bad Extension', unsupported);
      return;
    }
    const body = offerOf(request);
    if (body.kind === 'refused') {
      const { status, reason, fields } = body.refusal;
      this.#refuse(request, flow, key, status, reason, fields);
      return;
    }
    const isTrusted = parts.trust.isTrusted(flow);
    const { host, port } = flow.remote;
    const isNamed = parts.isTrunk(flow) || parts.trust.isConfigured({ host, port, transport: flow.transport });
    const isGuarded = !isTrusted && !isNamed;
    const caller = callerOf(request, isTrusted);
    const lie = this.falseCaller(request, flow);
    if (lie !== undefined) {
      this.#refuse(request, flow, key, lie.status, lie.reason, '');
      return;
    }
    if (answerInterval(request).kind === 'tooSmall') {
      this.#refuse(request, flow, key, 422, 'Session Interval Too Small', `Min-SE: ${minimumSeconds}\r\n`);
      return;
    }
    const dialog = dialogOfInvite(request, localTag, parts.flowNaming.tokenFor(request, flow), isGuarded);
    if (dialog === undefined || fromTag === '') {
      this.#refuse(request, flow, key, 400, fromTag === '' ? 'Bad Request - From tag' : 'Bad Request - Contact', '');
      return;
    }
    const server = parts.layer.accept(request, flow, key);
    parts.watch?.withdraw(request);
    const leg = new IncomingCall({
      agent: parts,
      invite: request,
      server,
      dialog,
      number,
      offer: body.kind === 'description' ? body.text : undefined,
      caller,
    });
    parts.callControl.begin(this.protocol, (call) => leg.attach(call));
  }

  #refuse(request: SipMessage, flow: Flow, key: string, status: number, reason: string, fields: string): void {
    this.#refused.add();
    const server = this.#parts.layer.accept(request, flow, key);
    const toTag = this.#parts.identity.localTag(request);
    server.respond(status, answerText(this.#parts, request, flow, status, reason, { toTag, fields }));
  }

  #refuseStateless(request: SipMessage, flow: Flow, status: number, reason: string): void {
    const text = responseText(request, status, reason, { topVia: stampedVia(request, flow) });
    replyStateless(this.#parts.layer, request, flow, text);
  }

  /** The number of a line that a URI of ours means. Names are told from numbers by their first character, before anything is looked up. */
  #lineNumber(uri: SipUri): string | undefined {
    const { scheme, user } = uri;
    if (user === undefined || !mayBeNumber(user.charCodeAt(0))) return undefined;
    const { callControl, identity } = this.#parts;
    const dialled = dialledNumber(user);
    const number = callControl.numberOf(dialled);
    if (number === undefined) return undefined;
    if (scheme === 'tel') {
      // RFC 3966 §5.1.5: a local number needs its context, and the context has to be ours.
      const context = phoneContext(uri);
      const isHere =
        context === undefined
          ? dialled.startsWith('+')
          : callControl.isOwnContext(context) || identity.isLocal({ ...uri, scheme: 'sip', host: context });
      if (!isHere) return undefined;
    } else if (!isSipScheme(scheme) || !identity.isLocal(uri)) return undefined;
    return number;
  }

  #userUri(number: string): SipUri | undefined {
    return parseUri(this.#uriOf(number));
  }

  #uriOf(number: string): string {
    return `sip:${escapeUser(number)}@${this.#host}`;
  }

  /** Our domain in URIs. */
  get #host(): string {
    const { name } = this.#parts.identity;
    return name.includes(':') ? `[${name}]` : name;
  }
}

const lineClaimed: Refusal = { status: 403, reason: 'Forbidden - From is the number of a line' };

const maxStoodIn = 10_000;
const maxHeld = 10_000;

/** For this long a request waits for a gateway to come to us: who has a dialog with a line, and who calls one. */
const maxInDialogMs = 8_000;
const maxNewMs = 3_000;
const lookMs = 100;

const isSip = ({ protocol }: Contact): boolean => protocol === 'sip';

/** A digit, `+`, `*`, `#`, `(`, or an escape. */
const mayBeNumber = (c: number): boolean => (c >= 48 && c <= 57) || (c >= 40 && c <= 43) || c === 35 || c === 37;

const inDialogOnly: ReadonlySet<string> = new Set(['BYE', 'PRACK', 'UPDATE', 'INFO']);

const none: readonly never[] = [];
