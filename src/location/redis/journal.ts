/**
 * What was acknowledged while the store was away, in a file of this process: its next life brings it to the store, should it be killed
 * before the store is back. One line for each change, the last of a contact counts; emptied when the store has all of it.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { FileError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Random } from '../../random.ts';

export type JournalEntry = readonly [record: string, key: string, value: string];

export class WriteJournal {
  readonly #path: string;
  readonly #log: Logger;
  #file: number | undefined;
  #octets = 0;
  #isFailing = false;
  /** The last line has no end: it was cut off. */
  #isCut = false;

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
      this.#isCut = text !== '' && !text.endsWith('\n');
      return text.split('\n').flatMap(readLine);
    } catch (error) {
      throw new FileError(`the journal ${this.#path} of the location store cannot be used: ${String(error)}`, {
        cause: error,
      });
    }
  }

  /**
   * The name under which the process of this journal speaks of itself to the others, in this life and the next: it stands in a file beside it.
   * A name that cannot be kept is one for this life.
   */
  name(random: Random): string {
    const path = `${this.#path}.member`;
    try {
      const kept = readFileSync(path, 'utf8').trim();
      if (/^[0-9a-f]{12}$/.test(kept)) return kept;
    } catch {
      // There is none yet.
    }
    const name = random.hex(6);
    try {
      writeFileSync(path, `${name}\n`, { mode: 0o600 });
    } catch (error) {
      this.#log.warn({ path, reason: String(error) }, 'the name of this member cannot be kept beside its journal');
    }
    return name;
  }

  /** In the hands of the operating system when this returns: kill -9 does not reach it there. */
  append(entries: readonly JournalEntry[]): void {
    if (this.#file === undefined) return;
    const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    const octets = Buffer.from(this.#isCut ? `\n${lines}` : lines);
    try {
      if (this.#octets > maxOctets) throw new Error(`it has ${maxOctets} octets`);
      this.#write(this.#file, octets);
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

  /** A disk that is full takes a part: what comes later begins a line of its own. */
  #write(file: number, octets: Buffer): void {
    for (let written = 0; written < octets.length; ) {
      this.#isCut ||= written > 0;
      const taken = writeSync(file, octets, written);
      this.#octets += taken;
      written += taken;
    }
    this.#isCut = false;
  }

  /** The store has all of it. */
  clear(): void {
    if (this.#file === undefined || this.#octets === 0) return;
    try {
      ftruncateSync(this.#file);
      this.#octets = 0;
      this.#isCut = false;
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
