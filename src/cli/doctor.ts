/**
 * `altpath doctor`: what is wrong with a configuration in its surroundings, seen from this machine: names, the clock, sockets, certificates,
 * the secret, and each backup as a peer would try it.
 */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { askAdmin } from '../admin-client.ts';
import { systemClock } from '../clock.ts';
import { floatingWarnings } from '../config/floating.ts';
import { type LoadedConfig, loadConfig } from '../config/load.ts';
import type { ProtocolEntry, RoleSetup } from '../controller/protocol-entry.ts';
import { AltpathError } from '../errors.ts';
import { examineStore } from '../location/redis/examine-store.ts';
import { silentLog } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { isWildcard } from '../network/local-address.ts';
import { createNetwork } from '../network/node-network.ts';
import { type ControllerAddress, formatAddress, isIpLiteral, sameAddress } from '../signaling/controller-address.ts';
import { isRow } from './table.ts';

export interface Finding {
  readonly verdict: 'ok' | 'warning' | 'wrong' | 'unknown';
  /** What was looked at. */
  readonly about: string;
  /** What was found, and what to do about it. */
  readonly text: string;
}

export interface DoctorRequest {
  readonly protocols: readonly ProtocolEntry[];
  readonly file: string;
  readonly node?: string | undefined;
  /** The text of its configuration; absent: as this machine has it. */
  readonly keepalived?: string | undefined;
}

type Config = LoadedConfig<RoleSetup>;

/** Every finding, in the order of looking. @throws ConfigError, FileError where the file cannot be used. */
export async function examine(request: DoctorRequest): Promise<readonly Finding[]> {
  const config = loadConfig(request);
  const isRunning = await answers(config);
  return [
    found(
      'ok',
      'configuration',
      `${request.file} can be used${config.node === undefined ? '' : ` as node ${config.node}`}`,
    ),
    ...secretFindings(config),
    ...(await storeFindings(config)),
    await clockFinding(),
    ...(await nameFindings(config)),
    ...certificateFindings(config),
    ...(await socketFindings(config, isRunning)),
    ...pairFindings(request, config),
    ...floatingFindings(config, request.keepalived),
    ...(await backupFindings(request, config)),
  ];
}

const found = (verdict: Finding['verdict'], about: string, text: string): Finding => ({ verdict, about, text });

async function answers({ core }: Config): Promise<boolean> {
  if (core.admin === 'off') return false;
  return askAdmin(core.admin, '/healthz').then(
    () => true,
    // Something answers, though not in JSON: health is plain text.
    (error: unknown) => error instanceof AltpathError && /is no altpath/.test(error.message),
  );
}

function secretFindings({ core, roles }: Config): readonly Finding[] {
  const { secret } = core.cluster;
  const hasPartners = [...roles.values()].some(({ section }) => section.backup.length + section.backupFor.length > 0);
  if (secret === undefined)
    return [
      hasPartners
        ? found(
            'wrong',
            'cluster.secret',
            'there is none: members cannot compute the same identities; make one with: openssl rand -hex 32',
          )
        : found('ok', 'cluster.secret', 'none is needed: there are no other members'),
    ];
  const distinct = new Set(secret).size;
  return [
    distinct < 8
      ? found(
          'warning',
          'cluster.secret',
          `it has only ${distinct} different characters: make one with: openssl rand -hex 32`,
        )
      : found('ok', 'cluster.secret', 'is set'),
  ];
}

async function storeFindings({ core }: Config): Promise<readonly Finding[]> {
  const findings = await examineStore(core.location, systemClock, core.redis);
  return (findings ?? []).map(({ verdict, text }) => found(verdict, 'location store', text));
}

async function clockFinding(): Promise<Finding> {
  const run = promisify(execFile);
  const synchronized = await run('timedatectl', ['show', '-p', 'NTPSynchronized', '--value'], { timeout: 2_000 }).then(
    ({ stdout }) => stdout.trim(),
    () => undefined,
  );
  if (synchronized === 'yes') return found('ok', 'clock', 'is kept by NTP');
  return synchronized === 'no'
    ? found('warning', 'clock', 'is not kept by NTP: members whose clocks differ distrust each other’s datagrams')
    : found('unknown', 'clock', 'whether NTP keeps it cannot be told here (no timedatectl)');
}

/** Every host of the configuration that is a name. */
async function nameFindings({ roles }: Config): Promise<readonly Finding[]> {
  const hosts = new Set<string>();
  for (const { section } of roles.values())
    for (const { host } of [
      ...section.listen,
      ...section.backup,
      ...section.backupFor,
      ...(section.trunks ?? []).flatMap(({ to }) => to),
    ])
      if (!isIpLiteral(host)) hosts.add(host);
  return Promise.all(
    [...hosts].map((host) =>
      lookup(host).then(
        ({ address }) => found('ok', `name ${host}`, `is ${address}`),
        (error: NodeJS.ErrnoException) =>
          found('wrong', `name ${host}`, `cannot be resolved: ${error.code ?? error.message}`),
      ),
    ),
  );
}

function certificateFindings({ roles }: Config): readonly Finding[] {
  return [...roles.values()].flatMap(({ name, section }) => {
    const tls: unknown = 'tls' in section ? section.tls : undefined;
    const file = isRow(tls) ? tls['certFile'] : undefined;
    if (typeof file !== 'string') return [];
    const about = `certificate of ${name}`;
    try {
      const { validTo, validFrom, subject } = new X509Certificate(readFileSync(file));
      const daysLeft = Math.floor((Date.parse(validTo) - systemClock.wallNow()) / dayMs);
      if (Date.parse(validFrom) > systemClock.wallNow())
        return [found('wrong', about, `${file} is valid from ${validFrom} only`)];
      if (daysLeft < 0) return [found('wrong', about, `${file} ended on ${validTo}`)];
      return [
        daysLeft < 21
          ? found('warning', about, `${file} ends in ${daysLeft} days, on ${validTo}`)
          : found('ok', about, `${subject.replaceAll('\n', ', ')}, until ${validTo}`),
      ];
    } catch (error) {
      return [
        found('wrong', about, `${file} cannot be used: ${error instanceof Error ? error.message : String(error)}`),
      ];
    }
  });
}

async function socketFindings({ roles }: Config, isRunning: boolean): Promise<readonly Finding[]> {
  const network = createNetwork({ clock: systemClock, log: silentLog, metrics: new Metrics() });
  const findings: Finding[] = [];
  for (const { name, section } of roles.values())
    for (const address of section.listen) {
      const about = `${name} on ${formatAddress(address)}`;
      // A secure socket needs certificates, which have a finding of their own; the port is what counts here.
      const transport = address.transport === 'udp' ? 'udp' : 'tcp';
      const framing = () => ({ push: () => ({ messages: [] }), held: 0 });
      const finding = await network
        .bind({ ...address, transport }, { framing }, { received: () => undefined, failed: () => undefined })
        .then(
          async (listener) => {
            await listener.close();
            return found('ok', about, 'can be bound');
          },
          (error: unknown) =>
            isRunning
              ? found('ok', about, 'is in use, and altpath is running')
              : found('wrong', about, error instanceof Error ? error.message : String(error)),
        );
      findings.push(finding);
    }
  return findings;
}

/** What loses calls when an address moves: floating addresses, and what keepalived on this machine does with them. */
function floatingFindings({ core, roles }: Config, keepalived: string | undefined): readonly Finding[] {
  const sections = new Map([...roles].map(([name, { section }]) => [name, section]));
  const warnings = floatingWarnings(core, sections, keepalived);
  if (warnings.length > 0) return warnings.map((text) => found('warning', 'floating addresses', text));
  if (core.vip.length === 0) return [];
  return [found('ok', 'floating addresses', `${core.vip.join(', ')}: nothing here loses calls when they move`)];
}

/** A member that is named as a backup has to stand in for whoever names it. */
function pairFindings({ protocols, file }: DoctorRequest, config: Config): readonly Finding[] {
  const members =
    config.nodes.length > 0 ? config.nodes.map((node) => loadConfig({ protocols, file, node })) : [config];
  const findings: Finding[] = [];
  for (const member of members)
    for (const { name, section } of member.roles.values())
      for (const backup of section.backup) {
        const other = members.find((each) =>
          each.roles.get(name)?.section.listen.some((address) => sameAddress(address, backup)),
        );
        const about = `${name}: ${formatAddress(backup)} as backup of ${member.node ?? section.listen.map(formatAddress).join(', ')}`;
        const standsIn = other?.roles
          .get(name)
          ?.section.backupFor.some((home) => section.listen.some((address) => sameAddress(address, home)));
        if (standsIn === false)
          findings.push(
            found('wrong', about, 'a one-way pair: it does not stand in for us; give it our address as backupFor'),
          );
        else if (standsIn === undefined && !section.backupFor.some((home) => sameAddress(home, backup)))
          findings.push(found('warning', about, 'is in another file: it must have our address as backupFor'));
      }
  if (findings.length === 0)
    findings.push(found('ok', 'backups', 'whoever is named as a backup stands in for who names it'));
  return findings;
}

async function backupFindings({ protocols }: DoctorRequest, { roles }: Config): Promise<readonly Finding[]> {
  return Promise.all(
    [...roles.values()].flatMap(({ name, section }) => {
      const ping = protocols.find((protocol) => protocol.name === name)?.ping;
      return section.backup.map(async (backup) => {
        const about = `${name}: backup ${formatAddress(backup)}`;
        if (backup.transport === 'udp' && ping === undefined)
          return found(
            'unknown',
            about,
            'it answers its gateways and members alone: altpath status there says whether it runs',
          );
        const ms = await (backup.transport === 'udp'
          ? askByDatagram(backup, ownHost(section.listen, backup), ping)
          : askByConnection(backup));
        return ms === undefined
          ? found(
              'wrong',
              about,
              'does not answer a peer on this machine: is it running, and does a firewall let it through?',
            )
          : found('ok', about, `answers after ${Math.round(ms)} ms`);
      });
    }),
  );
}

/** Members know each other by their hosts: the question comes from ours. */
const ownHost = (listen: readonly ControllerAddress[], to: ControllerAddress): string | undefined =>
  listen.find(({ host }) => isIpLiteral(host) && !isWildcard(host) && host.includes(':') === to.host.includes(':'))
    ?.host;

function askByDatagram(
  to: ControllerAddress,
  from: string | undefined,
  ping: ProtocolEntry['ping'],
): Promise<number | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(to.host.includes(':') ? 'udp6' : 'udp4');
    const begun = performance.now();
    const end = (ms: number | undefined): void => {
      clearTimeout(timer);
      socket.close();
      resolve(ms);
    };
    const timer = setTimeout(() => end(undefined), answerMs);
    socket.once('message', () => end(performance.now() - begun));
    socket.once('error', () => end(undefined));
    socket.bind(0, from, () =>
      socket.connect(to.port, to.host, () => {
        const { address: host, port } = socket.address();
        socket.send(ping?.(to, { transport: 'udp', host, port }) ?? Buffer.from('\r\n\r\n'));
      }),
    );
  });
}

function askByConnection(to: ControllerAddress): Promise<number | undefined> {
  return new Promise((resolve) => {
    const begun = performance.now();
    const socket = connect({ host: to.host, port: to.port, timeout: answerMs });
    const end = (ms: number | undefined): void => {
      socket.destroy();
      resolve(ms);
    };
    socket.once('connect', () => end(performance.now() - begun));
    socket.once('timeout', () => end(undefined));
    socket.once('error', () => end(undefined));
  });
}

/** One line for each finding. */
export function findingsText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ verdict }) => verdict.length));
  const wrong = findings.filter(({ verdict }) => verdict === 'wrong').length;
  const warnings = findings.filter(({ verdict }) => verdict === 'warning').length;
  return [
    ...findings.map(({ verdict, about, text }) => `${verdict.padEnd(width)}  ${about}: ${text}`),
    wrong === 0 && warnings === 0 ? 'all is well' : `${wrong} wrong, ${warnings} to look at`,
  ].join('\n');
}

const answerMs = 2_000;
const dayMs = 86_400_000;
