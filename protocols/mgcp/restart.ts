/** Gateways that restart, lose us, leave and stay after all (RestartInProgress, RFC 3435 §2.3.12, §4.4.5 to §4.4.7). */
import type { Clock, Flow, Gateway, GatewayOwnership, LineProvider, Logger } from '../../src/internal.ts';
import { type MgcpCommand, type Parameter, parameter, type Reply } from './codec/messages.ts';
import { isAllOf, readEndpointName, writeNotifiedEntity } from './codec/values/names.ts';
import type { Endpoint } from './endpoint.ts';
import { type Endpoints, isUnknown } from './endpoints.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import type { MgcpLineDriver } from './line-gateway.ts';
import { listEndpoints } from './listing.ts';
import type { Routing } from './routing.ts';
import type { MgcpTakeover } from './takeover.ts';

export interface RestartsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly endpoints: Endpoints;
  readonly routing: Routing;
  readonly driver: MgcpLineDriver;
  readonly takeover: MgcpTakeover;
  lineProvider(): LineProvider;
  ownership(): GatewayOwnership;
  commands(): GatewayCommands;
}

export class Restarts {
  readonly #parts: RestartsParts;
  /** Who is being asked for its endpoints, for the last time that it was. */
  readonly #listings = new Map<Gateway, object>();
  #stopped = false;

  constructor(parts: RestartsParts) {
    this.#parts = parts;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** It is provisioned no more. */
  forget(gateway: Gateway): void {
    this.#listings.delete(gateway);
  }

  onRestart(command: MgcpCommand, gateway: Gateway, flow: Flow, reply: Reply): void {
    const { endpoints, routing, takeover } = this.#parts;
    const { lines } = this.#parts.lineProvider();
    const ownership = this.#parts.ownership();
    const method = (parameter(command, 'RM') ?? '').toLowerCase();
    const delaySeconds = Number(parameter(command, 'RD') ?? '0');
    const concerned = endpoints.covered(command.endpoint, gateway);
    const heir = ownership.isDraining ? ownership.heir() : undefined;
    if (heir !== undefined) {
      reply(521, 'Redirect', [{ code: 'N', value: writeNotifiedEntity({ ...heir, user: 'ca' }) }]);
      return;
    }
    const here: readonly Parameter[] = [{ code: 'N', value: routing.notifiedEntity(flow) }];
    switch (method) {
      case 'restart':
        reply(200, 'OK', here);
        // Announced for later: it will say so again (§2.3.12).
        if (delaySeconds > 0) return;
        this.#restarted(command.endpoint, gateway, concerned);
        ownership.came(gateway.name);
        return;
      case 'disconnected':
        reply(200, 'OK', here);
        takeover.begin(concerned);
        ownership.came(gateway.name);
        return;
      case 'forced':
        reply(200, 'OK');
        for (const endpoint of concerned) this.takeOut(endpoint);
        return;
      case 'graceful':
        reply(200, 'OK');
        // Existing calls go on; no new ones begin or are sent there. The endpoints are in service until the gateway says more (§4.4.5).
        for (const { line } of concerned) if (line.inService) lines.setLeaving(line, true);
        return;
      case 'cancel-graceful':
        reply(200, 'OK', here);
        for (const { line } of concerned) lines.setLeaving(line, false);
        takeover.begin(concerned.filter(isUnknown));
        if (isWhole(command.endpoint)) this.#list(command.endpoint, gateway, concerned, () => {});
        return;
      default:
        reply(536, 'Unknown or unsupported RestartMethod');
    }
  }

  /** An endpoint whose gateway restarted gets the order of its line. */
  arm(endpoint: Endpoint): void {
    if (!endpoint.isUnarmed || this.#stopped) return;
    endpoint.isUnarmed = false;
    this.#parts.lineProvider().inService(endpoint.line, 'on');
    this.#parts.driver.apply(endpoint.line);
  }

  /** Neither ours nor in service from now on. */
  takeOut(endpoint: Endpoint): void {
    this.#parts.takeover.drop(endpoint);
    this.#parts.driver.forget(endpoint.line);
    endpoint.isUnarmed = false;
    endpoint.owned = false;
    this.#parts.lineProvider().outOfService(endpoint.line);
  }

  /** Clean state; armed once the gateway has said which endpoints it has. Who restarts alone has spoken for itself. */
  #restarted(name: string, gateway: Gateway, endpoints: readonly Endpoint[]): void {
    for (const endpoint of endpoints) {
      this.#parts.takeover.drop(endpoint);
      this.#parts.lineProvider().lost(endpoint.line);
      this.#parts.driver.forget(endpoint.line);
      endpoint.owned = true;
      endpoint.isUnlisted = false;
      endpoint.isUnarmed = true;
    }
    const arm = () => {
      for (const endpoint of endpoints) this.arm(endpoint);
    };
    if (!isWhole(name)) {
      arm();
      return;
    }
    // Lines do not stay dead for long if the answer does not come.
    const cancel = this.#parts.clock.after(listingMs, arm);
    this.#list(name, gateway, endpoints, () => {
      cancel();
      arm();
    });
  }

  /** One audit for all that the name covers; lines that the gateway does not have are taken out. */
  #list(name: string, gateway: Gateway, endpoints: readonly Endpoint[], done: () => void): void {
    if (endpoints.length === 0) return;
    // A list that was asked for before the gateway restarted again says nothing.
    const turn = {};
    this.#listings.set(gateway, turn);
    listEndpoints({ commands: this.#parts.commands() }, gateway, name, (has) => {
      if (this.#listings.get(gateway) !== turn) return;
      this.#listings.delete(gateway);
      const missing = endpoints.filter(
        ({ owned, line }) => has !== undefined && owned && !has(readEndpointName(line.endpoint)?.local ?? ''),
      );
      for (const endpoint of missing) {
        this.takeOut(endpoint);
        endpoint.isUnlisted = true;
      }
      if (missing.length > 0)
        this.#parts.log.warn(
          {
            gateway: gateway.name,
            lines: missing.length,
            endpoints: missing.slice(0, 10).map(({ line }) => line.endpoint),
          },
          'the gateway does not have endpoints that are provisioned: not armed',
        );
      done();
    });
  }
}

const isWhole = (name: string): boolean => isAllOf(readEndpointName(name)?.local ?? '');

/** Lines of a restarted gateway are armed after this, even if it has not said yet which it has. */
const listingMs = 500;
