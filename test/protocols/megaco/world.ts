/** Two controllers and two gateways on a memory network: what the scenarios and the simulation play on. */
import { decode } from '../../../protocols/megaco/codec/codec.ts';
import { encodeText } from '../../../protocols/megaco/codec/text/encode.ts';
import { megacoConfigSchema } from '../../../protocols/megaco/config.ts';
import { SimGateway, type SimGatewayOptions } from '../../../protocols/megaco/gateway/sim-gateway.ts';
import type { SimTermination } from '../../../protocols/megaco/gateway/sim-termination.ts';
import { createMegacoRole } from '../../../protocols/megaco/role.ts';
import {
  type Clock,
  type Contact,
  type ControllerAddress,
  type CoreServices,
  type LocationService,
  type Logger,
  MemberLink,
  Metrics,
  mediaAddress,
  type OverloadControl,
  parseAddress,
  type Role,
  silentLog,
} from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { type Conditions, MemoryNetwork, type MemoryPacket } from '../../support/memory-network.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { withCallControl } from '../../support/services.ts';
import { vectorNaming } from './vectors.ts';

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
  readonly transport?: 'udp' | 'tcp';
  readonly config?: Record<string, unknown>;
  readonly gatewayConfig?: Record<string, unknown>;
  readonly gateway?: Partial<SimGatewayOptions>;
  /** Do the controllers share a secret, and so a member link? */
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
  readonly transport: 'udp' | 'tcp';

  constructor(options: WorldOptions = {}) {
    this.options = options;
    this.log = options.log ?? silentLog;
    this.transport = options.transport ?? 'udp';
    this.network = new MemoryNetwork(this.clock, options.conditions ?? {}, options.seed ?? 1);
    this.random = seededRandom((options.seed ?? 1) + 1_000);
    this.network.onPacket((packet) => {
      if (packet.to.port !== linkPort) this.packets.push(packet);
    });
  }

  /** Both controllers, both gateways, all lines armed. Lines are 200, 201 (gateway 1) and 202, 203 (gateway 2) by default. */
  static async up(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.startController(primaryHost);
    if (options.backup !== false) await world.startController(backupHost);
    if (options.third === true) await world.startController(thirdHost);
    await world.run(100);
    for (const [index] of gatewayHosts.entries()) await world.startGateway(index);
    await world.run(1_000);
    return world;
  }

  async startController(host: string): Promise<Role> {
    const { linesPerGateway = 2 } = this.options;
    const hasBackup = this.options.backup !== false;
    const three = this.options.third === true ? [primaryHost, backupHost, thirdHost] : undefined;
    const others = three?.filter((each) => each !== host).map((each) => `${this.transport}:${each}:2944`);
    const config = megacoConfigSchema.parse({
      listen: [`${this.transport}:${host}:2944`],
      backup: others ?? (hasBackup && host === primaryHost ? [`${this.transport}:${backupHost}:2944`] : []),
      backupFor: others ?? (host === backupHost ? [`${this.transport}:${primaryHost}:2944`] : []),
      gateways: gatewayHosts.map((address, index) => ({
        name: `gw${index + 1}`,
        addresses: [`${this.transport}:${address}:2944`],
        ...this.options.gatewayConfig,
      })),
      lines: gatewayHosts.flatMap((_, gateway) =>
        Array.from({ length: linesPerGateway }, (__, index) => ({
          number: String(200 + gateway * linesPerGateway + index),
          termination: `aaln/${index + 1}@gw${gateway + 1}`,
        })),
      ),
      ...this.options.config,
    });
    const services = this.services(host, {
      backups: config.backup,
      backupFor: config.backupFor,
      order: three?.map((each) => this.address(each)),
    });
    const link = await this.#startLink(host, services, [...config.backup, ...config.backupFor]);
    this.servicesOf.set(host, services);
    const role = createMegacoRole({ ...services, link, overload: this.options.overload?.(this.clock) }, config, {
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
      name: `gw${index + 1}`,
      listen: parseAddress(`${this.transport}:${host}:2944`, { port: 2944 }),
      controllers: [this.address(primaryHost)],
      lines: this.options.linesPerGateway ?? 2,
      ...this.options.gateway,
    });
    await gateway.start();
    this.gateways[index] = gateway;
    return gateway;
  }

  address(host: string): ControllerAddress {
    return parseAddress(`${this.transport}:${host}:2944`, { port: 2944 });
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

  line(number: string): SimTermination {
    const perGateway = this.options.linesPerGateway ?? 2;
    const index = Number(number) - 200;
    const line = this.gatewayOf(number)?.lines[index % perGateway];
    if (line === undefined) throw new Error(`no line ${number}`);
    return line;
  }

  gatewayOf(number: string): SimGateway | undefined {
    return this.gateways[Math.floor((Number(number) - 200) / (this.options.linesPerGateway ?? 2))];
  }

  /** The ephemeral termination beside the line. */
  media(number: string): SimTermination | undefined {
    const line = this.line(number);
    return line.contextId === 0
      ? undefined
      : this.gatewayOf(number)
          ?.contexts.members(line.contextId)
          .find(({ kind }) => kind === 'rtp');
  }

  /** Does each send to where the other receives, both ways? */
  talking(a: string, b: string): boolean {
    const one = this.media(a);
    const other = this.media(b);
    const reaches = (from: SimTermination | undefined, to: SimTermination | undefined) =>
      from?.localControl?.mode === 'SendReceive' &&
      mediaAddress(from.remote) !== undefined &&
      mediaAddress(from.remote) === mediaAddress(to?.local);
    return reaches(one, other) && reaches(other, one);
  }

  /** Idle lines that would notice an off-hook; no context, no ephemeral left. */
  idle(...numbers: readonly string[]): boolean {
    return numbers.every((number) => {
      const line = this.line(number);
      return (
        line.contextId === 0 &&
        line.signal === undefined &&
        line.hook === 'on' &&
        line.events.events.some(({ name }) => name === 'al/of')
      );
    });
  }

  get ephemerals(): number {
    return this.gateways.reduce((sum, gateway) => sum + gateway.contexts.ephemerals, 0);
  }

  calls(host: string): readonly Readonly<Record<string, unknown>>[] {
    return this.roles.get(host)?.calls() ?? [];
  }

  /** What was sent, in compact text. */
  summary(from = 0): readonly string[] {
    return this.packets.slice(from).map(({ from: source, to, bytes }) => {
      const decoded = decode(bytes, () => vectorNaming);
      const text = decoded.ok
        ? encodeText(decoded.value, 'compact')
            .toString('latin1')
            .replace(/\s*\n\s*/g, ' ')
        : `? ${bytes.toString('latin1')}`;
      return `${source.host} > ${to.host} ${text}`;
    });
  }

  services(host: string, cluster: Omit<CoreServices['cluster'], 'secret'>): CoreServices {
    const network = this.network.host(host);
    return withCallControl({
      clock: network.clock,
      network,
      random: this.random,
      log: this.log,
      metrics: new Metrics(),
      dns: {
        naptr: () => Promise.reject(new Error('no DNS here')),
        srv: () => Promise.reject(new Error('no DNS here')),
        a: (name) => {
          const host = this.options.names?.get(name);
          return host === undefined
            ? Promise.reject(new Error('no DNS here'))
            : Promise.resolve({ records: [host], ttlMs: 30_000 });
        },
        aaaa: () => Promise.reject(new Error('no DNS here')),
      },
      locations: new MemoryLocations(),
      cluster: { ...cluster, secret: 'a secret of the cluster' },
    });
  }
}

class MemoryLocations implements LocationService {
  readonly #records = new Map<string, readonly Contact[]>();

  async open(): Promise<void> {}

  lookup(record: string): readonly Contact[] {
    return this.#records.get(record) ?? [];
  }

  async save(record: string, contacts: readonly Contact[]): Promise<void> {
    if (contacts.length === 0) this.#records.delete(record);
    else this.#records.set(record, contacts);
  }

  records(): Iterable<readonly [string, readonly Contact[]]> {
    return this.#records;
  }

  get size(): number {
    return this.#records.size;
  }

  async close(): Promise<void> {}
}
