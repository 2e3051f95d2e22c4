/**
 * Messages that have begun and not ended, over all connections of a listener: each must end in time, and all of them together hold a
 * bounded number of octets. At the bound the one that began first gives way.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { StreamLimits } from '../network.ts';

export interface UnfinishedMessage {
  /** Call after each piece: how many octets are held, and whether a whole message came out with it. */
  update(held: number, completed: boolean): void;
}

export class UnfinishedMessages {
  readonly #limits: StreamLimits;
  readonly #clock: Clock;
  /** In order of their beginning. */
  readonly #open = new Set<Unfinished>();
  #bytes = 0;

  constructor(limits: StreamLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  get bytes(): number {
    return this.#bytes;
  }

  watch(cut: (reason: string) => void): UnfinishedMessage {
    const message: Unfinished = { held: 0, cancel: undefined, cut };
    return { update: (held, completed) => this.#update(message, held, completed) };
  }

  #update(message: Unfinished, held: number, completed: boolean): void {
    if (held === 0 && message.held === 0) return;
    const begins = held > 0 && (message.held === 0 || completed);
    this.#bytes += held - message.held;
    message.held = held;
    if (held === 0 || begins) this.#close(message);
    if (begins) {
      this.#open.add(message);
      const { unfinishedMs } = this.#limits;
      message.cancel = this.#clock.after(unfinishedMs, () =>
        this.#cut(message, `no whole message within ${unfinishedMs} ms of its beginning`),
      );
    }
    for (const oldest of this.#open) {
      if (this.#bytes <= this.#limits.maxUnfinishedBytes) return;
      this.#cut(oldest, 'too much is held of unfinished messages');
    }
  }

  #cut(message: Unfinished, reason: string): void {
    this.#bytes -= message.held;
    message.held = 0;
    this.#close(message);
    message.cut(reason);
  }

  #close(message: Unfinished): void {
    message.cancel?.();
    message.cancel = undefined;
    this.#open.delete(message);
  }
}

interface Unfinished {
  held: number;
  cancel: Cancel | undefined;
  readonly cut: (reason: string) => void;
}
