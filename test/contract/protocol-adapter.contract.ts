/**
 * The examination that every ProtocolAdapter sits (src/signaling/protocol-adapter.ts): the same questions for every protocol, asked with the protocol's
 * own wire bytes. A protocol's test calls `examineAdapter` once and goes on to what only that protocol knows.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ControllerAddress,
  maxAlternates,
  type PathAttribute,
  type ProtocolAdapter,
  type StreamFraming,
  sameAddress,
} from '../../src/internal.ts';

export interface Exchange {
  readonly request: Uint8Array;
  /** Every response belongs to the request: provisional and final ones. */
  readonly responses: readonly Uint8Array[];
}

export interface ExaminedAdapter<M> {
  readonly adapter: ProtocolAdapter<M>;
  readonly exchanges: readonly Exchange[];
  /** Messages that await nothing. */
  readonly events?: readonly Uint8Array[];
  /** Octets that are no message of this protocol, none of which may decode. */
  readonly garbage?: readonly Uint8Array[];
  /** A message of `self`, with every place where the protocol puts the attribute, and without an attribute yet. */
  readonly ours: { readonly bytes: Uint8Array; readonly self: ControllerAddress };
  /** Alternates as this protocol's attribute can say them, four of them, all different. */
  readonly alternates: readonly ControllerAddress[];
  /** The message as it stands in a connection; as it is, if absent. */
  inStream?(bytes: Uint8Array): Uint8Array;
  /** Octets that only keep a way open. */
  readonly keepAlives?: readonly Uint8Array[];
  /** Octets that may stand between two messages of a connection. */
  readonly fillers?: readonly Uint8Array[];
  /** What must be equal after decode and encode, if not the whole message. */
  comparable?(message: M): unknown;
}

const runs = { numRuns: 100, seed: 20_261_122 };

/** Design §14: 5 ms for 64 kB; doubled, because the machine that runs the tests is busy. */
const decodeBoundMs = 10;

export function examineAdapter<M>(name: string, factory: () => ExaminedAdapter<M>): void {
  describe(`ProtocolAdapter contract: ${name}`, () => {
    const examined = factory();
    const { adapter, exchanges, events = [], ours } = examined;
    const comparable = examined.comparable ?? ((message: M): unknown => message);
    const messages = [...exchanges.flatMap(({ request, responses }) => [request, ...responses]), ...events, ours.bytes];

    function read(bytes: Uint8Array): M {
      const decoded = adapter.decode(bytes);
      if (!decoded.ok) throw new Error(`sample does not decode: ${decoded.error.reason} at ${decoded.error.offset}`);
      return decoded.value;
    }

    describe('decode', () => {
      it('reads every sample', () => {
        for (const bytes of messages) expect(adapter.decode(bytes).ok).toBe(true);
      });

      it('never throws on any octets', () => {
        fc.assert(
          fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => isOutcome(adapter.decode(bytes))),
          runs,
        );
      });

      it('never throws on a message with octets changed, cut out or doubled', () => {
        fc.assert(
          fc.property(damaged(messages), (bytes) => isOutcome(adapter.decode(bytes))),
          { ...runs, numRuns: 500 },
        );
      });

      it('says what is wrong, and where, for what is no message', () => {
        for (const bytes of examined.garbage ?? []) {
          const decoded = adapter.decode(bytes);
          expect(decoded.ok).toBe(false);
          if (decoded.ok) continue;
          expect(decoded.error.reason).not.toBe('');
          expect(decoded.error.offset).toBeGreaterThanOrEqual(0);
          expect(decoded.error.offset).toBeLessThanOrEqual(bytes.length);
        }
      });

      it('needs no more than linear time for 64 kB of anything', () => {
        for (const bytes of floods(messages))
          expect(bestOf(5, () => adapter.decode(bytes))).toBeLessThan(decodeBoundMs);
      });

      it('keeps no hold of the octets it was given', () => {
        for (const bytes of messages) {
          const lent = Buffer.from(bytes);
          const message = read(lent);
          const before = Buffer.from(adapter.encode(message, undefined));
          lent.fill(0);
          expect(Buffer.from(adapter.encode(message, undefined)).equals(before)).toBe(true);
        }
      });
    });

    describe('encode', () => {
      it('gives octets that decode to the same message', () => {
        for (const bytes of messages) {
          const message = read(bytes);
          expect(comparable(read(adapter.encode(message, undefined)))).toEqual(comparable(message));
        }
      });

      it('is at rest after one round', () => {
        for (const bytes of messages) {
          const once = adapter.encode(read(bytes), undefined);
          expect(text(adapter.encode(read(once), undefined))).toBe(text(once));
        }
      });
    });

    describe('path attribute', () => {
      const [first, second, third, fourth] = examined.alternates;
      if (first === undefined || second === undefined || third === undefined || fourth === undefined)
        throw new Error('the examination needs four alternates');
      const one: PathAttribute = { primary: ours.self, alternates: [first] };
      const two: PathAttribute = { primary: ours.self, alternates: [third, second] };
      const full: PathAttribute = { primary: ours.self, alternates: [fourth, third, first] };

      it('is absent before it is inserted', () => {
        expect(adapter.paths(read(ours.bytes))).toEqual([]);
      });

      it('comes back from the wire as it was inserted, in its order', () => {
        for (const path of [one, two, full]) {
          const found = adapter.paths(read(adapter.encode(read(ours.bytes), path)));
          expect(found.length).toBeGreaterThan(0);
          for (const { alternates } of found) {
            expect(alternates.length).toBe(path.alternates.length);
            for (const [index, alternate] of path.alternates.entries())
              expect(sameAddress(alternates[index] ?? ours.self, alternate)).toBe(true);
          }
        }
      });

      it('replaces the one inserted before, and only that', () => {
        const direct = text(adapter.encode(read(ours.bytes), two));
        expect(text(adapter.encode(read(adapter.encode(read(ours.bytes), full)), two))).toBe(direct);
        expect(text(adapter.encode(read(Buffer.from(direct, 'latin1')), two))).toBe(direct);
      });

      it('is written without a change to the message', () => {
        const message = read(ours.bytes);
        const before = text(adapter.encode(message, undefined));
        adapter.encode(message, full);
        expect(text(adapter.encode(message, undefined))).toBe(before);
      });

      it('never has more than three alternates', () => {
        fc.assert(
          fc.property(damaged([adapter.encode(read(ours.bytes), full)]), (bytes) => {
            const decoded = adapter.decode(bytes);
            if (!decoded.ok) return;
            for (const { alternates } of adapter.paths(decoded.value)) {
              expect(alternates.length).toBeGreaterThan(0);
              expect(alternates.length).toBeLessThanOrEqual(maxAlternates);
            }
          }),
          runs,
        );
      });
    });

    describe('probe', () => {
      const [to, from] = examined.alternates;
      if (to === undefined || from === undefined) throw new Error('the examination needs four alternates');

      it('is well-formed', () => {
        const decoded = adapter.decode(adapter.encode(adapter.probe(to, from, '0a1b2c3d4e5f6071'), undefined));
        expect(decoded.ok).toBe(true);
      });

      it('is another one for each id', () => {
        const ids = ['0a1b2c3d4e5f6071', '1a1b2c3d4e5f6071', '0a1b2c3d4e5f6072', '17', '18'];
        const probes = ids.map((id) => text(adapter.encode(adapter.probe(to, from, id), undefined)));
        expect(new Set(probes).size).toBe(ids.length);
      });

      it('names our backups', () => {
        const path: PathAttribute = { primary: from, alternates: [to] };
        const [found] = adapter.paths(read(adapter.encode(adapter.probe(to, from, '17'), path)));
        expect(found?.alternates.map(({ host }) => host)).toEqual([to.host]);
      });
    });

    describe('isKeepAlive', () => {
      it('knows its own keep-alives and takes no message for one', () => {
        for (const bytes of examined.keepAlives ?? []) expect(adapter.isKeepAlive?.(bytes)).toBe(true);
        for (const bytes of messages) expect(adapter.isKeepAlive?.(bytes) ?? false).toBe(false);
      });
    });

    const { framing } = adapter;
    if (framing !== undefined) {
      const framed = messages.map((bytes) => Buffer.from(examined.inStream?.(bytes) ?? bytes));
      const fillers = (examined.fillers ?? []).map((filler) => Buffer.from(filler));

      describe('framing', () => {
        it('cuts the same messages out of a stream, however it is split', () => {
          fc.assert(
            fc.property(
              fc.array(fc.tuple(fc.nat(framed.length - 1), fc.nat(fillers.length)), { minLength: 1, maxLength: 8 }),
              fc.array(fc.nat(4_000), { maxLength: 20 }),
              (chosen, cuts) => {
                const sent = chosen.map(([index]) => framed[index] ?? Buffer.alloc(0));
                const stream = Buffer.concat(
                  chosen.flatMap(([, filler], at) => [sent[at] ?? Buffer.alloc(0), fillers[filler] ?? Buffer.alloc(0)]),
                );
                const whole = cut(framing(), [stream]);
                expect(whole.map(text)).toEqual(sent.map(text));
                expect(cut(framing(), pieces(stream, cuts)).map(text)).toEqual(whole.map(text));
              },
            ),
            runs,
          );
        });

        it('cuts them out octet by octet', () => {
          const stream = Buffer.concat(framed);
          const octets = Array.from(stream, (octet) => Buffer.from([octet]));
          expect(cut(framing(), octets).map(text)).toEqual(framed.map(text));
        });

        it('cuts out what decodes', () => {
          for (const message of cut(framing(), [Buffer.concat(framed)])) expect(adapter.decode(message).ok).toBe(true);
        });

        it('never throws on any octets, and is not stopped by them without saying so', () => {
          fc.assert(
            fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 10 }), (chunks) => {
              const framer = framing();
              for (const chunk of chunks) {
                const { messages: found, error } = framer.push(Buffer.from(chunk));
                expect(Array.isArray(found)).toBe(true);
                if (error !== undefined) return;
              }
            }),
            runs,
          );
        });
      });
    }
  });
}

function isOutcome(outcome: { readonly ok: boolean }): boolean {
  return typeof outcome.ok === 'boolean';
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** Samples with octets changed, cut out or doubled. */
function damaged(samples: readonly Uint8Array[]): fc.Arbitrary<Buffer> {
  return fc
    .tuple(
      fc.nat(samples.length - 1),
      fc.array(fc.tuple(fc.nat(2_000), fc.nat(12), fc.uint8Array({ maxLength: 6 })), { minLength: 1, maxLength: 6 }),
    )
    .map(([index, edits]) => {
      let bytes = Buffer.from(samples[index] ?? []);
      for (const [where, length, replacement] of edits) {
        const at = where % (bytes.length + 1);
        const kept = bytes.subarray(at, at + length);
        // An empty replacement doubles what is there instead of cutting it out, every other time.
        const middle = replacement.length === 0 && where % 2 === 0 ? Buffer.concat([kept, kept]) : replacement;
        bytes = Buffer.concat([bytes.subarray(0, at), middle, bytes.subarray(at + length)]);
      }
      return bytes;
    });
}

/** 65,535 octets each: one octet over and over, one sample over and over, a sample's first part and then one octet. */
function floods(samples: readonly Uint8Array[]): readonly Buffer[] {
  const size = 65_535;
  const octets = ['\0', ' ', '\n', '\r\n', ',', ';', '"', '<', '(', '{', '[', '\\', 'a', ':', '0', '\xff'];
  const [sample] = samples;
  const head = sample === undefined ? Buffer.alloc(0) : Buffer.from(sample).subarray(0, sample.length >> 1);
  return [
    ...octets.map((octet) => Buffer.alloc(size, octet, 'latin1')),
    ...octets.map((octet) => Buffer.concat([head, Buffer.alloc(size - head.length, octet, 'latin1')])),
    ...samples.map((bytes) => Buffer.alloc(size, bytes)),
  ];
}

/** The shortest of some runs, in milliseconds: what the machine's other work adds is left out. */
export function bestOf(times: number, run: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < times; i += 1) {
    const startMs = performance.now();
    run();
    best = Math.min(best, performance.now() - startMs);
  }
  return best;
}

export function pieces(stream: Buffer, cuts: readonly number[]): Buffer[] {
  const sorted = [...new Set(cuts.map((at) => at % (stream.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let at = 0;
  for (const next of [...sorted, stream.length]) {
    // Chunks are copies: a framing may keep what it is given, a socket never gives the same memory twice.
    chunks.push(Buffer.from(stream.subarray(at, next)));
    at = next;
  }
  return chunks;
}

function cut(framing: StreamFraming, chunks: readonly Buffer[]): Buffer[] {
  const messages: Buffer[] = [];
  for (const chunk of chunks) {
    const { messages: found, error } = framing.push(chunk);
    expect(error).toBeUndefined();
    messages.push(...found);
  }
  return messages;
}
