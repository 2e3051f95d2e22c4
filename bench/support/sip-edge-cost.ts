/** Processor time of calls between plain telephones through edge, primary and edge, with a backup to name and without. */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { CallRecord } from '../../protocols/sip/demo/call-record.ts';
import { freePort } from '../../protocols/sip/demo/failover-run.ts';
import { LoadAgent } from '../../protocols/sip/demo/load-agent.ts';
import { domain, members } from '../../protocols/sip/demo/members.ts';

export interface EdgeCost {
  /** Microseconds for each call, by process: `primary`, `caller edge`, `callee edge`. */
  readonly microseconds: ReadonlyMap<string, number>;
  readonly calls: number;
  readonly lost: number;
}

export interface EdgeCostOptions {
  readonly hasBackup: boolean;
  /** Counted; as many go before them uncounted. */
  readonly calls: number;
  readonly rate: number;
}

export async function edgeCost({ hasBackup, calls, rate }: EdgeCostOptions): Promise<EdgeCost> {
  const cast = members({ port: await freePort(), holdMs: 1_500, isAlone: !hasBackup });
  const agents: LoadAgent[] = [];
  try {
    await cast.start();
    const common = {
      kind: 'plain',
      domain,
      backup: cast.backup,
      ringMs: 0,
      holdMs: 1_500,
      records: new Map(),
    } as const;
    const { callerEdge, calleeEdge } = cast;
    const caller = new LoadAgent({ ...common, user: 'caller', host: '127.0.0.5', proxy: callerEdge, path: callerEdge });
    const callee = new LoadAgent({ ...common, user: 'callee', host: '127.0.0.6', proxy: calleeEdge, path: calleeEdge });
    agents.push(caller, callee);
    for (const agent of agents) {
      await agent.start();
      const status = await agent.register();
      if (status !== 200) throw new Error(`a registration was refused with ${status}`);
    }
    await place(caller, calls, rate);
    const before = cpuMicroseconds(cast.pids());
    const records = await place(caller, calls, rate);
    const after = cpuMicroseconds(cast.pids());
    const microseconds = new Map([...before].map(([name, spent]) => [name, ((after.get(name) ?? 0) - spent) / calls]));
    return { microseconds, calls, lost: records.filter(({ isLost }) => isLost).length };
  } finally {
    for (const agent of agents) await agent.stop();
    await cast.close();
  }
}

async function place(caller: LoadAgent, calls: number, rate: number): Promise<readonly CallRecord[]> {
  const records: CallRecord[] = [];
  const startedMs = performance.now();
  while (records.length < calls) {
    const due = Math.min(calls, Math.floor(((performance.now() - startedMs) * rate) / 1_000) + 1);
    while (records.length < due) records.push(caller.call('callee', 0, 'caller'));
    await pause(10);
  }
  for (let turn = 0; turn < 500 && records.some(({ isOver }) => !isOver); turn += 1) await pause(10);
  return records;
}

/** Of all threads of each process, in the nanoseconds of the scheduler (proc(5): schedstat). */
function cpuMicroseconds(pids: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const spent = (pid: number): number =>
    readdirSync(`/proc/${pid}/task`)
      .map((thread) => Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]))
      .reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1_000;
  return new Map([...pids].map(([name, pid]) => [name, spent(pid)]));
}
