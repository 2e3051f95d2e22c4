/**
 * Starts the proxy under test on loopback addresses of its own: altpath, or Kamailio (ALTPATH_INTEROP_PROXY=kamailio),
 * with which the harness proves itself.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Certificate } from './certificate.ts';
import { Child } from './child.ts';
import { answersOptions } from './ping.ts';
import { program } from './programs.ts';
import { scratchDirectory } from './scratch.ts';

export type ProxyKind = 'altpath' | 'kamailio';

export interface ProxyOptions {
  readonly kind?: ProxyKind;
  readonly host: string;
  readonly port?: number;
  /** Beside UDP, which is always there. */
  readonly transports?: readonly ('tcp' | 'tls' | 'ws')[];
  readonly certificate?: Certificate;
  /** Backups to announce, first choice first. altpath only. */
  readonly backups?: readonly string[];
  /** `memory`, `sqlite:FILE`. altpath only. */
  readonly location?: string;
  /** Further settings of the `sip:` section. altpath only. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Further sections beside it. altpath only. */
  readonly core?: Readonly<Record<string, unknown>>;
  /** Flags of Node itself, as `--cpu-prof`. */
  readonly nodeFlags?: readonly string[];
  readonly openFiles?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunningProxy {
  readonly kind: ProxyKind;
  readonly host: string;
  /** UDP, and TCP where asked for. */
  readonly port: number;
  readonly tlsPort: number;
  readonly wsPort: number;
  /** `host:port` of UDP and TCP. */
  readonly address: string;
  readonly child: Child;
}

const { ALTPATH_INTEROP_PROXY } = process.env;

/** What tests run against unless they say otherwise. */
export const proxyUnderTest: ProxyKind = ALTPATH_INTEROP_PROXY === 'kamailio' ? 'kamailio' : 'altpath';

/** Returns when it answers OPTIONS. @throws Error with its last words. */
export async function startProxy(options: ProxyOptions): Promise<RunningProxy> {
  const kind = options.kind ?? proxyUnderTest;
  const port = options.port ?? 5060;
  const ports = { port, tlsPort: port + 1, wsPort: port + 20 };
  const [command, args] = kind === 'kamailio' ? kamailio(options, ports) : altpath(options, ports);
  const child = new Child(kind, command, args, {
    cwd: scratchDirectory(kind),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.openFiles === undefined ? {} : { openFiles: options.openFiles }),
  });
  if (!(await answersOptions(options.host, port, 15_000, () => child.exited !== undefined))) {
    await child.stop('SIGKILL');
    throw new Error(`${kind} does not answer OPTIONS at ${options.host}:${port}:\n${child.output.slice(-3000)}`);
  }
  return { kind, host: options.host, ...ports, address: `${options.host}:${port}`, child };
}

interface Ports {
  readonly port: number;
  readonly tlsPort: number;
  readonly wsPort: number;
}

function altpath(options: ProxyOptions, ports: Ports): [string, string[]] {
  return [
    process.execPath,
    [
      ...(options.nodeFlags ?? []),
      fileURLToPath(new URL('../../../src/main.ts', import.meta.url)),
      ...['sip', '-c', configFile(options, ports), '--location', options.location ?? 'memory'],
      ...(options.backups ?? []).flatMap((backup) => ['--backup', backup]),
    ],
  ];
}

/** JSON is YAML too. */
function configFile({ host, transports = [], certificate, settings, core }: ProxyOptions, ports: Ports): string {
  const path = join(scratchDirectory('config'), 'altpath.yaml');
  const portOf = { udp: ports.port, tcp: ports.port, tls: ports.tlsPort, ws: ports.wsPort };
  const listen = (['udp', ...transports] as const).map((transport) => `${transport}:${host}:${portOf[transport]}`);
  const tls =
    certificate === undefined
      ? {}
      : { tls: { certFile: certificate.certFile, keyFile: certificate.keyFile, caFile: certificate.certFile } };
  writeFileSync(path, JSON.stringify({ ...core, sip: { listen, ...tls, ...settings } }, undefined, 1));
  return path;
}

function kamailio(options: ProxyOptions, ports: Ports): [string, string[]] {
  const directory = scratchDirectory('kamailio-run');
  const has = (transport: 'tcp' | 'tls'): boolean => options.transports?.includes(transport) === true;
  const { certificate } = options;
  return [
    program('kamailio'),
    [
      ...['-DD', '-E', '-f', fileURLToPath(new URL('../../../bench/sip/kamailio.cfg', import.meta.url))],
      ...['-n', '1', '-m', '1500', '-M', '16', '-P', join(directory, 'pid'), '-Y', directory],
      ...['-A', `CTLSOCK="unix:${join(directory, 'ctl')}"`, '-l', `udp:${options.host}:${ports.port}`],
      ...(has('tcp') || has('tls') ? ['-A', 'WITH_TCP', '-l', `tcp:${options.host}:${ports.port}`] : []),
      ...(has('tls') && certificate !== undefined
        ? [
            ...['-A', 'WITH_TLS', '-l', `tls:${options.host}:${ports.tlsPort}`],
            ...['-A', `TLSCERT="${certificate.certFile}"`, '-A', `TLSKEY="${certificate.keyFile}"`],
          ]
        : []),
    ],
  ];
}
