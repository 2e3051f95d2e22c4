/** The controllers of the demo as processes of their own, which can be killed, stopped and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ControllerAddress,
  formatAddress,
  formatSocketAddress,
  programFile,
  systemClock,
  systemRandom,
} from '../../../src/internal.ts';

export const domain = 'demo.altpath';

export interface Members {
  readonly primary: ControllerAddress;
  readonly backup: ControllerAddress;
  /** Edge proxies of plain telephones, one on each side. */
  readonly callerEdge: ControllerAddress;
  readonly calleeEdge: ControllerAddress;
  start(): Promise<void>;
  /** SIGKILL (settles when the process is gone, with that moment), or SIGSTOP for a host that falls silent. */
  strike(how: 'kill' | 'stop'): Promise<number> | undefined;
  /** The primary again: a new process, or the stopped one goes on. */
  revive(): Promise<void>;
  /** Process ids by name: primary, backup, caller edge, callee edge. */
  pids(): ReadonlyMap<string, number>;
  /** Ends every process and takes the files away; safe to call twice. */
  close(): Promise<void>;
}

export interface MemberOptions {
  readonly port: number;
  /** How long the returned primary is watched before it gets new work. */
  readonly holdMs: number;
  /** No backup, and nobody names one: for comparison. */
  readonly isAlone?: boolean;
  /** Both controllers are there, but no message names a backup, and neither stands in for the other: for comparison. */
  readonly isUnnamed?: boolean;
  /** The ports of the pair's dashboards, on their own addresses. */
  readonly adminPort?: number | undefined;
}

export function members({ port, holdMs, isAlone = false, isUnnamed = false, adminPort }: MemberOptions): Members {
  const at = (host: string): ControllerAddress => ({ transport: 'udp', host, port });
  const primary = at('127.0.0.1');
  const backup = at('127.0.0.2');
  const callerEdge = at('127.0.0.11');
  const calleeEdge = at('127.0.0.12');
  const directory = mkdtempSync(join(tmpdir(), 'altpath-demo-'));
  const secret = systemRandom.hex(16);
  // UDP, and no member listens there: its neighbour is the signaling port.
  const linkPort = port === 65_535 ? port - 1 : port + 1;
  const processes = new Map<string, ChildProcess>();
  const timers = { holdMs, downProbeMs: 250 };

  const pair = isAlone ? [primary] : [primary, backup];
  const paired = (self: ControllerAddress): Configured => ({
    location: shared(directory),
    ...(adminPort === undefined ? {} : { admin: formatSocketAddress({ host: self.host, port: adminPort }) }),
    sip: member(self, isUnnamed ? [self] : pair, timers),
  });
  const configs: Readonly<Record<string, Configured>> = {
    primary: paired(primary),
    ...(isAlone ? {} : { backup: paired(backup) }),
    'caller edge': { location: 'memory', sip: edge(callerEdge, pair, timers) },
    'callee edge': { location: 'memory', sip: edge(calleeEdge, pair, timers) },
  };

  const launch = async (name: string): Promise<void> => {
    const file = join(directory, `${name.replace(' ', '-')}.yaml`);
    // JSON is YAML.
    writeFileSync(
      file,
      JSON.stringify({
        admin: 'off',
        log: { level: 'info', format: 'json' },
        shutdownSeconds: 1,
        // Loopback only, and gone with the demo.
        cluster: { secret, port: linkPort },
        ...configs[name],
      }),
    );
    const child = spawn(process.execPath, [...process.execArgv, programFile, 'sip', '-c', file], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    processes.set(name, child);
    await ready(child, name);
  };

  return {
    primary,
    backup,
    callerEdge,
    calleeEdge,
    start: async () => {
      await Promise.all(Object.keys(configs).map(launch));
    },
    strike: (how) => {
      const child = processes.get('primary');
      const exit =
        how === 'stop'
          ? undefined
          : new Promise<number>((resolve) => child?.once('exit', () => resolve(systemClock.now())));
      child?.kill(how === 'kill' ? 'SIGKILL' : 'SIGSTOP');
      return exit;
    },
    revive: async () => {
      const child = processes.get('primary');
      if (child !== undefined && child.exitCode === null && child.signalCode === null) child.kill('SIGCONT');
      else await launch('primary');
    },
    pids: () => new Map([...processes].flatMap(([name, { pid }]) => (pid === undefined ? [] : [[name, pid]]))),
    close: async () => {
      await Promise.all([...processes.values()].map(end));
      processes.clear();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Configured {
  readonly location: string;
  readonly admin?: string;
  readonly sip: unknown;
}

const shared = (directory: string): string => `sqlite:${join(directory, 'locations.sqlite')}`;

const member = (self: ControllerAddress, pair: readonly ControllerAddress[], timers: unknown): unknown => {
  const partners = pair.filter((each) => each !== self).map(formatAddress);
  return {
    listen: [formatAddress(self)],
    domains: [domain],
    backup: partners,
    backupFor: partners,
    serviceRoute: true,
    timers,
  };
};

const edge = (self: ControllerAddress, pair: readonly ControllerAddress[], timers: unknown): unknown => ({
  listen: [formatAddress(self)],
  routes: [{ domain, to: pair.map(formatAddress) }],
  timers,
});

/** Settles with the log line `ready`; rejects with what the process said instead. */
function ready(child: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const listen = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-8_192);
      if (said.includes('"msg":"ready"')) resolve();
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`the ${name} did not start: ${said.trim().split('\n').at(-1) ?? ''}`)));
  });
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resolve();
      return;
    }
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
