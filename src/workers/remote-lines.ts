/** Lines of gateways as a worker knows them that does not control them: their numbers exist, and calls to them are another worker's. */
import type { Leg, ReleaseReason } from '../calls/leg.ts';
import type { LegProvider } from '../calls/leg-provider.ts';
import type { LineSnapshot } from '../calls/rebuild.ts';

export class RemoteLines implements LegProvider {
  readonly protocol: string;
  readonly timers = {};
  readonly #numbers: ReadonlySet<string>;
  readonly numbersVersion: number;

  /** `version`: another one for other numbers. */
  constructor(protocol: string, numbers: readonly string[], version: number) {
    this.protocol = protocol;
    this.#numbers = new Set(numbers);
    this.numbersVersion = version;
  }

  numbers(): Iterable<string> {
    return this.#numbers;
  }

  hasNumber(number: string): boolean {
    return this.#numbers.has(number);
  }

  place(): Leg | ReleaseReason {
    return 'unavailable';
  }

  claim(number: string): 'unavailable' | 'unknownNumber' {
    return this.hasNumber(number) ? 'unavailable' : 'unknownNumber';
  }

  isServed(): boolean {
    return false;
  }

  isInCall(): boolean {
    return false;
  }

  isNumberOf(): boolean {
    return false;
  }

  restore(): undefined {
    return undefined;
  }

  snapshotOf(): LineSnapshot | undefined {
    return undefined;
  }

  hasUnknownEnds(): boolean {
    return false;
  }
}
