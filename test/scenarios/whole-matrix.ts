/**
 * Every cell of the matrix of crossing calls (crossing-cells.ts), the primary killed after every message of each, with a line for each cell
 * that says what became of it, and a file of its own for each that failed: some thousand simulated failovers, an hour or two.
 *
 *     node test/scenarios/whole-matrix.ts [--logs DIRECTORY] [--only TEXT] [--passes 4] [--share 0.5]
 *
 * `--passes`: so many rounds over all cells, each with other messages, so that faults show early. `--share`: of a processor. What the log says
 * was played well already is left out: an interrupted run goes on where it was.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Cell, cells, furtherPlays, ordinaryPlays } from './crossing-cells.ts';
import { playAll } from './crossing-scene.ts';

const { values } = parseArgs({
  options: {
    logs: { type: 'string', default: 'matrix' },
    only: { type: 'string', default: '' },
    passes: { type: 'string', default: '1' },
    share: { type: 'string', default: '1' },
  },
});
const passes = Math.max(1, Number(values.passes));
const share = Math.min(1, Math.max(0.05, Number(values.share)));
mkdirSync(values.logs, { recursive: true });
const summary = join(values.logs, 'summary.txt');
const known = existsSync(summary) ? readFileSync(summary, 'utf8') : '';
const chosen = [...cells([...furtherPlays, ...ordinaryPlays])].filter(({ name }) => name.includes(values.only));

let failed = 0;
for (let pass = 1; pass <= passes; pass += 1)
  for (const [index, cell] of chosen.entries()) {
    const title = passes === 1 ? cell.name : `${cell.name} (${pass} of ${passes})`;
    if (known.includes(`ok ${title}:`)) continue;
    const line = await played(cell, title, pass);
    appendFileSync(summary, `${line}\n`);
    console.log(`${index + 1}/${chosen.length} ${line}`);
  }
process.exitCode = failed === 0 ? 0 : 1;

async function played({ play, line, edge, how, records }: Cell, name: string, first: number): Promise<string> {
  const begun = process.cpuUsage();
  let before = begun;
  const pause = async (): Promise<void> => {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    if (share < 1) await sleep(((user + system) / 1_000) * (1 / share - 1));
  };
  const { phone = {}, last } = play;
  const {
    played: messages,
    failures,
    isWhole,
  } = await playAll(
    play.script,
    line,
    how,
    { edge, records },
    { phone, last, pause, isHasty: true, first, every: passes },
  );
  const spent = process.cpuUsage(begun);
  const figures = `${messages} messages, ${Math.round((spent.user + spent.system) / 1e6)} s`;
  if (failures.length === 0 && (isWhole || last !== undefined)) return `ok ${name}: ${figures}`;
  failed += 1;
  const file = join(values.logs, `${name.replaceAll(/[^A-Za-z0-9]+/g, '-')}.txt`);
  appendFileSync(file, `${name}: ${figures}${isWhole ? '' : ', the call never ends'}\n${failures.join('\n')}\n`);
  return `FAILED ${name}: ${figures}, ${failures.length} failures`;
}
