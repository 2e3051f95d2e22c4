import { describe, expect, it } from 'vitest';
import { hashKey, KeyedHash, keyedHash, sameText } from '../../src/internal.ts';

/** The key 00 01 … 0f of the reference vectors, and their input: the first `length` of the octets 00 01 02 …. */
const key = hashKey(Buffer.from(Array.from({ length: 16 }, (_, index) => index)));

function digest(length: number, wide: boolean): string {
  const words = new Int32Array(4);
  keyedHash(String.fromCharCode(...Array.from({ length }, (_, index) => index)), key, wide, words);
  return Buffer.from(words.buffer, 0, wide ? 16 : 8).toString('hex');
}

describe('SipHash-2-4', () => {
  // Rows of `vectors_sip64` and `vectors_sip128` in its authors' reference implementation; OpenSSL computes the same.
  it.each([
    [0, '310e0edd47db6f72', 'a3817f04ba25a8e66df67214c7550293'],
    [1, 'fd67dc93c539f874', 'da87c1d86b99af44347659119b22fc45'],
    [2, '5a4fa9d909806c0d', '8177228da4a45dc7fca38bdef60affe4'],
    [3, '2d7efbd796666785', '9c70b60c5267a94e5f33b6b02985ed51'],
    [4, 'b7877127e09427cf', 'f88164c12d9c8faf7d0f6e7c7bcd5579'],
    [5, '8da699cd64557618', '1368875980776f8854527a07690e9627'],
    [6, 'cee3fe586e46c9cb', '14eeca338b208613485ea0308fd7a15e'],
    [7, '37d1018bf50002ab', 'a1f1ebbed8dbc153c0b84aa61ff08239'],
    [8, '6224939a79f5f593', '3b62a9ba6258f5610f83e264f31497b4'],
    [9, 'b0e4a90bdf82009e', '264499060ad9baabc47f8b02bb6d71ed'],
    [15, 'e545be4961ca29a1', '5493e99933b0a8117e08ec0f97cfc3d9'],
    [16, 'db9bc2577fcc2a3f', '6ee2a4ca67b054bbfd3315bf85230577'],
    [31, '42c341d8fa92d832', '2939b0183223fafc1723de4f52c43d35'],
    [63, '724506eb4c328a95', '5150d1772f50834a503e069a973fbd7c'],
  ])('gives the published digests of %i octets', (length, short, wide) => {
    expect(digest(length, false)).toBe(short);
    expect(digest(length, true)).toBe(wide);
  });
});

describe('a keyed hash', () => {
  it('is the same at every member, and another for every text, purpose and secret', () => {
    const hash = new KeyedHash('secret', 'one');
    expect(new KeyedHash('secret', 'one').of('text')).toBe(hash.of('text'));
    const results = new Set<string>();
    for (const text of ['', 'a', 'b', 'aa', 'abcdefg', 'abcdefgh', 'abcdefghi', 'abcdefg\0', '\0', '\0\0', '\xff'])
      for (const [secret, purpose] of [
        ['secret', 'one'],
        ['secret', 'two'],
        ['terces', 'one'],
      ] as const)
        results.add(new KeyedHash(secret, purpose).of(text));
    expect(results.size).toBe(33);
    for (const result of results) expect(result).toMatch(/^[\w-]{11}$/);
  });

  it('is written in characters of a token: 64 bits as 11, 36 of them as 6, 128 as 22', () => {
    const hash = new KeyedHash('secret', 'one');
    expect(hash.short('text')).toBe(hash.of('text').slice(0, 6));
    expect(hash.wide('text')).toMatch(/^[\w-]{22}$/);
    expect(hash.wide('text').slice(0, 11)).not.toBe(hash.of('text'));
  });

  it('shows every bit of the digest', () => {
    const hash = new KeyedHash('secret', 'one');
    const seen = Array.from({ length: 22 }, () => new Set<string>());
    for (let i = 0; i < 4_000; i += 1)
      for (const [place, character] of [...hash.wide(String(i))].entries()) seen[place]?.add(character);
    // The eleventh character holds the last four bits.
    expect(seen.map(({ size }) => size)).toEqual(
      Array.from({ length: 22 }, (_, place) => (place % 11 === 10 ? 16 : 64)),
    );
  });

  it('is compared without telling where two differ', () => {
    expect(sameText('abc', 'abc')).toBe(true);
    for (const other of ['', 'ab', 'abd', 'abcd', 'bbc']) expect(sameText('abc', other)).toBe(false);
  });
});
