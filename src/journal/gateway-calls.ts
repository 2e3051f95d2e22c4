/** Calls counted by the gateway that a party's line is on: attempts, answers, and those that the network did its part for (ITU-T E.425 §2.4). */
import type { Counter, Metrics } from '../metrics.ts';

export interface GatewayName {
  readonly protocol: string;
  readonly gateway: string;
}

export interface CallCounts {
  readonly attempts: Counter;
  readonly answers: Counter;
  readonly effective: Counter;
}

export const gatewaySides = ['caller', 'callee'] as const;

/** `side`: whose line the gateway has. The same names give the same counters. */
export function gatewayCallCounts(
  metrics: Metrics,
  { protocol, gateway }: GatewayName,
  side: (typeof gatewaySides)[number],
): CallCounts {
  const labels = { protocol, gateway, side };
  return {
    attempts: metrics.counter(
      'gateway_call_attempts_total',
      'Call attempts that ended, by the gateway of the calling or the called line',
      labels,
    ),
    answers: metrics.counter('gateway_call_answers_total', 'Of these, answered', labels),
    effective: metrics.counter(
      'gateway_call_effective_total',
      'Of these, answered or ended by the called party or the caller',
      labels,
    ),
  };
}
