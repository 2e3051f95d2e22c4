import { describe, expect, it } from 'vitest';
import {
  AuditTakeover,
  type CommandOutcome,
  type ControllerAddress,
  ControllerPool,
  GatewayRegistry,
  GatewayTransactions,
  type Listener,
  Metrics,
  memberSlice,
  ReplyCache,
  RoundTrip,
  silentLog,
  systemRandom,
  TransactionIds,
  Transmitter,
} from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryNetwork } from '../support/memory-network.ts';
import { seededRandom } from '../support/seeded-random.ts';

const gatewayAddress: ControllerAddress = { transport: 'udp', host: '127.0.0.10', port: 2427 };
const secondAddress: ControllerAddress = { transport: 'udp', host: '127.0.0.11', port: 2427 };

describe('the liveness of gateways', () => {
  it('a gateway that sends without answering is asked like one that is quiet: its datagrams may be forged', () => {
    const clock = new FakeClock();
    const registry = new GatewayRegistry(clock);
    const [talks, answers] = ['talks', 'answers'].map((name) => registry.add(name, []));
    for (let i = 0; i < 10; i += 1) {
      clock.advance(1_000);
      if (talks !== undefined) registry.heard(talks);
      if (answers !== undefined) registry.answered(answers);
    }
    expect([talks?.state, registry.quiet(5_000).map(({ name }) => name)]).toEqual(['up', ['talks']]);
  });
});

describe('RFC 3435 §3.5.2 transaction identifiers', () => {
  it('those of probes are apart from those of commands, and none follows from the last', () => {
    const ids = new TransactionIds({ min: 1, max: 62_500_000 }, systemRandom);
    const drawn = Array.from({ length: 64 }, () => ids.unguessable());
    const counted = new Set(Array.from({ length: 64 }, () => ids.next()));
    expect(drawn.every((id) => ids.owns(id) && id > 46_875_000 && !counted.has(id))).toBe(true);
    expect(new Set(drawn.slice(1).map((id, at) => id - (drawn[at] ?? 0))).size).toBeGreaterThan(32);
  });

  it('never collide between members, for any member count', () => {
    const space = { min: 1, max: 999_999_999 };
    const slices = [0, 1, 2, 3, 4].map((member) => memberSlice(space, member, 5));
    for (const [at, slice] of slices.entries()) {
      expect(slice.min).toBe(at === 0 ? 1 : (slices[at - 1]?.max ?? 0) + 1);
      expect(slice.max).toBeLessThanOrEqual(space.max);
    }
  });
  it('stay in the slice and wrap', () => {
    const ids = new TransactionIds({ min: 10, max: 12 }, seededRandom(1));
    const seen = Array.from({ length: 7 }, () => ids.next());
    expect(new Set(seen)).toEqual(new Set([10, 11, 12]));
  });
});

describe('RFC 3435 §3.5.3 repetition timers', () => {
  it('follow the measured delay, bounded below and above', () => {
    const trip = new RoundTrip({ initialMs: 200, minMs: 100, maxMs: 4_000 });
    expect(trip.firstWaitMs).toBe(200);
    for (let each = 0; each < 50; each += 1) trip.measured(1);
    expect(trip.firstWaitMs).toBe(100);
    for (let each = 0; each < 50; each += 1) trip.measured(900);
    expect(trip.firstWaitMs).toBeGreaterThan(899);
    expect(trip.repeatWaitMs(1_000_000, seededRandom(1))).toBe(4_000);
  });
});

describe('RFC 3435 §4.3 commands of ours', () => {
  it('are repeated with growing waits and the same id until T-MAX, then reported once', async () => {
    const harness = await newHarness();
    const sent: number[] = [];
    harness.network.onPacket(({ bytes }) => sent.push(Number(bytes.toString())));
    harness.submit({});
    harness.clock.advance(60_000);
    expect(new Set(sent).size).toBe(1);
    expect(sent.length).toBeGreaterThanOrEqual(7);
    expect(sent.length).toBeLessThanOrEqual(12);
    expect(harness.outcomes).toEqual(['timedOut']);
    expect(harness.clock.pending).toBe(0);
  });
  it('end at the final response and are not repeated afterwards', async () => {
    const harness = await newHarness();
    harness.submit({});
    harness.clock.advance(150);
    const id = harness.ids[0] ?? 0;
    expect(harness.transactions.onResponse(id, true, 'ok', harness.flow)).toBe(true);
    expect(harness.transactions.onResponse(id, true, 'ok', harness.flow)).toBe(false);
    const { sent } = harness.network;
    harness.clock.advance(60_000);
    expect(harness.network.sent).toBe(sent);
    expect(harness.outcomes).toEqual(['answered']);
  });
  it('wait with the long timer after a provisional response (§3.5.6), up to twice T-HIST for the final one', async () => {
    const harness = await newHarness();
    harness.submit({});
    harness.transactions.onResponse(harness.ids[0] ?? 0, false, 'pending', harness.flow);
    const { sent } = harness.network;
    harness.clock.advance(4_900);
    expect(harness.network.sent).toBe(sent);
    harness.clock.advance(200);
    expect(harness.network.sent).toBe(sent + 1);
    harness.clock.advance(54_000);
    expect(harness.outcomes).toEqual([]);
    harness.clock.advance(2_000);
    expect(harness.outcomes).toEqual(['timedOut']);
  });
  it('go to the next address of the gateway when the first is silent, with the same id', async () => {
    const harness = await newHarness([gatewayAddress, secondAddress]);
    const hosts: string[] = [];
    harness.network.onPacket(({ to, bytes }) => hosts.push(`${to.host} ${bytes.toString()}`));
    harness.submit({});
    harness.clock.advance(1_100);
    const id = harness.ids[0];
    expect(hosts.at(0)).toBe(`${gatewayAddress.host} ${id}`);
    expect(hosts.at(-1)).toBe(`${secondAddress.host} ${id}`);
  });
  it('go one after the other per endpoint, deletions at once', async () => {
    const harness = await newHarness();
    harness.submit({ queue: 'a' });
    harness.submit({ queue: 'a' });
    harness.submit({ queue: 'b' });
    expect(harness.ids.length).toBe(2);
    harness.submit({ queue: 'a', urgent: true });
    expect(harness.ids.length).toBe(3);
    harness.transactions.onResponse(harness.ids[0] ?? 0, true, 'ok', harness.flow);
    expect(harness.ids.length).toBe(4);
  });
  it('keep to the window of the peer, and all are served in the end', async () => {
    const harness = await newHarness();
    for (let each = 0; each < 1_000; each += 1) harness.submit({ queue: String(each) });
    expect(harness.transactions.size).toBe(64);
    for (let at = 0; at < 1_000; at += 1)
      harness.transactions.onResponse(harness.ids[at] ?? 0, true, 'ok', harness.flow);
    expect(harness.outcomes.length).toBe(1_000);
    expect(harness.transactions.waiting).toBe(0);
  });
});

describe('RFC 3435 §3.5.1 at-most-once', () => {
  it('repeats the response, tells what is executing, and forgets after T-HIST', () => {
    const clock = new FakeClock();
    const cache = new ReplyCache(clock, 30_000);
    expect(cache.seen('g 1').kind).toBe('new');
    expect(cache.seen('g 1').kind).toBe('executing');
    cache.answer('g 1', Buffer.from('200 1 OK'));
    expect(cache.seen('g 1')).toEqual({ kind: 'answered', response: Buffer.from('200 1 OK') });
    clock.advance(30_001);
    expect(cache.seen('g 1').kind).toBe('new');
  });
  it('ignores a command whose response is confirmed (§3.5.2)', () => {
    const cache = new ReplyCache(new FakeClock(), 30_000);
    cache.seen('g 1');
    cache.answer('g 1', Buffer.from('x'));
    cache.confirm('g 1');
    expect(cache.seen('g 1').kind).toBe('confirmed');
  });
  it('stays within its limits whatever peers send', () => {
    const cache = new ReplyCache(new FakeClock(), 30_000, { maxEntries: 100, maxBytes: 1_000 });
    for (let each = 0; each < 10_000; each += 1) {
      cache.seen(`g ${each}`);
      cache.answer(`g ${each}`, Buffer.alloc(100));
    }
    expect(cache.size).toBeLessThanOrEqual(100);
  });
});

describe('takeover by audit', () => {
  it('holds events until every endpoint of the round is known, then lets them go in order', () => {
    const log: string[] = [];
    const answers = new Map<string, (snapshot: string | undefined) => void>();
    const takeover = new AuditTakeover<string>({
      audit: (endpoint, answer) => answers.set(endpoint, answer),
      completed: ({ snapshots }) => log.push(`completed ${[...snapshots].join(' ')}`),
    });
    takeover.begin(['a', 'b']);
    takeover.hold('a', () => log.push('event a'));
    takeover.hold('c', () => log.push('event c'));
    answers.get('a')?.('A');
    takeover.hold('a', () => log.push('second event a'));
    expect(log).toEqual(['event c']);
    answers.get('b')?.(undefined);
    expect(log).toEqual(['event c', 'completed a,A b,', 'event a', 'second event a']);
    expect(takeover.isRunning).toBe(false);
  });
});

async function newHarness(addresses: readonly ControllerAddress[] = [gatewayAddress]) {
  const clock = new FakeClock();
  const network = new MemoryNetwork(clock);
  const random = seededRandom(5);
  const listeners: Listener[] = [];
  const transmitter = new Transmitter({
    clock,
    pool: new ControllerPool(clock, random),
    log: silentLog,
    metrics: new Metrics(),
    protocol: 'test',
    listeners: () => listeners,
  });
  listeners.push(
    await network
      .host('127.0.0.1')
      .bind({ transport: 'udp', host: '127.0.0.1', port: 2727 }, {}, { received() {}, failed() {} }),
  );
  const ids: number[] = [];
  const outcomes: string[] = [];
  const transactions = new GatewayTransactions<string>({
    clock,
    random,
    transmitter,
    ids: new TransactionIds({ min: 1, max: 999_999_999 }, random),
  });
  const local = { transport: 'udp' as const, host: '127.0.0.1', port: 2727 };
  const flow = {
    transport: 'udp' as const,
    reliable: false,
    local,
    remote: gatewayAddress,
    id: 'x',
    send() {},
    close() {},
  };
  const harness = {
    clock,
    network,
    transactions,
    ids,
    outcomes,
    flow,
    submit: (command: { queue?: string; urgent?: boolean }) =>
      transactions.submit({
        ...command,
        peer: { name: 'g', addresses: () => addresses },
        encode: (id) => {
          if (!ids.includes(id)) ids.push(id);
          return Buffer.from(String(id));
        },
        ended: (outcome: CommandOutcome<string>) => outcomes.push(outcome.kind),
      }),
  };
  return harness;
}
