/** Gateways that restart, lose us, leave and stay after all (RestartInProgress, RFC 3435 §2.3.12, §4.4.5 to §4.4.7). */
import {
  type Cancel,
  type Clock,
  type Flow,
  type Gateway,
  type GatewayController,
  isUnknown,
  type Line,
  type Logger,
} from '../../src/internal.ts';
import { type MgcpCommand, type Parameter, parameter, type Reply } from './codec/messages.ts';
import { covers, isAllOf, isAnyOf, readEndpointName, writeNotifiedEntity } from './codec/values/names.ts';
import type { MgcpGatewayConfig } from './config.ts';
import type { GatewayCommands } from './gateway-commands.ts';
import { listEndpoints } from './listing.ts';
import { forgetHabit } from './record-place.ts';
import type { Routing } from './routing.ts';
import type { EndpointAudit } from './snapshot.ts';

export interface RestartsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly routing: Routing;
  controller(): GatewayController<MgcpGatewayConfig, EndpointAudit>;
  commands(): GatewayCommands;
}

export class Restarts {
  readonly #parts: RestartsParts;
  /** Who is being asked for its endpoints, for the last time that it was. */
  readonly #listings = new Map<Gateway, object>();
  /** Their gateway restarted, and is being asked whether it still has them. */
  readonly #unarmed = new Set<Line>();
  /** Gateways that will restart, or are about to say that they have. */
  readonly #delayed = new Map<Gateway, Cancel>();
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
    this.#delayed.get(gateway)?.();
    this.#delayed.delete(gateway);
  }

  /** The line's state is known in another way. */
  known(line: Line): void {
    this.#unarmed.delete(line);
  }

  onRestart(command: MgcpCommand, gateway: Gateway, flow: Flow, reply: Reply): void {
    const { routing } = this.#parts;
    const { control, lineProvider, ownership, takeover } = this.#parts.controller();
    const { lines } = lineProvider;
    if (isAnyOf(readEndpointName(command.endpoint)?.local ?? '')) {
      // §2.3.12: "The "any of" wildcard convention SHALL NOT be used."
      reply(510, 'Any-of wildcard');
      return;
    }
    const method = (parameter(command, 'RM') ?? '').toLowerCase();
    const delaySeconds = Number(parameter(command, 'RD') ?? '0');
    const concerned = covered(control.of(gateway), command.endpoint);
    const heir = ownership.isDraining ? ownership.heir() : undefined;
    if (heir !== undefined) {
      reply(521, 'Redirect', [{ code: 'N', value: writeNotifiedEntity({ ...heir, user: 'ca' }) }]);
      return;
    }
    const here: readonly Parameter[] = [{ code: 'N', value: routing.notifiedEntity(flow) }];
    switch (method) {
      case 'restart':
        reply(200, 'OK', here);
        if (delaySeconds > 0) {
          this.#announced(gateway, concerned, delaySeconds);
          return;
        }
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
        control.takeOut(concerned);
        return;
      case 'graceful':
        reply(200, 'OK');
        // Existing calls go on; no new ones begin or are sent there. The endpoints are in service until the gateway says more (§4.4.5).
        for (const line of concerned) if (line.inService) lines.setLeaving(line, true);
        return;
      case 'cancel-graceful':
        reply(200, 'OK', here);
        for (const line of concerned) lines.setLeaving(line, false);
        takeover.begin(concerned.filter(isUnknown));
        if (isWhole(command.endpoint)) this.#list(command.endpoint, gateway, concerned, () => {});
        return;
      default:
        reply(536, 'Unknown or unsupported RestartMethod');
    }
  }

  /** Nothing is on them, and they serve later: the gateway will say so again (§2.3.12), or should; who has not is asked. */
  #announced(gateway: Gateway, lines: readonly Line[], delaySeconds: number): void {
    const { control, takeover } = this.#parts.controller();
    control.takeOut(lines, { detail: `gateway ${gateway.name} restarts in ${delaySeconds} s` });
    this.#delayed.get(gateway)?.();
    const ask = () => {
      this.#delayed.delete(gateway);
      if (!this.#stopped && gateway.state !== 'down') takeover.begin(control.unknownOn(gateway));
    };
    const waitMs = Math.min(longestDelayMs, delaySeconds * 1_000) + updateMs;
    this.#delayed.set(gateway, this.#parts.clock.after(waitMs, ask));
  }

  /** A line whose gateway restarted gets its order. */
  arm(line: Line): void {
    if (this.#unarmed.delete(line) && line.controlled && !this.#stopped) this.#parts.controller().control.arm(line);
  }

  /** Clean state; armed once the gateway has said which endpoints it has. Who restarts alone has spoken for itself. */
  #restarted(name: string, gateway: Gateway, lines: readonly Line[]): void {
    if (isWhole(name)) forgetHabit(gateway);
    this.#parts.controller().control.restarted(lines);
    for (const line of lines) this.#unarmed.add(line);
    const arm = () => {
      for (const line of lines) this.arm(line);
    };
    if (!isWhole(name)) {
      arm();
      return;
    }
    // Lines do not stay dead for long if the answer does not come.
    const cancel = this.#parts.clock.after(listingMs, arm);
    this.#list(name, gateway, lines, () => {
      cancel();
      arm();
    });
  }

  /** One audit for all that the name covers; lines that the gateway does not have are taken out. */
  #list(name: string, gateway: Gateway, lines: readonly Line[], done: () => void): void {
    if (lines.length === 0) return;
    // A list that was asked for before the gateway restarted again says nothing.
    const turn = {};
    this.#listings.set(gateway, turn);
    listEndpoints({ commands: this.#parts.commands() }, gateway, name, (has) => {
      if (this.#listings.get(gateway) !== turn) return;
      this.#listings.delete(gateway);
      const missing = lines.filter(
        ({ controlled, endpoint }) => has !== undefined && controlled && !has(readEndpointName(endpoint)?.local ?? ''),
      );
      this.#parts.controller().control.takeOut(missing);
      for (const line of missing) line.isMissing = true;
      if (missing.length > 0)
        this.#parts.log.warn(
          {
            gateway: gateway.name,
            lines: missing.length,
            endpoints: missing.slice(0, 10).map(({ endpoint }) => endpoint),
          },
          'the gateway does not have endpoints that are provisioned: not armed',
        );
      done();
    });
  }
}

/** Those that a name with wildcards means (RFC 3435 §2.1.2). */
function covered(lines: readonly Line[], name: string): readonly Line[] {
  const local = readEndpointName(name)?.local ?? '';
  return lines.filter(({ endpoint }) => covers(local, readEndpointName(endpoint)?.local ?? ''));
}

const isWhole = (name: string): boolean => isAllOf(readEndpointName(name)?.local ?? '');

const longestDelayMs = 3_600_000;

/** The announcement that a restart is over may come so much later. */
const updateMs = 5_000;

/** Lines of a restarted gateway are armed after this, even if it has not said yet which it has. */
const listingMs = 500;
