/** What gateways announce by ServiceChange (RFC 3525 §7.2.8, §11.2 to §11.5): they register, restart, come from another, leave. */
import type { Clock, ControllerAddress, GatewayController, Logger } from '../../src/internal.ts';
import { type CommandReply, failure, type MId, type ServiceChangeDescriptor } from './codec/messages.ts';
import { addressMId } from './codec/mid.ts';
import type { MegacoGatewayConfig } from './config.ts';
import type { MegacoLineDriver } from './line-gateway.ts';
import type { MediaGateway } from './media-gateways.ts';
import { type Announcement, announcementOf, registrationReply } from './service-change.ts';
import type { AuditedLine } from './snapshot.ts';
import type { MegacoTakeover } from './takeover.ts';
import { terminationOf } from './termination.ts';
import { matchesTermination } from './termination-pattern.ts';
import { type IncomingRequest, remoteOf } from './transactions.ts';

export interface RegistrationsParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** The highest version that is agreed to. */
  readonly version: number;
  readonly driver: MegacoLineDriver;
  readonly takeover: MegacoTakeover;
  controller(): GatewayController<MegacoGatewayConfig, AuditedLine>;
  /** What we have asked it is settled without another word. */
  abandon(mg: MediaGateway): void;
  /** It is not ours any more, and its lines are out of service. */
  depart(mg: MediaGateway): void;
  /** It is registered, and is to be told what every gateway is told. */
  registered(mg: MediaGateway): void;
}

export class Registrations {
  readonly #parts: RegistrationsParts;

  constructor(parts: RegistrationsParts) {
    this.#parts = parts;
  }

  /** `after` runs once the reply has left: no command may overtake it (error 505 else). */
  announced(
    mg: MediaGateway,
    plain: CommandReply,
    services: ServiceChangeDescriptor,
    incoming: IncomingRequest,
    after: (() => void)[],
  ): CommandReply {
    const { ownership } = this.#parts.controller();
    const announcement = announcementOf(services);
    const { terminationId } = plain;
    this.#parts.log.info(
      { gateway: mg.name, terminationId, method: services.method, reason: services.reason },
      'service change',
    );
    if (announcement === undefined) return failure(plain, 501, 'no such method');
    if (services.version === 0) return failure(plain, 406, 'version');
    if (terminationId !== 'ROOT') {
      after.push(() => this.#terminationAnnounced(mg, terminationId, announcement));
      return plain;
    }
    const backup = ownership.isDraining ? ownership.heir() : undefined;
    if (backup !== undefined && announcement !== 'left' && announcement !== 'leaving')
      return this.#registered(plain, services, addressMId(backup));
    if (announcement === 'left') after.push(() => this.#parts.depart(mg));
    else if (announcement === 'leaving') this.#setLeaving(mg, '*');
    else {
      mg.reachedAt(addressFrom(services.address, incoming));
      mg.agreed(Math.min(services.version ?? 1, this.#parts.version));
      after.push(() => {
        if (announcement === 'restarted') this.#restarted(mg);
        else this.#parts.takeover.begin(mg, services.method);
      });
    }
    return this.#registered(plain, services, undefined);
  }

  /** Of one termination, or of all that a wildcard names; the ephemeral ones, too. */
  #terminationAnnounced(mg: MediaGateway, pattern: string, announcement: Announcement): void {
    const { driver } = this.#parts;
    const { control, lineProvider } = this.#parts.controller();
    if (announcement === 'leaving') this.#setLeaving(mg, pattern);
    if (announcement !== 'left' && announcement !== 'restarted') return;
    for (const line of lineProvider.lines.of(mg.name)) {
      const rtp = driver.observed(line).media?.rtp;
      if (matchesTermination(pattern, terminationOf(line))) {
        if (announcement === 'left') {
          lineProvider.outOfService(line);
          driver.withdraw(line);
        } else {
          control.restarted([line]);
          control.arm(line);
        }
      } else if (announcement === 'left' && rtp !== undefined && matchesTermination(pattern, rtp))
        lineProvider.refused(line, 'gatewayLost');
    }
  }

  /** Graceful: calls go on, no new ones begin or are sent there. In service until the gateway says more (§7.2.8). */
  #setLeaving(mg: MediaGateway, pattern: string): void {
    const { lines } = this.#parts.controller().lineProvider;
    for (const line of lines.of(mg.name))
      if (line.inService && matchesTermination(pattern, terminationOf(line))) lines.setLeaving(line, true);
  }

  #registered(plain: CommandReply, services: ServiceChangeDescriptor, mgcId: MId | undefined): CommandReply {
    return registrationReply(plain.terminationId, services, {
      version: this.#parts.version,
      nowMs: this.#parts.clock.wallNow(),
      mgcId,
    });
  }

  /** Its contexts are gone: calls with its lines are over, and every line is armed anew. */
  #restarted(mg: MediaGateway): void {
    const { abandon, takeover } = this.#parts;
    const { control } = this.#parts.controller();
    takeover.own(mg);
    const lines = control.of(mg.gateway);
    control.restarted(lines, () => abandon(mg));
    for (const line of lines) control.arm(line);
    this.#parts.registered(mg);
  }
}

/** Where later requests go: the port or address that the gateway names, else where the announcement came from (§9). */
function addressFrom(named: string | undefined, { flow }: IncomingRequest): ControllerAddress {
  const source = remoteOf(flow);
  // A connection is its own way back.
  if (named === undefined || flow.reliable) return source;
  if (/^\d{1,5}$/.test(named)) return { ...source, port: Number(named) };
  const found = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(named);
  return found === null ? source : { ...source, host: found[1] ?? source.host, port: Number(found[2] ?? 2944) };
}
