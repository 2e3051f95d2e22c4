/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein, the 32-bit variant of SipHash): a short keyed hash in plain
 * 32-bit arithmetic. `text` is latin1: one character, one octet.
 */
export function halfSipHash(text: string, keyLow: number, keyHigh: number): string {
  let v0 = keyLow;
  let v1 = keyHigh ^ 0xee;
  let v2 = 0x6c796765 ^ keyLow;
  let v3 = 0x74656462 ^ keyHigh;
  const { length } = text;
  const whole = length & ~3;
  // The last word holds the remaining octets and the length in its top octet.
  for (let at = 0; at <= whole; at += 4) {
    let word = 0;
    if (at < whole) {
      word =
        text.charCodeAt(at) |
        (text.charCodeAt(at + 1) << 8) |
        (text.charCodeAt(at + 2) << 16) |
        (text.charCodeAt(at + 3) << 24);
    } else {
      word = length << 24;
      for (let i = at; i < length; i += 1) word |= text.charCodeAt(i) << ((i - at) * 8);
    }
    v3 ^= word;
    for (let round = 0; round < 2; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= word;
  }
  let low = 0;
  for (let half = 0; half < 2; half += 1) {
    if (half === 0) v2 ^= 0xee;
    else v1 ^= 0xdd;
    for (let round = 0; round < 4; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    if (half === 0) low = v1 ^ v3;
  }
  return tokenOf(low) + tokenOf(v1 ^ v3);
}

/** 32 bits as six characters that may stand in a token. */
export const tokenOf = (word: number): string =>
  String.fromCharCode(
    digit(word),
    digit(word >>> 6),
    digit(word >>> 12),
    digit(word >>> 18),
    digit(word >>> 24),
    digit(word >>> 30),
  );

const digits = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'latin1');

const digit = (bits: number): number => digits[bits & 63] ?? 0;
