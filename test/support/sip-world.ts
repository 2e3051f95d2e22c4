/** Whole SIP roles and plain telephones on one simulated network: two edges, a primary and its backup, one location service. */

import { sipConfigSchema } from '../../protocols/sip/config.ts';
import { createSipRole } from '../../protocols/sip/role.ts';
import {
  type Clock,
  type Cluster,
  type ControllerAddress,
  type DnsClient,
  type EventSink,
  type LocationService,
  type Logger,
  MemberLink,
  Metrics,
  type Network,
  type OverloadControl,
  type Random,
  type Role,
  type Screen,
  silentLog,
  type TrustSettings,
  type WorkerGroup,
} from '../../src/internal.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { FakeClock } from './fake-clock.ts';
import { type Conditions, MemoryNetwork } from './memory-network.ts';
import { seededRandom } from './seeded-random.ts';
import { guarded, withCallControl } from './services.ts';
import { type PhoneOptions, SimPhone } from './sip-ua.ts';
import type { WorkerProgram } from './worker-host.ts';

export const domain = 'example.com';

export const hosts = {
  primary: '127.0.2.1',
  backup: '127.0.2.2',
  second: '127.0.2.3',
  callerEdge: '127.0.1.1',
  calleeEdge: '127.0.1.2',
} as const;

/** Those that may be members of one cluster. */
export const members = [hosts.primary, hosts.backup, hosts.second] as const;

const udp = (host: string): ControllerAddress => ({ transport: 'udp', host, port: 5_060 });

const noNames: DnsClient = {
  naptr: () => Promise.resolve({ records: [], ttlMs: 1_000 }),
  srv: () => Promise.resolve({ records: [], ttlMs: 1_000 }),
  a: () => Promise.resolve({ records: [], ttlMs: 1_000 }),
  aaaa: () => Promise.resolve({ records: [], ttlMs: 1_000 }),
};

export const cautious: TrustSettings = { trust: [], allow: [], strip: 'none' };

export interface RunningRole {
  readonly role: Role;
  readonly metrics: Metrics;
  readonly link: MemberLink | undefined;
}

export interface NodeOptions {
  readonly config?: Readonly<Record<string, unknown>>;
  readonly backups?: readonly string[];
  readonly backupFor?: readonly string[];
  readonly trust?: TrustSettings;
  readonly locations?: LocationService;
  readonly secret?: string;
  /** Has it a member link with its partners? */
  readonly hasLink?: boolean;
  readonly events?: EventSink;
  readonly log?: Logger;
  /** What it has in a process and not in every test, and what may stand between it, its sockets and its time. */
  readonly more?: (parts: NodeParts) => Partial<NodeParts> & { readonly overload?: OverloadControl };
  /** One of several programs of this host, and what it is called here. */
  readonly worker?: { readonly name: string; readonly program: WorkerProgram; readonly group: WorkerGroup };
}

export interface NodeParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly network: Network;
}

export const linkPort = 9_061;
export const webSocketPort = 5_080;

export class SipWorld {
  readonly clock = new FakeClock();
  readonly network: MemoryNetwork;
  readonly locations: MemoryLocations;
  readonly phones: SimPhone[] = [];
  readonly #roles = new Map<string, RunningRole>();
  #seed = 0;

  constructor(conditions: Partial<Conditions> = {}, seed = 1) {
    this.network = new MemoryNetwork(this.clock, conditions, seed);
    this.locations = new MemoryLocations({ clock: this.clock });
  }

  /** Starts (or, after a crash, starts anew) a SIP role on this host. */
  async node(host: string, options: NodeOptions = {}): Promise<RunningRole> {
    this.#seed += 1;
    const memoryHost = options.worker?.program ?? this.network.host(host);
    const metrics = new Metrics();
    const cluster: Cluster = {
      secret: options.secret ?? 'one secret for all',
      backups: (options.backups ?? []).map(udp),
      backupFor: (options.backupFor ?? []).map(udp),
    };
    const usual: NodeParts = {
      clock: memoryHost.clock,
      random: seededRandom(this.#seed),
      log: options.log ?? silentLog,
      metrics,
      network: memoryHost,
    };
    const common = { ...usual, ...options.more?.(usual) };
    let screen: Screen | undefined;
    const partners = [...new Set([...cluster.backups, ...cluster.backupFor].map((each) => each.host))];
    const link =
      options.hasLink === true
        ? new MemberLink({
            ...common,
            secret: cluster.secret,
            member: host,
            version: 'test',
            listen: { host, port: linkPort },
            partners: partners.map((each) => ({ host: each, port: linkPort })),
          })
        : undefined;
    await link?.start();
    const role = createSipRole(
      withCallControl({
        ...common,
        network: guarded(common, () => screen),
        dns: noNames,
        locations: options.locations ?? this.locations,
        cluster,
        link,
        workers: options.worker?.group,
        events: options.events,
      }),
      sipConfigSchema.parse({ listen: [`udp:${host}:5060`, `tcp:${host}:5060`], ...options.config }),
      options.trust ?? cautious,
    );
    screen = role.screen;
    await role.start();
    const running = { role, metrics, link };
    this.#roles.set(options.worker?.name ?? host, running);
    return running;
  }

  /** One of two or three members that are each other's backups, in the order of `members`; three have a member link. */
  async member(
    host: string,
    count: 2 | 3,
    {
      isOneWay = false,
      webSocket = false,
    }: { readonly isOneWay?: boolean | undefined; readonly webSocket?: boolean } = {},
  ): Promise<void> {
    const others = members.slice(0, count).filter((each) => each !== host);
    const listen = [`udp:${host}:5060`, `tcp:${host}:5060`, `ws:${host}:${webSocketPort}`].slice(0, webSocket ? 3 : 2);
    await this.node(host, {
      config: { domains: [domain], listen },
      backups: isOneWay && host !== hosts.primary ? [] : others,
      backupFor: isOneWay && host === hosts.primary ? [] : others,
      hasLink: count === 3,
    });
  }

  /** The usual pair, each the other's backup. */
  async pair(options: Partial<NodeOptions> = {}): Promise<void> {
    await this.primary(options);
    await this.node(hosts.backup, {
      config: { domains: [domain] },
      backups: [hosts.primary],
      backupFor: [hosts.primary],
      ...options,
    });
  }

  async primary(options: Partial<NodeOptions> = {}): Promise<void> {
    await this.node(hosts.primary, {
      config: { domains: [domain] },
      backups: [hosts.backup],
      backupFor: [hosts.backup],
      ...options,
    });
  }

  /** An edge proxy between plain telephones and the pair. */
  edge(host: string, config: Readonly<Record<string, unknown>> = {}): Promise<RunningRole> {
    return this.node(host, { config: { defaultRoute: [`${hosts.primary}:5060`, `${hosts.backup}:5060`], ...config } });
  }

  async phone(
    options: Omit<PhoneOptions, 'network' | 'domain' | 'proxy'> & { readonly edge: string },
  ): Promise<SimPhone> {
    const { edge, ...rest } = options;
    const phone = new SimPhone({ ...rest, network: this.network, domain, proxy: { host: edge, port: 5_060 } });
    await phone.start();
    this.phones.push(phone);
    return phone;
  }

  roleAt(host: string): RunningRole | undefined {
    return this.#roles.get(host);
  }

  /** Transactions in the memory of the roles on these hosts. */
  transactions(...at: readonly string[]): number {
    let sum = 0;
    for (const host of at) sum += Number(this.#roles.get(host)?.role.status()['transactions'] ?? 0);
    return sum;
  }

  async stop(): Promise<void> {
    for (const { role, link } of this.#roles.values()) {
      await role.stop();
      await link?.stop();
    }
  }
}

/** The usual world: two edges, the pair, a caller and a callee, both registered. */
export async function usualWorld(
  options: {
    readonly conditions?: Partial<Conditions>;
    readonly seed?: number;
    readonly copiesParams?: boolean;
    readonly callees?: number;
    readonly members?: 2 | 3;
    /** Only the primary has a backup. */
    readonly isOneWay?: boolean | undefined;
    /** Do the members listen for browsers, too? */
    readonly webSocket?: boolean;
    /** Between the edges and the pair. */
    readonly transport?: 'udp' | 'tcp' | undefined;
    /** Are the callees registered at the primary itself, without an edge before them? */
    readonly isDirect?: boolean;
  } = {},
): Promise<{ world: SipWorld; caller: SimPhone; callees: readonly SimPhone[] }> {
  const world = new SipWorld({}, options.seed);
  const { copiesParams = true, transport = 'udp', members: count = 2 } = options;
  for (const host of members.slice(0, count)) await world.member(host, count, options);
  const defaultRoute = members.slice(0, count).map((host) => `${transport}:${host}:5060`);
  await world.edge(hosts.callerEdge, { defaultRoute });
  await world.edge(hosts.calleeEdge, { defaultRoute });
  const caller = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.callerEdge, copiesParams });
  const callees: SimPhone[] = [];
  const calleesProxy = options.isDirect === true ? hosts.primary : hosts.calleeEdge;
  for (let i = 0; i < (options.callees ?? 1); i += 1)
    callees.push(await world.phone({ address: `127.0.3.${i + 2}`, user: 'bob', edge: calleesProxy, copiesParams }));
  caller.register();
  for (const callee of callees) callee.register();
  await world.clock.advanceAsync(100);
  world.network.conditions = { ...world.network.conditions, ...options.conditions };
  return { world, caller, callees };
}
