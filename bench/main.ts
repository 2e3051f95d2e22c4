/** `npm run bench [-- suite…]`: runs every suite in this directory, prints medians and ratios, or JSON. */
import { readdirSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { median, type Row, ratio, type Suite, type SuiteReport } from './support/suite.ts';

const suites = await findSuites();

const argv = await yargs(hideBin(process.argv))
  .scriptName('npm run bench --')
  .usage(
    '$0 [suite…] [options]\n\nSuites:\n' +
      suites
        .map(
          ({ name, title, works }) =>
            `  ${name.padEnd(14)}${title}${works.length === 0 ? '' : ` (--work ${works.join(', ')})`}`,
        )
        .join('\n'),
  )
  .option('rate', { type: 'number', describe: 'calls or requests per second' })
  .option('calls', { type: 'number', describe: 'calls or requests in each run' })
  .option('runs', { type: 'number', describe: 'runs of each competitor, in turn; the median counts' })
  .option('work', { type: 'string', array: true, describe: 'only these works of a suite' })
  .option('quick', { type: 'boolean', default: false, describe: 'the order of magnitude in a minute' })
  .option('alone', { type: 'boolean', default: false, describe: 'without the anchor beside it' })
  .option('json', { type: 'boolean', default: false, describe: 'every single value, as JSON on standard output' })
  .example('$0 sip --work call --runs 3', 'processor time for each call beside Kamailio')
  .example('$0 sip-profile --work call', 'where that time goes')
  .example('$0 --quick', 'a look at everything')
  .strictOptions()
  .help()
  .parseAsync();

const wanted = argv._.map(String);
const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
if (unknown.length > 0) {
  process.stderr.write(`no suite ${unknown.join(', ')}: there are ${suites.map(({ name }) => name).join(', ')}\n`);
  process.exit(1);
}

const chosen = suites.filter(({ name, byDefault }) => (wanted.length === 0 ? byDefault : wanted.includes(name)));
const reports: { suite: string; title: string; report: SuiteReport }[] = [];
for (const suite of chosen) {
  const works = argv.work?.flatMap((list) => list.split(','));
  const strange = works?.filter((work) => !suite.works.includes(work)) ?? [];
  if (strange.length > 0) {
    process.stderr.write(`${suite.name} has no work ${strange.join(', ')}: choose from ${suite.works.join(', ')}\n`);
    process.exit(1);
  }
  const report = await suite.run({
    rate: argv.rate,
    calls: argv.calls,
    runs: argv.runs,
    work: works,
    quick: argv.quick,
    alone: argv.alone,
    log: (line) => process.stderr.write(`  ${line}\n`),
  });
  reports.push({ suite: suite.name, title: suite.title, report });
  if (!argv.json) print(suite, report);
}

if (argv.json) {
  const machine = { cores: cpus().length, model: cpus()[0]?.model, node: process.version, load: loadavg() };
  process.stdout.write(`${JSON.stringify({ machine, reports }, undefined, 1)}\n`);
} else {
  process.stdout.write(
    `\n${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}\n`,
  );
}

/** Every file here that exports a `suite`. One that fails to load keeps the others from nothing, but the exit code tells. */
async function findSuites(): Promise<Suite[]> {
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.ts') && name !== 'main.ts');
  const suites: Suite[] = [];
  for (const file of files.sort()) {
    try {
      const module: { readonly suite?: Suite } = await import(new URL(file, import.meta.url).href);
      if (module.suite !== undefined) suites.push(module.suite);
    } catch (error) {
      process.stderr.write(`bench/${file} does not load: ${error instanceof Error ? error.message : error}\n`);
      process.exitCode = 1;
    }
  }
  return suites;
}

function print({ title }: Suite, { rows, notes }: SuiteReport): void {
  process.stdout.write(`\n${title}\n`);
  if (rows.length > 0) {
    const anchor = rows.find((row) => row.anchor !== undefined)?.anchor?.name ?? '';
    process.stdout.write(line('', 'altpath', anchor, anchor === '' ? '' : 'ratio', ''));
    // The rows of one run share its faults: they are told once.
    let told = '';
    for (const row of rows) {
      const faults = faultsOf(row);
      const beside = row.anchor === undefined || row.anchor.name === anchor ? '' : `beside a ${row.anchor.name}`;
      process.stdout.write(lineOf(row, beside, faults === told ? '' : faults));
      told = faults;
    }
  }
  for (const note of notes) process.stdout.write(`${note}\n`);
}

function lineOf(row: Row, beside: string, faults: string): string {
  const against = ratio(row);
  const judged = against ?? median(row.ours.values);
  const isMet = row.target === undefined || (row.better === 'lower' ? judged <= row.target : judged >= row.target);
  const sign = row.better === 'lower' ? '≤' : '≥';
  const verdict = row.target === undefined ? '' : `${isMet ? 'meets' : 'misses'} ${sign} ${row.target}`;
  return line(
    `${row.what} [${row.unit}]`,
    figure(median(row.ours.values)),
    row.anchor === undefined ? '' : figure(median(row.anchor.values)),
    against === undefined ? '' : against.toFixed(2),
    [verdict, beside, faults === '' ? '' : `! ${faults}`].filter((text) => text !== '').join(' '),
  );
}

function faultsOf({ ours, anchor }: Row): string {
  return [
    ...new Set([
      ...ours.faults.map((fault) => `altpath: ${fault}`),
      ...(anchor?.faults.map((fault) => `${anchor.name}: ${fault}`) ?? []),
    ]),
  ].join('; ');
}

function line(what: string, ours: string, anchor: string, against: string, remark: string): string {
  return `${`  ${what.padEnd(46)}${ours.padStart(10)}${anchor.padStart(12)}${against.padStart(8)}  ${remark}`.trimEnd()}\n`;
}

function figure(value: number): string {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : value.toPrecision(3);
}
