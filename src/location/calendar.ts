/** The machine's calendar runs a little apart from our clock all the time (NTP slews); now and then somebody sets it. */
import type { Clock } from '../clock.ts';

export class CalendarWatch {
  readonly #clock: Clock;
  /** How far the calendar was ahead of our clock when we last looked. */
  #aheadMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#aheadMs = ahead(clock);
  }

  /** By how much it was set since the last question; 0: it was not. */
  stepMs(): number {
    const now = ahead(this.#clock);
    const stepMs = now - this.#aheadMs;
    if (Math.abs(stepMs) < calendarStepMs) return 0;
    this.#aheadMs = now;
    return stepMs;
  }
}

const ahead = (clock: Clock): number => clock.wallNow() - clock.now();

const calendarStepMs = 2_000;
