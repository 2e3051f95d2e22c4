/** What gateways announce by ServiceChange (RFC 3525 §7.2.8, §11.2 to §11.5): they register, restart, come from another, leave. */
import {
  type Cancel,
  type Clock,
  type ControllerAddress,
  type GatewayController,
  isUnknown,
  type Line,
  type Logger,
} from '../../src/internal.ts';
import { type CommandReply, failure, type MId, type ServiceChangeDescriptor } from './codec/messages.ts';
import { addressMId } from './codec/mid.ts';
import type { MegacoGatewayConfig } from './config.ts';
import type { MegacoLineDriver } from './line-gateway.ts';
import type { MediaGateway } from './media-gateways.ts';
import { forgetHabit } from './record-place.ts';
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
  /** Gateways and terminations that restart later. */
  readonly #delayed = new Map<string, Cancel>();

  constructor(parts: RegistrationsParts) {
    this.#parts = parts;
  }

  stop(): void {
    for (const cancel of this.#delayed.values()) cancel();
    this.#delayed.clear();
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
      after.push(() => this.#terminationAnnounced(mg, terminationId, announcement, services));
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
        if (announcement === 'restarted') this.#restarted(mg, services);
        else this.#parts.takeover.begin(mg, services.method);
      });
    }
    return this.#registered(plain, services, undefined);
  }

  /** Of one termination, or of all that a wildcard names; the ephemeral ones, too. */
  #terminationAnnounced(
    mg: MediaGateway,
    pattern: string,
    announcement: Announcement,
    services: ServiceChangeDescriptor,
  ): void {
    const { driver } = this.#parts;
    const { control, lineProvider } = this.#parts.controller();
    if (announcement === 'leaving') this.#setLeaving(mg, pattern);
    if (announcement === 'restarted') {
      const lines = lineProvider.lines.of(mg.name).filter((line) => matchesTermination(pattern, terminationOf(line)));
      control.restarted(lines);
      this.#armAfter(mg, pattern, services, lines);
    }
    if (announcement !== 'left') return;
    for (const line of lineProvider.lines.of(mg.name)) {
      const rtp = driver.observed(line).media?.rtp;
      if (matchesTermination(pattern, terminationOf(line))) {
        lineProvider.outOfService(line);
        driver.withdraw(line);
      } else if (rtp !== undefined && matchesTermination(pattern, rtp)) lineProvider.refused(line, 'gatewayLost');
    }
  }

  /** §7.2.8: "service will be restored on the specified Terminations after expiration of the ServiceChangeDelay". */
  #armAfter(mg: MediaGateway, pattern: string, { delay = 0 }: ServiceChangeDescriptor, lines: readonly Line[]): void {
    const { control } = this.#parts.controller();
    const key = `${mg.name} ${pattern}`;
    this.#delayed.get(key)?.();
    this.#delayed.delete(key);
    if (delay === 0 || this.#delayed.size >= maxDelayed) {
      for (const line of lines) control.arm(line);
      return;
    }
    control.takeOut(lines, { detail: `gateway ${mg.name} serves them in ${delay} s` });
    const arm = (): void => {
      this.#delayed.delete(key);
      if (!mg.controlled) return;
      const due = lines.filter(isUnknown);
      control.restarted(due);
      for (const line of due) control.arm(line);
    };
    this.#delayed.set(key, this.#parts.clock.after(Math.min(longestDelayMs, delay * 1_000), arm));
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
  #restarted(mg: MediaGateway, services: ServiceChangeDescriptor): void {
    const { abandon, takeover } = this.#parts;
    const { control } = this.#parts.controller();
    takeover.own(mg);
    forgetHabit(mg);
    const lines = control.of(mg.gateway);
    control.restarted(lines, () => abandon(mg));
    this.#armAfter(mg, '*', services, lines);
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

/** Announcements that wait; whatever comes beyond is taken at its word at once. */
const maxDelayed = 1_000;
const longestDelayMs = 3_600_000;
