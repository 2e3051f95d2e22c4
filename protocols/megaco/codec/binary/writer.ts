/**
 * BER elements written from the last octet to the first: the content is there before its head, so every length is known without
 * a second pass. One buffer for all messages; `take` copies the message out.
 */
const capacity = 512 * 1_024;
const shared = new Uint8Array(capacity);

export class BerWriter {
  #pos = capacity;

  /** Where we are: hand it to `close` once the content of an element is written. */
  get mark(): number {
    return this.#pos;
  }

  /** Puts length and tag before everything written since `mark`. */
  close(tag: number, mark: number): void {
    const length = mark - this.#pos;
    if (length >= 0x80) this.#longLength(length);
    else {
      this.#pos -= 1;
      shared[this.#pos] = length;
    }
    this.#pos -= 1;
    shared[this.#pos] = tag;
  }

  /** INTEGER or ENUMERATED, not negative. */
  uint(tag: number, value: number): void {
    const mark = this.#pos;
    let rest = value;
    let octet = 0;
    do {
      octet = rest & 0xff;
      this.octet(octet);
      rest = Math.floor(rest / 256);
    } while (rest > 0);
    // The sign bit of a number that is not negative is zero.
    if (octet >= 0x80) this.octet(0);
    this.close(tag, mark);
  }

  /** INTEGER of either sign. */
  int(tag: number, value: number): void {
    if (value >= 0) {
      this.uint(tag, value);
      return;
    }
    const mark = this.#pos;
    let rest = value;
    let octet = 0;
    do {
      octet = ((rest % 256) + 256) % 256;
      this.octet(octet);
      rest = Math.floor(rest / 256);
    } while (rest < -1);
    if (octet < 0x80) this.octet(0xff);
    this.close(tag, mark);
  }

  bool(tag: number, value: boolean): void {
    const mark = this.#pos;
    this.octet(value ? 0xff : 0);
    this.close(tag, mark);
  }

  empty(tag: number): void {
    this.close(tag, this.#pos);
  }

  /** The characters as octets. */
  string(tag: number, text: string): void {
    const mark = this.#pos;
    let pos = mark;
    for (let index = text.length - 1; index >= 0; index -= 1) {
      pos -= 1;
      shared[pos] = text.charCodeAt(index);
    }
    this.#pos = pos;
    this.close(tag, mark);
  }

  octets(tag: number, bytes: ArrayLike<number>): void {
    const mark = this.#pos;
    for (let index = bytes.length - 1; index >= 0; index -= 1) this.octet(bytes[index] ?? 0);
    this.close(tag, mark);
  }

  /** A Name. */
  uint16(tag: number, value: number): void {
    this.#pos -= 4;
    const pos = this.#pos;
    shared[pos] = tag;
    shared[pos + 1] = 2;
    shared[pos + 2] = value >> 8;
    shared[pos + 3] = value;
  }

  /** A PkgdName. */
  uint32(tag: number, value: number): void {
    this.#pos -= 6;
    const pos = this.#pos;
    shared[pos] = tag;
    shared[pos + 1] = 4;
    shared[pos + 2] = value >>> 24;
    shared[pos + 3] = value >>> 16;
    shared[pos + 4] = value >>> 8;
    shared[pos + 5] = value;
  }

  octet(value: number): void {
    this.#pos -= 1;
    shared[this.#pos] = value;
  }

  /** The message. @throws RangeError where it did not fit: our own messages never come near. */
  take(): Buffer {
    if (this.#pos < 0) throw new RangeError('message too large');
    return Buffer.from(shared.subarray(this.#pos));
  }

  #longLength(length: number): void {
    let rest = length;
    let octets = 0;
    do {
      this.octet(rest & 0xff);
      rest >>>= 8;
      octets += 1;
    } while (rest > 0);
    this.octet(0x80 | octets);
  }
}
