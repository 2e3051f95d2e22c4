/**
 * Lines that must not get lost, in a file that only grows. They are written in the same turn of the event loop that made them. What the
 * disk does not take waits in memory, within a bound, and signaling goes on.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Cancel, Clock } from '../clock.ts';
import { fileProblem } from '../config/fields.ts';
import { FileError } from '../errors.ts';

export interface RecordFileParts {
  readonly path: string;
  readonly clock: Clock;
  readonly maxWaitingBytes?: number | undefined;
  /** The disk takes nothing any more. */
  stopped(reason: string, waiting: number): void;
  /** It does again; so many lines were lost meanwhile. */
  resumed(lost: number): void;
  /** A line is lost: as many as fit wait already. */
  lost(): void;
  /** Writes and returns how many octets were taken; the system's, but for tests. @throws the system's error. */
  readonly write?: ((fd: number, bytes: Uint8Array) => number) | undefined;
}

export class RecordFile {
  readonly #parts: RecordFileParts;
  readonly #write: (fd: number, bytes: Uint8Array) => number;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #fd: number | undefined;
  #isDue = false;
  #retry: Cancel | undefined;
  #lost = 0;
  #isStopped = false;
  /** Octets of the first line that are in the file already. */
  #begun = 0;

  /** @throws FileError where the file cannot be opened. */
  constructor(parts: RecordFileParts) {
    this.#parts = parts;
    this.#write = parts.write ?? ((fd, bytes) => writeSync(fd, bytes));
    this.#fd = this.#open();
  }

  add(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    if (this.#waitingBytes + bytes.length > (this.#parts.maxWaitingBytes ?? defaultWaitingBytes)) {
      this.#lost += 1;
      this.#parts.lost();
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#isDue || this.#isStopped) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.flush();
    });
  }

  /** The file was renamed: what comes now goes to a new one with the old name. */
  reopen(): void {
    try {
      const fd = this.#open();
      this.#close();
      this.#fd = fd;
      // A line is in one file as a whole.
      this.#begun = 0;
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.flush();
  }

  /** Writes what waits, as far as the disk takes it. */
  flush(): void {
    this.#retry?.();
    this.#retry = undefined;
    try {
      this.#fd ??= this.#open();
      while (this.#waiting.length > 0) this.#pass(this.#fd);
    } catch (error) {
      this.#failed(error);
      return;
    }
    if (!this.#isStopped) return;
    this.#isStopped = false;
    const lost = this.#lost;
    this.#lost = 0;
    this.#parts.resumed(lost);
  }

  close(): void {
    this.flush();
    this.#retry?.();
    this.#close();
  }

  #pass(fd: number): void {
    const batch = this.#waiting.slice(0, linesPerWrite);
    const [first] = batch;
    if (first === undefined) return;
    if (this.#begun > 0) batch[0] = first.subarray(this.#begun);
    const bytes = batch.length === 1 ? (batch[0] ?? first) : Buffer.concat(batch);
    let taken = this.#begun + this.#write(fd, bytes);
    for (let line = this.#waiting[0]; line !== undefined && taken >= line.length; line = this.#waiting[0]) {
      taken -= line.length;
      this.#waitingBytes -= line.length;
      this.#waiting.shift();
    }
    this.#begun = taken;
  }

  #failed(error: unknown): void {
    if (!this.#isStopped) {
      this.#isStopped = true;
      this.#parts.stopped(fileProblem(error), this.#waiting.length);
    }
    this.#retry ??= this.#parts.clock.after(retryMs, () => {
      this.#retry = undefined;
      this.flush();
    });
  }

  #open(): number {
    const { path } = this.#parts;
    try {
      return openSync(path, 'a', 0o600);
    } catch (error) {
      throw new FileError(`cannot write call records to "${path}": ${fileProblem(error)}`, { cause: error });
    }
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

const retryMs = 1_000;
const linesPerWrite = 64;

/** Some 40,000 records. */
const defaultWaitingBytes = 16_777_216;
