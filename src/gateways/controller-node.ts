/**
 * What a controller of gateways is on the network, before it has said a word: its addresses as others reach us, transaction ids that no
 * other member uses, and the assembler through which all of its messages leave.
 */
import { partnersOf } from '../cluster.ts';
import { shownHost } from '../network/own-addresses.ts';
import type { Flow, Listener } from '../network.ts';
import type { CoreServices } from '../role.ts';
import { Assembler } from '../signaling/assembler.ts';
import type { ControllerAddress, SocketAddress } from '../signaling/controller-address.ts';
import { ControllerPool, defaultPoolOptions } from '../signaling/controller-pool.ts';
import type { ProtocolAdapter } from '../signaling/protocol-adapter.ts';
import { type IdSlice, maxMembers, memberIndex, memberSlice, TransactionIds } from './transaction-ids.ts';

export interface ControllerNodeParts<M> {
  readonly services: Pick<CoreServices, 'clock' | 'random' | 'cluster'>;
  readonly adapter: ProtocolAdapter<M>;
  readonly config: {
    readonly listen: readonly ControllerAddress[];
    readonly advertise?: string | undefined;
    readonly member?: number | undefined;
    readonly timers: { readonly holdMs: number };
  };
  /** Transaction ids that the protocol has. */
  readonly idSpace: IdSlice;
  isDead(member: ControllerAddress): boolean;
}

export class ControllerNode<M> {
  readonly pool: ControllerPool;
  readonly ids: TransactionIds;
  readonly assembler: Assembler<M>;
  readonly #parts: ControllerNodeParts<M>;
  readonly #addresses = new WeakMap<SocketAddress, ControllerAddress>();
  /** Bound; none before the start. */
  listeners: readonly Listener[] = [];

  constructor(parts: ControllerNodeParts<M>) {
    this.#parts = parts;
    const { adapter, config, idSpace, services } = parts;
    const { clock, cluster, random } = services;
    this.pool = new ControllerPool(clock, random, { ...defaultPoolOptions, holdMs: config.timers.holdMs });
    const member = config.member ?? memberIndex(config.listen[0], partnersOf(cluster));
    this.ids = new TransactionIds(memberSlice(idSpace, member, maxMembers), random);
    this.assembler = new Assembler({
      adapter,
      cluster,
      addressOf: (flow) => this.#addressOf(flow),
      isDead: (address) => parts.isDead(address),
    });
  }

  /** The first of them. */
  self(): ControllerAddress {
    const [configured = nowhere] = this.#parts.config.listen;
    return this.#shown(this.listeners[0]?.local ?? configured);
  }

  addresses(): readonly ControllerAddress[] {
    return this.listeners.length === 0 ? [this.self()] : this.listeners.map(({ local }) => this.#shown(local));
  }

  /** The same object for the same socket. */
  #addressOf({ transport, local }: Flow): ControllerAddress {
    const known = this.#addresses.get(local);
    if (known !== undefined) return known;
    const { host, port } = local;
    const shown = this.#shown({ transport, host, port });
    this.#addresses.set(local, shown);
    return shown;
  }

  /** A wildcard is no address to name. */
  #shown({ transport, host, port }: ControllerAddress): ControllerAddress {
    return { transport, host: shownHost(host, this.#parts.config.advertise), port };
  }
}

const nowhere: ControllerAddress = { transport: 'udp', host: '127.0.0.1', port: 0 };
