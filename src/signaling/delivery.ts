/**
 * One message under way: sent to the first address of its target, and to the next one when that hop fails or refuses it
 * (failover.ts decides). What tells that a hop fails is the business of its host.
 */

import type { Cancel, Clock } from '../clock.ts';
import { maxDatagramBytes } from '../network/limits.ts';
import type { Flow, FlowOptions } from '../network.ts';
import type { UnorderedItem, UnorderedSet } from '../unordered-set.ts';
import { addressKey, type ControllerAddress } from './controller-address.ts';
import type { ControllerPool, Peer } from './controller-pool.ts';
import {
  type Attempt,
  beginFailover,
  type FailoverEvent,
  type FailoverState,
  type HopFailure,
  onFailoverEvent,
} from './failover.ts';
import { busyLimits, type FailureDetector } from './failure-detector.ts';

/** Where a message may go, in order of preference; hosts are IP literals. */
export interface Target {
  readonly addresses: readonly ControllerAddress[];
  /** The name a TLS peer must prove. */
  readonly serverName?: string | undefined;
  /** An open connection that takes precedence over the first address. */
  readonly flow?: Flow | undefined;
}

/** The message under way, as the sender sees it. */
export interface Outgoing {
  /** The octets for this hop; asked again when the hop changes. */
  encode(flow: Flow, to: ControllerAddress): Uint8Array;
  /** The message has moved on to another hop. */
  switched?(from: ControllerAddress, to: ControllerAddress, because: HopFailure): void;
  /** No address is left. Called at most once, never from within `deliver`. */
  exhausted(tried: readonly Attempt[]): void;
}

/** What a delivery asks of whoever began it. */
export interface DeliveryHost {
  readonly clock: Clock;
  readonly pool: ControllerPool;
  readonly detector: FailureDetector;
  readonly options: { readonly silenceMs: number };
  readonly canProbe: boolean;
  /** Are we too slow ourselves to judge others by their silence? */
  readonly isBusy: boolean;
  flowTo(to: ControllerAddress, options?: FlowOptions): Flow | undefined;
  /** The same way, for a while through a socket that hears of ICMP errors; the flow itself where there is none. */
  watchedFlow(flow: Flow): Flow;
  /** An alternate may be needed soon. */
  prepare(peer: Peer): void;
  /** From now on a failure of this hop concerns the delivery, until it is taken out of what is returned. */
  watch(delivery: Delivery, hop: ControllerAddress): UnorderedSet<Delivery>;
  /** Nothing came from the hop within the silence limit. */
  silent(hop: ControllerAddress): void;
  /** May one more message move to this alternate? */
  maySwitch(to: ControllerAddress): boolean;
  explainSwitch(from: ControllerAddress, to: ControllerAddress, because: HopFailure, tried: readonly Attempt[]): void;
}

/** So many silence limits long a living hop may take with any answer. */
const slowAnswerLimits = 3;

/** One message under way. */
export class Delivery implements UnorderedItem {
  /** @internal */
  place = -1;
  readonly #host: DeliveryHost;
  readonly #target: Target;
  readonly #outgoing: Outgoing;
  #state: FailoverState | undefined;
  #current: ControllerAddress | undefined;
  #flow: Flow | undefined;
  #bytes: Uint8Array | undefined;
  #silence: Cancel | undefined;
  #watched: UnorderedSet<Delivery> | undefined;
  #provisional = false;
  #answerable = true;
  #beganSuspicion = false;
  #sentMs = 0;
  #isRepeated = false;
  #reports = 0;
  #ended = false;

  constructor(host: DeliveryHost, target: Target, addresses: readonly ControllerAddress[], outgoing: Outgoing) {
    this.#host = host;
    this.#target = target;
    this.#outgoing = outgoing;
    const [first, ...others] = addresses;
    if (first === undefined) {
      this.#giveUpLater([]);
      return;
    }
    if (others.length > 0) {
      this.#state = beginFailover([first, ...others]);
      for (const address of addresses) host.prepare(host.pool.admit(address, 'learned'));
    }
    this.#sendTo(first, target.flow);
  }

  /** The hop that has the message now. */
  get current(): ControllerAddress | undefined {
    return this.#current;
  }

  get flow(): Flow | undefined {
    return this.#flow;
  }

  /** Does it want its hop probed: answered provisionally, with alternates left? */
  get keepsWatch(): boolean {
    return this.#provisional && this.hasAlternate;
  }

  /** Sends the same octets to the same hop again. */
  repeat(): void {
    if (this.#ended || this.#flow === undefined || this.#bytes === undefined) return;
    // A peer of which nothing is known and that has said nothing may be gone: from here on we want to know.
    if (!this.#isRepeated && !this.#flow.reliable && !this.#provisional && this.#isUnknown)
      this.#flow = this.#host.watchedFlow(this.#flow);
    this.#isRepeated = true;
    this.#flow.send(this.#bytes);
  }

  get #isUnknown(): boolean {
    const { pool } = this.#host;
    return this.#state === undefined && this.#current !== undefined && pool.find(this.#current) === undefined;
  }

  /**
   * @internal An ICMP error about a peer that cannot be probed, which anybody can forge: the message itself asks once more, and the
   * peer is gone where that is reported as well, and nothing was heard.
   */
  reported(failure: HopFailure): void {
    if (this.#ended || this.#provisional) return;
    this.#reports += 1;
    if (this.#reports > 1) return;
    this.repeat();
    const { clock, options } = this.#host;
    const to = this.#current;
    this.#silence = clock.after(options.silenceMs / 4, () => {
      const isGone = this.#reports > 1;
      this.#reports = 0;
      if (isGone && to !== undefined && !this.#provisional) this.hopFailed(to, failure);
    });
  }

  /** A well-formed response to this message came over this flow: whoever sent it lives, if it is a hop that has the message. */
  heard({ remote, reliable }: Flow): void {
    const { detector, pool } = this.#host;
    if (this.#ended || pool.size === 0 || !pool.knowsHost(remote.host)) return;
    const current = this.#current;
    if (current === undefined) return;
    if (current.host === remote.host && (reliable || current.port === remote.port))
      detector.answered(current, this.#isRepeated ? undefined : this.#sentMs);
    else if (this.#state !== undefined) {
      const other = this.#target.addresses.find(({ host, port }) => host === remote.host && port === remote.port);
      if (other !== undefined) detector.answered(other);
    }
  }

  /** A provisional answer came: the hop lives at this moment, and is watched from now on. */
  provisional(): void {
    this.#silence?.();
    this.#silence = undefined;
    if (this.#provisional || this.#ended) return;
    this.#provisional = true;
    if (this.hasAlternate) this.#host.detector.keepWatch();
  }

  /** @internal Has it got a provisional answer, so that whoever waits for it knows that it is under way? */
  get isPatient(): boolean {
    return this.#provisional && this.#answerable;
  }

  /** @internal Nothing will answer it, and its hop got it before this moment. */
  isAlongSince(gotMs: number): boolean {
    return !this.#answerable && this.#sentMs < gotMs;
  }

  /** Call right after `deliver`: nothing will ever answer this message: only a failure of its hop moves it, and not where the hop spoke after it. */
  unanswerable(): void {
    if (this.#answerable && this.#beganSuspicion && this.#current !== undefined)
      this.#host.detector.clearSuspicion(this.#current);
    this.#answerable = false;
    this.#silence?.();
    this.#silence = undefined;
  }

  /** A final answer came: the message will not move any more. */
  answered(): void {
    if (this.#current !== undefined && this.#state !== undefined) this.#host.detector.accepted(this.#current);
    this.end();
  }

  /**
   * The hop takes no work (a 503 from a trusted hop): the message moves on. False where no alternate is left. `retryAfterMs`: the time
   * that it named, the only thing that can concern others (RFC 3261 §21.5.4).
   */
  refused(retryAfterMs?: number): boolean {
    const { current } = this;
    if (current === undefined || !this.hasAlternate) return false;
    if (retryAfterMs !== undefined) this.#host.detector.refused(current, retryAfterMs);
    this.hopFailed(current, 'refusing');
    return this.#current !== current;
  }

  /** Nothing further is wanted: no switch, no event. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#silence?.();
    this.#silence = undefined;
    this.#unwatch();
    this.#bytes = undefined;
  }

  /** @internal */
  hopFailed(address: ControllerAddress, failure: HopFailure): void {
    if (this.#ended || this.#current === undefined || addressKey(this.#current) !== addressKey(address)) return;
    if (this.#state === undefined) {
      this.#giveUpLater([{ address: this.#current, failure }]);
      return;
    }
    // Silence is a guess. Where nobody else is left to try, the message stays and is repeated, as it would be without us.
    if (failure === 'silent' && !this.#host.pool.hasUsable(this.#remaining)) return;
    this.#onEvent({ kind: 'hopFailed', address: this.#current, failure });
  }

  #onEvent(event: FailoverEvent): void {
    if (this.#state === undefined) return;
    const [state, effects] = onFailoverEvent(this.#state, event);
    this.#state = state;
    for (const effect of effects) {
      if (effect.kind === 'giveUp') this.#giveUpLater(effect.tried);
      else this.#switchTo(effect.to, effect.because);
    }
  }

  #switchTo(to: ControllerAddress, because: HopFailure): void {
    const from = this.#current;
    this.#provisional = false;
    if (!this.#host.maySwitch(to)) {
      this.#current = to;
      this.#onEvent({ kind: 'hopFailed', address: to, failure: 'overflow' });
      return;
    }
    this.#sendTo(to, undefined);
    if (from !== undefined && !this.#ended) {
      this.#host.explainSwitch(from, to, because, this.#state?.kind === 'trying' ? this.#state.tried : []);
      this.#outgoing.switched?.(from, to, because);
    }
  }

  #sendTo(to: ControllerAddress, preferred: Flow | undefined): void {
    this.#silence?.();
    this.#silence = undefined;
    this.#unwatch();
    this.#current = to;
    const { serverName } = this.#target;
    const flow =
      preferred ?? this.#host.flowTo(to, serverName === undefined ? undefined : { serverName, connected: true });
    this.#flow = flow;
    if (flow === undefined) {
      this.#host.clock.after(0, () => this.hopFailed(to, 'unreachable'));
      return;
    }
    this.#watched = this.#host.watch(this, to);
    this.#bytes = this.#outgoing.encode(flow, to);
    if (!flow.reliable && this.#bytes.length > maxDatagramBytes) {
      // Too long for a datagram: that concerns this message only.
      this.#host.clock.after(0, () => this.hopFailed(to, 'overflow'));
      return;
    }
    this.#sentMs = this.#host.clock.now();
    this.#isRepeated = false;
    flow.send(this.#bytes);
    if (!this.hasAlternate) return;
    this.#beganSuspicion = this.#host.detector.suspect(to, this.#answerable);
    this.#armSilence(to);
  }

  /**
   * Silence is judged by what comes from the hop, not by the answer: who is slow with an answer (a request without provisional
   * responses, on its way to somebody far) is asked half-way for a sign of life, and then only watched.
   */
  #armSilence(to: ControllerAddress): void {
    const host = this.#host;
    const { clock, options, detector, canProbe } = host;
    const sentMs = clock.now();
    const quarterMs = options.silenceMs / 4;
    const wait = (ms: number, elapsedMs: number): void => {
      const dueMs = clock.now() + ms;
      this.#silence = clock.after(ms, () => check(elapsedMs, clock.now() - dueMs > quarterMs));
    };
    // `late`: it was us who slept; what the hop said meanwhile is read before the next look.
    const check = (elapsedMs: number, late: boolean): void => {
      if (detector.heardSince(to, sentMs)) this.#waitLonger(to);
      else if (!late && (!canProbe || elapsedMs >= options.silenceMs)) host.silent(to);
      else {
        detector.probe(to);
        wait(quarterMs, late ? elapsedMs : elapsedMs + (host.isBusy ? quarterMs / busyLimits : quarterMs));
      }
    };
    const firstMs = canProbe ? 2 * quarterMs : options.silenceMs;
    wait(firstMs, firstMs);
  }

  /**
   * The hop lives and says nothing to this message. Perhaps it is cut off from whoever is next, and its alternate is not: after a
   * while that one is tried as well, unless it turns out to be dead itself. It says nothing against the hop.
   */
  #waitLonger(to: ControllerAddress): void {
    const { clock, options, pool } = this.#host;
    this.provisional();
    const [next] = this.#remaining;
    if (next !== undefined) this.#host.detector.probeBeforehand(next);
    this.#silence = clock.after(slowAnswerLimits * options.silenceMs, () => {
      if (pool.hasSound(this.#remaining)) this.hopFailed(to, 'silent');
      else this.#waitLonger(to);
    });
  }

  get #remaining(): readonly ControllerAddress[] {
    return this.#state?.kind === 'trying' ? this.#state.remaining : [];
  }

  /** @internal */
  get hasAlternate(): boolean {
    return this.#remaining.length > 0;
  }

  #unwatch(): void {
    this.#watched?.delete(this);
    this.#watched = undefined;
  }

  #giveUpLater(tried: readonly Attempt[]): void {
    this.end();
    this.#host.clock.after(0, () => this.#outgoing.exhausted(tried));
  }
}
