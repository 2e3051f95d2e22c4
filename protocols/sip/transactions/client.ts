/**
 * A client transaction (RFC 3261 §17.1): runs its machine, keeps its timers, and sends its request through the core's Transmitter, so
 * that the request may move to an alternate hop with its identity unchanged.
 */
import type {
  Attempt,
  ControllerAddress,
  Delivery,
  Flow,
  HopFailure,
  Outgoing,
  Target,
} from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { retryAfterMs } from '../codec/retry-after.ts';
import { ackFor } from './hop-requests.ts';
import { nextWaitMs, type TransactionHost } from './host.ts';
import { clientKey } from './keys.ts';
import {
  type ClientEvent,
  type ClientState,
  clientRow,
  type Effect,
  inviteClient,
  nonInviteClient,
} from './machines.ts';
import { absorbingOctets, openOctets } from './memory.ts';
import { Transaction } from './transaction.ts';
import { isFrom, none } from './way-back.ts';

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

/** The text to send over a flow: our Via shows its transport and address. */
export type Compose = (flow: Flow, to: ControllerAddress) => string;

export class ClientTransaction extends Transaction implements Outgoing {
  readonly key: string;
  readonly branch: string;
  readonly method: string;
  #compose: Compose | undefined;
  #user: ClientUser;
  #state: ClientState;
  #delivery: Delivery | undefined;
  /** Where the request went, once it is answered. */
  #flow: Flow | undefined;
  /** Where else it could have gone. */
  #addresses: readonly ControllerAddress[] = none;
  /** The alternate that the last response came from, while the request itself was at another hop. */
  #bypassFlow: Flow | undefined;
  #text = '';
  #ack: Uint8Array | undefined;
  #octets = 0;

  constructor(host: TransactionHost, method: string, branch: string, compose: Compose, user: ClientUser) {
    super(host, method === 'INVITE');
    this.key = clientKey(branch, method);
    this.branch = branch;
    this.method = method;
    this.#compose = compose;
    this.#user = user;
    this.#state = this.isInvite ? 'calling' : 'trying';
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

  /** Somebody rings, or is told not to, and has not said the last word: nobody but us can stop him, or acknowledge it. */
  get isUnsettled(): boolean {
    const isOpen = this.#state === 'calling' || this.#state === 'trying' || this.#state === 'proceeding';
    return isOpen && (this.isInvite || this.method === 'CANCEL');
  }

  /** @internal */
  start(target: Target): void {
    this.#armTimeout();
    if (target.addresses.length > 1) this.#addresses = target.addresses;
    this.#delivery = this.host.transmitter.deliver(target, this);
    this.#armRetransmit();
  }

  /** The last response came over this flow from an alternate, past the hop that has the request: that hop is dead, or cut off from others. */
  get bypassFlow(): Flow | undefined {
    return this.#bypassFlow;
  }

  /** `from`: the flow that the response came over. */
  receive(response: SipMessage, from?: Flow): void {
    const { status } = response;
    const delivery = this.#delivery;
    if (from !== undefined) delivery?.heard(from);
    if (this.#addresses.length > 0) this.#bypassFlow = this.#bypass(from);
    if (status < 200) {
      if (this.#state === 'calling' || this.#state === 'trying' || this.#state === 'proceeding')
        delivery?.provisional();
      this.#step('provisional', response);
      return;
    }
    if (status === 503 && this.#state !== 'completed' && this.#state !== 'accepted' && this.#refused(response)) return;
    delivery?.answered();
    this.#step(status < 300 ? 'success' : 'failure', response);
    this.#releaseRequest();
  }

  /** It has arrived where it is for, past its hop: if that hop fails now, the answer comes past it as well, and the request stays. */
  stay(): void {
    this.#delivery?.end();
  }

  #bypass(from: Flow | undefined): Flow | undefined {
    const { flow } = this;
    if (from === undefined || flow === undefined || isFrom(from, flow.remote)) return undefined;
    return this.#addresses.some((address) => isFrom(from, address)) ? from : undefined;
  }

  /** From here on only repetitions are dealt with: what they need is kept, the rest is given back. */
  #releaseRequest(): void {
    if (this.#delivery === undefined) return;
    this.#flow = this.#delivery.flow;
    this.#delivery = undefined;
    this.#compose = undefined;
    this.#text = '';
    this.#weigh(absorbingOctets + (this.#ack?.length ?? 0));
    this.#user = this.#user.afterwards?.() ?? this.#user;
  }

  #weigh(octets: number): void {
    this.host.memory.change(octets - this.#octets);
    this.#octets = octets;
  }

  /** Ends without a word to anybody. */
  abandon(): void {
    this.end();
  }

  encode(flow: Flow, to: ControllerAddress): Uint8Array {
    this.#text = this.#compose?.(flow, to) ?? this.#text;
    // The text, and the octets of it that may be repeated.
    this.#weigh(openOctets + 2 * this.#text.length);
    return this.host.octets(this.#text, flow);
  }

  switched(from: ControllerAddress, to: ControllerAddress, because: HopFailure): void {
    // The new hop has heard nothing yet: the schedule starts anew, the transaction's identity and its Timer B or F stay.
    this.#state = this.isInvite ? 'calling' : 'trying';
    this.waitMs = this.host.timers.t1Ms;
    if (this.deadline === undefined) this.#armTimeout();
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
    if (this.isInvite && flow !== undefined) flow.send(this.host.octets(ackFor(this.#text, response), flow));
    return true;
  }

  #step(event: ClientEvent, response?: SipMessage, tried: readonly Attempt[] = []): void {
    const { next, effects } = clientRow(this.isInvite ? inviteClient : nonInviteClient, this.#state, event);
    this.#state = next;
    for (const effect of effects) this.#perform(effect, response, tried);
    if (this.#state === 'terminated') this.end();
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
        this.waitMs = nextWaitMs(
          this.#state === 'proceeding' ? this.host.timers.t2Ms : this.waitMs,
          this.isInvite ? Number.POSITIVE_INFINITY : this.host.timers.t2Ms,
        );
        this.#armRetransmit();
        break;
      case 'disarmRetransmit':
        this.disarmRetransmit();
        break;
      case 'armTimeout':
        this.#armTimeout();
        break;
      case 'disarmTimeout':
        this.disarmTimeout();
        break;
      case 'absorb':
        this.absorb(
          this.flow?.reliable === true
            ? 0
            : this.isInvite
              ? Math.max(32_000, 64 * this.host.timers.t1Ms)
              : this.host.timers.t4Ms,
        );
        break;
      case 'absorbAccepted':
        this.absorb(64 * this.host.timers.t1Ms);
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
    const flow = this.#bypassFlow ?? this.flow;
    if (flow === undefined) return;
    this.#ack ??= this.host.octets(ackFor(this.#text, response), flow);
    flow.send(this.#ack);
  }

  #armRetransmit(): void {
    this.disarmRetransmit();
    if (this.flow === undefined || this.flow.reliable) return;
    this.retransmission = this.host.clock.after(this.waitMs, () => this.#step('retransmit'));
  }

  #armTimeout(): void {
    this.deadline = this.host.clock.after(64 * this.host.timers.t1Ms, () => {
      this.deadline = undefined;
      this.#delivery?.end();
      this.#step('timeout');
    });
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
    this.#delivery?.end();
    this.#weigh(0);
    this.host.forgetClient(this);
  }
}
