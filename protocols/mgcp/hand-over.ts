/**
 * How lines change hands between call agents: the new one audits and commands them, with its own name as `N:` (RFC 3435 §2.1.4, §4.1);
 * the old one forgets what it knew of them and says nothing.
 */
import type { Gateway, HandOver, LineProvider, Logger, Unit } from '../../src/internal.ts';
import type { Endpoint } from './endpoint.ts';
import { type Endpoints, isUnknown } from './endpoints.ts';
import type { MgcpLineDriver } from './line-gateway.ts';
import type { MgcpMediaRelay } from './media-relay.ts';
import type { MgcpTakeover } from './takeover.ts';

export interface MgcpHandOverParts {
  readonly log: Logger;
  readonly takeover: MgcpTakeover;
  readonly driver: MgcpLineDriver;
  lineProvider(): LineProvider;
  readonly endpoints: Endpoints;
  homeOf(gateway: Gateway): string | undefined;
  /** The relay, if it belongs to this home. */
  relayOf(home: string): MgcpMediaRelay | undefined;
}

export class MgcpHandOver implements HandOver {
  readonly tellsGateways = false;
  readonly #parts: MgcpHandOverParts;

  constructor(parts: MgcpHandOverParts) {
    this.#parts = parts;
  }

  take(unit: Unit, done: () => void): void {
    const { log, takeover, relayOf } = this.#parts;
    const wanted = this.#of(unit).filter((endpoint) => isUnknown(endpoint) && endpoint.gateway.state !== 'down');
    if (wanted.length > 0) log.info({ ...unit, lines: wanted.length }, 'taking lines over by audit');
    takeover.begin(wanted);
    // A relay cannot be asked: calls that were taken over go on without it, so nothing on it is needed any more.
    if (unit.gateway === undefined) relayOf(unit.home)?.clearAll();
    takeover.whenIdle(done);
  }

  dropAudits(unit: Unit): void {
    for (const endpoint of this.#of(unit)) if (!endpoint.owned) this.#parts.takeover.drop(endpoint);
  }

  letGo(unit: Unit): void {
    const { driver, endpoints, lineProvider } = this.#parts;
    for (const endpoint of this.#of(unit)) {
      if (!endpoint.owned) continue;
      for (const line of lineProvider().forget(endpoint.line)) {
        const each = endpoints.of(line);
        if (each === undefined) continue;
        driver.forget(line);
        each.isUnarmed = false;
        each.owned = false;
      }
    }
  }

  handOver(unit: Unit): void {
    this.letGo(unit);
  }

  /** A call with a line of another home would be torn between two call agents. */
  isBusy({ home, gateway }: Unit): boolean {
    const { endpoints, lineProvider, homeOf } = this.#parts;
    if (gateway === undefined) return false;
    return this.#of({ home, gateway }).some(({ line }) => {
      const call = line.leg?.call;
      return [call?.caller?.name, call?.callee?.name].some((number) => {
        const other = number === undefined ? undefined : lineProvider().lines.byNumber(number);
        const endpoint = other === undefined ? undefined : endpoints.of(other);
        return endpoint !== undefined && homeOf(endpoint.gateway) !== home;
      });
    });
  }

  #of({ home, gateway }: Unit): readonly Endpoint[] {
    return [...this.#parts.endpoints.all()].filter((endpoint) =>
      gateway === undefined ? this.#parts.homeOf(endpoint.gateway) === home : endpoint.gateway.name === gateway,
    );
  }
}
