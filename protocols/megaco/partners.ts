/**
 * The other controllers of the cluster: asked for a sign of life all the time, so that a backup acts on a death at once, and gives
 * gateways back when the dead has returned for good.
 */
import {
  type Cancel,
  type Clock,
  type ControllerAddress,
  formatAddress,
  type Logger,
  sameAddress,
} from '../../src/index.ts';

export interface PartnersParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly partners: readonly ControllerAddress[];
  readonly heartbeatMs: number;
  readonly deadMs: number;
  readonly holdMs: number;
  /** Sends a question that any living controller answers. */
  ask(partner: ControllerAddress): void;
  died(partner: ControllerAddress): void;
  /** It has answered for the hold time. */
  returned(partner: ControllerAddress): void;
}

interface Partner {
  readonly address: ControllerAddress;
  lastHeardMs: number;
  /** unknown: never heard since we started. */
  state: 'unknown' | 'alive' | 'dead' | 'returning';
  returningSinceMs: number;
  /** Those who want to know whether it lives. */
  readonly asking: ((alive: boolean) => void)[];
}

export class Partners {
  readonly #parts: PartnersParts;
  readonly #partners: readonly Partner[];
  readonly #startedMs: number;
  #timer: Cancel | undefined;

  constructor(parts: PartnersParts) {
    this.#parts = parts;
    this.#startedMs = parts.clock.now();
    this.#partners = parts.partners.map((address) => ({
      address,
      lastHeardMs: 0,
      state: 'unknown',
      returningSinceMs: 0,
      asking: [],
    }));
  }

  start(): void {
    if (this.#partners.length > 0) this.#beat();
  }

  stop(): void {
    this.#timer?.();
  }

  find(host: string, port?: number): ControllerAddress | undefined {
    return this.#partners.find(({ address }) => address.host === host && (port === undefined || address.port === port))
      ?.address;
  }

  isDead(address: ControllerAddress): boolean {
    return this.#partners.some((partner) => sameAddress(partner.address, address) && partner.state === 'dead');
  }

  /** Is this one dead? It is asked at once; `answer` is called when it answers, when nobody is there, or when it stays silent. */
  suspect(address: ControllerAddress, answer: (alive: boolean) => void): void {
    const partner = this.#partners.find((each) => sameAddress(each.address, address));
    if (partner === undefined || partner.state === 'dead') {
      answer(false);
      return;
    }
    partner.asking.push(answer);
    if (partner.asking.length === 1) this.#parts.ask(partner.address);
  }

  /** Any message of the partner. */
  heard(host: string, port: number): void {
    for (const partner of this.#partners) {
      if (partner.address.host !== host || partner.address.port !== port) continue;
      const now = this.#parts.clock.now();
      partner.lastHeardMs = now;
      for (const answer of partner.asking.splice(0)) answer(true);
      if (partner.state === 'dead') {
        partner.state = 'returning';
        partner.returningSinceMs = now;
        this.#parts.log.info({ partner: formatAddress(partner.address) }, 'partner answers again');
      } else if (partner.state === 'unknown') {
        // It may have come after us: what we hold of its gateways goes back to it as if it had been dead.
        partner.state = 'returning';
        partner.returningSinceMs = now;
      }
    }
  }

  /** The network says that nobody is there. */
  refused(host: string, port: number): void {
    for (const partner of this.#partners)
      if (partner.address.host === host && partner.address.port === port && partner.state !== 'dead')
        this.#died(partner);
  }

  #beat(): void {
    const { clock, heartbeatMs, deadMs, holdMs } = this.#parts;
    const now = clock.now();
    for (const partner of this.#partners) {
      const sinceMs = now - Math.max(partner.lastHeardMs, this.#startedMs);
      if (partner.state !== 'dead' && sinceMs >= deadMs) this.#died(partner);
      else if (partner.state === 'returning' && now - partner.returningSinceMs >= holdMs) {
        partner.state = 'alive';
        this.#parts.returned(partner.address);
      }
      this.#parts.ask(partner.address);
    }
    this.#timer = clock.after(heartbeatMs, () => this.#beat());
  }

  #died(partner: Partner): void {
    partner.state = 'dead';
    this.#parts.log.warn({ partner: formatAddress(partner.address) }, 'partner is dead');
    this.#parts.died(partner.address);
    for (const answer of partner.asking.splice(0)) answer(false);
  }

  list(): readonly { address: ControllerAddress; state: string; lastHeardMs: number }[] {
    return this.#partners.map(({ address, state, lastHeardMs }) => ({ address, state, lastHeardMs }));
  }
}
