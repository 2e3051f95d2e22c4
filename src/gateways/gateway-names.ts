/**
 * Gateways that are provisioned by DNS name: their addresses, again when the time to live is over. A name that cannot be resolved now
 * leaves its gateway where it was.
 */

import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { RateLimitedLog } from '../rate-limited-log.ts';
import type { AddressResolver } from '../signaling/address-resolver.ts';
import { type ControllerAddress, isIpLiteral } from '../signaling/controller-address.ts';

export interface GatewayNamesParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly resolver: AddressResolver;
  /** These are the addresses of this gateway from now on. */
  located(gateway: string, addresses: readonly ControllerAddress[]): void;
}

export class GatewayNames {
  readonly #parts: GatewayNamesParts;
  readonly #log: RateLimitedLog;
  readonly #watches = new Map<string, Watch>();

  constructor(parts: GatewayNamesParts) {
    this.#parts = parts;
    this.#log = new RateLimitedLog(parts.log, parts.clock);
  }

  /** The gateway's addresses as provisioned, in place of those before: with a name among them they are looked up until `forget`. */
  watch(gateway: string, provisioned: readonly ControllerAddress[]): void {
    this.forget(gateway);
    if (provisioned.every(({ host }) => isIpLiteral(host))) return;
    const watch: Watch = { provisioned, next: undefined };
    this.#watches.set(gateway, watch);
    this.#look(gateway, watch);
  }

  forget(gateway: string): void {
    this.#watches.get(gateway)?.next?.();
    this.#watches.delete(gateway);
  }

  stop(): void {
    for (const gateway of [...this.#watches.keys()]) this.forget(gateway);
    this.#log.close();
  }

  #look(gateway: string, watch: Watch): void {
    const [first, ...others] = watch.provisioned;
    if (first === undefined) return;
    this.#parts.resolver.resolve(first, others, (resolution) => {
      if (this.#watches.get(gateway) !== watch) return;
      watch.next = this.#parts.clock.after(this.#waitMs(watch), () => this.#look(gateway, watch));
      if (resolution.ok) this.#parts.located(gateway, resolution.value);
      else
        this.#log.warn('the name of a gateway cannot be resolved now', gateway, () => ({
          gateway,
          name: resolution.error.name,
          reason: resolution.error.detail,
        }));
    });
  }

  #waitMs({ provisioned }: Watch): number {
    const names = provisioned.filter(({ host }) => !isIpLiteral(host));
    return Math.max(leastWaitMs, Math.min(longestWaitMs, ...names.map(({ host }) => this.#parts.resolver.ttlMs(host))));
  }
}

interface Watch {
  readonly provisioned: readonly ControllerAddress[];
  next: Cancel | undefined;
}

/** However short the time to live is, and where nothing answers. */
const leastWaitMs = 5_000;

const longestWaitMs = 60_000;
