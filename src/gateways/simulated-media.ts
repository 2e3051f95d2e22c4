/** Speech of simulated gateways: what each line sends and hears, however it gets from one to the other. */
import type { MediaMode } from '../calls/session-media.ts';

export interface SimulatedMedia {
  start(): Promise<void>;
  stop(): Promise<void>;
  /** A stream at a port of its own, which sends this tone; undefined: there is no port just now. */
  open(toneHz: number): SimulatedStream | undefined;
}

export interface SimulatedStream {
  readonly port: number;
  /** What it is to do from now on; `remote` is the other party's session description. */
  set(remote: string | undefined, mode: MediaMode): void;
  readonly counters: MediaCounters;
  /** undefined: nothing yet. */
  readonly heard: HeardMedia | undefined;
  close(): void;
}

/** RFC 3550 §6.4.1, as far as a simulation counts. */
export interface MediaCounters {
  readonly packetsSent: number;
  readonly octetsSent: number;
  readonly packetsReceived: number;
  readonly octetsReceived: number;
  readonly packetsLost: number;
}

export interface HeardMedia {
  readonly packets: number;
  /** Who sent the last one: `127.0.0.1:20000`. */
  readonly from: string;
  /** In hertz; undefined: silence, or not enough yet. */
  readonly toneHz: number | undefined;
  /** Keys that came as events (RFC 4733), oldest first. */
  readonly keys: string;
  /** Since the last packet. */
  readonly quietMs: number;
  /** The longest time without one, between two of them. */
  readonly longestGapMs: number;
}

export const silentCounters: MediaCounters = {
  packetsSent: 0,
  octetsSent: 0,
  packetsReceived: 0,
  octetsReceived: 0,
  packetsLost: 0,
};

/** The tone by which a line is known: a multiple of 50 Hz, so that 20 ms are whole periods. */
export function toneOfLine(name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003;
  return 400 + 50 * (hash % 40);
}

export const speaks = (mode: MediaMode): boolean => mode === 'both' || mode === 'send';

export const listens = (mode: MediaMode): boolean => mode === 'both' || mode === 'receive';
