/**
 * Floating addresses (VRRP, RFC 9568): they are on one of several hosts at a time. A listener on one is bound to it alone, at once where the
 * system allows that (`ip_nonlocal_bind`), else as soon as the address comes; so nothing ever leaves from the host's own address.
 */
import { networkInterfaces } from 'node:os';
import type { Cancel } from '../clock.ts';
import { AltpathError } from '../errors.ts';
import { logEvent } from '../log-events.ts';
import type { BindOptions, Flow, Listener, Network, NetworkEvents, TlsOptions } from '../network.ts';
import {
  type ControllerAddress,
  formatAddress,
  formatSocketAddress,
  isReliable,
  type SocketAddress,
} from '../signaling/controller-address.ts';
import { canonicalHost } from './local-address.ts';
import type { NetworkParts } from './network-parts.ts';
import { errorCode } from './transmit-error.ts';

export interface FloatingParts extends NetworkParts {
  /** IP literals. */
  readonly addresses: readonly string[];
  /** The addresses that this host has now. */
  readonly hostAddresses?: () => ReadonlySet<string>;
}

export class FloatingAddresses {
  readonly #parts: FloatingParts;
  readonly #floating: ReadonlySet<string>;
  readonly #listeners = new Set<FloatingListener>();
  #here: ReadonlySet<string> = new Set();
  #cancel: Cancel | undefined;

  constructor(parts: FloatingParts) {
    this.#parts = parts;
    this.#floating = new Set(parts.addresses.map(canonicalHost));
    for (const host of this.#floating)
      parts.metrics.gauge('vip_here', 'Is the floating address on this host?', () => (this.#here.has(host) ? 1 : 0), {
        address: host,
      });
    if (this.#floating.size > 0) this.#look();
  }

  /** The network whose listeners on floating addresses come and go with them. */
  over(network: Network): Network {
    if (this.#floating.size === 0) return network;
    return {
      bind: async (address, options, events) => {
        const host = canonicalHost(address.host);
        if (!this.#floating.has(host)) return network.bind(address, options, events);
        const listener = new FloatingListener(this.#parts, network, { ...address, host }, options, events);
        await listener.start(this.#here.has(host));
        this.#listeners.add(listener);
        return listener;
      },
    };
  }

  /** By listener, for `altpath status`. */
  status(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#listeners].map((each) => [formatAddress(each.local), each.state]));
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    const { clock, hostAddresses = systemAddresses } = this.#parts;
    this.#here = hostAddresses();
    for (const listener of this.#listeners)
      if (listener.isClosed) this.#listeners.delete(listener);
      else listener.look(this.#here.has(listener.local.host));
    this.#cancel = clock.after(lookMs, () => this.#look());
  }
}

class FloatingListener implements Listener {
  readonly local: ControllerAddress;
  readonly #parts: FloatingParts;
  readonly #network: Network;
  readonly #events: NetworkEvents;
  #options: BindOptions;
  #bound: Listener | undefined;
  #binding: Promise<void> | undefined;
  #isHere = false;
  #lastHereMs = 0;
  #problem: string | undefined;
  /** Until the system has refused to bind the absent address. */
  #mayBindAhead = true;
  #closing: Promise<void> | undefined;

  constructor(
    parts: FloatingParts,
    network: Network,
    local: ControllerAddress,
    options: BindOptions,
    events: NetworkEvents,
  ) {
    this.#parts = parts;
    this.#network = network;
    this.local = local;
    this.#options = options;
    this.#events = {
      ...events,
      // What the system refuses to send while the address is elsewhere says nothing of the peer: it is as if it were lost. The address
      // may have gone since we last looked.
      failed: (flow, error) => {
        if (error.isLocal !== true || (this.#isHere && this.#isStillHere())) events.failed(flow, error);
      },
    };
  }

  get floating(): 'here' | 'elsewhere' {
    return this.#isHere && this.#bound !== undefined ? 'here' : 'elsewhere';
  }

  get state(): string {
    const bound = this.#bound === undefined ? 'not bound' : 'bound';
    const why = this.#problem === undefined ? '' : `: ${this.#problem}`;
    return `${this.#isHere ? 'here' : 'elsewhere'}, ${bound}${why}`;
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  get connections(): number {
    return this.#bound?.connections ?? 0;
  }

  /** @throws BindError (rejects) where something else than the absence of the address keeps it from being bound. */
  async start(isHere: boolean): Promise<void> {
    this.#isHere = isHere;
    this.#lastHereMs = this.#parts.clock.now();
    if (this.local.port === 0)
      throw new AltpathError('ERR_BIND', `${formatAddress(this.local)}: a floating address needs a port`);
    await this.#bind();
    const address = formatAddress(this.local);
    const where = isHere ? 'vipHere' : this.#bound === undefined ? 'vipUnbound' : 'vipElsewhere';
    logEvent(this.#parts.log, where, { address });
  }

  /** Is the address on this host now? Called every `lookMs`. */
  look(isHere: boolean): void {
    const { clock, log } = this.#parts;
    const address = formatAddress(this.local);
    if (isHere) {
      this.#lastHereMs = clock.now();
      if (!this.#isHere) {
        this.#isHere = true;
        if (this.#bound !== undefined) this.#came();
      }
    } else if (this.#isHere && clock.now() - this.#lastHereMs >= leftMs) {
      this.#isHere = false;
      logEvent(log, 'vipLeft', { address });
      this.#endConnections();
      this.#events.left?.(this.local);
    }
    if (this.#bound === undefined && (isHere || this.#mayBindAhead)) void this.#bindLater();
  }

  flowTo(...[remote, options]: Parameters<Listener['flowTo']>): Flow {
    return this.#bound?.flowTo(remote, options) ?? new AbsentFlow(this.local, remote, this.#events);
  }

  flowById(id: string): Flow | undefined {
    return this.#bound?.flowById(id);
  }

  renewTls(tls: TlsOptions | undefined): void {
    this.#bound?.renewTls?.(tls);
    const { tls: _old, ...others } = this.#options;
    this.#options = tls === undefined ? others : { ...others, tls };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #came(): void {
    logEvent(this.#parts.log, 'vipCame', { address: formatAddress(this.local) });
    this.#events.came?.(this.local);
  }

  #isStillHere(): boolean {
    const { hostAddresses = systemAddresses } = this.#parts;
    return hostAddresses().has(this.local.host);
  }

  async #close(): Promise<void> {
    await this.#binding;
    await this.#bound?.close();
  }

  /** Their peers are told by the host that has the address now; should it return, they must not be taken for alive. */
  #endConnections(): void {
    if (!isReliable(this.local.transport)) return;
    const old = this.#bound;
    this.#bound = undefined;
    this.#mayBindAhead = true;
    void old?.close();
  }

  #bindLater(): Promise<void> {
    this.#binding ??= this.#bind()
      .then(
        () => {
          if (this.#bound !== undefined && this.#isHere) this.#came();
        },
        (error: unknown) => this.#cannot(error instanceof Error ? error.message : String(error)),
      )
      .finally(() => {
        this.#binding = undefined;
      });
    return this.#binding;
  }

  async #bind(): Promise<void> {
    try {
      this.#bound = await this.#network.bind(this.local, this.#options, this.#events);
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof Error) || !isAbsent(error.cause)) throw error;
      this.#mayBindAhead = false;
    }
  }

  #cannot(problem: string): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    logEvent(this.#parts.log, 'vipNotBound', { address: formatAddress(this.local), reason: problem });
  }
}

/** What is sent from an address that is not bound here fails, and is told as any failure: later. */
class AbsentFlow implements Flow {
  readonly local: ControllerAddress;
  readonly remote: SocketAddress;
  readonly #events: NetworkEvents;

  constructor(local: ControllerAddress, remote: SocketAddress, events: NetworkEvents) {
    this.local = local;
    this.remote = remote;
    this.#events = events;
  }

  get transport(): ControllerAddress['transport'] {
    return this.local.transport;
  }

  get reliable(): boolean {
    return isReliable(this.local.transport);
  }

  get id(): string {
    return `absent-${formatAddress(this.local)}-${formatSocketAddress(this.remote)}`;
  }

  send(): void {
    const detail = `the floating address ${this.local.host} is not on this host`;
    setImmediate(() => this.#events.failed(this, { reason: 'unreachable', detail, isLocal: true }));
  }

  close(): void {}
}

const isAbsent = (cause: unknown): boolean => ['EADDRNOTAVAIL', 'EINVAL'].includes(errorCode(cause) ?? '');

const systemAddresses = (): ReadonlySet<string> =>
  new Set(
    Object.values(networkInterfaces())
      .flatMap((each) => each ?? [])
      .map(({ address }) => canonicalHost(address)),
  );

/** Some 50 µs of work. */
const lookMs = 100;

/** A link that is down for a moment has not taken the address to another host. */
const leftMs = 1_000;
