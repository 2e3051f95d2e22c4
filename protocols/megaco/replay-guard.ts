/**
 * Replay protection of one sender by the sequence number of its authentication header, as RFC 2402 §3.4.3 has it: a window of 64
 * behind the highest number. The integrity check of RFC 3525 §10.2 does not cover the number, so whoever replays could write a new one:
 * the check values seen last are remembered as well. Within T-HIST the same transactions are a repetition, with whatever number:
 * at-most-once gives them the same reply (Annex D.1.1).
 */
export class ReplayGuard {
  readonly #tHistMs: number;
  #highest: number | undefined;
  /** Bit 0 is the highest number itself. */
  #seen = 0n;
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
    if (!this.#isNew(Number.parseInt(sequenceNum, 16))) return false;
    if (this.#values.size >= maxValues)
      for (const oldest of this.#values.keys()) {
        this.#values.delete(oldest);
        break;
      }
    this.#values.set(value, nowMs);
    return true;
  }

  #isNew(sequence: number): boolean {
    const highest = this.#highest;
    if (highest === undefined || sequence > highest) {
      const ahead = highest === undefined ? windowSize : sequence - highest;
      this.#seen = ahead >= windowSize ? 1n : ((this.#seen << BigInt(ahead)) | 1n) & windowMask;
      this.#highest = sequence;
      return true;
    }
    const behind = highest - sequence;
    if (behind >= windowSize) return false;
    const bit = 1n << BigInt(behind);
    if ((this.#seen & bit) !== 0n) return false;
    this.#seen |= bit;
    return true;
  }
}

const windowSize = 64;
const windowMask = (1n << 64n) - 1n;
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
