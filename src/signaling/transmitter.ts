/**
 * Transmitter: sends one message to a target, and on a transmit error or silence sends it to the next address of the target's
 * path. Every role and every network entity sends through it; what the message says is the adapter's business.
 */

import type { Cancel, Clock } from '../clock.ts';
import type { EventSink } from '../controller/events.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Flow, FlowOptions, Listener, TransmitError } from '../network.ts';
import { TokenBucket } from '../token-bucket.ts';
import { UnorderedSet } from '../unordered-set.ts';
import { addressKey, type ControllerAddress, formatAddress, isReliable } from './controller-address.ts';
import type { ControllerPool, Peer } from './controller-pool.ts';
import { Delivery, type DeliveryHost, type Outgoing, type Target } from './delivery.ts';
import type { Attempt, HopFailure } from './failover.ts';
import { FailureDetector } from './failure-detector.ts';
import { PeerNews } from './peer-news.ts';

export interface TransmitterOptions {
  /** No response of any kind for this long: the hop is silent (only where another address remains). */
  readonly silenceMs: number;
  /** Nothing heard for this long after a datagram that has an alternate: the hop is asked for a sign of life. No verdict by itself. */
  readonly askMs: number;
  /** While something is pending towards a controller it is probed this often. */
  readonly probeMs: number;
  /** A peer that is down is probed this often. */
  readonly downProbeMs: number;
  /** Messages per second that may move to an alternate, per destination, and the burst allowed. */
  readonly switchesPerSecond: number;
  readonly switchBurst: number;
}

const defaultTransmitterOptions: TransmitterOptions = {
  silenceMs: 1_000,
  askMs: 40,
  probeMs: 250,
  downProbeMs: 1_000,
  switchesPerSecond: 2_000,
  switchBurst: 20_000,
};

export interface Probe {
  /** What tells its answer from others (`probeAnswered`). */
  readonly id: string;
  readonly bytes: Uint8Array;
}

export interface TransmitterParts {
  readonly clock: Clock;
  readonly pool: ControllerPool;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly protocol: string;
  /** The bound listeners; a hop is reached from the first that fits its transport and address family. */
  listeners(): readonly Listener[];
  /** A harmless request that any living peer answers, with an id that nobody can guess; undefined where the protocol has none for it. */
  probe?(to: ControllerAddress, flow: Flow): Probe | undefined;
  readonly options?: Partial<TransmitterOptions>;
  readonly events?: EventSink | undefined;
  /** Shared with whoever else hears of deaths and returns. */
  readonly news?: PeerNews | undefined;
  /** A probe was answered from there. */
  answered?(address: ControllerAddress): void;
  /** Are we too slow ourselves to judge others by their silence? */
  isBusy?(): boolean;
}

export class Transmitter implements DeliveryHost {
  readonly #parts: TransmitterParts;
  readonly #options: TransmitterOptions;
  /** Deliveries that a failure of their hop concerns, by hop. */
  readonly #open = new Map<string, UnorderedSet<Delivery>>();
  #sweepAt = keptHops;
  readonly #detector: FailureDetector;
  readonly #news: PeerNews;
  readonly #prepared = new WeakSet<Peer>();
  /** Deliveries on their way to an alternate, a share at a time. */
  readonly #moving = new Set<Cancel>();
  readonly #buckets = new Map<string, TokenBucket>();
  /** What was sent lately to a peer and awaits no answer, for the case that the peer turns out to be dead. */
  readonly #recent = new Map<string, Recent[]>();
  #stopped = false;

  constructor(parts: TransmitterParts) {
    this.#parts = parts;
    this.#options = { ...defaultTransmitterOptions, ...parts.options };
    this.#news = parts.news ?? new PeerNews(parts);
    // There before the first failure: a rate needs what it was before.
    for (const reason of ['refused', 'silent'] as const) {
      this.#failedCount(reason);
      this.#switchCount(reason);
    }
    this.#detector = new FailureDetector({
      clock: parts.clock,
      pool: parts.pool,
      log: parts.log,
      options: this.#options,
      canProbe: parts.probe !== undefined,
      get isBusy() {
        return parts.isBusy?.() === true;
      },
      sendProbe: (peer) => this.#sendProbe(peer),
      watchedHops: () => this.#watchedHops(),
      condemned: (address, failure, detail) => this.#hopFailed(address, failure, detail),
      returned: (peer) => this.#peerReturned(peer),
    });
  }

  get pool(): ControllerPool {
    return this.#parts.pool;
  }

  get options(): TransmitterOptions {
    return this.#options;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  /** Starts sending. The delivery lasts until `end()`: tell it what is heard, and repeat through it. */
  deliver(target: Target, outgoing: Outgoing): Delivery {
    const addresses = this.#parts.pool.order(target.addresses);
    return new Delivery(this, target, addresses, outgoing);
  }

  /** Sends bytes that await nothing (a response, an acknowledgement); false where there is no way to that address. */
  sendOnce(to: ControllerAddress, encode: (flow: Flow) => Uint8Array, options?: FlowOptions): boolean {
    const flow = this.flowTo(to, options);
    if (flow === undefined) return false;
    flow.send(encode(flow));
    return true;
  }

  /**
   * Sends what is not answered but may be repeated (a response) to the first of these addresses that is not known to be down; with
   * every further turn to the next one. If that peer is found dead right afterwards, it goes to the others at once.
   */
  sendToFirst(addresses: readonly ControllerAddress[], bytes: Uint8Array, turn = 0, open?: Flow): boolean {
    const { pool, clock } = this.#parts;
    const to = pool.choose(addresses, turn);
    if (to === undefined) return false;
    for (const address of addresses) pool.admit(address, 'learned');
    const flow = open !== undefined && addresses[0] === to ? open : this.flowTo(to);
    if (flow === undefined) return false;
    const key = addressKey(to);
    const recent = this.#recent.get(key) ?? [];
    if (this.#recent.size > maxRecent) this.#recent.clear();
    if (recent.length >= maxRecent) recent.splice(0, maxRecent / 2);
    recent.push({ atMs: clock.now(), addresses, bytes });
    this.#recent.set(key, recent);
    flow.send(bytes);
    if (addresses.length > 1) this.#detector.suspect(to, false);
    return true;
  }

  /** Asks a peer for a sign of life, now; what comes of it is in the pool. */
  ask(to: ControllerAddress): void {
    this.#parts.pool.admit(to, 'learned');
    this.#detector.suspect(to, true);
    this.#detector.probe(to);
  }

  /** Another witness knows that this peer is dead: what is open there moves, new messages avoid it until it answers probes again. */
  condemn(address: ControllerAddress, detail: string): void {
    this.#hopFailed(address, 'down', detail);
  }

  /** The peer says to all that it leaves: new messages avoid it, what is open there stays. */
  withdraw(address: ControllerAddress): void {
    this.#detector.withdrawn(address);
  }

  /** The way to an address, from the first listener that fits. Peers of the pool get a flow that reports ICMP errors. */
  flowTo(to: ControllerAddress, options?: FlowOptions): Flow | undefined {
    const listener = this.#listenerFor(to);
    if (listener === undefined) return undefined;
    if (options === undefined && this.#parts.pool.size > 0 && this.#parts.pool.find(to) !== undefined)
      return listener.flowTo(to, { connected: true });
    return listener.flowTo(to, options);
  }

  /** Is this connection still there? A datagram flow always is. */
  isOpen(flow: Flow): boolean {
    if (flow.relayed !== undefined) return flow.relayed.isOpen;
    return !flow.reliable || this.#parts.listeners().some((listener) => listener.flowById(flow.id) !== undefined);
  }

  /** The open connection with this id, if any. */
  flowById(id: string): Flow | undefined {
    for (const listener of this.#parts.listeners()) {
      const flow = listener.flowById(id);
      if (flow !== undefined) return flow;
    }
    return undefined;
  }

  /**
   * A response came that matches no message under way: is it the answer to a probe of ours? `retryAfterMs`: it says that the peer
   * takes no work for so long.
   */
  probeAnswered(id: string, { transport, remote }: Flow, retryAfterMs?: number): boolean {
    const address = { transport, host: remote.host, port: remote.port };
    const isOurs = this.#detector.probeAnswered(id, address, retryAfterMs);
    if (isOurs) this.#parts.answered?.(address);
    return isOurs;
  }

  /**
   * Call for every failure the network reports. An ICMP error is a report that anybody can forge: it moves the messages at hand, the
   * rest waits until a probe stayed unanswered.
   */
  flowFailed(flow: Flow, { reason, detail, isLocal }: TransmitError): void {
    if (this.#stopped) return;
    const address = { transport: flow.transport, host: flow.remote.host, port: flow.remote.port };
    if (flow.reliable || isLocal === true) {
      this.#hopFailed(address, reason, detail, !flow.reliable);
      return;
    }
    // One message was too long, or we were too busy: that says nothing of the peer.
    if (reason === 'overflow') return;
    const verdict = this.#detector.reported(address, reason, detail);
    if (verdict === 'unknown') this.#unknownFailed(address, reason, detail);
    else if (verdict === 'moves') this.#moveAtHand(address, reason);
  }

  /** Settles every timer; open deliveries get no further event. */
  stop(): void {
    this.#stopped = true;
    this.#detector.stop();
    for (const cancel of this.#moving) cancel();
    this.#moving.clear();
    for (const { items } of [...this.#open.values()]) for (const delivery of [...items]) delivery.end();
    this.#open.clear();
  }

  /** @internal Deliveries register with the hop they wait for. */
  watch(delivery: Delivery, hop: ControllerAddress): UnorderedSet<Delivery> {
    const key = addressKey(hop);
    let waiting = this.#open.get(key);
    if (waiting === undefined) {
      // Those of hops that nothing waits for are kept for the next message, within reason.
      if (this.#open.size >= this.#sweepAt) this.#sweep();
      waiting = new UnorderedSet();
      this.#open.set(key, waiting);
    }
    waiting.add(delivery);
    return waiting;
  }

  #sweep(): void {
    for (const [key, { items }] of this.#open) if (items.length === 0) this.#open.delete(key);
    this.#sweepAt = Math.max(keptHops, 2 * this.#open.size);
  }

  /** What waits for this hop; undefined where nothing does. */
  #waitingFor(hop: ControllerAddress): UnorderedSet<Delivery> | undefined {
    const waiting = this.#open.get(addressKey(hop));
    return waiting === undefined || waiting.items.length === 0 ? undefined : waiting;
  }

  /** @internal */
  silent(address: ControllerAddress): void {
    this.#hopFailed(address, 'silent', `no response within ${this.#options.silenceMs} ms`);
  }

  /** @internal Can a peer be asked for a sign of life? */
  get canProbe(): boolean {
    return this.#parts.probe !== undefined;
  }

  /** @internal */
  get isBusy(): boolean {
    return this.#parts.isBusy?.() === true;
  }

  /** @internal */
  get detector(): FailureDetector {
    return this.#detector;
  }

  /** @internal An alternate's socket is there before it is needed: opening one takes milliseconds, and nothing else waits longer then. */
  prepare(peer: Peer): void {
    if (this.#prepared.has(peer)) return;
    this.#prepared.add(peer);
    if (!isReliable(peer.address.transport)) this.#listenerFor(peer.address)?.flowTo(peer.address, { connected: true });
  }

  /** @internal The same way, for a while through a socket that hears of ICMP errors; the flow itself where there is none. */
  watchedFlow(flow: Flow): Flow {
    const { local, remote, transport } = flow;
    for (const listener of this.#parts.listeners())
      if (
        listener.local.transport === transport &&
        listener.local.port === local.port &&
        listener.local.host === local.host
      )
        return listener.flowTo(remote, { briefly: true });
    return flow;
  }

  /** @internal May one more message move to this alternate? */
  maySwitch(to: ControllerAddress): boolean {
    const key = addressKey(to);
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      if (this.#buckets.size > 4_096) this.#buckets.clear();
      bucket = new TokenBucket(this.#parts.clock, this.#options.switchesPerSecond, this.#options.switchBurst);
      this.#buckets.set(key, bucket);
    }
    return bucket.take();
  }

  /** @internal One explaining line and one count per switch. */
  explainSwitch(
    from: ControllerAddress,
    to: ControllerAddress,
    because: HopFailure,
    tried: readonly Attempt[] = [],
  ): void {
    this.#switchCount(because).add();
    const { log } = this.#parts;
    if (log.isLevelEnabled('debug'))
      logEvent(log, 'messageMoved', {
        from: formatAddress(from),
        to: formatAddress(to),
        because,
        tried: tried.map(({ address, failure }) => `${formatAddress(address)} ${failure}`),
      });
    const { events, protocol } = this.#parts;
    events?.moved?.(formatAddress(from), formatAddress(to), because);
    if (events?.isHeard === true)
      events.emit({
        kind: 'switch',
        what: 'message',
        protocol,
        from: formatAddress(from),
        to: formatAddress(to),
        because,
      });
  }

  #peerReturned({ address, returnAtMs }: Peer): void {
    const { clock, log } = this.#parts;
    const heldMs = Math.max(0, Math.round(returnAtMs - clock.now()));
    const newWorkAt = new Date(clock.wallNow() + heldMs).toISOString();
    const line = { peer: formatAddress(address), heldMs, newWorkAt };
    if (this.#news.returned(address)) logEvent(log, 'peerReturned', line);
    else log.debug(line, 'peer answers again, as is known');
  }

  #failedCount(reason: HopFailure): Counter {
    const { metrics, protocol } = this.#parts;
    return metrics.counter('peers_failed_total', 'Times a peer was declared down, by reason', { protocol, reason });
  }

  #switchCount(reason: HopFailure): Counter {
    const { metrics, protocol } = this.#parts;
    return metrics.counter('switches_total', 'Messages that moved to an alternate, by reason', { protocol, reason });
  }

  /** Whoever cannot be probed is asked by the messages themselves (a telephone: RFC 3261 §18.4). */
  #unknownFailed(address: ControllerAddress, failure: HopFailure, detail: string): void {
    const waiting = this.#waitingFor(address);
    if (!this.canProbe || this.#parts.pool.find(address) !== undefined) this.#hopFailed(address, failure, detail);
    else for (const delivery of [...(waiting?.items ?? [])]) delivery.reported(failure);
  }

  /** `isOneDatagram`: our own system did not send a datagram, which says nothing of what that peer has got before. */
  #hopFailed(address: ControllerAddress, failure: HopFailure, detail: string, isOneDatagram = false): void {
    if (this.#stopped) return;
    const waiting = this.#waitingFor(address);
    // A connection that ends while nothing waits for it says nothing about its peer.
    if ((failure === 'closed' || failure === 'reset') && waiting === undefined) return;
    const { pool, log } = this.#parts;
    const peer = pool.find(address);
    if (peer !== undefined && pool.failed(peer, failure)) {
      this.#failedCount(failure).add();
      const line = { peer: peer.key, failure, detail, moving: waiting?.items.length ?? 0 };
      if (this.#news.died(address, failure)) logEvent(log, 'peerDied', line);
      else log.debug(line, 'peer is down, as is known');
    }
    if (peer !== undefined) {
      this.#detector.watchAiling();
      this.#sendAgain(address);
    }
    if (waiting !== undefined) this.#moveOn(waiting, address, failure, isOneDatagram);
  }

  /** The hop is suspect: what has heard nothing from it goes to its alternates, where it has any; the rest waits for the verdict. */
  #moveAtHand(address: ControllerAddress, failure: HopFailure): void {
    this.#sendAgain(address);
    const waiting = this.#waitingFor(address);
    if (waiting === undefined) return;
    const arrivedMs = this.#detector.arrivedBeforeMs(address);
    for (const delivery of [...waiting.items])
      if (!delivery.isPatient && delivery.hasAlternate && !delivery.isAlongSince(arrivedMs))
        delivery.hopFailed(address, failure);
  }

  /**
   * What has heard nothing yet goes at once: somebody waits for it. What rings already can wait a moment; all of it at once would
   * only stand in the way of the others at the alternate, which has not seen such a rush before.
   */
  #moveOn(
    { items }: UnorderedSet<Delivery>,
    address: ControllerAddress,
    failure: HopFailure,
    isOneDatagram: boolean,
  ): void {
    const arrivedMs = this.#detector.arrivedBeforeMs(address);
    const patient: Delivery[] = [];
    for (const delivery of [...items]) {
      if (delivery.isAlongSince(arrivedMs)) delivery.end();
      else if (!delivery.isPatient) delivery.hopFailed(address, failure);
      // What rings there goes on ringing, unless there is somewhere else to go.
      else if (delivery.hasAlternate || !isOneDatagram) patient.push(delivery);
    }
    const share = Math.max(minShare, Math.ceil(patient.length / moveShares));
    const next = (): void => {
      this.#moving.delete(cancel);
      for (const delivery of patient.splice(0, share)) delivery.hopFailed(address, failure);
      if (patient.length === 0) return;
      cancel = this.#parts.clock.after(moveEveryMs, next);
      this.#moving.add(cancel);
    };
    let cancel: Cancel = () => undefined;
    next();
  }

  /** What went to the dead peer a moment ago and nobody answers for goes to its alternates. */
  #sendAgain(address: ControllerAddress): void {
    const key = addressKey(address);
    const recent = this.#recent.get(key);
    if (recent === undefined) return;
    this.#recent.delete(key);
    const { clock, pool } = this.#parts;
    const sinceMs = Math.max(clock.now() - 2 * this.#options.silenceMs, this.#detector.arrivedBeforeMs(address));
    for (const { atMs, addresses, bytes } of recent) {
      if (atMs < sinceMs) continue;
      const to = pool.choose(
        addresses.filter((other) => addressKey(other) !== key),
        0,
      );
      if (to === undefined || !this.maySwitch(to)) continue;
      this.flowTo(to)?.send(bytes);
      this.explainSwitch(address, to, 'down');
    }
  }

  #sendProbe({ address }: Peer): string | undefined {
    const listener = this.#listenerFor(address);
    // From an address that is on another host nobody is asked: it would be answered there.
    const flow = listener?.floating === 'elsewhere' ? undefined : listener?.flowTo(address, { connected: true });
    const probe = flow && this.#parts.probe?.(address, flow);
    if (flow === undefined || probe === undefined) return undefined;
    flow.send(probe.bytes);
    return probe.id;
  }

  /** Of each hop that a message with only a provisional answer keeps under watch, one. */
  *#watchedHops(): Iterable<ControllerAddress> {
    for (const { items } of [...this.#open.values()]) {
      const hop = items.find(({ keepsWatch }) => keepsWatch)?.current;
      if (hop !== undefined) yield hop;
    }
  }

  #listenerFor(to: ControllerAddress): Listener | undefined {
    const v6 = to.host.includes(':');
    let found: Listener | undefined;
    for (const listener of this.#parts.listeners()) {
      if (listener.local.transport !== to.transport || listener.local.host.includes(':') !== v6) continue;
      // A floating address that is here comes first: peers go on reaching it when this host is gone.
      if (listener.floating === 'here') return listener;
      if (found === undefined || (found.floating === 'elsewhere' && listener.floating === undefined)) found = listener;
    }
    return found;
  }
}

interface Recent {
  readonly atMs: number;
  readonly addresses: readonly ControllerAddress[];
  readonly bytes: Uint8Array;
}

/** Hops that are remembered without a message for them. */
const keptHops = 1_024;

/** Deliveries whose hop failed and that can wait move in so many shares, this far apart; a few move together anyway. */
const moveShares = 20;
const moveEveryMs = 10;
const minShare = 4;

/** Per peer; more than that within two silence limits go the slow way, by repetition. */
const maxRecent = 1_024;
