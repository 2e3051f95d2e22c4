/** Randomness as a port: identifiers that must not be guessed, and jitter. Tests pass a seeded one. */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** Lower-case hexadecimal text of `bytes` random octets. */
  hex(bytes: number): string;
  /** A number in [0, 1), for jitter; not for secrets. */
  fraction(): number;
}

export const systemRandom: Random = {
  hex: (bytes) => randomBytes(bytes).toString('hex'),
  fraction: () => Math.random(),
};
