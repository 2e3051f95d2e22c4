/**
 * Moves what is in the write-ahead log into the file of a store, in a thread of its own: the file is synced to disk there, and the event loop
 * does not stand still for it. A passive checkpoint hinders nobody, but leaves behind what is committed meanwhile, so that the log would only grow
 * under a storm: when little is left, commits are held back for the last pass, and the log begins anew.
 */
import { Worker } from 'node:worker_threads';

export interface CheckpointEvents {
  /** Commits may go on. */
  released(): void;
  /** There is no such thread: SQLite itself has to do it. */
  failed(reason: string): void;
}

export class Checkpoints {
  readonly #path: string;
  readonly #events: CheckpointEvents;
  #thread: Worker | undefined;
  #isRunning = false;
  #holds = false;
  #hasFailed = false;
  #changes = 0;

  constructor(path: string, events: CheckpointEvents) {
    this.#path = path;
    this.#events = events;
  }

  /** Shall commits wait for a moment? */
  get holds(): boolean {
    return this.#holds;
  }

  /** So many changes were committed. */
  committed(changes: number): void {
    this.#changes += changes;
    if (this.#changes >= changesPerPass && !this.#isRunning && !this.#hasFailed) this.#pass();
  }

  stop(): void {
    this.#hasFailed = true;
    this.#holds = false;
    const thread = this.#thread;
    this.#thread = undefined;
    thread?.removeAllListeners();
    thread?.on('error', () => undefined);
    void thread?.terminate();
  }

  #pass(): void {
    this.#isRunning = true;
    this.#changes = 0;
    this.#thread ??= this.#begin();
    this.#thread?.postMessage('');
  }

  #begin(): Worker | undefined {
    try {
      const thread = new Worker(program, { eval: true, workerData: this.#path, env: {}, execArgv: [] });
      thread.unref();
      thread.on('message', (left: unknown) => this.#passed(typeof left === 'number' ? left : 0));
      thread.on('error', (error) => this.#fail(String(error)));
      return thread;
    } catch (error) {
      this.#fail(String(error));
      return undefined;
    }
  }

  /** `left`: pages that were in the log when the pass began and are still. */
  #passed(left: number): void {
    const wasHeld = this.#holds;
    this.#holds = false;
    this.#isRunning = false;
    if (wasHeld || left < 0) {
      this.#events.released();
      return;
    }
    // Few were committed meanwhile: the next pass is short, and the last if nothing comes in between.
    this.#holds = this.#changes < changesPerPass;
    this.#pass();
  }

  #fail(reason: string): void {
    if (this.#hasFailed) return;
    this.stop();
    this.#events.failed(reason);
    this.#events.released();
  }
}

/** Some megabytes of log. */
const changesPerPass = 2_000;

const program = `
const { parentPort, workerData } = require('node:worker_threads');
const { DatabaseSync } = require('node:sqlite');
const database = new DatabaseSync(workerData, { timeout: 1000 });
database.exec('PRAGMA synchronous = NORMAL');
const checkpoint = database.prepare('PRAGMA wal_checkpoint(PASSIVE)');
parentPort.on('message', () => {
  const { log = 0, checkpointed = 0 } = checkpoint.get() ?? {};
  parentPort.postMessage(log - checkpointed);
});
`;
