/**
 * Receiver: the bound sockets of one role. Bytes in, decoded messages out; what cannot be decoded is answered where the protocol
 * owes an answer, counted, and logged once per source and minute.
 */
import type { Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { limitedEvent } from '../log-events.ts';
import type { Counter, Metrics } from '../metrics.ts';
import { isWildcard } from '../network/local-address.ts';
import { ownAddresses } from '../network/own-addresses.ts';
import type { BindOptions, Flow, Listener, Network, StreamLimits, TlsOptions, TransmitError } from '../network.ts';
import { RateLimitedLog } from '../rate-limited-log.ts';
import type { Assembler } from './assembler.ts';
import type { ControllerAddress } from './controller-address.ts';
import { formatAddress, formatSocketAddress } from './controller-address.ts';
import type { ProtocolAdapter } from './protocol-adapter.ts';

export interface ReceiverParts<M> {
  readonly adapter: ProtocolAdapter<M>;
  readonly clock: Clock;
  readonly network: Network;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly listen: readonly ControllerAddress[];
  readonly tls?: TlsOptions | undefined;
  readonly limits?: Partial<StreamLimits> | undefined;
  readonly maxMessageBytes: number;
  /** A whole, well-formed message. An error thrown here is our bug: it is logged and counted, and the next message is served. */
  onMessage(message: M, flow: Flow): void;
  /** Writes the answers to what cannot be decoded; absent: they say nothing of backups. */
  readonly assembler?: Pick<Assembler<never>, 'answer'> | undefined;
  /** Is the sender of what cannot be decoded told so, where the protocol has an answer? Absent: everybody is. */
  answersTo?(flow: Flow): boolean;
  /** The way back along a flow is gone. */
  onFailed(flow: Flow, error: TransmitError): void;
  /** The floating address of a listener is on another host now, with whatever was under way over it. */
  onLeft?(local: ControllerAddress): void;
  /** It has come to this host. */
  onCame?(local: ControllerAddress): void;
}

export class Receiver<M> {
  readonly #parts: ReceiverParts<M>;
  readonly #received: Counter;
  readonly #malformed: Counter;
  readonly #log: RateLimitedLog;
  #listeners: readonly Listener[] = [];

  constructor(parts: ReceiverParts<M>) {
    this.#parts = parts;
    this.#log = new RateLimitedLog(parts.log, parts.clock);
    const labels = { protocol: parts.adapter.protocol };
    this.#received = parts.metrics.counter(
      'messages_received_total',
      'Messages and malformed datagrams that came in',
      labels,
    );
    this.#malformed = parts.metrics.counter('messages_malformed_total', 'Received bytes that are no message', labels);
  }

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** Binds every address. @throws BindError (rejects); what was bound until then is closed again. */
  async start(): Promise<readonly Listener[]> {
    const { adapter, network, listen, tls, limits, maxMessageBytes } = this.#parts;
    const options: BindOptions = {
      maxMessageBytes,
      ...(adapter.framing === undefined ? {} : { framing: adapter.framing }),
      ...(adapter.subprotocol === undefined ? {} : { subprotocol: adapter.subprotocol }),
      ...(tls === undefined ? {} : { tls }),
      ...(limits === undefined ? {} : { limits }),
    };
    const bound: Listener[] = [];
    try {
      for (const address of listen) {
        bound.push(
          await network.bind(address, options, {
            received: (bytes, flow) => this.#receive(bytes, flow),
            failed: (flow, error) => this.#parts.onFailed(flow, error),
            left: (local) => this.#parts.onLeft?.(local),
            came: (local) => this.#parts.onCame?.(local),
            malformed: (_bytes, flow, reason) => this.#refuse(flow, reason),
          }),
        );
      }
    } catch (error) {
      await Promise.all(bound.map((listener) => listener.close()));
      throw error;
    }
    this.#listeners = bound;
    return bound;
  }

  /** Is every address that is listened on a floating one that another host has? */
  get isElsewhere(): boolean {
    return this.#listeners.length > 0 && this.#listeners.every(({ floating }) => floating === 'elsewhere');
  }

  /** Connections from now on are made with these certificates. */
  renewTls(tls: TlsOptions | undefined): void {
    for (const listener of this.#listeners) listener.renewTls?.(tls);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.close()));
    this.#log.close();
  }

  #receive(bytes: Buffer, flow: Flow): void {
    const { adapter } = this.#parts;
    if (adapter.isKeepAlive?.(bytes) === true) {
      const answer = adapter.keepAliveAnswer?.(bytes, flow.transport);
      if (answer !== undefined) flow.send(answer);
      return;
    }
    this.#received.add();
    const decoded = adapter.decode(bytes);
    if (!decoded.ok) {
      this.#refuse(flow, decoded.error.reason, decoded.error.offset);
      if (decoded.error.answer !== undefined && this.#parts.answersTo?.(flow) !== false) {
        const { assembler } = this.#parts;
        const answer =
          assembler === undefined ? decoded.error.answer(undefined) : assembler.answer(decoded.error, flow);
        if (answer !== undefined) flow.send(answer);
      }
      return;
    }
    try {
      this.#parts.onMessage(decoded.value, flow);
    } catch (error) {
      this.#parts.metrics
        .counter('internal_errors_total', 'Messages whose handling failed by our own fault', {
          protocol: adapter.protocol,
        })
        .add();
      this.#log.error('handling a message failed', flow.remote.host, () => ({
        err: error,
        from: formatSocketAddress(flow.remote),
      }));
    }
  }

  #refuse(flow: Flow, reason: string, offset?: number): void {
    this.#malformed.add();
    limitedEvent(this.#log, 'malformedMessage', flow.remote.host, () => ({
      from: formatSocketAddress(flow.remote),
      transport: flow.transport,
      reason,
      offset,
    }));
  }
}

/** One readable line per listener, once all are bound. A role's own log says the protocol already. */
export function announce(log: Logger, protocol: string, role: string, listeners: readonly Listener[]): void {
  const fields = 'protocol' in log.bindings() ? {} : { protocol };
  for (const { local } of listeners) {
    const behind = isWildcard(local.host) ? `, which is ${ownAddresses(local.host).join(', ')}` : '';
    log.info({ ...fields, address: formatAddress(local) }, `ready: ${role} on ${formatAddress(local)}${behind}`);
  }
}
