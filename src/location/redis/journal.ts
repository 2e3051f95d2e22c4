/**
 * What was acknowledged while the store was away, in a file of this process: its next life brings it to the store, should it be killed
 * before the store is back. One line for each change, the last of a contact counts; emptied when the store has all of it.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { FileError } from '../../errors.ts';
import type { Logger } from '../../log.ts';

export type JournalEntry = readonly [record: string, key: string, value: string];

export class WriteJournal {
  readonly #path: string;
  readonly #log: Logger;
  #file: number | undefined;
  #octets = 0;
  #isFailing = false;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** Opens it and returns what an earlier life left in it. @throws FileError where it cannot be used. */
  open(): readonly JournalEntry[] {
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      this.#file = openSync(this.#path, 'a+', 0o600);
      const text = readFileSync(this.#path, 'utf8');
      this.#octets = Buffer.byteLength(text);
      return text.split('\n').flatMap(readLine);
    } catch (error) {
      throw new FileError(`the journal ${this.#path} of the location store cannot be used: ${String(error)}`, {
        cause: error,
      });
    }
  }

  /** In the hands of the operating system when this returns: kill -9 does not reach it there. */
  append(entries: readonly JournalEntry[]): void {
    if (this.#file === undefined) return;
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    try {
      if (this.#octets > maxOctets) throw new Error(`it has ${maxOctets} octets`);
      this.#octets += writeSync(this.#file, text);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing)
        this.#log.error(
          { path: this.#path, reason: String(error) },
          'what waits for the location store is in memory only: its journal cannot be written',
        );
      this.#isFailing = true;
    }
  }

  /** The store has all of it. */
  clear(): void {
    if (this.#file === undefined || this.#octets === 0) return;
    try {
      ftruncateSync(this.#file);
      this.#octets = 0;
    } catch (error) {
      this.#log.warn({ path: this.#path, reason: String(error) }, 'the journal of the location store stays as it is');
    }
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** A line that was cut off, or that somebody else wrote, is none. */
function readLine(line: string): readonly JournalEntry[] {
  try {
    const value: unknown = JSON.parse(line);
    if (!Array.isArray(value) || value.length !== 3) return [];
    const [record, key, text]: readonly unknown[] = value;
    const isEntry = typeof record === 'string' && typeof key === 'string' && typeof text === 'string';
    return isEntry ? [[record, key, text]] : [];
  } catch {
    return [];
  }
}

/** About a million changes. */
const maxOctets = 268_435_456;
