/** The SIP proxy beside Kamailio in one table: every kind of request, cold, with memory, start, and what a blind relay costs. */
import { missing } from '../test/interop/support/programs.ts';
import type { ProxyKind } from '../test/interop/support/proxy.ts';
import { floorUs } from './support/sip-floor.ts';
import { isBuilt, measureStart } from './support/sip-start.ts';
import { type Measured, measure } from './support/sip-work.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'sip-table',
  title: 'SIP proxy and registrar beside Kamailio, each right after its start',
  works: ['call-1000', 'call-300', 'call-full', 'message', 'options', 'register', 'start'],
  byDefault: false,
  run,
};

interface Line {
  readonly what: string;
  readonly work: string;
  readonly rate?: number;
  readonly calls?: number;
  /** Ours through Kamailio's. */
  readonly target: number;
  readonly hasFloor?: boolean;
  readonly hasMemory?: boolean;
}

const lines: Readonly<Record<string, Line>> = {
  'call-1000': {
    what: 'call at 1,000/s',
    work: 'call',
    rate: 1_000,
    calls: 15_000,
    target: 0.5,
    hasFloor: true,
    hasMemory: true,
  },
  'call-300': { what: 'call at 300/s', work: 'call', rate: 300, calls: 6_000, target: 0.8, hasFloor: true },
  'call-full': { what: 'call at full load', work: 'capacity', calls: 30_000, target: 0.4 },
  message: { what: 'MESSAGE at 900/s', work: 'message', calls: 12_000, target: 0.7 },
  options: { what: 'OPTIONS at 900/s', work: 'options', calls: 12_000, target: 0.45 },
  register: { what: 'REGISTER of 100,000 users', work: 'register', calls: 100_000, target: 0.6, hasMemory: true },
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const absent = missing('sipp');
  if (absent !== undefined) return { rows: [], notes: [`skipped: ${absent}`] };
  const noAnchor = missing('kamailio');
  const notes = noAnchor === undefined || options.alone ? [] : [`no figures beside Kamailio: ${noAnchor}`];
  const rows: Row[] = [];
  for (const name of options.work ?? suite.works) {
    const line = lines[name];
    if (line !== undefined) rows.push(...(await compare(line, noAnchor === undefined && !options.alone, options)));
    else if (name !== 'start') throw new Error(`no work "${name}": choose from ${suite.works.join(', ')}`);
    else if (isBuilt()) rows.push(...(await starts(options)));
    else notes.push('start and idle memory are left out: npm run build first');
  }
  return { rows, notes };
}

async function compare(line: Line, hasAnchor: boolean, options: BenchOptions): Promise<Row[]> {
  const { what, work, rate, target, hasFloor, hasMemory } = line;
  const calls = options.calls ?? (options.quick ? Math.ceil((line.calls ?? 6_000) / 5) : line.calls);
  const figures = new Map<ProxyKind, Measured[]>();
  const floor: number[] = [];
  for (let turn = 1; turn <= (options.runs ?? 1); turn += 1) {
    if (hasFloor === true) floor.push(await floorUs({ calls: 2_000, warmUp: 1_000, rate: rate ?? 300 }));
    for (const kind of ['kamailio', 'altpath'] as const) {
      if (kind === 'kamailio' && !hasAnchor) continue;
      const measured = await measure(work, kind, { quick: false, cold: true, rate, calls, log: options.log });
      options.log(`${what}, ${kind}: ${measured.cpuUs.toFixed(1)} µs, ${measured.pssMiB.toFixed(0)} MiB`);
      figures.set(kind, [...(figures.get(kind) ?? []), measured]);
    }
  }
  const row = (name: string, unit: string, pick: (measured: Measured) => number, limit: number): Row => {
    const sample = (kind: ProxyKind) => ({
      values: figures.get(kind)?.map(pick) ?? [],
      faults: figures.get(kind)?.flatMap(({ faults }) => faults) ?? [],
    });
    const anchor = hasAnchor ? { anchor: { name: 'Kamailio', ...sample('kamailio') } } : {};
    return { what: name, unit, better: 'lower', ours: sample('altpath'), ...anchor, target: limit };
  };
  const cost = row(what, 'µs each', ({ cpuUs }) => cpuUs, target);
  const overFloor: Row = {
    what: `${what}, beside a relay that looks at nothing`,
    unit: cost.unit,
    better: cost.better,
    ours: cost.ours,
    anchor: { name: 'blind relay on Node', values: floor, faults: [] },
  };
  const after = row(`memory (PSS) after ${what}`, 'MiB', ({ pssMiB }) => pssMiB, 1);
  return [cost, ...(hasFloor === true ? [overFloor] : []), ...(hasMemory === true ? [after] : [])];
}

async function starts(options: BenchOptions): Promise<Row[]> {
  const all = [];
  for (let turn = 0; turn < Math.max(3, options.runs ?? 3); turn += 1) all.push(await measureStart());
  const alone = (what: string, unit: string, values: readonly number[], target: number): Row => ({
    what,
    unit,
    better: 'lower',
    ours: { values, faults: [] },
    target,
  });
  return [
    alone(
      'start from dist to the first answer',
      'ms',
      all.map(({ startMs }) => startMs),
      300,
    ),
    alone(
      'idle memory (PSS) above a bare Node',
      'MiB',
      all.map(({ idlePssMiB, barePssMiB }) => idlePssMiB - barePssMiB),
      30,
    ),
  ];
}
