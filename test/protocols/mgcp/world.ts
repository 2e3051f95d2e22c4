/** Call agents and two gateways on a memory network: what the scenarios and the simulation play on. */
import { decodeDatagram } from '../../../protocols/mgcp/codec/decode.ts';
import { mgcpConfigSchema } from '../../../protocols/mgcp/config.ts';
import { SimGateway, type SimGatewayOptions } from '../../../protocols/mgcp/gateway/sim-gateway.ts';
import type { SimLine } from '../../../protocols/mgcp/gateway/sim-line.ts';
import { createMgcpRole } from '../../../protocols/mgcp/role.ts';
import { type ControllerAddress, parseAddress, type Role } from '../../../src/internal.ts';
import {
  backupHost,
  GatewayWorld,
  type GatewayWorldOptions,
  gatewayHosts,
  primaryHost,
  thirdHost,
} from '../../support/gateway-world.ts';

export { backupHost, gatewayHosts, primaryHost, thirdHost };

export interface WorldOptions extends GatewayWorldOptions {
  readonly gateway?: Partial<SimGatewayOptions>;
  /** For one of them only, by its index. */
  readonly gatewayOf?: Readonly<Record<number, Partial<SimGatewayOptions>>>;
}

export class World extends GatewayWorld<SimGateway> {
  readonly options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    super(options);
    this.options = options;
  }

  /** Both call agents, both gateways, all lines armed. */
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
    const config = mgcpConfigSchema.parse({
      listen: [`${host}:2727`],
      ...this.partnersOf(host, (each) => `${each}:2727`),
      gateways: gatewayHosts.map((each, index) => ({ name: `rgw${index + 1}`, addresses: [`${each}:2427`] })),
      lines: this.provisionedLines((index) => `rgw${index + 1}`).map(({ number, at }) => ({ number, endpoint: at })),
      ...this.options.config,
      ...own,
    });
    const { backup, backupFor } = config;
    const partners = { backups: backup.length > 0 ? backup : backupFor, backupFor };
    return this.startRole(host, partners, address, (services) =>
      createMgcpRole(services, config, { trust: [], allow: [], strip: 'none' }),
    );
  }

  async startGateway(index: number): Promise<SimGateway> {
    const host = gatewayHosts[index] ?? '127.0.0.19';
    const gateway = new SimGateway(this.services(host, { backups: [], backupFor: [] }), {
      name: `rgw${index + 1}`,
      listen: parseAddress(`udp:${host}:2427`, { port: 2427 }),
      callAgents: [address(primaryHost)],
      lines: this.linesPerGateway,
      disconnectedMs: 2_000,
      ...this.options.gateway,
      ...this.options.gatewayOf?.[index],
    });
    await gateway.start();
    this.gateways[index] = gateway;
    return gateway;
  }

  line(number: string): SimLine {
    const place = this.placeOf(number);
    const line = this.gateways[place.gateway]?.line(place.line + 1);
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
    return this.gateways[this.placeOf(number).gateway]?.destination(this.line(number)).entity?.host;
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
}

export const address = (host: string): ControllerAddress => ({ transport: 'udp', host, port: 2727 });
