/** What the process itself uses, read only when somebody asks: nothing here runs on the way of a message. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.ts';

/** Returns what ends the observation. */
export function observeProcess(metrics: Metrics, version: string): () => void {
  const started = performance.timeOrigin / 1_000;
  metrics.gauge('build_info', 'Always 1; the version is in the label', () => 1, { version, node: process.version });
  metrics.gauge('process_start_time_seconds', 'When the process began, since the Unix epoch', () => started);
  metrics.gauge('process_resident_memory_bytes', 'Memory the system has given us', () => process.memoryUsage.rss());
  for (const kind of ['heapUsed', 'heapTotal', 'external', 'arrayBuffers'] as const)
    metrics.gauge('process_memory_bytes', 'Memory by kind, as V8 sees it', () => process.memoryUsage()[kind], { kind });
  for (const mode of ['user', 'system'] as const)
    metrics.gauge('process_cpu_seconds', 'CPU time used so far', () => process.cpuUsage()[mode] / 1e6, { mode });

  // Measured by libuv itself, no JavaScript runs for it: 0.1 % of a core at ten times a second, 0.6 % at fifty.
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  for (const quantile of [50, 99, 100] as const)
    metrics.gauge(
      'event_loop_delay_seconds',
      'How late the event loop was, since the last time this was read',
      () => {
        const nanoseconds = delay.percentile(quantile);
        if (quantile === 100) delay.reset();
        return Math.max(0, nanoseconds / 1e9 - resolutionMs / 1_000);
      },
      { quantile: String(quantile / 100) },
    );
  let last = performance.eventLoopUtilization();
  metrics.gauge('event_loop_utilization', 'Share of the time that the event loop was busy, since last read', () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  });
  return () => delay.disable();
}

/** What is recorded is the time between two looks, so this much of it is no delay. */
const resolutionMs = 100;
