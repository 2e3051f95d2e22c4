/** Gives a process a share of one processor, as a slower machine would: by a control group of the kernel (Linux, root). */
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';

/** Returns what takes the group away once the process is gone; undefined where there are no such groups. */
export function limitProcessor(pid: number, share: number): (() => void) | undefined {
  const periodUs = 10_000;
  const quotaUs = Math.round(periodUs * share);
  const places: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['/sys/fs/cgroup/cpu', { 'cpu.cfs_period_us': String(periodUs), 'cpu.cfs_quota_us': String(quotaUs) }],
    ['/sys/fs/cgroup', { 'cpu.max': `${quotaUs} ${periodUs}` }],
  ];
  for (const [root, settings] of places) {
    const group = `${root}/altpath-bench-${pid}`;
    try {
      mkdirSync(group);
    } catch {
      continue;
    }
    try {
      for (const [name, value] of Object.entries(settings)) writeFileSync(`${group}/${name}`, value);
      writeFileSync(`${group}/cgroup.procs`, String(pid));
      return () => {
        try {
          rmdirSync(group);
        } catch {
          // Somebody is still in it: an empty group costs nothing.
        }
      };
    } catch {
      rmdirSync(group);
    }
  }
  return undefined;
}
