/** A 2xx to INVITE, repeated end to end until its ACK comes (RFC 3261 §13.3.1.4). */
import type { Cancel, Clock } from '../../../src/internal.ts';
import { nextWaitMs, type TransactionTimers } from '../transactions/host.ts';

export class RepeatedAnswer {
  readonly #clock: Clock;
  readonly #timers: TransactionTimers;
  readonly #send: () => void;
  #waitMs: number;
  #timer: Cancel | undefined;
  #deadline: Cancel | undefined;

  /** `givenUp`: no ACK came in 64*T1. */
  constructor(clock: Clock, timers: TransactionTimers, send: () => void, givenUp: () => void) {
    this.#clock = clock;
    this.#timers = timers;
    this.#send = send;
    this.#waitMs = timers.t1Ms;
    this.#deadline = clock.after(64 * timers.t1Ms, () => {
      this.stop();
      givenUp();
    });
    send();
    this.#arm();
  }

  get isWaiting(): boolean {
    return this.#deadline !== undefined;
  }

  stop(): void {
    this.#timer?.();
    this.#deadline?.();
    this.#timer = undefined;
    this.#deadline = undefined;
  }

  #arm(): void {
    this.#timer = this.#clock.after(this.#waitMs, () => {
      this.#waitMs = nextWaitMs(this.#waitMs, this.#timers.t2Ms);
      this.#send();
      this.#arm();
    });
  }
}
