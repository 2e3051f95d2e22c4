/** Speech of simulated gateways as RTP (RFC 3550, 3551) over the network: PCMU with a tone, 20 ms a packet. */

import { mediaAddress, payloadTypes } from '../calls/session-description.ts';
import type { MediaMode } from '../calls/session-media.ts';
import type { Cancel, Clock } from '../clock.ts';
import type { Flow, Listener, Network } from '../network.ts';
import type { Random } from '../random.ts';
import { formatSocketAddress, parseAddress } from '../signaling/controller-address.ts';
import {
  type HeardMedia,
  listens,
  type MediaCounters,
  type SimulatedMedia,
  type SimulatedStream,
  silentCounters,
  speaks,
} from './simulated-media.ts';
import { pcmuTone, ToneDetector } from './tone.ts';

export interface RtpMediaParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  /** The address of the gateway. */
  readonly host: string;
}

/** A bound port, and who uses it. */
interface Port {
  readonly listener: Listener;
  user: RtpStream | undefined;
}

export class RtpMedia implements SimulatedMedia {
  readonly #parts: RtpMediaParts;
  /** Bound beforehand: a command wants its port at once. */
  readonly #spare: Port[] = [];
  readonly #used = new Set<Port>();
  #next: number;
  #binding: Promise<void> | undefined;
  #stopped = false;

  constructor(parts: RtpMediaParts) {
    this.#parts = parts;
    // RFC 3550 §11: even ports.
    this.#next = firstPort + 2 * Math.floor(parts.random.fraction() * 5_000);
  }

  async start(): Promise<void> {
    await this.#fill();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#binding;
    for (const { user } of this.#used) user?.close();
    await Promise.all(this.#spare.splice(0).map(({ listener }) => listener.close()));
  }

  open(toneHz: number): SimulatedStream | undefined {
    const port = this.#spare.shift();
    void this.#fill();
    if (port === undefined) return undefined;
    this.#used.add(port);
    const { clock, random } = this.#parts;
    const stream = new RtpStream({ clock, random, listener: port.listener, toneHz, closed: () => this.#release(port) });
    port.user = stream;
    return stream;
  }

  #release(port: Port): void {
    port.user = undefined;
    this.#used.delete(port);
    // Last in the row: what is still on its way to the old user finds nobody.
    if (this.#stopped || this.#spare.length >= maxSpare) void port.listener.close();
    else this.#spare.push(port);
  }

  #fill(): Promise<void> {
    this.#binding ??= this.#bindSome().finally(() => {
      this.#binding = undefined;
    });
    return this.#binding;
  }

  async #bindSome(): Promise<void> {
    for (let attempt = 0; attempt < maxAttempts && this.#spare.length < minSpare && !this.#stopped; attempt += 1) {
      const port = await this.#bind();
      if (port === undefined) continue;
      if (this.#stopped) await port.listener.close();
      else this.#spare.push(port);
    }
  }

  /** undefined: somebody else has the port. */
  async #bind(): Promise<Port | undefined> {
    const { host, network } = this.#parts;
    const port = this.#next;
    this.#next = port >= lastPort ? firstPort : port + 2;
    const bound: { port?: Port } = {};
    try {
      const listener = await network.bind(
        { transport: 'udp', host, port },
        { maxMessageBytes: 2_048 },
        {
          received: (bytes, flow) => bound.port?.user?.received(bytes, flow),
          failed: () => undefined,
        },
      );
      bound.port = { listener, user: undefined };
    } catch {
      return undefined;
    }
    return bound.port;
  }
}

interface RtpStreamParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly listener: Listener;
  readonly toneHz: number;
  closed(): void;
}

class RtpStream implements SimulatedStream {
  readonly port: number;
  readonly #parts: RtpStreamParts;
  readonly #payload: Buffer;
  readonly #source: number;
  readonly #detector = new ToneDetector();
  #mode: MediaMode = 'none';
  #target: string | undefined;
  #flow: Flow | undefined;
  #timer: Cancel | undefined;
  #dueMs = 0;
  #sequence: number;
  #timestamp: number;
  #counters = silentCounters;
  #from = '';
  #lastMs = 0;
  #longestGapMs = 0;
  #expected: number | undefined;
  #keys = '';
  #keyTimestamp: number | undefined;

  constructor(parts: RtpStreamParts) {
    this.#parts = parts;
    this.port = parts.listener.local.port;
    this.#payload = pcmuTone(parts.toneHz);
    const start = () => Math.floor(parts.random.fraction() * 0xffff);
    this.#source = start() * 0x1_0000 + start();
    this.#sequence = start();
    this.#timestamp = start();
  }

  get counters(): MediaCounters {
    return this.#counters;
  }

  get heard(): HeardMedia | undefined {
    const { packetsReceived } = this.#counters;
    if (packetsReceived === 0) return undefined;
    return {
      packets: packetsReceived,
      from: this.#from,
      toneHz: this.#detector.toneHz,
      keys: this.#keys,
      quietMs: Math.round(this.#parts.clock.now() - this.#lastMs),
      longestGapMs: Math.round(this.#longestGapMs),
    };
  }

  set(remote: string | undefined, mode: MediaMode): void {
    this.#mode = mode;
    const target = remote === undefined || !payloadTypes(remote).includes(pcmu) ? undefined : mediaAddress(remote);
    if (target !== this.#target) {
      this.#target = target;
      this.#flow = target === undefined ? undefined : this.#flowTo(target);
    }
    if (this.#flow === undefined || !speaks(mode)) {
      this.#timer?.();
      this.#timer = undefined;
    } else if (this.#timer === undefined) {
      this.#dueMs = this.#parts.clock.now();
      this.#tick();
    }
  }

  close(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.#flow = undefined;
    this.#parts.closed();
  }

  received(bytes: Buffer, { remote }: Flow): void {
    // Version 2 (§5.1); RTCP shares no port with it here.
    if (!listens(this.#mode) || bytes.length < headerOctets || (bytes.readUInt8(0) & 0xc0) !== 0x80) return;
    const type = bytes.readUInt8(1) & 0x7f;
    const payload = bytes.subarray(headerOctets + 4 * (bytes.readUInt8(0) & 0x0f));
    const nowMs = this.#parts.clock.now();
    if (this.#lastMs > 0) this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.#from = formatSocketAddress(remote);
    const { packetsReceived, octetsReceived, packetsLost } = this.#counters;
    const sequence = bytes.readUInt16BE(2);
    const missing = this.#expected === undefined ? 0 : (sequence - this.#expected) & 0xffff;
    this.#expected = (sequence + 1) & 0xffff;
    this.#counters = {
      ...this.#counters,
      packetsReceived: packetsReceived + 1,
      octetsReceived: octetsReceived + payload.length,
      // More than that is another sender, or a late packet.
      packetsLost: packetsLost + (missing < maxMissing ? missing : 0),
    };
    if (type === pcmu || type === pcma) this.#detector.hear(payload, type === pcmu ? 0xff : 0x55);
    else if (type >= firstDynamic && payload.length === eventOctets) this.#key(payload, bytes.readUInt32BE(4));
  }

  /** RFC 4733 §2.3: every packet of one event has the same timestamp. */
  #key(payload: Buffer, timestamp: number): void {
    const key = '0123456789*#ABCD'.charAt(payload.readUInt8(0));
    if (key === '' || timestamp === this.#keyTimestamp) return;
    this.#keyTimestamp = timestamp;
    this.#keys = `${this.#keys}${key}`.slice(-maxKeys);
  }

  #flowTo(target: string): Flow {
    const { host, port } = parseAddress(target, { transport: 'udp', port: 0 });
    return this.#parts.listener.flowTo({ host, port });
  }

  #tick(): void {
    const { clock } = this.#parts;
    const nowMs = clock.now();
    // After a pause of the process it does not catch up.
    if (nowMs - this.#dueMs > 200) this.#dueMs = nowMs;
    this.#send();
    this.#dueMs += packetMs;
    this.#timer = clock.after(Math.max(1, this.#dueMs - nowMs), () => this.#tick());
  }

  #send(): void {
    const packet = Buffer.allocUnsafe(headerOctets + this.#payload.length);
    packet.writeUInt8(0x80, 0);
    packet.writeUInt8(pcmu, 1);
    packet.writeUInt16BE(this.#sequence, 2);
    packet.writeUInt32BE(this.#timestamp, 4);
    packet.writeUInt32BE(this.#source, 8);
    this.#payload.copy(packet, headerOctets);
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#timestamp = (this.#timestamp + this.#payload.length) % 0x1_0000_0000;
    const { packetsSent, octetsSent } = this.#counters;
    this.#counters = {
      ...this.#counters,
      packetsSent: packetsSent + 1,
      octetsSent: octetsSent + this.#payload.length,
    };
    this.#flow?.send(packet);
  }
}

const firstPort = 20_000;
const lastPort = 39_998;
const minSpare = 4;
const maxSpare = 64;
const maxAttempts = 64;

const packetMs = 20;
const headerOctets = 12;
/** RFC 3551 §6. */
const pcmu = 0;
const pcma = 8;
const firstDynamic = 96;
/** RFC 4733 §2.3. */
const eventOctets = 4;
const maxKeys = 64;
const maxMissing = 100;
