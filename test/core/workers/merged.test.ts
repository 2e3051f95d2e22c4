/** Several workers as one: metrics, figures, rows, status. */
import { describe, expect, it } from 'vitest';
import { Metrics } from '../../../src/internal.ts';
import { MergedMetrics } from '../../../src/workers/merged-metrics.ts';
import { agreed, itemsOf, summed, summedSamples, withoutTwins } from '../../../src/workers/merged-rows.ts';
import { mergedStatus } from '../../../src/workers/merged-status.ts';

const own = new Metrics();
own.gauge('workers_ready', 'Workers that serve', () => 2);

async function textOf(messages: number): Promise<string> {
  const metrics = new Metrics();
  metrics.counter('messages_received_total', 'Messages', { protocol: 'sip' }).add(messages);
  metrics.gauge('sip_transactions', 'SIP transactions in memory', () => messages);
  metrics.histogram('call_setup_seconds', 'Set-up', [0.1, 1]).observe(0.5);
  return metrics.text();
}

describe('metrics of all workers', () => {
  it('counters and histograms are added, gauges have their worker, each family stands together', async () => {
    const text = new MergedMetrics().text(await own.text(), [
      { worker: 1, life: 'a', text: await textOf(10) },
      { worker: 2, life: 'b', text: await textOf(32) },
    ]);
    expect(text.match(/^# TYPE altpath_messages_received_total counter$/gm)).toHaveLength(1);
    expect(text.match(/^altpath_messages_received_total.*$/gm)).toEqual([
      'altpath_messages_received_total{protocol="sip"} 42',
    ]);
    expect(text.match(/^altpath_sip_transactions.*$/gm)).toEqual([
      'altpath_sip_transactions{worker="1"} 10',
      'altpath_sip_transactions{worker="2"} 32',
    ]);
    expect(text).toContain('altpath_call_setup_seconds_bucket{le="1"} 2');
    expect(text).toContain('altpath_call_setup_seconds_bucket{le="0.1"} 0');
    expect(text).toContain('altpath_call_setup_seconds_count 2');
    expect(text).toContain('altpath_workers_ready 2');
    // Every sample stands below the head of its family.
    let family = '';
    for (const line of text.split('\n')) {
      family = /^# TYPE (\S+)/.exec(line)?.[1] ?? family;
      if (line !== '' && !line.startsWith('#')) expect(line.startsWith(family)).toBe(true);
    }
  });

  it('counters never fall: not by a death, not by a new life that counts from 0, not while one does not answer', async () => {
    const merged = new MergedMetrics();
    const counted = async (workers: readonly [life: string, messages: number | undefined][]): Promise<string> => {
      const text = merged.text(
        await own.text(),
        await Promise.all(
          workers.map(async ([life, messages], at) => ({
            worker: at + 1,
            life,
            text: messages === undefined ? undefined : await textOf(messages),
          })),
        ),
      );
      return /^altpath_messages_received_total\{protocol="sip"\} (\d+)$/m.exec(text)?.[1] ?? text;
    };
    expect(
      await counted([
        ['a', 10],
        ['b', 30],
      ]),
    ).toBe('40');
    expect(
      await counted([
        ['a', 12],
        ['b', undefined],
      ]),
    ).toBe('42');
    // b is dead, and back as c.
    expect(await counted([['a', 15]])).toBe('45');
    expect(
      await counted([
        ['a', 15],
        ['c', 1],
      ]),
    ).toBe('46');
    expect(
      await counted([
        ['a', 15],
        ['c', 2],
      ]),
    ).toBe('47');
  });
});

describe('figures of all workers', () => {
  it('are sums; the time is the latest, a delay the longest', () => {
    expect(
      summed([
        { wallMs: 5, callsOpen: 3, begunPerSecond: 1.5, failures: { busy: 1 }, postDialMs: [20, 90], seconds: 5 },
        { wallMs: 7, callsOpen: 4, begunPerSecond: 0.3, failures: { busy: 2, timeout: 1 }, postDialMs: [30, 50] },
      ]),
    ).toEqual({
      wallMs: 7,
      callsOpen: 7,
      begunPerSecond: 1.8,
      failures: { busy: 3, timeout: 1 },
      postDialMs: [30, 90],
      seconds: 5,
    });
  });

  it('of the past are those of about the same time', () => {
    const samples = summedSamples([
      [
        { wallMs: 5_000, callsOpen: 1 },
        { wallMs: 10_000, callsOpen: 2 },
      ],
      [
        { wallMs: 6_100, callsOpen: 10 },
        { wallMs: 11_100, callsOpen: 20 },
        { wallMs: 16_100, callsOpen: 40 },
      ],
      [{ wallMs: 90_000, callsOpen: 100 }],
    ]);
    expect(samples.map(({ callsOpen }) => callsOpen)).toEqual([11, 22]);
    expect(summedSamples([])).toEqual([]);
  });
});

describe('rows of all workers', () => {
  it('a call that a sibling took over is one call, told by who saw it begin', () => {
    const rows = itemsOf([
      { worker: 1, row: { items: [{ id: 'x', isAdopted: true }, { id: 'y' }] } },
      { worker: 2, row: { items: [{ id: 'x', caller: 'sip:a@x' }] } },
    ]);
    expect(withoutTwins(rows)).toEqual([
      { id: 'x', caller: 'sip:a@x', worker: 2 },
      { id: 'y', worker: 1 },
    ]);
  });

  it('what all say alike is one row; where they differ each speaks for itself', () => {
    const peer = { address: 'udp:192.0.2.1:5060', health: 'up' };
    expect(
      agreed([
        { ...peer, worker: 1, lastHeardMs: 5 },
        { ...peer, worker: 2, lastHeardMs: 9 },
      ]),
    ).toEqual([{ ...peer, lastHeardMs: 5 }]);
    expect(
      agreed([
        { ...peer, worker: 1 },
        { ...peer, health: 'down', worker: 2 },
      ]),
    ).toHaveLength(2);
  });

  it('numbers of messages stay unlike for any two', () => {
    const rows = itemsOf([
      { worker: 1, row: { items: [{ sequence: 1 }, { sequence: 2 }] } },
      { worker: 2, row: { items: [{ sequence: 1 }, { sequence: 2 }] } },
    ]);
    expect(new Set(rows.map(({ sequence }) => sequence)).size).toBe(4);
  });
});

describe('the status of all workers', () => {
  it('adds what counts, and says the rest as the worker that does what one does for all', () => {
    const role = (calls: number, registration: string) => ({
      listening: ['udp:192.0.2.1:5060'],
      listeners: [{ port: 5_060, connections: calls }],
      transactions: calls,
      pending: calls,
      registrations: 7,
      trunks: { carrier: { state: 'up', calls, answered: calls, settingUp: 0, registration } },
    });
    const worker = (index: number, state: 'ready' | 'down') => ({
      index,
      state,
      pid: 100 + index,
      starts: 1,
      deaths: 0,
      sinceMs: 1_000,
      admin: undefined,
    });
    const status = mergedStatus({
      workers: [worker(1, 'ready'), worker(2, 'ready'), worker(3, 'down')],
      lead: 2,
      all: [
        { worker: 1, row: { memoryBytes: 10, bans: 1, location: 'memory', roles: { sip: role(3, 'elsewhere') } } },
        { worker: 2, row: { memoryBytes: 20, location: 'memory', roles: { sip: role(4, 'registered') } } },
      ],
      nowMs: 6_000,
      own: { state: 'ready', pid: 100 },
      ownBytes: 5,
    });
    expect(status).toMatchObject({
      state: 'ready',
      pid: 100,
      location: 'memory',
      memoryBytes: 35,
      bans: 1,
      roles: {
        sip: {
          transactions: 7,
          pending: 7,
          registrations: 7,
          listeners: [{ port: 5_060, connections: 7 }],
          trunks: { carrier: { calls: 7, answered: 7, registration: 'registered' } },
        },
      },
    });
    expect(status['workers']).toMatchObject([
      { worker: 1, lead: false, sinceSeconds: 5 },
      { worker: 2, lead: true },
      { worker: 3, state: 'down' },
    ]);
  });
});
