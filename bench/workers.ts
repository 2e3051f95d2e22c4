/** Several workers under full load beside one: calls per second, processor time for each call, and what the load generator takes. */
import { setTimeout as pause } from 'node:timers/promises';
import { askAdmin } from '../src/admin-client.ts';
import { freeHost } from '../test/interop/support/hosts.ts';
import { missing } from '../test/interop/support/programs.ts';
import { type RunningProxy, startProxy } from '../test/interop/support/proxy.ts';
import { Sipp, type SippResult } from '../test/interop/support/sipp.ts';
import { cpuSeconds } from './support/process-cost.ts';
import { faultsOf, firstError, sippKeys } from './support/sip-load.ts';
import type { BenchOptions, Row, Sample, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'workers',
  title: 'workers: several processes on one address beside one',
  works: [],
  byDefault: false,
  run,
};

/** Each has a caller and a called side with addresses of their own: the system spreads them over the workers. */
const lanes = 8;

interface Measured {
  readonly perSecond: number;
  /** Of all processes. */
  readonly cpuUs: number;
  readonly processors: number;
  readonly generatorUs: number;
  readonly handedOver: number;
  readonly faults: readonly string[];
}

async function run(options: BenchOptions): Promise<SuiteReport> {
  const absent = missing('sipp');
  if (absent !== undefined) return { rows: [], notes: [`skipped: ${absent}`] };
  const results = new Map<number, Measured[]>([
    [1, []],
    [2, []],
  ]);
  const runs = options.runs ?? (options.quick ? 1 : 3);
  for (let turn = 1; turn <= runs; turn += 1)
    for (const [workers, all] of results) {
      const result = await measure(workers, options);
      all.push(result);
      options.log(
        `workers: ${workers} ${turn}/${runs}: ${result.perSecond.toFixed(0)} calls/s, ${result.cpuUs.toFixed(0)} µs a call (${result.processors.toFixed(2)} processors), generator ${result.generatorUs.toFixed(0)} µs, ` +
          `${result.handedOver.toFixed(2)} messages of a call handed over${result.faults.length === 0 ? '' : ` (${result.faults.join(', ')})`}`,
      );
    }
  const sample = (workers: number, pick: (measured: Measured) => number): Sample => ({
    values: results.get(workers)?.map(pick) ?? [],
    faults: results.get(workers)?.flatMap(({ faults }) => faults) ?? [],
  });
  const row = (what: string, unit: string, better: Row['better'], pick: (measured: Measured) => number): Row => ({
    what,
    unit,
    better,
    ours: sample(2, pick),
    anchor: { name: 'workers: 1', ...sample(1, pick) },
  });
  return {
    rows: [
      row('workers: 2: as fast as it goes', '/s', 'higher', ({ perSecond }) => perSecond),
      row('workers: 2: processor time each', 'µs', 'lower', ({ cpuUs }) => cpuUs),
      row('workers: 2: processors that altpath keeps busy', '', 'lower', ({ processors }) => processors),
      row('load generator beside it: processor time each', 'µs', 'lower', ({ generatorUs }) => generatorUs),
      row('messages of a call that were handed over', '', 'lower', ({ handedOver }) => handedOver),
    ],
    notes: ['The load generator runs on the same processors: what it takes is missing to the second worker.'],
  };
}

async function measure(workers: number, options: BenchOptions): Promise<Measured> {
  const admin = { host: '127.0.0.1', port: 20_000 + Math.floor(Math.random() * 10_000) };
  const proxy = await startProxy({
    kind: 'altpath',
    host: await freeHost(),
    env: { NODE_ENV: 'production' },
    core: { workers, admin: `${admin.host}:${admin.port}`, trace: 'off' },
  });
  const called: Sipp[] = [];
  try {
    const places: { readonly lane: number; readonly caller: string; readonly called: string }[] = [];
    for (let lane = 0; lane < lanes; lane += 1)
      places.push({ lane, caller: await freeHost(), called: await freeHost() });
    const calls = Math.round((options.calls ?? (options.quick ? 8_000 : 40_000)) / lanes);
    for (const place of places) {
      const registered = await sipp(proxy, 'register.xml', place.caller, place.called, place.lane, calls).finished(
        60_000,
      );
      if (registered.successful < calls)
        throw new Error(`only ${registered.successful} registered: ${registered.errors}`);
      called.push(
        await new Sipp({
          scenario: 'answer.xml',
          host: place.called,
          calls: 1_000_000_000,
          keys: keys(place.called, place.lane),
        }).ready(),
      );
    }
    const all = async (count: number) => {
      const callers = places.map(({ lane, caller, called: at }) => sipp(proxy, 'call.xml', caller, at, lane, count));
      const generators = [...callers, ...called];
      let generatorSeconds = new Map(generators.map((each) => [each, 0]));
      let isOver = false;
      const watching = (async () => {
        while (!isOver) {
          generatorSeconds = new Map(
            generators.map((each) => [each, Math.max(generatorSeconds.get(each) ?? 0, cpuSeconds(each.child.pid))]),
          );
          await pause(100);
        }
      })();
      const finished = await Promise.all(callers.map((each) => each.finished(240_000)));
      isOver = true;
      await watching;
      return { finished, generatorSeconds: [...generatorSeconds.values()].reduce((sum, each) => sum + each, 0) };
    };
    await all(Math.round(calls / 4));
    const pids = await pidsOf(admin, proxy);
    const ownSeconds = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
    const before = { own: ownSeconds(), handed: await handedOver(admin), called: cpuOf(called) };
    const startedMs = performance.now();
    const { finished, generatorSeconds } = await all(calls);
    const seconds = (performance.now() - startedMs) / 1_000;
    const own = ownSeconds() - before.own;
    const successful = finished.reduce((sum, each) => sum + each.successful, 0);
    const error = finished.map((each: SippResult) => firstError(each)).find((each) => each !== undefined);
    if (error !== undefined) options.log(error);
    return {
      perSecond: successful / seconds,
      cpuUs: (own * 1e6) / Math.max(1, successful),
      processors: own / seconds,
      generatorUs: ((generatorSeconds - before.called) * 1e6) / Math.max(1, successful),
      handedOver: ((await handedOver(admin)) - before.handed) / Math.max(1, successful),
      faults: faultsOf(...finished),
    };
  } finally {
    for (const each of called) await each.stop();
    await proxy.child.stop();
  }
}

const cpuOf = (all: readonly Sipp[]): number => all.reduce((sum, { child }) => sum + cpuSeconds(child.pid), 0);

const keys = (contact: string, lane: number): Record<string, string> => ({ ...sippKeys(contact), user: `u${lane}x` });

/** More calls per second than anyone carries, but never more than this lane's share of 100 open: SIPp waits for the proxy. */
const sipp = (
  proxy: RunningProxy,
  scenario: string,
  host: string,
  contact: string,
  lane: number,
  calls: number,
): Sipp =>
  new Sipp({
    scenario,
    host,
    remote: proxy.address,
    calls,
    rate: 5_000,
    atOnce: Math.ceil(100 / lanes),
    keys: keys(contact, lane),
  });

async function pidsOf(admin: { host: string; port: number }, proxy: RunningProxy): Promise<readonly number[]> {
  const status = await askAdmin(admin, '/status');
  const workers =
    typeof status === 'object' && status !== null && 'workers' in status && Array.isArray(status.workers)
      ? status.workers
      : [];
  // Each leads a session of its own.
  return [proxy.child.pid, ...workers.flatMap(({ pid }: { pid?: number }) => pid ?? [])];
}

async function handedOver(admin: { host: string; port: number }): Promise<number> {
  const text = await (await fetch(`http://${admin.host}:${admin.port}/metrics`)).text();
  return Number(/^altpath_worker_handed_over_total (\d+)$/m.exec(text)?.[1] ?? 0);
}
