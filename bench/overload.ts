/**
 * Three times as many calls as the proxy can carry: what is carried to its end, as a share of what it carries where callers wait for it. From
 * callers that know nothing of overload control, and through an edge that obeys it (RFC 7339). The proxy has a part of one core, so that the
 * generator can be three times as fast.
 */
import { fileURLToPath } from 'node:url';
import { freeHost } from '../test/interop/support/hosts.ts';
import { type RunningProxy, startProxy } from '../test/interop/support/proxy.ts';
import { runSipp, type SippResult } from '../test/interop/support/sipp.ts';
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
const share = 0.15;

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
  const rows: Row[] = [];
  const notes: string[] = [];
  try {
    if (release === undefined)
      notes.push('the processor of the proxy cannot be limited here: the generator may be too slow');
    const { callerHost } = load;
    const call = (through: RunningProxy, rate: number, calls: number, atOnce?: number): Promise<SippResult> =>
      runSipp(
        {
          scenario,
          host: callerHost,
          remote: through.address,
          keys: { ...sippKeys(callerHost), domain: load.proxy.host },
          rate,
          calls,
          ...(atOnce === undefined ? {} : { atOnce }),
        },
        120_000,
      );
    // Callers that wait for their turn: as much as there can be.
    const calm = await call(load.proxy, 5_000, options.quick ? 8_000 : 20_000, 400);
    const capacity = calm.callsPerSecond;
    options.log(`capacity ${capacity.toFixed(0)} calls/s with ${share} of a core`);
    notes.push(
      `capacity: ${capacity.toFixed(0)} calls/s with ${share} of a core, 400 callers that wait for their turn`,
    );
    const works = [
      ['plain', load.proxy, 'callers that know nothing of it'],
      ['obeying', edge, 'through an edge that obeys (RFC 7339)'],
    ] as const;
    for (const [work, through, who] of works) {
      if (!wants(work)) continue;
      const rate = Math.round(3 * capacity);
      // What was found before counts for nothing: the first seconds find the rate.
      await call(through, rate, rate * 5);
      const result = await call(through, rate, rate * seconds);
      const carried = completed(result);
      options.log(`${who}: ${carried} of ${result.successful + result.failed} carried`);
      rows.push({
        what: `carried at three times capacity, ${who}`,
        unit: 'of capacity',
        ours: { values: [carried / seconds / capacity], faults: [] },
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

/** Calls that were hung up in good order: the last 200 of the scenario. */
function completed({ counts }: SippResult): number {
  const steps = [...counts].filter(([name]) => /^\d+_200_Recv$/.test(name));
  return steps.at(-1)?.[1] ?? 0;
}
