import { describe, expect, it } from 'vitest';
import { Metrics } from '../../src/internal.ts';
import { observeProcess } from '../../src/process-metrics.ts';

describe('metrics', () => {
  it('gives the same counter for the same name and labels, in whatever order they are written', async () => {
    const metrics = new Metrics();
    metrics.counter('sent_total', 'Sent', { to: 'a', by: 'b' }).add();
    metrics.counter('sent_total', 'Sent', { by: 'b', to: 'a' }).add(2);
    const counter = metrics.counter('sent_total', 'Sent', { to: 'a', by: 'b' });
    expect(counter.value).toBe(3);
    expect(await metrics.text()).toMatch(
      /^altpath_sent_total\{by="b",to="a"\} 3$|^altpath_sent_total\{to="a",by="b"\} 3$/m,
    );
  });

  it('shows a counter that has counted nothing, and does not count by being read', async () => {
    const metrics = new Metrics();
    metrics.counter('idle_total', 'Idle');
    metrics.counter('busy_total', 'Busy').add(5);
    await metrics.text();
    const text = await metrics.text();
    expect(text).toContain('altpath_idle_total 0\n');
    expect(text).toContain('altpath_busy_total 5\n');
    expect(text).toContain('# TYPE altpath_busy_total counter');
  });

  it('reads a gauge when asked, from its latest reader', async () => {
    const metrics = new Metrics();
    let size = 1;
    metrics.gauge('size', 'Size', () => -1, { of: 'a' });
    metrics.gauge('size', 'Size', () => size, { of: 'a' });
    metrics.gauge('size', 'Size', () => 9, { of: 'b' });
    size = 7;
    const text = await metrics.text();
    expect(text).toContain('altpath_size{of="a"} 7\n');
    expect(text).toContain('altpath_size{of="b"} 9\n');
  });

  it('sorts what a histogram saw into buckets', async () => {
    const metrics = new Metrics();
    const gap = metrics.histogram('gap_seconds', 'Gap', [0.1, 1]);
    for (const value of [0.05, 0.5, 5]) gap.observe(value);
    const text = await metrics.text();
    expect(text).toContain('altpath_gap_seconds_bucket{le="0.1"} 1\n');
    expect(text).toContain('altpath_gap_seconds_bucket{le="1"} 2\n');
    expect(text).toContain('altpath_gap_seconds_bucket{le="+Inf"} 3\n');
  });

  it('tells of other label names where they are made, not where they are read', () => {
    const metrics = new Metrics();
    metrics.counter('a_total', 'A', { protocol: 'x' });
    expect(() => metrics.counter('a_total', 'A', { reason: 'x' })).toThrow(
      /has the labels \(protocol\), not \(reason\)/,
    );
    metrics.gauge('b', 'B', () => 1);
    expect(() => metrics.gauge('b', 'B', () => 1, { reason: 'x' })).toThrow(/not \(reason\)/);
  });

  it('reads values whose labels come and go, up to the bound of a family', async () => {
    const metrics = new Metrics();
    let count = 2;
    const read = (protocol: string) => () =>
      Array.from({ length: count }, (_, index) => ({ labels: { protocol, gateway: `gw${index}` }, value: index }));
    for (const protocol of ['one', 'other'])
      metrics.gauges('gateway_up', 'Up', ['protocol', 'gateway'], read(protocol), protocol);
    const series = async () => (await metrics.text()).match(/^altpath_gateway_up\{.*$/gm) ?? [];
    expect(await series()).toEqual([
      'altpath_gateway_up{protocol="one",gateway="gw0"} 0',
      'altpath_gateway_up{protocol="one",gateway="gw1"} 1',
      'altpath_gateway_up{protocol="other",gateway="gw0"} 0',
      'altpath_gateway_up{protocol="other",gateway="gw1"} 1',
    ]);
    count = 1;
    expect(await series()).toHaveLength(2);
    count = 5_000;
    expect(await series()).toHaveLength(2_000);
  });

  it('is bounded, whatever a peer makes of a label', async () => {
    const metrics = new Metrics();
    for (let index = 0; index < 5_000; index += 1)
      metrics.counter('seen_total', 'Seen', { from: `peer${index}` }).add();
    const text = await metrics.text();
    expect(text.match(/^altpath_seen_total/gm)).toHaveLength(1_001);
    expect(text).toContain('altpath_seen_total{from="other"} 4000\n');
  });

  it('tells what the process uses', async () => {
    const metrics = new Metrics();
    const stop = observeProcess(metrics, '1.2.3');
    try {
      const text = await metrics.text();
      const value = (name: string): number => Number(new RegExp(`^altpath_${name} (\\S+)$`, 'm').exec(text)?.[1]);
      expect(text).toContain(`altpath_build_info{version="1.2.3",node="${process.version}"} 1\n`);
      expect(value('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
      expect(value('process_cpu_seconds\\{mode="user"\\}')).toBeGreaterThan(0);
      expect(value('event_loop_delay_seconds\\{quantile="0.99"\\}')).toBeGreaterThanOrEqual(0);
    } finally {
      stop();
    }
  });
});
