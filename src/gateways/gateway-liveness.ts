/**
 * Do the gateways that we serve live? Those that answer nothing for long are asked; those that do not answer are down, and are asked from
 * time to time until they do.
 */
import type { Cancel, Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { logEvent } from '../log-events.ts';
import { formatAddress } from '../signaling/controller-address.ts';
import type { Gateway, GatewayRegistry } from './gateway-registry.ts';

export interface GatewayLivenessParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly registry: GatewayRegistry;
  /** One that answered nothing for this long is asked. */
  readonly quietMs: number;
  /** Is it ours to ask? */
  serves(gateway: Gateway): boolean;
  /** An audit that changes nothing; any answer of the gateway is a sign of life. */
  ping(gateway: Gateway, done: (answered: boolean) => void): void;
  /** It lives, and was not known to. */
  back(gateway: Gateway): void;
  /** It lived, and does not answer. */
  died?(gateway: Gateway): void;
  /** It was quiet, and did not answer when it was asked. */
  silent(gateway: Gateway): void;
}

export class GatewayLiveness {
  readonly #parts: GatewayLivenessParts;
  readonly #polls = new Map<Gateway, Cancel>();
  /** Who waits for the answer of a gateway that is being asked. */
  readonly #asked = new Map<Gateway, ((lives: boolean) => void)[]>();
  #watch: Cancel | undefined;
  #stopped = false;

  constructor(parts: GatewayLivenessParts) {
    this.#parts = parts;
  }

  start(): void {
    const { clock, quietMs } = this.#parts;
    this.#watch = clock.after(quietMs / 2, () => {
      this.#askQuiet();
      this.start();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#watch?.();
    for (const cancel of this.#polls.values()) cancel();
    this.#polls.clear();
  }

  /** It answered a command of ours. */
  answered(gateway: Gateway): void {
    if (this.#parts.registry.answered(gateway)) this.#parts.back(gateway);
  }

  /** It does not answer: from now on it is asked, less and less often. Its own words bring it back as well. */
  failed(gateway: Gateway): void {
    const { log, registry } = this.#parts;
    if (registry.failed(gateway)) {
      this.#parts.died?.(gateway);
      logEvent(log, 'gatewayDown', { gateway: gateway.name, address: addressOf(gateway) });
    }
    this.#poll(gateway, 1);
  }

  /** Does it live? It is asked, and has a few seconds for the answer. */
  ask(gateway: Gateway, told: (lives: boolean) => void): void {
    const waiting = this.#asked.get(gateway);
    if (waiting !== undefined) {
      waiting.push(told);
      return;
    }
    const all = [told];
    this.#asked.set(gateway, all);
    const end = (lives: boolean): void => {
      if (this.#stopped || this.#asked.get(gateway) !== all) return;
      this.#asked.delete(gateway);
      cancel();
      if (lives) this.answered(gateway);
      for (const each of all) each(lives);
    };
    const cancel = this.#parts.clock.after(answerMs, () => end(false));
    this.#parts.ping(gateway, end);
  }

  /** It is provisioned no more. */
  forget(gateway: Gateway): void {
    this.#polls.get(gateway)?.();
    this.#polls.delete(gateway);
  }

  #askQuiet(): void {
    const { ping, quietMs, registry, serves, silent } = this.#parts;
    for (const gateway of registry.quiet(quietMs)) {
      if (gateway.state !== 'up' || !serves(gateway)) continue;
      ping(gateway, (answered) => {
        if (answered) this.answered(gateway);
        else if (!this.#stopped) silent(gateway);
      });
    }
  }

  #poll(gateway: Gateway, attempt: number): void {
    this.forget(gateway);
    if (this.#stopped) return;
    const { clock, ping, serves } = this.#parts;
    const poll = () => {
      this.#polls.delete(gateway);
      if (gateway.state !== 'down' || !serves(gateway)) return;
      ping(gateway, (answered) => {
        if (answered) this.answered(gateway);
        else if (gateway.state === 'down') this.#poll(gateway, attempt + 1);
      });
    };
    this.#polls.set(gateway, clock.after(Math.min(longestPollMs, 1_000 * 2 ** attempt), poll));
  }
}

/** Where it is asked first. */
export const addressOf = (gateway: Gateway): string | undefined => {
  const [address] = gateway.addresses();
  return address === undefined ? undefined : formatAddress(address);
};

const longestPollMs = 60_000;

/** So long a living gateway may take with any answer, a few losses included. */
const answerMs = 4_000;
