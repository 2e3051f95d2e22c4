/** The ring keeps the newest messages, whole, within its octets, whatever their sizes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Flow } from '../../../src/network.ts';
import { MessageRing } from '../../../src/trace/message-ring.ts';

const flow = (port: number): Flow => ({
  transport: 'udp',
  reliable: false,
  local: { host: '127.0.0.1', port: 5060 },
  remote: { host: '127.0.0.9', port },
  id: `udp ${port}`,
  send: () => undefined,
  close: () => undefined,
});

const octets = (length: number, seed: number): Buffer => Buffer.alloc(length, seed % 256);

describe('the ring of messages', () => {
  it('gives back what was recorded, with both ends and the time', () => {
    const ring = new MessageRing(1_000);
    ring.record('in', 'echo', Buffer.from('hello'), flow(7), 12.5);
    expect(ring.at(1)).toMatchObject({
      sequence: 1,
      direction: 'in',
      protocol: 'echo',
      atMs: 12.5,
      remote: { host: '127.0.0.9', port: 7 },
      local: { host: '127.0.0.1', port: 5060 },
      bytes: Buffer.from('hello'),
    });
    expect(ring.at(2)).toBeUndefined();
    expect(ring.at(0)).toBeUndefined();
  });

  it('keeps a copy: what the sender does with his octets afterwards does not show', () => {
    const ring = new MessageRing(1_000);
    const bytes = Buffer.from('hello');
    ring.record('out', 'echo', bytes, flow(7), 1);
    bytes.fill(0);
    expect(ring.at(1)?.bytes.toString()).toBe('hello');
  });

  it('forgets the oldest, never the newest, and never gives a part of one for another', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 120 }),
        fc.integer({ min: 400, max: 1_500 }),
        fc.integer({ min: 1, max: 40 }),
        (lengths, size, slots) => {
          const ring = new MessageRing(size, slots);
          for (const [index, length] of lengths.entries())
            ring.record('in', 'echo', octets(length, index), flow(index), index);
          const kept = lengths.flatMap((_, index) => {
            const message = ring.at(index + 1);
            return message === undefined ? [] : [{ index, message }];
          });
          for (const { index, message } of kept) {
            expect(message.bytes.equals(octets(lengths[index] ?? 0, index))).toBe(true);
            expect(message.remote.port).toBe(index);
          }
          // Without a gap up to the last one.
          expect(kept.map(({ index }) => index)).toEqual(
            Array.from({ length: kept.length }, (_, n) => lengths.length - kept.length + n),
          );
          expect(kept.length).toBeGreaterThan(0);
          expect(ring.first).toBe(lengths.length - kept.length + 1);
          expect(kept.reduce((sum, { message }) => sum + message.bytes.length, 0)).toBeLessThanOrEqual(size);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('cuts what is longer than all of it', () => {
    const ring = new MessageRing(100);
    ring.record('in', 'echo', octets(500, 1), flow(1), 1);
    expect(ring.at(1)?.bytes.length).toBe(100);
  });

  it('marks the message that was just sent there, and no other', () => {
    const ring = new MessageRing(1_000, 4);
    const moved = { from: 'udp:127.0.0.1:5070', because: 'refused' };
    ring.record('out', 'echo', octets(10, 1), flow(7), 1);
    expect(ring.mark({ host: '127.0.0.9', port: 8 }, moved)).toBe(false);
    expect(ring.mark({ host: '127.0.0.9', port: 7 }, moved)).toBe(true);
    ring.record('in', 'echo', octets(10, 1), flow(7), 1);
    expect(ring.mark({ host: '127.0.0.9', port: 7 }, moved)).toBe(false);
    expect(ring.at(1)?.moved).toEqual(moved);
    expect(ring.at(2)?.moved).toBeUndefined();
    // The place of the marked one is used again.
    for (let n = 0; n < 4; n += 1) ring.record('out', 'echo', octets(10, 1), flow(7), 1);
    expect(ring.at(5)?.moved).toBeUndefined();
  });
});
