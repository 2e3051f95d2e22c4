/** Runs SIPp scenarios and reads what SIPp counted (its statistics and its per-message counts). */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';
import { program } from './programs.ts';
import { scratchDirectory } from './scratch.ts';
import { until } from './until.ts';

export interface SippOptions {
  /** File name in test/interop/sipp, or a whole path. */
  readonly scenario: string;
  /** Its own address. */
  readonly host: string;
  readonly port?: number;
  /** Whom it calls, `host:port`; absent for a scenario that is called. */
  readonly remote?: string;
  /** `u1` one UDP socket, `t1` one TCP connection, `tn` one TCP connection for each call. */
  readonly transport?: 'u1' | 't1' | 'tn';
  readonly calls: number;
  /** Calls per second. */
  readonly rate?: number;
  /** Calls at the same time; with a high rate this makes SIPp wait for the peer. */
  readonly atOnce?: number;
  /** `[name]` in the scenario. */
  readonly keys?: Readonly<Record<string, string>>;
  readonly extra?: readonly string[];
  /** Runs it by this command: `ip netns exec …`. */
  readonly under?: readonly string[];
}

export interface SippResult {
  readonly exitCode: number | null;
  readonly successful: number;
  readonly failed: number;
  /** Requests and responses SIPp sent again because no answer had come. */
  readonly sentAgain: number;
  /** Messages of the peer that came again. */
  readonly receivedAgain: number;
  /** Messages that belong to no call, or to one that had ended already. */
  readonly stray: number;
  readonly callsPerSecond: number;
  readonly meanCallMs: number;
  /** Since its start, when it counted last: once a second. */
  readonly elapsedMs: number;
  /** SIPp's counts by step of the scenario: `0_INVITE_Sent`, `0_INVITE_Retrans`, … */
  readonly counts: ReadonlyMap<string, number>;
  /** The start of SIPp's error file: the unexpected messages byte by byte. */
  readonly errors: string;
}

/** A scenario started and not yet awaited: the called side, or a caller beside others. */
export class Sipp {
  readonly options: SippOptions;
  readonly #child: Child;
  readonly #directory: string;

  constructor(options: SippOptions) {
    this.options = options;
    this.#directory = scratchDirectory(basename(options.scenario, '.xml'));
    const rate = options.rate ?? 10;
    const args = [
      ...(options.remote === undefined ? [] : [options.remote]),
      ...['-i', options.host, '-p', String(options.port ?? 5060), '-t', options.transport ?? 'u1'],
      ...['-sf', resolve(scenarioDirectory, options.scenario), '-m', String(options.calls)],
      ...[
        '-r',
        String(rate),
        '-l',
        String(options.atOnce ?? Math.max(200, rate * 4)),
        '-nostdin',
        '-max_socket',
        '20000',
        // Its own 64 kB hold some fifty datagrams: a burst of a hundred calls would be lost on the way to it, whatever the proxy does.
        '-buff_size',
        String(4 * 1024 * 1024),
      ],
      ...['-trace_stat', '-stf', 'statistics.csv', '-fd', '1', '-trace_counts', '-trace_err', '-error_file', 'errors'],
      ...Object.entries(options.keys ?? {}).flatMap(([name, value]) => ['-key', name, value]),
      ...(options.extra ?? []),
    ];
    const [command = program('sipp'), ...words] = [...(options.under ?? []), program('sipp'), ...args];
    this.#child = new Child(`sipp ${options.scenario}`, command, words, { cwd: this.#directory });
  }

  get child(): Child {
    return this.#child;
  }

  /** Waits until SIPp writes its first statistics: its socket is bound by then. */
  async ready(): Promise<this> {
    await until(`sipp ${this.options.scenario}: its start`, 5000, () => {
      if (this.#child.exited !== undefined) throw new Error(`sipp ended at once:\n${this.#child.output.slice(-2000)}`);
      return this.#read('statistics.csv').length > 0;
    });
    return this;
  }

  /** What it has counted until now. */
  soFar(): SippResult {
    return this.#result(null);
  }

  /** Waits for the end of the last call. */
  async finished(limitMs: number): Promise<SippResult> {
    const { code } = await this.#child.waitForExit(limitMs).catch(() => ({ code: null }));
    return this.#result(code);
  }

  /** Ends it (SIGUSR1: SIPp stops placing calls and leaves) and says what was counted so far. */
  async stop(): Promise<SippResult> {
    const { code } = await this.#child.stop('SIGUSR1', 3000);
    return this.#result(code);
  }

  #result(exitCode: number | null): SippResult {
    const statistics = lastRow(this.#read('statistics.csv'));
    const number = (name: string): number => Number(statistics.get(name) ?? 0);
    const countsFile = readdirSync(this.#directory).find((name) => name.endsWith('_counts.csv'));
    const counts = new Map(
      [...lastRow(countsFile === undefined ? '' : this.#read(countsFile))].map(([name, value]) => [
        name,
        Number(value),
      ]),
    );
    const isReceived = (step: string): boolean => counts.has(`${step}_Recv`);
    const receivedAgain = [...counts]
      .filter(([name]) => name.endsWith('_Retrans') && isReceived(name.slice(0, -'_Retrans'.length)))
      .reduce((sum, [, count]) => sum + count, 0);
    return {
      exitCode,
      successful: number('SuccessfulCall(C)'),
      failed: number('FailedCall(C)'),
      sentAgain: number('Retransmissions(C)'),
      receivedAgain,
      stray: number('OutOfCallMsgs(C)') + number('DeadCallMsgs(C)'),
      callsPerSecond: number('CallRate(C)'),
      meanCallMs: durationMs(statistics.get('CallLength(C)') ?? ''),
      elapsedMs: durationMs(statistics.get('ElapsedTime(C)') ?? ''),
      counts,
      errors: this.#read('errors').slice(0, 1500) || (exitCode === 0 ? '' : this.#child.output.slice(-1500)),
    };
  }

  #read(file: string): string {
    try {
      return readFileSync(join(this.#directory, file), 'latin1');
    } catch {
      return '';
    }
  }
}

export const runSipp = (options: SippOptions, limitMs = 60_000): Promise<SippResult> =>
  new Sipp(options).finished(limitMs);

export const scenarioDirectory = fileURLToPath(new URL('../sipp/', import.meta.url));

/** The last complete row of a file of SIPp's, by the names in its first. */
function lastRow(text: string): Map<string, string> {
  const lines = text.split('\n').slice(0, -1);
  const names = lines[0]?.split(';') ?? [];
  const values = lines.length < 2 ? [] : (lines.at(-1)?.split(';') ?? []);
  return new Map(names.flatMap((name, index) => (name === '' ? [] : [[name, values[index] ?? ''] as const])));
}

/** `hh:mm:ss:microseconds`, SIPp's way to write a duration. */
function durationMs(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0, microseconds = 0] = text.split(':').map(Number);
  return ((hours * 60 + minutes) * 60 + seconds) * 1000 + microseconds / 1000;
}
