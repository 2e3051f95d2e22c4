import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type UnorderedItem, UnorderedSet } from '../../src/internal.ts';

class Item implements UnorderedItem {
  place = -1;
}

describe('UnorderedSet', () => {
  it('holds what was added and not deleted, each once', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (steps) => {
        const set = new UnorderedSet<Item>();
        const items = Array.from({ length: 21 }, () => new Item());
        const expected = new Set<Item>();
        for (const step of steps) {
          const item = items[step];
          if (item === undefined) continue;
          if (expected.has(item)) {
            expected.delete(item);
            set.delete(item);
          } else {
            expected.add(item);
            set.add(item);
          }
          expect(set.items).toHaveLength(expected.size);
          expect(set.items.filter((item) => expected.has(item))).toHaveLength(new Set(set.items).size);
        }
      }),
    );
  });

  it('has nothing to do with what is in another set, or in none', () => {
    const here = new UnorderedSet<Item>();
    const there = new UnorderedSet<Item>();
    const [mine, other, none] = [new Item(), new Item(), new Item()];
    here.add(mine);
    there.add(other);
    here.delete(other);
    here.delete(none);
    expect(here.items).toEqual([mine]);
    expect(there.items).toEqual([other]);
    there.delete(other);
    there.delete(other);
    expect(there.items).toEqual([]);
  });
});
