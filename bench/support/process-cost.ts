/** What a process and all that it forked have cost, read from /proc (Linux): processor time and memory. */
import { readdirSync, readFileSync } from 'node:fs';

export interface Memory {
  /** Sum of the greatest resident sizes so far (VmHWM). Shared pages count once for each process. */
  readonly peakMiB: number;
  /** Proportional set size now: shared pages are divided by those who share them, so sums are fair. */
  readonly pssMiB: number;
}

/** Processor seconds (user and system) of the whole session that `leader` leads, children that ended included. */
export function cpuSeconds(leader: number): number {
  let ticks = 0;
  for (const { pid, fields } of session(leader)) {
    ticks += Number(fields[11]) + Number(fields[12]);
    if (pid === leader) ticks += Number(fields[13]) + Number(fields[14]);
  }
  return ticks / ticksPerSecond;
}

export function memory(leader: number): Memory {
  let peakKiB = 0;
  let pssKiB = 0;
  for (const { pid } of session(leader)) {
    peakKiB += number(/^VmHWM:\s+(\d+)/m, `/proc/${pid}/status`);
    pssKiB += number(/^Pss:\s+(\d+)/m, `/proc/${pid}/smaps_rollup`);
  }
  return { peakMiB: peakKiB / 1024, pssMiB: pssKiB / 1024 };
}

/** USER_HZ, which Linux fixes at 100 for everything it shows in /proc. */
const ticksPerSecond = 100;

/** Every process of a session with the fields of its stat file from `state` on (proc(5)). */
function session(leader: number): { readonly pid: number; readonly fields: readonly string[] }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => {
      const stat = read(`/proc/${name}/stat`);
      return { pid: Number(name), fields: stat.slice(stat.lastIndexOf(')') + 2).split(' ') };
    })
    .filter(({ fields }) => Number(fields[3]) === leader);
}

const number = (pattern: RegExp, path: string): number => Number(pattern.exec(read(path))?.[1] ?? 0);

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
