/** Words known beforehand (header names, methods), found by their octets: one table read and one comparison. */
export class Words {
  /** The words one after the other, and where each begins. */
  readonly #letters: Uint8Array;
  readonly #starts: Uint16Array;
  /** What may differ between a letter and an octet: the bit of upper and lower case, or nothing. */
  readonly #caseBit: number;
  /** By length and outer octets: the first word of that kind, -1 for none; the next one with the same place stands in `#next`. */
  readonly #first = new Int16Array(tableSize).fill(-1);
  readonly #next: Int16Array;

  /** With `ignoreCase` the words are given in lower case: letters, digits, hyphens. */
  constructor(words: readonly string[], ignoreCase: boolean) {
    this.#letters = Buffer.from(words.join(''), 'latin1');
    this.#starts = new Uint16Array(words.length + 1);
    this.#caseBit = ignoreCase ? 32 : 0;
    this.#next = new Int16Array(words.length).fill(-1);
    words.forEach((word, index) => {
      const start = this.#starts[index] ?? 0;
      this.#starts[index + 1] = start + word.length;
      const at = place(this.#letters, start, start + word.length);
      this.#next[index] = this.#first[at] ?? -1;
      this.#first[at] = index;
    });
  }

  /** Index of the word that stands in [start, end), which is not empty; -1 where it is none of them. */
  find(bytes: Uint8Array, start: number, end: number): number {
    let index = this.#first[place(bytes, start, end)] ?? -1;
    while (index >= 0 && !this.#stands(index, bytes, start, end)) index = this.#next[index] ?? -1;
    return index;
  }

  #stands(index: number, bytes: Uint8Array, start: number, end: number): boolean {
    const letters = this.#letters;
    const caseBit = this.#caseBit;
    const from = this.#starts[index] ?? 0;
    if ((this.#starts[index + 1] ?? 0) - from !== end - start) return false;
    const shift = start - from;
    for (let i = start; i < end; i += 1) {
      const octet = bytes[i] ?? 0;
      const letter = letters[i - shift];
      // A control with the bit set looks like a hyphen or a digit: only what is above those has a case.
      if (octet !== letter && (octet <= 64 || (octet | caseBit) !== letter)) return false;
    }
    return true;
  }
}

const tableSize = 256;

const place = (bytes: Uint8Array, start: number, end: number): number =>
  ((end - start) * 37 + ((bytes[start] ?? 0) | 32) * 5 + ((bytes[end - 1] ?? 0) | 32)) & (tableSize - 1);
