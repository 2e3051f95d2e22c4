import { describe, expect, it } from 'vitest';
import { readIpNetwork } from '../../../src/config/ip-network.ts';
import { type Flow, Metrics, type Screen, SourceLimits, type SourceSettings } from '../../../src/internal.ts';
import { gated } from '../../../src/overload/source-gate.ts';
import { sourceKey } from '../../../src/overload/source-key.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { logLines } from '../../support/log-lines.ts';
import { MemoryNetwork } from '../../support/memory-network.ts';

const message = Buffer.from('whatever');

class Rig {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly told = logLines();
  readonly limits: SourceLimits;
  closed = 0;

  constructor(settings: Partial<SourceSettings> = {}, maxBans?: number) {
    this.limits = new SourceLimits({
      clock: this.clock,
      log: this.told.log,
      metrics: this.metrics,
      settings: { perSecond: 100, banSeconds: 60, exempt: [], ...settings },
      maxBans,
    });
    this.limits.start();
  }

  flow(host: string, transport: 'udp' | 'tcp' = 'udp'): Flow {
    return {
      transport,
      reliable: transport === 'tcp',
      local: { host: '192.0.2.1', port: 5060 },
      remote: { host, port: 5060 },
      id: host,
      send: () => undefined,
      close: () => {
        this.closed += 1;
      },
    };
  }

  /** How many of so many messages pass. */
  send(host: string, count: number, screen?: Screen, transport?: 'udp' | 'tcp'): number {
    const flow = this.flow(host, transport);
    let passed = 0;
    for (let n = 0; n < count; n += 1) if (this.limits.passes(message, flow, screen)) passed += 1;
    return passed;
  }

  /** A source sends more than it may for so many seconds. */
  flood(host: string, seconds: number, screen?: Screen): void {
    for (let second = 0; second < seconds; second += 1) {
      this.send(host, 200, screen);
      this.clock.advance(1_000);
    }
  }
}

const screen = (rank: 'urgent' | 'open' | 'new' | 'junk', knows = false, serves = false): Screen => ({
  knows: () => knows,
  serves: () => serves,
  rank: () => rank,
});

describe('limits for one source', () => {
  it('what it sends beyond its messages a second is dropped, and counted', () => {
    const rig = new Rig();
    expect(rig.send('192.0.2.9', 150)).toBe(100);
    expect(rig.send('192.0.2.10', 80)).toBe(80);
    rig.clock.advance(1_000);
    expect(rig.send('192.0.2.9', 60)).toBe(60);
    expect(rig.metrics.counter('sources_dropped_total', '').value).toBe(50);
    expect(rig.told.lines.map(({ event }) => event)).toEqual(['sourceLimited']);
  });

  it('0 is no limit', () => {
    expect(new Rig({ perSecond: 0 }).send('192.0.2.9', 10_000)).toBe(10_000);
  });

  it('who goes on is banned, sees the ban end, and is banned for longer the next time', () => {
    const rig = new Rig({ banSeconds: 60 });
    rig.flood('192.0.2.9', 3);
    expect(rig.limits.list()).toMatchObject([{ source: '192.0.2.9', because: 'rate', times: 1 }]);
    expect(rig.send('192.0.2.9', 5)).toBe(0);
    rig.clock.advance(60_000);
    expect(rig.limits.list()).toEqual([]);
    expect(rig.send('192.0.2.9', 5)).toBe(5);
    rig.clock.advance(10_000);
    rig.flood('192.0.2.9', 3);
    const [ban] = rig.limits.list();
    expect(ban).toMatchObject({ times: 2 });
    expect((ban?.untilMs ?? 0) - (ban?.sinceMs ?? 0)).toBe(120_000);
    expect(rig.told.lines.filter(({ event }) => event === 'sourceBanned').length).toBeGreaterThan(0);
  });

  it('who is served loses what is too much, and is not banned', () => {
    const rig = new Rig();
    rig.flood('192.0.2.9', 20, screen('new', false, true));
    expect(rig.limits.list()).toEqual([]);
    expect(rig.send('192.0.2.9', 150, screen('new', false, true))).toBe(100);
    expect(rig.metrics.counter('sources_dropped_total', '').value).toBe(20 * 100 + 50);
    expect(rig.told.lines.map(({ event }) => event)).toContain('sourceLimited');
    // Once nothing of it succeeds any more, it is a flood like any other.
    rig.clock.advance(1_000);
    rig.flood('192.0.2.9', 3, screen('new'));
    expect(rig.limits.list()).toHaveLength(1);
  });

  it('who is served and sends what is no message all the time is banned all the same', () => {
    const rig = new Rig();
    rig.flood('192.0.2.9', 3, screen('junk', false, true));
    expect(rig.limits.list()).toMatchObject([{ source: '192.0.2.9', because: 'rate' }]);
  });

  it('a single second beyond the limit is a burst, no flood', () => {
    const rig = new Rig();
    for (let round = 0; round < 5; round += 1) {
      rig.flood('192.0.2.9', 1);
      rig.clock.advance(10_000);
    }
    expect(rig.limits.list()).toEqual([]);
  });

  it('members, configured hops, trunks and gateways are never limited', () => {
    const rig = new Rig();
    expect(rig.send('192.0.2.9', 1_000, screen('new', true))).toBe(1_000);
    rig.flood('192.0.2.9', 5, screen('new', true));
    expect(rig.limits.list()).toEqual([]);
  });

  it('nor are those that the operator exempts', () => {
    const network = readIpNetwork('10.0.0.0/8');
    const rig = new Rig({ exempt: network === undefined ? [] : [network] });
    expect([rig.send('10.1.2.3', 1_000), rig.send('11.1.2.3', 1_000)]).toEqual([1_000, 100]);
  });

  it('a call for help passes a ban, and what is under way passes within bounds', () => {
    const rig = new Rig();
    rig.flood('192.0.2.9', 3);
    expect(rig.send('192.0.2.9', 500, screen('urgent'))).toBe(500);
    expect(rig.send('192.0.2.9', 500, screen('open'))).toBe(50);
    expect(rig.send('192.0.2.9', 500, screen('new'))).toBe(0);
  });

  it('a banned connection is closed, whose sender cannot be made up', () => {
    const rig = new Rig();
    rig.limits.ban('192.0.2.9', 60);
    expect(rig.send('192.0.2.9', 1, undefined, 'udp')).toBe(0);
    expect(rig.closed).toBe(0);
    expect(rig.send('192.0.2.9', 1, undefined, 'tcp')).toBe(0);
    expect(rig.closed).toBe(1);
  });

  it('the operator bans, also those that are known, and lifts', () => {
    const rig = new Rig();
    rig.limits.ban('192.0.2.9', 60);
    expect(rig.send('192.0.2.9', 3, screen('new', true))).toBe(0);
    expect(rig.limits.lift('192.0.2.9')).toBe(true);
    expect(rig.limits.lift('192.0.2.9')).toBe(false);
    expect(rig.send('192.0.2.9', 3)).toBe(3);
    expect(rig.told.lines.map(({ event }) => event)).toEqual(['sourceBanned', 'banLifted']);
    expect(rig.told.lines.at(-1)).toMatchObject({ source: '192.0.2.9', dropped: 3 });
  });

  it('an IPv6 source is its /64', () => {
    const rig = new Rig();
    let passed = 0;
    for (let n = 1; n <= 200; n += 1) passed += rig.send(`2001:db8:0:1::${n.toString(16)}`, 1);
    expect(passed).toBe(100);
    expect(rig.send('2001:db8:0:2::1', 1)).toBe(1);
    expect(sourceKey('2001:db8::1')).toBe('2001:db8:0:0::/64');
    expect(sourceKey('::1')).toBe('0:0:0:0::/64');
    expect(sourceKey('fe80::1%eth0')).toBe('fe80:0:0:0::/64');
    expect(sourceKey('::ffff:192.0.2.9')).toBe('192.0.2.9');
    expect(sourceKey('192.0.2.9')).toBe('192.0.2.9');
  });

  it('made-up senders take a bounded memory: the oldest ban makes way', () => {
    const rig = new Rig({}, 100);
    for (let n = 0; n < 300; n += 1) rig.limits.ban(`198.51.${n >> 8}.${n & 255}`, 60);
    expect(rig.limits.list()).toHaveLength(100);
    let passed = 0;
    for (let n = 0; n < 100_000; n += 1) passed += rig.send(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 1);
    expect(passed).toBe(100_000);
    expect(rig.told.lines.length).toBeLessThan(100);
  });

  it('a ban holds where more senders than can be counted are made up', () => {
    const rig = new Rig();
    rig.limits.ban('192.0.2.9', 60);
    for (let n = 0; n < 70_000; n += 1) rig.send(`10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 1);
    expect(rig.send('192.0.2.9', 5)).toBe(0);
    expect(rig.limits.list()).toMatchObject([{ source: '192.0.2.9', dropped: 5 }]);
  });

  it('what is turned away under overload reaches nobody', async () => {
    const clock = new FakeClock();
    const network = new MemoryNetwork(clock);
    const limits = new SourceLimits({
      clock,
      log: logLines().log,
      metrics: new Metrics(),
      settings: { perSecond: 0, banSeconds: 1, exempt: [] },
    });
    const heard: string[] = [];
    const events = { received: (bytes: Buffer) => heard.push(bytes.toString()), failed: () => undefined };
    const address = { transport: 'udp', host: '192.0.2.1', port: 5060 } as const;
    const odd: Screen = { ...screen('new'), turnsAway: (bytes) => Number(bytes.toString()) % 2 === 1 };
    await gated(network.host('192.0.2.1'), limits, () => odd).bind(address, {}, events);
    const other = await network
      .host('192.0.2.9')
      .bind({ ...address, host: '192.0.2.9' }, {}, { received: () => undefined, failed: () => undefined });
    for (let n = 0; n < 6; n += 1) other.flowTo(address).send(Buffer.from(String(n)));
    clock.advance(10);
    expect(heard).toEqual(['0', '2', '4']);
  });

  it('stands between the sockets and whoever reads', () => {
    const clock = new FakeClock();
    const network = new MemoryNetwork(clock);
    const limits = new SourceLimits({
      clock,
      log: logLines().log,
      metrics: new Metrics(),
      settings: { perSecond: 10, banSeconds: 1, exempt: [] },
    });
    const heard: string[] = [];
    const events = { received: (bytes: Buffer) => heard.push(bytes.toString()), failed: () => undefined };
    const address = { transport: 'udp', host: '192.0.2.1', port: 5060 } as const;
    return gated(network.host('192.0.2.1'), limits, () => undefined)
      .bind(address, {}, events)
      .then(async () => {
        const other = await network
          .host('192.0.2.9')
          .bind({ ...address, host: '192.0.2.9' }, {}, { received: () => undefined, failed: () => undefined });
        for (let n = 0; n < 30; n += 1) other.flowTo(address).send(Buffer.from(String(n)));
        clock.advance(10);
        expect(heard).toHaveLength(10);
      });
  });
});
