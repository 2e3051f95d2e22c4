/** Design §4: sending with failover, on a simulated network. */
import { pino } from 'pino';
import {
  type Attempt,
  type Clock,
  type ControllerAddress,
  ControllerPool,
  type Delivery,
  defaultPoolOptions,
  type Flow,
  type Listener,
  Metrics,
  Transmitter,
  type TransmitterOptions,
} from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryNetwork } from '../support/memory-network.ts';
import { seededRandom } from '../support/seeded-random.ts';

export const at = (n: number): ControllerAddress => ({ transport: 'udp', host: `127.0.0.${n}`, port: 5_060 });
export const [a, b, c, self] = [at(1), at(2), at(3), at(9)];

export interface Sent {
  readonly delivery: Delivery;
  readonly switches: readonly string[];
  /** Empty until no address is left. */
  readonly tried: readonly Attempt[];
}

export class Harness {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly metrics = new Metrics();
  /** By how much our own process slept without its timers noticing. */
  stalledMs = 0;
  readonly pool = new ControllerPool(this.#stalling(this.clock), seededRandom(1), defaultPoolOptions);
  readonly transmitter: Transmitter;
  readonly logged: string[] = [];
  /** `1 hello`: what arrived at which peer. */
  readonly arrived: string[] = [];
  /** What the answers to probes say. */
  retryAfterMs: number | undefined;
  #listeners: readonly Listener[] = [];
  #probes = 0;
  readonly #underWay = new Map<string, Delivery[]>();

  constructor(options: Partial<TransmitterOptions>, probes: boolean) {
    this.transmitter = new Transmitter({
      clock: this.#stalling(this.network.host(self.host).clock),
      pool: this.pool,
      log: pino({ base: null }, { write: (line) => this.logged.push(JSON.parse(line).msg) }),
      metrics: this.metrics,
      protocol: 'test',
      listeners: () => this.#listeners,
      options,
      ...(probes ? { probe: () => this.#probe() } : {}),
    });
  }

  #stalling(clock: Clock): Clock {
    return {
      now: () => clock.now() + this.stalledMs,
      wallNow: () => clock.wallNow(),
      after: (ms, run) => clock.after(ms, run),
    };
  }

  async start(): Promise<this> {
    const events = {
      received: (bytes: Buffer, flow: Flow) => this.received(bytes.toString(), flow),
      failed: (...failure: Parameters<Transmitter['flowFailed']>) => this.transmitter.flowFailed(...failure),
    };
    this.#listeners = [await this.network.host(self.host).bind(self, {}, events)];
    return this;
  }

  #probe(): { id: string; bytes: Buffer } {
    const id = String(this.#probes++);
    return { id, bytes: Buffer.from(`probe ${id}`) };
  }

  /** `ok probe 1` answers that probe, `ok hello` a message under way; anything else answers nothing. */
  received(text: string, flow: Flow): void {
    const [, answered = ''] = /^ok (.*)$/.exec(text) ?? [];
    if (answered.startsWith('probe ')) this.transmitter.probeAnswered(answered.slice(6), flow, this.retryAfterMs);
    else for (const delivery of this.#underWay.get(answered) ?? []) delivery.heard(flow);
  }

  flowTo(hop: ControllerAddress): Flow {
    const [listener] = this.#listeners;
    if (listener === undefined) throw new Error('not started');
    return listener.flowTo(hop);
  }

  /** A living peer; it answers probes, everything, or nothing. */
  async peer(address: ControllerAddress, answers: 'probes' | 'all' | 'nothing' = 'probes'): Promise<void> {
    await this.network.host(address.host).bind(
      address,
      {},
      {
        received: (bytes, flow) => {
          const text = bytes.toString();
          if (!text.startsWith('probe')) this.arrived.push(`${address.host.slice(-1)} ${text}`);
          if (answers === 'all' || (answers === 'probes' && text.startsWith('probe')))
            flow.send(Buffer.from(`ok ${text}`));
        },
        failed: () => undefined,
      },
    );
  }

  send(addresses: readonly ControllerAddress[], text = 'hello'): Sent {
    const switches: string[] = [];
    const tried: Attempt[] = [];
    const delivery = this.transmitter.deliver(
      { addresses },
      {
        encode: () => Buffer.from(text),
        switched: (from, to, because) => switches.push(`${from.host.slice(-1)}>${to.host.slice(-1)} ${because}`),
        exhausted: (attempts) => tried.push(...attempts),
      },
    );
    this.#underWay.set(text, [...(this.#underWay.get(text) ?? []), delivery]);
    return { delivery, switches, tried };
  }
}

export const makeBench = (options: Partial<TransmitterOptions> = {}, probes = true): Promise<Harness> =>
  new Harness(options, probes).start();
