/** Figures of calls: attempts, answers and network effectiveness by route (ITU-T E.425 §2.4), delays, and why calls fail. */
import type { Counter, Histogram, Metrics } from '../metrics.ts';
import type { CallJournal } from './call-journal.ts';
import { type CallCounts, type GatewayName, gatewayCallCounts, type gatewaySides } from './gateway-calls.ts';
import type { ObservedCall } from './observed-call.ts';

interface RouteCounts extends CallCounts {
  readonly protocol: string;
  readonly route: string;
}

interface Delays {
  readonly postDial: Histogram;
  readonly setUp: Histogram;
  readonly talk: Histogram;
}

export class CallMetrics {
  /** Calls that failed since the process began, by reason. */
  readonly failures: Record<string, number> = {};
  #failed = 0;
  readonly #metrics: Metrics;
  readonly #routes = new Map<string, RouteCounts>();
  #lastCounts: RouteCounts | undefined;
  readonly #gateways = new Map<string, CallCounts>();
  readonly #delays = new Map<string, Delays>();
  readonly #failures = new Map<string, Counter>();
  readonly #stopListening: () => void;

  constructor(metrics: Metrics, journal: CallJournal) {
    this.#metrics = metrics;
    metrics.gauge('calls_open', 'Calls that this controller sees under way', () => journal.open.size);
    this.#stopListening = journal.onEnd((call) => this.#ended(call));
  }

  /** Since the process began. */
  get failed(): number {
    return this.#failed;
  }

  stop(): void {
    this.#stopListening();
  }

  #ended(call: ObservedCall): void {
    const { protocol, outcome, begunMs, ringingMs, answeredMs, endedMs = 0 } = call;
    // Its attempt was another member's, or was counted before this process.
    if (!call.isAdopted) {
      count(this.#countsOf(protocol, call.route ?? 'none'), call);
      const { callerGateway, calleeGateway } = call;
      if (callerGateway !== undefined) count(this.#gatewayCountsOf(callerGateway, 'caller'), call);
      if (calleeGateway !== undefined) count(this.#gatewayCountsOf(calleeGateway, 'callee'), call);
      const delays = this.#delaysOf(protocol);
      const toldMs = ringingMs ?? answeredMs;
      if (toldMs !== undefined) delays.postDial.observe((toldMs - begunMs) / 1_000);
      if (answeredMs !== undefined) {
        delays.setUp.observe((answeredMs - begunMs) / 1_000);
        delays.talk.observe((endedMs - answeredMs) / 1_000);
      }
    }
    if (!call.hasFailed) return;
    const reason = outcome?.reason ?? 'unknown';
    this.#failed += 1;
    this.failures[reason] = (this.failures[reason] ?? 0) + 1;
    this.#failuresOf(protocol, reason).add();
  }

  #countsOf(protocol: string, route: string): RouteCounts {
    const last = this.#lastCounts;
    // Calls take the same route as the one before, mostly.
    if (last !== undefined && last.protocol === protocol && last.route === route) return last;
    const key = `${protocol} ${route}`;
    let counts = this.#routes.get(key);
    if (counts === undefined) {
      const labels = { protocol, route };
      const metrics = this.#metrics;
      counts = {
        ...labels,
        attempts: metrics.counter('call_attempts_total', 'Call attempts that ended, by route', labels),
        answers: metrics.counter('call_answers_total', 'Of these, answered: for the answer seizure ratio', labels),
        effective: metrics.counter(
          'call_effective_total',
          'Of these, answered or ended by the called party or the caller: for the network effectiveness ratio',
          labels,
        ),
      };
      // The label follows the configuration; were there ever more, the metrics bound them.
      if (this.#routes.size < maxRoutes) this.#routes.set(key, counts);
    }
    this.#lastCounts = counts;
    return counts;
  }

  #gatewayCountsOf({ protocol, gateway }: GatewayName, side: (typeof gatewaySides)[number]): CallCounts {
    const key = `${side} ${protocol} ${gateway}`;
    let counts = this.#gateways.get(key);
    if (counts === undefined) {
      counts = gatewayCallCounts(this.#metrics, { protocol, gateway }, side);
      if (this.#gateways.size < maxRoutes) this.#gateways.set(key, counts);
    }
    return counts;
  }

  #delaysOf(protocol: string): Delays {
    let delays = this.#delays.get(protocol);
    if (delays === undefined) {
      const labels = { protocol };
      const metrics = this.#metrics;
      delays = {
        postDial: metrics.histogram(
          'call_post_dial_delay_seconds',
          'From the attempt to ringing',
          delayBuckets,
          labels,
        ),
        setUp: metrics.histogram('call_setup_seconds', 'From the attempt to the answer', setUpBuckets, labels),
        talk: metrics.histogram('call_talk_seconds', 'From the answer to the end', talkBuckets, labels),
      };
      this.#delays.set(protocol, delays);
    }
    return delays;
  }

  #failuresOf(protocol: string, reason: string): Counter {
    const key = `${protocol} ${reason}`;
    let counter = this.#failures.get(key);
    if (counter === undefined) {
      counter = this.#metrics.counter('call_failures_total', 'Calls that failed, by reason', { protocol, reason });
      if (this.#failures.size < maxRoutes) this.#failures.set(key, counter);
    }
    return counter;
  }
}

function count(counts: CallCounts, { answeredMs, outcome }: ObservedCall): void {
  counts.attempts.add();
  if (answeredMs !== undefined) counts.answers.add();
  if (answeredMs !== undefined || partiesDecided.has(outcome?.reason ?? '')) counts.effective.add();
}

/** The network did its part: the called party was busy, did not answer or did not want, or the caller gave up or misdialled. */
const partiesDecided: ReadonlySet<string> = new Set([
  'busy',
  'noAnswer',
  'declined',
  'cancelled',
  'unknownNumber',
  'incompleteNumber',
  'unavailable',
  'redirected',
  'normal',
]);

const delayBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20];
const setUpBuckets = [0.25, 0.5, 1, 2, 5, 10, 15, 20, 30, 60, 120, 180];
const talkBuckets = [1, 5, 15, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200];

const maxRoutes = 1_000;
