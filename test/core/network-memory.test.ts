/** The memory network keeps its promises: scenarios rest on it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Flow, Listener, NetworkEvents, TransmitError, Transport } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { lineFraming } from '../support/line-framing.ts';
import { type Conditions, MemoryNetwork } from '../support/memory-network.ts';
import { seededRandom } from '../support/seeded-random.ts';

const a = '127.0.0.1';
const b = '127.0.0.2';

describe('fake clock', () => {
  it('runs timers by due time, each at its own moment, also those armed on the way', () => {
    const clock = new FakeClock(0);
    const seen: string[] = [];
    clock.after(20, () => seen.push(`second at ${clock.now()}`));
    clock.after(10, () => {
      seen.push(`first at ${clock.now()}`);
      clock.after(5, () => seen.push(`nested at ${clock.now()}`));
    });
    clock.after(30, () => seen.push('cancelled'))();
    clock.after(31, () => seen.push('too late'));
    clock.advance(30);
    expect(seen).toEqual(['first at 10', 'nested at 15', 'second at 20']);
    expect([clock.now(), clock.pending, clock.nextDue()]).toEqual([30, 1, 31]);
  });

  it('agrees with a sorted list, whatever is armed and cancelled', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(500), fc.boolean()), { maxLength: 300 }), (timers) => {
        const clock = new FakeClock(0);
        const ran: number[] = [];
        const cancels = timers.map(([ms], index) => clock.after(ms, () => ran.push(index)));
        timers.forEach(([, cancelled], index) => {
          if (cancelled) cancels[index]?.();
        });
        const expected = timers
          .map(([ms, cancelled], index) => ({ ms, cancelled, index }))
          .filter(({ cancelled }) => !cancelled)
          .sort((x, y) => x.ms - y.ms || x.index - y.index)
          .map(({ index }) => index);
        expect(clock.pending).toBe(expected.length);
        clock.runUntilIdle(1_000);
        expect(ran).toEqual(expected);
        expect(clock.pending).toBe(0);
      }),
    );
  });
});

describe('seeded random', () => {
  it('repeats itself for a seed and differs for another', () => {
    const draw = (seed: number): string => {
      const random = seededRandom(seed);
      return `${random.hex(8)} ${random.fraction()} ${random.below(1_000)}`;
    };
    expect(draw(7)).toBe(draw(7));
    expect(draw(7)).not.toBe(draw(8));
    expect(seededRandom(1).hex(5)).toMatch(/^[0-9a-f]{10}$/);
  });

  it('spreads fractions over [0, 1)', () => {
    const random = seededRandom(3);
    const buckets = new Array<number>(10).fill(0);
    for (let draw = 0; draw < 10_000; draw += 1) {
      const at = Math.floor(random.fraction() * 10);
      buckets[at] = (buckets[at] ?? 0) + 1;
    }
    expect(Math.min(...buckets)).toBeGreaterThan(850);
    expect(Math.max(...buckets)).toBeLessThan(1_150);
  });
});

describe('datagrams', () => {
  it('arrive after the latency, with the sender as remote, and can be answered', async () => {
    const { clock, bind, log } = world();
    const left = await bind('udp', a);
    await bind('udp', b, (text, flow) => flow.send(Buffer.from(`re: ${text}`)));
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('hello'));
    expect(log).toEqual([]);
    clock.advance(2);
    expect(log).toEqual(['1 127.0.0.1:5060>127.0.0.2:5060 hello', '2 127.0.0.2:5060>127.0.0.1:5060 re: hello']);
  });

  it('is the same run for the same seed, and an other run for another', async () => {
    const rough = { loss: 0.2, duplication: 0.2, reordering: 0.3 };
    const run = async (seed: number): Promise<string> => {
      const { clock, bind, log } = world(rough, seed);
      const left = await bind('udp', a);
      await bind('udp', b, (text, flow) => {
        if (!text.startsWith('re:')) flow.send(Buffer.from(`re: ${text}`));
      });
      const flow = left.flowTo({ host: b, port: 5060 });
      for (let number = 0; number < 100; number += 1) {
        flow.send(Buffer.from(`${number}`));
        clock.advance(1);
      }
      clock.runUntilIdle(1_000);
      return log.join('\n');
    };
    expect(await run(42)).toBe(await run(42));
    expect(await run(42)).not.toBe(await run(43));
  });

  it('are lost, doubled and overtaken as often as asked', async () => {
    const counts = async (conditions: Partial<Conditions>): Promise<{ numbers: number[]; distinct: number }> => {
      const { clock, bind, log } = world(conditions);
      const flow = (await bind('udp', a)).flowTo({ host: b, port: 5060 });
      await bind('udp', b);
      for (let number = 0; number < 1_000; number += 1) {
        flow.send(Buffer.from(`${number}`));
        clock.advance(1);
      }
      clock.runUntilIdle(1_000);
      const numbers = log.map((line) => Number(line.split(' ').at(-1)));
      return { numbers, distinct: new Set(numbers).size };
    };
    const lost = await counts({ loss: 0.3 });
    expect(lost.distinct).toBeGreaterThan(640);
    expect(lost.distinct).toBeLessThan(760);
    const doubled = await counts({ duplication: 0.3 });
    expect(doubled.distinct).toBe(1_000);
    expect(doubled.numbers.length).toBeGreaterThan(1_240);
    const overtaken = await counts({ reordering: 0.3 });
    expect(overtaken.distinct).toBe(1_000);
    expect(overtaken.numbers).not.toEqual([...overtaken.numbers].sort((x, y) => x - y));
  });

  it('to a crashed host are refused on a connected flow and vanish on another', async () => {
    const { clock, network, bind, failures, log } = world();
    const left = await bind('udp', a);
    await bind('udp', b);
    network.crash(b);
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('unconnected'));
    left.flowTo({ host: b, port: 5060 }, { connected: true }).send(Buffer.from('connected'));
    clock.advance(10);
    expect(failures).toEqual(['127.0.0.2:5060 refused']);
    expect(log).toEqual([]);
  });

  it('to a silent host vanish in either case, until it is revived', async () => {
    const { clock, network, bind, failures, log } = world();
    const flow = (await bind('udp', a)).flowTo({ host: b, port: 5060 }, { connected: true });
    await bind('udp', b);
    network.silence(b);
    flow.send(Buffer.from('lost'));
    clock.advance(10);
    network.revive(b);
    flow.send(Buffer.from('heard'));
    clock.advance(10);
    expect(failures).toEqual([]);
    expect(log).toEqual(['2 127.0.0.1:5060>127.0.0.2:5060 heard']);
  });

  it('are cut by a partition in the direction asked for', async () => {
    const { clock, network, bind, log } = world();
    const left = await bind('udp', a);
    const right = await bind('udp', b);
    network.partition(a, b, 'oneWay');
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('there'));
    right.flowTo({ host: a, port: 5060 }).send(Buffer.from('back'));
    clock.advance(10);
    network.partition(a, b);
    right.flowTo({ host: a, port: 5060 }).send(Buffer.from('back again'));
    clock.advance(10);
    network.heal(a, b);
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('healed'));
    clock.advance(10);
    expect(log.map((line) => line.split(' ').slice(2).join(' '))).toEqual(['back', 'healed']);
  });
});

describe('taps', () => {
  it('see every message in order and may take one away', async () => {
    const { clock, network, bind, log } = world();
    const flow = (await bind('udp', a)).flowTo({ host: b, port: 5060 });
    await bind('udp', b);
    const seen: number[] = [];
    network.onPacket((packet) => seen.push(packet.sequence));
    const remove = network.onPacket((packet) => (packet.sequence === 2 ? 'drop' : undefined));
    for (const text of ['one', 'two', 'three']) flow.send(Buffer.from(text));
    remove();
    clock.advance(10);
    expect(seen).toEqual([1, 2, 3]);
    expect(log.map((line) => line.split(' ').at(-1))).toEqual(['one', 'three']);
  });

  it.each(['udp', 'tcp'] as const)(
    'may kill the sender after message n over %s: that one is the last',
    async (transport) => {
      const { clock, network, bind, log } = world();
      const flow = (await bind(transport, a)).flowTo({ host: b, port: 5060 });
      await bind(transport, b);
      flow.send(Buffer.from('zero\n'));
      clock.advance(10);
      network.onPacket((packet) => {
        if (packet.sequence === 3) network.crash(a);
      });
      for (const text of ['one\n', 'two\n', 'three\n', 'four\n']) flow.send(Buffer.from(text));
      clock.advance(10);
      expect(log.map((line) => line.trim().split(' ').at(-1))).toEqual(['zero', 'one', 'two']);
    },
  );

  it('may kill the receiver just before it reads message n', async () => {
    const { clock, network, bind, log, failures } = world();
    const flow = (await bind('udp', a)).flowTo({ host: b, port: 5060 }, { connected: true });
    await bind('udp', b);
    network.onArrival((packet) => {
      if (packet.sequence === 2) network.crash(b);
    });
    flow.send(Buffer.from('one'));
    flow.send(Buffer.from('two'));
    clock.advance(10);
    expect(log.map((line) => line.split(' ').at(-1))).toEqual(['one']);
    expect(failures).toEqual(['127.0.0.2:5060 refused']);
  });
});

describe('a crash', () => {
  it('takes the timers of the program with it, and a new program may bind', async () => {
    const { clock, network, bind } = world();
    await bind('udp', a);
    const ran: string[] = [];
    network.host(a).clock.after(5, () => ran.push('old life'));
    network.crash(a);
    clock.advance(1);
    network.revive(a);
    await bind('udp', a);
    network.host(a).clock.after(5, () => ran.push('new life'));
    clock.advance(10);
    expect(ran).toEqual(['new life']);
  });
});

describe.each(['tcp', 'tls', 'ws', 'wss'] as const)('a connection over %s', (transport) => {
  it('carries messages in order and is used again in both directions', async () => {
    const { clock, bind, log } = world({ splitStreams: true });
    const left = await bind(transport, a);
    const right = await bind(transport, b, (text, flow) => flow.send(Buffer.from(`re: ${text}`)));
    const flow = left.flowTo({ host: b, port: 5060 });
    for (const text of ['one\n', 'two\n', 'three\n']) flow.send(Buffer.from(text));
    clock.advance(20);
    expect(log.map((line) => line.trim().split(' ').slice(2).join(' '))).toEqual([
      'one',
      'two',
      'three',
      're: one',
      're: two',
      're: three',
    ]);
    expect(left.flowTo({ host: b, port: 5060 })).toBe(flow);
    expect([left.connections, right.connections]).toEqual([1, 1]);
    expect(left.flowById(flow.id)).toBe(flow);
  });

  it('is refused by a dead host, times out on a silent one', async () => {
    const { clock, network, bind, failures } = world();
    const left = await bind(transport, a);
    network.crash(b);
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('one\n'));
    clock.advance(10);
    network.silence(b);
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('two\n'));
    clock.advance(999);
    expect(failures).toEqual(['127.0.0.2:5060 refused']);
    clock.advance(1);
    expect(failures).toEqual(['127.0.0.2:5060 refused', '127.0.0.2:5060 timeout']);
    expect(left.connections).toBe(0);
  });

  it('reports a crash as reset, an orderly end as closed, each once', async () => {
    const { clock, network, bind, failures } = world();
    const left = await bind(transport, a);
    await bind(transport, b);
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('one\n'));
    clock.advance(10);
    network.crash(b);
    clock.advance(10);
    network.revive(b);
    const right = await bind(transport, b);
    left.flowTo({ host: b, port: 5060 }).send(Buffer.from('two\n'));
    clock.advance(10);
    await right.close();
    clock.advance(10);
    expect(failures).toEqual(['127.0.0.2:5060 reset', '127.0.0.2:5060 closed']);
  });

  it('holds back what a partition stops and delivers it when that ends', async () => {
    const { clock, network, bind, log } = world();
    const flow = (await bind(transport, a)).flowTo({ host: b, port: 5060 });
    await bind(transport, b);
    flow.send(Buffer.from('one\n'));
    clock.advance(10);
    network.partition(a, b);
    flow.send(Buffer.from('two\n'));
    flow.send(Buffer.from('three\n'));
    clock.advance(60_000);
    expect(log).toHaveLength(1);
    network.heal();
    expect(log.map((line) => line.trim().split(' ').at(-1))).toEqual(['one', 'two', 'three']);
  });
});

describe('binding', () => {
  it('refuses an address in use and an address of another machine', async () => {
    const { network, bind } = world();
    await bind('udp', a);
    await expect(bind('udp', a)).rejects.toThrow('udp:127.0.0.1:5060 is already in use by another program');
    await expect(network.host(a).bind({ transport: 'udp', host: b, port: 5060 }, {}, silentEvents)).rejects.toThrow(
      'not an address of this machine',
    );
  });
});

const silentEvents: NetworkEvents = { received: () => undefined, failed: () => undefined };

function world(conditions: Partial<Conditions> = {}, seed = 1) {
  const clock = new FakeClock(0);
  const network = new MemoryNetwork(clock, conditions, seed);
  const log: string[] = [];
  const failures: string[] = [];
  let arrived = 0;
  network.onArrival((packet) => {
    arrived = packet.sequence;
  });
  const bind = (
    transport: Transport,
    host: string,
    onMessage: (text: string, flow: Flow) => void = () => undefined,
  ): Promise<Listener> =>
    network.host(host).bind(
      { transport, host, port: 5060 },
      { framing: lineFraming },
      {
        received(bytes: Buffer, flow: Flow) {
          const path = flow.reliable ? '' : ` ${flow.remote.host}:${flow.remote.port}>${host}:5060`;
          log.push(`${arrived}${path || ' connection'} ${bytes}`);
          onMessage(`${bytes}`, flow);
        },
        failed(flow: Flow, error: TransmitError) {
          failures.push(`${flow.remote.host}:${flow.remote.port} ${error.reason}`);
        },
      },
    );
  return { clock, network, bind, log, failures };
}
