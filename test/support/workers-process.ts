/** Several workers as processes, and telephones that call each other through them. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CallRecord, Kind } from '../../protocols/sip/demo/call-record.ts';
import { LoadAgent } from '../../protocols/sip/demo/load-agent.ts';
import { askAdmin } from '../../src/admin-client.ts';
import { type ControllerAddress, systemClock } from '../../src/internal.ts';
import type { LogEventName } from '../../src/log-events.ts';

export const domain = 'workers.example';

export interface WorkerRow {
  readonly worker: number;
  readonly state: string;
  readonly pid: number;
  readonly lead: boolean;
  readonly starts: number;
}

export class WorkersProcess {
  readonly admin: { readonly host: string; readonly port: number };
  readonly #directory = mkdtempSync(join(tmpdir(), 'altpath-workers-'));
  readonly #child: ChildProcess;
  readonly #exit: Promise<number | NodeJS.Signals>;
  said = '';

  constructor(config: Readonly<Record<string, unknown>>, admin: { host: string; port: number }) {
    this.admin = admin;
    const file = join(this.#directory, 'altpath.json');
    writeFileSync(
      file,
      JSON.stringify({
        workers: 2,
        admin: `${admin.host}:${admin.port}`,
        log: { level: 'info', format: 'json' },
        shutdownSeconds: 3,
        ...config,
      }),
    );
    this.#child = spawn(process.execPath, [program, 'run', '-c', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.said += text;
      });
    this.#exit = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve(code ?? signal ?? 'SIGKILL'));
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get exit(): Promise<number | NodeJS.Signals> {
    return this.#exit;
  }

  /** An event of this kind is in the log, of this worker if one is meant. */
  async logged(event: LogEventName, worker?: number): Promise<void> {
    const isOver = this.#exit.then((code) => {
      throw new Error(`ended with ${code}: ${this.said}`);
    });
    const is = (line: string): boolean =>
      line.includes(`"event":"${event}"`) && (worker === undefined || line.includes(`"worker":${worker},`));
    await Promise.race([until(() => this.said.split('\n').some(is), `${event} ${worker ?? ''}`, startMs), isOver]);
  }

  ready(): Promise<void> {
    return this.logged('ready');
  }

  async status(): Promise<Readonly<Record<string, unknown>>> {
    const answer = await askAdmin(this.admin, '/status');
    return answer as Readonly<Record<string, unknown>>;
  }

  async workers(): Promise<readonly WorkerRow[]> {
    const { workers } = await this.status();
    return workers as readonly WorkerRow[];
  }

  /** The worker serves in its life of this number. */
  async served(worker: number, starts: number): Promise<void> {
    for (const deadline = systemClock.now() + startMs; ; ) {
      const row = (await this.workers()).find((each) => each.worker === worker);
      if (row?.state === 'ready' && row.starts >= starts) return;
      if (systemClock.now() > deadline) throw new Error(`worker ${worker} does not serve: ${this.said.slice(-2_000)}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async pidOf(worker: number): Promise<number> {
    return (await this.workers()).find((each) => each.worker === worker)?.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async close(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL');
    await this.#exit;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

export class Telephones {
  readonly records = new Map<string, CallRecord>();
  readonly callers: LoadAgent[] = [];
  readonly callees: LoadAgent[] = [];

  /** Each has a socket of its own: the system spreads them over the workers. */
  async start(kind: Kind, count: number, host: string, proxy: ControllerAddress, ringMs = 150): Promise<void> {
    const make = async (user: string): Promise<LoadAgent> => {
      const agent = new LoadAgent({
        kind,
        user,
        domain,
        host,
        proxy,
        backup: { transport: 'udp', host: '127.255.255.1', port: 1 },
        ringMs,
        holdMs: 1_000,
        records: this.records,
      });
      await agent.start();
      return agent;
    };
    for (let n = 0; n < count; n += 1) {
      const [caller, callee] = [await make(`${kind}-caller${n}`), await make(`${kind}-callee${n}`)];
      this.callers.push(caller);
      this.callees.push(callee);
      this.#names.push(`${kind}-callee${n}`);
      const statuses = await Promise.all([caller.register(), callee.register()]);
      if (statuses.some((status) => status !== 200)) throw new Error(`not registered: ${statuses}`);
    }
  }

  readonly #names: string[] = [];

  /** So many calls, one after the other at this distance. */
  async call(count: number, everyMs: number, talkMs: number): Promise<readonly CallRecord[]> {
    const made: CallRecord[] = [];
    for (let n = 0; n < count; n += 1) {
      const at = n % this.callers.length;
      const record = this.callers[at]?.call(
        // Not the one beside it: callers and callees are with different workers.
        this.#names[(at + Math.floor(n / this.callers.length)) % this.#names.length] ?? '',
        talkMs,
        n % 2 === 0 ? 'caller' : 'callee',
      );
      if (record !== undefined) made.push(record);
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
    return made;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.callers, ...this.callees].map((each) => each.stop()));
  }
}

/** Callees hang up by a 200 of their own: what is not over after this is lost. */
export const settle = (records: readonly CallRecord[]): Promise<void> =>
  until(() => records.every(({ isOver, isLost }) => isOver && !isLost), 'every call to end', 36_000).catch(
    () => undefined,
  );

export async function until(holds: () => boolean, what: string, ms = 120_000): Promise<void> {
  const deadline = systemClock.now() + ms;
  while (!holds()) {
    if (systemClock.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A busy machine may take long to load three programs. */
const startMs = 90_000;

const program = join(import.meta.dirname, '../../src/main.ts');
