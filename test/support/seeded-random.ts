/** Randomness that repeats: the same seed gives the same run. Not for secrets. */
import type { Random } from '../../src/internal.ts';

export interface SeededRandom extends Random {
  /** An integer in [0, below). */
  below(below: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
}

/** A 32-bit counter through a mixing function (the construction of SplitMix): good enough for loss and jitter, and quick. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
  const fraction = (): number => next() / 0x1_0000_0000;
  return {
    fraction,
    below: (below) => Math.floor(fraction() * below),
    // No number is drawn where the outcome is fixed, so that a switched-off effect does not shift the others.
    chance: (probability) => probability > 0 && (probability >= 1 || fraction() < probability),
    hex(bytes) {
      let text = '';
      while (text.length < bytes * 2) text += next().toString(16).padStart(8, '0');
      return text.slice(0, bytes * 2);
    },
  };
}
