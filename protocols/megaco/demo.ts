/**
 * The demonstration: two controllers as processes of their own, two gateways with a line each, and a call during which the primary is
 * killed (SIGKILL), once in each phase. Prints what the gateways saw as a ladder, then a table.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  createNetwork,
  type Demo,
  formatSocketAddress,
  Metrics,
  type Network,
  silentLog,
  systemClock,
  systemRandom,
} from '../../src/index.ts';
import { decode, plainNaming } from './codec.ts';
import { encodeText } from './encode.ts';
import { isIdle, mediaOf } from './gateway/console.ts';
import { SimGateway } from './gateway/sim-gateway.ts';
import type { Encoding } from './messages.ts';
import { mediaAddress } from './sdp.ts';

export interface MegacoDemoOptions {
  readonly json?: boolean;
  /** Phases to kill in; all if absent. */
  readonly phases?: readonly DemoPhase[];
  readonly encoding?: Encoding;
  readonly how?: 'kill' | 'stop';
  readonly print?: (text: string) => void;
}

export const demoPhases = ['dialling', 'ringing', 'talking'] as const;

export type DemoPhase = (typeof demoPhases)[number];

export interface PhaseOutcome {
  readonly phase: DemoPhase;
  readonly ok: boolean;
  readonly detail: string;
  /** From the kill to the first message of the backup to a gateway. */
  readonly switchMs: number | undefined;
}

export const megacoDemo: Demo = {
  moments: ['every', 'dialling', 'ringing', 'talking'],
  async run({ how, moment, print }) {
    const phases = demoPhases.filter((phase) => moment === 'every' || moment === phase);
    const outcomes = await playPhases(phases, how, 'compact', print);
    printTable(outcomes, print);
    return { isSound: outcomes.every(({ ok }) => ok), figures: { outcomes } };
  },
};

/** The exit code: 0 where every call survived. */
export async function runMegacoDemo(options: MegacoDemoOptions = {}): Promise<number> {
  const print = options.print ?? ((text: string) => process.stdout.write(`${text}\n`));
  const { phases = demoPhases, how = 'kill', encoding = 'compact' } = options;
  const outcomes = await playPhases(phases, how, encoding, options.json === true ? () => {} : print);
  if (options.json === true) print(JSON.stringify({ protocol: 'megaco', outcomes }));
  else printTable(outcomes, print);
  return outcomes.every(({ ok }) => ok) ? 0 : 1;
}

async function playPhases(
  phases: readonly DemoPhase[],
  how: 'kill' | 'stop',
  encoding: Encoding,
  print: (text: string) => void,
): Promise<readonly PhaseOutcome[]> {
  const outcomes: PhaseOutcome[] = [];
  for (const phase of phases) {
    const stage = new Stage(phase, how, encoding, print);
    try {
      outcomes.push(await stage.play());
    } finally {
      await stage.close();
    }
  }
  return outcomes;
}

function printTable(outcomes: readonly PhaseOutcome[], print: (text: string) => void): void {
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
  readonly #encoding: Encoding;
  readonly #print: (text: string) => void;
  readonly #port = 20_000 + Math.floor(systemRandom.fraction() * 20_000);
  readonly #children: ChildProcess[] = [];
  readonly #gateways: SimGateway[] = [];
  readonly #startedMs = systemClock.now();
  #killedMs: number | undefined;
  #switchMs: number | undefined;

  constructor(phase: DemoPhase, how: 'kill' | 'stop', encoding: Encoding, print: (text: string) => void) {
    this.#phase = phase;
    this.#how = how;
    this.#encoding = encoding;
    this.#print = print;
  }

  async play(): Promise<PhaseOutcome> {
    this.#print(`\n── the primary ${this.#how === 'kill' ? 'is killed' : 'falls silent'} while ${this.#phase} ──`);
    const primary = await this.#controller('127.0.0.1', ['--backup', this.#at('127.0.0.2')]);
    await this.#controller('127.0.0.2', ['--backup-for', this.#at('127.0.0.1')]);
    const a = await this.#gateway('gw1', '127.0.0.3');
    const b = await this.#gateway('gw2', '127.0.0.4');
    const failure = await this.#call(a, b, () => this.#kill(primary));
    return {
      phase: this.#phase,
      ok: failure === undefined,
      detail: failure ?? 'dial tone, ringing, talk path, hang-up; every context was the backup’s',
      switchMs: this.#switchMs,
    };
  }

  async close(): Promise<void> {
    for (const gateway of this.#gateways) await gateway.stop();
    for (const child of this.#children) child.kill('SIGKILL');
  }

  async #call(one: SimGateway, other: SimGateway, kill: () => void): Promise<string | undefined> {
    const [a] = one.lines;
    const [b] = other.lines;
    if (a === undefined || b === undefined) return 'lines';
    const steps: readonly (readonly [what: string, holds: () => boolean, then: () => void])[] = [
      ['lines armed', () => isIdle(a) && isIdle(b), () => a.offHook()],
      [
        'dial tone',
        () => a.signal === 'cg/dt' && a.collecting,
        () => {
          a.dial('2');
          if (this.#phase === 'dialling') kill();
          a.dial('01');
        },
      ],
      [
        'ringing',
        () => b.signal === 'al/ri' && a.signal === 'cg/rt',
        () => {
          if (this.#phase === 'ringing') kill();
          b.offHook();
        },
      ],
      [
        'talk path both ways',
        () => talkTogether(one, other),
        () => {
          if (this.#phase === 'talking') kill();
          a.onHook();
        },
      ],
      ['busy tone', () => b.signal === 'cg/bt', () => b.onHook()],
      ['both lines idle', () => isIdle(a) && isIdle(b), () => undefined],
      [
        'both gateways with the backup',
        () => this.#gateways.every(({ controller }) => controller?.host === '127.0.0.2'),
        () => undefined,
      ],
    ];
    for (const [what, holds, then] of steps) {
      if (!(await within(20_000, holds))) return `no ${what}`;
      this.#note(what);
      if (what === 'talk path both ways') await pause(300);
      then();
    }
    return undefined;
  }

  #kill(child: ChildProcess): void {
    child.kill(this.#how === 'kill' ? 'SIGKILL' : 'SIGSTOP');
    this.#killedMs = systemClock.now();
    this.#note(this.#how === 'kill' ? 'kill -9 of the primary' : 'the primary is stopped');
  }

  async #controller(host: string, partner: readonly string[]): Promise<ChildProcess> {
    const isSource = import.meta.url.endsWith('.ts');
    const main = fileURLToPath(new URL(`../../src/main.${isSource ? 'ts' : 'js'}`, import.meta.url));
    const words = ['megaco', '--listen', this.#at(host), ...partner, '--log-format', 'json', '--admin', 'off'];
    for (const [index, gateway] of ['127.0.0.3', '127.0.0.4'].entries())
      words.push('--gateway', `gw${index + 1}=${this.#at(gateway)}`, '--line', `20${index}=aaln/1@gw${index + 1}`);
    const child = spawn(process.execPath, [main, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.stdout?.on('data', (chunk: Buffer) => {
        if (chunk.includes('ready')) resolve();
      });
      child.once('exit', (code) => reject(new Error(`a controller ended at its start with code ${code}`)));
    });
    return child;
  }

  async #gateway(name: string, host: string): Promise<SimGateway> {
    const metrics = new Metrics();
    const network = createNetwork({ clock: systemClock, log: silentLog, metrics });
    const gateway = new SimGateway(
      { clock: systemClock, random: systemRandom, log: silentLog, metrics, network: this.#tapped(network, name) },
      {
        name,
        listen: { transport: 'udp', host, port: this.#port },
        controllers: [{ transport: 'udp', host: '127.0.0.1', port: this.#port }],
        lines: 1,
        encoding: this.#encoding,
        retryMs: 1_000,
      },
    );
    this.#gateways.push(gateway);
    await gateway.start();
    return gateway;
  }

  /** The network, with every message that arrives at this gateway on the ladder. */
  #tapped(network: Network, name: string): Network {
    return {
      bind: (address, options, events) =>
        network.bind(address, options, {
          ...events,
          received: (bytes, flow) => {
            this.#ladder(name, flow.remote, bytes);
            events.received(bytes, flow);
          },
          failed: (flow, error) => events.failed(flow, error),
        }),
    };
  }

  #ladder(name: string, remote: { host: string; port: number }, bytes: Uint8Array): void {
    if (remote.host === '127.0.0.2' && this.#killedMs !== undefined)
      this.#switchMs ??= Math.round(systemClock.now() - this.#killedMs);
    const decoded = decode(bytes, () => plainNaming);
    if (!decoded.ok) return;
    const text = encodeText(decoded.value, 'compact')
      .toString('latin1')
      .replace(/\s*\n\s*/g, ' ');
    this.#note(`${name} <── ${formatSocketAddress(remote)}  ${text.slice(text.indexOf(' ') + 1).slice(0, 150)}`);
  }

  #note(text: string): void {
    this.#print(`${String(Math.round(systemClock.now() - this.#startedMs)).padStart(6)} ms  ${text}`);
  }

  #at(host: string): string {
    return formatSocketAddress({ host, port: this.#port });
  }
}

function talkTogether(one: SimGateway, other: SimGateway): boolean {
  const [a] = one.lines;
  const [b] = other.lines;
  const left = a && mediaOf(one, a);
  const right = b && mediaOf(other, b);
  return (
    left?.talks === true &&
    right?.talks === true &&
    mediaAddress(left.remote) === mediaAddress(right.local) &&
    mediaAddress(right.remote) === mediaAddress(left.local)
  );
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
