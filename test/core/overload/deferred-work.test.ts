import { describe, expect, it } from 'vitest';
import {
  DeferredWork,
  type LoadSample,
  Metrics,
  OverloadControl,
  silentLog,
  type Work,
} from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

function rig(maxOctets?: number) {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const state: { load: LoadSample } = { load: { delayMs: 0, utilization: 0.2, queued: 0 } };
  const overload = new OverloadControl({
    clock,
    random: seededRandom(1),
    log: silentLog,
    metrics,
    sensor: { sample: () => state.load },
    settings: { keptPerSecond: 10 },
  });
  overload.start();
  const deferred = new DeferredWork({ clock, metrics, protocol: 'mgcp', overload, maxOctets, maxWaitMs: 5_000 });
  const done: string[] = [];
  const offer = (party: string, name: string, more: Partial<Work> = {}): void =>
    deferred.offer({
      party,
      octets: 100,
      isNew: true,
      run: () => done.push(name),
      refuse: () => done.push(`${name} refused`),
      ...more,
    });
  /** Until nearly nothing new is taken. */
  const overloaded = (): void => {
    state.load = { delayMs: 0, utilization: 1, queued: 1 };
    for (let n = 0; n < 100; n += 1) {
      for (let each = 0; each < 100; each += 1) overload.admits();
      clock.advance(100);
    }
  };
  return { clock, state, deferred, done, offer, overloaded };
}

describe('work that waits under overload', () => {
  it('runs at once while all is well', () => {
    const { offer, done } = rig();
    offer('a', '1');
    expect(done).toEqual(['1']);
  });

  it('waits in order, and runs when there is time again; what belongs to something under way does not wait', () => {
    const { offer, done, overloaded, state, clock, deferred } = rig();
    overloaded();
    for (let n = 0; n < 20; n += 1) offer(`line${n}`, String(n));
    offer('other', 'under way', { isNew: false });
    expect(done).toContain('under way');
    const waiting = deferred.size;
    expect(waiting).toBeGreaterThan(15);
    offer('line19', 'then hung up', { isNew: false });
    expect(done).not.toContain('then hung up');
    state.load = { delayMs: 0, utilization: 0.2, queued: 0 };
    clock.advance(3_000);
    expect(done).toHaveLength(22);
    expect(done.indexOf('then hung up')).toBeGreaterThan(done.indexOf('19'));
    expect(deferred.size).toBe(0);
  });

  it('is refused where there is no room, or where it waited too long', () => {
    const { offer, done, overloaded, clock, deferred } = rig(1_000);
    overloaded();
    for (let n = 0; n < 50; n += 1) offer(`line${n}`, String(n));
    expect(deferred.size).toBe(10);
    expect(done.filter((each) => each.endsWith('refused')).length).toBeGreaterThan(35);
    clock.advance(6_000);
    expect(deferred.size).toBe(0);
    expect(done).toHaveLength(50);
  });

  it('is refused at the end', () => {
    const { offer, done, overloaded, deferred } = rig();
    overloaded();
    for (let n = 0; n < 9; n += 1) offer(`line${n}`, String(n));
    deferred.stop();
    expect(done).toHaveLength(9);
    expect(deferred.size).toBe(0);
  });
});
