/**
 * The other call agents of the cluster: who lives, and whose gateways each serves. They ask each other with an empty Notify, which every
 * call agent answers; a parameter beside it, `X-ALTSV`, names the members whose gateways the sender serves now. RFC 3435 has no
 * arbitration (§4.1: the last notified entity wins), so members agree among themselves before they take or return gateways.
 */
import type { Cancel, Clock, ControllerAddress, Flow, Logger } from '../../src/index.ts';
import { addressKey, formatSocketAddress } from '../../src/index.ts';
import { keepAlive } from './adapter.ts';
import { encodeMessage } from './encode.ts';
import type { MgcpCommand, Parameter } from './messages.ts';
import { readNotifiedEntity, writeNotifiedEntity } from './values/names.ts';

export const servesCode = 'X-ALTSV';

export interface PartnerParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly partners: readonly ControllerAddress[];
  readonly heartbeatMs: number;
  readonly deadMs: number;
  self(): ControllerAddress;
  /** The members whose gateways we serve now; empty also while draining. */
  serves(): readonly ControllerAddress[];
  nextId(): number;
  send(to: ControllerAddress, encode: (flow: Flow) => Uint8Array): void;
  /** Something changed: a partner died, came, or serves others now. */
  changed(): void;
}

export interface Partner {
  readonly address: ControllerAddress;
  /** `unknown`: too early to say. */
  state: 'unknown' | 'alive' | 'dead';
  aliveSinceMs: number;
  lastHeardMs: number;
  /** Addresses whose gateways it serves, as it last said. */
  serves: ReadonlySet<string>;
}

export class Partners {
  readonly #parts: PartnerParts;
  readonly #partners = new Map<string, Partner>();
  #startedMs = 0;
  #ticking: Cancel | undefined;

  constructor(parts: PartnerParts) {
    this.#parts = parts;
    for (const address of parts.partners)
      this.#partners.set(addressKey(address), {
        address,
        state: 'unknown',
        aliveSinceMs: 0,
        lastHeardMs: 0,
        serves: new Set(),
      });
  }

  start(): void {
    this.#startedMs = this.#parts.clock.now();
    if (this.#partners.size > 0) this.#tick();
  }

  stop(): void {
    this.#ticking?.();
  }

  all(): readonly Partner[] {
    return [...this.#partners.values()];
  }

  find(address: ControllerAddress): Partner | undefined {
    return this.#partners.get(addressKey(address));
  }

  /** Asks all now, out of turn (something suspicious happened, or our own word changed). */
  ask(): void {
    for (const partner of this.#partners.values()) this.#ask(partner);
  }

  /** The parameter that tells whose gateways we serve. */
  parameters(): readonly Parameter[] {
    return [
      {
        code: servesCode,
        value: this.#parts
          .serves()
          .map((each) => writeNotifiedEntity(each))
          .join(', '),
      },
    ];
  }

  /** A message of a partner came in. */
  heard(address: ControllerAddress, serves: string | undefined): void {
    const partner = this.find(address);
    if (partner === undefined) return;
    const now = this.#parts.clock.now();
    partner.lastHeardMs = now;
    let changed = false;
    if (partner.state !== 'alive') {
      this.#parts.log.info({ partner: formatSocketAddress(address) }, 'partner lives');
      partner.state = 'alive';
      partner.aliveSinceMs = now;
      changed = true;
    }
    if (serves !== undefined) {
      const said = new Set<string>();
      for (const item of serves.split(',').slice(0, 64)) {
        const served = readNotifiedEntity(item);
        if (served !== undefined) said.add(addressKey(served));
      }
      changed ||= said.size !== partner.serves.size || [...said].some((each) => !partner.serves.has(each));
      partner.serves = said;
    }
    if (changed) this.#parts.changed();
  }

  /** The network says that the partner's port is closed: its program is gone. */
  refused(address: ControllerAddress): void {
    const partner = this.find(address);
    if (partner !== undefined) this.#died(partner, 'refused');
  }

  #tick(): void {
    const { clock, heartbeatMs, deadMs } = this.#parts;
    const now = clock.now();
    for (const partner of this.#partners.values()) {
      const since = Math.max(partner.lastHeardMs, this.#startedMs);
      if (partner.state !== 'dead' && now - since >= deadMs) this.#died(partner, 'silent');
      this.#ask(partner);
    }
    this.#ticking = clock.after(heartbeatMs, () => this.#tick());
  }

  #ask({ address }: Partner): void {
    const { send, nextId, self } = this.#parts;
    const message: MgcpCommand = keepAlive(self(), nextId());
    const whole = { ...message, parameters: [...message.parameters, ...this.parameters()] };
    send(address, () => encodeMessage(whole));
  }

  #died(partner: Partner, why: string): void {
    if (partner.state === 'dead') return;
    const known = partner.state === 'alive';
    partner.state = 'dead';
    partner.serves = new Set();
    const line = { partner: formatSocketAddress(partner.address), why };
    if (known) this.#parts.log.warn(line, 'partner is dead');
    else this.#parts.log.info(line, 'partner does not answer');
    this.#parts.changed();
  }
}
