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
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
