/**
 * Lines that must not get lost, in a file that only grows. The system writes them in a thread of its own, one write at a time and in order,
 * so a slow disk keeps no message waiting. What the disk has not taken waits in memory, within a bound.
 */
import { close, constants, open, openSync, write } from 'node:fs';
import type { Cancel, Clock } from '../clock.ts';
import { fileProblem } from '../config/fields.ts';
import { FileError } from '../errors.ts';

/** Writes, and tells how many octets were taken, or the system's error. */
export type RecordWrite = (
  fd: number,
  bytes: Uint8Array,
  done: (error: NodeJS.ErrnoException | null, taken: number) => void,
) => void;

export interface RecordFileParts {
  readonly path: string;
  readonly clock: Clock;
  readonly maxWaitingBytes?: number | undefined;
  /** The disk takes nothing any more. */
  stopped(reason: string, waiting: number): void;
  /** It does again; so many lines were lost meanwhile. */
  resumed(lost: number): void;
  /** Lines are lost: as many as fit wait already, or the program ends and the disk takes nothing. */
  lost(count: number): void;
  /** The system's, but for tests. */
  readonly write?: RecordWrite | undefined;
}

export class RecordFile {
  readonly #parts: RecordFileParts;
  readonly #write: RecordWrite;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #fd: number | undefined;
  /** A write or an opening is under way. */
  #isBusy = false;
  #isDue = false;
  #retry: Cancel | undefined;
  #lost = 0;
  #isStopped = false;
  /** Octets of the first line that are in the file already. */
  #begun = 0;
  /** The file was renamed: so many lines are still for the old one. */
  #linesBeforeReopen: number | undefined;
  #closed: (() => void) | undefined;

  /** @throws FileError where the file cannot be opened. */
  constructor(parts: RecordFileParts) {
    this.#parts = parts;
    this.#write = parts.write ?? write;
    try {
      this.#fd = openSync(parts.path, openFlags, mode);
    } catch (error) {
      throw new FileError(`cannot write call records to "${parts.path}": ${fileProblem(error)}`, { cause: error });
    }
  }

  /** Lines that the disk has not taken. */
  get waiting(): number {
    return this.#waiting.length;
  }

  add(line: string): void {
    const bytes = Buffer.from(`${line}\n`);
    if (this.#waitingBytes + bytes.length > (this.#parts.maxWaitingBytes ?? defaultWaitingBytes)) {
      this.#lost += 1;
      this.#parts.lost(1);
      return;
    }
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (this.#isDue || this.#isBusy || this.#retry !== undefined) return;
    // What else ends in this turn goes with it.
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      this.#advance();
    });
  }

  /** The file was renamed: what comes from now on goes to a new one with the old name; what waits is still for the old one. */
  reopen(): void {
    this.#linesBeforeReopen = this.#isStopped ? 0 : this.#waiting.length;
    this.#retry?.();
    this.#retry = undefined;
    this.#advance();
  }

  /** Everything that was accepted is written, as far as the disk takes it; then the file is closed. */
  close(): Promise<void> {
    this.#retry?.();
    this.#retry = undefined;
    return new Promise((resolve) => {
      this.#closed = resolve;
      this.#advance();
    });
  }

  #advance(): void {
    if (this.#isBusy || this.#retry !== undefined) return;
    if (this.#linesBeforeReopen === 0) this.#leaveFile();
    if (this.#waiting.length === 0 && this.#fd !== undefined) {
      this.#settled();
      return;
    }
    this.#isBusy = true;
    if (this.#fd === undefined) this.#open();
    else this.#pass(this.#fd);
  }

  #open(): void {
    open(this.#parts.path, openFlags, mode, (error, fd) => {
      this.#isBusy = false;
      if (error !== null) {
        this.#failed(error);
        return;
      }
      this.#fd = fd;
      this.#advance();
    });
  }

  #pass(fd: number): void {
    const batch = this.#waiting.slice(0, Math.min(linesPerWrite, this.#linesBeforeReopen ?? linesPerWrite));
    const bytes = (batch.length === 1 ? batch[0] : Buffer.concat(batch))?.subarray(this.#begun) ?? nothing;
    this.#write(fd, bytes, (error, taken) => {
      this.#isBusy = false;
      if (error !== null) {
        this.#failed(error);
        return;
      }
      this.#taken(taken);
      if (this.#isStopped) {
        this.#isStopped = false;
        const lost = this.#lost;
        this.#lost = 0;
        this.#parts.resumed(lost);
      }
      this.#advance();
    });
  }

  #taken(octets: number): void {
    let taken = this.#begun + octets;
    for (let line = this.#waiting[0]; line !== undefined && taken >= line.length; line = this.#waiting[0]) {
      taken -= line.length;
      this.#waitingBytes -= line.length;
      this.#waiting.shift();
      if (this.#linesBeforeReopen !== undefined) this.#linesBeforeReopen -= 1;
    }
    this.#begun = taken;
  }

  #failed(error: NodeJS.ErrnoException): void {
    // The reader of a pipe is slow: nothing is wrong.
    const isFull = error.code === 'EAGAIN';
    if (!this.#isStopped && !isFull) {
      this.#isStopped = true;
      this.#parts.stopped(fileProblem(error), this.#waiting.length);
    }
    // A file that was renamed and takes nothing is left as it is.
    if (this.#linesBeforeReopen !== undefined && this.#fd !== undefined && !isFull) {
      this.#linesBeforeReopen = 0;
      this.#advance();
      return;
    }
    if (this.#closed !== undefined && !isFull) {
      this.#giveUp();
      return;
    }
    this.#retry = this.#parts.clock.after(isFull ? fullMs : retryMs, () => {
      this.#retry = undefined;
      this.#advance();
    });
  }

  /** A line is in one file as a whole: one that was begun begins anew in the next. */
  #leaveFile(): void {
    this.#linesBeforeReopen = undefined;
    this.#begun = 0;
    if (this.#fd !== undefined) close(this.#fd, () => undefined);
    this.#fd = undefined;
  }

  /** Nothing waits any more. */
  #settled(): void {
    if (this.#closed === undefined) return;
    this.#leaveFile();
    this.#closed();
    this.#closed = undefined;
  }

  #giveUp(): void {
    this.#parts.lost(this.#waiting.length);
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#settled();
  }
}

/** What is no plain file shall not keep a write waiting either. */
const openFlags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const mode = 0o600;

const retryMs = 1_000;
const fullMs = 20;
const linesPerWrite = 256;
const nothing = Buffer.alloc(0);

/** Some 40,000 records. */
const defaultWaitingBytes = 16_777_216;
