// Imported by name: as globals they would be looked up by a getter each time.
import { performance } from 'node:perf_hooks';

/** Time as a port: core and protocols never ask the system themselves, so tests can turn hours into milliseconds. */
export interface Clock {
  /** Milliseconds since the Unix epoch; never runs backwards within a process. */
  now(): number;
  /** What the machine's calendar says just now; an operator or NTP may set it to and fro. Only for what other processes and people read. */
  wallNow(): number;
  /** Runs `run` once after `ms` milliseconds, unless the returned function is called before. */
  after(ms: number, run: () => void): Cancel;
}

export type Cancel = () => void;

const originMs = performance.timeOrigin;

/** The machine's clock. Its timers keep no process alive by themselves: sockets do that. */
export const systemClock: Clock = {
  now: () => originMs + performance.now(),
  wallNow: () => Date.now(),
  after(ms, run) {
    if (ms > maxNativeMs) return afterLong(ms, run);
    const queue = queueFor(ms);
    if (queue !== undefined) return queue.add(run);
    const timer = setTimeout(run, Math.max(0, Math.ceil(ms)));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A longer wait overflows a native timer, which then comes due at once; an unheard-of TTL or lifetime must not. */
const maxNativeMs = 2_147_483_647;

function afterLong(ms: number, run: () => void): Cancel {
  let cancel = systemClock.after(maxNativeMs, () => {
    cancel = systemClock.after(ms - maxNativeMs, run);
  });
  return () => cancel();
}

/**
 * Waits of one length come due in the order they were begun: a list and one native timer serve them all. Protocol timers have a
 * handful of lengths and are nearly always cancelled, which here costs one assignment. A long wait (state that is kept for repetitions)
 * may end up to a 64th of its length late: what comes due in that time shares one waking of the process.
 */
class TimerQueue {
  readonly #ms: number;
  readonly #slackMs: number;
  /** What to run, undefined where it was cancelled, and when; side by side, so that a wait leaves no object behind. */
  #runs: ((() => void) | undefined)[] = [];
  #dueMs: number[] = [];
  #head = 0;
  /** Waits that were in the lists before their first place. */
  #gone = 0;
  #armed = false;

  constructor(ms: number) {
    this.#ms = ms;
    this.#slackMs = ms < patientMs ? 0 : ms >> 6;
  }

  add(run: () => void): Cancel {
    const number = this.#gone + this.#runs.push(run) - 1;
    this.#dueMs.push(performance.now() + this.#ms);
    if (!this.#armed) this.#arm(this.#ms + this.#slackMs);
    return () => {
      const at = number - this.#gone;
      if (at >= this.#head) this.#runs[at] = undefined;
    };
  }

  #arm(ms: number): void {
    this.#armed = true;
    setTimeout(() => this.#fire(), Math.min(maxNativeMs, Math.max(0, Math.ceil(ms)))).unref();
  }

  #fire(): void {
    const now = performance.now();
    // What is added from here on comes due later, so the lists only grow at their end while we run.
    while (this.#head < this.#runs.length) {
      const run = this.#runs[this.#head];
      if (run !== undefined && (this.#dueMs[this.#head] ?? 0) > now) break;
      this.#runs[this.#head] = undefined;
      this.#head += 1;
      if (run === undefined) continue;
      try {
        run();
      } catch (error) {
        // As with a native timer: our own bug surfaces as an uncaught exception, the others still run.
        this.#arm(0);
        throw error;
      }
    }
    if (this.#head === this.#runs.length) {
      this.#forget();
      this.#armed = false;
      return;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#runs.length) this.#forget();
    this.#arm((this.#dueMs[this.#head] ?? now) - now + this.#slackMs);
  }

  /** Gives back the places before the first wait that is left. */
  #forget(): void {
    this.#gone += this.#head;
    this.#runs = this.#runs.slice(this.#head);
    this.#dueMs = this.#dueMs.slice(this.#head);
    this.#head = 0;
  }
}

/** From here on nobody waits for the moment itself. */
const patientMs = 4_000;

const queues = new Map<number, TimerQueue>();

/** The first lengths seen are the protocols' constants; odd ones (jitter, remainders) and later ones get a native timer each. */
const maxQueues = 48;

function queueFor(ms: number): TimerQueue | undefined {
  const queue = queues.get(ms);
  if (queue !== undefined || queues.size >= maxQueues || ms < 100 || !Number.isInteger(ms)) return queue;
  const made = new TimerQueue(ms);
  queues.set(ms, made);
  return made;
}
