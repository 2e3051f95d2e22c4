/** An overload control whose sensor a test plays. */
import { type Clock, Metrics, OverloadControl, silentLog } from '../../src/internal.ts';
import { seededRandom } from './seeded-random.ts';

export class PlayedOverload {
  #isOverloaded = false;
  #control: OverloadControl | undefined;

  readonly make = (clock: Clock): OverloadControl => {
    this.#control ??= new OverloadControl({
      clock,
      random: seededRandom(11),
      log: silentLog,
      metrics: new Metrics(),
      sensor: { sample: () => ({ delayMs: 0, utilization: 0.2, queued: this.#isOverloaded ? 1 : 0 }) },
      settings: { keptPerSecond: 1 },
    });
    this.#control.start();
    return this.#control;
  };

  /** From now on next to nothing new is taken; `pass` lets a tenth of a second pass. */
  async begin(pass: () => Promise<unknown>): Promise<void> {
    this.#isOverloaded = true;
    for (let n = 0; n < 60; n += 1) {
      for (let each = 0; each < 50; each += 1) this.#control?.admits();
      await pass();
    }
  }

  end(): void {
    this.#isOverloaded = false;
  }
}
