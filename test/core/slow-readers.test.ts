import { describe, expect, it } from 'vitest';
import { SlowReaders } from '../../src/network/slow-readers.ts';

class Reader {
  unsentBytes = 0;
  isGone = false;

  tooSlow(): void {
    this.isGone = true;
  }
}

function many(count: number): readonly Reader[] {
  return Array.from({ length: count }, () => new Reader());
}

describe('what waits for slow readers', () => {
  it('is bounded over all of them: those who keep most waiting give way, and no more than has to be', () => {
    const slow = new SlowReaders(1_000_000);
    const readers = many(20);
    for (const [index, reader] of readers.entries()) {
      reader.unsentBytes = 40_000 + index * 2_000;
      slow.wrote(reader, reader.unsentBytes);
    }
    const kept = readers.filter(({ isGone }) => !isGone);
    expect(kept.reduce((sum, { unsentBytes }) => sum + unsentBytes, 0)).toBeLessThanOrEqual(1_000_000);
    expect(kept.length).toBeGreaterThanOrEqual(13);
    const [least = 0] = readers.filter(({ isGone }) => isGone).map(({ unsentBytes }) => unsentBytes);
    expect(least).toBeGreaterThan(kept[0]?.unsentBytes ?? 0);
  });

  it('is asked before anybody is given up: what has left since does not count', () => {
    const slow = new SlowReaders(1_000_000);
    const readers = many(50);
    for (const reader of readers) {
      reader.unsentBytes = 100_000;
      slow.wrote(reader, reader.unsentBytes);
      reader.unsentBytes = 0;
    }
    expect(readers.filter(({ isGone }) => isGone)).toEqual([]);
  });

  it('forgets who has ended, and who keeps nearly nothing waiting', () => {
    const slow = new SlowReaders(100_000);
    const readers = many(100);
    for (const reader of readers) {
      reader.unsentBytes = 90_000;
      slow.wrote(reader, 90_000);
      slow.gone(reader);
      slow.wrote(reader, 1_000);
    }
    expect(readers.filter(({ isGone }) => isGone)).toEqual([]);
  });
});
