/** Finished transactions wait in groups: none leaves early, none later than a 64th of its wait, and each leaves once. */
import { describe, expect, it } from 'vitest';
import { AbsorbTimers } from '../../../protocols/sip/transactions/absorb-timers.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('absorb timers', () => {
  it('lets members go in the order they came, in time, once', () => {
    const clock = new FakeClock();
    const timers = new AbsorbTimers(clock);
    const stays = new Map<number, number>();
    const order: number[] = [];
    for (let member = 0; member < 500; member += 1) {
      const cameMs = clock.now();
      timers.add(
        {
          leave: () => {
            expect(stays.has(member)).toBe(false);
            stays.set(member, clock.now() - cameMs);
            order.push(member);
          },
        },
        32_000,
      );
      clock.advance(37);
    }
    clock.advance(33_000);
    expect(order).toEqual(Array.from({ length: 500 }, (_, member) => member));
    for (const stayMs of stays.values()) {
      expect(stayMs).toBeGreaterThanOrEqual(32_000);
      expect(stayMs).toBeLessThanOrEqual(32_500);
    }
  });

  it('keeps waits of different length apart, and starts again after it was empty', () => {
    const clock = new FakeClock();
    const timers = new AbsorbTimers(clock);
    const left: string[] = [];
    for (const round of ['a', 'b']) {
      timers.add({ leave: () => left.push(`${round} long`) }, 32_000);
      timers.add({ leave: () => left.push(`${round} short`) }, 5_000);
      clock.advance(5_100);
      expect(left.at(-1)).toBe(`${round} short`);
      clock.advance(28_000);
      expect(left.at(-1)).toBe(`${round} long`);
    }
    expect(left).toHaveLength(4);
  });

  it('takes a member that comes while others leave', () => {
    const clock = new FakeClock();
    const timers = new AbsorbTimers(clock);
    let left = 0;
    const again = {
      leave: () => {
        left += 1;
        if (left < 4) timers.add(again, 1_000);
      },
    };
    timers.add(again, 1_000);
    clock.advance(10_000);
    expect(left).toBe(4);
  });
});
