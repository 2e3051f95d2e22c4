/** Controllers and two gateways on a memory network: what the scenarios and the simulation play on. */
import { decode } from '../../../protocols/megaco/codec/codec.ts';
import { encodeText } from '../../../protocols/megaco/codec/text/encode.ts';
import { megacoConfigSchema } from '../../../protocols/megaco/config.ts';
import { SimGateway, type SimGatewayOptions } from '../../../protocols/megaco/gateway/sim-gateway.ts';
import type { SimTermination } from '../../../protocols/megaco/gateway/sim-termination.ts';
import { createMegacoRole } from '../../../protocols/megaco/role.ts';
import { type ControllerAddress, mediaAddress, parseAddress, type Role } from '../../../src/internal.ts';
import {
  backupHost,
  GatewayWorld,
  type GatewayWorldOptions,
  gatewayHosts,
  primaryHost,
  thirdHost,
} from '../../support/gateway-world.ts';
import { vectorNaming } from './vectors.ts';

export { backupHost, gatewayHosts, primaryHost, thirdHost };

export interface WorldOptions extends GatewayWorldOptions {
  readonly transport?: 'udp' | 'tcp';
  readonly gatewayConfig?: Record<string, unknown>;
  readonly gateway?: Partial<SimGatewayOptions>;
}

export class World extends GatewayWorld<SimGateway> {
  readonly options: WorldOptions;
  readonly transport: 'udp' | 'tcp';

  constructor(options: WorldOptions = {}) {
    super(options);
    this.options = options;
    this.transport = options.transport ?? 'udp';
  }

  /** Both controllers, both gateways, all lines armed. */
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
    const config = megacoConfigSchema.parse({
      listen: [`${this.transport}:${host}:2944`],
      ...this.partnersOf(host, (each) => `${this.transport}:${each}:2944`),
      gateways: gatewayHosts.map((each, index) => ({
        name: `gw${index + 1}`,
        addresses: [`${this.transport}:${each}:2944`],
        ...this.options.gatewayConfig,
      })),
      lines: this.provisionedLines((index) => `gw${index + 1}`).map(({ number, at }) => ({ number, termination: at })),
      ...this.options.config,
    });
    const partners = { backups: config.backup, backupFor: config.backupFor };
    return this.startRole(
      host,
      partners,
      (each) => this.address(each),
      (services) => createMegacoRole(services, config, { trust: [], allow: [], strip: 'none' }),
    );
  }

  async startGateway(index: number): Promise<SimGateway> {
    const host = gatewayHosts[index] ?? '127.0.0.19';
    const gateway = new SimGateway(this.services(host, { backups: [], backupFor: [] }), {
      name: `gw${index + 1}`,
      listen: parseAddress(`${this.transport}:${host}:2944`, { port: 2944 }),
      controllers: [this.address(primaryHost)],
      lines: this.linesPerGateway,
      ...this.options.gateway,
    });
    await gateway.start();
    this.gateways[index] = gateway;
    return gateway;
  }

  address(host: string): ControllerAddress {
    return parseAddress(`${this.transport}:${host}:2944`, { port: 2944 });
  }

  line(number: string): SimTermination {
    const line = this.gatewayOf(number)?.lines[this.placeOf(number).line];
    if (line === undefined) throw new Error(`no line ${number}`);
    return line;
  }

  gatewayOf(number: string): SimGateway | undefined {
    return this.gateways[this.placeOf(number).gateway];
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
}
