/** What is counted of each gateway. Series are bounded by the metrics themselves: of very many gateways the last share one. */
import { gatewayCallCounts, gatewaySides } from '../journal/gateway-calls.ts';
import type { Counter, Metrics } from '../metrics.ts';
import type { Gateway } from './gateway-registry.ts';

export interface GatewayMetricsParts {
  readonly metrics: Metrics;
  readonly protocol: string;
  /** Those that are provisioned. */
  all(): Iterable<Gateway>;
  /** Is it ours now? Of what others serve nothing is known here. */
  serves(gateway: Gateway): boolean;
}

export class GatewayMetrics {
  readonly #parts: GatewayMetricsParts;

  constructor(parts: GatewayMetricsParts) {
    this.#parts = parts;
    const { metrics, protocol } = parts;
    metrics.gauge('gateways_up', 'Gateways that we serve and that live', () => this.#up(), { protocol });
    metrics.gauges(
      'gateway_up',
      'Does this gateway answer (1)? Of those that this member serves',
      ['protocol', 'gateway'],
      () => this.#each(),
      protocol,
    );
  }

  /** It is provisioned: what is counted of it is there from now on, since a rate needs what it was before. */
  added({ name: gateway }: Gateway): void {
    const { metrics, protocol } = this.#parts;
    this.#deaths(gateway);
    for (const side of gatewaySides) gatewayCallCounts(metrics, { protocol, gateway }, side);
  }

  /** It does not answer any more. */
  died({ name }: Gateway): void {
    this.#deaths(name).add();
  }

  #deaths(gateway: string): Counter {
    const { metrics, protocol } = this.#parts;
    return metrics.counter('gateway_deaths_total', 'Times this gateway was found not to answer', { protocol, gateway });
  }

  *#each() {
    const { protocol } = this.#parts;
    for (const { name: gateway, state } of this.#served())
      if (state !== 'unknown') yield { labels: { protocol, gateway }, value: state === 'up' ? 1 : 0 };
  }

  #up(): number {
    let up = 0;
    for (const { state } of this.#served()) if (state === 'up') up += 1;
    return up;
  }

  *#served(): Iterable<Gateway> {
    for (const gateway of this.#parts.all()) if (this.#parts.serves(gateway)) yield gateway;
  }
}
