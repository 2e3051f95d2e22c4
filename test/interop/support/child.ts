/** Child processes with bounded waits: each in its own process group, ended by its id, none left behind when we end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { until } from './until.ts';

export interface ChildOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Open file descriptors allowed (soft limit); the shell's own where absent. */
  readonly openFiles?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Child {
  readonly name: string;
  readonly pid: number;
  readonly exit: Promise<Exit>;
  readonly #process: ChildProcess;
  #output = '';
  #exit: Exit | undefined;

  constructor(name: string, command: string, args: readonly string[], options: ChildOptions = {}) {
    const [file, argv] =
      options.openFiles === undefined
        ? [command, [...args]]
        : ['/bin/sh', ['-c', `ulimit -n ${options.openFiles}; exec "$0" "$@"`, command, ...args]];
    this.name = name;
    this.#process = spawn(file, argv, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // A group (and session) of its own: what it forks ends with it, and is measured with it.
      detached: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    });
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString('latin1')).slice(-maxOutputCharacters);
    };
    this.#process.stdout?.on('data', keep);
    this.#process.stderr?.on('data', keep);
    this.#process.stdin?.on('error', () => {});
    this.exit = new Promise((resolve, reject) => {
      this.#process.once('error', reject);
      this.#process.once('close', (code, signal) => {
        this.#exit = { code, signal };
        running.delete(this);
        resolve(this.#exit);
      });
    });
    // Whoever waits hears of a failed spawn; nobody waiting must not end the test run.
    this.exit.catch(() => {});
    this.pid = this.#process.pid ?? 0;
    running.add(this);
  }

  get exited(): Exit | undefined {
    return this.#exit;
  }

  /** What it wrote to stdout and stderr, the last million characters of it. */
  get output(): string {
    return this.#output;
  }

  write(text: string): void {
    this.#process.stdin?.write(text);
  }

  /** Waits for its output to match. @throws Error with the end of the output, at once if it exits before. */
  async waitForOutput(pattern: RegExp, limitMs: number): Promise<RegExpExecArray> {
    const what = `${this.name}: ${pattern} in its output`;
    try {
      return await until(what, limitMs, () => {
        const match = pattern.exec(this.#output);
        if (match !== null) return match;
        if (this.#exit !== undefined) throw new Error(`${what}: it exited with ${JSON.stringify(this.#exit)}`);
        return undefined;
      });
    } catch (error) {
      throw new Error(
        `${error instanceof Error ? error.message : error}; its last words:\n${this.#output.slice(-2000)}`,
      );
    }
  }

  /** Waits for its end. @throws Error after limitMs; it is killed then. */
  async waitForExit(limitMs: number): Promise<Exit> {
    try {
      return await until(`${this.name}: its end`, limitMs, () => this.#exit);
    } catch (error) {
      await this.stop('SIGKILL');
      throw error;
    }
  }

  /** Asks it to end; after limitMs it is killed, with everything it forked. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', limitMs = 5000): Promise<Exit> {
    signalGroup(this.pid, signal);
    const ended = await until('end', limitMs, () => this.#exit).catch(() => undefined);
    signalGroup(this.pid, 'SIGKILL');
    return ended ?? this.exit;
  }
}

/** Ends every child that still runs; for afterEach. */
export async function stopAll(): Promise<void> {
  await Promise.all([...running].map((child) => child.stop('SIGTERM', 2000)));
}

const running = new Set<Child>();

const maxOutputCharacters = 1_000_000;

process.on('exit', () => {
  for (const child of running) signalGroup(child.pid, 'SIGKILL');
});

// In groups of their own, they hear nothing of a Ctrl-C.
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  process.once(signal, () => process.exit(128 + number));
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  if (pid === 0) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // ESRCH: it is gone already.
  }
}
