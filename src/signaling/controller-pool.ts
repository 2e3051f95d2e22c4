/**
 * What this process knows of the controllers it sends to: which live, which are down, and who said they exist.
 * A configured entry is never dropped because a peer did not list it; learned ones are bounded and the least used goes first.
 *
 *     up ──failed──► down ──answered──► recovering ──holdMs + jitter without a failure──► up
 *                      ▲                    │
 *                      └──────failed────────┘
 *     up ──reported (ICMP)──► suspect ──answered──► up; no answer to any probe: failed
 *     up ──takes no work (503 with Retry-After)──► refusing ──its time is over──► up; takes work again: recovering
 *
 * Only a well-formed answer to something that we sent counts as answered.
 */
import type { Clock } from '../clock.ts';
import type { Random } from '../random.ts';
import { addressKey, type ControllerAddress } from './controller-address.ts';
import type { HopFailure } from './failover.ts';

export type Provenance = 'configured' | 'learned';

export type PeerHealth = 'up' | 'suspect' | 'refusing' | 'down' | 'recovering';

export interface Peer {
  readonly address: ControllerAddress;
  readonly key: string;
  provenance: Provenance;
  health: PeerHealth;
  /** When it last answered something that we sent (Clock time); 0: never. */
  lastHeardMs: number;
  /** How soon it answers: the fastest lately; 0: not known. */
  answerMs: number;
  /** When it was last reported gone and answered after that; 0: never. */
  refutedMs: number;
  /** When it last took a message; 0: never. */
  acceptedMs: number;
  /** When it was first asked for a sign of life since the last one; 0: never. */
  askedMs: number;
  /** When it was last declared down, and why. */
  downSinceMs: number;
  failure: HopFailure | undefined;
  /** When a recovering or refusing peer counts as up again. */
  returnAtMs: number;
  lastUsedMs: number;
}

export interface PoolOptions {
  /** How long a peer must answer before new work goes back to it. */
  readonly holdMs: number;
  /** The hold time is stretched by up to this share of itself, so that not everybody returns at once. */
  readonly jitter: number;
  readonly maxLearned: number;
}

export const defaultPoolOptions: PoolOptions = { holdMs: 10_000, jitter: 0.3, maxLearned: 1_024 };

/** Questions are answered sooner than that. */
const owingMs = 250;

export class ControllerPool {
  readonly #peers = new Map<string, Peer>();
  /** How many entries each host has. */
  readonly #hosts = new Map<string, number>();
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: PoolOptions;
  #learned = 0;
  #ailing = 0;

  constructor(clock: Clock, random: Random, options: PoolOptions = defaultPoolOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  get size(): number {
    return this.#peers.size;
  }

  peers(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  find(address: ControllerAddress): Peer | undefined {
    // Most of what is sent and heard concerns nobody in the pool: one look at the host says so.
    return this.#hosts.has(address.host) ? this.#peers.get(addressKey(address)) : undefined;
  }

  /** Is there any entry at this host? */
  knowsHost(host: string): boolean {
    return this.#hosts.has(host);
  }

  /** The entry of this address, made if there is none. An entry once configured stays so. */
  admit(address: ControllerAddress, provenance: Provenance): Peer {
    const key = addressKey(address);
    const now = this.#clock.now();
    const known = this.#peers.get(key);
    if (known !== undefined) {
      if (provenance === 'configured' && known.provenance === 'learned') {
        known.provenance = 'configured';
        this.#learned -= 1;
      }
      known.lastUsedMs = now;
      return known;
    }
    if (provenance === 'learned') {
      if (this.#learned >= this.#options.maxLearned) this.#evict();
      this.#learned += 1;
    }
    const peer: Peer = {
      address,
      key,
      provenance,
      health: 'up',
      lastHeardMs: 0,
      answerMs: 0,
      refutedMs: 0,
      acceptedMs: 0,
      askedMs: 0,
      downSinceMs: 0,
      failure: undefined,
      returnAtMs: 0,
      lastUsedMs: now,
    };
    this.#peers.set(key, peer);
    this.#hosts.set(address.host, (this.#hosts.get(address.host) ?? 0) + 1);
    return peer;
  }

  /** The peer answered something that we sent. True if it was down until now. */
  answered(peer: Peer): boolean {
    const now = this.#clock.now();
    peer.lastHeardMs = now;
    switch (peer.health) {
      case 'up':
        return false;
      case 'suspect':
        this.#isUp(peer);
        return false;
      case 'recovering':
      case 'refusing':
        this.#settle(peer, now);
        return false;
      case 'down':
        this.#hold(peer, now);
        return true;
    }
  }

  /** The network reports that nobody is there, which anybody can make it do: new messages avoid the peer until it is asked. */
  suspect(peer: Peer): void {
    if (peer.health !== 'up') return;
    peer.health = 'suspect';
    this.#ailing += 1;
  }

  /** The peer says itself that it takes no new work until then: what is open there stays. True if it took some before. */
  refuses(peer: Peer, untilMs: number): boolean {
    if (peer.health === 'down' || peer.health === 'recovering') return false;
    const isNew = peer.health !== 'refusing';
    if (peer.health === 'up') this.#ailing += 1;
    peer.health = 'refusing';
    peer.failure = 'refusing';
    peer.returnAtMs = untilMs;
    return isNew;
  }

  /** The peer takes work again: it may have been started anew, and is held like one that was down. */
  accepts(peer: Peer): void {
    if (peer.health === 'refusing') this.#hold(peer, this.#clock.now());
  }

  /** The peer failed: new messages avoid it. True if it was not down before. */
  failed(peer: Peer, failure: HopFailure): boolean {
    peer.failure = failure;
    if (peer.health === 'down') return false;
    if (peer.health === 'up') this.#ailing += 1;
    peer.health = 'down';
    peer.downSinceMs = this.#clock.now();
    return true;
  }

  /** Peers that are not up: those that want probing. */
  ailing(): readonly Peer[] {
    if (this.#ailing === 0) return [];
    const now = this.#clock.now();
    const found: Peer[] = [];
    for (const peer of this.#peers.values()) {
      this.#settle(peer, now);
      if (peer.health !== 'up') found.push(peer);
    }
    return found;
  }

  /**
   * The order in which to try: addresses not known to be down first, in the order given; then the others as a last resort.
   * The common case (nothing is down) costs nothing.
   */
  order(addresses: readonly ControllerAddress[]): readonly ControllerAddress[] {
    if (this.#ailing === 0 || addresses.length < 2) return addresses;
    const now = this.#clock.now();
    const usable: ControllerAddress[] = [];
    const doubtful: ControllerAddress[] = [];
    for (const address of addresses) {
      const peer = this.find(address);
      if (peer !== undefined) this.#settle(peer, now);
      (peer === undefined || peer.health === 'up' ? usable : doubtful).push(address);
    }
    return doubtful.length === 0 ? addresses : [...usable, ...doubtful];
  }

  /**
   * The address for the next send of something that is repeated until somebody reacts: the first that is up; the one after it for
   * the next turn, and so on round. Where all are down, all count. What has to be repeated goes round those only that do not owe an
   * answer themselves.
   */
  choose(addresses: readonly ControllerAddress[], turn: number): ControllerAddress | undefined {
    const [first] = addresses;
    if (addresses.length < 2 || (turn === 0 && this.#ailing === 0)) return first;
    const usable = this.#ailing === 0 ? addresses : addresses.filter((address) => this.#isUsable(address));
    const sound = turn === 0 ? usable : usable.filter((address) => !this.#owesAnswer(address));
    const among = [sound, usable, addresses].find(({ length }) => length > 0) ?? addresses;
    return among[turn % among.length];
  }

  /** Is any of them not known to be down? */
  hasUsable(addresses: readonly ControllerAddress[]): boolean {
    return addresses.some((address) => this.#isUsable(address));
  }

  /** Is any of them neither known to be down nor in debt of a sign of life? */
  hasSound(addresses: readonly ControllerAddress[]): boolean {
    return addresses.some((address) => this.#isUsable(address) && !this.#owesAnswer(address));
  }

  #owesAnswer(address: ControllerAddress): boolean {
    const peer = this.find(address);
    return peer !== undefined && peer.askedMs > peer.lastHeardMs && this.#clock.now() - peer.askedMs >= owingMs;
  }

  #isUsable(address: ControllerAddress): boolean {
    const peer = this.find(address);
    if (peer === undefined) return true;
    this.#settle(peer, this.#clock.now());
    return peer.health === 'up';
  }

  #settle(peer: Peer, now: number): void {
    if ((peer.health === 'recovering' || peer.health === 'refusing') && now >= peer.returnAtMs) this.#isUp(peer);
  }

  #isUp(peer: Peer): void {
    peer.health = 'up';
    peer.failure = undefined;
    this.#ailing -= 1;
  }

  #hold(peer: Peer, now: number): void {
    peer.health = 'recovering';
    peer.returnAtMs = now + this.#options.holdMs * (1 + this.#options.jitter * this.#random.fraction());
  }

  #evict(): void {
    let oldest: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (peer.provenance === 'learned' && (oldest === undefined || peer.lastUsedMs < oldest.lastUsedMs)) oldest = peer;
    }
    if (oldest === undefined) return;
    if (oldest.health !== 'up') this.#ailing -= 1;
    this.#peers.delete(oldest.key);
    const { host } = oldest.address;
    const left = (this.#hosts.get(host) ?? 1) - 1;
    if (left === 0) this.#hosts.delete(host);
    else this.#hosts.set(host, left);
    this.#learned -= 1;
  }
}
