import { describe, expect, it } from 'vitest';
import { heapLimitOctets, OctetBudget } from '../../src/internal.ts';

const small = 1_000;
const large = 60_000;

describe('a budget in octets', () => {
  it('large messages never take the room of ordinary ones, nor those of what is under way', () => {
    const budget = new OctetBudget(1_000_000);
    let begun = 0;
    for (; budget.mayBegin('a', large); begun += 1) budget.changeFor('a', large);
    expect(begun).toBe(6);
    let ordinary = 0;
    for (; budget.mayBegin('b', small); ordinary += 1) budget.changeFor('b', small);
    expect(ordinary).toBeGreaterThan(400);
    expect([budget.mayBegin('b', small), budget.mayGoOn(small)]).toEqual([false, true]);
    for (let i = 0; i < 6; i += 1) budget.changeFor('a', -large);
    expect([budget.mayBegin('b', small), budget.mayBegin('a', large)]).toEqual([true, false]);
  });

  it('one source leaves room for the others', () => {
    const budget = new OctetBudget(1_000_000);
    for (let i = 0; i < 1_000 && budget.mayBegin('a', small); i += 1) budget.changeFor('a', small);
    expect([budget.mayBegin('a', small), budget.mayBegin('b', small)]).toEqual([false, true]);
    budget.changeFor('a', -budget.used);
    expect([budget.used, budget.mayBegin('a', small)]).toEqual([0, true]);
  });

  it('knows where memory ends', () => {
    expect(heapLimitOctets()).toBeGreaterThan(64 * 1_048_576);
  });
});
