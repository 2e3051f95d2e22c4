/** All trunks: which take a number, in which order, and whose messages are a trunk's. */
import {
  type ControllerAddress,
  canonicalHost,
  type DiallingPlan,
  type Flow,
  isIpLiteral,
  type Metrics,
  type NamedHop,
  type Random,
} from '../../../src/internal.ts';
import { sipDefaultPort } from '../config.ts';
import { Trunk } from './trunk.ts';
import type { TrunkConfig } from './trunk-config.ts';

export class Trunks {
  readonly all: readonly Trunk[];
  readonly plan: DiallingPlan;
  /** By address; by host alone but for loopback addresses, which have many programs. */
  readonly #byAddress = new Map<string, Trunk>();

  constructor(configs: readonly TrunkConfig[], plan: DiallingPlan, random: Random, metrics?: Metrics) {
    this.plan = plan;
    this.all = configs.map((config) => new Trunk(config, random, metrics));
    for (const trunk of this.all) for (const { hop } of trunk.hops) if (isIpLiteral(hop.host)) this.learn(trunk, [hop]);
  }

  /** The trunks that take the number: an emergency number by every trunk that may; those that are down last. */
  for(number: string): readonly Trunk[] {
    if (this.all.length === 0) return none;
    const isEmergency = this.plan.isEmergency(number);
    const found: { readonly trunk: Trunk; readonly length: number }[] = [];
    for (const trunk of this.all) {
      const length = trunk.matches(number, this.plan);
      if (isEmergency ? trunk.config.emergency : length !== undefined) found.push({ trunk, length: length ?? -1 });
    }
    const rank = ({ trunk, length }: { readonly trunk: Trunk; readonly length: number }): number =>
      (trunk.state === 'down' ? 0 : 1_000) + length;
    return found.sort((a, b) => rank(b) - rank(a)).map(({ trunk }) => trunk);
  }

  named(name: string | undefined): Trunk | undefined {
    return name === undefined ? undefined : this.all.find((trunk) => trunk.name === name);
  }

  /** What the name of a trunk's hop stands for. */
  learn(trunk: Trunk, addresses: readonly NamedHop[]): void {
    for (const address of addresses) if (this.#byAddress.size < maxLearned) this.#byAddress.set(keyOf(address), trunk);
  }

  /** The trunk that this flow's other end is. */
  from({ remote, transport }: Flow): Trunk | undefined {
    return this.#byAddress.size === 0 ? undefined : this.#byAddress.get(keyOf({ ...remote, transport }));
  }

  /** The trunk that has a hop at this address. */
  at(hop: NamedHop): Trunk | undefined {
    return this.#byAddress.size === 0 ? undefined : this.#byAddress.get(keyOf(hop));
  }
}

function keyOf({ host: written, port, transport }: NamedHop | ControllerAddress): string {
  const host = written.includes(':') ? canonicalHost(written) : written;
  return host === '::1' || host.startsWith('127.') ? `${host}:${port ?? sipDefaultPort(transport ?? 'udp')}` : host;
}

const maxLearned = 4_096;

const none: readonly never[] = [];
