/** Starts test/cli/echo-main.ts as a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Ended {
  /** Exit code, or the signal that ended it. */
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg: string; readonly level: string };

export class AltpathProcess {
  readonly ended: Promise<Ended>;
  readonly #process: ChildProcess;
  #stdout = '';
  #stderr = '';
  readonly #waiting = new Set<() => void>();

  constructor(words: readonly string[], env: Readonly<Record<string, string>> = {}, main = echoMain) {
    this.#process = spawn(process.execPath, [main, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#process.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text;
      for (const look of this.#waiting) look();
    });
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve) => {
      this.#process.on('close', (code, signal) => {
        resolve({ code: code ?? signal ?? 'SIGKILL', stdout: this.#stdout, stderr: this.#stderr });
        for (const look of this.#waiting) look();
      });
    });
  }

  /** Standard output so far. */
  get text(): string {
    return this.#stdout;
  }

  get log(): readonly LogLine[] {
    return this.#stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  /** The first log line, from now or before, whose message fits. Rejects with all that was said when the process ends first. */
  logged(message: string | RegExp): Promise<LogLine> {
    const fits = ({ msg }: LogLine): boolean => (typeof message === 'string' ? msg === message : message.test(msg));
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const line = this.log.find(fits);
        if (line !== undefined) settle(() => resolve(line));
        else if (this.#process.exitCode !== null || this.#process.signalCode !== null)
          settle(() => reject(new Error(`ended without a line like ${message}:\n${this.#stdout}${this.#stderr}`)));
      };
      const settle = (run: () => void): void => {
        this.#waiting.delete(look);
        clearTimeout(limit);
        run();
      };
      const limit = setTimeout(
        () => settle(() => reject(new Error(`no line like ${message} in 10 s:\n${this.#stdout}${this.#stderr}`))),
        10_000,
      );
      this.#waiting.add(look);
      look();
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }
}

/** Runs a command to its end. */
export const run = (...words: string[]): Promise<Ended> => new AltpathProcess(words).ended;

export interface Scratch {
  file(name: string, text: string): string;
  remove(): void;
}

/** A directory for the files of one test file. */
export function scratch(): Scratch {
  const directory = mkdtempSync(join(tmpdir(), 'altpath-cli-'));
  return {
    file(name, text) {
      const path = join(directory, name);
      writeFileSync(path, text);
      return path;
    },
    remove: () => rmSync(directory, { recursive: true }),
  };
}

const echoMain = fileURLToPath(new URL('echo-main.ts', import.meta.url));
