/**
 * The MGCP call agent: its codec; what a call between two lines costs it in processor time; how long a restart avalanche of 10,000 lines
 * lasts until each is armed, and what a line costs in memory. The agent is a process of its own, the gateways are simulated in this one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeDatagram } from '../protocols/mgcp/codec/decode.ts';
import { encodeDatagram } from '../protocols/mgcp/codec/encode.ts';
import type { MgcpDatagram } from '../protocols/mgcp/codec/messages.ts';
import { SimGateway } from '../protocols/mgcp/gateway/sim-gateway.ts';
import type { SimLine } from '../protocols/mgcp/gateway/sim-line.ts';
import { isIdle } from '../protocols/mgcp/gateway/simulation.ts';
import { createNetwork, Metrics, silentLog, systemClock, systemRandom } from '../src/internal.ts';
import { nanoseconds, timing } from './support/nanoseconds.ts';
import { cpuSeconds, memory } from './support/process-cost.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'mgcp',
  title: 'MGCP call agent: codec, calls, avalanche',
  works: ['codec', 'call', 'avalanche'],
  byDefault: true,
  run,
};

async function run(options: BenchOptions): Promise<SuiteReport> {
  const wants = (work: string): boolean => options.work === undefined || options.work.includes(work);
  const rows: Row[] = [];
  if (wants('codec')) rows.push(...codecRows(options));
  if (wants('call')) rows.push(...(await callRows(options)));
  if (wants('avalanche')) rows.push(...(await avalancheRows(options)));
  return {
    rows,
    notes: [
      'a call is dial tone, digits, ringing, answer, talk path, hang-up of both: 19 messages to and from the agent',
    ],
  };
}

function codecRows(options: BenchOptions): readonly Row[] {
  const datagrams = Array.from({ length: 64 }, (_, index) => Buffer.from(create(index), 'latin1'));
  const messages = datagrams.map(decoded);
  const pick = <T>(list: readonly T[], iteration: number): T => list[iteration % list.length] ?? never();
  const values = nanoseconds(
    new Map<string, (iteration: number) => unknown>([
      ['decode', (i) => decodeDatagram(pick(datagrams, i))],
      ['encode', (i) => encodeDatagram(pick(messages, i), undefined)],
      ['both', (i) => encodeDatagram(decoded(pick(datagrams, i)), undefined)],
    ]),
    timing(options.quick),
  );
  const row = (what: string, name: string, target?: number): Row => ({
    what,
    unit: 'µs',
    better: 'lower',
    ours: { values: (values.get(name) ?? []).map((ns) => ns / 1_000), faults: [] },
    ...(target === undefined ? {} : { target }),
  });
  return [
    row('CRCX with request and description: decode', 'decode'),
    row('CRCX with request and description: encode', 'encode'),
    row('CRCX with request and description: both', 'both', 3),
  ];
}

async function callRows(options: BenchOptions): Promise<readonly Row[]> {
  const calls = options.calls ?? (options.quick ? 500 : 4_000);
  const runs = options.runs ?? (options.quick ? 1 : 3);
  const pairs = 16;
  const scene = await setScene(2, pairs);
  const cpu: number[] = [];
  const faults: string[] = [];
  try {
    await scene.armed(20_000);
    await callsInParallel(scene, pairs, Math.min(calls, 500));
    for (let each = 0; each < runs; each += 1) {
      const before = cpuSeconds(scene.pid);
      const failed = await callsInParallel(scene, pairs, calls);
      cpu.push(((cpuSeconds(scene.pid) - before) * 1e6) / calls);
      if (failed > 0) faults.push(`${failed} calls failed`);
    }
  } finally {
    await scene.close();
  }
  return [
    {
      what: 'processor time per call between two lines',
      unit: 'µs',
      better: 'lower',
      ours: { values: cpu, faults },
      target: 1_000,
    },
  ];
}

async function avalancheRows(options: BenchOptions): Promise<readonly Row[]> {
  const lines = options.quick ? 2_000 : 10_000;
  const runs = options.runs ?? (options.quick ? 1 : 3);
  const gatewayCount = 10;
  const empty = await setScene(1, 2);
  await empty.armed(20_000);
  const emptyMiB = memory(empty.pid).pssMiB;
  await empty.close();
  const scene = await setScene(gatewayCount, lines / gatewayCount);
  const seconds: number[] = [];
  const rates: number[] = [];
  const bytes: number[] = [];
  const faults: string[] = [];
  try {
    if (!(await scene.armed(120_000))) faults.push('not every line was armed at the start');
    bytes.push(((memory(scene.pid).pssMiB - emptyMiB) * 1_024 * 1_024) / lines);
    for (let each = 0; each < runs; each += 1) {
      const started = performance.now();
      for (const gateway of scene.gateways) gateway.restart();
      if (!(await scene.armed(120_000))) faults.push('not every line was armed after the restart');
      const took = (performance.now() - started) / 1_000;
      seconds.push(took);
      rates.push(lines / took);
    }
  } finally {
    await scene.close();
  }
  return [
    {
      what: `restart avalanche of ${lines} lines until each is armed`,
      unit: 's',
      better: 'lower',
      ours: { values: seconds, faults },
    },
    { what: `commands per second with ${lines} lines`, unit: '1/s', better: 'higher', ours: { values: rates, faults } },
    { what: 'memory of the agent per line', unit: 'B', better: 'lower', ours: { values: bytes, faults: [] } },
  ];
}

interface Scene {
  readonly pid: number;
  readonly gateways: readonly SimGateway[];
  armed(limitMs: number): Promise<boolean>;
  close(): Promise<void>;
}

/** An agent with so many gateways of so many lines each; numbers begin at 10000. */
async function setScene(gatewayCount: number, lines: number): Promise<Scene> {
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const host = (gateway: number): string => `127.0.40.${gateway + 1}`;
  const directory = mkdtempSync(join(tmpdir(), 'altpath-bench-'));
  const file = join(directory, 'mgcp.yaml');
  const each = Array.from({ length: gatewayCount }, (_, gateway) => gateway);
  writeFileSync(
    file,
    [
      'log: { level: warn, format: json }',
      'admin: "off"',
      'mgcp:',
      `  listen: ["127.0.0.1:${port}"]`,
      '  gateways:',
      ...each.map((gateway) => `    - { name: rgw${gateway}, addresses: ["${host(gateway)}:${port}"] }`),
      '  lines:',
      ...each.flatMap((gateway) =>
        Array.from(
          { length: lines },
          (_, line) =>
            `    - { number: "${10_000 + gateway * lines + line}", endpoint: aaln/${line + 1}@rgw${gateway} }`,
        ),
      ),
      '',
    ].join('\n'),
  );
  const main = new URL('../src/main.ts', import.meta.url).pathname;
  const child: ChildProcess = spawn(process.execPath, [main, 'mgcp', '-c', file, '--log-level', 'info'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  });
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.includes('ready')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the call agent ended with code ${code}`)));
  });
  const metrics = new Metrics();
  const gateways = each.map(
    (gateway) =>
      new SimGateway(
        {
          clock: systemClock,
          random: systemRandom,
          log: silentLog,
          metrics,
          network: createNetwork({ clock: systemClock, log: silentLog, metrics }),
        },
        {
          name: `rgw${gateway}`,
          listen: { transport: 'udp', host: host(gateway), port },
          callAgents: [{ transport: 'udp', host: '127.0.0.1', port }],
          lines,
        },
      ),
  );
  for (const gateway of gateways) await gateway.start();
  return {
    pid: child.pid ?? 0,
    gateways,
    armed: async (limitMs) => {
      const until = performance.now() + limitMs;
      while (performance.now() < until) {
        if (gateways.every((gateway) => gateway.lines.every(isIdle))) return true;
        await pause(25);
      }
      return false;
    },
    close: async () => {
      child.removeAllListeners('exit');
      const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGKILL');
      await ended;
      for (const gateway of gateways) await gateway.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Line n of gateway 0 calls line n of gateway 1, again and again. Returns how many calls failed. */
async function callsInParallel(scene: Scene, pairs: number, calls: number): Promise<number> {
  const [from, to] = scene.gateways;
  let begun = 0;
  let failed = 0;
  await Promise.all(
    Array.from({ length: pairs }, async (_, pair) => {
      const a = from?.line(pair + 1);
      const b = to?.line(pair + 1);
      if (a === undefined || b === undefined) return;
      while (begun < calls) {
        begun += 1;
        if (!(await oneCall(a, b, String(10_000 + pairs + pair)))) failed += 1;
      }
    }),
  );
  return failed;
}

async function oneCall(a: SimLine, b: SimLine, number: string): Promise<boolean> {
  a.offHook();
  if (!(await holds(() => a.hears === 'L/dl'))) return false;
  a.dial(number);
  if (!(await holds(() => b.hears === 'L/rg' && a.hears === 'G/rt'))) return false;
  b.offHook();
  if (!(await holds(() => a.talksTo.length === 1 && b.talksTo.length === 1))) return false;
  a.onHook();
  b.onHook();
  return holds(() => isIdle(a) && isIdle(b));
}

async function holds(condition: () => boolean): Promise<boolean> {
  for (let turn = 0; turn < 20_000; turn += 1) {
    if (condition()) return true;
    await (turn % 50 === 49 ? pause(1) : new Promise<void>((resolve) => setImmediate(resolve)));
  }
  return false;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Unlike ids, so that no engine learns one message by heart. */
const create = (index: number): string =>
  [
    `CRCX ${100_000 + index * 7} aaln/${index}@rgw${index % 7}.example.net MGCP 1.0`,
    `C: A3C47F21456789F0${index}`,
    'L: p:20, a:PCMU',
    'M: recvonly',
    `X: 5${index}00AD`,
    'R: L/hd(N)',
    'S: L/rg',
    'Q: loop',
    'N: ca@[127.0.0.1]',
    'X-ALTPTH: ca@[127.0.0.2]',
    '',
    'v=0',
    `o=- ${index} 753849 IN IP4 128.96.41.1`,
    's=-',
    'c=IN IP4 128.96.41.1',
    't=0 0',
    `m=audio ${3_000 + index} RTP/AVP 0`,
    '',
  ].join('\r\n');

function decoded(bytes: Uint8Array): MgcpDatagram {
  const result = decodeDatagram(bytes);
  return result.ok ? result.value : never();
}

function never(): never {
  throw new Error('the bench feeds well-formed messages');
}
