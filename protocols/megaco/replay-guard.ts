import { ReplayWindow } from '../../src/internal.ts';

/**
 * Replay protection of one sender by the sequence number of its authentication header, as RFC 2402 §3.4.3 has it: a window of 64
 * behind the highest number. The integrity check of RFC 3525 §10.2 does not cover the number, so whoever replays could write a new one:
 * the check values seen last are remembered as well. Within T-HIST the same transactions are a repetition, with whatever number:
 * at-most-once gives them the same reply (Annex D.1.1).
 */
export class ReplayGuard {
  readonly #tHistMs: number;
  readonly #window = new ReplayWindow();
  /** Check value → when it came first, the oldest first. */
  readonly #values = new Map<string, number>();

  constructor(tHistMs: number) {
    this.#tHistMs = tHistMs;
  }

  /** May this message be acted upon? Asked after its check value was found right. Both in hexadecimal digits. */
  accepts(sequenceNum: string, authData: string, nowMs: number): boolean {
    const value = authData.toLowerCase();
    const firstMs = this.#values.get(value);
    if (firstMs !== undefined) return nowMs - firstMs < this.#tHistMs;
    // The window counts from 1 (RFC 2402 §3.3.2); whoever begins with 0 is heard as well.
    if (!this.#window.admit(Number.parseInt(sequenceNum, 16) + 1)) return false;
    if (this.#values.size >= maxValues)
      for (const oldest of this.#values.keys()) {
        this.#values.delete(oldest);
        break;
      }
    this.#values.set(value, nowMs);
    return true;
  }
}

const maxValues = 1_024;

/**
 * The numbers of what we send to one peer: always higher, also after a restart, as long as no more than four messages a second go to it
 * on average. From the wall clock, since nothing is stored.
 */
export class SequenceNumbers {
  #last = 0;

  next(nowMs: number): number {
    const byClock = Math.max(1, Math.floor((nowMs - epochMs) / 250));
    this.#last = Math.max(this.#last + 1, byClock) % 2 ** 32;
    return this.#last;
  }
}

/** 2020-01-01: 32 bits of quarter seconds last for 34 years. */
const epochMs = 1_577_836_800_000;
