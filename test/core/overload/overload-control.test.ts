import { describe, expect, it } from 'vitest';
import { type LoadSample, Metrics, OverloadControl, type OverloadSettings } from '../../../src/internal.ts';
import { fullestQueue } from '../../../src/overload/receive-queues.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { logLines } from '../../support/log-lines.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const calm: LoadSample = { delayMs: 1, utilization: 0.3, queued: 0 };
const full: LoadSample = { delayMs: 1, utilization: 1, queued: 0.9 };

class Rig {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly told = logLines();
  load: LoadSample = calm;
  readonly control: OverloadControl;

  constructor(settings: Partial<OverloadSettings> = {}) {
    this.control = new OverloadControl({
      clock: this.clock,
      random: seededRandom(3),
      log: this.told.log,
      metrics: this.metrics,
      sensor: { sample: () => this.load },
      settings,
    });
    this.control.start();
  }

  /** Offers so many new requests a second; how many were taken in each second. */
  offer(perSecond: number, seconds: number): number[] {
    const taken: number[] = [];
    for (let second = 0; second < seconds; second += 1) {
      let count = 0;
      for (let tenth = 0; tenth < 10; tenth += 1) {
        for (let n = 0; n < perSecond / 10; n += 1) {
          if (this.control.admits()) count += 1;
          else this.control.shed();
        }
        this.clock.advance(100);
      }
      taken.push(count);
    }
    return taken;
  }

  get events(): (string | undefined)[] {
    return this.told.lines.map(({ event }) => event);
  }
}

describe('overload control', () => {
  it('takes everything while there is no pressure, whatever the rate', () => {
    const rig = new Rig();
    expect(rig.offer(5_000, 3)).toEqual([5_000, 5_000, 5_000]);
    expect(rig.control.isShedding).toBe(false);
    expect(rig.told.lines).toEqual([]);
  });

  it('begins after half a second of pressure, and not for a burst or a pause', () => {
    const rig = new Rig();
    rig.offer(1_000, 1);
    rig.load = full;
    for (let sample = 0; sample < 4; sample += 1) {
      for (let n = 0; n < 100; n += 1) rig.control.admits();
      rig.clock.advance(100);
    }
    expect(rig.control.isShedding).toBe(false);
    rig.load = calm;
    rig.clock.advance(100);
    rig.load = full;
    rig.offer(1_000, 1);
    expect(rig.control.isShedding).toBe(true);
    expect(rig.events).toEqual(['overloadBegan']);
  });

  it('refuses nothing where few ask: whatever makes the process slow, it is not them', () => {
    const rig = new Rig({ keptPerSecond: 100 });
    rig.load = { delayMs: 5_000, utilization: 1, queued: 1 };
    expect(rig.offer(60, 20)).toEqual(Array.from({ length: 20 }, () => 60));
    expect(rig.control.isShedding).toBe(false);
    expect(rig.control.isBusy).toBe(true);
  });

  it('falls while the pressure lasts, and always keeps some', () => {
    const rig = new Rig({ keptPerSecond: 50 });
    rig.load = full;
    const taken = rig.offer(2_000, 10);
    for (let second = 1; second < taken.length; second += 1)
      expect(taken[second] ?? 0).toBeLessThanOrEqual((taken[second - 1] ?? 0) + 1);
    expect(taken.at(-1)).toBeGreaterThanOrEqual(49);
    expect(taken.at(-1)).toBeLessThanOrEqual(51);
  });

  it('the delay of the event loop is pressure as well, as late as its own timer', () => {
    const rig = new Rig({ delayMs: 100 });
    rig.load = { ...calm, utilization: 1, delayMs: 150 };
    rig.offer(1_000, 2);
    expect(rig.control.isShedding).toBe(true);
  });

  it('holds the share between calm and pressure, grows it with time to spare, and ends', () => {
    const rig = new Rig();
    rig.load = full;
    rig.offer(1_000, 2);
    rig.load = { delayMs: 1, utilization: 0.99, queued: 0.2 };
    const { keep } = rig.control;
    expect(keep).toBeLessThan(0.5);
    rig.offer(1_000, 3);
    expect(rig.control.keep).toBe(keep);
    rig.load = { ...calm, utilization: 0.8 };
    rig.offer(1_000, 3);
    expect(rig.control.keep).toBeGreaterThan(keep);
    expect(rig.control.isShedding).toBe(true);
    rig.load = calm;
    rig.offer(1_000, 5);
    expect(rig.control.isShedding).toBe(false);
    expect(rig.control.keep).toBe(1);
    expect(rig.events.filter((event) => event !== 'overloadGoesOn')).toEqual(['overloadBegan', 'overloadEnded']);
    expect(rig.told.lines.at(-1)).toMatchObject({ refused: expect.any(Number), forMs: expect.any(Number) });
  });

  it('says every ten seconds how it goes on, and nothing for each request', () => {
    const rig = new Rig();
    rig.load = full;
    rig.offer(3_000, 31);
    expect(rig.events.filter((event) => event === 'overloadGoesOn')).toHaveLength(3);
    expect(rig.told.lines).toHaveLength(4);
    expect(rig.metrics.counter('overload_shed_total', '').value).toBeGreaterThan(50_000);
  });

  it('names times to come again that differ: from half of the setting to one and a half', () => {
    const { control } = new Rig({ retryAfterSeconds: 10 });
    const named = new Set(Array.from({ length: 500 }, () => control.retryAfterSeconds()));
    expect(Math.min(...named)).toBe(5);
    expect(Math.max(...named)).toBe(15);
    expect(named.size).toBe(11);
  });

  it('stops without leaving a timer', () => {
    const rig = new Rig();
    rig.load = full;
    rig.offer(1_000, 1);
    rig.control.stop();
    expect(rig.clock.pending).toBe(0);
    expect(rig.control.admits()).toBe(true);
  });
});

describe('the kernel’s table of datagram sockets', () => {
  const table = [
    '   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops',
    '  353: 0100007F:13C4 00000000:0000 07 00000000:00001000 00:00000000 00000000     0        0 1 2 0000000000000000 0',
    '  354: 0100007F:13C4 0200007F:13C4 01 00000000:00002000 00:00000000 00000000     0        0 2 2 0000000000000000 7',
    '12345: 00000000000000000000000000000000:13C6 00000000000000000000000000000000:0000 07 00000000:000FF000 00:00 0 0 0 3 2 0 0',
    '',
  ].join('\n');

  it('tells the fullest receive queue of our ports, IPv4 and IPv6', () => {
    expect(fullestQueue(table, new Set([5060]))).toBe(0x2000);
    expect(fullestQueue(table, new Set([5062]))).toBe(0xff000);
    expect(fullestQueue(table, new Set([5060, 5062]))).toBe(0xff000);
  });

  it('is 0 where nothing is ours, and for what is no table', () => {
    expect(fullestQueue(table, new Set([9]))).toBe(0);
    for (const text of ['', '\n', 'one line', 'a\nb\nc', `${table.slice(0, 150)}`])
      expect(fullestQueue(text, new Set([5060]))).toBe(0);
  });
});
