/** One work of the SIP benchmark: how it is loaded, and what a run of it measures. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ProxyKind } from '../../test/interop/support/proxy.ts';
import { cpuSeconds, memory } from './process-cost.ts';
import { callThrough, faultsOf, firstError, startLoad } from './sip-load.ts';

/** What one run of one work measured. */
export interface Measured {
  readonly cpuUs: number;
  readonly perSecond: number;
  readonly peakMiB: number;
  readonly pssMiB: number;
  readonly faults: readonly string[];
}

export interface WorkOptions {
  readonly quick: boolean;
  readonly rate?: number | undefined;
  readonly calls?: number | undefined;
  /** As it is right after its start. */
  readonly cold?: boolean;
  readonly log: (line: string) => void;
}

export async function measure(work: string, kind: ProxyKind, options: WorkOptions): Promise<Measured> {
  const plan = planOf(work);
  const scale = options.quick ? 0.25 : 1;
  const calls = Math.max(1, Math.round(options.calls ?? plan.calls * scale));
  const warmUp = options.cold === true ? 0 : Math.round(plan.warmUp * scale);
  const load = await startLoad({
    kind,
    users: plan.answer === undefined ? 0 : Math.max(calls, warmUp),
    ...(plan.answer === undefined ? {} : { answer: plan.answer }),
  });
  try {
    // Both are measured warm: caches filled, and our code compiled, which takes some ten thousand calls.
    const { scenario, atOnce } = plan;
    const contact = load.calledHost;
    if (warmUp > 0) await callThrough(load, { scenario, calls: warmUp, rate: 1000, contact });
    const before = cpuSeconds(load.proxy.child.pid);
    const rate = plan.rate ?? options.rate ?? 300 * plan.rateFactor;
    const result = await callThrough(load, {
      scenario,
      calls,
      rate,
      ...(atOnce === undefined ? {} : { atOnce }),
      contact,
    });
    const error = firstError(result);
    if (error !== undefined) options.log(error);
    // Timers that clean up after the last call are part of its cost.
    await pause(options.quick ? 2000 : 6000);
    const after = cpuSeconds(load.proxy.child.pid);
    const { peakMiB, pssMiB } = memory(load.proxy.child.pid);
    const cpuUs = ((after - before) * 1e6) / Math.max(1, result.successful);
    return { cpuUs, perSecond: result.callsPerSecond, peakMiB, pssMiB, faults: faultsOf(result) };
  } finally {
    await load.stop();
  }
}

interface Plan {
  readonly scenario: string;
  /** The called side, for which every user is registered. */
  readonly answer?: string;
  readonly calls: number;
  readonly warmUp: number;
  /** A rate that --rate does not change. */
  readonly rate?: number;
  readonly rateFactor: number;
  readonly atOnce?: number;
}

export function planOf(work: string): Plan {
  switch (work) {
    case 'call':
      return { scenario: 'call.xml', answer: 'answer.xml', calls: 6000, warmUp: 10_000, rateFactor: 1 };
    case 'capacity':
      // More calls per second than anyone carries, but never more than 100 open: SIPp waits for the proxy.
      return {
        scenario: 'call.xml',
        answer: 'answer.xml',
        calls: 20_000,
        warmUp: 10_000,
        rateFactor: 1,
        rate: 20_000,
        atOnce: 100,
      };
    case 'message':
      return { scenario: 'message.xml', answer: 'message-answer.xml', calls: 12_000, warmUp: 3000, rateFactor: 3 };
    case 'options':
      return { scenario: 'options.xml', calls: 12_000, warmUp: 3000, rateFactor: 3 };
    case 'register':
      return { scenario: 'register.xml', calls: 50_000, warmUp: 3000, rateFactor: 1, rate: 20_000, atOnce: 100 };
    default:
      throw new Error(`no work "${work}" in the suite sip`);
  }
}
