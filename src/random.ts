/** Randomness as a port: identifiers that must not be guessed, and jitter. Tests pass a seeded one. */
import { randomBytes } from 'node:crypto';

export interface Random {
  /** Lower-case hexadecimal text of `bytes` random octets. */
  hex(bytes: number): string;
  /** A number in [0, 1), for jitter; not for secrets. */
  fraction(): number;
}

/** The system is asked for many octets at a time: an identifier of its own call would cost more than all else about it. */
let pool = Buffer.alloc(0);
let used = 0;

function hex(bytes: number): string {
  if (bytes > poolBytes) return randomBytes(bytes).toString('hex');
  if (used + bytes > pool.length) {
    pool = randomBytes(poolBytes);
    used = 0;
  }
  const text = pool.toString('hex', used, used + bytes);
  // What was given out is nowhere else.
  pool.fill(0, used, used + bytes);
  used += bytes;
  return text;
}

const poolBytes = 4_096;

export const systemRandom: Random = {
  hex,
  fraction: () => Math.random(),
};
