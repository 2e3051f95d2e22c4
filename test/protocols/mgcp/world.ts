/** Two call agents and two gateways on a memory network: what the scenarios and the simulation play on. */

import { decodeDatagram } from '../../../protocols/mgcp/codec/decode.ts';
import { mgcpConfigSchema } from '../../../protocols/mgcp/config.ts';
import { SimGateway, type SimGatewayOptions } from '../../../protocols/mgcp/gateway/sim-gateway.ts';
import type { SimLine } from '../../../protocols/mgcp/gateway/sim-line.ts';
import { createMgcpRole } from '../../../protocols/mgcp/role.ts';
import {
  type Clock,
  type Contact,
  type ControllerAddress,
  type CoreServices,
  type LocationService,
  type Logger,
  MemberLink,
  Metrics,
  type OverloadControl,
  parseAddress,
  type Role,
  silentLog,
} from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Conditions, MemoryNetwork, type MemoryPacket } from '../../support/memory-network.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { withCallControl } from '../../support/services.ts';

const linkPort = 9061;

export const primaryHost = '127.0.0.1';
export const backupHost = '127.0.0.2';
export const thirdHost = '127.0.0.3';
export const gatewayHosts = ['127.0.0.11', '127.0.0.12'] as const;

export interface WorldOptions {
  /** How much new work the controllers take; absent: all. */
  readonly overload?: (clock: Clock) => OverloadControl;
  readonly conditions?: Partial<Conditions>;
  readonly seed?: number;
  readonly linesPerGateway?: number;
  readonly backup?: boolean;
  /** A third controller; each is then the others' backup, in the order of the list. */
  readonly third?: boolean;
  /** DNS: the address of a name. */
  readonly names?: ReadonlyMap<string, string>;
  readonly config?: Record<string, unknown>;
  readonly gateway?: Partial<SimGatewayOptions>;
  /** For one of them only, by its index. */
  readonly gatewayOf?: Readonly<Record<number, Partial<SimGatewayOptions>>>;
  /** Do the call agents share a secret, and so a member link? */
  readonly link?: boolean;
  readonly log?: Logger;
}

export class World {
  readonly clock = new FakeClock();
  readonly network: MemoryNetwork;
  readonly random;
  readonly log: Logger;
  readonly options: WorldOptions;
  readonly gateways: SimGateway[] = [];
  readonly roles = new Map<string, Role>();
  /** Of the controllers, by host. */
  readonly servicesOf = new Map<string, CoreServices>();
  readonly links = new Map<string, MemberLink>();
  readonly packets: MemoryPacket[] = [];

  constructor(options: WorldOptions = {}) {
    this.options = options;
    this.log = options.log ?? silentLog;
    this.network = new MemoryNetwork(this.clock, options.conditions ?? {}, options.seed ?? 1);
    this.random = seededRandom((options.seed ?? 1) + 1_000);
    this.network.onPacket((packet) => {
      if (packet.to.port !== linkPort) this.packets.push(packet);
    });
  }

  /** Both call agents, both gateways, all lines armed. Lines are 200, 201 (gateway 1) and 202, 203 (gateway 2) by default. */
  static async up(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    if (options.third === true) await world.startAgent(thirdHost);
    if (options.backup !== false) await world.startAgent(backupHost);
    await world.startAgent(primaryHost);
    await world.run(2_500);
    for (const [index] of gatewayHosts.entries()) await world.startGateway(index);
    await world.run(2_000);
    return world;
  }

  async startAgent(host: string, own: Record<string, unknown> = {}): Promise<Role> {
    const { linesPerGateway = 2 } = this.options;
    const hasBackup = this.options.backup !== false;
    const three = this.options.third === true ? [primaryHost, backupHost, thirdHost] : undefined;
    const others = three?.filter((each) => each !== host).map((each) => `${each}:2727`);
    const config = mgcpConfigSchema.parse({
      listen: [`${host}:2727`],
      backup: others ?? (hasBackup && host === primaryHost ? [`${backupHost}:2727`] : []),
      backupFor: others ?? (host === backupHost ? [`${primaryHost}:2727`] : []),
      gateways: gatewayHosts.map((address, index) => ({ name: `rgw${index + 1}`, addresses: [`${address}:2427`] })),
      lines: gatewayHosts.flatMap((_, gateway) =>
        Array.from({ length: linesPerGateway }, (__, index) => ({
          number: String(200 + gateway * linesPerGateway + index),
          endpoint: `aaln/${index + 1}@rgw${gateway + 1}`,
        })),
      ),
      ...this.options.config,
      ...own,
    });
    const backups = config.backup.length > 0 ? config.backup : config.backupFor;
    const services = this.services(host, { backups, backupFor: config.backupFor, order: three?.map(address) });
    const link = await this.#startLink(host, services, [...backups, ...config.backupFor]);
    this.servicesOf.set(host, services);
    const role = createMgcpRole({ ...services, link, overload: this.options.overload?.(this.clock) }, config, {
      trust: [],
      allow: [],
      strip: 'none',
    });
    await role.start();
    this.roles.set(host, role);
    return role;
  }

  async #startLink(
    host: string,
    services: CoreServices,
    partners: readonly ControllerAddress[],
  ): Promise<MemberLink | undefined> {
    if (this.options.link === false || partners.length === 0) return undefined;
    const link = new MemberLink({
      ...services,
      secret: services.cluster.secret,
      member: host,
      version: 'test',
      listen: { host, port: linkPort },
      partners: [...new Set(partners.map((partner) => partner.host))].map((each) => ({ host: each, port: linkPort })),
    });
    await link.start();
    this.links.set(host, link);
    return link;
  }

  async startGateway(index: number): Promise<SimGateway> {
    const host = gatewayHosts[index] ?? '127.0.0.19';
    const gateway = new SimGateway(this.services(host, { backups: [], backupFor: [] }), {
      name: `rgw${index + 1}`,
      listen: parseAddress(`udp:${host}:2427`, { port: 2427 }),
      callAgents: [address(primaryHost)],
      lines: this.options.linesPerGateway ?? 2,
      disconnectedMs: 2_000,
      ...this.options.gateway,
      ...this.options.gatewayOf?.[index],
    });
    await gateway.start();
    this.gateways[index] = gateway;
    return gateway;
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

  line(number: string): SimLine {
    const perGateway = this.options.linesPerGateway ?? 2;
    const index = Number(number) - 200;
    const line = this.gateways[Math.floor(index / perGateway)]?.line((index % perGateway) + 1);
    if (line === undefined) throw new Error(`no line ${number}`);
    return line;
  }

  /** Does each send to the other's port, both ways? */
  talking(a: string, b: string): boolean {
    const one = this.line(a);
    const other = this.line(b);
    const reaches = (from: SimLine, to: SimLine) =>
      [...to.connections.values()].some(({ port }) => from.talksTo.includes(port));
    return reaches(one, other) && reaches(other, one);
  }

  /** Whom the line's messages go to. */
  owner(number: string): string | undefined {
    const perGateway = this.options.linesPerGateway ?? 2;
    const gateway = this.gateways[Math.floor((Number(number) - 200) / perGateway)];
    return gateway?.destination(this.line(number)).entity?.host;
  }

  calls(host: string): readonly Readonly<Record<string, unknown>>[] {
    return this.roles.get(host)?.calls() ?? [];
  }

  /** The commands and responses seen so far, in short: `RQNT aaln/1@rgw1`. */
  summary(from = 0): readonly string[] {
    return this.packets.slice(from).map(({ from: source, to, bytes }) => {
      const decoded = decodeDatagram(bytes);
      const text = decoded.ok
        ? decoded.value.messages
            .map((m) =>
              m.kind === 'command'
                ? `${m.verb} ${m.transactionId} ${m.endpoint} ${m.parameters.map(({ code, value }) => `${code}:${value}`).join('|')}`
                : m.kind === 'response'
                  ? `${m.code} ${m.transactionId}`
                  : 'broken',
            )
            .join(' + ')
        : '?';
      return `${source.host} > ${to.host} ${text}`;
    });
  }

  async stop(): Promise<void> {
    for (const role of this.roles.values()) await role.stop();
    for (const link of this.links.values()) await link.stop();
    for (const gateway of this.gateways) await gateway.stop();
  }

  services(host: string, cluster: Omit<CoreServices['cluster'], 'secret'>): CoreServices {
    const network = this.network.host(host);
    return withCallControl({
      clock: network.clock,
      random: this.random,
      log: this.log,
      metrics: new Metrics(),
      network,
      dns: { naptr: noAnswer, srv: noAnswer, a: (name) => this.#address(name), aaaa: noAnswer },
      locations: mapLocations(),
      cluster: { secret: 'a secret of this test', ...cluster },
    });
  }

  #address(name: string): Promise<{ records: readonly string[]; ttlMs: number }> {
    const host = this.options.names?.get(name);
    return host === undefined ? noAnswer() : Promise.resolve({ records: [host], ttlMs: 30_000 });
  }
}

export const address = (host: string): ControllerAddress => ({ transport: 'udp', host, port: 2727 });

const noAnswer = async () => ({ records: [], ttlMs: 0 });

function mapLocations(): LocationService {
  const records = new Map<string, readonly Contact[]>();
  return {
    open: async () => {},
    lookup: (record) => records.get(record) ?? [],
    save: async (record, contacts) => {
      if (contacts.length === 0) records.delete(record);
      else records.set(record, contacts);
    },
    records: () => records,
    get size() {
      return records.size;
    },
    close: async () => {},
  };
}
