/** Which counters of one boot were seen: the highest, and those of the 64 below it (the window of RFC 4303 §3.4.3). */
export class ReplayWindow {
  #highest = 0;
  #seen = 0n;

  get highest(): number {
    return this.#highest;
  }

  /** False: seen before, or too old to tell. */
  admit(counter: number): boolean {
    if (counter > this.#highest) {
      const ahead = counter - this.#highest;
      this.#seen = ahead >= width ? 1n : ((this.#seen << BigInt(ahead)) | 1n) & mask;
      this.#highest = counter;
      return true;
    }
    const behind = this.#highest - counter;
    if (counter < 1 || behind >= width) return false;
    const bit = 1n << BigInt(behind);
    if ((this.#seen & bit) !== 0n) return false;
    this.#seen |= bit;
    return true;
  }
}

const width = 64;
const mask = (1n << BigInt(width)) - 1n;
