/** Received messages by method and status class; a method that nobody knows is counted as `other`. */
import type { Counter, Metrics } from '../../src/internal.ts';

export class MessageCounts {
  readonly #metrics: Metrics;
  readonly #requests = new Map<string, Counter>();
  /** By status class, then by method. */
  readonly #responses = Array.from({ length: 7 }, () => new Map<string, Counter>());

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    // They are there before the first message, for whoever draws rates.
    this.#requestsOf('INVITE');
    this.#responsesOf('INVITE', 2);
  }

  request(method: string): void {
    (this.#requests.get(method) ?? this.#requestsOf(method)).add();
  }

  response(method: string, status: number): void {
    const group = Math.floor(status / 100);
    (this.#responses[group]?.get(method) ?? this.#responsesOf(method, group)).add();
  }

  #requestsOf(method: string): Counter {
    const counter = this.#metrics.counter('sip_requests_total', 'SIP requests received, by method', {
      method: labelOf(method),
    });
    if (known.has(method)) this.#requests.set(method, counter);
    return counter;
  }

  #responsesOf(method: string, group: number): Counter {
    const counter = this.#metrics.counter('sip_responses_total', 'SIP responses received, by method and status class', {
      method: labelOf(method),
      class: `${group}xx`,
    });
    if (known.has(method)) this.#responses[group]?.set(method, counter);
    return counter;
  }
}

const labelOf = (method: string): string => (known.has(method) ? method : 'other');

const known: ReadonlySet<string> = new Set([
  'INVITE',
  'ACK',
  'BYE',
  'CANCEL',
  'REGISTER',
  'OPTIONS',
  'MESSAGE',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'REFER',
  'UPDATE',
  'PRACK',
  'INFO',
]);
