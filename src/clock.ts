/** Time as a port: core and protocols never ask the system themselves, so tests can turn hours into milliseconds. */
export interface Clock {
  /** Milliseconds since the Unix epoch; never runs backwards within a process. */
  now(): number;
  /** Runs `run` once after `ms` milliseconds, unless the returned function is called before. */
  after(ms: number, run: () => void): Cancel;
}

export type Cancel = () => void;

/** The machine's clock. Its timers keep no process alive by themselves: sockets do that. */
export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, run) {
    if (ms > maxNativeMs) return afterLong(ms, run);
    const queue = queueFor(ms);
    if (queue !== undefined) return queue.add(run);
    const timer = setTimeout(run, Math.max(0, ms));
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
 * handful of lengths and are nearly always cancelled, which here costs one assignment. A long wait (Timers D, J, K: state kept for
 * repetitions) may end up to a 64th of its length late: what comes due in that time shares one waking of the process.
 */
class TimerQueue {
  readonly #ms: number;
  readonly #slackMs: number;
  #entries: Entry[] = [];
  #head = 0;
  #armed = false;

  constructor(ms: number) {
    this.#ms = ms;
    this.#slackMs = ms < patientMs ? 0 : ms >> 6;
  }

  add(run: () => void): Cancel {
    const entry: Entry = { dueMs: performance.now() + this.#ms, run };
    this.#entries.push(entry);
    if (!this.#armed) this.#arm(this.#ms + this.#slackMs);
    return () => {
      entry.run = undefined;
    };
  }

  #arm(ms: number): void {
    this.#armed = true;
    setTimeout(() => this.#fire(), Math.min(maxNativeMs, Math.max(0, Math.ceil(ms)))).unref();
  }

  #fire(): void {
    const now = performance.now();
    // What is added from here on comes due later, so the list only grows at its end while we run.
    for (;;) {
      const entry = this.#entries[this.#head];
      if (entry === undefined) {
        this.#entries = [];
        this.#head = 0;
        this.#armed = false;
        return;
      }
      if (entry.run !== undefined && entry.dueMs > now) break;
      this.#head += 1;
      const { run } = entry;
      if (run === undefined) continue;
      entry.run = undefined;
      try {
        run();
      } catch (error) {
        // As with a native timer: our own bug surfaces as an uncaught exception, the others still run.
        this.#arm(0);
        throw error;
      }
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    this.#arm((this.#entries[this.#head]?.dueMs ?? now) - now + this.#slackMs);
  }
}

/** From here on nobody waits for the moment itself. */
const patientMs = 4_000;

interface Entry {
  readonly dueMs: number;
  run: (() => void) | undefined;
}

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
