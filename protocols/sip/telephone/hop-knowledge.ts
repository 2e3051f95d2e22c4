/** What a user agent knows of the hops that it speaks to: which exist, whose tags are obeyed, and who stands in for whom. */
import {
  type Clock,
  type ControllerAddress,
  ControllerPool,
  defaultPoolOptions,
  type Flow,
  formatAddress,
  type Logger,
  type Metrics,
  type ProtocolAdapter,
  pathAttribute,
  type Random,
  type SocketAddress,
  sameAddress,
  type TrustSettings,
} from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import { hasTag } from '../path.ts';
import { PathTrust } from '../proxy/trust.ts';
import { BoundedMap } from './bounded-map.ts';

export interface KnowledgeParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly trust: TrustSettings;
  readonly adapter: ProtocolAdapter<SipMessage>;
  readonly holdMs: number | undefined;
  /** Where we are bound. */
  self(): ControllerAddress | undefined;
}

export class HopKnowledge {
  readonly pool: ControllerPool;
  readonly trust: PathTrust;
  readonly #adapter: ProtocolAdapter<SipMessage>;
  readonly #log: Logger;
  readonly #self: () => ControllerAddress | undefined;
  /** Alternates by the address they stand in for. */
  readonly #learned = new BoundedMap<string, readonly ControllerAddress[]>(maxHops);
  /** Hops that the user agent chose itself, and those that they named: whose tags are obeyed. */
  readonly #hops = new BoundedMap<string, ControllerAddress>(maxHops);

  constructor({ clock, random, log, metrics, trust, adapter, holdMs, self }: KnowledgeParts) {
    this.pool = new ControllerPool(clock, random, {
      ...defaultPoolOptions,
      ...(holdMs === undefined ? {} : { holdMs }),
    });
    this.trust = new PathTrust(trust, 'header', metrics);
    this.#adapter = adapter;
    this.#log = log;
    this.#self = self;
  }

  has(address: SocketAddress): boolean {
    return this.#hops.has(hopKey(address));
  }

  withAlternates(to: ControllerAddress): readonly ControllerAddress[] {
    const alternates = this.#learned.get(hopKey(to));
    return alternates === undefined ? [to] : [to, ...alternates];
  }

  usable(addresses: readonly ControllerAddress[]): readonly ControllerAddress[] {
    const usable = addresses.filter((address) => this.pool.find(address)?.health !== 'down');
    return usable.length === 0 ? addresses : usable;
  }

  /** Takes in what a trusted hop says of itself, or of a controller that is known already. */
  learn(message: SipMessage, flow: Flow): void {
    if (!hasTag(message.text)) return;
    const self = this.#self();
    for (const { primary, alternates } of this.#adapter.paths(message)) {
      if (primary.transport !== 'udp' || (self !== undefined && sameAddress(primary, self))) continue;
      if (!sameAddress(primary, hopOf(flow)) && !this.#hops.has(hopKey(primary))) continue;
      const kept = this.trust.alternates(alternates, flow).filter(isDatagram);
      if (kept.length > 0) this.know([primary, ...kept], true);
    }
  }

  /** The first one has the others as alternates; of a configured group, everybody has. */
  know(group: readonly ControllerAddress[], learned = false): void {
    for (const [index, address] of group.entries()) {
      this.choose(address);
      this.pool.admit(address, learned ? 'learned' : 'configured');
      if (learned && index > 0) continue;
      const before = this.#learned.get(hopKey(address)) ?? [];
      const path = pathAttribute(address, [...group, ...before]);
      if (path === undefined || sameList(path.alternates, before)) continue;
      this.#learned.set(hopKey(address), path.alternates);
      this.#log.debug(
        { controller: formatAddress(address), alternates: path.alternates.map(formatAddress) },
        'alternates of a controller are known',
      );
    }
  }

  choose(hop: ControllerAddress): void {
    if (this.#hops.has(hopKey(hop))) return;
    this.#hops.set(hopKey(hop), hop);
    this.trust.know([...this.#hops.values()]);
  }
}

export const hopOf = (flow: Flow): ControllerAddress => ({
  transport: flow.transport,
  host: flow.remote.host,
  port: flow.remote.port,
});

export const isDatagram = ({ transport }: ControllerAddress): boolean => transport === 'udp';

export const unique = (addresses: readonly ControllerAddress[]): readonly ControllerAddress[] =>
  addresses.filter((address, index) => addresses.findIndex((other) => sameAddress(other, address)) === index);

const hopKey = ({ host, port }: SocketAddress): string => `${host}:${port}`;

const sameList = (a: readonly ControllerAddress[], b: readonly ControllerAddress[]): boolean =>
  a.length === b.length && a.every((address, index) => b[index] !== undefined && sameAddress(address, b[index]));

const maxHops = 1_024;
