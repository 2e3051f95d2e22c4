/** Overload control and source limits of one controller, and what its admin server shows of them: `GET`, `POST` and `DELETE /bans`. */
import { isIP } from 'node:net';
import type { AdminList, AdminQuery } from '../admin.ts';
import { pageOf } from '../admin-page.ts';
import type { Clock } from '../clock.ts';
import type { CoreConfig } from '../config/core-schema.ts';
import { AltpathError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Network } from '../network.ts';
import { systemLoadSensor } from '../overload/load-sensor.ts';
import { OverloadControl } from '../overload/overload-control.ts';
import { gated } from '../overload/source-gate.ts';
import { type Ban, type Screen, SourceLimits } from '../overload/source-limits.ts';
import type { Random } from '../random.ts';

export interface OverloadGuardParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly settings: CoreConfig['overload'];
  /** Ports of the datagram sockets of all roles. */
  ports(): readonly number[];
}

export class OverloadGuard {
  /** Undefined: nothing is ever refused. */
  readonly overload: OverloadControl | undefined;
  readonly #limits: SourceLimits;
  readonly #clock: Clock;

  constructor(parts: OverloadGuardParts) {
    const { settings, ports } = parts;
    this.#clock = parts.clock;
    this.overload = settings.shedding
      ? new OverloadControl({ ...parts, sensor: systemLoadSensor({ ports }), settings })
      : undefined;
    this.#limits = new SourceLimits({ ...parts, settings: settings.sources });
  }

  /** The sockets as a role gets them. */
  over(network: Network, screen: () => Screen | undefined): Network {
    return gated(network, this.#limits, screen);
  }

  start(): void {
    this.overload?.start();
    this.#limits.start();
  }

  stop(): void {
    this.overload?.stop();
    this.#limits.stop();
  }

  status(): Readonly<Record<string, unknown>> {
    const bans = this.#limits.list().length;
    return { overload: this.overload?.status() ?? 'off', ...(bans === 0 ? {} : { bans }) };
  }

  get lists(): Readonly<Record<string, AdminQuery>> {
    return { '/bans': (query) => this.#list(query) };
  }

  get orders(): Readonly<Record<string, AdminQuery>> {
    return {
      '/bans': (query) => this.#row(this.#limits.ban(sourceOf(query), secondsOf(query))),
    };
  }

  get removals(): Readonly<Record<string, AdminQuery>> {
    return {
      '/bans': (query) => {
        const source = sourceOf(query);
        if (!this.#limits.lift(source)) throw new AltpathError('ERR_BAN', `${source} is not banned`);
        return { lifted: source };
      },
    };
  }

  #list(query: URLSearchParams): AdminList {
    const all = this.#limits.list();
    const { from, size } = pageOf(query);
    return { total: all.length, items: all.slice(from, from + size).map((ban) => this.#row(ban)) };
  }

  #row({ source, because, sinceMs, untilMs, times, dropped }: Ban): Readonly<Record<string, unknown>> {
    const now = this.#clock.now();
    return {
      source,
      because,
      forSeconds: Math.round((now - sinceMs) / 1_000),
      leftSeconds: Math.max(0, Math.round((untilMs - now) / 1_000)),
      times,
      dropped,
    };
  }
}

/** An address, or a /64 as the list shows it. */
function sourceOf(query: URLSearchParams): string {
  const source = (query.get('source') ?? '').trim();
  const address = source.replace(/^\[|\]$/g, '').replace(/\/64$/, '');
  if (isIP(address) === 0) throw new AltpathError('ERR_BAN', `source: an IP address, not "${source.slice(0, 64)}"`);
  return address;
}

function secondsOf(query: URLSearchParams): number {
  const seconds = Number(query.get('seconds') ?? 3_600);
  if (Number.isSafeInteger(seconds) && seconds > 0 && seconds <= 31_536_000) return seconds;
  throw new AltpathError('ERR_BAN', 'seconds: a whole number, from 1 to 31536000');
}
