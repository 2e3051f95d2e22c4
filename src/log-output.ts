/**
 * Where log lines go: a file, a pipe, a terminal. Nothing that happens there may stop signaling: no write waits, and no error is thrown.
 * Lines that cannot be written are dropped and counted; once lines pass again, one of them says how many were lost.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { type Cancel, type Clock, systemClock } from './clock.ts';

export interface LogOutputParts {
  readonly clock?: Clock;
  /** Writes what is taken at once and returns how many octets that were. @throws the system's error. */
  readonly write?: (bytes: Uint8Array) => number;
  /** Lines were dropped. */
  readonly dropped?: (count: number) => void;
  /** Lines pass again, after so many were dropped. */
  readonly resumed?: (dropped: number) => void;
}

export class LogOutput {
  readonly #parts: LogOutputParts;
  readonly #clock: Clock;
  readonly #system: (bytes: Uint8Array) => number;
  /** Lines that the reader has not taken yet, oldest first. */
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** The first line that waits is the rest of one whose beginning is out. */
  #begun = false;
  /** The last line that came out lost its end. */
  #torn = false;
  #retry: Cancel | undefined;
  #dropped = 0;

  constructor(parts: LogOutputParts = {}) {
    this.#parts = parts;
    this.#clock = parts.clock ?? systemClock;
    this.#system = parts.write ?? standardOutput();
  }

  /** A whole line with its end. */
  write(line: string): void {
    const bytes = Buffer.from(visible(line));
    if (this.#waiting.length > 0) {
      this.#hold(bytes);
      return;
    }
    const left = this.#pass(bytes);
    if (left === undefined) this.#sayDropped();
    else if (left.length > 0) this.#hold(left);
  }

  /** Writes what waits, as far as the reader takes it now; true where nothing is left. */
  flush(): boolean {
    this.#retry?.();
    this.#retry = undefined;
    for (let line = this.#waiting[0]; line !== undefined; line = this.#waiting[0]) {
      const left = this.#pass(line);
      this.#waitingBytes -= line.length;
      if (left === undefined || left.length === 0) {
        this.#waiting.shift();
        continue;
      }
      this.#waiting[0] = left;
      this.#waitingBytes += left.length;
      this.#retryLater();
      return false;
    }
    this.#sayDropped();
    return true;
  }

  /** undefined: all is out. Empty: the line is lost. Else: what waits for the reader. */
  #pass(line: Buffer): Buffer | undefined {
    let rest = this.#torn && !this.#begun ? Buffer.concat([lineEnd, line]) : line;
    const whole = rest.length;
    try {
      while (rest.length > 0) {
        const written = this.#system(rest);
        if (written === 0) break;
        rest = rest.subarray(written);
      }
    } catch (error) {
      if (!isBusy(error)) {
        this.#torn ||= this.#begun || rest.length < whole;
        this.#begun = false;
        this.#drop();
        return nothing;
      }
    }
    this.#torn = false;
    this.#begun = rest.length > 0 && (this.#begun || rest.length < whole);
    return rest.length === 0 ? undefined : rest;
  }

  #hold(line: Buffer): void {
    if (this.#waiting.length > 0 && this.#waitingBytes + line.length > maxWaitingBytes) {
      this.#drop();
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += line.length;
    if (this.#retry === undefined) this.#retryLater();
  }

  #retryLater(): void {
    this.#retry = this.#clock.after(retryMs, () => {
      this.flush();
    });
  }

  #drop(): void {
    this.#dropped += 1;
    this.#parts.dropped?.(1);
  }

  #sayDropped(): void {
    if (this.#dropped === 0) return;
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#parts.resumed?.(dropped);
  }
}

/**
 * Writes to standard output without ever waiting. Node sets pipes and sockets to non-blocking as soon as it makes a stream of them; a
 * terminal, which is shared with a shell, is opened a second time for that. A file takes what it is given or fails.
 */
function standardOutput(): (bytes: Uint8Array) => number {
  const fd = process.stdout.isTTY ? terminal() : 1;
  return (bytes) => writeSync(fd, bytes);
}

function terminal(): number {
  try {
    return openSync('/dev/fd/1', constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return 1;
  }
}

const isBusy = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'EAGAIN' || error.code === 'EINTR');

/**
 * JSON leaves DEL, the C1 controls and the marks of direction as they are, and much of a line is what peers wrote; terminals obey them, also
 * where a file is looked at later. Inside of a JSON text the escape means the same.
 */
const visible = (line: string): string =>
  line.replaceAll(
    /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const lineEnd = Buffer.from('\n');
const nothing = Buffer.alloc(0);

/** What may wait for a slow reader: some thousands of lines. */
const maxWaitingBytes = 1_048_576;

const retryMs = 50;
