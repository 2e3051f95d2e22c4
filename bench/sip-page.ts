/** What an open dashboard costs the proxy: processor time for each call with and without somebody who watches, in turn. */
import { get } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { freeHost } from '../test/interop/support/hosts.ts';
import { missing } from '../test/interop/support/programs.ts';
import { cpuSeconds } from './support/process-cost.ts';
import { callThrough, faultsOf, firstError, startLoad } from './support/sip-load.ts';
import type { BenchOptions, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'sip-page',
  title: 'SIP calls while a dashboard is open',
  works: [],
  byDefault: false,
  run,
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const absent = missing('sipp');
  if (absent !== undefined) return { rows: [], notes: [`skipped: ${absent}`] };
  const runs = options.runs ?? (options.quick ? 1 : 6);
  const values = { closed: [] as number[], open: [] as number[] };
  const faults: string[] = [];
  let octetsPerSecond = 0;
  for (let turn = 1; turn <= runs; turn += 1)
    // Who is first changes, so that a machine that grows warm favours nobody.
    for (const state of turn % 2 === 1 ? (['closed', 'open'] as const) : (['open', 'closed'] as const)) {
      const measured = await measure(state === 'open', options);
      values[state].push(measured.cpuUs);
      faults.push(...measured.faults);
      octetsPerSecond = Math.max(octetsPerSecond, measured.octetsPerSecond);
      options.log(`page ${state} ${turn}/${runs}: ${measured.cpuUs.toFixed(1)} µs a call`);
    }
  return {
    rows: [
      {
        what: 'call with an open page: processor time each',
        unit: 'µs',
        better: 'lower',
        target: 1.05,
        ours: { values: values.open, faults },
        anchor: { name: 'no page open', values: values.closed, faults: [] },
      },
    ],
    notes: [
      `the page's stream of events was read by a client beside the load, ${(octetsPerSecond / 1_000).toFixed(1)} kB a second; a browser's own work is not the controller's`,
    ],
  };
}

async function measure(
  isOpen: boolean,
  options: BenchOptions,
): Promise<{ cpuUs: number; octetsPerSecond: number; faults: readonly string[] }> {
  const calls = options.calls ?? (options.quick ? 1_500 : 12_000);
  const rate = options.rate ?? (options.quick ? 300 : 1_000);
  const host = await freeHost(9060);
  const load = await startLoad({
    kind: 'altpath',
    users: calls,
    answer: 'answer.xml',
    core: { admin: `${host}:9060`, adminToken: token },
  });
  const page = isOpen ? openPage(host) : undefined;
  try {
    const contact = load.calledHost;
    await callThrough(load, { scenario: 'call.xml', calls: Math.min(calls, 10_000), rate: 1_000, contact });
    const { pid } = load.proxy.child;
    const [before, octets, startedMs] = [cpuSeconds(pid), page?.octets ?? 0, performance.now()];
    const result = await callThrough(load, { scenario: 'call.xml', calls, rate, contact });
    const error = firstError(result);
    if (error !== undefined) options.log(error);
    const seconds = (performance.now() - startedMs) / 1_000;
    await pause(2_000);
    const heard = (page?.octets ?? 0) - octets;
    return {
      cpuUs: ((cpuSeconds(pid) - before) * 1e6) / Math.max(1, result.successful),
      octetsPerSecond: heard / seconds,
      faults: [...faultsOf(result), ...(isOpen && heard === 0 ? ['the page heard nothing'] : [])],
    };
  } finally {
    page?.close();
    await load.stop();
  }
}

/** What the page asks for while it shows the overview. */
function openPage(host: string): { readonly octets: number; close(): void } {
  const page = { octets: 0, close: () => void request.destroy() };
  const request = get(
    `http://${host}:9060/events?kinds=cluster,figures,calls,happenings,sample`,
    { headers: { authorization: `Bearer ${token}` } },
    (response) => {
      response.on('data', (piece: Buffer) => {
        page.octets += piece.length;
      });
      response.on('error', () => undefined);
    },
  );
  // Its end is ours, or the load says what is wrong.
  request.on('error', () => undefined);
  return page;
}

const token = 'a-token-for-this-bench-only';
