/** Controllers, with a member link between them, and gateways on a memory network, whatever protocol they speak: what scenarios play on. */
import {
  type Clock,
  type ControllerAddress,
  type CoreServices,
  type Logger,
  MemberLink,
  Metrics,
  type OverloadControl,
  type Role,
  silentLog,
} from '../../src/internal.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { FakeClock } from './fake-clock.ts';
import { type Conditions, MemoryNetwork, type MemoryPacket } from './memory-network.ts';
import { seededRandom } from './seeded-random.ts';
import { withCallControl } from './services.ts';

const linkPort = 9061;

export const primaryHost = '127.0.0.1';
export const backupHost = '127.0.0.2';
export const thirdHost = '127.0.0.3';
export const gatewayHosts = ['127.0.0.11', '127.0.0.12'] as const;

export interface GatewayWorldOptions {
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
  /** Do the controllers share a secret, and so a member link? */
  readonly link?: boolean;
  readonly log?: Logger;
}

/** Who is whose backup, as one controller is configured. */
export interface Partners {
  readonly backup: readonly string[];
  readonly backupFor: readonly string[];
}

export class GatewayWorld<Gateway extends { stop(): Promise<void> }> {
  readonly clock = new FakeClock();
  readonly network: MemoryNetwork;
  readonly random;
  readonly log: Logger;
  readonly gateways: Gateway[] = [];
  readonly roles = new Map<string, Role>();
  /** Of the controllers, by host. */
  readonly servicesOf = new Map<string, CoreServices>();
  readonly links = new Map<string, MemberLink>();
  readonly packets: MemoryPacket[] = [];
  readonly #options: GatewayWorldOptions;

  constructor(options: GatewayWorldOptions) {
    this.#options = options;
    this.log = options.log ?? silentLog;
    this.network = new MemoryNetwork(this.clock, options.conditions ?? {}, options.seed ?? 1);
    this.random = seededRandom((options.seed ?? 1) + 1_000);
    this.network.onPacket((packet) => {
      if (packet.to.port !== linkPort) this.packets.push(packet);
    });
  }

  get linesPerGateway(): number {
    return this.#options.linesPerGateway ?? 2;
  }

  /** Lines are 200, 201 (gateway 1) and 202, 203 (gateway 2) by default. */
  placeOf(number: string): { readonly gateway: number; readonly line: number } {
    const index = Number(number) - 200;
    return { gateway: Math.floor(index / this.linesPerGateway), line: index % this.linesPerGateway };
  }

  /** The lines as they are provisioned, `aaln/1` and so on of each gateway. */
  provisionedLines(
    gatewayName: (index: number) => string,
  ): readonly { readonly number: string; readonly at: string }[] {
    return gatewayHosts.flatMap((_, gateway) =>
      Array.from({ length: this.linesPerGateway }, (__, index) => ({
        number: String(200 + gateway * this.linesPerGateway + index),
        at: `aaln/${index + 1}@${gatewayName(gateway)}`,
      })),
    );
  }

  /** The primary names the backup; of three each names the others. */
  partnersOf(host: string, written: (host: string) => string): Partners {
    const others = this.#three?.filter((each) => each !== host).map(written);
    const isBackedUp = this.#options.backup !== false && host === primaryHost;
    return {
      backup: others ?? (isBackedUp ? [written(backupHost)] : []),
      backupFor: others ?? (host === backupHost ? [written(primaryHost)] : []),
    };
  }

  /** Starts a controller's services and its link; `create` makes the role. */
  async startRole(
    host: string,
    partners: { readonly backups: readonly ControllerAddress[]; readonly backupFor: readonly ControllerAddress[] },
    address: (host: string) => ControllerAddress,
    create: (services: CoreServices) => Role,
  ): Promise<Role> {
    const services = this.services(host, { ...partners, order: this.#three?.map(address) });
    const link = await this.#startLink(host, services, [...partners.backups, ...partners.backupFor]);
    this.servicesOf.set(host, services);
    const role = create({ ...services, link, overload: this.#options.overload?.(this.clock) });
    await role.start();
    this.roles.set(host, role);
    return role;
  }

  /** As `altpath drain`, and then the end of the process; `again` starts it anew half a second later. */
  async drain(host: string, again?: () => Promise<unknown>): Promise<void> {
    const [role, link] = [this.roles.get(host), this.links.get(host)];
    await role?.drain(60_000);
    await role?.stop();
    await link?.stop();
    this.kill(host);
    if (again === undefined) return;
    await new Promise<void>((resolve) => this.clock.after(500, resolve));
    this.network.revive(host);
    await again();
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

  calls(host: string): readonly Readonly<Record<string, unknown>>[] {
    return this.roles.get(host)?.calls() ?? [];
  }

  async stop(): Promise<void> {
    for (const role of this.roles.values()) await role.stop();
    for (const link of this.links.values()) await link.stop();
    for (const gateway of this.gateways) await gateway.stop();
  }

  services(host: string, cluster: Omit<CoreServices['cluster'], 'secret'>): CoreServices {
    const network = this.network.host(host);
    const { clock } = network;
    return withCallControl({
      clock,
      random: this.random,
      log: this.log,
      metrics: new Metrics(),
      network,
      dns: { naptr: noAnswer, srv: noAnswer, a: (name) => this.#address(name), aaaa: noAnswer },
      locations: new MemoryLocations({ clock }),
      cluster: { secret: 'a secret of this test', ...cluster },
    });
  }

  get #three(): readonly string[] | undefined {
    return this.#options.third === true ? [primaryHost, backupHost, thirdHost] : undefined;
  }

  async #startLink(
    host: string,
    services: CoreServices,
    partners: readonly ControllerAddress[],
  ): Promise<MemberLink | undefined> {
    if (this.#options.link === false || partners.length === 0) return undefined;
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

  #address(name: string): Promise<{ records: readonly string[]; ttlMs: number }> {
    const host = this.#options.names?.get(name);
    return host === undefined ? noAnswer() : Promise.resolve({ records: [host], ttlMs: 30_000 });
  }
}

const noAnswer = async () => ({ records: [], ttlMs: 0 });
