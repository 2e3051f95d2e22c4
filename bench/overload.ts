/**
 * Three times as many calls as the proxy can carry: what is carried to its end, as a share of what it carries where callers wait for it. From
 * callers that know nothing of overload control, and through an edge that obeys it (RFC 7339). The proxy has a small part of one core and the
 * generator another core, and each figure says whether the proxy was the limit and nobody else: else it is none.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freeHost } from '../test/interop/support/hosts.ts';
import { type RunningProxy, startProxy } from '../test/interop/support/proxy.ts';
import { Sipp, type SippResult } from '../test/interop/support/sipp.ts';
import { cpuSeconds } from './support/process-cost.ts';
import { limitProcessor } from './support/processor-share.ts';
import { sippKeys, startLoad } from './support/sip-load.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'overload',
  title: 'Three times capacity: what is carried',
  works: ['plain', 'obeying'],
  byDefault: false,
  run,
};

const scenario = fileURLToPath(new URL('./sip/refusable-call.xml', import.meta.url));

/** Of one core. */
const share = 0.1;

interface Measured {
  readonly offered: number;
  readonly carried: number;
  /** Shares of a core. */
  readonly proxy: number;
  readonly generator: number;
  readonly edge: number;
}

async function run(options: BenchOptions): Promise<SuiteReport> {
  const wants = (work: string): boolean => options.work === undefined || options.work.includes(work);
  const seconds = options.quick ? 10 : 30;
  const load = await startLoad({ kind: 'altpath', users: 1, answer: 'answer.xml' });
  const edge = await startProxy({
    kind: 'altpath',
    host: await freeHost(),
    settings: { defaultRoute: [`${load.proxy.host}:${load.proxy.port}`] },
  });
  const release = limitProcessor(load.proxy.child.pid, share);
  const under = coresApart(load.proxy.child.pid);
  const rows: Row[] = [];
  const notes: string[] = [];
  const measured = async (through: RunningProxy, rate: number, atOnce?: number): Promise<Measured> => {
    const { callerHost: host } = load;
    const keys = { ...sippKeys(host), domain: load.proxy.host };
    const calls = 1_000_000_000;
    const sipp = await new Sipp({
      scenario,
      host,
      remote: through.address,
      keys,
      rate,
      calls,
      under,
      ...optional(atOnce),
    }).ready();
    try {
      // The first seconds find the rate.
      await pause(6_000);
      const used = (): readonly number[] =>
        [load.proxy, { child: sipp.child }, edge].map(({ child }) => cpuSeconds(child.pid));
      const [before, cpuBefore, atMs] = [sipp.soFar(), used(), performance.now()];
      await pause(seconds * 1_000);
      const [after, cpuAfter, elapsed] = [sipp.soFar(), used(), (performance.now() - atMs) / 1_000];
      const counted = (after.elapsedMs - before.elapsedMs) / 1_000;
      const [proxy = 0, generator = 0, edgeShare = 0] = cpuAfter.map(
        (each, index) => (each - (cpuBefore[index] ?? 0)) / elapsed,
      );
      return {
        offered: (begun(after) - begun(before)) / counted,
        carried: (completed(after) - completed(before)) / counted,
        proxy,
        generator,
        edge: edgeShare,
      };
    } finally {
      await sipp.stop();
    }
  };
  try {
    if (release === undefined)
      return {
        rows,
        notes: ['the processor of the proxy cannot be limited here (it takes root and control groups): not measured'],
      };
    // Callers that wait for their turn: as much as there can be.
    const calm = await measured(load.proxy, 5_000, 400);
    const capacity = calm.carried;
    const calmFaults =
      calm.proxy < busy * share ? [`the proxy was not busy: ${percent(calm.proxy)} of ${percent(share)}`] : [];
    options.log(`capacity ${capacity.toFixed(0)} calls/s: ${JSON.stringify(calm)}`);
    notes.push(
      `capacity: ${capacity.toFixed(0)} calls/s with ${percent(share)} of a core, 400 callers that wait for their turn`,
    );
    const works = [
      ['plain', load.proxy, 'callers that know nothing of it'],
      ['obeying', edge, 'through an edge that obeys (RFC 7339)'],
    ] as const;
    for (const [work, through, who] of works) {
      if (!wants(work)) continue;
      const rate = Math.round(3 * capacity);
      const result = await measured(through, rate);
      options.log(`${who}: ${JSON.stringify(result)}`);
      const { offered, carried, proxy, generator, edge: edgeShare } = result;
      notes.push(
        `${who}: ${offered.toFixed(0)} calls/s offered, ${carried.toFixed(0)} carried; of a core: proxy ${percent(proxy)}, generator ${percent(generator)}, edge ${percent(edgeShare)}`,
      );
      const faults = [...calmFaults];
      if (offered < 0.95 * rate)
        faults.push(`the generator offered ${offered.toFixed(0)} of ${rate} calls/s: it was the limit`);
      if (generator > 0.9) faults.push(`the generator was busy: ${percent(generator)} of a core`);
      if (work === 'obeying' && edgeShare > 0.9) faults.push(`the edge was the limit: ${percent(edgeShare)} of a core`);
      rows.push({
        what: `carried at three times capacity, ${who}`,
        unit: 'of capacity',
        ours: { values: [faults.length > 0 ? Number.NaN : carried / capacity], faults },
        better: 'higher',
        ...(work === 'obeying' ? { target: 0.9 } : {}),
      });
    }
  } finally {
    await edge.child.stop();
    await load.stop();
    release?.();
  }
  return { rows, notes };
}

/** The proxy gets the first core, the generator the second, where there are two: what runs it there. */
function coresApart(pid: number): readonly string[] {
  if (availableParallelism() < 2) return [];
  try {
    execFileSync('taskset', ['-a', '-c', '-p', '0', String(pid)], { stdio: 'ignore' });
    return ['taskset', '-c', '1'];
  } catch {
    return [];
  }
}

const optional = (atOnce: number | undefined): { readonly atOnce?: number } => (atOnce === undefined ? {} : { atOnce });

const begun = ({ counts }: SippResult): number => counts.get('0_INVITE_Sent') ?? 0;

/** Calls that were hung up in good order: the last 200 of the scenario. */
function completed({ counts }: SippResult): number {
  const steps = [...counts].filter(([name]) => /^\d+_200_Recv$/.test(name));
  return steps.at(-1)?.[1] ?? 0;
}

const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;

/** A process at its quota shows so much of it, by ticks. */
const busy = 0.85;
