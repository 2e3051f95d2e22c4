/**
 * A million telephones in one process: what a contact takes in memory, how a filled store is started from while calls come, how long the
 * event loop is held up by that and by a storm of refreshes; memory for a contact beside Kamailio's usrloc.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { memory } from './support/process-cost.ts';
import { startLoad } from './support/sip-load.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'scale',
  title: 'A million telephones: memory, start, refresh storm',
  works: ['table', 'calls', 'start', 'storm', 'usrloc'],
  byDefault: false,
  run,
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const wants = (work: string): boolean => options.work === undefined || options.work.includes(work);
  const contacts = options.calls ?? (options.quick ? 100_000 : 1_000_000);
  const directory = mkdtempSync(join(tmpdir(), 'altpath-scale-'));
  const path = join(directory, 'locations.sqlite');
  const rows: Row[] = [];
  const notes: string[] = [`${contacts} contacts, one for each address of record`];
  const measured = async (mode: string): Promise<Readonly<Record<string, number>>> => {
    options.log(`${mode} …`);
    const figures = await worker(mode, contacts, path);
    options.log(`${mode}: ${JSON.stringify(figures)}`);
    return figures;
  };
  const row = (what: string, unit: string, value: number | undefined, target: number, faults: string[] = []): void => {
    rows.push({ what, unit, ours: { values: [value ?? Number.NaN], faults }, better: 'lower', target });
  };
  try {
    if (wants('table')) {
      const { perContact, lookUpMicroseconds, found } = await measured('table');
      row('one contact in the table', 'octets', perContact, 250);
      row('one look-up, all over the table', 'µs', lookUpMicroseconds, 10, found === 200_000 ? [] : ['not all found']);
    }
    if (wants('calls')) {
      const { rss, placed, transactions } = await measured('calls');
      row('process with them and 100,000 calls', 'MiB RSS', rss, 2_048, placed === 100_000 ? [] : [`${placed} placed`]);
      notes.push(
        `calls answered within the last 32 s, so that ${transactions} transactions linger; nothing is kept of a call after that`,
      );
    }
    if (wants('start') || wants('storm')) await measured('fill');
    if (wants('start')) {
      const { openMs = 0, loadedMs = 0, gapMs = 0, heldMs, missed } = await measured('start');
      row('start from a filled store: serves after', 's', openMs / 1_000, 2);
      row('all of it in memory after', 's', loadedMs / 1_000, 20, missed === 0 ? [] : [`${missed} called in vain`]);
      row('longest the event loop is held meanwhile', 'ms CPU', heldMs, 50);
      notes.push(
        `longest gap by the clock while starting: ${gapMs.toFixed(0)} ms, other programs of the machine included`,
      );
    }
    if (wants('storm')) {
      const { gapMs = 0, heldMs, stored = 0 } = await measured('storm');
      row(
        'the same under 3,300 refreshes/s, stored',
        'ms CPU',
        heldMs,
        50,
        stored > 3_200 ? [] : [`${stored} stored/s`],
      );
      notes.push(
        `longest gap by the clock under refreshes: ${gapMs.toFixed(0)} ms, other programs of the machine included`,
      );
    }
    if (wants('usrloc') && !options.alone) rows.push(await beside(options.quick ? 10_000 : 50_000, options.log));
  } finally {
    rmSync(directory, { recursive: true });
  }
  return { rows, notes };
}

/** What so many registrations over SIP add to the memory of a proxy, both alike. */
async function beside(users: number, log: BenchOptions['log']): Promise<Row> {
  const perContact = async (kind: 'altpath' | 'kamailio'): Promise<number> => {
    log(`${users} registrations at ${kind} …`);
    const few = await startLoad({ kind, users: 1_000 });
    const before = memory(few.proxy.child.pid).pssMiB;
    await few.stop();
    const many = await startLoad({ kind, users });
    const after = memory(many.proxy.child.pid).pssMiB;
    await many.stop();
    return ((after - before) * 1_048_576) / (users - 1_000);
  };
  return {
    what: `one of ${users} registrations, process memory`,
    unit: 'octets',
    ours: { values: [await perContact('altpath')], faults: [] },
    anchor: { name: 'kamailio', values: [await perContact('kamailio')], faults: [] },
    better: 'lower',
    target: 1,
  };
}

async function worker(mode: string, contacts: number, path: string): Promise<Readonly<Record<string, number>>> {
  const script = fileURLToPath(new URL('./scale/worker.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--expose-gc', '--max-old-space-size=2048', script, mode, String(contacts), path],
    { maxBuffer: 1e7 },
  );
  return JSON.parse(stdout);
}
