/** `altpath demo` for SIP: a run, told to a person as it happens, and summed up as a table or as data. */
import type { DemoOutcome, DemoRequest } from '../../../src/internal.ts';
import { type CallRecord, type Kind, phases } from './call-record.ts';
import {
  controlLimitMs,
  type Moment,
  moments,
  type RunEvent,
  type RunOptions,
  type RunResult,
  runFailover,
} from './failover-run.ts';
import { type Column, Ladder } from './ladder.ts';
import type { Probed } from './prober.ts';

export async function demonstrate(request: DemoRequest): Promise<DemoOutcome> {
  const { how, print, isTerminal, hasControl } = request;
  const rate = request.rate ?? 20;
  const teller = new Teller(request, new Ladder({ colours: isTerminal }));
  const options: Omit<RunOptions, 'onEvent'> = {
    how,
    moment: moments.find((moment): moment is Moment => moment === request.moment) ?? 'random',
    calls: request.calls ?? Math.max(100, Math.round(rate * 5)),
    rate,
    ringMs: 500,
    talkMs: 500,
    holdMs: 1_500,
    failback: true,
  };
  const result = await runFailover({ ...options, onEvent: (event) => teller.on(event) });
  const rows = tabulate(result);
  const lost = sumOf(rows, 'lost');
  for (const line of nextCall(result)) print(line);
  print(
    result.failbackMs === undefined
      ? 'the primary did not get its work back'
      : `the primary had its work back ${(result.failbackMs / 1_000).toFixed(1)} s after it returned`,
  );
  const control = hasControl ? await runControl(options, print) : undefined;
  for (const line of table(rows, control?.rows)) print(line);
  print('');
  print(lost === 0 ? 'no call was lost' : `${lost} calls were lost: ${complaints(result)}`);
  if (control !== undefined) print(`without AlternatePath: ${control.text}`);
  return {
    isSound: lost === 0 && result.failbackMs !== undefined,
    figures: {
      how,
      moment: request.moment,
      rate,
      placed: sumOf(rows, 'placed'),
      lost,
      exitMs: result.exitMs === undefined ? null : rounded(result.exitMs - result.strikeMs),
      nextCall: { aware: roundedAll(result.probed.aware), plain: roundedAll(result.probed.plain) },
      failbackMs: result.failbackMs ?? null,
      phases: rows,
      watched: {
        phase: result.watched.phaseAt(result.strikeMs),
        lost: result.watched.isLost,
        switched: result.watched.switched,
        gapMs: Math.round(result.watched.gapMs),
      },
      ...(lost === 0 ? {} : { complaints: complaints(result) }),
      ...(control === undefined
        ? {}
        : {
            control: { placed: sumOf(control.rows, 'placed'), lost: sumOf(control.rows, 'lost'), phases: control.rows },
          }),
    },
  };
}

interface Control {
  readonly rows: readonly PhaseRow[];
  readonly text: string;
}

/**
 * The same telephones, edges and controllers at the same moment, only that no message names a backup and neither controller stands in
 * for the other. The edges know both controllers, as in the other run; what the primary has registered leads through the primary.
 */
async function runControl(options: Omit<RunOptions, 'onEvent'>, print: DemoRequest['print']): Promise<Control> {
  print(
    '\n· the same again for comparison, without AlternatePath: no message names a backup, nobody stands in for the primary',
  );
  const result = await runFailover({ ...options, failback: false, isControl: true, onEvent: () => undefined });
  const rows = tabulate(result);
  const [placed, lost] = [sumOf(rows, 'placed'), sumOf(rows, 'lost')];
  const text =
    lost === 0
      ? `none of ${placed} calls was lost`
      : `${lost} of ${placed} calls were lost (not over ${controlLimitMs / 1_000} s after the last one was placed): ${complaints(result)}`;
  return { rows, text };
}

const sumOf = (rows: readonly PhaseRow[], what: 'placed' | 'lost'): number =>
  rows.reduce((sum, row) => sum + row[what], 0);

/** What callers saw that called at the strike itself, and every few milliseconds from then on. */
function nextCall({ probed, strikeMs, exitMs }: RunResult): readonly string[] {
  const line = (who: string, { sinceStrikeMs, sinceExitMs, secondCallMs }: Probed): string =>
    `${who}: next call rang after ${sinceStrikeMs.toFixed(0)} ms${Number.isNaN(sinceExitMs) ? '' : ` (${Math.max(0, sinceExitMs).toFixed(0)} ms after the process was gone)`}, the one after that took ${secondCallMs.toFixed(0)} ms`;
  return [
    ...(exitMs === undefined ? [] : [`the killed process took ${(exitMs - strikeMs).toFixed(0)} ms to be gone`]),
    line('aware telephone', probed.aware),
    line('plain telephone behind an edge', probed.plain),
  ];
}

/** NaN has no place in JSON. */
const rounded = (ms: number): number | null => (Number.isNaN(ms) ? null : Math.round(ms * 10) / 10);

const roundedAll = ({ sinceStrikeMs, sinceExitMs, firstCallMs, secondCallMs }: Probed) => ({
  sinceStrikeMs: rounded(sinceStrikeMs),
  sinceExitMs: rounded(sinceExitMs),
  firstCallMs: rounded(firstCallMs),
  secondCallMs: rounded(secondCallMs),
});

class Teller {
  readonly #request: DemoRequest;
  readonly #ladder: Ladder;
  readonly #seen = new Set<string>();
  #startMs: number | undefined;

  constructor(request: DemoRequest, ladder: Ladder) {
    this.#request = request;
    this.#ladder = ladder;
  }

  on(event: RunEvent): void {
    const { print, how } = this.#request;
    switch (event.kind) {
      case 'step':
        // The one step after the first message is the return of the primary.
        if (this.#startMs !== undefined) this.#ladder.revived();
        print(this.#startMs === undefined ? `· ${event.text}` : `\n· ${event.text}\n`);
        break;
      case 'strike':
        print(this.#ladder.strike(this.#since(event.atMs), how === 'kill' ? 'SIGKILL' : 'SIGSTOP: silent'));
        break;
      case 'message': {
        const far: Column = event.remote.host === '127.0.0.2' ? 'backup' : 'primary';
        const [from, to]: readonly [Column, Column] = event.direction === 'out' ? [event.at, far] : [far, event.at];
        const what = event.what.replace(/ \((?!INVITE)[A-Z]+\)$/, '').replace(' (INVITE)', '');
        const key = `${event.at} ${event.direction} ${event.what}`;
        print(this.#ladder.message(this.#since(event.atMs), from, to, what, this.#seen.has(key)));
        this.#seen.add(key);
      }
    }
  }

  #since(atMs: number): number {
    if (this.#startMs === undefined) {
      this.#startMs = atMs;
      this.#request.print(`\n${this.#ladder.head()}`);
    }
    return atMs - this.#startMs;
  }
}

interface PhaseRow {
  readonly kind: Kind;
  readonly phase: string;
  readonly placed: number;
  readonly lost: number;
  readonly switched: number;
  readonly gapMs: number;
}

const phaseWords = {
  before: 'ended before',
  setup: 'set-up',
  ringing: 'ringing',
  answered: 'answered',
  bye: 'BYE sent',
  after: 'placed after',
} as const;

function tabulate({ records, watched, strikeMs }: RunResult): readonly PhaseRow[] {
  const all = [...records, watched];
  const rows: PhaseRow[] = [];
  for (const phase of phases) {
    for (const kind of ['aware', 'plain'] as const) {
      const those = all.filter((record) => record.kind === kind && record.phaseAt(strikeMs) === phase);
      if (those.length === 0) continue;
      rows.push({
        kind,
        phase: phaseWords[phase],
        placed: those.length,
        lost: those.filter(({ isLost }) => isLost).length,
        switched: those.filter(({ switched }) => switched).length,
        gapMs: Math.round(Math.max(...those.map(({ gapMs }) => gapMs))),
      });
    }
  }
  return rows;
}

/** Of the control run only what was lost: where there is one, beside the same rows. */
function table(rows: readonly PhaseRow[], control?: readonly PhaseRow[]): readonly string[] {
  const line = (...cells: readonly string[]): string =>
    `  ${(cells[0] ?? '').padEnd(16)}${(cells[1] ?? '').padEnd(8)}${cells
      .slice(2)
      .map((cell) => cell.padStart(10))
      .join('')}`;
  const without = control === undefined ? [] : ['   without:', 'placed', 'lost'];
  const keyOf = ({ phase, kind }: PhaseRow): string => `${phase} ${kind}`;
  const keys = [...phases].flatMap((phase) =>
    (['aware', 'plain'] as const).map((kind) => `${phaseWords[phase]} ${kind}`),
  );
  return [
    '',
    line('at the failure', 'phones', 'placed', 'lost', 'switched', 'gap ms', ...without),
    ...keys.flatMap((key) => {
      const row = rows.find((each) => keyOf(each) === key);
      const other = control?.find((each) => keyOf(each) === key);
      const one = row ?? other;
      if (one === undefined) return [];
      const ours =
        row === undefined ? ['0', '0', '0', '-'] : [row.placed, row.lost, row.switched, row.gapMs].map(String);
      const theirs = control === undefined ? [] : ['', String(other?.placed ?? 0), String(other?.lost ?? 0)];
      return [line(one.phase, one.kind, ...ours, ...theirs)];
    }),
  ];
}

function complaints({ records, watched, strikeMs }: RunResult): string {
  const counts = new Map<string, number>();
  for (const record of [...records, watched].filter(({ isLost }) => isLost)) {
    const key = describe(record, strikeMs);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].map(([key, count]) => `${count} × ${key}`).join('; ');
}

const describe = (record: CallRecord, strikeMs: number): string =>
  `${record.kind}, ${phaseWords[record.phaseAt(strikeMs)]}: ${record.complaint}`;
