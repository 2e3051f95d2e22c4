/** The SIP proxy under SIPp's load beside Kamailio: processor time for each call, rates, memory. */
import { setTimeout as pause } from 'node:timers/promises';
import { missing } from '../test/interop/support/programs.ts';
import { type ProxyKind, proxyUnderTest } from '../test/interop/support/proxy.ts';
import type { SippResult } from '../test/interop/support/sipp.ts';
import { Inspector } from './support/inspector.ts';
import { memory } from './support/process-cost.ts';
import { floorUs } from './support/sip-floor.ts';
import { callThrough, faultsOf, firstError, startLoad } from './support/sip-load.ts';
import { type Measured, measure, planOf } from './support/sip-work.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'sip',
  title: 'SIP proxy and registrar',
  works: ['capacity', 'call', 'message', 'options', 'register', 'soak'],
  byDefault: true,
  run,
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const absent = missing('sipp');
  if (absent !== undefined) return { rows: [], notes: [`skipped: ${absent}`] };
  const notes: string[] = [];
  const noAnchor = missing('kamailio');
  if (noAnchor !== undefined && !options.alone) notes.push(`no figures beside Kamailio: ${noAnchor}`);
  const contenders: Contender[] = noAnchor !== undefined || options.alone ? ['ours'] : ['anchor', 'ours'];
  const rows: Row[] = [];
  for (const work of options.work ?? suite.works.filter((name) => name !== 'soak' || !options.quick)) {
    if (work === 'soak') rows.push(...(await soak(options)));
    else rows.push(...(await compare(work, contenders, options)));
  }
  return { rows, notes };
}

type Contender = 'ours' | 'anchor';

/** Ours is Kamailio too when the benchmark itself is examined (ALTPATH_INTEROP_PROXY=kamailio): then every ratio must be near 1. */
const kindOf = (contender: Contender): ProxyKind => (contender === 'ours' ? proxyUnderTest : 'kamailio');

async function compare(work: string, contenders: readonly Contender[], options: BenchOptions): Promise<Row[]> {
  const floor: number[] = [];
  const measured = new Map<Contender, Measured[]>(contenders.map((contender) => [contender, []]));
  const runs = options.runs ?? (options.quick ? 1 : 3);
  for (let run = 1; run <= runs; run++) {
    // In turn, so that a busy minute of the machine falls on both.
    if (work === 'call') {
      const plan = planOf(work);
      floor.push(await floorUs({ calls: 2000, warmUp: 1000, rate: options.rate ?? 300 * plan.rateFactor }));
      options.log(`${work} blind relay ${run}/${runs}: ${floor.at(-1)?.toFixed(1)} µs each`);
    }
    for (const contender of contenders) {
      const result = await measure(work, kindOf(contender), options);
      measured.get(contender)?.push(result);
      options.log(
        `${work} ${kindOf(contender)} ${run}/${runs}: ${result.cpuUs.toFixed(1)} µs each, ${result.perSecond.toFixed(0)}/s, ` +
          `peak ${result.peakMiB.toFixed(0)} MiB${result.faults.length === 0 ? '' : ` (${result.faults.join(', ')})`}`,
      );
    }
  }
  const row = (
    what: string,
    unit: string,
    better: Row['better'],
    pick: (m: Measured) => number,
    target?: number,
  ): Row => {
    const sample = (contender: Contender) => ({
      values: measured.get(contender)?.map(pick) ?? [],
      faults: measured.get(contender)?.flatMap((m) => m.faults) ?? [],
    });
    return {
      what,
      unit,
      better,
      ours: sample('ours'),
      ...(contenders.includes('anchor') ? { anchor: { name: 'Kamailio', ...sample('anchor') } } : {}),
      ...(target === undefined ? {} : { target }),
    };
  };
  const memoryRows = [
    row(`${work}: peak memory (VmHWM)`, 'MiB', 'lower', (m) => m.peakMiB),
    row(`${work}: memory after it (PSS)`, 'MiB', 'lower', (m) => m.pssMiB),
  ];
  const rate = row(`${work}: as fast as it goes`, '/s', 'higher', (m) => m.perSecond);
  const cost = (target?: number): Row => row(`${work}: processor time each`, 'µs', 'lower', (m) => m.cpuUs, target);
  // Nobody sleeps between two messages here, so that the figure is the proxies' and not that of the machine's wakings.
  if (work === 'capacity') return [cost(0.5), rate, ...memoryRows];
  if (work === 'call') {
    const overFloor: Row = { ...cost(), anchor: { name: 'blind relay on Node', values: floor, faults: [] } };
    return [cost(0.5), overFloor, ...memoryRows];
  }
  if (work === 'register') return [cost(), rate, ...memoryRows];
  return [cost()];
}

/** Many calls, then silence: does everything a call needed go back? Live heap after a collection shows it to the byte. */
async function soak(options: BenchOptions): Promise<Row[]> {
  const calls = options.calls ?? 100_000;
  const rate = options.rate ?? 500;
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const users = 2000;
  const load = await startLoad({
    kind: 'altpath',
    users,
    answer: 'answer.xml',
    nodeFlags: [`--inspect=127.0.0.1:${port}`],
  });
  try {
    const inspector = await Inspector.connect('127.0.0.1', port);
    const pid = load.proxy.child.pid;
    const results: SippResult[] = [];
    const block = async (count: number): Promise<void> => {
      for (let left = count; left > 0; left -= users) {
        const result = await callThrough(load, { scenario: 'call.xml', calls: Math.min(users, left), rate });
        results.push(result);
        const error = firstError(result);
        if (error !== undefined) options.log(error);
      }
      // Timer H, J and the accepted state end 64*T1 = 32 s after the last call (RFC 3261 §17, RFC 6026 §7).
      await pause(36_000);
    };
    await block(Math.min(5000, calls));
    const before = { heap: await inspector.liveHeapBytes(), pss: memory(pid).pssMiB };
    options.log(`soak start: ${(before.heap / 1048576).toFixed(1)} MiB live heap, ${before.pss.toFixed(0)} MiB PSS`);
    await block(calls);
    const after = { heap: await inspector.liveHeapBytes(), pss: memory(pid).pssMiB };
    options.log(`soak end: ${(after.heap / 1048576).toFixed(1)} MiB live heap, ${after.pss.toFixed(0)} MiB PSS`);
    inspector.close();
    const alone = (what: string, unit: string, value: number): Row => ({
      what: `${calls} calls: ${what}`,
      unit,
      better: 'lower',
      ours: { values: [value], faults: faultsOf(...results) },
    });
    return [
      alone('live heap left behind', 'bytes/call', (after.heap - before.heap) / calls),
      alone('live heap before', 'MiB', before.heap / 1048576),
      alone('live heap after', 'MiB', after.heap / 1048576),
      alone('memory (PSS) before', 'MiB', before.pss),
      alone('memory (PSS) after', 'MiB', after.pss),
      alone('peak memory (VmHWM)', 'MiB', memory(pid).peakMiB),
    ];
  } finally {
    await load.stop();
  }
}
