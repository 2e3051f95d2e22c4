/**
 * The demonstration: two call agents as processes of their own, two gateways with a line each, and a call during which the primary is
 * killed (SIGKILL), once in each phase. Prints what the gateways saw as a ladder, then a table.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  type ControllerAddress,
  createNetwork,
  type Demo,
  formatSocketAddress,
  Metrics,
  type Network,
  silentLog,
  systemClock,
  systemRandom,
} from '../../src/index.ts';
import { decodeDatagram } from './decode.ts';
import { isIdle } from './gateway/console.ts';
import { SimGateway } from './gateway/sim-gateway.ts';
import type { SimLine } from './gateway/sim-line.ts';
import { readAudio } from './values/sdp.ts';

export interface MgcpDemoOptions {
  readonly json?: boolean;
  /** Phases to kill in; all if absent. */
  readonly phases?: readonly DemoPhase[];
  readonly print?: (text: string) => void;
  /** `stop`: the primary falls silent instead of dying (SIGSTOP). */
  readonly how?: 'kill' | 'stop';
}

/** For `altpath demo --protocol mgcp`. */
export const mgcpDemo: Demo = {
  moments: ['every', 'dialling', 'ringing', 'talking'],
  async run({ how, moment, print }) {
    const phases = demoPhases.filter((phase) => moment === 'every' || moment === phase);
    const outcomes = await playPhases(phases, how, print);
    printTable(outcomes, print);
    return { isSound: outcomes.every(({ ok }) => ok), figures: { outcomes } };
  },
};

export const demoPhases = ['dialling', 'ringing', 'talking'] as const;

export type DemoPhase = (typeof demoPhases)[number];

export interface DemoOutcome {
  readonly phase: DemoPhase;
  readonly ok: boolean;
  readonly detail: string;
  /** From the kill to the first message of the backup to a gateway. */
  readonly switchMs: number | undefined;
}

/** The exit code: 0 where every call survived. */
export async function runMgcpDemo(options: MgcpDemoOptions = {}): Promise<number> {
  const print = options.print ?? ((text: string) => process.stdout.write(`${text}\n`));
  const ladder = options.json === true ? () => {} : print;
  const outcomes = await playPhases(options.phases ?? demoPhases, options.how ?? 'kill', ladder);
  if (options.json === true) print(JSON.stringify({ protocol: 'mgcp', outcomes }));
  else printTable(outcomes, print);
  return outcomes.every(({ ok }) => ok) ? 0 : 1;
}

async function playPhases(
  phases: readonly DemoPhase[],
  how: 'kill' | 'stop',
  print: (text: string) => void,
): Promise<readonly DemoOutcome[]> {
  const outcomes: DemoOutcome[] = [];
  for (const phase of phases) {
    const stage = new Stage(phase, how, print);
    try {
      outcomes.push(await stage.play());
    } finally {
      await stage.close();
    }
  }
  return outcomes;
}

function printTable(outcomes: readonly DemoOutcome[], print: (text: string) => void): void {
  print('');
  print('primary gone while     call survives   first word of the backup');
  for (const { phase, ok, detail, switchMs } of outcomes)
    print(
      `${phase.padEnd(22)} ${(ok ? 'yes' : `NO: ${detail}`).padEnd(15)} ${switchMs === undefined ? '-' : `${switchMs} ms`}`,
    );
}

class Stage {
  readonly #phase: DemoPhase;
  readonly #how: 'kill' | 'stop';
  readonly #print: (text: string) => void;
  readonly #port = 20_000 + Math.floor(systemRandom.fraction() * 20_000);
  readonly #children: ChildProcess[] = [];
  readonly #gateways: SimGateway[] = [];
  readonly #startedMs = systemClock.now();
  #killedMs: number | undefined;
  #switchMs: number | undefined;

  constructor(phase: DemoPhase, how: 'kill' | 'stop', print: (text: string) => void) {
    this.#phase = phase;
    this.#how = how;
    this.#print = print;
  }

  async play(): Promise<DemoOutcome> {
    this.#print(`\n── the primary is gone while ${this.#phase} ──`);
    const primary = await this.#agent('127.0.0.1', ['--backup', this.#at('127.0.0.2')]);
    await this.#agent('127.0.0.2', ['--backup-for', this.#at('127.0.0.1')]);
    const a = await this.#gateway('rgw1', '127.0.0.3');
    const b = await this.#gateway('rgw2', '127.0.0.4');
    const failure = await this.#call(a, b, () => this.#kill(primary));
    return {
      phase: this.#phase,
      ok: failure === undefined,
      detail: failure ?? 'dial tone, ringing, talk path, hang-up; every line is with the backup',
      switchMs: this.#switchMs,
    };
  }

  async close(): Promise<void> {
    for (const gateway of this.#gateways) await gateway.stop();
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #call(a: SimLine, b: SimLine, kill: () => void): Promise<string | undefined> {
    const steps: readonly (readonly [what: string, holds: () => boolean])[] = [
      ['lines armed', () => isIdle(a) && isIdle(b)],
      ['dial tone', () => a.hears === 'L/dl'],
      ['ringing', () => b.hears === 'L/rg' && a.hears === 'G/rt'],
      ['talk path both ways', () => talkTogether(a, b)],
      ['busy tone', () => b.hears === 'L/bz'],
      ['both lines idle', () => isIdle(a) && isIdle(b)],
      ['both lines with the backup', () => this.#gateways.every((each) => this.#isWithBackup(each))],
    ];
    const actions = [
      () => a.offHook(),
      () => {
        a.dial('2', 0);
        if (this.#phase === 'dialling') kill();
        a.dial('01', 30);
      },
      () => {
        if (this.#phase === 'ringing') kill();
        b.offHook();
      },
      () => {
        if (this.#phase === 'talking') kill();
        a.onHook();
      },
      () => b.onHook(),
    ];
    for (const [index, [what, holds]] of steps.entries()) {
      if (!(await within(20_000, holds))) return `no ${what}`;
      this.#note(what);
      if (what === 'talk path both ways') await pause(300);
      actions[index]?.();
    }
    return undefined;
  }

  #isWithBackup(gateway: SimGateway): boolean {
    return gateway.lines.every((line) => gateway.destination(line).entity?.host === '127.0.0.2');
  }

  #kill(child: ChildProcess): void {
    child.kill(this.#how === 'kill' ? 'SIGKILL' : 'SIGSTOP');
    this.#killedMs = systemClock.now();
    this.#note(this.#how === 'kill' ? 'kill -9 of the primary' : 'the primary falls silent');
  }

  async #agent(host: string, partner: readonly string[]): Promise<ChildProcess> {
    const isSource = import.meta.url.endsWith('.ts');
    const main = fileURLToPath(new URL(`../../src/main.${isSource ? 'ts' : 'js'}`, import.meta.url));
    const words = ['mgcp', '--listen', this.#at(host), ...partner, '--log-format', 'json', '--admin', 'off'];
    for (const [index, gateway] of ['127.0.0.3', '127.0.0.4'].entries())
      words.push('--gateway', `rgw${index + 1}=${this.#at(gateway)}`, '--line', `20${index}=aaln/1@rgw${index + 1}`);
    const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.includes('ready')) resolve();
      });
      child.once('exit', (code) => reject(new Error(`a call agent ended at its start with code ${code}`)));
    });
    return child;
  }

  async #gateway(name: string, host: string): Promise<SimLine> {
    const metrics = new Metrics();
    const network = createNetwork({ clock: systemClock, log: silentLog, metrics });
    const gateway = new SimGateway(
      {
        clock: systemClock,
        random: systemRandom,
        log: silentLog,
        metrics,
        network: this.#tapped(network, name),
      },
      {
        name,
        listen: { transport: 'udp', host, port: this.#port },
        callAgents: [{ transport: 'udp', host: '127.0.0.1', port: this.#port }],
        lines: 1,
        disconnectedMs: 1_000,
      },
    );
    this.#gateways.push(gateway);
    await gateway.start();
    const line = gateway.line(1);
    if (line === undefined) throw new Error('a gateway without lines');
    return line;
  }

  /** The network, with every message that arrives at or leaves this gateway on the ladder. */
  #tapped(network: Network, name: string): Network {
    return {
      bind: (address, options, events) =>
        network.bind(address, options, {
          ...events,
          received: (bytes, flow) => {
            this.#ladder(name, flow.remote, '<──', bytes);
            events.received(bytes, flow);
          },
          failed: (flow, error) => events.failed(flow, error),
        }),
    };
  }

  #ladder(name: string, remote: { host: string; port: number }, arrow: string, bytes: Uint8Array): void {
    if (remote.host === '127.0.0.2' && this.#killedMs !== undefined)
      this.#switchMs ??= Math.round(systemClock.now() - this.#killedMs);
    const decoded = decodeDatagram(bytes);
    if (!decoded.ok) return;
    for (const message of decoded.value.messages) {
      if (message.kind === 'broken') continue;
      const text =
        message.kind === 'command'
          ? `${message.verb} ${message.endpoint}${detailOf(message.parameters)}`
          : `${message.code} ${message.comment}`;
      this.#note(`${name} ${arrow} ${formatSocketAddress(remote)}  ${text}`);
    }
  }

  #note(text: string): void {
    this.#print(`${String(Math.round(systemClock.now() - this.#startedMs)).padStart(6)} ms  ${text}`);
  }

  #at(host: string): string {
    const address: ControllerAddress = { transport: 'udp', host, port: this.#port };
    return formatSocketAddress(address);
  }
}

const detailOf = (parameters: readonly { code: string; value: string }[]): string =>
  parameters
    .filter(({ code, value }) => (code === 'S' || code === 'M' || code === 'X-ALTPTH' || code === 'F') && value !== '')
    .map(({ code, value }) => `  ${code}: ${value}`)
    .join('');

function talkTogether(a: SimLine, b: SimLine): boolean {
  const reaches = (from: SimLine, to: SimLine) =>
    [...from.connections.values()].some(
      ({ mode, remote = '' }) =>
        mode === 'sendrecv' && [...to.connections.values()].some(({ port }) => readAudio(remote)?.port === port),
    );
  return reaches(a, b) && reaches(b, a);
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => systemClock.after(ms, resolve));

async function within(ms: number, holds: () => boolean): Promise<boolean> {
  const until = systemClock.now() + ms;
  while (systemClock.now() < until) {
    if (holds()) return true;
    await pause(10);
  }
  return holds();
}
