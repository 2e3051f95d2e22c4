/**
 * A simulated gateway as the console, `altpath gateway` and the demonstrations use it, whatever protocol it speaks: what a person sees,
 * hears and does at its telephones.
 */
import type { Tone } from '../calls/leg.ts';
import type { CoreServices } from '../role.ts';
import type { ControllerAddress } from '../signaling/controller-address.ts';
import type { HeardMedia, SimulatedMedia } from './simulated-media.ts';

export interface SimulatedLine {
  /** As the protocol names it: `aaln/1@rgw1`. */
  readonly name: string;
  /** What the telephone plays or rings, in a word; undefined: nothing. `other` is a signal that is none of them. */
  readonly hears: Tone | 'other' | undefined;
  /** The same as the wire calls it: `L/dl`. */
  readonly signal: string;
  offHook(): void;
  onHook(): void;
  flash(): void;
  dial(digits: string): void;
  /** On-hook, armed for the next call, with nothing of the last one left. */
  readonly isIdle: boolean;
  /** Where its media is received, and where it is sent to while it is sent: `127.0.0.1:20000`. */
  readonly media: { readonly receivesAt: string | undefined; readonly sendsTo: string | undefined } | undefined;
  /** The tone that it speaks with, in hertz. */
  readonly toneHz: number;
  /** What of the other party's speech has arrived in this call. */
  readonly heard: HeardMedia | undefined;
  /** Whom it reports to. */
  readonly controller: ControllerAddress | undefined;
  /** For a display: hook, signal, media and controllers in the protocol's own words. */
  describe(): Readonly<Record<string, unknown>>;
}

export interface SimulatedGateway {
  readonly lines: readonly SimulatedLine[];
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface SimulatedGatewayOptions {
  readonly name: string;
  readonly listen: ControllerAddress;
  /** Provisioned controllers, best first. */
  readonly controllers: readonly ControllerAddress[];
  readonly lines: number;
  /** Does it know of the path attribute? */
  readonly aware: boolean;
  /** What it writes, where the protocol offers a choice. */
  readonly encoding?: string | undefined;
  /** Speech of its lines; absent: it is not simulated. */
  readonly media?: SimulatedMedia | undefined;
  /** Habits of the field that it shows, by name. */
  readonly habits?: readonly string[] | undefined;
  /** Something to be seen or heard at this line has changed. */
  onChange?(line: SimulatedLine): void;
}

/** Does each hear the other's tone? */
export const hearEachOther = (one: SimulatedLine, other: SimulatedLine): boolean =>
  one.heard?.toneHz === other.toneHz && other.heard?.toneHz === one.toneHz;

/** What a protocol brings so that its gateways can be simulated. */
export interface GatewaySimulation {
  readonly protocol: string;
  /** `a residential gateway (MGCP)`. */
  readonly title: string;
  readonly defaults: { readonly name: string; readonly listen: string; readonly controller: string };
  readonly gatewayPort: number;
  readonly controllerPort: number;
  /** `call-agent`, `controller`: the flag that names whom it reports to. */
  readonly controllerFlag: string;
  readonly encodings?: readonly string[] | undefined;
  /** Names of odd habits that gateways are found with. */
  readonly habits?: readonly string[] | undefined;
  create(services: SimulationServices, options: SimulatedGatewayOptions): SimulatedGateway;
  /** What a datagram says, a line for each message, for a ladder; empty where it is none. */
  summarize(datagram: Uint8Array): readonly string[];
}

export type SimulationServices = Pick<CoreServices, 'clock' | 'random' | 'log' | 'metrics' | 'network'>;

/** Does each send to where the other receives? */
export function areTalking(one: SimulatedLine, other: SimulatedLine): boolean {
  const [a, b] = [one.media, other.media];
  const reaches = (to: string | undefined, at: string | undefined): boolean => to !== undefined && to === at;
  return reaches(a?.sendsTo, b?.receivesAt) && reaches(b?.sendsTo, a?.receivesAt);
}
