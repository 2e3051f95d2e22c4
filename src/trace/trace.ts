/**
 * The trace: every message of every role with both its ends, in a ring. It stands between the roles and their sockets, so no role knows of
 * it; a controller without it has nothing in that place.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import type { Flow, Network } from '../network.ts';
import { readAddress } from '../signaling/controller-address.ts';
import type { MessageReader } from './message-reader.ts';
import { type Direction, MessageRing, type RecordedMessage } from './message-ring.ts';
import { TraceFilter, type Wanted } from './trace-filter.ts';
import type { TracedMessage } from './traced-message.ts';

export interface TraceParts {
  readonly clock: Clock;
  readonly maxBytes: number;
  /** By protocol. */
  readonly readers: ReadonlyMap<string, MessageReader>;
}

/** Sees each message as it passes, on its way: it must be quick. */
export type TraceTap = (direction: Direction, protocol: string, bytes: Uint8Array, flow: Flow, atMs: number) => void;

export class Trace {
  readonly #parts: TraceParts;
  readonly #ring: MessageRing;
  readonly #taps = new Set<TraceTap>();

  constructor(parts: TraceParts) {
    this.#parts = parts;
    this.#ring = new MessageRing(parts.maxBytes);
  }

  /** The number of the last message. */
  get last(): number {
    return this.#ring.last;
  }

  /** The same network, whose messages are recorded under this protocol. */
  over(network: Network, protocol: string): Network {
    return {
      bind: (address, options, events) =>
        network.bind(address, options, {
          received: (bytes, flow) => {
            this.#record('in', protocol, bytes, flow);
            events.received(bytes, flow);
          },
          sent: (bytes, flow) => this.#record('out', protocol, bytes, flow),
          failed: (flow, error) => events.failed(flow, error),
          left: (local) => events.left?.(local),
          came: (local) => events.came?.(local),
          malformed: (bytes, flow, reason) => {
            this.#record('in', protocol, bytes, flow);
            events.malformed?.(bytes, flow, reason);
          },
        }),
    };
  }

  /** The message that was just sent `to` had been for `from`. Both as logs write them. */
  moved(from: string, to: string, because: string): void {
    const address = readAddress(to, { port: 0 });
    if (address !== undefined) this.#ring.mark(address, { from, because });
  }

  /** Tells of every message from now on; returns what ends that. */
  tap(tap: TraceTap): () => void {
    this.#taps.add(tap);
    return () => this.#taps.delete(tap);
  }

  /** What is there of these messages, oldest first, at most `limit` of the newest. Other work goes on in between. */
  async find(
    wanted: Wanted,
    { after = 0, limit = maxFound }: { after?: number; limit?: number } = {},
  ): Promise<readonly TracedMessage[]> {
    const filter = new TraceFilter(wanted);
    const last = this.#ring.last;
    // Whatever names a call may come before what says whose call it is.
    if (filter.needsTwoLooks) for await (const message of this.#read(this.#ring.first, last)) filter.learn(message);
    const found: TracedMessage[] = [];
    for await (const message of this.#read(Math.max(this.#ring.first, after + 1), last)) {
      if (!filter.takes(message)) continue;
      found.push(message);
      if (found.length > 2 * limit) found.splice(0, found.length - limit);
    }
    return found.slice(-limit);
  }

  /** One message as it may be shown; undefined where it is gone. */
  at(sequence: number): TracedMessage | undefined {
    const recorded = this.#ring.at(sequence);
    return recorded === undefined ? undefined : this.#reading(recorded, this.#wallOffsetMs());
  }

  /** The octets without what proves who somebody is. */
  masked(protocol: string, bytes: Buffer): Buffer {
    return this.#parts.readers.get(protocol)?.masked(bytes) ?? bytes;
  }

  async *#read(from: number, to: number): AsyncIterable<TracedMessage> {
    const offsetMs = this.#wallOffsetMs();
    for (let sequence = from; sequence <= to; sequence += 1) {
      if ((sequence - from) % readsPerTurn === readsPerTurn - 1) await nextTurn();
      const recorded = this.#ring.at(sequence);
      if (recorded !== undefined) yield this.#reading(recorded, offsetMs);
    }
  }

  #reading(recorded: RecordedMessage, offsetMs: number): TracedMessage {
    const readings = this.#parts.readers.get(recorded.protocol)?.read(recorded.bytes) ?? [];
    return { ...recorded, wallMs: recorded.atMs + offsetMs, readings };
  }

  #wallOffsetMs(): number {
    const { clock } = this.#parts;
    return clock.wallNow() - clock.now();
  }

  #record(direction: Direction, protocol: string, bytes: Uint8Array, flow: Flow): void {
    // What only keeps a connection open is no message.
    if (bytes.length <= 4) return;
    const atMs = this.#parts.clock.now();
    this.#ring.record(direction, protocol, bytes, flow, atMs);
    if (this.#taps.size > 0) for (const tap of this.#taps) tap(direction, protocol, bytes, flow, atMs);
  }
}

/** Less than 2 ms of work. */
const readsPerTurn = 256;

const maxFound = 5_000;
