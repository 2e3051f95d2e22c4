/**
 * Our commands under way: repetition with exponential back-off, one at a time per endpoint, a window per peer (a restarted gateway
 * with thousands of lines is not flooded), and several addresses per peer through the Transmitter. The protocol encodes and decodes;
 * responses are matched here by transaction id. RFC 3435 §3.5 and §4.3, RFC 3525 Annex D.1.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Flow } from '../network.ts';
import type { Random } from '../random.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { Delivery } from '../signaling/delivery.ts';
import type { Attempt } from '../signaling/failover.ts';
import type { Transmitter } from '../signaling/transmitter.ts';
import {
  beginOutgoing,
  defaultTransactionTimers,
  type OutgoingEvent,
  type OutgoingState,
  type OutgoingStep,
  onOutgoingEvent,
  type TransactionTimers,
} from './outgoing-machine.ts';
import { RoundTrip } from './round-trip.ts';
import type { TransactionIds } from './transaction-ids.ts';

/** Whom commands are sent to: a gateway, or (from a gateway) its controllers. */
export interface ControlPeer {
  readonly name: string;
  /** In order of preference; asked at each command. */
  addresses(): readonly ControllerAddress[];
}

export type CommandOutcome<R> =
  | { readonly kind: 'answered'; readonly response: R; readonly flow: Flow }
  /** Nothing, or nothing final, was heard in time: whether it was executed is not known. */
  | { readonly kind: 'timedOut' }
  /** Every address refused or stayed silent. */
  | { readonly kind: 'unreachable'; readonly tried: readonly Attempt[] };

export interface GatewayCommand<R> {
  readonly peer: ControlPeer;
  /** Commands with the same key go one after the other (RFC 3435 §4.4.4); absent: no order wanted. */
  readonly queue?: string | undefined;
  /** Tried again until T-MAX, even if every address refused: a gateway waits for its controllers (RFC 3435 §4.3). */
  readonly persistent?: boolean | undefined;
  /** Sent at once, past queue and window (deletions). */
  readonly urgent?: boolean | undefined;
  /** It is not repeated sooner than this, however fast the peer is known to answer. */
  readonly minWaitMs?: number | undefined;
  /** It changes nothing: an answer that cannot be read may be taken for a refusal. */
  readonly isQuestion?: boolean | undefined;
  /** The octets; asked again, with the same id, when the address changes. */
  encode(id: number, flow: Flow, to: ControllerAddress): Uint8Array;
  provisional?(response: R): void;
  /** Called once, unless cancelled. */
  ended(outcome: CommandOutcome<R>): void;
}

export interface PendingCommand {
  /** The id, once it has been sent. */
  readonly id: number | undefined;
  /** Where it is now. */
  readonly to: ControllerAddress | undefined;
  /** Nothing more is repeated or reported. */
  cancel(): void;
}

export interface GatewayTransactionsParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly transmitter: Transmitter;
  readonly ids: TransactionIds;
  readonly timers?: Partial<TransactionTimers> | undefined;
  /** Commands under way per peer, and in all. */
  readonly window?: number | undefined;
  readonly totalWindow?: number | undefined;
  /** Commands that may wait for one peer; more are refused at once. */
  readonly maxWaiting?: number | undefined;
}

export class GatewayTransactions<R> {
  readonly #parts: GatewayTransactionsParts;
  readonly #timers: TransactionTimers;
  readonly #pending = new Map<number, Pending<R>>();
  readonly #peers = new Map<string, PeerState<R>>();
  /** Peers with work that the total window held back, in order. */
  readonly #starved = new Set<PeerState<R>>();
  #stopped = false;

  constructor(parts: GatewayTransactionsParts) {
    this.#parts = parts;
    this.#timers = { ...defaultTransactionTimers, ...parts.timers };
  }

  get timers(): TransactionTimers {
    return this.#timers;
  }

  /** Commands under way. */
  get size(): number {
    return this.#pending.size;
  }

  /** Commands that wait for their turn. */
  get waiting(): number {
    let count = 0;
    for (const peer of this.#peers.values()) count += peer.waiting.length;
    return count;
  }

  submit(command: GatewayCommand<R>): PendingCommand {
    const peer = this.#peerState(command.peer);
    const pending = new Pending(command, peer, this);
    if (command.urgent !== true && !this.#mayStart(pending)) {
      if (peer.waiting.length >= (this.#parts.maxWaiting ?? 100_000)) {
        this.#parts.clock.after(0, () => pending.end({ kind: 'timedOut' }));
        return pending;
      }
      peer.waiting.push(pending);
    } else this.#start(pending);
    return pending;
  }

  /** A response came in. False where it belongs to no command of ours: late, repeated or forged. */
  onResponse(id: number, final: boolean, response: R, flow: Flow): boolean {
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      this.#parts.transmitter.probeAnswered(String(id), flow);
      return false;
    }
    pending.delivery?.heard(flow);
    if (final) {
      pending.step({ kind: 'final' });
      pending.end({ kind: 'answered', response, flow });
    } else {
      pending.delivery?.provisional();
      pending.step({ kind: 'provisional' });
      pending.command.provisional?.(response);
    }
    return true;
  }

  /** Does this id belong to a command that changes nothing? */
  isQuestion(id: number): boolean {
    return this.#pending.get(id)?.command.isQuestion === true;
  }

  /** The peer whose command has this id. */
  peerOf(id: number): ControlPeer | undefined {
    return this.#pending.get(id)?.command.peer;
  }

  /** The peer has new addresses (a redirection): what is open goes to the first of them, with the same ids (RFC 3435 §4.3). */
  redirect(peer: ControlPeer): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.command.peer === peer) this.#send(pending);
    }
  }

  /** The peer is gone or restarted: its commands are settled without a word on the wire. */
  abandon(peer: ControlPeer): void {
    const state = this.#peers.get(peer.name);
    if (state === undefined) return;
    const waiting = state.waiting.splice(0);
    for (const pending of [...waiting, ...[...this.#pending.values()].filter(({ peer: of }) => of === state)])
      pending.end({ kind: 'timedOut' });
  }

  stop(): void {
    this.#stopped = true;
    this.cancelAll();
  }

  /** None of them is answered any more; nobody is told. */
  cancelAll(): void {
    for (const peer of this.#peers.values()) peer.waiting.length = 0;
    for (const pending of [...this.#pending.values()]) pending.cancel();
    this.#pending.clear();
  }

  /** @internal */
  get parts(): GatewayTransactionsParts {
    return this.#parts;
  }

  /** @internal Every address has failed: begin with the first again. */
  sendAgain(pending: Pending<R>): void {
    this.#send(pending);
  }

  /** @internal */
  finished(pending: Pending<R>): void {
    const { peer } = pending;
    if (pending.id !== undefined && this.#pending.delete(pending.id)) {
      peer.inFlight -= 1;
      if (pending.command.queue !== undefined) peer.busy.delete(pending.command.queue);
    } else {
      const at = peer.waiting.indexOf(pending);
      if (at >= 0) peer.waiting.splice(at, 1);
    }
    this.#pump(peer);
    for (const starved of this.#starved) {
      if (this.#pending.size >= this.#totalWindow) break;
      this.#starved.delete(starved);
      this.#pump(starved);
    }
  }

  get #totalWindow(): number {
    return this.#parts.totalWindow ?? 2_000;
  }

  #peerState(peer: ControlPeer): PeerState<R> {
    let state = this.#peers.get(peer.name);
    if (state === undefined) {
      state = { roundTrip: new RoundTrip(), inFlight: 0, busy: new Set(), waiting: [] };
      this.#peers.set(peer.name, state);
    }
    return state;
  }

  #mayStart({ peer, command }: Pending<R>): boolean {
    if (this.#pending.size >= this.#totalWindow) {
      this.#starved.add(peer);
      return false;
    }
    if (peer.inFlight >= (this.#parts.window ?? 64)) return false;
    return command.queue === undefined || !peer.busy.has(command.queue);
  }

  #pump(peer: PeerState<R>): void {
    if (this.#stopped) return;
    const { waiting } = peer;
    for (let at = 0; at < waiting.length && peer.inFlight < (this.#parts.window ?? 64); ) {
      const next = waiting[at];
      if (next === undefined) return;
      if (this.#pending.size >= this.#totalWindow) {
        this.#starved.add(peer);
        return;
      }
      if (this.#mayStart(next)) {
        waiting.splice(at, 1);
        this.#start(next);
      } else at += 1;
    }
  }

  #start(pending: Pending<R>): void {
    const { peer, command } = pending;
    let id = this.#parts.ids.next();
    // Never the id of a command that is still open, however long it takes.
    while (this.#pending.has(id)) id = this.#parts.ids.next();
    pending.id = id;
    this.#pending.set(id, pending);
    peer.inFlight += 1;
    if (command.queue !== undefined) peer.busy.add(command.queue);
    pending.begin(beginOutgoing(this.#parts.clock.now(), pending.firstWaitMs));
    this.#send(pending);
  }

  #send(pending: Pending<R>): void {
    const { command } = pending;
    pending.delivery?.end();
    pending.delivery = this.#parts.transmitter.deliver(
      { addresses: command.peer.addresses() },
      {
        encode: (flow, to) => command.encode(pending.id ?? 0, flow, to),
        switched: () => pending.step({ kind: 'switched', firstWaitMs: pending.firstWaitMs }),
        exhausted: (tried) => pending.exhausted(tried),
      },
    );
  }
}

interface PeerState<R> {
  readonly roundTrip: RoundTrip;
  inFlight: number;
  /** Queues with a command under way. */
  readonly busy: Set<string>;
  readonly waiting: Pending<R>[];
}

class Pending<R> implements PendingCommand {
  readonly command: GatewayCommand<R>;
  readonly peer: PeerState<R>;
  readonly #owner: GatewayTransactions<R>;
  id: number | undefined;
  delivery: Delivery | undefined;
  #state: OutgoingState | undefined;
  #timer: Cancel | undefined;
  #ended = false;

  constructor(command: GatewayCommand<R>, peer: PeerState<R>, owner: GatewayTransactions<R>) {
    this.command = command;
    this.peer = peer;
    this.#owner = owner;
  }

  get firstWaitMs(): number {
    return Math.max(this.command.minWaitMs ?? 0, this.peer.roundTrip.firstWaitMs);
  }

  get to(): ControllerAddress | undefined {
    return this.delivery?.current;
  }

  cancel(): void {
    if (this.#ended) return;
    this.#settle();
    this.#owner.finished(this);
  }

  end(outcome: CommandOutcome<R>): void {
    if (this.#ended) return;
    this.#settle();
    this.command.ended(outcome);
    this.#owner.finished(this);
  }

  exhausted(tried: readonly Attempt[]): void {
    this.delivery = undefined;
    // Whoever cannot send at all just now does not learn anything of the peer: what is lost is repeated.
    const isStranded = tried.length > 0 && tried.every(({ failure }) => failure === 'unreachable');
    if (this.command.persistent !== true && !isStranded) this.step({ kind: 'noHop' }, tried);
  }

  begin([state, effects]: OutgoingStep): void {
    this.#state = state;
    this.#perform(effects, []);
  }

  step(event: OutgoingEvent, tried: readonly Attempt[] = []): void {
    if (this.#state === undefined) return;
    const { clock } = this.#owner.parts;
    const [state, effects] = onOutgoingEvent(this.#state, event, clock.now(), this.#owner.timers);
    this.#state = state;
    this.#perform(effects, tried);
  }

  #perform(effects: OutgoingStep[1], tried: readonly Attempt[]): void {
    for (const effect of effects) {
      switch (effect.kind) {
        case 'repeat':
          if (this.delivery === undefined) this.#owner.sendAgain(this);
          else this.delivery.repeat();
          break;
        case 'arm':
          this.#timer?.();
          this.#timer = this.#owner.parts.clock.after(effect.ms, () => this.step(this.#timerEvent()));
          break;
        case 'disarm':
          this.#timer?.();
          break;
        case 'measured':
          this.peer.roundTrip.measured(effect.ms);
          break;
        case 'measuredAfterRepetition':
          this.peer.roundTrip.succeededAfterRepetition(effect.waitMs);
          break;
        case 'failed':
          this.end(effect.because === 'timedOut' ? { kind: 'timedOut' } : { kind: 'unreachable', tried });
          break;
      }
    }
  }

  #timerEvent(): OutgoingEvent {
    const { random } = this.#owner.parts;
    return { kind: 'timer', nextWaitMs: (delayMs) => this.peer.roundTrip.repeatWaitMs(delayMs, random) };
  }

  #settle(): void {
    this.#ended = true;
    this.#timer?.();
    this.delivery?.end();
  }
}
