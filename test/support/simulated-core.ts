/**
 * A processor of which everything takes its time: between the sockets of a simulated host and its program, with the kernel's queue before
 * it. What finds no room there is lost. It is its own load sensor.
 */
import type { Clock, Flow, LoadSample, LoadSensor, Network, NetworkEvents } from '../../src/internal.ts';

export interface CoreCosts {
  /** Reading a message, sending one, and the work in between for each one sent on. */
  readonly receiveMs: number;
  readonly sendMs: number;
  /** For each message that is sent because of another one. */
  readonly workMs: number;
  readonly queueOctets: number;
}

interface Arrival {
  readonly bytes: Buffer;
  readonly flow: Flow;
  readonly to: NetworkEvents;
}

export class SimulatedCore implements LoadSensor {
  readonly #clock: Clock;
  readonly #costs: CoreCosts;
  /** Messages that the host has sent so far. */
  readonly #sent: () => number;
  readonly #queue: Arrival[] = [];
  #octets = 0;
  #isBusy = false;
  #busyMs = 0;
  #sampledMs: number;
  lost = 0;

  constructor(clock: Clock, costs: CoreCosts, sent: () => number) {
    this.#clock = clock;
    this.#costs = costs;
    this.#sent = sent;
    this.#sampledMs = clock.now();
  }

  over(network: Network): Network {
    return {
      bind: (address, options, events) =>
        network.bind(address, options, {
          ...events,
          failed: (flow, error) => events.failed(flow, error),
          received: (bytes, flow) => this.#arrive({ bytes, flow, to: events }),
        }),
    };
  }

  sample(): LoadSample {
    const now = this.#clock.now();
    const utilization = Math.min(1, this.#busyMs / Math.max(1, now - this.#sampledMs));
    this.#sampledMs = now;
    this.#busyMs = 0;
    return { delayMs: 0, utilization, queued: this.#octets / this.#costs.queueOctets };
  }

  #arrive(arrival: Arrival): void {
    if (this.#octets + arrival.bytes.length > this.#costs.queueOctets) {
      this.lost += 1;
      return;
    }
    this.#octets += arrival.bytes.length;
    this.#queue.push(arrival);
    if (!this.#isBusy) this.#next();
  }

  #next(): void {
    const next = this.#queue.shift();
    this.#isBusy = next !== undefined;
    if (next === undefined) return;
    this.#octets -= next.bytes.length;
    const before = this.#sent();
    next.to.received(next.bytes, next.flow);
    const caused = this.#sent() - before;
    const { receiveMs, sendMs, workMs } = this.#costs;
    // A refusal is a message sent, and no work: it is told by its first line.
    const worked = caused > 0 && !this.#isRefusing() ? workMs : 0;
    const tookMs = receiveMs + caused * sendMs + worked;
    this.#busyMs += tookMs;
    this.#clock.after(tookMs, () => this.#next());
  }

  /** Was the last message that the host sent a refusal of its own? Told by whoever watches the wire. */
  lastSent = '';

  #isRefusing(): boolean {
    return this.lastSent.startsWith('SIP/2.0 503');
  }
}
