/**
 * The last messages of the process, oldest overwritten first. What is recorded is copied into one buffer of fixed size: nothing of it
 * keeps other memory alive, and nothing is read of it until somebody asks.
 */
import type { Flow } from '../network.ts';
import type { SocketAddress, Transport } from '../signaling/controller-address.ts';

export type Direction = 'in' | 'out';

/** A message went to an alternate: away from whom, and why. */
export interface Moved {
  /** `udp:192.0.2.1:5060` */
  readonly from: string;
  readonly because: string;
}

export interface RecordedMessage {
  /** 1 for the first message of the process, and so on. */
  readonly sequence: number;
  readonly atMs: number;
  readonly direction: Direction;
  readonly protocol: string;
  readonly transport: Transport;
  readonly local: SocketAddress;
  readonly remote: SocketAddress;
  /** A copy, as it was on the wire. */
  readonly bytes: Buffer;
  readonly moved: Moved | undefined;
}

/** What messages of one socket have in common. */
interface OurEnd {
  readonly protocol: string;
  readonly transport: Transport;
  readonly local: SocketAddress;
}

export class MessageRing {
  readonly #octets: Buffer;
  readonly #slots: number;
  readonly #atMs: Float64Array;
  /** Octets recorded before this message began, gaps at the end of the buffer included. */
  readonly #begins: Float64Array;
  readonly #lengths: Uint32Array;
  readonly #isOut: Uint8Array;
  /** Places in `#sockets`. */
  readonly #places: Uint16Array;
  /** Our ends that messages passed, of which there are few. */
  readonly #sockets: OurEnd[] = [];
  #socket = -1;
  readonly #remotes: SocketAddress[] = [];
  readonly #moved = new Map<number, { readonly sequence: number; readonly moved: Moved }>();
  #written = 0;
  #sequence = 0;
  /** Where the next message goes: its slot, and its first octet in the buffer. */
  #slot = 0;
  #at = 0;

  constructor(maxBytes: number, maxMessages = Math.max(64, Math.floor(maxBytes / usualBytes))) {
    this.#octets = Buffer.allocUnsafeSlow(maxBytes);
    this.#slots = maxMessages;
    this.#atMs = new Float64Array(maxMessages);
    this.#begins = new Float64Array(maxMessages);
    this.#lengths = new Uint32Array(maxMessages);
    this.#isOut = new Uint8Array(maxMessages);
    this.#places = new Uint16Array(maxMessages);
  }

  /** The last message's number; 0: there is none. */
  get last(): number {
    return this.#sequence;
  }

  /** On the way of every message: a copy of its octets and some assignments. */
  record(direction: Direction, protocol: string, bytes: Uint8Array, flow: Flow, atMs: number): void {
    const size = this.#octets.length;
    const length = Math.min(bytes.length, size, maxMessageBytes);
    if (this.#at + length > size) {
      this.#written += size - this.#at;
      this.#at = 0;
    }
    this.#octets.set(length === bytes.length ? bytes : bytes.subarray(0, length), this.#at);
    const slot = this.#slot;
    this.#slot = slot + 1 === this.#slots ? 0 : slot + 1;
    this.#sequence += 1;
    this.#atMs[slot] = atMs;
    this.#begins[slot] = this.#written;
    this.#lengths[slot] = length;
    this.#isOut[slot] = direction === 'out' ? 1 : 0;
    this.#places[slot] = this.#placeOf(protocol, flow);
    this.#remotes[slot] = flow.remote;
    this.#written += length;
    this.#at += length;
  }

  /** Nearly always that of the message before. */
  #placeOf(protocol: string, { transport, local }: Flow): number {
    const isSame = (end: OurEnd | undefined): boolean =>
      end !== undefined && end.local === local && end.protocol === protocol && end.transport === transport;
    if (isSame(this.#sockets[this.#socket])) return this.#socket;
    this.#socket = this.#sockets.findIndex(isSame);
    if (this.#socket < 0)
      this.#socket = this.#sockets.findIndex(
        (end) =>
          end.protocol === protocol &&
          end.transport === transport &&
          end.local.port === local.port &&
          end.local.host === local.host,
      );
    if (this.#socket < 0) {
      // More than a host has sockets: their flows are of some other kind, and the oldest messages lose their end.
      if (this.#sockets.length >= maxSockets) this.#sockets.length = 0;
      this.#socket = this.#sockets.push({ protocol, transport, local }) - 1;
    }
    return this.#socket;
  }

  /** The last message was sent there as an alternate. False: it was not sent there. */
  mark(to: SocketAddress, moved: Moved): boolean {
    const sequence = this.#sequence;
    if (sequence === 0) return false;
    const slot = (sequence - 1) % this.#slots;
    const remote = this.#remotes[slot];
    if (this.#isOut[slot] !== 1 || remote === undefined || remote.port !== to.port || remote.host !== to.host)
      return false;
    this.#moved.set(slot, { sequence, moved });
    return true;
  }

  /** undefined where it was overwritten, or has not been yet. */
  at(sequence: number): RecordedMessage | undefined {
    if (sequence < 1 || sequence > this.#sequence || sequence <= this.#sequence - this.#slots) return undefined;
    const slot = (sequence - 1) % this.#slots;
    const size = this.#octets.length;
    const begun = this.#begins[slot] ?? 0;
    if (begun < this.#written - size) return undefined;
    const end = this.#sockets[this.#places[slot] ?? 0];
    const remote = this.#remotes[slot];
    if (end === undefined || remote === undefined) return undefined;
    const begin = begun % size;
    const mark = this.#moved.get(slot);
    return {
      sequence,
      atMs: this.#atMs[slot] ?? 0,
      direction: this.#isOut[slot] === 1 ? 'out' : 'in',
      ...end,
      remote,
      bytes: Buffer.from(this.#octets.subarray(begin, begin + (this.#lengths[slot] ?? 0))),
      moved: mark?.sequence === sequence ? mark.moved : undefined,
    };
  }

  /** The oldest message that is still there. */
  get first(): number {
    let [low, high] = [Math.max(1, this.#sequence - this.#slots + 1), this.#sequence + 1];
    const oldest = this.#written - this.#octets.length;
    // They lie in order: the first that was not overwritten is found by halving.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#begins[(middle - 1) % this.#slots] ?? 0) < oldest) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** A message of telephones and gateways has half as much or twice as much. */
const usualBytes = 512;

const maxSockets = 4_096;

/** No datagram and no message of a stream is longer. */
const maxMessageBytes = 65_535;
