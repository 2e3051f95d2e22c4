/** Where the SIP proxy's processor time goes under load: functions by self time, and a file for a profile viewer. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { missing } from '../test/interop/support/programs.ts';
import { Inspector } from './support/inspector.ts';
import { cpuSeconds } from './support/process-cost.ts';
import { functionTimes } from './support/profile-table.ts';
import { callThrough, faultsOf, startLoad } from './support/sip-load.ts';
import type { BenchOptions, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'sip-profile',
  title: 'Where the time of the SIP proxy goes',
  works: ['call', 'message', 'options', 'register'],
  byDefault: false,
  run,
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const absent = missing('sipp');
  if (absent !== undefined) return { rows: [], notes: [`skipped: ${absent}`] };
  const notes: string[] = [];
  for (const work of options.work ?? ['call']) notes.push(...(await profile(work, options)));
  return { rows: [], notes };
}

async function profile(work: string, options: BenchOptions): Promise<string[]> {
  const calls = options.calls ?? (options.quick ? 3000 : 10_000);
  const rate = options.rate ?? 500;
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const answer = work === 'call' ? 'answer.xml' : work === 'message' ? 'message-answer.xml' : undefined;
  const load = await startLoad({
    kind: 'altpath',
    users: answer === undefined ? 0 : Math.max(calls, 3000),
    nodeFlags: [`--inspect=127.0.0.1:${port}`],
    ...(answer === undefined ? {} : { answer }),
  });
  try {
    const scenario = `${work}.xml`;
    const contact = load.calledHost;
    await callThrough(load, { scenario, calls: 3000, rate, contact });
    const inspector = await Inspector.connect('127.0.0.1', port);
    await inspector.startProfile(200);
    const before = cpuSeconds(load.proxy.child.pid);
    const result = await callThrough(load, { scenario, calls, rate, contact });
    const seconds = cpuSeconds(load.proxy.child.pid) - before;
    const recorded = await inspector.stopProfile();
    inspector.close();
    mkdirSync('var', { recursive: true });
    const file = `var/sip-${work}.cpuprofile`;
    writeFileSync(file, JSON.stringify(recorded));
    const times = functionTimes(recorded);
    const busyMs = times.filter(({ where }) => where !== '(idle)').reduce((sum, { selfMs }) => sum + selfMs, 0);
    const line = ({ where, selfMs, totalMs }: (typeof times)[number]): string =>
      [
        ((selfMs * 1000) / result.successful).toFixed(2).padStart(8),
        `${((100 * selfMs) / busyMs).toFixed(1)}%`.padStart(7),
        ((totalMs * 1000) / result.successful).toFixed(2).padStart(9),
        ` ${where}`,
      ].join('');
    return [
      `${work}: ${result.successful} at ${rate}/s, ${((seconds * 1e6) / result.successful).toFixed(1)} µs each with the profiler on` +
        `${faultsOf(result).length === 0 ? '' : ` (${faultsOf(result).join(', ')})`}; ${file} opens in any profile viewer`,
      '   self µs  share  total µs  function (per call)',
      ...times
        .filter(({ where }) => where !== '(idle)')
        .slice(0, 45)
        .map(line),
    ];
  } finally {
    await load.stop();
  }
}
