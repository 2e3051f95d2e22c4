/**
 * A running controller: its services, its roles, its member link and its admin server, from the first bound socket to the orderly end.
 * Several fit into one process; whose they are (a command, a program) decides on signals and exit codes.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AdminList, AdminServer, AdminView } from '../admin.ts';
import { pageAddress, pageOf } from '../admin-page.ts';
import { createDns, systemResolver } from '../caching-dns.ts';
import { CallControl } from '../calls/call-control.ts';
import { CallRecords } from '../calls/call-records.ts';
import { DiallingPlan } from '../calls/dialling-plan.ts';
import { type Cancel, systemClock } from '../clock.ts';
import type { MemberLink } from '../cluster/member-link.ts';
import { floatingWarnings } from '../config/floating.ts';
import type { LoadedConfig } from '../config/load.ts';
import { openLocation } from '../location/open.ts';
import { withoutCredentials } from '../location/redis/location-url.ts';
import type { LocationService } from '../location-service.ts';
import type { Logger } from '../log.ts';
import type { LogControl } from '../log-control.ts';
import { logEvent } from '../log-events.ts';
import type { Metrics } from '../metrics.ts';
import { FloatingAddresses } from '../network/floating.ts';
import { createNetwork } from '../network/node-network.ts';
import type { Listener } from '../network.ts';
import { observeProcess } from '../process-metrics.ts';
import { systemRandom } from '../random.ts';
import type { CoreServices, Role } from '../role.ts';
import { AddressResolver } from '../signaling/address-resolver.ts';
import { formatAddress, formatSocketAddress, type SocketAddress } from '../signaling/controller-address.ts';
import { LeadRoles } from '../workers/lead-roles.ts';
import { sharedLink } from '../workers/link-network.ts';
import type { WorkerGroup } from '../workers/worker-group.ts';
import { WorkerLink } from '../workers/worker-link.ts';
import { clusterSecret } from './cluster-secret.ts';
import { ControllerEvents } from './events.ts';
import { type Explanation, explain } from './explain.ts';
import { type ClusterView, Observation } from './observation.ts';
import { OverloadGuard } from './overload-guard.ts';
import type { RoleSetup } from './protocol-entry.ts';
import { startLink } from './start-link.ts';

export interface ControllerParts {
  readonly version: string;
  readonly config: LoadedConfig<RoleSetup>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How its log is turned while it runs; absent where the log is another program's. */
  readonly logControl?: LogControl | undefined;
  /** The other processes of this host, and the secret that we share with them where the configuration has none. */
  readonly workers?: { readonly group: WorkerGroup; readonly secret: string } | undefined;
  /** Somebody asks at the admin server for the orderly end. */
  drain(): void;
}

export class RunningController {
  readonly events: ControllerEvents;
  readonly #version: string;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #drain: () => void;
  readonly #roles = new Map<string, Role>();
  readonly #listening = new Map<string, readonly Listener[]>();
  readonly #startedMs = systemClock.now();
  readonly #workers: ControllerParts['workers'];
  #config: LoadedConfig<RoleSetup>;
  #leadRoles: LeadRoles<RoleSetup> | undefined;
  #state: ControllerState = 'starting';
  #locations: LocationService | undefined;
  #admin: AdminServer | undefined;
  #callControl: CallControl | undefined;
  #resolver: AddressResolver | undefined;
  #stopObserving: (() => void) | undefined;
  #link: MemberLink | undefined;
  #floating: FloatingAddresses | undefined;
  #observation: Observation | undefined;
  #guard: OverloadGuard | undefined;
  readonly #logControl: LogControl | undefined;

  constructor(parts: ControllerParts) {
    const { version, config, log, metrics, logControl } = parts;
    this.#logControl = logControl;
    this.#workers = parts.workers;
    this.#version = version;
    this.#config = config;
    this.#log = log;
    this.#metrics = metrics;
    this.#drain = () => parts.drain();
    this.events = new ControllerEvents(log);
  }

  get roles(): ReadonlyMap<string, Role> {
    return this.#roles;
  }

  /** By role, as bound. */
  get listening(): ReadonlyMap<string, readonly Listener[]> {
    return this.#listening;
  }

  get adminAddress(): SocketAddress | undefined {
    return this.#admin?.address;
  }

  get config(): LoadedConfig<RoleSetup> {
    return this.#config;
  }

  /** What the roles have taken over already. */
  set config(config: LoadedConfig<RoleSetup>) {
    this.#config = config;
    this.#leadRoles?.know(config.roles);
  }

  /** Plain data, as `altpath status --json` shows it. */
  status(): Row {
    const { node, file, core } = this.#config;
    return {
      version: this.#version,
      state: this.#state,
      ...(node === undefined ? {} : { node }),
      ...(file === undefined ? {} : { file }),
      pid: process.pid,
      uptimeSeconds: Math.round((systemClock.now() - this.#startedMs) / 1_000),
      memoryBytes: process.memoryUsage.rss(),
      location: withoutCredentials(core.location),
      records: this.#locations?.size ?? 0,
      ...this.#guard?.status(),
      ...(this.#locations?.status === undefined ? {} : { store: this.#locations.status() }),
      ...(this.#workers === undefined ? {} : { worker: this.#workers.group.status() }),
      ...(this.#link === undefined ? {} : { link: this.#link.status() }),
      ...(core.vip.length === 0 ? {} : { vip: this.#floating?.status() ?? {} }),
      roles: Object.fromEntries(
        [...this.#roles].map(([name, role]) => [
          name,
          {
            listening: (this.#listening.get(name) ?? []).map(({ local }) => formatAddress(local)),
            ...role.status(),
          },
        ]),
      ),
    };
  }

  /** Calls under way, of every protocol. */
  calls(): readonly Row[] {
    return this.#observation?.calls().map((row) => ({ ...row })) ?? [];
  }

  /** The file of call records was renamed: a new one is begun. */
  reopenRecords(): void {
    this.#observation?.reopenRecords();
  }

  #cluster(): ClusterView {
    const { node, names, admins } = this.#config;
    const takeovers: Row[] = [];
    const members: Row[] = [];
    for (const role of this.#roles.values()) {
      const { takeovers: list, members: others } = role.status();
      const protocol = role.name;
      if (Array.isArray(list)) takeovers.push(...list.map((each: Row) => ({ protocol, ...each })));
      // Whoever has lines has gateways besides, and there may be many.
      const known: readonly Row[] = role.lines !== undefined && Array.isArray(others) ? others : role.peers();
      for (const row of known)
        if (row['kind'] === 'member' || row['provenance'] === 'configured')
          members.push({ protocol, ...row, name: names.get(addressOf(row)) });
    }
    const own = [...this.#listening].map(([protocol, listeners]) => ({
      protocol,
      addresses: listeners.map(({ local }) => formatAddress(local)),
      serves: this.#roles.get(protocol)?.status()['serves'],
    }));
    return {
      state: this.#state,
      node,
      version: this.#version,
      startedMs: systemClock.wallNow() - (systemClock.now() - this.#startedMs),
      own,
      members,
      takeovers,
      names: Object.fromEntries(names),
      admins: Object.fromEntries([...admins].filter(([name]) => name !== node)),
    };
  }

  peers(): readonly Row[] {
    return this.#rows((role) => role.peers());
  }

  /** Lines of every protocol; `search`: with these letters in the number, the endpoint or the gateway. Messages are served in between. */
  async #lines(query: URLSearchParams): Promise<AdminList> {
    const search = query.get('search')?.toLowerCase();
    const { from, size } = pageOf(query);
    const items: Row[] = [];
    let total = 0;
    let seen = 0;
    for (const { name, lines } of this.#roles.values())
      for (const line of lines?.() ?? []) {
        seen += 1;
        if (seen % linesPerTurn === 0) await nextTurn();
        const words = [line['number'], line['endpoint']];
        if (search !== undefined && !words.some((word) => String(word).toLowerCase().includes(search))) continue;
        if (total >= from && items.length < size) items.push({ protocol: name, ...line });
        total += 1;
      }
    return { total, items };
  }

  /** What would become of a call to this number, and why. */
  explain(number: string, from?: string): Explanation | undefined {
    const sections = new Map([...this.#config.roles].map(([name, { section }]) => [name, section]));
    const resolver = this.#resolver;
    return resolver === undefined ? undefined : explain({ resolver, sections, isOffline: false }, number, from);
  }

  #rows(of: (role: Role) => readonly Row[]): readonly Row[] {
    return [...this.#roles].flatMap(([protocol, role]) => of(role).map((row) => ({ protocol, ...row })));
  }

  /** @throws AltpathError (rejects); `close` then closes what was opened. */
  async start(): Promise<void> {
    const { core, roles, node } = this.#config;
    const log = this.#log;
    this.#stopObserving = observeProcess(this.#metrics, this.#version);
    const parts = { clock: systemClock, log, metrics: this.#metrics };
    const workers = this.#workers?.group;
    const locations = openLocation(core.location, { ...parts, redis: core.redis }, workers);
    this.#locations = locations;
    await locations.open();
    const readers = [...roles.values()].flatMap(({ name, reader }) =>
      reader === undefined ? [] : [[name, reader] as const],
    );
    const observation = new Observation({
      ...parts,
      core,
      readers: new Map(readers),
      events: this.events,
      gatewayHosts: (name) => gatewayHosts(this.peers(), name),
      member: node,
      logControl: this.#logControl,
      protocols: [...roles.keys()],
      cluster: () => this.#cluster(),
    });
    this.#observation = observation;
    const guard = new OverloadGuard({
      ...parts,
      random: systemRandom,
      settings: core.overload,
      // The system's table does not tell our queue of a port from a sibling's.
      ports: () => (workers === undefined ? [...this.#listening.values()].flat().flatMap(datagramPort) : []),
    });
    this.#guard = guard;
    if (core.admin !== 'off') {
      // HTTP is loaded where it is spoken.
      const { startAdmin } = await import('../admin.ts');
      this.#admin = await startAdmin(core.admin, this.#view(locations, observation, guard), core.adminToken);
    }
    await observation.start();

    const sections = [...roles.values()].map(({ section }) => section);
    const hasPartners = sections.some(({ backup, backupFor }) => backup.length + backupFor.length > 0);
    const shared = this.#workers?.secret;
    const { secret, warning } = clusterSecret(core.cluster.secret, hasPartners, systemRandom, shared);
    if (warning !== undefined) log.warn(warning);
    for (const { name, warnings } of roles.values())
      for (const text of warnings) log.child({ protocol: name }).warn(text);
    for (const text of floatingWarnings(core, new Map([...roles].map(([name, { section }]) => [name, section]))))
      log.warn(text);
    const floating = new FloatingAddresses({ ...parts, addresses: core.vip });
    this.#floating = floating;
    const network = floating.over(createNetwork({ ...parts, sharing: workers }));
    const dns = createDns(systemClock, systemResolver(core.dns.servers));
    const plan = new DiallingPlan(core.numbers);
    const resolver = new AddressResolver({ ...parts, dns, locations, plan });
    const records = new CallRecords({
      ...parts,
      random: systemRandom,
      secret,
      formerSecret: core.cluster.formerSecret,
    });
    const callControl = new CallControl({
      ...parts,
      records,
      random: systemRandom,
      locate: (number) => resolver.locate(number),
      dialling: resolver,
      events: this.events,
      journal: observation.journal,
    });
    this.#callControl = callControl;
    this.#resolver = resolver;
    observation.know(callControl, locations);
    const trust = { trust: core.trust, allow: core.allow, strip: core.strip };
    const link = await startLink(this.#config, {
      ...parts,
      random: systemRandom,
      network: workers === undefined ? network : sharedLink(network, workers),
      version: this.#version,
      worker: workers?.index,
    });
    this.#link = link;
    records.connect(
      workers === undefined
        ? link
        : new WorkerLink({
            workers,
            clock: systemClock,
            link,
            boot: { startMs: Math.floor(systemClock.now()), random: systemRandom.hex(8) },
          }),
    );
    const startRole = async (setup: RoleSetup): Promise<void> => {
      const services: CoreServices = {
        ...parts,
        random: systemRandom,
        network: observation.networkFor(
          guard.over(network, () => this.#roles.get(setup.name)?.screen),
          setup.name,
        ),
        dns,
        locations,
        resolver,
        callControl,
        cluster: {
          secret,
          backups: setup.section.backup,
          backupFor: setup.section.backupFor,
          order: this.#config.order.get(setup.name),
        },
        link,
        workers,
        events: this.events,
        journal: observation.journal,
        overload: guard.overload,
        announcesOverloadControl: core.overload.announce,
      };
      const role = setup.createRole(services, trust);
      this.#roles.set(setup.name, role);
      this.#listening.set(setup.name, await role.start());
    };
    if (workers !== undefined)
      this.#leadRoles = new LeadRoles({
        workers,
        callControl,
        log,
        start: startRole,
        stop: async (name) => {
          const role = this.#roles.get(name);
          this.#roles.delete(name);
          this.#listening.delete(name);
          await role?.stop();
        },
      });
    for (const setup of roles.values()) if (this.#leadRoles?.isOf(setup) !== true) await startRole(setup);
    await this.#leadRoles?.start(roles);
    guard.start();
    this.#state = 'ready';
    const addresses = [...this.#listening.values()].flat().map(({ local }) => formatAddress(local));
    const admin = this.#admin === undefined ? 'off' : formatSocketAddress(this.#admin.address);
    if (this.#admin !== undefined && workers === undefined)
      log.info(`dashboard on ${pageAddress(this.#admin.address)}`);
    const location = withoutCredentials(core.location);
    const fields = { addresses, admin, location, node, version: this.#version, pid: process.pid };
    // That all serve is said by the process above.
    if (workers === undefined) logEvent(log, 'ready', fields);
    else log.info(fields, 'worker ready');
  }

  /** Hands new work to the backups and waits for what is open, as long as the configuration grants. */
  async end(why: string): Promise<void> {
    this.#state = 'draining';
    const limitMs = this.#config.core.shutdownSeconds * 1_000;
    this.#log.info({ limitMs }, `${why}: no new work, waiting for what is open`);
    // Whoever is started in our place needs its port now.
    await within(graceMs, this.#closeAdmin());
    const cancelReports = this.#reportDrain();
    // A role that forgets its limit must not keep the process.
    await within(limitMs + graceMs, drained([...this.#roles.values()], systemClock.now() + limitMs));
    cancelReports();
    await within(graceMs, this.close());
    logEvent(this.#log, 'stopped', {});
  }

  /** Safe to call twice, and after a start that failed half-way. */
  async close(): Promise<void> {
    this.#state = 'stopped';
    await this.#leadRoles?.stop();
    await Promise.all([...this.#roles.values()].map((role) => role.stop()));
    this.#roles.clear();
    this.#floating?.stop();
    await this.#link?.stop();
    const recorded = this.#observation?.stop();
    this.#guard?.stop();
    this.#callControl?.stop();
    this.#stopObserving?.();
    const locations = this.#locations;
    this.#locations = undefined;
    await locations?.close();
    await recorded;
    await this.#closeAdmin();
    this.events.end();
  }

  async #closeAdmin(): Promise<void> {
    const admin = this.#admin;
    this.#admin = undefined;
    await admin?.close();
  }

  /** The admin server is gone by then: the log says what is still waited for. */
  #reportDrain(): Cancel {
    let cancel = systemClock.after(drainReportMs, () => {
      const calls = Object.fromEntries([...this.#roles].map(([name, role]) => [name, role.calls().length]));
      this.#log.info({ calls }, 'draining: waiting for what is open');
      cancel = this.#reportDrain();
    });
    return () => cancel();
  }

  #view(locations: LocationService, observation: Observation, guard: OverloadGuard): AdminView {
    return {
      metrics: this.#metrics,
      log: this.#log,
      state: () => this.#state,
      status: () => this.status(),
      calls: () => this.calls(),
      peers: () => this.peers(),
      registrations: () => locations.records(),
      explain: (number, from) => this.explain(number, from),
      drain: this.#drain,
      events: observation,
      lists: { ...observation.lists, ...guard.lists, '/lines': (query) => this.#lines(query) },
      orders: { ...observation.orders, ...guard.orders },
      removals: guard.removals,
      pages: async (request) => (await import('../dashboard/pages.ts')).dashboardPage(request),
    };
  }
}

export type ControllerState = 'starting' | 'ready' | 'draining' | 'stopped';

type Row = Readonly<Record<string, unknown>>;

const datagramPort = ({ local }: Listener): readonly number[] => (local.transport === 'udp' ? [local.port] : []);

/** The hosts at which the gateway with this name is. */
function gatewayHosts(peers: readonly Row[], name: string): readonly string[] {
  const isNamed = ({ kind, name: each }: Row): boolean =>
    kind === 'gateway' && typeof each === 'string' && each.toLowerCase() === name.toLowerCase();
  return peers.filter(isNamed).flatMap(({ addresses }) => (Array.isArray(addresses) ? addresses.flatMap(hostOf) : []));
}

/** As logs write it. */
const addressOf = ({ transport, host, port }: Row): string =>
  `${String(transport)}:${formatSocketAddress({ host: String(host), port: Number(port) })}`;

/** Of an address, or of one as text: `udp:192.0.2.1:2944`. */
function hostOf(address: unknown): readonly string[] {
  if (typeof address === 'string') {
    const host = /^(?:[a-z]+:)?(.+):\d+$/.exec(address)?.[1];
    return host === undefined ? [] : [host.replace(/^\[(.*)\]$/, '$1')];
  }
  return typeof address === 'object' && address !== null && 'host' in address && typeof address.host === 'string'
    ? [address.host]
    : [];
}

/** What is done waits for the others, and may get work meanwhile that is open then: it is asked again, until all are done at a time. */
async function drained(roles: readonly Role[], untilMs: number): Promise<void> {
  for (;;) {
    const startedMs = systemClock.now();
    await Promise.all(roles.map((role) => role.drain(Math.max(0, untilMs - startedMs))));
    const now = systemClock.now();
    if (roles.length < 2 || now - startedMs < togetherMs || now >= untilMs) return;
  }
}

/** Waits for `work`, but no longer than this. */
async function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work, limit]).finally(() => clearTimeout(timer));
}

/** Beyond the limits that roles are given. */
const graceMs = 2_000;

const drainReportMs = 10_000;

/** Roles that have nothing open are done within this. */
const togetherMs = 250;

/** Less than 1 ms of work. */
const linesPerTurn = 2_000;
