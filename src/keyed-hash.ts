/**
 * SipHash-2-4 (Aumasson and Bernstein): a keyed pseudo-random function for short texts, in plain 32-bit arithmetic. Whoever sees any
 * number of results learns neither the key nor the result for another text. Each purpose has a key of its own, made from the
 * cluster's secret, so that all members compute the same and what one part shows is of no use to forge another.
 */
import { createHmac } from 'node:crypto';

export class KeyedHash {
  readonly #key: HashKey;

  constructor(secret: string, purpose: string) {
    this.#key = hashKey(createHmac('sha256', secret).update(`altpath ${purpose}`, 'utf8').digest());
  }

  /** 64 bits as 11 characters that may stand in a token or in the user part of a URI. `text` is latin1: one character, one octet. */
  of(text: string): string {
    keyedHash(text, this.#key, false, out);
    return write(0, 11);
  }

  /** 64 bits as 16 hexadecimal digits. */
  hex(text: string): string {
    keyedHash(text, this.#key, false, out);
    return hexWord(out[0]) + hexWord(out[1]);
  }

  /** The first 36 bits, as 6 characters: enough to tell a few things apart. */
  short(text: string): string {
    keyedHash(text, this.#key, false, out);
    return write(0, 6);
  }

  /** 128 bits as 22 characters. */
  wide(text: string): string {
    keyedHash(text, this.#key, true, out);
    return write(0, 11) + write(2, 11);
  }
}

/** Four words, least significant first. */
export type HashKey = readonly [number, number, number, number];

/** The key in the first 16 octets. */
export const hashKey = (octets: Buffer): HashKey => [
  octets.readInt32LE(0),
  octets.readInt32LE(4),
  octets.readInt32LE(8),
  octets.readInt32LE(12),
];

/** SipHash-2-4 of latin1 text into `words`, least significant first: two of them, or four for the 128-bit variant. */
export function keyedHash(text: string, key: HashKey, wide: boolean, words: Int32Array): void {
  let low0 = key[0] ^ 0x70736575;
  let high0 = key[1] ^ 0x736f6d65;
  let low1 = key[2] ^ 0x6e646f6d ^ (wide ? 0xee : 0);
  let high1 = key[3] ^ 0x646f7261;
  let low2 = key[0] ^ 0x6e657261;
  let high2 = key[1] ^ 0x6c796765;
  let low3 = key[2] ^ 0x79746573;
  let high3 = key[3] ^ 0x74656462;
  const { length } = text;
  const whole = length & ~7;
  // Words of eight octets; one of what remains, with the length on top; then the finalization, once or twice.
  const last = whole + (wide ? 16 : 8);
  for (let at = 0; at <= last; at += 8) {
    let low = 0;
    let high = 0;
    let rounds = 2;
    if (at < whole) {
      low =
        text.charCodeAt(at) |
        (text.charCodeAt(at + 1) << 8) |
        (text.charCodeAt(at + 2) << 16) |
        (text.charCodeAt(at + 3) << 24);
      high =
        text.charCodeAt(at + 4) |
        (text.charCodeAt(at + 5) << 8) |
        (text.charCodeAt(at + 6) << 16) |
        (text.charCodeAt(at + 7) << 24);
    } else if (at === whole) {
      high = length << 24;
      for (let i = at; i < length; i += 1) {
        const place = i - at;
        if (place < 4) low |= text.charCodeAt(i) << (place * 8);
        else high |= text.charCodeAt(i) << ((place - 4) * 8);
      }
    } else {
      rounds = 4;
      if (at === whole + 8) low2 ^= wide ? 0xee : 0xff;
      else low1 ^= 0xdd;
    }
    low3 ^= low;
    high3 ^= high;
    for (let round = 0; round < rounds; round += 1) {
      let sum = (low0 + low1) | 0;
      high0 = (high0 + high1 + (((low0 & low1) | ((low0 | low1) & ~sum)) >>> 31)) | 0;
      low0 = sum;
      let turned = (low1 << 13) | (high1 >>> 19);
      high1 = ((high1 << 13) | (low1 >>> 19)) ^ high0;
      low1 = turned ^ low0;
      turned = low0;
      low0 = high0;
      high0 = turned;

      sum = (low2 + low3) | 0;
      high2 = (high2 + high3 + (((low2 & low3) | ((low2 | low3) & ~sum)) >>> 31)) | 0;
      low2 = sum;
      turned = (low3 << 16) | (high3 >>> 16);
      high3 = ((high3 << 16) | (low3 >>> 16)) ^ high2;
      low3 = turned ^ low2;

      sum = (low0 + low3) | 0;
      high0 = (high0 + high3 + (((low0 & low3) | ((low0 | low3) & ~sum)) >>> 31)) | 0;
      low0 = sum;
      turned = (low3 << 21) | (high3 >>> 11);
      high3 = ((high3 << 21) | (low3 >>> 11)) ^ high0;
      low3 = turned ^ low0;

      sum = (low2 + low1) | 0;
      high2 = (high2 + high1 + (((low2 & low1) | ((low2 | low1) & ~sum)) >>> 31)) | 0;
      low2 = sum;
      turned = (low1 << 17) | (high1 >>> 15);
      high1 = ((high1 << 17) | (low1 >>> 15)) ^ high2;
      low1 = turned ^ low2;
      turned = low2;
      low2 = high2;
      high2 = turned;
    }
    low0 ^= low;
    high0 ^= high;
    if (at === whole + 8) {
      words[0] = low0 ^ low1 ^ low2 ^ low3;
      words[1] = high0 ^ high1 ^ high2 ^ high3;
    }
  }
  if (!wide) return;
  words[2] = low0 ^ low1 ^ low2 ^ low3;
  words[3] = high0 ^ high1 ^ high2 ^ high3;
}

/** Are these the same, in a time that does not tell where they differ? */
export function sameText(one: string, other: string): boolean {
  let difference = one.length ^ other.length;
  for (let i = 0; i < one.length; i += 1) difference |= one.charCodeAt(i) ^ other.charCodeAt(i);
  return difference === 0;
}

const out = new Int32Array(4);

const hexWord = (word = 0): string => (word >>> 0).toString(16).padStart(8, '0');

/** 64 bits of `out` from a word on, six to a character, the least significant first. */
function write(word: number, count: number): string {
  const low = out[word] ?? 0;
  const high = out[word + 1] ?? 0;
  const first = String.fromCharCode(
    digit(low),
    digit(low >>> 6),
    digit(low >>> 12),
    digit(low >>> 18),
    digit(low >>> 24),
    digit((low >>> 30) | (high << 2)),
  );
  if (count === 6) return first;
  return (
    first +
    String.fromCharCode(
      digit(high >>> 4),
      digit(high >>> 10),
      digit(high >>> 16),
      digit(high >>> 22),
      digit(high >>> 28),
    )
  );
}

const digits = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'latin1');

const digit = (bits: number): number => digits[bits & 63] ?? 0;
