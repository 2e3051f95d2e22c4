/**
 * What waits for peers that read slowly, over all connections of a listener. Each connection has a bound of its own; together they have one
 * as well, and beyond it whoever keeps most waiting gives way.
 */

export interface SlowReader {
  /** Written, but not taken by the system yet. */
  readonly unsentBytes: number;
  /** Gives the connection up. */
  tooSlow(): void;
}

export class SlowReaders {
  readonly #maxBytes: number;
  /** Those that kept something waiting when they were last written to. */
  readonly #readers = new Map<SlowReader, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** So much waits for this one, after it was written to. */
  wrote(reader: SlowReader, unsentBytes: number): void {
    if (unsentBytes < noticeable && this.#readers.size === 0) return;
    this.#note(reader, unsentBytes);
    if (this.#bytes <= this.#maxBytes) return;
    // What has left since is not told: it is asked.
    for (const each of [...this.#readers.keys()]) this.#note(each, each.unsentBytes);
    if (this.#bytes <= this.#maxBytes) return;
    const most = [...this.#readers].sort(([, a], [, b]) => b - a);
    for (const [each] of most) {
      if (this.#bytes <= this.#maxBytes * goal) return;
      this.gone(each);
      each.tooSlow();
    }
  }

  gone(reader: SlowReader): void {
    this.#note(reader, 0);
  }

  #note(reader: SlowReader, unsentBytes: number): void {
    this.#bytes -= this.#readers.get(reader) ?? 0;
    if (unsentBytes < noticeable) {
      this.#readers.delete(reader);
      return;
    }
    this.#readers.set(reader, unsentBytes);
    this.#bytes += unsentBytes;
  }
}

/** Less than this is on its way to anybody. */
const noticeable = 16_384;

/** So far it goes down at a time: not for each write anew. */
const goal = 0.75;
