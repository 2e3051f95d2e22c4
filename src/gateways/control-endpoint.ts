/**
 * The sockets and transactions of one party of gateway control, a controller or a gateway: what comes in is its protocol's to read, what
 * goes out is repeated and fails over.
 */
import type { Members } from '../cluster/members.ts';
import type { Logger } from '../log.ts';
import type { Flow, Listener } from '../network.ts';
import type { CoreServices } from '../role.ts';
import type { Assembler } from '../signaling/assembler.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { ControllerPool } from '../signaling/controller-pool.ts';
import type { ProtocolAdapter } from '../signaling/protocol-adapter.ts';
import { Receiver, type ReceiverParts } from '../signaling/receiver.ts';
import { Transmitter, type TransmitterOptions } from '../signaling/transmitter.ts';
import { GatewayTransactions } from './gateway-transactions.ts';
import type { TransactionTimers } from './outgoing-machine.ts';
import { ReplyCache } from './reply-cache.ts';
import type { TransactionIds } from './transaction-ids.ts';

export interface ControlEndpointParts<M> extends Pick<ReceiverParts<M>, 'onMessage' | 'answersTo' | 'maxMessageBytes'> {
  readonly services: Pick<CoreServices, 'clock' | 'random' | 'metrics' | 'network' | 'events' | 'overload'>;
  readonly log: Logger;
  readonly adapter: ProtocolAdapter<M>;
  readonly assembler: Assembler<M>;
  readonly pool: ControllerPool;
  readonly ids: TransactionIds;
  readonly listen: readonly ControllerAddress[];
  readonly timers?: Partial<TransactionTimers> | undefined;
  readonly transmission?: Partial<TransmitterOptions> | undefined;
  /** The octets of the question whether the peer lives, with this id; undefined: it is asked in another way. */
  probe(to: ControllerAddress, flow: Flow, id: number): Uint8Array | undefined;
  /** Replies that are kept for repetitions, at most. */
  maxReplies?(): number;
  /** Members are asked by the controller itself before a report about them is believed. */
  members?(): Members;
  /** The connection to or from there has ended. */
  disconnected?(from: ControllerAddress): void;
  /** Every address by which peers reach us went to another host; or one of them is back. */
  moved?(isElsewhere: boolean): void;
}

/** `R`: what a final answer to a command of ours is. */
export class ControlEndpoint<M, R> {
  readonly transmitter: Transmitter;
  readonly commands: GatewayTransactions<R>;
  readonly replies: ReplyCache;
  readonly #receiver: Receiver<M>;

  constructor(parts: ControlEndpointParts<M>) {
    const { adapter, assembler, ids, log, pool, services } = parts;
    const { clock, events, metrics, network, overload, random } = services;
    this.#receiver = new Receiver({
      adapter,
      clock,
      network,
      log,
      metrics,
      listen: parts.listen,
      maxMessageBytes: parts.maxMessageBytes,
      assembler,
      answersTo: (flow) => parts.answersTo?.(flow) !== false,
      onMessage: (message, flow) => parts.onMessage(message, flow),
      onFailed: (flow, error) => {
        const from = { transport: flow.transport, ...flow.remote };
        if (flow.reliable) parts.disconnected?.(from);
        const members = parts.members?.();
        if (members?.find(from) === undefined) this.transmitter.flowFailed(flow, error);
        else if (flow.reliable || error.reason === 'refused') members.refused(from);
      },
      onLeft: () => {
        if (!this.isElsewhere) return;
        // Before anybody hears that nobody answered.
        parts.moved?.(true);
        this.commands.cancelAll();
      },
      onCame: () => parts.moved?.(false),
    });
    this.transmitter = new Transmitter({
      clock,
      pool,
      log,
      metrics,
      protocol: adapter.protocol,
      events,
      isBusy: () => overload?.isBusy === true,
      listeners: () => this.#receiver.listeners,
      probe: (to, flow) => {
        const id = ids.unguessable();
        const bytes = parts.probe(to, flow, id);
        return bytes && { id: String(id), bytes };
      },
      ...(parts.transmission === undefined ? {} : { options: parts.transmission }),
    });
    const { transmitter } = this;
    this.commands = new GatewayTransactions({ clock, random, transmitter, ids, timers: parts.timers });
    this.replies = new ReplyCache(clock, this.commands.timers.tHistMs, {
      maxEntries: () => parts.maxReplies?.() ?? 200_000,
    });
  }

  get listeners(): readonly Listener[] {
    return this.#receiver.listeners;
  }

  /** Are we where no peer reaches us? */
  get isElsewhere(): boolean {
    return this.#receiver.isElsewhere;
  }

  start(): Promise<readonly Listener[]> {
    return this.#receiver.start();
  }

  async stop(): Promise<void> {
    this.commands.stop();
    this.transmitter.stop();
    await this.#receiver.stop();
  }
}
