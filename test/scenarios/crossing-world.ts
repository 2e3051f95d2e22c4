/** Two controllers, each call agent and gateway controller in one, an MGCP and a MEGACO gateway, on a memory network. */
import { SimGateway as MegacoGateway } from '../../protocols/megaco/gateway/sim-gateway.ts';
import type { SimTermination } from '../../protocols/megaco/gateway/sim-termination.ts';
import { createMegacoRole, megacoConfigSchema } from '../../protocols/megaco/index.ts';
import { SimGateway as MgcpGateway } from '../../protocols/mgcp/gateway/sim-gateway.ts';
import type { SimLine } from '../../protocols/mgcp/gateway/sim-line.ts';
import { createMgcpRole, mgcpConfigSchema } from '../../protocols/mgcp/index.ts';
import { createSipRole, sipConfigSchema } from '../../protocols/sip/index.ts';
import {
  type ControllerAddress,
  type CoreServices,
  DiallingPlan,
  type DiallingPlanSettings,
  MemberLink,
  Metrics,
  mediaAddress,
  parseAddress,
  type Role,
  RtpMedia,
  readTrustRule,
  silentLog,
} from '../../src/internal.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { type Conditions, MemoryNetwork, type MemoryPacket } from '../support/memory-network.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { withCallControl } from '../support/services.ts';
import { type PhoneOptions, SimPhone } from '../support/sip-ua.ts';

export const primaryHost = '127.0.0.1';
export const backupHost = '127.0.0.2';
const linkPort = 9061;
const mgcpGatewayHost = '127.0.0.11';
const megacoGatewayHost = '127.0.0.21';

export interface CrossingOptions {
  readonly seed?: number;
  readonly conditions?: Partial<Conditions>;
  /** Do the gateways know of the path attribute? */
  readonly aware?: boolean;
  /** A plain MEGACO gateway follows a HandOff if both controllers share one mId. */
  readonly mid?: string;
  /** What the MGCP gateway has. */
  readonly codecs?: readonly string[];
  /** How the MEGACO gateway writes, and is written to. */
  readonly encoding?: 'compact' | 'binary';
  /** What terminations of the MEGACO gateway are asked for. */
  readonly payloadTypes?: readonly number[];
  /** Lines of the MEGACO gateway have displays. */
  readonly displays?: boolean;
  /** The `numbers:` section. */
  readonly numbers?: DiallingPlanSettings;
  /** What else is part of each controller. */
  readonly joined?: (services: CoreServices, host: string) => void;
  /** What gateways do with the record of a remote party. */
  readonly records?: 'keepsRemote' | 'keepsEntity' | 'forgets';
  /** No word between the members. */
  readonly hasLink?: boolean;
  /** Telephones are behind an edge proxy that follows the path attribute. */
  readonly edge?: boolean;
  /** Settings of a SIP proxy, registrar and user agent on each controller; absent: there is none. */
  readonly sip?: Readonly<Record<string, unknown>>;
  /** Do the gateways send and hear speech? */
  readonly speech?: boolean;
  /** false: for runs of which nobody looks at the packets. */
  readonly keepsPackets?: boolean;
  /** So many lines of the MGCP gateway, from 20001 on, in place of 200 and 201. */
  readonly lines?: number;
  /** What a host's sockets and timers are run by. */
  readonly metered?: (host: string, network: ReturnType<MemoryNetwork['host']>) => ReturnType<MemoryNetwork['host']>;
}

export const sipDomain = 'example.com';
export const edgeHost = '127.0.0.41';

/** What a person sees, hears and does at a telephone, whatever protocol its gateway speaks. */
export interface Telephone {
  readonly number: string;
  hears(): 'nothing' | 'dial' | 'ring' | 'ringback' | 'busy' | 'reorder' | 'other';
  offHook(): void;
  onHook(): void;
  dial(number: string): void;
  /** Armed for the next call, with nothing of the last one left. */
  isIdle(): boolean;
  /** Where it sends, and where it receives, while it does both. */
  media(): { readonly sendsTo: string | undefined; readonly receivesAt: string | undefined };
}

export class CrossingWorld {
  readonly clock = new FakeClock();
  readonly network: MemoryNetwork;
  readonly packets: MemoryPacket[] = [];
  readonly options: CrossingOptions;
  readonly roles = new Map<string, Role[]>();
  readonly links = new Map<string, MemberLink>();
  readonly services = new Map<string, CoreServices>();
  readonly random;
  mgcp: MgcpGateway | undefined;
  megaco: MegacoGateway | undefined;

  constructor(options: CrossingOptions = {}) {
    this.options = options;
    this.network = new MemoryNetwork(this.clock, options.conditions ?? {}, options.seed ?? 1);
    this.random = seededRandom((options.seed ?? 1) + 1_000);
    if (options.keepsPackets !== false) this.network.onPacket((packet) => this.packets.push(packet));
  }

  /** Lines 200, 201 are of the MGCP gateway, 300, 301 of the MEGACO gateway. */
  static async up(options: CrossingOptions = {}): Promise<CrossingWorld> {
    const world = new CrossingWorld(options);
    await world.startController(backupHost);
    await world.startController(primaryHost);
    await world.run(2_500);
    await world.startGateways();
    if (options.edge === true) await world.#startEdge();
    await world.run(2_000);
    return world;
  }

  async startController(host: string): Promise<void> {
    const isPrimary = host === primaryHost;
    const bare = this.#services(host);
    const partner = isPrimary ? backupHost : primaryHost;
    const link = new MemberLink({
      ...bare,
      secret: bare.cluster.secret,
      member: host,
      version: 'test',
      listen: { host, port: linkPort },
      partners: [{ host: partner, port: linkPort }],
    });
    await link.start();
    this.links.set(host, link);
    const services = { ...bare, link };
    if (this.options.hasLink !== false) services.callControl.records?.connect(link);
    this.services.set(host, services);
    this.options.joined?.(services, host);
    const cluster = (address: (of: string) => ControllerAddress) => ({
      ...services.cluster,
      backups: [address(isPrimary ? backupHost : primaryHost)],
      backupFor: isPrimary ? [] : [address(primaryHost)],
    });
    const trust = { trust: [], allow: [], strip: 'none' } as const;
    const dialled = this.options.sip === undefined ? {} : { digitMap: ['7xxx'] };
    const mgcp = createMgcpRole(
      { ...services, cluster: cluster(mgcpAddress) },
      mgcpConfigSchema.parse({
        listen: [`${host}:2727`],
        backup: isPrimary ? [`${backupHost}:2727`] : [],
        backupFor: isPrimary ? [] : [`${primaryHost}:2727`],
        gateways: [{ name: 'rgw1', addresses: [`${mgcpGatewayHost}:2427`] }],
        lines: this.#mgcpLines(),
        ...dialled,
      }),
      trust,
    );
    const megaco = createMegacoRole(
      { ...services, cluster: cluster(megacoAddress) },
      megacoConfigSchema.parse({
        listen: [`udp:${host}:2944`],
        backup: isPrimary ? [`udp:${backupHost}:2944`] : [],
        backupFor: isPrimary ? [] : [`udp:${primaryHost}:2944`],
        gateways: [{ name: 'gw1', addresses: [`udp:${megacoGatewayHost}:2944`] }],
        lines: [1, 2].map((index) => ({ number: String(299 + index), termination: `aaln/${index}@gw1` })),
        ...dialled,
        ...(this.options.mid === undefined ? {} : { mid: this.options.mid }),
        ...(this.options.encoding === undefined ? {} : { encoding: this.options.encoding }),
        ...(this.options.payloadTypes === undefined ? {} : { payloadTypes: this.options.payloadTypes }),
      }),
      trust,
    );
    const sip = this.options.sip === undefined ? [] : [this.#sipRole(host, services, cluster)];
    const roles = [...sip, mgcp, megaco];
    for (const role of roles) await role.start();
    this.roles.set(host, roles);
  }

  async startGateways(): Promise<void> {
    const aware = this.options.aware ?? true;
    this.mgcp = new MgcpGateway(this.#services(mgcpGatewayHost), {
      name: 'rgw1',
      listen: parseAddress(`udp:${mgcpGatewayHost}:2427`, { port: 2427 }),
      callAgents: [mgcpAddress(primaryHost)],
      lines: this.options.lines ?? 2,
      disconnectedMs: 2_000,
      habits: {
        ...(this.options.codecs === undefined ? {} : { codecs: this.options.codecs }),
        rendersRemote: (this.options.records ?? 'keepsRemote') !== 'keepsRemote',
        forgetsEntity: this.options.records === 'forgets',
      },
      media: this.#mediaAt(mgcpGatewayHost),
      aware,
    });
    this.megaco = new MegacoGateway(this.#services(megacoGatewayHost), {
      name: 'gw1',
      listen: parseAddress(`udp:${megacoGatewayHost}:2944`, { port: 2944 }),
      controllers: [megacoAddress(primaryHost)],
      lines: 2,
      aware,
      ...(this.options.encoding === undefined ? {} : { encoding: this.options.encoding }),
      ...(this.options.displays === true ? { linePackages: ['andisp'] } : {}),
      media: this.#mediaAt(megacoGatewayHost),
      rendersRemote: (this.options.records ?? 'keepsRemote') !== 'keepsRemote',
    });
    await this.mgcp.start();
    await this.megaco.start();
  }

  /** A plain SIP telephone that is registered at the primary. */
  async phone(user: string, address: string, options: Partial<PhoneOptions> = {}): Promise<SimPhone> {
    const proxy = { host: this.options.edge === true ? edgeHost : primaryHost, port: 5060 };
    const phone = new SimPhone({ network: this.network, address, user, domain: sipDomain, proxy, ...options });
    await phone.start();
    phone.register();
    await this.run(500);
    // As with a location store that members share.
    const [from, to] = [primaryHost, backupHost].map((host) => this.services.get(host)?.locations);
    for (const [record, contacts] of from?.records() ?? [])
      if (contacts.some(({ protocol }) => protocol === 'sip')) await to?.save(record, contacts);
    return phone;
  }

  /** SIP messages that went from or to this host, as text, in order. */
  sipOf(host: string): readonly string[] {
    return this.packets
      .filter(({ from, to }) => [from, to].some((end) => end.host === host && end.port === 5060))
      .map(({ bytes }) => bytes.toString('latin1'));
  }

  #mgcpLines(): readonly { readonly number: string; readonly endpoint: string }[] {
    const { lines } = this.options;
    return Array.from({ length: lines ?? 2 }, (_, index) => ({
      number: String((lines === undefined ? 200 : 20_001) + index),
      endpoint: `aaln/${index + 1}@rgw1`,
    }));
  }

  #mediaAt(host: string): RtpMedia | undefined {
    if (this.options.speech !== true) return undefined;
    const network = this.network.host(host);
    return new RtpMedia({ clock: network.clock, random: this.random, network, host });
  }

  /** kill -9. */
  kill(host: string): void {
    this.network.crash(host);
    this.roles.delete(host);
    this.links.delete(host);
  }

  async run(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
  }

  telephone(number: string): Telephone {
    const index = Number(number) % 100;
    const mgcp = number.startsWith('2') ? this.mgcp?.line(index + 1) : undefined;
    if (mgcp !== undefined) return mgcpTelephone(number, mgcp);
    const megaco = this.megaco?.lines[index];
    if (megaco === undefined) throw new Error(`no telephone ${number}`);
    const beside = () =>
      megaco.contextId === 0
        ? undefined
        : this.megaco?.contexts.members(megaco.contextId).find(({ kind }) => kind === 'rtp');
    return megacoTelephone(number, megaco, beside);
  }

  /** Does each send to where the other receives? */
  talking(a: string, b: string): boolean {
    const one = this.telephone(a).media();
    const other = this.telephone(b).media();
    const reaches = (to: string | undefined, at: string | undefined) => to !== undefined && to === at;
    return reaches(one.sendsTo, other.receivesAt) && reaches(other.sendsTo, one.receivesAt);
  }

  calls(host: string): number {
    return (this.roles.get(host) ?? []).reduce((sum, role) => sum + role.calls().length, 0);
  }

  #sipRole(host: string, services: CoreServices, cluster: ClusterFor): Role {
    const isPrimary = host === primaryHost;
    return createSipRole(
      { ...services, cluster: cluster(sipAddress) },
      sipConfigSchema.parse({
        listen: [`udp:${host}:5060`, `tcp:${host}:5060`],
        domains: [sipDomain],
        backup: isPrimary ? [`udp:${backupHost}:5060`] : [],
        backupFor: isPrimary ? [] : [`udp:${primaryHost}:5060`],
        ...this.options.sip,
      }),
      { trust: this.options.edge === true ? edgeTrusted : [], allow: [], strip: 'none' },
    );
  }

  async #startEdge(): Promise<void> {
    const edge = createSipRole(
      this.#services(edgeHost),
      sipConfigSchema.parse({
        listen: [`udp:${edgeHost}:5060`],
        defaultRoute: [`${primaryHost}:5060`, `${backupHost}:5060`],
      }),
      { trust: [], allow: [], strip: 'none' },
    );
    await edge.start();
    this.roles.set(edgeHost, [edge]);
  }

  async stop(): Promise<void> {
    for (const roles of this.roles.values()) for (const role of roles) await role.stop();
    for (const link of this.links.values()) await link.stop();
    await this.mgcp?.stop();
    await this.megaco?.stop();
  }

  #services(host: string): CoreServices {
    const plain = this.network.host(host);
    const network = this.options.metered?.(host, plain) ?? plain;
    return withCallControl(
      {
        clock: network.clock,
        random: this.random,
        log: silentLog,
        metrics: new Metrics(),
        network,
        dns: { naptr: noAnswer, srv: noAnswer, a: noAnswer, aaaa: noAnswer },
        locations: new MemoryLocations({ clock: network.clock }),
        cluster: { secret: 'a secret of this test', backups: [], backupFor: [] },
      },
      new DiallingPlan(this.options.numbers),
    );
  }
}

const edgeTrusted = [readTrustRule(edgeHost)].filter((rule) => rule !== undefined);

type ClusterFor = (address: (of: string) => ControllerAddress) => CoreServices['cluster'];

const sipAddress = (host: string): ControllerAddress => ({ transport: 'udp', host, port: 5060 });

const mgcpAddress = (host: string): ControllerAddress => ({ transport: 'udp', host, port: 2727 });

const megacoAddress = (host: string): ControllerAddress => ({ transport: 'udp', host, port: 2944 });

const noAnswer = async () => ({ records: [], ttlMs: 0 });

function mgcpTelephone(number: string, line: SimLine): Telephone {
  const heard = {
    '': 'nothing',
    'L/dl': 'dial',
    'L/rg': 'ring',
    'G/rt': 'ringback',
    'L/bz': 'busy',
    'L/ro': 'reorder',
  };
  return {
    number,
    hears: () => (Object.entries(heard).find(([signal]) => signal === line.hears)?.[1] ?? 'other') as 'dial',
    offHook: () => line.offHook(),
    onHook: () => line.onHook(),
    dial: (digits) => line.dial(digits, 60),
    isIdle: () =>
      line.hook === 'on' &&
      line.connections.size === 0 &&
      line.hears === '' &&
      line.notification.state === 'normal' &&
      line.notification.request.events.some(({ id }) => id.toLowerCase() === 'hd'),
    media: () => {
      const [connection] = line.connections.values();
      return {
        sendsTo: connection?.mode === 'sendrecv' ? mediaAddress(connection.remote) : undefined,
        receivesAt: connection === undefined ? undefined : `${mgcpGatewayHost}:${connection.port}`,
      };
    },
  };
}

function megacoTelephone(number: string, line: SimTermination, beside: () => SimTermination | undefined): Telephone {
  const heard = { 'cg/dt': 'dial', 'al/ri': 'ring', 'cg/rt': 'ringback', 'cg/bt': 'busy', 'cg/ct': 'reorder' };
  return {
    number,
    hears: () =>
      line.signal === undefined
        ? 'nothing'
        : ((Object.entries(heard).find(([signal]) => signal === line.signal)?.[1] ?? 'other') as 'dial'),
    offHook: () => line.offHook(),
    onHook: () => line.onHook(),
    dial: (digits) => line.dial(digits),
    isIdle: () =>
      line.contextId === 0 &&
      line.signal === undefined &&
      line.hook === 'on' &&
      line.events.events.some(({ name }) => name === 'al/of'),
    media: () => {
      const media = beside();
      return {
        sendsTo: media?.localControl?.mode === 'SendReceive' ? mediaAddress(media.remote) : undefined,
        receivesAt: mediaAddress(media?.local),
      };
    },
  };
}
