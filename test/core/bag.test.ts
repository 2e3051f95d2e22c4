import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Bag, type BagItem } from '../../src/internal.ts';

class Item implements BagItem {
  place = -1;
}

describe('Bag', () => {
  it('holds what was added and not deleted, each once', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (steps) => {
        const bag = new Bag<Item>();
        const items = Array.from({ length: 21 }, () => new Item());
        const expected = new Set<Item>();
        for (const step of steps) {
          const item = items[step];
          if (item === undefined) continue;
          if (expected.has(item)) {
            expected.delete(item);
            bag.delete(item);
          } else {
            expected.add(item);
            bag.add(item);
          }
          expect(bag.items).toHaveLength(expected.size);
          expect(bag.items.filter((item) => expected.has(item))).toHaveLength(new Set(bag.items).size);
        }
      }),
    );
  });

  it('has nothing to do with what is in another bag, or in none', () => {
    const here = new Bag<Item>();
    const there = new Bag<Item>();
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
