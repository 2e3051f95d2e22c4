/**
 * What the death of a SIP proxy costs its callers: time to the next successful call, to the rescue of calls that ring, set-up
 * times afterwards, and the octets that AlternatePath adds to each message. Needs nothing but Node.
 */
import { performance } from 'node:perf_hooks';
import { decode } from '../protocols/sip/decode.ts';
import type { CallRecord } from '../protocols/sip/demo/call-record.ts';
import { type RunResult, runFailover } from '../protocols/sip/demo/failover-run.ts';
import { forwardedText } from '../protocols/sip/forward.ts';
import { Identity } from '../protocols/sip/identity.ts';
import { Assembler, type Flow } from '../src/index.ts';
import { type BenchOptions, median, type Row, type Suite, type SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'sip-failover',
  title: 'SIP calls at the death of their proxy',
  works: ['kill', 'stop'],
  byDefault: true,
  run,
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const runs = options.runs ?? (options.quick ? 1 : 3);
  const rate = options.rate ?? 100;
  const rows: Row[] = [];
  let placed = 0;
  let lost = 0;
  for (const how of ['kill', 'stop'] as const) {
    if (options.work !== undefined && !options.work.includes(how)) continue;
    const results: RunResult[] = [];
    const faults: string[] = [];
    for (let run = 1; run <= runs; run += 1) {
      const started = performance.now();
      const result = await runFailover({
        how,
        moment: 'ringing',
        calls: options.calls ?? rate * 4,
        rate,
        ringMs: 500,
        talkMs: 500,
        holdMs: 1_500,
        failback: false,
        onEvent: () => undefined,
      });
      results.push(result);
      const all = [...result.records, result.watched];
      const bad = all.filter(({ isLost }) => isLost);
      placed += all.length;
      lost += bad.length;
      faults.push(...bad.map((record) => `lost: ${record.complaint}`));
      options.log(
        `${how} ${run}/${runs}: next call after ${result.nextCallMs.aware.toFixed(0)} ms (aware), ${result.nextCallMs.plain.toFixed(0)} ms (plain), ${bad.length} of ${all.length} lost, ${((performance.now() - started) / 1_000).toFixed(0)} s`,
      );
    }
    rows.push(...rowsOf(how, results, faults));
  }
  return {
    rows: [...rows, ...extraOctets()],
    notes: [
      `${placed} calls at ${rate} a second in all, ${lost} lost; half of them between plain telephones, each behind an edge proxy`,
      'silent: SIGSTOP, with the default silence limit of 1,000 ms; rescue: from the step that failed (a 200, an ACK) to its arrival',
    ],
  };
}

function rowsOf(how: 'kill' | 'stop', results: readonly RunResult[], faults: readonly string[]): readonly Row[] {
  const word = how === 'kill' ? 'ICMP' : 'silent';
  const row = (what: string, values: readonly number[], target?: number): Row => ({
    what: `${word}: ${what}`,
    unit: 'ms',
    better: 'lower',
    ours: { values, faults },
    ...(target === undefined ? {} : { target }),
  });
  const limit = how === 'kill' ? 50 : 1_500;
  const of = (pick: (record: CallRecord, strikeMs: number) => boolean) => (result: RunResult) =>
    [...result.records, result.watched].filter((record) => !record.isLost && pick(record, result.strikeMs));
  const ringing = of((record, strikeMs) => record.phaseAt(strikeMs) === 'ringing');
  const later = of((record, strikeMs) => record.invitedMs > strikeMs + (how === 'kill' ? 250 : 1_500));
  const setups = (result: RunResult) => later(result).map(({ invitedMs, rangMs }) => (rangMs ?? 0) - invitedMs);
  return [
    row(
      'next successful call, aware phone',
      results.map(({ nextCallMs }) => nextCallMs.aware),
      limit,
    ),
    row(
      'next successful call, plain phone behind an edge',
      results.map(({ nextCallMs }) => nextCallMs.plain),
      limit,
    ),
    row(
      'rescue of ringing calls, median',
      results.map((result) => median(ringing(result).map(({ gapMs }) => gapMs))),
    ),
    row(
      'rescue of ringing calls, slowest',
      results.map((result) => Math.max(...ringing(result).map(({ gapMs }) => gapMs))),
    ),
    row(
      'set-up (INVITE to 180) once switched, 95th percentile',
      results.map((result) => percentile(setups(result), 0.95)),
    ),
  ];
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** The same message forwarded with a backup to name and without. */
function extraOctets(): readonly Row[] {
  const length = (text: string, recordRoute: boolean, backups: number): number => {
    const decoded = decode(Buffer.from(text, 'latin1'));
    if (!decoded.ok) throw new Error(decoded.error.reason);
    const { requestUri } = decoded.value;
    const identity = new Identity(
      { domains: [], placement: 'header', partners: [], secret: 'octets' },
      new Assembler({
        secret: 'octets',
        backups: Array.from({ length: backups }, (_, index) => ({
          transport: 'udp',
          host: `192.0.2.${index + 2}`,
          port: 5060,
        })),
        backupFor: [],
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
