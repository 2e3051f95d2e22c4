import { describe, expect, it } from 'vitest';
import { keptReadings } from '../../src/calls/kept-readings.ts';
import { localTime } from '../../src/gateways/local-time.ts';
import { systemRandom } from '../../src/random.ts';

describe('readings of the latest texts', () => {
  it('a text is read once while it is among the latest, and read again after that', () => {
    const read: string[] = [];
    const lengthOf = keptReadings((text) => {
      read.push(text);
      return text.length;
    });
    expect([lengthOf('a'), lengthOf('bb'), lengthOf('a')]).toEqual([1, 2, 1]);
    expect(read).toEqual(['a', 'bb']);
    for (let n = 0; n < 40; n += 1) lengthOf(`other ${n}`);
    expect(lengthOf('a')).toBe(1);
    expect(read.filter((text) => text === 'a')).toHaveLength(2);
  });

  it('a text that is longer than any telephone writes is read, and not kept', () => {
    let reads = 0;
    const read = keptReadings(() => {
      reads += 1;
      return reads;
    });
    const long = 'x'.repeat(100_000);
    expect([read(long), read(long)]).toEqual([1, 2]);
  });
});

it('the time that telephones display goes on with the minute, in each zone', () => {
  const at = Date.UTC(2026, 10, 28, 9, 59, 59);
  expect(localTime(at, 'UTC')).toEqual(['11', '28', '09', '59']);
  expect(localTime(at, 'Europe/Berlin')).toEqual(['11', '28', '10', '59']);
  expect(localTime(at + 1_000, 'UTC')).toEqual(['11', '28', '10', '00']);
  expect(localTime(at, 'Asia/Kolkata')).toEqual(['11', '28', '15', '29']);
});

it('random identifiers are of the length asked for, and never the same', () => {
  const ids = Array.from({ length: 5_000 }, (_, n) => systemRandom.hex(1 + (n % 16) + 8));
  expect(ids.every((id, n) => id.length === 2 * (1 + (n % 16) + 8) && /^[0-9a-f]+$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(5_000);
  expect(systemRandom.hex(10_000)).toHaveLength(20_000);
});
