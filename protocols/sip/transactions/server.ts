/** A server transaction (RFC 3261 §17.2): runs its machine, keeps its timers, and repeats its response, also to who acts in the place of the sender. */
import type { Flow } from '../../../src/internal.ts';
import { flat } from '../codec/kept-text.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Via } from '../codec/values.ts';
import { announcedAlgorithm } from '../overload/oc-params.ts';
import { nextWaitMs, type TransactionHost } from './host.ts';
import {
  type Effect,
  inviteServer,
  nonInviteServer,
  type ServerEvent,
  type ServerState,
  serverRow,
} from './machines.ts';
import { absorbingOctets, openOctets } from './memory.ts';
import { Transaction } from './transaction.ts';
import { isFrom, none, type ReplyWay, replyWay, sendBack } from './way-back.ts';

/** Who works for the answer of a server transaction. */
export interface ServerUser {
  /** CANCEL from upstream (RFC 3261 §16.10) with the values of its Reason fields. */
  cancel(reasons: readonly string[]): void;
  /** The transaction has ended without an answer: another host answers. */
  forsaken?(): void;
}

export class ServerTransaction extends Transaction {
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
  /** Of a hop that is to be told of our load. */
  readonly #told: Via | undefined;
  #state: ServerState;
  /** Kept as text: the octets would keep the whole slab of Node's buffer pool that they lie in. */
  #last: string | undefined;
  #status = 0;
  #octets = 0;
  /** When a 2xx to INVITE was sent first, and last. */
  #acceptedMs = 0;
  #repeatedMs = 0;

  constructor(host: TransactionHost, key: string, request: SipMessage, flow: Flow) {
    super(host, request.method === 'INVITE');
    this.key = key;
    this.#request = request;
    this.#back = replyWay(request.via, flow, host.alternatesOf);
    this.flow = flow;
    if (host.feedback !== undefined && announcedAlgorithm(request.via.params) !== undefined) this.#told = request.via;
    this.#state = this.isInvite ? 'proceeding' : 'trying';
    this.#weigh(openOctets + request.text.length);
  }

  /** Something of this size is kept for its answer until that is sent. False: there is no room for it. */
  hold(octets: number): boolean {
    if (this.isFinal || !this.host.memory.mayGoOn(octets)) return false;
    this.#weigh(this.#octets + octets);
    return true;
  }

  #weigh(octets: number): void {
    this.host.memory.changeFor(this.flow.remote.host, octets - this.#octets);
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
      const way = replyWay(message.via, from, this.host.alternatesOf);
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

  /**
   * May its answer still need us? A refusal is repeated until its ACK comes (Timer G). A 2xx is repeated by whoever gave it, who knows of
   * nobody but us: he did not get his ACK yet where the next repetition (RFC 3261 §13.3.1.4) is due or just came. Of anything but INVITE:
   * its answer is being made.
   */
  isUnsettled(now: number): boolean {
    if (!this.isInvite) return this.#state === 'trying' || this.#state === 'proceeding';
    if (this.#state !== 'accepted') return this.#state === 'completed';
    const { t1Ms, t2Ms } = this.host.timers;
    const nextMs = Math.min(this.#repeatedMs - this.#acceptedMs + t1Ms, t2Ms);
    return now - this.#repeatedMs < nextMs + t1Ms;
  }

  abandon(): void {
    this.end();
  }

  /** Ends without a word, and so does whoever works for its answer. */
  forsake(): void {
    const { user } = this;
    this.abandon();
    user?.forsaken?.();
  }

  get #hasAlternates(): boolean {
    return this.#back !== undefined && this.#back.alternates !== none;
  }

  #step(event: ServerEvent, status = 0, text?: string): void {
    const { next, effects } = serverRow(this.isInvite ? inviteServer : nonInviteServer, this.#state, event);
    this.#state = next;
    for (const effect of effects) this.#perform(effect, status, text);
    if (this.#state === 'terminated') this.end();
  }

  #perform(effect: Effect, status: number, text: string | undefined): void {
    const { t1Ms, t2Ms, t4Ms } = this.host.timers;
    switch (effect) {
      case 'deliver':
        if (text === undefined) break;
        // A 2xx that comes again was not acknowledged: perhaps it never arrived where the last one went.
        if (this.#status >= 200) this.#turn += 1;
        this.#status = status;
        if (this.isInvite && status >= 200 && status < 300) {
          this.#repeatedMs = this.host.clock.now();
          if (this.#acceptedMs === 0) this.#acceptedMs = this.#repeatedMs;
        }
        // A 2xx to INVITE is repeated end to end, not from here, unless a stand-in asks for it.
        this.#last = this.isInvite && status >= 200 && status < 300 && !this.#hasAlternates ? undefined : flat(text);
        if (status >= 200) {
          if (this.#request !== undefined) this.host.observer?.answered(this.#request, status, this.flow);
          this.#request = undefined;
          this.#weigh(absorbingOctets + (this.#last?.length ?? 0));
        }
        this.#sendBack(text);
        break;
      case 'repeat':
        if (this.#last !== undefined) this.#sendBack(this.#last);
        break;
      case 'armRetransmit':
        if (this.flow.reliable) break;
        this.retransmission = this.host.clock.after(this.waitMs, () => {
          this.#turn += 1;
          this.#step('retransmit');
        });
        this.waitMs = nextWaitMs(this.waitMs, t2Ms);
        break;
      case 'disarmRetransmit':
        this.disarmRetransmit();
        break;
      case 'armTimeout':
        this.deadline = this.host.clock.after(64 * t1Ms, () => this.#step('timeout'));
        break;
      case 'disarmTimeout':
        this.disarmTimeout();
        break;
      case 'absorb':
        // On a connection nothing is repeated, except by whoever takes the place of its dead other end.
        this.absorb(this.flow.reliable && !this.#hasAlternates ? 0 : this.isInvite ? t4Ms : 64 * t1Ms);
        break;
      case 'absorbAccepted':
        this.absorb(64 * t1Ms);
        break;
      case 'acknowledge':
      case 'reportTimeout':
      case 'reportTransportError':
        break;
    }
  }

  #sendBack(text: string): void {
    const { transmitter, octets, feedback } = this.host;
    const told = this.#told === undefined ? undefined : feedback?.write(text, this.#told, this.flow.remote);
    sendBack(transmitter, this.flow, this.#back, octets(told ?? text, this.flow), this.#turn);
  }

  /** @internal */
  leave(): void {
    this.#step('absorbEnd');
  }

  protected terminated(): void {
    this.#state = 'terminated';
  }

  protected override end(): void {
    super.end();
    this.#weigh(0);
    this.host.forgetServer(this);
  }
}
