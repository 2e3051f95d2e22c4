/**
 * Sends every message to a collector by HEP. Signaling never waits for it: what does not fit into a short queue, and what the collector's
 * host refuses, is counted and gone.
 */
import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import type { Counter, Metrics } from '../metrics.ts';
import { maxDatagramBytes } from '../network/limits.ts';
import type { Flow } from '../network.ts';
import { formatSocketAddress, isIpLiteral, type SocketAddress } from '../signaling/controller-address.ts';
import { encodeHep, maxHepPayload } from './hep.ts';
import type { MessageReader } from './message-reader.ts';
import type { Direction } from './message-ring.ts';
import type { Trace } from './trace.ts';

export interface CaptureParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly trace: Trace;
  readonly readers: ReadonlyMap<string, MessageReader>;
  /** The collector. */
  readonly to: SocketAddress;
  readonly agentId: number;
  readonly password?: string | undefined;
}

interface Waiting {
  readonly direction: Direction;
  readonly protocol: string;
  readonly bytes: Uint8Array;
  readonly flow: Flow;
  readonly atMs: number;
}

export class Capture {
  readonly #parts: CaptureParts;
  readonly #sent: Counter;
  readonly #dropped: Counter;
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #isDue = false;
  #socket: Socket | undefined;
  #address: string | undefined;
  #stopTap: (() => void) | undefined;
  #again: Cancel | undefined;

  constructor(parts: CaptureParts) {
    this.#parts = parts;
    this.#sent = parts.metrics.counter('capture_messages_total', 'Messages that were sent to the HEP collector');
    this.#dropped = parts.metrics.counter(
      'capture_dropped_total',
      'Messages that could not be sent to the HEP collector',
    );
  }

  async start(): Promise<void> {
    await this.#resolve();
    this.#stopTap = this.#parts.trace.tap((direction, protocol, bytes, flow, atMs) => {
      if (this.#waitingBytes > maxWaitingBytes) {
        this.#dropped.add();
        return;
      }
      this.#waiting.push({ direction, protocol, bytes, flow, atMs });
      this.#waitingBytes += bytes.length;
      if (this.#isDue) return;
      this.#isDue = true;
      setImmediate(() => this.#flush());
    });
  }

  stop(): void {
    this.#stopTap?.();
    this.#again?.();
    this.#flush();
    this.#socket?.close();
    this.#socket = undefined;
  }

  /** The name is looked up once a minute, never for a message. */
  async #resolve(): Promise<void> {
    const { to, clock, log } = this.#parts;
    if (isIpLiteral(to.host)) this.#address = to.host;
    else {
      this.#address = await lookup(to.host).then(
        ({ address }) => address,
        (error: unknown) => {
          log.warn({ err: error, collector: formatSocketAddress(to) }, 'the HEP collector has no address');
          return this.#address;
        },
      );
      this.#again = clock.after(lookupMs, () => void this.#resolve());
    }
    if (this.#address === undefined || this.#socket !== undefined) return;
    this.#socket = createSocket(isIPv6(this.#address) ? 'udp6' : 'udp4');
    this.#socket.unref();
    this.#socket.on('error', () => this.#dropped.add());
  }

  #flush(): void {
    this.#isDue = false;
    const waiting = this.#waiting.splice(0);
    this.#waitingBytes = 0;
    const { clock, readers, to, agentId, password, trace } = this.#parts;
    const offsetMs = clock.wallNow() - clock.now();
    for (const { direction, protocol, bytes, flow, atMs } of waiting) {
      // A connection brings longer messages than a datagram to the collector can.
      if (bytes.length > maxHepPayload) {
        this.#dropped.add();
        continue;
      }
      const payload = trace.masked(protocol, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
      const [from, towards] = direction === 'in' ? [flow.remote, flow.local] : [flow.local, flow.remote];
      const packet = encodeHep({
        from,
        to: towards,
        transport: flow.transport,
        wallMs: atMs + offsetMs,
        type: readers.get(protocol)?.hepType ?? 0,
        agentId,
        password,
        payload,
      });
      if (this.#socket === undefined || this.#address === undefined || packet.length > maxDatagramBytes)
        this.#dropped.add();
      else {
        this.#sent.add();
        this.#socket.send(packet, to.port, this.#address, (error) => {
          if (error !== null) this.#dropped.add();
        });
      }
    }
  }
}

/** Some thousand messages. */
const maxWaitingBytes = 4_194_304;

const lookupMs = 60_000;
