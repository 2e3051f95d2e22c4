/** The simulated gateway as its commands see it: how it is provisioned, its lines, and to whom they report. */
import type { AllowRule, ControllerAddress, ControlPeer, SimulatedMedia } from '../../../src/internal.ts';
import type { GatewayHabits } from './habits.ts';
import type { SimLine } from './sim-line.ts';

export interface SimGatewayOptions {
  /** The domain of its endpoint names. */
  readonly name: string;
  readonly listen: ControllerAddress;
  /** Provisioned call agents, best first: where it begins, and where it goes when nothing else answers. */
  readonly callAgents: readonly ControllerAddress[];
  readonly lines: number;
  /** false: a plain gateway that ignores the path attribute. */
  readonly aware?: boolean;
  /** Where an alternate may lie; empty: wherever a known call agent says. */
  readonly allow?: readonly AllowRule[];
  /** Answers 539 to vendor parameters, against RFC 3435 §3.2.2, as some gateways do. */
  readonly refusesExtensions?: boolean;
  /** What it does otherwise. */
  readonly habits?: GatewayHabits;
  /** Does it list package RED (RFC 3991)? */
  readonly red?: boolean;
  /** Does it list package BA (RFC 3624)? */
  readonly bulk?: boolean;
  /** Speech of its lines; absent: it is not simulated. */
  readonly media?: SimulatedMedia | undefined;
  /** RFC 3435 §4.4.7: Tdinit; the first wait is a random part of it. */
  readonly disconnectedMs?: number;
  readonly tMaxMs?: number;
  readonly onChange?: (line: SimLine) => void;
}

/** To whom an endpoint's messages go. */
export interface Destination extends ControlPeer {
  entity: ControllerAddress | undefined;
  alternates: readonly ControllerAddress[];
}

export interface CommandedGateway {
  readonly options: SimGatewayOptions;
  readonly lines: readonly SimLine[];
  /** The lines that a local name covers; empty where it names none. */
  covered(local: string): readonly SimLine[];
  /** The notified entity of a line and what stands behind it. */
  destination(line: SimLine): Destination;
}
