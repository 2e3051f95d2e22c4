/** Gateways and lines as the operator provisions them, at the start and after each reload; gateways by DNS name are looked up. */
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../log.ts';
import type { CoreServices } from '../role.ts';
import { isIpLiteral } from '../signaling/controller-address.ts';
import { type GatewayProvision, gatewayIn, writtenAddresses } from './gateway-config.ts';
import { GatewayNames } from './gateway-names.ts';
import type { GatewayProtocol } from './gateway-protocol.ts';
import type { Gateway, GatewayRegistry } from './gateway-registry.ts';
import type { Line, LineProvision } from './line.ts';
import { lineChanges } from './line-changes.ts';
import type { LineCommander } from './line-driver.ts';
import type { LineProvider } from './line-provider.ts';
import type { RoamingGateways } from './roaming-gateways.ts';

export interface Provisioning<G extends GatewayProvision> {
  readonly gateways: readonly G[];
  /** The gateway is named in the endpoint. */
  readonly lines: readonly Omit<LineProvision, 'gateway'>[];
}

export interface GatewayProvisioningParts<G extends GatewayProvision> {
  readonly services: CoreServices;
  readonly log: Logger;
  readonly registry: GatewayRegistry;
  readonly protocol: Pick<GatewayProtocol<G, unknown>, 'configured' | 'located'>;
  readonly driver: LineCommander;
  readonly roaming: RoamingGateways;
  lineProvider(): LineProvider;
  added(line: Line, gateway: Gateway): void;
  /** It is provisioned no more: what is being asked of it does not matter. */
  withdrawn(line: Line): void;
  /** Lines that were added: in service from now on if their gateway is ours. */
  serve(lines: readonly Line[]): void;
  /** It is provisioned no more. */
  removed(gateway: Gateway): void;
  /** A gateway that was not there before. */
  placed(gateway: Gateway): void;
}

export class GatewayProvisioning<G extends GatewayProvision> {
  readonly #parts: GatewayProvisioningParts<G>;
  readonly #names: GatewayNames;
  /** By name in lower case. */
  #provisioned: ReadonlyMap<string, G> = new Map();

  constructor(parts: GatewayProvisioningParts<G>) {
    const { services, log, protocol, registry } = parts;
    this.#parts = parts;
    this.#names = new GatewayNames({
      ...services,
      log,
      located: (name, addresses) => {
        const gateway = registry.byName(name);
        if (gateway !== undefined) protocol.located(gateway, addresses);
      },
    });
  }

  /** As the operator wrote it. */
  of(gateway: string): G | undefined {
    return this.#provisioned.get(gateway.toLowerCase());
  }

  all(): Iterable<G> {
    return this.#provisioned.values();
  }

  /** Says what changed. `placed` is called between gateways and lines. */
  provision({ gateways, lines }: Provisioning<G>, placed: () => void): readonly string[] {
    const changes = this.#gateways(gateways);
    placed();
    return [...changes, ...this.#lines(lines)];
  }

  stop(): void {
    this.#names.stop();
  }

  #gateways(gateways: readonly G[]): readonly string[] {
    const { registry } = this.#parts;
    const changes: string[] = [];
    const before = this.#provisioned;
    this.#provisioned = new Map(gateways.map((gateway) => [gateway.name.toLowerCase(), gateway]));
    for (const configured of gateways) {
      const { name } = configured;
      const former = before.get(name.toLowerCase());
      if (isDeepStrictEqual(former, configured)) continue;
      changes.push(`gateway ${name} ${former === undefined ? 'added' : 'changed'}`);
      this.#configure(configured);
    }
    for (const [key, { name }] of before) {
      const gateway = this.#provisioned.has(key) ? undefined : registry.byName(name);
      if (gateway === undefined) continue;
      this.#names.forget(name);
      registry.remove(name);
      this.#parts.removed(gateway);
      changes.push(`gateway ${name} removed`);
    }
    return changes;
  }

  #configure(configured: G): void {
    const { protocol, registry, roaming } = this.#parts;
    const { name } = configured;
    const addresses = writtenAddresses(configured);
    const roams = configured.addresses === 'any';
    const literals = addresses.filter(({ host }) => isIpLiteral(host));
    const known = registry.byName(name);
    const gateway = known ?? registry.add(name, literals);
    if (known === undefined) this.#parts.placed(gateway);
    protocol.configured(gateway, configured);
    const hasRoamed = roaming.has(gateway);
    roaming.provision(gateway, roams);
    // It stays where it proved to be.
    if (roams && hasRoamed) return;
    // A name stays where it was until DNS has spoken.
    if (known === undefined || literals.length === addresses.length) protocol.located(gateway, literals);
    this.#names.watch(name, addresses);
  }

  #lines(lines: Provisioning<G>['lines']): readonly string[] {
    const { log, registry } = this.#parts;
    const lineProvider = this.#parts.lineProvider();
    const wanted = lines.flatMap((line): readonly LineProvision[] => {
      const { number, endpoint } = line;
      const gateway = registry.byName(gatewayIn(endpoint));
      if (gateway !== undefined) return [{ ...line, gateway: gateway.name }];
      log.warn({ number, endpoint }, 'line on a gateway that is not configured: left out');
      return [];
    });
    const { gone, fresh, words } = lineChanges(lineProvider.lines.all(), wanted);
    for (const line of wanted) lineProvider.lines.byNumber(line.number)?.rename(line);
    const leaving = new Map(gone.map((line) => [line.endpoint.toLowerCase(), this.#withdraw(line)]));
    const added: Line[] = [];
    for (const provision of fresh) {
      const gateway = registry.byName(provision.gateway);
      if (gateway === undefined) continue;
      const line = lineProvider.lines.add(provision);
      this.#parts.added(line, gateway);
      // What was at an endpoint leaves before what comes is armed.
      const former = leaving.get(line.endpoint.toLowerCase());
      if (former === undefined) added.push(line);
      else void former.then(() => this.#parts.serve([line]));
    }
    this.#parts.serve(added);
    return words;
  }

  /** Its call is over, and it has the order to be idle; done when its gateway has obeyed, or cannot. */
  #withdraw(line: Line): Promise<void> {
    const { driver, withdrawn } = this.#parts;
    this.#parts.lineProvider().withdraw(line);
    withdrawn(line);
    return new Promise((resolve) => {
      driver.whenSettled(line, () => {
        driver.forget(line);
        resolve();
      });
    });
  }
}
