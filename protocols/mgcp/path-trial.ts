/**
 * Does a gateway refuse the path attribute, or did it refuse something else? RFC 3435 §2.4 lets 510 mean anything, and §3.2.2 has every
 * gateway ignore the attribute, so one 510 decides nothing: an audit with nothing in it but the attribute does, or a kind of command
 * that is refused with it and executed without it time after time.
 */
import type { Gateway } from '../../src/internal.ts';

export class PathTrials {
  readonly #records = new WeakMap<Gateway, TrialRecord>();
  readonly #probe: (gateway: Gateway, ended: (refused: boolean) => void) => void;

  /** `probe` sends the audit and says whether it was refused with the attribute and answered well without. */
  constructor(probe: (gateway: Gateway, ended: (refused: boolean) => void) => void) {
    this.#probe = probe;
  }

  /** A command that carried the attribute was executed. */
  borne(gateway: Gateway, verb: string): void {
    this.#records.get(gateway)?.strikes.delete(verb);
  }

  /** A command was refused with the attribute for no reason given, and executed without it. */
  suspected(gateway: Gateway, verb: string): void {
    let record = this.#records.get(gateway);
    if (record === undefined) {
      record = { strikes: new Map(), isProbing: false };
      this.#records.set(gateway, record);
    }
    const strikes = (record.strikes.get(verb) ?? 0) + 1;
    record.strikes.set(verb, strikes);
    if (strikes >= maxStrikes) {
      this.#leaveOut(gateway);
      return;
    }
    if (record.isProbing) return;
    record.isProbing = true;
    this.#probe(gateway, (refused) => {
      record.isProbing = false;
      if (refused) this.#leaveOut(gateway);
    });
  }

  #leaveOut(gateway: Gateway): void {
    gateway.dialect.add('noPath');
    gateway.dialect.add('noRedirectList');
    this.#records.delete(gateway);
  }
}

interface TrialRecord {
  /** By verb: refusals with the attribute since a command of that kind was last executed with it. */
  readonly strikes: Map<string, number>;
  isProbing: boolean;
}

const maxStrikes = 3;
