/**
 * Gives memory back while nothing happens. Loading leaves as much garbage as it leaves code, and so does a busy hour; V8 collects when it
 * needs room, which an idle process never does.
 */
import { flushCompileCache } from 'node:module';
import { performance } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Returns what ends that. */
export function giveBackMemory(): () => void {
  let last = performance.eventLoopUtilization();
  let heapOctets = 0;
  let collect: (() => void) | undefined;
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    const { heapTotal } = process.memoryUsage();
    if (utilization > idleShare || heapTotal - heapOctets < worthwhileOctets) return;
    // What was compiled until now is there for the next start, also where this process is killed.
    if (collect === undefined) flushCompileCache();
    collect ??= collector();
    collect();
    heapOctets = process.memoryUsage().heapTotal;
    last = performance.eventLoopUtilization();
  }, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** A collection that also gives pages back to the system: some tens of milliseconds. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const gc: unknown = runInNewContext('gc');
  return () => {
    if (typeof gc === 'function') gc({ type: 'major', execution: 'sync', flavor: 'last-resort' });
  };
}

/** Nothing was done in this time but what runs by itself. */
const lookMs = 3_000;
const idleShare = 0.01;

const worthwhileOctets = 16_777_216;
