/** The state of one home, or of a single gateway, and since when. */
import type { Unit } from './hand-over.ts';
import type { OwnershipState } from './ownership.ts';

export class Machine {
  readonly unit: Unit;
  state: OwnershipState;
  sinceMs: number;
  /** When the gateway turned to us last. */
  cameMs = 0;
  /** Counts takeovers: the end of one that was dropped says nothing. */
  round = 0;

  constructor(unit: Unit, state: OwnershipState, sinceMs: number) {
    this.unit = unit;
    this.state = state;
    this.sinceMs = sinceMs;
  }
}
