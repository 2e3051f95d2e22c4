/**
 * The demonstration of calls between lines, and between lines and telephones: two controllers as processes of their own, two parties,
 * and a call during which the primary is killed, once in each phase. Prints what the parties saw as a ladder, then a table.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../clock.ts';
import { programFile } from '../controller/program-file.ts';
import type { Demo } from '../demo.ts';
import { silentLog } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { createNetwork } from '../network/node-network.ts';
import type { Network } from '../network.ts';
import { systemRandom } from '../random.ts';
import { type ControllerAddress, formatSocketAddress } from '../signaling/controller-address.ts';
import { RtpMedia } from './rtp-media.ts';
import {
  areTalking,
  type GatewaySimulation,
  hearEachOther,
  type SimulatedGateway,
  type SimulatedLine,
} from './simulated-gateway.ts';

export const demoPhases = ['dialling', 'ringing', 'talking'] as const;

export type DemoPhase = (typeof demoPhases)[number];

/** One end of a call of the demonstration: a gateway with a line, or something that registers by itself. */
export interface DemoParty extends Pick<GatewaySimulation, 'protocol' | 'create' | 'summarize'> {
  /** It is not provisioned, but registers under its number. */
  readonly registers?: boolean;
  /** What its protocol's section of the configuration says beyond addresses. */
  section?(): Readonly<Record<string, unknown>>;
}

export interface GatewayDemoOutcome {
  /** `mgcp to megaco` */
  readonly direction: string;
  readonly phase: DemoPhase;
  readonly ok: boolean;
  readonly detail: string;
  /** From the kill to the first message of the backup to a party. */
  readonly switchMs: number | undefined;
  /** The longest time without speech that a party noticed; undefined where nobody talked. */
  readonly gapMs: number | undefined;
}

export interface GatewayDemoOptions {
  readonly how: 'kill' | 'stop';
  readonly phases?: readonly DemoPhase[];
  /** The control run: the primary names no backup, and nobody knows of one. */
  readonly isControl?: boolean;
  readonly encoding?: string | undefined;
  print(text: string): void;
}

/** Who calls, and who is called. */
export type DemoDirection = readonly [DemoParty, DemoParty];

/** For `altpath demo`: a call in each of the directions. */
export const gatewayDemo = (load: () => Promise<readonly DemoDirection[]> | readonly DemoDirection[]): Demo => ({
  moments: ['every', ...demoPhases],
  async run({ how, moment, print, hasControl }) {
    const directions = await load();
    const phases = demoPhases.filter((phase) => moment === 'every' || moment === phase);
    const outcomes = await playGatewayDemo(directions, { how, phases, print });
    if (hasControl)
      print(
        '\n· the same again for comparison, without AlternatePath: no message names a backup, nobody stands in for the primary',
      );
    const control = hasControl ? await playControl(directions, { how, phases }) : undefined;
    printTable(outcomes, control, directions.length > 1, print);
    return {
      isSound: outcomes.every(({ ok }) => ok),
      figures: { outcomes, ...(control === undefined ? {} : { control }) },
    };
  },
});

/** All phases of a direction at a time: most of it is waiting for what never comes. */
async function playControl(
  directions: readonly DemoDirection[],
  options: Omit<GatewayDemoOptions, 'print'>,
): Promise<readonly GatewayDemoOutcome[]> {
  const outcomes: GatewayDemoOutcome[] = [];
  for (const direction of directions)
    outcomes.push(
      ...(await Promise.all(
        (options.phases ?? demoPhases).map((phase) =>
          playOne(direction, phase, { ...options, isControl: true, print: () => undefined }),
        ),
      )),
    );
  return outcomes;
}

export async function playGatewayDemo(
  directions: readonly DemoDirection[],
  options: GatewayDemoOptions,
): Promise<readonly GatewayDemoOutcome[]> {
  const outcomes: GatewayDemoOutcome[] = [];
  for (const [calling, called] of directions)
    for (const phase of options.phases ?? demoPhases) outcomes.push(await playOne([calling, called], phase, options));
  return outcomes;
}

async function playOne(
  [calling, called]: DemoDirection,
  phase: DemoPhase,
  options: GatewayDemoOptions,
): Promise<GatewayDemoOutcome> {
  const stage = new Stage(calling, called, phase, options);
  try {
    return await stage.play();
  } finally {
    await stage.close();
  }
}

function printTable(
  outcomes: readonly GatewayDemoOutcome[],
  control: readonly GatewayDemoOutcome[] | undefined,
  withDirection: boolean,
  print: (text: string) => void,
): void {
  const lead = (text: string): string => (withDirection ? text.padEnd(18) : '');
  print('');
  const time = (ms: number | undefined): string => (ms === undefined ? '-' : `${ms} ms`);
  const without = (text: string): string => (control === undefined ? '' : `   ${text}`);
  print(
    `${lead('call')}primary gone while     call survives   first word of the backup   longest silence${without('without AlternatePath')}`,
  );
  outcomes.forEach(({ direction, phase, ok, detail, switchMs, gapMs }, index) => {
    const other = control?.[index];
    print(
      `${lead(direction)}${phase.padEnd(22)} ${(ok ? 'yes' : `NO: ${detail}`).padEnd(15)} ${time(switchMs).padEnd(26)} ${time(gapMs).padEnd(15)}${without(other?.ok === true ? 'survives' : `lost: ${other?.detail}`)}`.trimEnd(),
    );
  });
}

/** What a person waits for after the death in the control run, of which nothing comes. */
const controlPatienceMs = 5_000;

const patienceMs = 20_000;

/** So long they talk, the death of the controller included. */
const talkMs = 400;

/** Since the line heard the other party's speech. */
const speechMs = ({ heard }: SimulatedLine): number => heard?.quietMs ?? Number.POSITIVE_INFINITY;

const primaryHost = '127.0.0.1';
const backupHost = '127.0.0.2';
const callerHost = '127.0.0.3';
const calleeHost = '127.0.0.4';
const callerNumber = '200';
const calleeNumber = '301';

class Stage {
  readonly #calling: DemoParty;
  readonly #called: DemoParty;
  readonly #phase: DemoPhase;
  readonly #options: GatewayDemoOptions;
  readonly #port = 20_000 + Math.floor(systemRandom.fraction() * 20_000);
  readonly #files = mkdtempSync(join(tmpdir(), 'altpath-demo-'));
  readonly #children: ChildProcess[] = [];
  readonly #gateways: SimulatedGateway[] = [];
  readonly #startedMs = systemClock.now();
  #killedMs: number | undefined;
  #switchMs: number | undefined;
  #gapMs: number | undefined;

  constructor(calling: DemoParty, called: DemoParty, phase: DemoPhase, options: GatewayDemoOptions) {
    this.#calling = calling;
    this.#called = called;
    this.#phase = phase;
    this.#options = options;
  }

  async play(): Promise<GatewayDemoOutcome> {
    const { print, how } = this.#options;
    const direction = `${this.#calling.protocol} to ${this.#called.protocol}`;
    print(`\n── ${direction}: the primary ${how === 'kill' ? 'is killed' : 'falls silent'} while ${this.#phase} ──`);
    const primary = await this.#controller(primaryHost);
    if (!this.#isControl) await this.#controller(backupHost);
    const caller = await this.#party(this.#calling, 'gw1', callerHost, callerNumber);
    const callee = await this.#party(this.#called, 'gw2', calleeHost, calleeNumber);
    const failure = await this.#call(caller, callee, () => this.#kill(primary));
    return {
      direction,
      phase: this.#phase,
      ok: failure === undefined,
      detail: failure ?? 'dial tone, ringing, talk path, hang-up; every line is with the backup',
      switchMs: this.#switchMs,
      gapMs: this.#gapMs,
    };
  }

  async close(): Promise<void> {
    for (const gateway of this.#gateways) await gateway.stop();
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.#files, { recursive: true, force: true });
  }

  get #isControl(): boolean {
    return this.#options.isControl === true;
  }

  /** Each step: what must come, and what a person does then. */
  async #call(a: SimulatedLine, b: SimulatedLine, kill: () => void): Promise<string | undefined> {
    const killIn = (phase: DemoPhase): void => {
      if (this.#phase === phase) kill();
    };
    let talkingMs = 0;
    const steps: readonly (readonly [what: string, holds: () => boolean, then: () => void])[] = [
      ['lines armed', () => a.isIdle && b.isIdle, () => a.offHook()],
      [
        'dial tone',
        () => a.hears === 'dial',
        () => {
          a.dial(calleeNumber);
          killIn('dialling');
        },
      ],
      [
        'ringing',
        () => b.hears === 'ring' && a.hears === 'ringback',
        () => {
          killIn('ringing');
          b.offHook();
        },
      ],
      ['talk path both ways', () => areTalking(a, b), () => undefined],
      [
        'speech both ways',
        () => hearEachOther(a, b),
        () => {
          killIn('talking');
          talkingMs = systemClock.now();
        },
      ],
      [
        'speech goes on',
        () => systemClock.now() - talkingMs >= talkMs && speechMs(a) < talkMs / 2 && speechMs(b) < talkMs / 2,
        () => {
          this.#gapMs = Math.max(a.heard?.longestGapMs ?? 0, b.heard?.longestGapMs ?? 0);
          a.onHook();
        },
      ],
      ['busy tone', () => b.hears === 'busy', () => b.onHook()],
      ['both lines idle', () => a.isIdle && b.isIdle, () => undefined],
      [
        'both lines with the backup',
        () => this.#isControl || [a, b].every(({ controller }) => controller?.host === backupHost),
        () => undefined,
      ],
    ];
    for (const [what, holds, then] of steps) {
      const limitMs = this.#isControl && this.#killedMs !== undefined ? controlPatienceMs : patienceMs;
      if (!(await within(limitMs, holds))) return `no ${what}`;
      this.#note(what);
      then();
    }
    return undefined;
  }

  #kill(child: ChildProcess): void {
    const { how } = this.#options;
    child.kill(how === 'kill' ? 'SIGKILL' : 'SIGSTOP');
    this.#killedMs = systemClock.now();
    this.#note(how === 'kill' ? 'kill -9 of the primary' : 'the primary is stopped');
  }

  async #controller(host: string): Promise<ChildProcess> {
    const file = join(this.#files, `${host}.yaml`);
    // JSON is YAML.
    writeFileSync(file, JSON.stringify(this.#configuration(host)));
    const child = spawn(process.execPath, [programFile, 'run', '-c', file], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.push(child);
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stdout?.on('data', (chunk: Buffer) => {
        said += chunk.toString();
        if (said.includes('"msg":"ready"')) resolve();
      });
      child.once('exit', (code) => reject(new Error(`a controller ended at its start with code ${code}`)));
    });
    return child;
  }

  #configuration(host: string): Readonly<Record<string, unknown>> {
    const isPrimary = host === primaryHost;
    const section = (protocol: string): Readonly<Record<string, unknown>> => {
      const at = (of: string): string => formatSocketAddress({ host: of, port: this.#portOf(protocol) });
      const partner = at(isPrimary ? backupHost : primaryHost);
      const ends = [
        { party: this.#calling, name: 'gw1', address: callerHost, number: callerNumber },
        { party: this.#called, name: 'gw2', address: calleeHost, number: calleeNumber },
      ].filter(({ party }) => party.protocol === protocol);
      const lines = ends.filter(({ party }) => party.registers !== true);
      return {
        listen: [at(host)],
        backup: isPrimary && !this.#isControl ? [partner] : [],
        backupFor: isPrimary ? [] : [partner],
        ...(lines.length === 0
          ? {}
          : {
              gateways: lines.map(({ name, address }) => `${name}=${at(address)}`),
              lines: lines.map(({ name, number }) => `${number}=aaln/1@${name}`),
            }),
        ...ends[0]?.party.section?.(),
      };
    };
    const protocols = [...new Set([this.#calling.protocol, this.#called.protocol])];
    return {
      log: { format: 'json' },
      admin: 'off',
      location: this.#registers ? `sqlite:${join(this.#files, 'locations.sqlite')}` : 'memory',
      cluster: { secret: 'the demonstration is on this machine alone' },
      ...Object.fromEntries(protocols.map((protocol) => [protocol, section(protocol)])),
    };
  }

  /** Whoever registers is known at both controllers by their common store. */
  get #registers(): boolean {
    return [this.#calling, this.#called].some(({ registers }) => registers === true);
  }

  /** Roles of one process need ports of their own. */
  #portOf(protocol: string): number {
    return protocol === this.#calling.protocol ? this.#port : this.#port + 1;
  }

  async #party(party: DemoParty, name: string, host: string, number: string): Promise<SimulatedLine> {
    const parts = { clock: systemClock, log: silentLog, metrics: new Metrics() };
    const port = this.#portOf(party.protocol);
    const at = (of: string): ControllerAddress => ({ transport: 'udp', host: of, port });
    const network = createNetwork(parts);
    const gateway = party.create(
      { ...parts, random: systemRandom, network: this.#tapped(network, name, party) },
      {
        name: party.registers === true ? number : name,
        listen: at(host),
        controllers: [at(primaryHost)],
        lines: 1,
        aware: true,
        encoding: this.#options.encoding,
        media: new RtpMedia({ ...parts, random: systemRandom, network, host }),
      },
    );
    this.#gateways.push(gateway);
    await gateway.start();
    const [line] = gateway.lines;
    if (line === undefined) throw new Error('a gateway without lines');
    return line;
  }

  /** The network, with every message that arrives at this gateway on the ladder. */
  #tapped(network: Network, name: string, party: DemoParty): Network {
    return {
      bind: (address, options, events) =>
        network.bind(address, options, {
          ...events,
          received: (bytes, flow) => {
            if (flow.remote.host === backupHost && this.#killedMs !== undefined)
              this.#switchMs ??= Math.round(systemClock.now() - this.#killedMs);
            for (const text of party.summarize(bytes))
              this.#note(`${name} <── ${formatSocketAddress(flow.remote)}  ${text}`);
            events.received(bytes, flow);
          },
          failed: (flow, error) => events.failed(flow, error),
        }),
    };
  }

  #note(text: string): void {
    this.#options.print(`${String(Math.round(systemClock.now() - this.#startedMs)).padStart(6)} ms  ${text}`);
  }
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
