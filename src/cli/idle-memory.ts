/**
 * Gives back what loading left: as much garbage as code. V8 collects when it needs room, which a process without work never does. Once,
 * and only before the first work: such a collection drops compiled code as well, which then would have to be made anew.
 */
import { flushCompileCache } from 'node:module';
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Returns what ends that. */
export function giveBackMemory(): () => void {
  const before = performance.eventLoopUtilization();
  const timer = setTimeout(() => {
    // What was compiled until now is there for the next start, also where this process is killed.
    flushCompileCache();
    if (performance.eventLoopUtilization(before).utilization > idleShare) return;
    setFlagsFromString('--expose-gc');
    const gc: unknown = runInNewContext('gc');
    // Some tens of milliseconds.
    if (typeof gc === 'function') gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  }, lookMs);
  timer.unref();
  return () => clearTimeout(timer);
}

/** Nothing was done in this time but what runs by itself. */
const lookMs = 3_000;
const idleShare = 0.01;
