import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTpktFraming } from '../../protocols/megaco/codec/framing.ts';
import { createFraming } from '../../protocols/sip/codec/framing.ts';
import { StreamBuffer } from '../../src/internal.ts';

describe('stream buffer', () => {
  it('gives what was put in, and never writes over what was taken out', () => {
    const step = fc.oneof(
      fc.record({ put: fc.uint8Array({ minLength: 1, maxLength: 700 }) }),
      fc.record({ take: fc.nat(900) }),
      fc.record({ drop: fc.nat(900) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const buffer = new StreamBuffer();
        let model = Buffer.alloc(0);
        const taken: { readonly bytes: Buffer; readonly copy: Buffer }[] = [];
        for (const each of steps) {
          if ('put' in each) {
            buffer.append(Buffer.from(each.put));
            model = Buffer.concat([model, each.put]);
          } else if ('take' in each) {
            const bytes = buffer.take(each.take);
            taken.push({ bytes, copy: Buffer.from(bytes) });
            expect(bytes.equals(model.subarray(0, each.take))).toBe(true);
            model = model.subarray(each.take);
          } else {
            buffer.drop(each.drop);
            model = model.subarray(each.drop);
          }
          expect(buffer.bytes.equals(model)).toBe(true);
          expect(buffer.length).toBe(model.length);
        }
        for (const { bytes, copy } of taken) expect(bytes.equals(copy)).toBe(true);
      }),
      { numRuns: 500, seed: 11 },
    );
  });
});

/** The shortest of a few tries, against what the machine does beside it. */
function quickest(run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < 3; tries += 1) {
    const before = performance.now();
    run();
    best = Math.min(best, performance.now() - before);
  }
  return best;
}

describe('a message that comes octet by octet', () => {
  const sip = Buffer.from(`MESSAGE sip:a@b SIP/2.0\r\nContent-Length: 60000\r\n\r\n${'x'.repeat(60_000)}`);
  const tpkt = Buffer.concat([Buffer.from([3, 0, 60_004 >> 8, 60_004 & 255]), Buffer.alloc(60_000, 120)]);

  it.each([
    ['SIP', createFraming, sip],
    ['TPKT', createTpktFraming, tpkt],
  ] as const)('costs in proportion to its length (%s)', (_name, create, bytes) => {
    const octetByOctet = (length: number) => () => {
      const framing = create();
      let messages = 0;
      for (let index = 0; index < length; index += 1)
        messages += framing.push(bytes.subarray(index, index + 1)).messages.length;
      expect(messages).toBe(length === bytes.length ? 1 : 0);
    };
    const part = quickest(octetByOctet(Math.floor(bytes.length / 8)));
    const whole = quickest(octetByOctet(bytes.length));
    // Quadratic would be 64 times as long; 2 GB are copied then, which takes above 200 ms.
    expect(whole).toBeLessThan(Math.max(150, part * 32));
  });

  it.each([
    ['SIP', createFraming, sip],
    ['TPKT', createTpktFraming, tpkt],
  ] as const)('is told to be held until it is whole, line ends before it are not (%s)', (name, create, bytes) => {
    const framing = create();
    if (name === 'SIP') {
      framing.push(Buffer.from('\r\n'));
      expect(framing.held).toBe(0);
    }
    framing.push(bytes.subarray(0, 1_000));
    expect(framing.held).toBeGreaterThanOrEqual(1_000);
    expect(framing.push(bytes.subarray(1_000)).messages).toHaveLength(1);
    expect(framing.held).toBe(0);
  });
});
