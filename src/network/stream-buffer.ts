/**
 * The octets of a connection that are no whole message yet. Appending costs what is appended, however small the pieces come in, and what
 * was taken out is never written over.
 */
export class StreamBuffer {
  /** What is held, a view into `#room` or the one chunk that came. */
  #bytes: Buffer = empty;
  /** Of our own, with space behind what is held. */
  #room: Buffer | undefined;
  /** Where what is held ends in `#room`. */
  #end = 0;

  get bytes(): Buffer {
    return this.#bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  append(chunk: Buffer): void {
    const held = this.#bytes.length;
    if (held === 0) {
      this.#bytes = chunk;
      this.#room = undefined;
      return;
    }
    let room = this.#room;
    if (room === undefined || this.#end + chunk.length > room.length) {
      room = Buffer.allocUnsafeSlow(Math.max(leastRoom, 2 * (held + chunk.length)));
      this.#bytes.copy(room);
      this.#room = room;
      this.#end = held;
    }
    chunk.copy(room, this.#end);
    this.#end += chunk.length;
    this.#bytes = room.subarray(this.#end - held - chunk.length, this.#end);
  }

  /** The first octets, which are held no longer. */
  take(length: number): Buffer {
    const taken = this.#bytes.subarray(0, length);
    this.drop(length);
    return taken;
  }

  drop(length: number): void {
    this.#bytes = length >= this.#bytes.length ? empty : this.#bytes.subarray(length);
    if (this.#bytes.length === 0) this.#room = undefined;
  }
}

const empty = Buffer.alloc(0);

const leastRoom = 512;
