/**
 * What the death of a SIP proxy costs its callers: time to the next successful call, to the rescue of calls that ring, set-up
 * times afterwards; and what AlternatePath costs while nobody dies: processor time and octets. Needs nothing but Node.
 */
import { createSipAdapter } from '../protocols/sip/adapter.ts';
import { decode } from '../protocols/sip/codec/decode.ts';
import type { CallRecord } from '../protocols/sip/demo/call-record.ts';
import { type RunResult, runFailover } from '../protocols/sip/demo/failover-run.ts';
import { Identity } from '../protocols/sip/identity.ts';
import { forwardedText } from '../protocols/sip/proxy/forward.ts';
import { Assembler, type Flow } from '../src/internal.ts';
import { type EdgeCost, edgeCost } from './support/sip-edge-cost.ts';
import { type BenchOptions, median, type Row, type Suite, type SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'sip-failover',
  title: 'SIP calls at the death of their proxy',
  works: ['kill', 'stop', 'cost', 'octets'],
  byDefault: true,
  run,
};

type How = 'kill' | 'stop';

async function run(options: BenchOptions): Promise<SuiteReport> {
  const has = (work: string): boolean => options.work === undefined || options.work.includes(work);
  const rate = options.rate ?? 20;
  const rows: Row[] = [];
  let placed = 0;
  let lost = 0;
  for (const how of ['kill', 'stop'] as const) {
    if (!has(how)) continue;
    const results: RunResult[] = [];
    const faults: string[] = [];
    const runs = options.runs ?? (options.quick ? 1 : how === 'kill' ? 7 : 3);
    for (let run = 1; run <= runs; run += 1) {
      const result = await die(how, rate, options);
      results.push(result);
      const all = everyCall(result);
      const bad = all.filter(({ isLost }) => isLost);
      placed += all.length;
      lost += bad.length;
      faults.push(...bad.map((record) => `lost: ${record.complaint}`));
      options.log(`${how} ${run}/${runs}: ${told(result)}, ${bad.length} of ${all.length} lost`);
    }
    rows.push(...rowsOf(how, results, faults));
  }
  if (has('cost')) rows.push(...(await cost(options)));
  if (has('octets')) rows.push(...extraOctets());
  return {
    rows,
    notes: [
      ...(placed === 0
        ? []
        : [
            `${placed} calls at ${rate} a second in all, ${lost} lost; half of them between plain telephones, each behind an edge proxy`,
          ]),
      'ICMP: SIGKILL. silent: SIGSTOP, with the default silence limit of 1,000 ms',
      'next call: the first to ring of calls placed at the strike itself and every 10 ms (silent: 50 ms) from then on; second call: placed once that one rang',
      'rescue: from the step that failed (a 200, an ACK, a BYE) to its arrival, of calls that rang at the strike',
      'cost: caller edge, primary and callee edge as processes of their own, calls between plain telephones; the anchor has no backup to name and no alternate to watch',
    ],
  };
}

function die(how: How, rate: number, options: BenchOptions): Promise<RunResult> {
  return runFailover({
    how,
    moment: 'ringing',
    calls: options.calls ?? rate * 4,
    rate,
    ringMs: 500,
    talkMs: 500,
    holdMs: 1_500,
    warmUpCalls: options.quick ? 60 : 300,
    failback: false,
    onEvent: () => undefined,
  });
}

const everyCall = ({ records, watched }: RunResult): readonly CallRecord[] => [...records, watched];

function told({ probed, exitMs, strikeMs }: RunResult): string {
  const { aware, plain } = probed;
  const gone = exitMs === undefined ? '' : ` (process gone after ${(exitMs - strikeMs).toFixed(0)})`;
  return `next call after ${aware.sinceStrikeMs.toFixed(0)} ms aware, ${plain.sinceStrikeMs.toFixed(0)} plain${gone}; second one ${aware.secondCallMs.toFixed(0)} and ${plain.secondCallMs.toFixed(0)}`;
}

function rowsOf(how: How, results: readonly RunResult[], faults: readonly string[]): readonly Row[] {
  const word = how === 'kill' ? 'ICMP' : 'silent';
  const row = (what: string, values: readonly number[], target?: number): Row => ({
    what: `${word}: ${what}`,
    unit: 'ms',
    better: 'lower',
    ours: { values, faults },
    ...(target === undefined ? {} : { target }),
  });
  /** The median over all deaths, and the worst of them. */
  const both = (what: string, of: (result: RunResult) => number, target?: number): readonly Row[] => {
    const values = results.map(of);
    return [row(what, values, target), row(`${what}, worst of ${values.length}`, [Math.max(...values)])];
  };
  const limit = how === 'kill' ? 50 : 1_500;
  const setups = (result: RunResult, isCounted: (invitedMs: number) => boolean): readonly number[] =>
    everyCall(result)
      .filter(({ isLost, invitedMs }) => !isLost && isCounted(invitedMs))
      .map(({ invitedMs, rangMs }) => (rangMs ?? Number.NaN) - invitedMs);
  const before = (result: RunResult) => setups(result, (invitedMs) => invitedMs < result.strikeMs - 100);
  const after = (result: RunResult) =>
    setups(result, (invitedMs) => invitedMs > result.strikeMs + (how === 'kill' ? 250 : 1_500));
  const rescues = (result: RunResult): readonly number[] =>
    everyCall(result)
      .filter((record) => !record.isLost && record.phaseAt(result.strikeMs) === 'ringing')
      .map(({ gapMs }) => gapMs);
  return [
    ...(how === 'kill'
      ? both('SIGKILL to the process being gone', ({ exitMs, strikeMs }) => (exitMs ?? Number.NaN) - strikeMs)
      : []),
    ...both('next call, aware phone', ({ probed }) => probed.aware.sinceStrikeMs, limit),
    ...both('next call, plain phone behind an edge', ({ probed }) => probed.plain.sinceStrikeMs, limit),
    ...(how === 'kill'
      ? [
          ...both('next call since the process is gone, aware', ({ probed }) => Math.max(0, probed.aware.sinceExitMs)),
          ...both('next call since the process is gone, plain', ({ probed }) => Math.max(0, probed.plain.sinceExitMs)),
        ]
      : []),
    ...both('set-up of the call placed at the strike, aware', ({ probed }) => probed.aware.firstCallMs),
    ...both('set-up of the call placed at the strike, plain', ({ probed }) => probed.plain.firstCallMs),
    ...both('set-up of the second call, aware', ({ probed }) => probed.aware.secondCallMs),
    ...both('set-up of the second call, plain', ({ probed }) => probed.plain.secondCallMs),
    row(
      'set-up before, median',
      results.map((result) => median(before(result))),
    ),
    row(
      'set-up before, 95th percentile',
      results.map((result) => percentile(before(result), 0.95)),
    ),
    row(
      'set-up once switched, median',
      results.map((result) => median(after(result))),
    ),
    row(
      'set-up once switched, 95th percentile',
      results.map((result) => percentile(after(result), 0.95)),
    ),
    row(
      'rescue of ringing calls, median',
      results.map((result) => median(rescues(result))),
    ),
    ...both('rescue of ringing calls, slowest', (result) => Math.max(...rescues(result))),
  ];
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** With and without in turn, since the machine is never the same for long. */
async function cost({ log, runs, calls, quick }: BenchOptions): Promise<readonly Row[]> {
  const on: EdgeCost[] = [];
  const off: EdgeCost[] = [];
  const rounds = runs ?? (quick ? 1 : 5);
  for (let round = 1; round <= rounds; round += 1) {
    for (const hasBackup of round % 2 === 1 ? [false, true] : [true, false]) {
      const figures = await edgeCost({ hasBackup, calls: calls ?? (quick ? 500 : 2_000), rate: 200 });
      (hasBackup ? on : off).push(figures);
    }
    log(
      `cost ${round}/${rounds}: ${total(on.at(-1)).toFixed(0)} µs with a backup, ${total(off.at(-1)).toFixed(0)} without`,
    );
  }
  const faults = (figures: readonly EdgeCost[]): readonly string[] =>
    figures.flatMap(({ lost }) => (lost === 0 ? [] : [`${lost} calls lost`]));
  const row = (what: string, of: (figures: EdgeCost | undefined) => number, target?: number): Row => ({
    what: `processor time for each call, ${what}`,
    unit: 'µs',
    better: 'lower',
    ours: { values: on.map(of), faults: faults(on) },
    anchor: { name: 'tag off', values: off.map(of), faults: faults(off) },
    ...(target === undefined ? {} : { target }),
  });
  return [
    row('edges and primary together', total, 1.1),
    ...measured.map((name) => row(name, (figures) => figures?.microseconds.get(name) ?? Number.NaN)),
  ];
}

const measured = ['caller edge', 'primary', 'callee edge'] as const;

const total = (figures: EdgeCost | undefined): number =>
  measured.reduce((sum, name) => sum + (figures?.microseconds.get(name) ?? Number.NaN), 0);

/** The same message forwarded with a backup to name and without. */
function extraOctets(): readonly Row[] {
  const length = (text: string, recordRoute: boolean, backups: number): number => {
    const decoded = decode(Buffer.from(text, 'latin1'));
    if (!decoded.ok) throw new Error(decoded.error.reason);
    const { requestUri } = decoded.value;
    const identity = new Identity(
      { domains: [], placement: 'header', partners: [], secret: 'octets' },
      new Assembler({
        adapter: createSipAdapter(),
        cluster: {
          backups: Array.from({ length: backups }, (_, index) => ({
            transport: 'udp',
            host: `192.0.2.${index + 2}`,
            port: 5060,
          })),
          backupFor: [],
        },
        addressOf: ({ transport, local }) => ({ transport, ...local }),
      }),
    );
    const plan = { branch: 'z9hG4bK0', requestUri, popRoutes: 0, pushRoutes: [], recordRoute, from: flow };
    return forwardedText(decoded.value, plan, flow, identity).length;
  };
  const row = (what: string, text: string, recordRoute: boolean): Row => ({
    what: `octets that AlternatePath adds to ${what}`,
    unit: 'octets',
    better: 'lower',
    ours: { values: [length(text, recordRoute, 1) - length(text, recordRoute, 0)], faults: [] },
  });
  return [row('an INVITE (Via and Record-Route)', request('INVITE'), true), row('a BYE (Via)', request('BYE'), false)];
}

const request = (method: string): string =>
  `${method} sip:bob@192.0.2.9:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 1\r\nCSeq: 1 ${method}\r\nContent-Length: 0\r\n\r\n`;

const flow: Flow = {
  transport: 'udp',
  reliable: false,
  local: { host: '192.0.2.1', port: 5060 },
  remote: { host: '192.0.2.8', port: 5060 },
  id: '1',
  send() {},
  close() {},
};
