/** Names that have addresses and nothing else in DNS (A and AAAA, RFC 3435 §4.2): the procedure of gateways. */

import type { Clock } from '../clock.ts';
import type { DnsAnswer, DnsClient } from '../dns.ts';
import { fail, ok } from '../result.ts';
import { type ControllerAddress, isIpLiteral } from './controller-address.ts';
import type { NamedHop, NameResolver, Resolution } from './name-resolver.ts';

export class AddressNames implements NameResolver {
  readonly #dns: DnsClient;
  readonly #clock: Clock;
  /** Until when the addresses of a name are good; the answers themselves are the DNS client's to keep. */
  readonly #goodUntilMs = new Map<string, number>();

  constructor(dns: DnsClient, clock: Clock) {
    this.#dns = dns;
    this.#clock = clock;
  }

  now(hop: NamedHop): Resolution | undefined {
    return isIpLiteral(hop.host) ? ok([this.#address(hop, hop.host)]) : undefined;
  }

  async resolve(hop: NamedHop): Promise<Resolution> {
    const literal = this.now(hop);
    if (literal !== undefined) return literal;
    const { host } = hop;
    const answers = await Promise.allSettled([this.#dns.a(host), this.#dns.aaaa(host)]);
    const found: DnsAnswer<string>[] = [];
    for (const answer of answers) if (answer.status === 'fulfilled') found.push(answer.value);
    const hosts = found.flatMap(({ records }) => records);
    if (hosts.length > 0) {
      const ttls = found.filter(({ records }) => records.length > 0).map(({ ttlMs }) => ttlMs);
      this.#remember(host, Math.min(...ttls));
      return ok(hosts.map((each) => this.#address(hop, each)));
    }
    const failed = answers.find((answer) => answer.status === 'rejected');
    return failed === undefined
      ? fail({ name: host, reason: 'notFound', detail: `${host} has no address` })
      : fail({ name: host, reason: 'temporary', detail: String(failed.reason) });
  }

  /** How long what was last said of this name is good; 0 where nothing was. */
  ttlMs(host: string): number {
    return Math.max(0, (this.#goodUntilMs.get(host) ?? 0) - this.#clock.now());
  }

  /** The port is configured, or filled in by the configuration. */
  #address({ transport = 'udp', port = 0 }: NamedHop, host: string): ControllerAddress {
    return { transport, host, port };
  }

  #remember(host: string, ttlMs: number): void {
    this.#goodUntilMs.delete(host);
    this.#goodUntilMs.set(host, this.#clock.now() + ttlMs);
    if (this.#goodUntilMs.size <= maxNames) return;
    for (const oldest of this.#goodUntilMs.keys()) {
      this.#goodUntilMs.delete(oldest);
      return;
    }
  }
}

/** As many as a configuration may have gateways. */
const maxNames = 100_000;
