/** What a controller costs: processor time per line-to-line call, and how long ten thousand lines take to be armed after a restart. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SimGateway } from '../protocols/megaco/gateway/sim-gateway.ts';
import { isIdle, mediaOf } from '../protocols/megaco/gateway/simulation.ts';
import { createNetwork, Metrics, silentLog, systemClock, systemRandom } from '../src/internal.ts';
import { cpuSeconds, memory } from './support/process-cost.ts';
import type { BenchOptions, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'megaco-lines',
  title: 'MEGACO controller: calls and a restart avalanche',
  works: [],
  byDefault: false,
  run,
};

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const host = '127.0.71.1';
const gatewayCount = 20;

async function run(options: BenchOptions): Promise<SuiteReport> {
  const lines = options.quick ? 100 : 500;
  const calls = options.calls ?? (options.quick ? 200 : 2_000);
  const port = 21_000 + (process.pid % 20_000);
  const directory = mkdtempSync(join(tmpdir(), 'altpath-bench-'));
  const file = join(directory, 'megaco.yaml');
  writeFileSync(file, JSON.stringify(configuration(port, lines)));
  const controller = spawn(
    process.execPath,
    [main, 'megaco', '-c', file, '--log-level', 'info', '--log-format', 'json'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    },
  );
  const gateways: SimGateway[] = [];
  try {
    await ready(controller);
    const pid = controller.pid ?? 0;
    const before = cpuSeconds(pid);
    const started = performance.now();
    for (let index = 0; index < gatewayCount; index += 1) gateways.push(await gateway(index, port, lines));
    await until(() => gateways.every((each) => each.lines.every(isIdle)), 120_000);
    const armedMs = performance.now() - started;
    const armedCpu = cpuSeconds(pid) - before;
    options.log(`${gatewayCount * lines} lines armed`);

    const callsBefore = cpuSeconds(pid);
    const failed = await makeCalls(gateways, lines, calls);
    const perCall = ((cpuSeconds(pid) - callsBefore) * 1e6) / calls;
    const faults = failed === 0 ? [] : [`${failed} calls failed`];
    return {
      rows: [
        {
          what: `restart of ${gatewayCount * lines} lines: until every line is armed`,
          unit: 'ms',
          better: 'lower',
          ours: { values: [armedMs], faults: [] },
        },
        {
          what: 'restart: processor time per line',
          unit: 'µs',
          better: 'lower',
          ours: { values: [(armedCpu * 1e6) / (gatewayCount * lines)], faults: [] },
        },
        {
          what: 'line-to-line call: processor time',
          unit: 'µs',
          better: 'lower',
          target: 1_000,
          ours: { values: [perCall], faults },
        },
        {
          what: 'memory of the controller',
          unit: 'MiB',
          better: 'lower',
          ours: { values: [memory(pid).pssMiB], faults: [] },
        },
      ],
      notes: ['a call: off-hook, digits, ringing, answer, hang-up on both sides'],
    };
  } finally {
    for (const each of gateways) await each.stop();
    controller.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

const configuration = (port: number, lines: number) => ({
  megaco: {
    listen: [`udp:${host}:${port}`],
    gateways: Array.from({ length: gatewayCount }, (_, index) => ({
      name: `gw${index}`,
      addresses: [`127.0.71.${index + 10}:${port}`],
    })),
    lines: Array.from({ length: gatewayCount * lines }, (_, index) => ({
      number: String(100_000 + index),
      termination: `aaln/${(index % lines) + 1}@gw${Math.floor(index / lines)}`,
    })),
  },
});

async function gateway(index: number, port: number, lines: number): Promise<SimGateway> {
  const metrics = new Metrics();
  const made = new SimGateway(
    {
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      metrics,
      network: createNetwork({ clock: systemClock, log: silentLog, metrics }),
    },
    {
      name: `gw${index}`,
      listen: { transport: 'udp', host: `127.0.71.${index + 10}`, port },
      controllers: [{ transport: 'udp', host, port }],
      lines,
    },
  );
  await made.start();
  return made;
}

/** Sixteen at a time, each from a line of one gateway to the same line of the next. */
async function makeCalls(gateways: readonly SimGateway[], lines: number, calls: number): Promise<number> {
  let failed = 0;
  let next = 0;
  const one = async (worker: number): Promise<void> => {
    while (next < calls) {
      next += 1;
      const from = gateways[(worker * 2) % gatewayCount];
      const to = gateways[(worker * 2 + 1) % gatewayCount];
      const index = Math.floor(worker / (gatewayCount / 2));
      const a = from?.lines[index];
      const b = to?.lines[index];
      if (from === undefined || to === undefined || a === undefined || b === undefined) return;
      a.offHook();
      const number = 100_000 + ((worker * 2 + 1) % gatewayCount) * lines + index;
      let ok = await until(() => a.collecting, 5_000);
      a.dial(String(number));
      ok &&= await until(() => b.signal === 'al/ri', 5_000);
      b.offHook();
      ok &&= await until(() => mediaOf(from, a)?.talks === true && mediaOf(to, b)?.talks === true, 5_000);
      if (!ok) failed += 1;
      a.onHook();
      b.onHook();
      await until(() => isIdle(a) && isIdle(b), 5_000);
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, worker) => one(worker)));
  return failed;
}

function ready(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      if (chunk.includes('ready')) resolve();
    });
    child.once('exit', (code) => reject(new Error(`the controller ended with code ${code}`)));
  });
}

async function until(holds: () => boolean, limitMs: number): Promise<boolean> {
  const end = performance.now() + limitMs;
  while (performance.now() < end) {
    if (holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return holds();
}
