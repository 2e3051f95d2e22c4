/**
 * Runs the machines of transaction-machines.ts: matches messages to transactions (RFC 3261 §17.1.3, §17.2.3), keeps their timers,
 * and sends requests through the core's Transmitter, so that a request may move to an alternate hop with its identity unchanged.
 */
import {
  type Attempt,
  type Cancel,
  type Clock,
  type ControllerAddress,
  type Delivery,
  type Flow,
  type HopFailure,
  isReliable,
  type OctetBudget,
  type Outgoing,
  type Target,
  type Transmitter,
} from '../../src/internal.ts';
import { viaTransport } from './alternate-path.ts';
import { magicCookie } from './branch.ts';
import { sipDefaultPort } from './config.ts';
import { toBytes, topViaEnd } from './encode.ts';
import { H } from './header-names.ts';
import { ackFor } from './hop-requests.ts';
import { type Lingerer, Lingering } from './lingering.ts';
import type { SipMessage } from './messages.ts';
import { retryAfterMs } from './retry-after.ts';
import {
  type ClientEvent,
  type ClientState,
  clientRow,
  type Effect,
  inviteClient,
  inviteServer,
  nonInviteClient,
  nonInviteServer,
  type ServerEvent,
  type ServerState,
  serverRow,
} from './transaction-machines.ts';
import { absorbingOctets, openOctets, transactionBudget } from './transaction-memory.ts';
import { isUnicast } from './trust.ts';
import type { Via } from './values.ts';

export interface TransactionTimers {
  readonly t1Ms: number;
  readonly t2Ms: number;
  readonly t4Ms: number;
}

/** Waits between sends: doubling from T1 up to the cap (Timers A: no cap; E and G: T2). */
export const nextWaitMs = (waitMs: number, capMs: number): number => Math.min(waitMs * 2, capMs);

export interface ClientUser {
  onResponse(response: SipMessage, transaction: ClientTransaction): void;
  /** Timer B or F. */
  onTimeout(transaction: ClientTransaction): void;
  /** No hop is left. */
  onTransportError(transaction: ClientTransaction, tried: readonly Attempt[]): void;
  /** The request went to another hop: what was told to others about this one no longer holds. */
  onMoved?(transaction: ClientTransaction, from: ControllerAddress, to: ControllerAddress, because: HopFailure): void;
  /** Who takes what comes after the first final response (repeated 2xx); asked once. */
  afterwards?(): ClientUser;
}

/** Who works for the answer of a server transaction. */
export interface ServerUser {
  /** CANCEL from upstream (RFC 3261 §16.10) with the values of its Reason fields. */
  cancel(reasons: readonly string[]): void;
}

export interface ServerObserver {
  accepted(request: SipMessage): void;
  answered(request: SipMessage, status: number): void;
}

export type AlternatesOf = (via: Via, flow: Flow) => readonly ControllerAddress[];

const none: readonly never[] = [];

/** The text to send over a flow: our Via shows its transport and address. */
export type Compose = (flow: Flow, to: ControllerAddress) => string;

export class TransactionLayer {
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #servers = new Map<string, ServerTransaction>();
  readonly clock: Clock;
  readonly transmitter: Transmitter;
  readonly timers: TransactionTimers;

  /** The alternates of the hop that a request came from, as far as we obey them. */
  readonly alternatesOf: AlternatesOf;
  /** @internal */
  readonly lingering: Lingering;
  /** What all transactions keep. */
  readonly memory: OctetBudget;
  /** Is told of the requests that are accepted, and of their final responses. */
  observer: ServerObserver | undefined;

  constructor(
    clock: Clock,
    transmitter: Transmitter,
    timers: TransactionTimers,
    alternatesOf: AlternatesOf = () => none,
    memory: OctetBudget = transactionBudget(),
  ) {
    this.clock = clock;
    this.transmitter = transmitter;
    this.timers = timers;
    this.alternatesOf = alternatesOf;
    this.lingering = new Lingering(clock);
    this.memory = memory;
  }

  /** Transactions that may still do something. */
  get size(): number {
    return this.#clients.size + this.#servers.size;
  }

  /** Transactions without a final response yet: what a drain waits for. */
  get pending(): number {
    let count = 0;
    for (const server of this.#servers.values()) if (!server.isFinal) count += 1;
    return count;
  }

  /** Starts a client transaction; the request leaves at once. */
  request(method: string, branch: string, target: Target, compose: Compose, user: ClientUser): ClientTransaction {
    const transaction = new ClientTransaction(this, method, branch, compose, user);
    this.#clients.set(transaction.key, transaction);
    transaction.start(target);
    return transaction;
  }

  /** The transaction that a response belongs to. */
  client(response: SipMessage): ClientTransaction | undefined {
    return this.#clients.get(clientKey(response.via.branch ?? '', response.method));
  }

  /** The server transaction that a request repeats or, as ACK, completes; `key` is its `requestKey`. */
  server(request: SipMessage, key = requestKey(request)): ServerTransaction | undefined {
    return this.#servers.get(key);
  }

  /** The INVITE that a CANCEL is meant for (RFC 3261 §9.2). */
  cancelled(cancel: SipMessage): ServerTransaction | undefined {
    return this.#servers.get(serverKey(cancel, 'INVITE'));
  }

  accept(request: SipMessage, flow: Flow, key = requestKey(request)): ServerTransaction {
    const transaction = new ServerTransaction(this, flat(key), request, flow);
    this.#servers.set(transaction.key, transaction);
    this.observer?.accepted(request);
    return transaction;
  }

  stop(): void {
    for (const transaction of [...this.#clients.values()]) transaction.abandon();
    for (const transaction of [...this.#servers.values()]) transaction.abandon();
  }

  /** @internal */
  forgetClient(transaction: ClientTransaction): void {
    if (this.#clients.get(transaction.key) === transaction) this.#clients.delete(transaction.key);
  }

  /** @internal */
  forgetServer(transaction: ServerTransaction): void {
    if (this.#servers.get(transaction.key) === transaction) this.#servers.delete(transaction.key);
  }
}

export class ClientTransaction implements Outgoing, Lingerer {
  readonly key: string;
  readonly branch: string;
  readonly method: string;
  readonly #layer: TransactionLayer;
  #compose: Compose | undefined;
  #user: ClientUser;
  readonly #isInvite: boolean;
  #state: ClientState;
  #delivery: Delivery | undefined;
  /** Where the request went, once it is answered. */
  #flow: Flow | undefined;
  /** Where else it could have gone. */
  #addresses: readonly ControllerAddress[] = none;
  /** The alternate that the last response came from, while the request itself was at another hop. */
  #aside: Flow | undefined;
  #text = '';
  #ack: Buffer | undefined;
  #retransmit: Cancel | undefined;
  #deadline: Cancel | undefined;
  #waitMs: number;
  #octets = 0;

  constructor(layer: TransactionLayer, method: string, branch: string, compose: Compose, user: ClientUser) {
    this.key = clientKey(branch, method);
    this.branch = branch;
    this.method = method;
    this.#layer = layer;
    this.#compose = compose;
    this.#user = user;
    this.#isInvite = method === 'INVITE';
    this.#state = this.#isInvite ? 'calling' : 'trying';
    this.#waitMs = layer.timers.t1Ms;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The hop that has the request. */
  get hop(): ControllerAddress | undefined {
    return this.#delivery?.current;
  }

  get flow(): Flow | undefined {
    return this.#delivery?.flow ?? this.#flow;
  }

  /** The request as it was last sent. */
  get sentText(): string {
    return this.#text;
  }

  /** @internal */
  start(target: Target): void {
    this.#armTimeout();
    if (target.addresses.length > 1) this.#addresses = target.addresses;
    this.#delivery = this.#layer.transmitter.deliver(target, this);
    this.#armRetransmit();
  }

  /** The last response came over this flow from an alternate, past the hop that has the request: that hop is dead, or cut off from others. */
  get aside(): Flow | undefined {
    return this.#aside;
  }

  /** `from`: the flow that the response came over. */
  receive(response: SipMessage, from?: Flow): void {
    const { status } = response;
    const delivery = this.#delivery;
    if (from !== undefined) delivery?.heard(from);
    if (this.#addresses.length > 0) this.#aside = this.#besides(from);
    if (status < 200) {
      if (this.#state === 'calling' || this.#state === 'trying' || this.#state === 'proceeding')
        delivery?.provisional();
      this.#step('provisional', response);
      return;
    }
    if (status === 503 && this.#state !== 'completed' && this.#state !== 'accepted' && this.#refused(response)) return;
    delivery?.answered();
    this.#step(status < 300 ? 'success' : 'failure', response);
    this.#slim();
  }

  /** It has arrived where it is for, past its hop: if that hop fails now, the answer comes past it as well, and the request stays. */
  stay(): void {
    this.#delivery?.end();
  }

  #besides(from: Flow | undefined): Flow | undefined {
    const { flow } = this;
    if (from === undefined || flow === undefined || isFrom(from, flow.remote)) return undefined;
    return this.#addresses.some((address) => isFrom(from, address)) ? from : undefined;
  }

  /** From here on only repetitions are dealt with: what they need is kept, the rest is given back. */
  #slim(): void {
    if (this.#delivery === undefined) return;
    this.#flow = this.#delivery.flow;
    this.#delivery = undefined;
    this.#compose = undefined;
    this.#text = '';
    this.#weigh(absorbingOctets + (this.#ack?.length ?? 0));
    this.#user = this.#user.afterwards?.() ?? this.#user;
  }

  #weigh(octets: number): void {
    this.#layer.memory.change(octets - this.#octets);
    this.#octets = octets;
  }

  /** Ends without a word to anybody. */
  abandon(): void {
    this.#end();
  }

  encode(flow: Flow, to: ControllerAddress): Uint8Array {
    this.#text = this.#compose?.(flow, to) ?? this.#text;
    // The text, and the octets of it that may be repeated.
    this.#weigh(openOctets + 2 * this.#text.length);
    return toBytes(this.#text);
  }

  switched(from: ControllerAddress, to: ControllerAddress, because: HopFailure): void {
    // The new hop has heard nothing yet: the schedule starts anew, the transaction's identity and its Timer B or F stay.
    this.#state = this.#isInvite ? 'calling' : 'trying';
    this.#waitMs = this.#layer.timers.t1Ms;
    if (this.#deadline === undefined) this.#armTimeout();
    this.#armRetransmit();
    this.#user.onMoved?.(this, from, to, because);
  }

  exhausted(tried: readonly Attempt[]): void {
    this.#step('transportError', undefined, tried);
  }

  #refused(response: SipMessage): boolean {
    const flow = this.flow;
    if (this.#delivery?.refused(retryAfterMs(response)) !== true) return false;
    // The refusing hop's transaction ends with its ACK; ours goes on at the next hop.
    if (this.#isInvite && flow !== undefined) flow.send(ackFor(this.#text, response));
    return true;
  }

  #step(event: ClientEvent, response?: SipMessage, tried: readonly Attempt[] = []): void {
    const { next, effects } = clientRow(this.#isInvite ? inviteClient : nonInviteClient, this.#state, event);
    this.#state = next;
    for (const effect of effects) this.#perform(effect, response, tried);
    if (this.#state === 'terminated') this.#end();
  }

  #perform(effect: Effect, response: SipMessage | undefined, tried: readonly Attempt[]): void {
    switch (effect) {
      case 'deliver':
        if (response !== undefined) this.#user.onResponse(response, this);
        break;
      case 'repeat':
        this.#delivery?.repeat();
        break;
      case 'armRetransmit':
        this.#waitMs = nextWaitMs(
          this.#state === 'proceeding' ? this.#layer.timers.t2Ms : this.#waitMs,
          this.#isInvite ? Number.POSITIVE_INFINITY : this.#layer.timers.t2Ms,
        );
        this.#armRetransmit();
        break;
      case 'disarmRetransmit':
        this.#retransmit?.();
        this.#retransmit = undefined;
        break;
      case 'armTimeout':
        this.#armTimeout();
        break;
      case 'disarmTimeout':
        this.#deadline?.();
        this.#deadline = undefined;
        break;
      case 'linger':
        this.#linger(
          this.flow?.reliable === true
            ? 0
            : this.#isInvite
              ? Math.max(32_000, 64 * this.#layer.timers.t1Ms)
              : this.#layer.timers.t4Ms,
        );
        break;
      case 'lingerAccepted':
        this.#linger(64 * this.#layer.timers.t1Ms);
        break;
      case 'acknowledge':
        if (response !== undefined) this.#acknowledge(response);
        break;
      case 'reportTimeout':
        this.#user.onTimeout(this);
        break;
      case 'reportTransportError':
        this.#user.onTransportError(this, tried);
        break;
    }
  }

  #acknowledge(response: SipMessage): void {
    this.#ack ??= ackFor(this.#text, response);
    (this.#aside ?? this.flow)?.send(this.#ack);
  }

  #armRetransmit(): void {
    this.#retransmit?.();
    this.#retransmit = undefined;
    if (this.flow === undefined || this.flow.reliable) return;
    this.#retransmit = this.#layer.clock.after(this.#waitMs, () => this.#step('retransmit'));
  }

  #armTimeout(): void {
    this.#deadline = this.#layer.clock.after(64 * this.#layer.timers.t1Ms, () => {
      this.#deadline = undefined;
      this.#delivery?.end();
      this.#step('timeout');
    });
  }

  #linger(ms: number): void {
    this.#deadline?.();
    this.#deadline = undefined;
    if (ms === 0) this.#state = 'terminated';
    else this.#layer.lingering.add(this, ms);
  }

  /** @internal */
  leave(): void {
    this.#step('lingerEnd');
  }

  #end(): void {
    this.#state = 'terminated';
    this.#retransmit?.();
    this.#deadline?.();
    this.#retransmit = undefined;
    this.#deadline = undefined;
    this.#delivery?.end();
    this.#weigh(0);
    this.#layer.forgetClient(this);
  }
}

export class ServerTransaction implements Lingerer {
  readonly key: string;
  readonly flow: Flow;
  /** Until the final response is sent. */
  user: ServerUser | undefined;
  /** Where responses go by the request's top Via and its alternates; undefined: back over the flow that it came over. */
  #back: ReplyWay | undefined;
  /** Repetitions that nobody asked for go to the alternates in turn. */
  #turn = 0;
  #isMoved = false;
  #request: SipMessage | undefined;
  readonly #layer: TransactionLayer;
  readonly #isInvite: boolean;
  #state: ServerState;
  /** Kept as text: the octets would keep the whole slab of Node's buffer pool that they lie in. */
  #last: string | undefined;
  #status = 0;
  #retransmit: Cancel | undefined;
  #deadline: Cancel | undefined;
  #waitMs: number;
  #octets = 0;

  constructor(layer: TransactionLayer, key: string, request: SipMessage, flow: Flow) {
    this.key = key;
    this.#request = request;
    this.#back = replyWay(request.via, flow, layer.alternatesOf);
    this.flow = flow;
    this.#layer = layer;
    this.#isInvite = request.method === 'INVITE';
    this.#state = this.#isInvite ? 'proceeding' : 'trying';
    this.#waitMs = layer.timers.t1Ms;
    this.#weigh(openOctets + request.text.length);
  }

  /** Something of this size is kept for its answer until that is sent. False: there is no room for it. */
  hold(octets: number): boolean {
    if (this.isFinal || !this.#layer.memory.mayGoOn(octets)) return false;
    this.#weigh(this.#octets + octets);
    return true;
  }

  #weigh(octets: number): void {
    this.#layer.memory.changeFor(this.flow.remote.host, octets - this.#octets);
    this.#octets = octets;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** Until the final response is sent. */
  get request(): SipMessage | undefined {
    return this.#request;
  }

  /** A final response has been sent. */
  get isFinal(): boolean {
    return this.#status >= 200;
  }

  /** Sends a response, or keeps silent where the state allows none. `text` is complete. */
  respond(status: number, text: string): void {
    this.#step(status < 200 ? 'sendProvisional' : status < 300 ? 'sendSuccess' : 'sendFailure', status, text);
  }

  /** The request again, or its ACK; over another flow where a hop acts in the place of the one it came from first. */
  receive(message: SipMessage, from?: Flow): void {
    if (from !== undefined && this.#hasAlternates && !isFrom(from, this.#back?.flow.remote ?? this.flow.remote)) {
      const way = replyWay(message.via, from, this.#layer.alternatesOf);
      if (way !== undefined && way.alternates !== none) {
        this.#back = way;
        this.#isMoved = true;
      }
    }
    this.#turn = 0;
    // Who took the place of a dead hop has not seen the 2xx that went there, and asks until it has.
    if (this.#isMoved && this.#state === 'accepted' && message.method === 'INVITE')
      this.#perform('repeat', 0, undefined);
    this.#step(message.method === 'ACK' ? 'ack' : 'request');
  }

  abandon(): void {
    this.#end();
  }

  get #hasAlternates(): boolean {
    return this.#back !== undefined && this.#back.alternates !== none;
  }

  #step(event: ServerEvent, status = 0, text?: string): void {
    const { next, effects } = serverRow(this.#isInvite ? inviteServer : nonInviteServer, this.#state, event);
    this.#state = next;
    for (const effect of effects) this.#perform(effect, status, text);
    if (this.#state === 'terminated') this.#end();
  }

  #perform(effect: Effect, status: number, text: string | undefined): void {
    const { t1Ms, t2Ms, t4Ms } = this.#layer.timers;
    switch (effect) {
      case 'deliver':
        if (text === undefined) break;
        // A 2xx that comes again was not acknowledged: perhaps it never arrived where the last one went.
        if (this.#status >= 200) this.#turn += 1;
        this.#status = status;
        // A 2xx to INVITE is repeated end to end, not from here, unless a stand-in asks for it.
        this.#last = this.#isInvite && status >= 200 && status < 300 && !this.#hasAlternates ? undefined : flat(text);
        if (status >= 200) {
          if (this.#request !== undefined) this.#layer.observer?.answered(this.#request, status);
          this.#request = undefined;
          this.#weigh(absorbingOctets + (this.#last?.length ?? 0));
        }
        sendBack(this.#layer.transmitter, this.flow, this.#back, toBytes(text), this.#turn);
        break;
      case 'repeat':
        if (this.#last !== undefined)
          sendBack(this.#layer.transmitter, this.flow, this.#back, toBytes(this.#last), this.#turn);
        break;
      case 'armRetransmit':
        if (this.flow.reliable) break;
        this.#retransmit = this.#layer.clock.after(this.#waitMs, () => {
          this.#turn += 1;
          this.#step('retransmit');
        });
        this.#waitMs = nextWaitMs(this.#waitMs, t2Ms);
        break;
      case 'disarmRetransmit':
        this.#retransmit?.();
        this.#retransmit = undefined;
        break;
      case 'armTimeout':
        this.#deadline = this.#layer.clock.after(64 * t1Ms, () => this.#step('timeout'));
        break;
      case 'disarmTimeout':
        this.#deadline?.();
        this.#deadline = undefined;
        break;
      case 'linger':
        // On a connection nothing is repeated, except by whoever takes the place of its dead other end.
        this.#linger(this.flow.reliable && !this.#hasAlternates ? 0 : this.#isInvite ? t4Ms : 64 * t1Ms);
        break;
      case 'lingerAccepted':
        this.#linger(64 * t1Ms);
        break;
      case 'acknowledge':
      case 'reportTimeout':
      case 'reportTransportError':
        break;
    }
  }

  #linger(ms: number): void {
    this.#deadline?.();
    this.#deadline = undefined;
    if (ms === 0) this.#state = 'terminated';
    else this.#layer.lingering.add(this, ms);
  }

  /** @internal */
  leave(): void {
    this.#step('lingerEnd');
  }

  #end(): void {
    this.#state = 'terminated';
    this.#retransmit?.();
    this.#deadline?.();
    this.#weigh(0);
    this.#layer.forgetServer(this);
  }
}

/** Where a response goes: the flow of the request, and what its top Via says where that differs. */
interface ReplyWay {
  readonly flow: Flow;
  readonly port: number;
  readonly maddr: string | undefined;
  /** All of them, the hop itself first; `none` where the hop named no alternates that we obey. */
  readonly alternates: readonly ControllerAddress[];
}

/** RFC 3261 §18.2.2 and RFC 3581 §4; undefined: simply back over the flow. */
function replyWay(via: Via, flow: Flow, alternatesOf: AlternatesOf): ReplyWay | undefined {
  const port =
    via.rport !== undefined && !flow.reliable ? flow.remote.port : via.port || sipDefaultPort(flow.transport);
  // A group or a whole network is no place for an answer (RFC 4475 §3.3.10).
  const maddr = flow.reliable || via.maddr === undefined || !isUnicast(via.maddr) ? undefined : via.maddr;
  const alternates = alternatesOf(via, flow);
  if (alternates.length === 0)
    return !flow.reliable && maddr === undefined && port === flow.remote.port
      ? undefined
      : { flow, port, maddr, alternates: none };
  const { transport } = flow;
  const hop: ControllerAddress = { transport, host: maddr ?? flow.remote.host, port };
  // A stand-in sends with its partner's sent-by: the partner itself comes last.
  const named: ControllerAddress = { transport, host: via.host, port: via.port || sipDefaultPort(transport) };
  return { flow, port, maddr, alternates: [hop, ...[...alternates, named].filter((other) => !isFrom(flow, other))] };
}

/** Is this address the other end of the flow? The port of a connection's other end says nothing. */
const isFrom = (
  { reliable, remote }: Flow,
  { host, port }: { readonly host: string; readonly port: number },
): boolean => remote.host === host && (reliable || remote.port === port);

/** Sends a response that belongs to no transaction of ours. */
export const reply = (transmitter: Transmitter, request: SipMessage, flow: Flow, bytes: Buffer): void =>
  sendBack(
    transmitter,
    flow,
    replyWay(request.via, flow, () => none),
    bytes,
    0,
  );

function sendBack(
  transmitter: Transmitter,
  straight: Flow,
  way: ReplyWay | undefined,
  bytes: Buffer,
  turn: number,
): void {
  if (way === undefined) {
    straight.send(bytes);
    return;
  }
  const { flow, port, maddr, alternates } = way;
  if (alternates.length > 0) {
    // RFC 3263 §5 comes after what the hop itself named (docs/alternate-path.md §7.5).
    const isGone = flow.reliable && !transmitter.isOpen(flow);
    const addresses = isGone ? [...alternates.slice(1), ...alternates.slice(0, 1)] : alternates;
    transmitter.sendToFirst(addresses, bytes, turn, flow.reliable && !isGone ? flow : undefined);
    return;
  }
  if (flow.reliable && transmitter.isOpen(flow)) flow.send(bytes);
  else transmitter.sendOnce({ transport: flow.transport, host: maddr ?? flow.remote.host, port }, () => bytes);
}

/** Branches are unlike for all requests but a CANCEL, which has its INVITE's (RFC 3261 §9.1); an ACK has no client transaction. */
const clientKey = (branch: string, method: string): string => (method === 'CANCEL' ? `${branch} CANCEL` : branch);

/** Kept for half a minute: as characters of its own, not as a view that keeps the whole message alive. */
function flat(text: string): string {
  // Asking for a character makes V8 join a concatenation in place; it must be used, or the question is optimized away.
  return text.charCodeAt(0) === 0 ? '' : text;
}

/** The key of the server transaction that a request begins or repeats, or as ACK belongs to. */
export const requestKey = (request: SipMessage): string =>
  serverKey(request, request.method === 'ACK' ? 'INVITE' : request.method);

/** RFC 3261 §17.2.3: branch, sent-by and method; without the magic cookie (RFC 2543) what that section names instead. */
export function serverKey(request: SipMessage, method: string): string {
  const { via } = request;
  if (via.branch?.startsWith(magicCookie) === true && via.branch.length > magicCookie.length)
    return `${via.branch} ${via.host}:${via.port} ${method}`;
  return `2543 ${request.requestUri} ${method === 'INVITE' ? '' : request.toTag} ${request.fromTag} ${request.callId} ${request.cseq} ${via.text} ${method}`;
}

/** The address a response goes to by Via alone, for a response that belongs to no transaction (RFC 3261 §16.11, §18.2.2). */
export function viaAddress(via: SipMessage['via']): ControllerAddress | undefined {
  const transport = viaTransport(via.transport);
  if (transport === undefined) return undefined;
  const rport = via.rport === undefined || via.rport === '' ? 0 : Number(via.rport);
  const host = via.maddr ?? via.received ?? via.host;
  if (!isUnicast(host)) return undefined;
  return {
    transport,
    host,
    port: isReliable(transport) ? via.port || sipDefaultPort(transport) : rport || via.port || 5_060,
  };
}

/** A response with its top Via taken off (RFC 3261 §16.7 item 3); undefined where no other Via remains: it was for us. */
export function withoutTopVia(response: SipMessage): string | undefined {
  const first = response.fieldIndex(H.via);
  const { text, scan, end } = response;
  const stop = response.valueStop(first);
  let next = topViaEnd(response, first);
  // Behind the comma, unless nothing follows.
  while (next < stop && isSeparator(text.charCodeAt(next))) next += 1;
  if (next < stop) return text.slice(scan.start, response.valueStart(first)) + text.slice(next, end);
  if (response.fieldIndex(H.via, first) < 0) return undefined;
  return text.slice(scan.start, response.fieldStart(first)) + text.slice(response.fieldEnd(first), end);
}

const isSeparator = (c: number): boolean => c <= 32 || c === 44;
