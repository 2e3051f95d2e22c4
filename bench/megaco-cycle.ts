/**
 * Add, Modify, Subtract: three transactions of a controller, sixteen cycles in parallel, against the same gateway of Erlang/OTP.
 * Processor time of the controller per cycle, ours beside OTP's own.
 */
import { execFileSync, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { createMegacoAdapter } from '../protocols/megaco/adapter.ts';
import { TerminationNaming } from '../protocols/megaco/codec/binary/termination-naming.ts';
import {
  type ActionRequest,
  contextChoose,
  type Encoding,
  type PeerFormat,
} from '../protocols/megaco/codec/messages.ts';
import { MegacoEndpoint, remoteOf } from '../protocols/megaco/transactions.ts';
import {
  Assembler,
  type ControllerAddress,
  ControllerPool,
  type ControlPeer,
  createNetwork,
  Metrics,
  silentLog,
  systemClock,
  systemRandom,
  TransactionIds,
} from '../src/internal.ts';
import type { BenchOptions, Row, Suite, SuiteReport } from './support/suite.ts';

export const suite: Suite = {
  name: 'megaco-cycle',
  title: 'MEGACO Add+Modify+Subtract, 16 in parallel, controller beside OTP',
  works: ['pretty', 'compact', 'ber'],
  byDefault: true,
  run,
};

const script = fileURLToPath(new URL('./megaco/anchor_mgc.escript', import.meta.url));
const parallel = 16;
const anchorReport = z.object({ rows: z.array(z.object({ mgc_cpu_us_per_cycle: z.number() })) });

async function run(options: BenchOptions): Promise<SuiteReport> {
  const seconds = options.quick ? 2 : 4;
  const runs = options.quick ? 1 : (options.runs ?? 3);
  const rows: Row[] = [];
  const notes: string[] = ['CPU microseconds of the controller process per cycle of three transactions'];
  for (const work of options.work ?? suite.works) {
    const ours: number[] = [];
    const theirs: number[] = [];
    const faults: string[] = [];
    for (let round = 0; round < runs; round += 1) {
      options.log(`${work}: ours`);
      const result = await cycles(work, seconds);
      ours.push(result.cpuMicroseconds);
      if (result.failed > 0) faults.push(`${result.failed} transactions failed`);
      notes.push(`${work}: ${Math.round(result.perSecond)} cycles/s`);
      if (options.alone) continue;
      options.log(`${work}: OTP`);
      const text = execFileSync(
        'escript',
        [script, '--encoding', work, '--conc', String(parallel), '--secs', String(seconds), '--json'],
        { encoding: 'utf8' },
      );
      for (const row of anchorReport.parse(JSON.parse(text)).rows) theirs.push(row.mgc_cpu_us_per_cycle);
    }
    rows.push({
      what: `${work}: cycle`,
      unit: 'µs',
      better: 'lower',
      target: 0.8,
      ours: { values: ours, faults },
      ...(theirs.length === 0 ? {} : { anchor: { name: 'OTP', values: theirs, faults: [] } }),
    });
  }
  return { rows, notes };
}

interface CycleResult {
  readonly cpuMicroseconds: number;
  readonly perSecond: number;
  readonly failed: number;
}

async function cycles(work: string, seconds: number): Promise<CycleResult> {
  const encoding: Encoding = work === 'ber' ? 'binary' : work === 'compact' ? 'compact' : 'pretty';
  // OTP's default binary names are three octets, one level each.
  const format: PeerFormat = {
    encoding,
    version: 1,
    naming: new TerminationNaming({ octets: 3, kinds: [] }),
    bareEmptySignals: true,
  };
  const metrics = new Metrics();
  let registered: ((from: ControllerAddress) => void) | undefined;
  const gatewayAddress = new Promise<ControllerAddress>((resolve) => {
    registered = resolve;
  });
  const adapter = createMegacoAdapter({
    mId: () => 'mgc',
    namingOf: () => format.naming ?? new TerminationNaming(),
    formatFor: () => format,
  });
  const assembler = new Assembler({
    adapter,
    cluster: { backups: [{ transport: 'udp', host: '127.0.0.2', port: 2944 }], backupFor: [] },
    addressOf: ({ transport, local }) => ({ transport, ...local }),
  });
  const endpoint = new MegacoEndpoint({
    adapter,
    assembler,
    services: {
      clock: systemClock,
      random: systemRandom,
      metrics,
      network: createNetwork({ clock: systemClock, log: silentLog, metrics }),
    },
    log: silentLog,
    listen: [{ transport: 'udp', host: '127.0.0.1', port: 0 }],
    pool: new ControllerPool(systemClock, systemRandom),
    ids: new TransactionIds({ min: 1, max: 0xffff_fffe }, systemRandom),
    mId: () => 'mgc',
    formatFor: () => format,
    admits: () => true,
    onRequest: (incoming) => {
      incoming.reply([
        {
          contextId: 0,
          commands: [{ verb: 'ServiceChange', terminationId: 'ROOT', descriptors: [{ kind: 'Services', version: 1 }] }],
        },
      ]);
      registered?.(remoteOf(incoming.flow));
    },
  });
  const [listener] = await endpoint.start();
  const gateway = spawn('escript', [script, 'mg', work, 'false', String(listener?.local.port)], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = new Promise((resolve) => gateway.once('close', resolve));
  try {
    const address = await gatewayAddress;
    const peer: ControlPeer = { name: 'mg', addresses: () => [address] };
    await pause(300);
    await drive(endpoint, peer, encoding, 1_000);
    const before = process.cpuUsage();
    const started = performance.now();
    const { done, failed } = await drive(endpoint, peer, encoding, seconds * 1_000);
    const elapsed = performance.now() - started;
    const { user, system } = process.cpuUsage(before);
    return { cpuMicroseconds: (user + system) / done, perSecond: (done * 1_000) / elapsed, failed };
  } finally {
    gateway.stdin.end();
    await Promise.race([ended, pause(2_000)]);
    gateway.kill('SIGKILL');
    await endpoint.stop();
  }
}

function drive(
  endpoint: MegacoEndpoint,
  peer: ControlPeer,
  encoding: Encoding,
  forMs: number,
): Promise<{ done: number; failed: number }> {
  const until = performance.now() + forMs;
  const [line, rtp] = encoding === 'binary' ? ['x010101', 'x020101'] : ['line/1', 'rtp/1'];
  let done = 0;
  let failed = 0;
  let running = parallel;
  return new Promise((resolve) => {
    const step = (actions: readonly ActionRequest[], next: (contextId: number) => void): void => {
      endpoint.request(
        peer,
        () => actions,
        (outcome) => {
          const action = outcome.kind === 'answered' ? outcome.response.reply.actions[0] : undefined;
          if (action === undefined || action.error !== undefined) failed += 1;
          next(action?.contextId ?? 0);
        },
      );
    };
    const cycle = (): void => {
      if (performance.now() >= until) {
        running -= 1;
        if (running === 0) resolve({ done, failed });
        return;
      }
      step(add(line), (contextId) =>
        step(modify(contextId, line, rtp), () =>
          step(subtract(contextId, line, rtp), () => {
            done += 1;
            cycle();
          }),
        ),
      );
    };
    for (let index = 0; index < parallel; index += 1) cycle();
  });
}

const add = (line: string): readonly ActionRequest[] => [
  {
    contextId: contextChoose,
    commands: [
      {
        verb: 'Add',
        terminationId: line,
        descriptors: [
          { kind: 'Media', streams: [{ streamId: 1, localControl: { mode: 'SendReceive', properties: [] } }] },
        ],
      },
      {
        verb: 'Add',
        terminationId: '$',
        descriptors: [
          {
            kind: 'Media',
            streams: [
              {
                streamId: 1,
                localControl: {
                  mode: 'ReceiveOnly',
                  properties: [{ name: 'nt/jit', relation: '=', values: ['40'] }],
                },
                local: 'v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0',
              },
            ],
          },
        ],
      },
    ],
  },
];

const modify = (contextId: number, line: string, rtp: string): readonly ActionRequest[] => [
  {
    contextId,
    commands: [
      {
        verb: 'Modify',
        terminationId: line,
        descriptors: [{ kind: 'Signals', signals: [{ kind: 'signal', name: 'cg/rt', parameters: [] }] }],
      },
      {
        verb: 'Modify',
        terminationId: rtp,
        descriptors: [
          {
            kind: 'Media',
            streams: [
              {
                streamId: 1,
                localControl: { mode: 'SendReceive', properties: [] },
                remote: 'v=0\nc=IN IP4 127.0.0.1\nm=audio 40000 RTP/AVP 0',
              },
            ],
          },
        ],
      },
    ],
  },
];

const subtract = (contextId: number, line: string, rtp: string): readonly ActionRequest[] => [
  {
    contextId,
    commands: [line, rtp].map((terminationId) => ({
      verb: 'Subtract' as const,
      terminationId,
      descriptors: [{ kind: 'Audit' as const, items: ['Statistics' as const] }],
    })),
  },
];

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
