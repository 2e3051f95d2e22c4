/**
 * A network without sockets: many simulated hosts on one clock, with latency, loss, duplication, reordering, partition, crash and
 * silence. The same seed gives the same run. Loss and reordering concern datagrams; connections are reliable, as TCP makes them.
 */
import {
  BindError,
  type BindOptions,
  type Clock,
  type ControllerAddress,
  formatAddress,
  formatSocketAddress,
  isIpLiteral,
  type Listener,
  type Network,
  type NetworkEvents,
  type SocketAddress,
  type Transport,
} from '../../src/internal.ts';
import { DatagramSocket } from './memory-datagram.ts';
import { StreamSocket } from './memory-stream.ts';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

export interface Conditions {
  /** One way. */
  readonly latencyMs: number;
  /** Probabilities per datagram. */
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  /** How much later than its turn a reordered datagram may come. */
  readonly reorderMs: number;
  /** Cut what is sent on a tcp or tls connection at random places, so that framing has work. */
  readonly splitStreams: boolean;
}

export const goodConditions: Conditions = {
  latencyMs: 1,
  loss: 0,
  duplication: 0,
  reordering: 0,
  reorderMs: 20,
  splitStreams: false,
};

/** One message on its way, as a tap sees it. */
export interface MemoryPacket {
  /** 1 for the first message sent on this network, and so on; a duplicate has its original's number. */
  readonly sequence: number;
  readonly transport: Transport;
  readonly from: SocketAddress;
  readonly to: SocketAddress;
  readonly bytes: Buffer;
}

/** Sees a message; what it returns is ignored, except `'drop'`, which takes the message away. */
export type Tap = (packet: MemoryPacket) => unknown;

export interface HostOptions {
  /** Further addresses of the same machine. */
  readonly addresses?: readonly string[];
  /** What its certificate proves on tls and wss; without it every name is taken for proven. */
  readonly certificateNames?: readonly string[];
}

/** One machine with one program on it, as far as crash and silence go. */
export interface MemoryHost extends Network {
  readonly address: string;
  /** The network's clock, except that timers armed here die with the host. Give it to the program that runs on the host. */
  readonly clock: Clock;
}

export class MemoryNetwork {
  readonly clock: Clock;
  readonly random: SeededRandom;
  conditions: Conditions;
  readonly #hosts = new Map<string, Host>();
  readonly #cuts = new Set<string>();
  /** Addresses that datagrams of these machines come from and go to now. */
  readonly #renumbered = new Map<string, string>();
  readonly #packetTaps = new Set<Tap>();
  readonly #arrivalTaps = new Set<Tap>();
  #sequence = 0;

  constructor(clock: Clock, conditions: Partial<Conditions> = {}, seed = 1) {
    this.clock = clock;
    this.conditions = { ...goodConditions, ...conditions };
    this.random = seededRandom(seed);
  }

  /** The host with this address; made at the first mention. */
  host(address: string, options: HostOptions = {}): MemoryHost {
    const known = this.#hosts.get(address);
    if (known !== undefined) return known;
    const host = new Host(this, [address, ...(options.addresses ?? [])], options.certificateNames ?? []);
    for (const each of host.addresses) this.#hosts.set(each, host);
    return host;
  }

  /** Messages sent so far. */
  get sent(): number {
    return this.#sequence;
  }

  /** The tap sees every message as it leaves, before loss and latency. Returns the function that takes the tap away. */
  onPacket(tap: Tap): () => void {
    this.#packetTaps.add(tap);
    return () => this.#packetTaps.delete(tap);
  }

  /** The tap sees every message that has arrived, just before the program gets it: a host that crashes here never read it. */
  onArrival(tap: Tap): () => void {
    this.#arrivalTaps.add(tap);
    return () => this.#arrivalTaps.delete(tap);
  }

  /** Nothing passes between the two any more (one way: nothing from `a` to `b`). Nobody is told. */
  partition(a: string, b: string, ways: 'both' | 'oneWay' = 'both'): void {
    this.#cuts.add(`${this.#name(a)} ${this.#name(b)}`);
    if (ways === 'both') this.#cuts.add(`${this.#name(b)} ${this.#name(a)}`);
  }

  /** Ends the partition of these two, or every partition. */
  heal(a?: string, b?: string): void {
    if (a === undefined || b === undefined) this.#cuts.clear();
    else {
      this.#cuts.delete(`${this.#name(a)} ${this.#name(b)}`);
      this.#cuts.delete(`${this.#name(b)} ${this.#name(a)}`);
    }
    this.#resume();
  }

  /** The access network gives the machine another address: its program goes on, and nobody is at the old one. For datagrams only. */
  renumber(address: string, to: string): void {
    this.#renumbered.set(address, to);
  }

  /** @internal The address by which others know the machine that was made with this one. */
  shown(address: string): string {
    return this.#renumbered.get(address) ?? address;
  }

  /** @internal The address that the machine was made with which is known by this one; undefined: nobody is. */
  made(address: string): string | undefined {
    for (const [made, shown] of this.#renumbered) if (shown === address) return made;
    return this.#renumbered.has(address) ? undefined : address;
  }

  /**
   * The program is killed: its timers and sockets vanish, what it goes on to send goes nowhere, connections are reset, and
   * datagrams to it are refused (ICMP). What it sent before is on its way.
   */
  crash(address: string): void {
    this.#hostOf(address).crash();
  }

  /** SIGSTOP: the program stands still; datagrams to it wait, and so do its timers. */
  pause(address: string): void {
    this.#hostOf(address).pause();
  }

  /** SIGCONT: what waited happens now, messages before timers, as an event loop wakes up. */
  resume(address: string): void {
    this.#hostOf(address).goOn();
  }

  /** The machine swallows everything in both directions: no ICMP, no reset. After `crash` as well: the power is off. */
  silence(address: string): void {
    this.#hostOf(address).silent = true;
  }

  /** The machine has no way out and no address any more: its own system refuses what it sends. */
  unplug(address: string): void {
    this.#hostOf(address).isUnplugged = true;
  }

  plug(address: string): void {
    this.#hostOf(address).isUnplugged = false;
  }

  /** The machine is reachable again; a program that crashed has to bind again. */
  revive(address: string): void {
    const host = this.#hostOf(address);
    host.silent = false;
    host.crashed = false;
    this.#resume();
  }

  /** @internal The message as it goes on the wire; undefined where a tap took it. */
  packet(transport: Transport, from: SocketAddress, to: SocketAddress, bytes: Buffer): MemoryPacket | undefined {
    this.#sequence += 1;
    const packet = { sequence: this.#sequence, transport, from, to, bytes };
    return tapped(this.#packetTaps, packet) ? undefined : packet;
  }

  /** @internal False where a tap took it. */
  arrives(packet: MemoryPacket): boolean {
    return !tapped(this.#arrivalTaps, packet);
  }

  /** @internal Does nothing pass from one to the other? */
  blocked(from: Host, to: Host | undefined): boolean {
    if (from.silent || to?.silent || to?.isUnplugged) return true;
    return to !== undefined && this.#cuts.size > 0 && this.#cuts.has(`${from.address} ${to.address}`);
  }

  /** @internal */
  find(address: string): Host | undefined {
    return this.#hosts.get(address);
  }

  #name(address: string): string {
    return this.#hostOf(address).address;
  }

  #hostOf(address: string): Host {
    this.host(address);
    const host = this.#hosts.get(address);
    if (host === undefined) throw new Error(`no host ${address}`);
    return host;
  }

  /** Connections repeat what was held back. */
  #resume(): void {
    for (const host of new Set(this.#hosts.values())) host.resume();
  }
}

/** @internal The two kinds of socket have this much in common. */
export interface MemorySocket extends Listener {
  crash(): void;
  resume(): void;
}

/** @internal */
export class Host implements MemoryHost {
  readonly network: MemoryNetwork;
  readonly addresses: readonly string[];
  readonly certificateNames: readonly string[];
  readonly clock: Clock;
  crashed = false;
  silent = false;
  isUnplugged = false;
  /** Counts the programs that ran here: timers belong to one of them. */
  #life = 0;
  /** While the program stands still: what it will do when it goes on. */
  #waiting: { readonly messages: (() => void)[]; readonly timers: (() => void)[] } | undefined;
  #nextPort = 49_152;
  #connections = 0;
  readonly #datagrams = new Map<string, DatagramSocket>();
  readonly #streams = new Map<string, StreamSocket>();

  constructor(network: MemoryNetwork, addresses: readonly string[], certificateNames: readonly string[]) {
    this.network = network;
    this.addresses = addresses;
    this.certificateNames = certificateNames;
    this.clock = {
      now: () => network.clock.now(),
      wallNow: () => network.clock.wallNow(),
      after: (ms, run) => {
        const life = this.#life;
        let isCancelled = false;
        const come = (): void => {
          if (life !== this.#life || this.crashed || isCancelled) return;
          if (this.#waiting === undefined) run();
          else this.#waiting.timers.push(come);
        };
        const cancel = network.clock.after(ms, come);
        return () => {
          isCancelled = true;
          cancel();
        };
      },
    };
  }

  get address(): string {
    return this.addresses[0] ?? '';
  }

  async bind(address: ControllerAddress, options: BindOptions, events: NetworkEvents): Promise<Listener> {
    const { transport, host } = address;
    if (!isIpLiteral(host) || !(isWildcard(host) || this.addresses.includes(host)))
      throw new BindError(`${formatAddress(address)} is not an address of this machine`);
    const local = { ...address, port: address.port === 0 ? this.freePort() : address.port };
    const key = formatSocketAddress(local);
    const sockets: Map<string, MemorySocket> = transport === 'udp' ? this.#datagrams : this.#streams;
    if (sockets.has(key)) throw new BindError(`${formatAddress(local)} is already in use by another program`);
    const closed = (): void => {
      sockets.delete(key);
    };
    if (transport === 'udp') {
      const socket = new DatagramSocket(this, local, options, events, closed);
      this.#datagrams.set(key, socket);
      return socket;
    }
    const socket = new StreamSocket(this, local, options, events, closed);
    this.#streams.set(key, socket);
    return socket;
  }

  datagramSocket(to: SocketAddress): DatagramSocket | undefined {
    return this.#datagrams.get(formatSocketAddress(to)) ?? this.#datagrams.get(wildcard(to));
  }

  streamSocket(to: SocketAddress): StreamSocket | undefined {
    return this.#streams.get(formatSocketAddress(to)) ?? this.#streams.get(wildcard(to));
  }

  /** What a packet of ours says it comes from. */
  source(local: SocketAddress): SocketAddress {
    return isWildcard(local.host) ? { host: this.address, port: local.port } : { host: local.host, port: local.port };
  }

  /** Runs now, or when the program goes on. */
  deliver(message: () => void): void {
    if (this.#waiting === undefined) message();
    else if (this.#waiting.messages.length < 1_000) this.#waiting.messages.push(message);
  }

  pause(): void {
    this.#waiting ??= { messages: [], timers: [] };
  }

  goOn(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    for (const run of [...(waiting?.messages ?? []), ...(waiting?.timers ?? [])]) run();
  }

  freePort(): number {
    this.#nextPort += 1;
    return this.#nextPort;
  }

  /** Counted by each program from its start, as a process does: two hosts have the same ids, and so have two lives of one. */
  connectionId(transport: Transport): string {
    this.#connections += 1;
    return `${transport}-${this.#connections}`;
  }

  crash(): void {
    this.#life += 1;
    this.#waiting = undefined;
    this.#connections = 0;
    for (const socket of [...this.#datagrams.values(), ...this.#streams.values()]) socket.crash();
    this.#datagrams.clear();
    this.#streams.clear();
    this.crashed = true;
  }

  resume(): void {
    for (const socket of this.#streams.values()) socket.resume();
  }
}

function tapped(taps: ReadonlySet<Tap>, packet: MemoryPacket): boolean {
  let dropped = false;
  for (const tap of [...taps]) if (tap(packet) === 'drop') dropped = true;
  return dropped;
}

const isWildcard = (host: string): boolean => host === '0.0.0.0' || host === '::';

const wildcard = ({ host, port }: SocketAddress): string =>
  formatSocketAddress({ host: host.includes(':') ? '::' : '0.0.0.0', port });
