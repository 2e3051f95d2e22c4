/** As sip-tcp-pair.test.ts, with real processes and sockets: kill -9 and SIGSTOP of the member that all telephones registered with. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import {
  type ControllerAddress,
  createNetwork,
  formatAddress,
  Metrics,
  silentLog,
  systemClock,
} from '../../src/internal.ts';
import { isLost, TcpPhone } from '../support/sip-tcp-phone.ts';

const program = join(import.meta.dirname, '../../src/main.ts');
const domain = 'pair.example';
const port = 16_060;
const pairs = 8;

type Stops = (() => unknown)[];

const tcp = (host: string, at = port): ControllerAddress => ({ transport: 'tcp', host, port: at });

async function member(
  stops: Stops,
  directory: string,
  self: ControllerAddress,
  partner: ControllerAddress,
): Promise<ChildProcess> {
  const file = join(directory, `${self.host}.json`);
  writeFileSync(
    file,
    JSON.stringify({
      admin: 'off',
      log: { level: 'info', format: 'json' },
      cluster: { secret: 'a secret for a test of one minute' },
      location: `sqlite:${join(directory, 'locations.sqlite')}`,
      sip: {
        listen: [formatAddress(self)],
        domains: [domain],
        backup: [formatAddress(partner)],
        backupFor: [formatAddress(partner)],
      },
    }),
  );
  const child = spawn(process.execPath, [program, 'sip', '-c', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  stops.push(
    () =>
      new Promise<void>((resolve) => {
        if (child.exitCode !== null || child.signalCode !== null) resolve();
        else {
          child.once('exit', () => resolve());
          child.kill('SIGKILL');
        }
      }),
  );
  await new Promise<void>((resolve, reject) => {
    let said = '';
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      if (said.includes('"msg":"ready"')) resolve();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('exit', () => reject(new Error(`the member did not start: ${said.slice(-500)}`)));
  });
  return child;
}

async function phone(
  stops: Stops,
  user: string,
  address: ControllerAddress,
  servers: readonly ControllerAddress[],
  listens: boolean,
) {
  const parts = { clock: systemClock, log: silentLog, metrics: new Metrics() };
  const made = new TcpPhone({
    network: createNetwork(parts),
    clock: systemClock,
    address,
    user,
    domain,
    servers,
    listens,
    ringMs: 300,
    talkMs: 700,
  });
  await made.start();
  stops.push(() => made.stop());
  return made;
}

const until = async (holds: () => boolean, ms: number): Promise<void> => {
  const deadline = systemClock.now() + ms;
  while (!holds() && systemClock.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
};

async function drill(stops: Stops, signal: 'SIGKILL' | 'SIGSTOP', net: string) {
  const [primary, backup] = [tcp(`${net}.1`), tcp(`${net}.2`)];
  const directory = mkdtempSync(join(tmpdir(), 'altpath-tcp-pair-'));
  stops.push(() => rmSync(directory, { recursive: true, force: true }));
  const child = await member(stops, directory, primary, backup);
  await member(stops, directory, backup, primary);
  const servers = [primary, backup];
  const callers: TcpPhone[] = [];
  const others: TcpPhone[] = [];
  for (let n = 0; n < pairs; n += 1) {
    // Half of them listen at their contact, half are behind NAT.
    const listens = n % 2 === 0;
    callers.push(await phone(stops, `caller${n}`, tcp(`${net}.10`, port + n), servers, listens));
    others.push(await phone(stops, `callee${n}`, tcp(`${net}.11`, port + n), servers, listens));
  }
  // Strangers at the backup, whose connections have there the numbers that the others have at the primary.
  for (let n = 0; n < 2 * pairs; n += 1)
    others.push(await phone(stops, `stranger${n}`, tcp(`${net}.12`, port + n), [backup], true));
  await until(() => [...callers, ...others].every(({ registered }) => registered > 0), 10_000);
  for (let n = 0; n < 67; n += 1) {
    callers[n % pairs]?.call(`sip:callee${(n * 3) % pairs}@${domain}`);
    if (n === 33) child.kill(signal);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const calls = callers.flatMap((each) => [...each.calls.values()]);
  await until(() => calls.every((call) => !isLost(call) || call.complaint !== undefined), 20_000);
  return {
    calls: calls.length,
    lost: calls.filter(isLost),
    misdirected: [...callers, ...others].flatMap(({ misdirected }) => misdirected),
  };
}

describe('a pair of processes on TCP, every telephone registered with the primary alone', () => {
  for (const [signal, net] of [
    ['SIGKILL', '127.66.1'],
    ['SIGSTOP', '127.66.2'],
  ] as const)
    it.concurrent(`${signal} loses none of 67 calls at 20 a second, and nobody hears of another's`, async ({
      expect,
    }) => {
      const stops: Stops = [];
      try {
        expect(await drill(stops, signal, net)).toEqual({ calls: 67, lost: [], misdirected: [] });
      } finally {
        for (const stop of stops.reverse()) await stop();
      }
    }, 60_000);
});
