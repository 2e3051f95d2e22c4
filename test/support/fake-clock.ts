/** A clock that stands still until a test moves it: hours pass in milliseconds, and every run is the same. */
import type { Cancel, Clock } from '../../src/internal.ts';

export class FakeClock implements Clock {
  #now: number;
  #order = 0;
  #cancelled = 0;
  /** A binary heap by due time, then by order of arming. */
  #heap: Timer[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  /** The calendar has been set forward (or back) by this much. */
  steppedMs = 0;

  wallNow(): number {
    return this.#now + this.steppedMs;
  }

  after(ms: number, run: () => void): Cancel {
    this.#order += 1;
    const timer: Timer = { dueMs: this.#now + Math.max(0, ms), order: this.#order, run };
    this.#push(timer);
    return () => {
      if (timer.run === undefined) return;
      timer.run = undefined;
      this.#cancelled += 1;
      if (this.#cancelled > 64 && this.#cancelled * 2 > this.#heap.length) this.#compact();
    };
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#heap.length - this.#cancelled;
  }

  /** When the next timer is due, if any waits. */
  nextDue(): number | undefined {
    return this.#peek()?.dueMs;
  }

  /** Lets `ms` milliseconds pass. Timers run in order of their due time, each at its own moment, also those armed on the way. */
  advance(ms: number): void {
    const endMs = this.#now + ms;
    for (let timer = this.#peek(); timer !== undefined && timer.dueMs <= endMs; timer = this.#peek()) this.#run(timer);
    this.#now = endMs;
  }

  /** As `advance`, with the promises that each timer settles awaited before the next timer runs. */
  async advanceAsync(ms: number): Promise<void> {
    const endMs = this.#now + ms;
    await settlePromises();
    for (let timer = this.#peek(); timer !== undefined && timer.dueMs <= endMs; timer = this.#peek()) {
      this.#run(timer);
      await settlePromises();
    }
    this.#now = endMs;
  }

  /** Runs timers until none waits, or until the next one is more than `limitMs` away from now. Returns the milliseconds passed. */
  runUntilIdle(limitMs: number): number {
    const startMs = this.#now;
    for (let timer = this.#peek(); timer !== undefined && timer.dueMs <= startMs + limitMs; timer = this.#peek())
      this.#run(timer);
    return this.#now - startMs;
  }

  #run(timer: Timer): void {
    this.#pop();
    this.#now = Math.max(this.#now, timer.dueMs);
    const { run } = timer;
    timer.run = undefined;
    run?.();
  }

  #peek(): Timer | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (top.run !== undefined) return top;
      this.#pop();
      this.#cancelled -= 1;
    }
    return undefined;
  }

  #compact(): void {
    const live = this.#heap.filter((timer) => timer.run !== undefined);
    this.#heap = live.sort((a, b) => (isBefore(a, b) ? -1 : 1));
    this.#cancelled = 0;
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = heap[parentAt];
      if (parent === undefined || !isBefore(timer, parent)) break;
      heap[at] = parent;
      at = parentAt;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = heap[2 * at + 1];
      const right = heap[2 * at + 2];
      const rightFirst = left !== undefined && right !== undefined && isBefore(right, left);
      const child = rightFirst ? right : left;
      if (child === undefined || !isBefore(child, last)) break;
      heap[at] = child;
      at = rightFirst ? 2 * at + 2 : 2 * at + 1;
    }
    heap[at] = last;
  }
}

interface Timer {
  readonly dueMs: number;
  readonly order: number;
  /** undefined: cancelled, or has run. */
  run: (() => void) | undefined;
}

const isBefore = (a: Timer, b: Timer): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);

/** Every promise that can settle without a timer or a socket has settled. */
const settlePromises = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
