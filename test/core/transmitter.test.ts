/** Design §4: sending with failover, on a simulated network. */
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
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

const at = (n: number): ControllerAddress => ({ transport: 'udp', host: `127.0.0.${n}`, port: 5_060 });
const [a, b, c, self] = [at(1), at(2), at(3), at(9)];

interface Sent {
  readonly delivery: Delivery;
  readonly switches: readonly string[];
  /** Empty until no address is left. */
  readonly tried: readonly Attempt[];
}

class Harness {
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

const makeBench = (options: Partial<TransmitterOptions> = {}, probes = true): Promise<Harness> =>
  new Harness(options, probes).start();

describe('the order of addresses', () => {
  it('ICMP moves a message within a round trip, and the peer is remembered', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(5);
    expect([switches, harness.arrived]).toEqual([['1>2 refused'], ['2 hello']]);
    harness.send([a, b], 'again');
    harness.clock.advance(1);
    expect(harness.arrived).toEqual(['2 hello', '2 again']);
  });

  it('a silent peer costs the first message the silence limit, and the later ones nothing', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b]);
    harness.clock.advance(990);
    expect(harness.arrived).toEqual([]);
    harness.clock.advance(15);
    expect(harness.arrived).toEqual(['2 hello']);
    harness.send([a, b], 'again');
    harness.clock.advance(2);
    expect(harness.arrived).toEqual(['2 hello', '2 again']);
  });

  it('a living peer that is slow with one answer is not declared dead; after some seconds the other way is tried as well', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(3_400);
    expect(switches).toEqual([]);
    harness.clock.advance(1_000);
    expect([switches, harness.pool.find(a)?.health]).toEqual([['1>2 silent'], 'up']);
  });

  it('the other way of a slow answer is not tried where nobody answers there', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    harness.network.silence(b.host);
    const { switches, tried } = harness.send([a, b]);
    const refused = harness.send([a, c]);
    harness.clock.advance(20_000);
    expect([switches, refused.switches, tried, refused.tried]).toEqual([[], [], [], []]);
    await harness.peer(b);
    harness.network.revive(b.host);
    harness.clock.advance(8_000);
    expect(switches).toEqual(['1>2 silent']);
  });

  it('where the protocol has no probe, silence alone decides', async () => {
    const harness = await makeBench({}, false);
    await harness.peer(a, 'nothing');
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(1_010);
    expect(switches).toEqual(['1>2 silent']);
  });

  it('a stall of our own process condemns nobody: what came meanwhile is read first', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.network.silence(a.host);
    const { switches } = harness.send([a, b]);
    harness.clock.advance(990);
    // The timer of the last look comes late; what the hop has to say is read only after it.
    harness.network.revive(a.host);
    harness.stalledMs = 1_500;
    harness.clock.advance(1_000);
    expect([switches, harness.pool.find(a)?.health]).toEqual([[], 'up']);
  });

  it('each address once: when all refuse, what was tried is said once', async () => {
    const harness = await makeBench();
    const { switches, tried } = harness.send([a, b, c]);
    harness.clock.advance(100);
    expect(switches).toEqual(['1>2 refused', '2>3 refused']);
    expect(tried).toEqual([a, b, c].map((address) => ({ address, failure: 'refused' })));
  });

  it('silence of the last one left is not the end: the message stays with it', async () => {
    const harness = await makeBench();
    for (const each of [a, b]) harness.network.silence(each.host);
    const { switches, tried } = harness.send([a, b]);
    harness.clock.advance(30_000);
    expect([switches, tried]).toEqual([['1>2 silent'], []]);
  });
});

describe('a peer of which nothing is known (RFC 3261 §18.4)', () => {
  const tried = [{ address: a, failure: 'refused' }];

  it('that is gone is found out by the first repetition, not by the last', async () => {
    const harness = await makeBench();
    const sent = harness.send([a]);
    harness.clock.advance(500);
    expect(sent.tried).toEqual([]);
    sent.delivery.repeat();
    harness.clock.advance(300);
    expect(sent.tried).toEqual(tried);
  });

  it('is not given up for a forged report, nor for many where it answers', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'nothing');
    const forge = () =>
      harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'refused', detail: 'ECONNREFUSED' });
    const silent = harness.send([a], 'silent');
    forge();
    harness.clock.advance(20);
    // The message itself asked.
    expect(harness.arrived).toEqual(['1 silent', '1 silent']);
    harness.clock.advance(1_000);
    const ringing = harness.send([a], 'ringing');
    ringing.delivery.provisional();
    for (let i = 0; i < 5; i += 1) forge();
    silent.delivery.answered();
    harness.clock.advance(1_000);
    expect([silent.tried, ringing.tried]).toEqual([[], []]);
  });

  it('to which our own system cannot send is given up at once', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    const sent = harness.send([a]);
    harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'unreachable', detail: 'ENETUNREACH', isLocal: true });
    harness.clock.advance(1);
    expect(sent.tried).toEqual([{ address: a, failure: 'unreachable' }]);
  });
});

describe('watching what is pending', () => {
  it('a peer that answered provisionally and then goes dark loses the message to the alternate', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    const { delivery, switches } = harness.send([a, b]);
    harness.clock.advance(100);
    delivery.provisional();
    harness.clock.advance(60_000);
    expect(switches).toEqual([]);
    harness.network.silence(a.host);
    harness.clock.advance(1_600);
    expect(switches).toEqual(['1>2 silent']);
  });

  it('an answered message never moves, and nobody is probed for it', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    const { delivery, switches } = harness.send([a, b]);
    harness.clock.advance(10);
    delivery.answered();
    const before = harness.network.sent;
    harness.network.crash(a.host);
    harness.clock.advance(60_000);
    expect([switches, harness.network.sent - before, harness.clock.pending]).toEqual([[], 0, 0]);
  });

  it('a dead peer is asked whether it is back, and gets new work again after the hold time', async () => {
    const harness = await makeBench();
    await harness.peer(b, 'all');
    harness.send([a, b]).delivery.unanswerable();
    harness.clock.advance(200);
    await harness.peer(a);
    harness.clock.advance(2_000);
    expect(harness.pool.find(a)?.health).toBe('recovering');
    harness.send([a, b], 'held').delivery.unanswerable();
    harness.clock.advance(14_000);
    harness.send([a, b], 'back').delivery.unanswerable();
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 hello', '2 held', '1 back']);
  });
});

describe('asking for a sign of life', () => {
  it('a dying process that swallows a message loses it as soon as its sockets refuse', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.network.silence(a.host);
    const { switches } = harness.send([a, b]);
    harness.transmitter.sendToFirst([a, b], Buffer.from('180'));
    harness.clock.advance(30);
    harness.network.crash(a.host);
    harness.network.revive(a.host);
    harness.clock.advance(9);
    expect(switches).toEqual([]);
    harness.clock.advance(5);
    expect(switches).toEqual(['1>2 refused']);
    expect(harness.arrived).toEqual(['2 180', '2 hello']);
  });

  it('asks again, later each time, where the first question was swallowed too', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    const before = harness.network.sent;
    const { switches } = harness.send([a, b]);
    harness.clock.advance(70);
    expect(harness.network.sent - before).toBe(2);
    harness.network.revive(a.host);
    harness.clock.advance(15);
    expect(switches).toEqual(['1>2 refused']);
  });

  it('a thousand messages to a hop that is slow share its questions, and none of them makes it dead', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'nothing');
    const asked = harness.network.sent;
    const sent = Array.from({ length: 1_000 }, () => harness.send([a, b]));
    harness.clock.advance(900);
    expect(harness.network.sent - asked - sent.length).toBeLessThanOrEqual(7);
    await harness.peer(b);
    for (const { delivery } of sent) delivery.answered();
    expect([harness.pool.find(a)?.health, sent.flatMap(({ switches }) => switches)]).toEqual(['up', []]);
  });

  it('a hop that speaks all the time is not asked, and neither is one that is the only one', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    await harness.peer(b, 'nothing');
    const before = harness.network.sent;
    for (let i = 0; i < 50; i += 1) {
      harness.send([a, c]).delivery.unanswerable();
      harness.send([b]);
      harness.clock.advance(20);
    }
    expect(harness.network.sent - before).toBe(150);
  });

  it('a question of long ago that got lost condemns nobody later', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b]).delivery.unanswerable();
    harness.clock.advance(60_000);
    await harness.peer(a, 'nothing');
    harness.network.revive(a.host);
    const { delivery, switches } = harness.send([a, b]);
    delivery.provisional();
    harness.clock.advance(900);
    expect(switches).toEqual([]);
  });
});

describe('many messages at the death of their hop', () => {
  it('those that nobody has answered yet go at once, those that ring within a quarter of a second', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    await harness.peer(b, 'nothing');
    const ringing = Array.from({ length: 500 }, () => harness.send([a, b], 'ringing'));
    harness.clock.advance(5);
    for (const { delivery } of ringing) delivery.provisional();
    harness.network.crash(a.host);
    harness.arrived.length = 0;
    harness.send([a, b], 'new');
    harness.clock.advance(5);
    const moved = harness.arrived.length;
    expect([harness.arrived[0], moved < 50]).toEqual(['2 new', true]);
    harness.clock.advance(250);
    expect(harness.arrived.length).toBe(501);
  });
});

describe('a hop that refuses work', () => {
  it('RFC 3261 §21.5.4: loses this message; without Retry-After, or by one message, nobody else', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    for (const retryAfterMs of [undefined, 5_000]) {
      const { delivery } = harness.send([a, b], 'refused');
      harness.clock.advance(5);
      delivery.refused(retryAfterMs);
      harness.send([a, b], 'next').delivery.unanswerable();
      harness.clock.advance(5);
    }
    expect(harness.arrived).toEqual(['1 refused', '2 refused', '1 next', '1 refused', '2 refused', '1 next']);
    expect(harness.pool.find(a)?.health).toBe('up');
  });

  it('which says so to a probe as well gets no new work for that time; what is open there stays', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    const open = harness.send([a, b], 'open');
    const refused = harness.send([a, b], 'refused');
    harness.clock.advance(5);
    open.delivery.provisional();
    harness.retryAfterMs = 5_000;
    expect(refused.delivery.refused(5_000)).toBe(true);
    harness.clock.advance(5);
    harness.send([a, b], 'next');
    harness.clock.advance(50);
    expect([open.switches, refused.switches]).toEqual([[], ['1>2 refusing']]);
    expect(harness.arrived).toEqual(['1 open', '1 refused', '2 refused', '2 next']);
  });

  it('gets new work again when its time is over, and sooner where it takes work by its own word', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    harness.retryAfterMs = 3_000;
    harness.send([a, b], 'refused').delivery.refused(3_000);
    harness.clock.advance(5);
    const health = () => {
      harness.pool.order([a, b]);
      return harness.pool.find(a)?.health;
    };
    expect(health()).toBe('refusing');
    harness.retryAfterMs = undefined;
    harness.clock.advance(1_500);
    expect(health()).toBe('recovering');
    harness.clock.advance(14_000);
    expect(health()).toBe('up');
  });

  it('refuses message after message although its probes are answered: it is believed, until it takes one', async () => {
    const harness = await makeBench();
    harness.pool.admit(a, 'configured');
    await harness.peer(a, 'all');
    await harness.peer(b, 'all');
    const refuse = () => harness.send([a, b], 'refused').delivery.refused(2_000);
    for (let i = 0; i < 9; i += 1) refuse();
    harness.clock.advance(5);
    const taken = harness.send([a, b], 'taken');
    harness.clock.advance(5);
    taken.delivery.answered();
    for (let i = 0; i < 9; i += 1) refuse();
    harness.clock.advance(5);
    expect(harness.pool.find(a)?.health).toBe('up');
    refuse();
    harness.clock.advance(5);
    expect(harness.pool.find(a)?.health).toBe('refusing');
    harness.clock.advance(2_000);
    expect([harness.pool.order([a, b]), harness.pool.find(a)?.health]).toEqual([[a, b], 'up']);
  });

  it('is not believed for others where it was only learned', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    const { delivery } = harness.send([a, b]);
    harness.clock.advance(5);
    delivery.refused(5_000);
    harness.clock.advance(50);
    expect(harness.pool.find(a)?.health).toBe('up');
  });
});

describe('ask before believing: datagrams and ICMP errors are forged by anybody', () => {
  /** A forged ICMP error about this hop. */
  const forge = (harness: Harness, hop: ControllerAddress, detail = 'ECONNREFUSED'): void =>
    harness.transmitter.flowFailed(harness.flowTo(hop), { reason: 'refused', detail });

  it('one forged ICMP error moves the message at hand and costs a living hop nothing else', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    const ringing = harness.send([a, b], 'ringing');
    harness.clock.advance(5);
    ringing.delivery.provisional();
    const atHand = harness.send([a, b], 'at hand');
    forge(harness, a);
    harness.clock.advance(5);
    expect([atHand.switches, ringing.switches]).toEqual([['1>2 refused'], []]);
    expect(harness.pool.find(a)?.health).toBe('up');
    harness.send([a, b], 'next').delivery.unanswerable();
    harness.clock.advance(2_000);
    expect(harness.arrived.filter((line) => line.endsWith('next'))).toEqual(['1 next']);
    expect(ringing.switches).toEqual([]);
  });

  it('an answer to what was sent before the report, read after it, does not bring a dead hop back', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.network.silence(a.host);
    const { delivery } = harness.send([a, b], 'early');
    harness.clock.advance(5);
    delivery.provisional();
    harness.network.crash(a.host);
    harness.network.revive(a.host);
    forge(harness, a);
    harness.received('ok early', harness.flowTo(a));
    harness.send([a, b], 'next').delivery.unanswerable();
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 next']);
    harness.clock.advance(200);
    expect(harness.pool.find(a)?.health).toBe('down');
  });

  it('a stream of forged ICMP errors moves nothing more', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.pool.admit(a, 'configured');
    forge(harness, a);
    harness.clock.advance(5);
    const sent: Sent[] = [];
    for (let i = 0; i < 100; i += 1) {
      sent.push(harness.send([a, b], `m${i}`));
      forge(harness, a, 'EHOSTUNREACH');
      harness.clock.advance(7);
      forge(harness, a);
    }
    expect(sent.flatMap(({ switches }) => switches)).toEqual([]);
    expect(harness.pool.find(a)?.health).toBe('up');
    // Nor do they fill the log.
    expect(harness.logged.filter((line) => line.includes('reported gone'))).toHaveLength(1);
    harness.clock.advance(60_000);
    expect(harness.logged.filter((line) => line.includes('reported gone'))).toHaveLength(2);
  });

  it('a hop that is far away is given the time that its answers take', async () => {
    const harness = await makeBench();
    harness.network.conditions = { ...harness.network.conditions, latencyMs: 60 };
    await harness.peer(a);
    await harness.peer(b);
    harness.pool.admit(a, 'configured');
    harness.transmitter.detector.probe(a);
    harness.clock.advance(200);
    for (let i = 0; i < 60; i += 1) {
      forge(harness, a);
      harness.clock.advance(10);
    }
    harness.clock.advance(200);
    expect(harness.pool.find(a)?.health).toBe('up');
  });

  it('a hop that is really gone is so for everybody within 50 ms, even after a forged report', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    await harness.peer(b);
    harness.pool.admit(a, 'configured');
    forge(harness, a);
    harness.clock.advance(100);
    harness.network.crash(a.host);
    harness.send([a, b], 'hello');
    harness.clock.advance(50);
    expect([harness.arrived, harness.pool.find(a)?.health]).toEqual([['2 hello'], 'down']);
  });

  it('empty, meaningless and unasked datagrams keep no dead hop up', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    const { switches } = harness.send([a, b]);
    for (let i = 0; i < 15; i += 1) {
      for (const text of ['', '\r\n\r\n', 'ok', 'ok probe 77', 'ok nothing that was sent'])
        harness.received(text, harness.flowTo(a));
      harness.clock.advance(100);
    }
    expect([switches, harness.pool.find(a)?.health]).toEqual([['1>2 silent'], 'down']);
    for (let i = 0; i < 20; i += 1) {
      harness.received('ok probe 4711', harness.flowTo(a));
      harness.clock.advance(100);
    }
    expect(harness.pool.find(a)?.health).toBe('down');
  });

  it('the answer to a probe counts only from the hop that was probed, and once', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b]);
    harness.clock.advance(1_500);
    const answer = (from: ControllerAddress) => harness.transmitter.probeAnswered('0', harness.flowTo(from));
    expect([answer(b), answer(a), answer(a)]).toEqual([false, true, false]);
  });

  it('a message too long for a datagram fails by itself: its hop stays up for all others', async () => {
    const harness = await makeBench();
    await harness.peer(a);
    const long = harness.send([a], 'x'.repeat(65_508));
    harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'overflow', detail: 'EMSGSIZE' });
    const short = harness.send([a, b], 'short');
    harness.clock.advance(20);
    expect(long.tried).toEqual([{ address: a, failure: 'overflow' }]);
    expect([short.switches, harness.pool.find(a)?.health, harness.arrived]).toEqual([[], 'up', ['1 short']]);
  });

  it('what our own system does not send is believed at once', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.network.silence(a.host);
    const { switches } = harness.send([a, b]);
    harness.transmitter.flowFailed(harness.flowTo(a), { reason: 'unreachable', detail: 'ENETUNREACH', isLocal: true });
    expect([switches, harness.pool.find(a)?.health]).toEqual([['1>2 unreachable'], 'down']);
  });
});

describe('what nobody answers', () => {
  it('a response to a peer found dead right afterwards goes to its alternates at once', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.transmitter.sendToFirst([a, b], Buffer.from('180'));
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 180']);
  });

  it('a repetition takes the next way', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'nothing');
    await harness.peer(b, 'nothing');
    for (const turn of [0, 1, 2]) harness.transmitter.sendToFirst([a, b], Buffer.from(`200 #${turn}`), turn);
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['1 200 #0', '2 200 #1', '1 200 #2']);
  });

  it('a repetition goes round those that do not owe a sign of life', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b, 'nothing');
    await harness.peer(c, 'nothing');
    harness.transmitter.sendToFirst([a, b, c], Buffer.from('200'));
    harness.clock.advance(500);
    for (const turn of [0, 1, 2, 3]) harness.transmitter.sendToFirst([a, b, c], Buffer.from(`200 #${turn}`), turn);
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['3 200 #1', '2 200 #2', '3 200 #3']);
  });

  it('what a hop had before it last spoke is not sent again', async () => {
    const harness = await makeBench();
    await harness.peer(a, 'all');
    await harness.peer(b, 'nothing');
    harness.send([a, b], 'old ack').delivery.unanswerable();
    harness.transmitter.sendToFirst([a, b], Buffer.from('old 180'));
    harness.clock.advance(200);
    const { delivery } = harness.send([a, b], 'hello');
    harness.clock.advance(5);
    delivery.answered();
    harness.network.crash(a.host);
    harness.arrived.length = 0;
    harness.send([a, b], 'new ack').delivery.unanswerable();
    harness.transmitter.sendToFirst([a, b], Buffer.from('new 180'));
    harness.clock.advance(5);
    expect(harness.arrived.toSorted()).toEqual(['2 new 180', '2 new ack']);
  });

  it('an unanswerable message is moved by the network only', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    await harness.peer(b);
    harness.send([a, b], 'ack').delivery.unanswerable();
    harness.clock.advance(5_000);
    expect(harness.arrived).toEqual([]);
    harness.send([c, b], 'ack').delivery.unanswerable();
    harness.clock.advance(5);
    expect(harness.arrived).toEqual(['2 ack']);
  });
});

describe('budgets', () => {
  it('no more messages move to one alternate than its bucket holds; the others go on to the next', async () => {
    const harness = await makeBench({ switchBurst: 3, switchesPerSecond: 0 });
    await harness.peer(b, 'nothing');
    await harness.peer(c, 'nothing');
    for (let i = 0; i < 5; i += 1) harness.send([a, b, c], `m${i}`);
    harness.clock.advance(5);
    expect(harness.arrived.map((line) => line.slice(0, 1)).sort()).toEqual(['2', '2', '2', '3', '3']);
  });

  it('every switch is counted by its reason', async () => {
    const harness = await makeBench();
    await harness.peer(b);
    harness.send([a, b]);
    harness.clock.advance(100);
    const text = await harness.metrics.text();
    expect(text).toContain('altpath_switches_total{protocol="test",reason="refused"} 1');
    expect(text).toContain('altpath_peers_failed_total{protocol="test",reason="refused"} 1');
  });

  it('after stop nothing is sent and no timer waits', async () => {
    const harness = await makeBench();
    harness.network.silence(a.host);
    harness.send([a, b]);
    harness.clock.advance(600);
    harness.transmitter.stop();
    const before = harness.network.sent;
    harness.clock.advance(60_000);
    expect([harness.network.sent - before, harness.clock.pending]).toEqual([0, 0]);
  });
});
