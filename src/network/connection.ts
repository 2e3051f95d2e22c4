/**
 * One connection as a flow, whatever carries it: queued while it is being made, limited, timed, and reported as failed once.
 *
 *     idle ──first send──► connecting ──opened──► open ──failure, end by the peer, idle too long──► ended (reported)
 *      └──────close()────────────┴─────close(), after what was sent has left──► ended (not reported)
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Flow, StreamLimits, TransmitError } from '../network.ts';
import type { ControllerAddress, SocketAddress, Transport } from '../signaling/controller-address.ts';
import { lingerMs } from './limits.ts';
import { transmitError } from './transmit-error.ts';

/** What carries a connection: a socket or a WebSocket. */
export interface Wire {
  write(bytes: Uint8Array): void;
  /** Written, but not yet taken by the system. */
  readonly unsentBytes: number;
  /** Orderly: what was written leaves first. */
  end(): void;
  destroy(): void;
}

/** Who holds the connections of a listener. */
export interface ConnectionOwner {
  readonly local: ControllerAddress;
  readonly limits: StreamLimits;
  readonly clock: Clock;
  dial(connection: Connection): void;
  opened(connection: Connection): void;
  received(bytes: Buffer, connection: Connection): void;
  /** Told of what is given to a connection to be sent, where somebody wants to know. */
  readonly sent?: ((bytes: Uint8Array, connection: Connection) => void) | undefined;
  malformed(bytes: Buffer, connection: Connection, reason: string): void;
  failed(connection: Connection, error: TransmitError): void;
  countEnd(cause: EndCause): void;
  /** So much waits for a connection that was written to. */
  wrote(connection: Connection, unsentBytes: number): void;
  forget(connection: Connection): void;
}

export class Connection implements Flow {
  readonly id: string;
  readonly remote: SocketAddress;
  /** The name asked of a TLS peer; undefined for an inbound connection. */
  readonly serverName: string | undefined;
  peerName: string | undefined;
  readonly #table: ConnectionOwner;
  readonly #onFirstMessage: (() => void) | undefined;
  #state: 'idle' | 'connecting' | 'open' | 'ended' = 'idle';
  #wire: Wire | undefined;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #closeWanted = false;
  #proven = false;
  #activeMs = 0;
  #timer: Cancel | undefined;
  #gone: () => void = () => undefined;
  /** Settles when nothing of the connection is left. */
  readonly gone: Promise<void>;

  constructor(
    table: ConnectionOwner,
    remote: SocketAddress,
    options: { readonly serverName?: string | undefined; readonly onFirstMessage?: () => void } = {},
  ) {
    connections += 1;
    this.id = `${table.local.transport}-${connections}`;
    this.#table = table;
    this.remote = remote;
    this.serverName = options.serverName;
    this.#onFirstMessage = options.onFirstMessage;
    this.gone = new Promise((resolve) => {
      this.#gone = resolve;
    });
  }

  get transport(): Transport {
    return this.#table.local.transport;
  }

  get reliable(): boolean {
    return true;
  }

  get local(): ControllerAddress {
    return this.#table.local;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get hasEnded(): boolean {
    return this.#state === 'ended';
  }

  send(bytes: Uint8Array): void {
    this.#table.sent?.(bytes, this);
    switch (this.#state) {
      case 'open':
        this.#write(bytes);
        break;
      case 'connecting':
        this.#enqueue(bytes);
        break;
      case 'idle':
        this.#enqueue(bytes);
        this.#dial();
        break;
      case 'ended':
        setImmediate(() => this.#table.failed(this, { reason: 'closed', detail: 'the connection had ended before' }));
    }
  }

  close(): void {
    if (this.#state === 'ended') return;
    if (this.#state === 'connecting' && this.#queue.length > 0) {
      this.#closeWanted = true;
      return;
    }
    this.#leave();
    this.#finish();
  }

  /** The wire can carry messages from now on. */
  opened(peerName: string | undefined): void {
    if (this.#state === 'ended') return;
    this.#timer?.();
    this.#state = 'open';
    this.peerName = peerName;
    this.#table.opened(this);
    this.heard();
    this.#watchIdle(this.#table.limits.idleMs);
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    for (const bytes of queue) if (this.isOpen) this.#write(bytes);
    if (this.#closeWanted) this.close();
  }

  /** Any byte or frame came. */
  heard(): void {
    this.#activeMs = this.#table.clock.now();
  }

  received(message: Buffer): void {
    if (!this.#proven) {
      this.#proven = true;
      this.#onFirstMessage?.();
    }
    this.#table.received(message, this);
  }

  malformed(start: Buffer, reason: string): void {
    this.#table.malformed(start, this, reason);
    this.ended({ reason: 'closed', detail: reason }, 'malformed');
  }

  /** The connection failed, or the peer ended it. Reported the first time only. */
  ended(error: TransmitError, cause?: EndCause): void {
    if (this.#state === 'ended') return;
    if (cause !== undefined) this.#table.countEnd(cause);
    this.#leave();
    if (error.reason === 'closed') this.#finish();
    else this.#wire?.destroy();
    if (this.#wire === undefined) this.#gone();
    this.#table.failed(this, error);
  }

  /** Nothing is left of the wire. */
  wireClosed(error: TransmitError): void {
    this.ended(error);
    this.#timer?.();
    this.#gone();
  }

  /** What will carry the connection, while it is still being made. */
  attach(wire: Wire): void {
    this.#wire = wire;
  }

  #dial(): void {
    this.#state = 'connecting';
    const { clock, limits } = this.#table;
    this.#timer = clock.after(limits.connectMs, () =>
      this.ended({ reason: 'timeout', detail: `no connection within ${limits.connectMs} ms` }, 'connect'),
    );
    try {
      this.#table.dial(this);
    } catch (error) {
      setImmediate(() => this.ended(transmitError(error, 'unreachable')));
    }
  }

  #enqueue(bytes: Uint8Array): void {
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#limitUnsent(this.#queuedBytes);
  }

  #write(bytes: Uint8Array): void {
    const wire = this.#wire;
    if (wire === undefined) return;
    wire.write(bytes);
    this.#activeMs = this.#table.clock.now();
    const { unsentBytes } = wire;
    this.#limitUnsent(unsentBytes);
    this.#table.wrote(this, unsentBytes);
  }

  /** Written, but not taken by the system yet. */
  get unsentBytes(): number {
    return this.#wire?.unsentBytes ?? 0;
  }

  /** It keeps too much waiting. */
  tooSlow(): void {
    const error = {
      reason: 'overflow',
      detail: `${this.unsentBytes} bytes wait to be sent, and too many in all`,
    } as const;
    setImmediate(() => this.ended(error, 'overflow'));
  }

  #limitUnsent(unsentBytes: number): void {
    if (unsentBytes <= this.#table.limits.maxUnsentBytes) return;
    const error = { reason: 'overflow', detail: `${unsentBytes} bytes wait to be sent` } as const;
    setImmediate(() => this.ended(error, 'overflow'));
  }

  /** One timer at a time: when it fires and something came meanwhile, the rest of the time is waited for. */
  #watchIdle(ms: number): void {
    this.#timer = this.#table.clock.after(ms, () => {
      const restMs = this.#activeMs + this.#table.limits.idleMs - this.#table.clock.now();
      if (restMs > 0) this.#watchIdle(restMs);
      else this.ended({ reason: 'closed', detail: 'idle for too long' }, 'idle');
    });
  }

  #leave(): void {
    this.#state = 'ended';
    this.#queue = [];
    this.#timer?.();
    this.#table.forget(this);
  }

  #finish(): void {
    const wire = this.#wire;
    if (wire === undefined) {
      this.#gone();
      return;
    }
    this.#timer = this.#table.clock.after(lingerMs, () => wire.destroy());
    wire.end();
  }
}

export type EndCause = 'idle' | 'overflow' | 'malformed' | 'connect' | 'unfinished';

/** Counts over the whole process: no two connections have the same id. */
let connections = 0;
