/**
 * BER elements over octets (X.690, definite lengths, tag numbers below 31). The first failure makes every later read return
 * nothing, so that every loop above ends by itself.
 */
export interface BerFailure {
  readonly reason: string;
  readonly offset: number;
  readonly indefinite: boolean;
}

export class BerReader {
  readonly bytes: Uint8Array;
  /** The same octets as latin1: a slice of a string costs less than a string from octets. */
  readonly text: string;
  pos = 0;
  /** End of the element whose head was read last. */
  stop = 0;
  failure: BerFailure | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  }

  /** Reads a tag and a length: the cursor is at the content, `stop` at its end. -1 where there is no element before `limit`. */
  next(limit: number): number {
    const { bytes } = this;
    let pos = this.pos;
    if (this.failure !== undefined || pos + 2 > limit) return this.#fail('element cut off', limit);
    const tag = bytes[pos] ?? 0;
    let length = bytes[pos + 1] ?? 0;
    pos += 2;
    if (length >= 0x80) {
      let octets = length & 0x7f;
      if (octets === 0) return this.#fail('indefinite length', limit, true);
      if (octets > 4 || pos + octets > limit) return this.#fail('length', limit);
      for (length = 0; octets > 0; octets -= 1) {
        length = length * 256 + (bytes[pos] ?? 0);
        pos += 1;
      }
    }
    if (pos + length > limit || (tag & 0x1f) === 0x1f) return this.#fail('element beyond its parent', limit);
    this.pos = pos;
    this.stop = pos + length;
    return tag;
  }

  /** The content as INTEGER or ENUMERATED that is not negative and has at most 32 bits. */
  uint(stop: number): number {
    const { bytes } = this;
    let pos = this.pos;
    if (pos === stop || stop - pos > 5) {
      this.fail('integer');
      return 0;
    }
    let value = 0;
    for (; pos < stop; pos += 1) value = value * 256 + (bytes[pos] ?? 0);
    // Stacks that forget the leading zero of a large unsigned number are understood.
    return Math.min(value, 0xffffffff);
  }

  bool(stop: number): boolean {
    return stop > this.pos && this.bytes[this.pos] !== 0;
  }

  string(stop: number): string {
    return this.text.slice(this.pos, stop);
  }

  /** Two octets, as of a Name. */
  uint16(stop: number): number {
    if (stop - this.pos !== 2) this.fail('two octets expected');
    return ((this.bytes[this.pos] ?? 0) << 8) | (this.bytes[this.pos + 1] ?? 0);
  }

  /** Four octets, as of a PkgdName. */
  uint32(stop: number): number {
    const { bytes, pos } = this;
    if (stop - pos !== 4) this.fail('four octets expected');
    return (
      ((bytes[pos] ?? 0) * 256 + (bytes[pos + 1] ?? 0)) * 65_536 + (bytes[pos + 2] ?? 0) * 256 + (bytes[pos + 3] ?? 0)
    );
  }

  fail(reason: string): void {
    if (this.failure === undefined) this.failure = { reason, offset: this.pos, indefinite: false };
  }

  /** Forgets a failure within an element whose end is known, and says what it was; an indefinite length is for the whole message to mend. */
  recover(): string | undefined {
    const { failure } = this;
    if (failure === undefined || failure.indefinite) return undefined;
    this.failure = undefined;
    return failure.reason;
  }

  #fail(reason: string, limit: number, indefinite = false): number {
    if (this.failure === undefined) this.failure = { reason, offset: this.pos, indefinite };
    this.pos = limit;
    this.stop = limit;
    return -1;
  }
}
