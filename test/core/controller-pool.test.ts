/** Design §4.5: a dead peer is remembered, comes back after a hold time with jitter, and configured entries are never dropped. */
import { describe, expect, it } from 'vitest';
import { type ControllerAddress, ControllerPool } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';

const at = (n: number): ControllerAddress => ({ transport: 'udp', host: `127.0.0.${n}`, port: 5_060 });
const [a, b, c] = [at(1), at(2), at(3)];

function makePool(): { clock: FakeClock; pool: ControllerPool } {
  const clock = new FakeClock();
  return { clock, pool: new ControllerPool(clock, seededRandom(1), { holdMs: 10_000, jitter: 0.3, maxLearned: 2 }) };
}

describe('controller pool', () => {
  it('keeps the given order while nothing is down, and makes no new list for it', () => {
    const { pool } = makePool();
    pool.admit(a, 'configured');
    const addresses = [a, b];
    expect(pool.order(addresses)).toBe(addresses);
  });

  it('puts last what is down, but does not leave it out', () => {
    const { pool } = makePool();
    pool.failed(pool.admit(a, 'configured'), 'refused');
    expect(pool.order([a, b])).toEqual([b, a]);
    expect([pool.hasUsable([a]), pool.hasUsable([a, b])]).toEqual([false, true]);
  });

  it('holds a peer that answers again for the hold time and up to a third more', () => {
    const { clock, pool } = makePool();
    const peer = pool.admit(a, 'configured');
    pool.failed(peer, 'silent');
    clock.advance(60_000);
    expect(pool.order([a, b])).toEqual([b, a]);
    expect([pool.answered(peer), pool.answered(peer)]).toEqual([true, false]);
    const waitMs = peer.returnAtMs - clock.now();
    expect(waitMs).toBeGreaterThanOrEqual(10_000);
    expect(waitMs).toBeLessThanOrEqual(13_000);
    clock.advance(waitMs - 1);
    expect([pool.order([a, b]), pool.ailing().length]).toEqual([[b, a], 1]);
    clock.advance(1);
    expect([pool.order([a, b]), pool.ailing().length]).toEqual([[a, b], 0]);
  });

  it('starts over with a peer that fails while it is held', () => {
    const { clock, pool } = makePool();
    const peer = pool.admit(a, 'configured');
    pool.failed(peer, 'silent');
    pool.answered(peer);
    clock.advance(5_000);
    expect([pool.failed(peer, 'silent'), pool.failed(peer, 'silent')]).toEqual([true, false]);
    clock.advance(60_000);
    expect(pool.order([a, b])).toEqual([b, a]);
  });

  it('lets what is repeated go round among those that are up; among all where none is', () => {
    const { pool } = makePool();
    const turns = (): unknown[] => [0, 1, 2, 3].map((turn) => pool.choose([a, b, c], turn));
    expect(turns()).toEqual([a, b, c, a]);
    pool.failed(pool.admit(a, 'configured'), 'refused');
    expect(turns()).toEqual([b, c, b, c]);
    for (const each of [b, c]) pool.failed(pool.admit(each, 'configured'), 'refused');
    expect(turns()).toEqual([a, b, c, a]);
  });

  it('bounds what it learns, the least used goes first; what is configured stays so', () => {
    const { clock, pool } = makePool();
    pool.admit(a, 'configured');
    for (const n of [2, 3, 4]) {
      clock.advance(1);
      pool.admit(at(n), 'learned');
    }
    expect(pool.peers().map(({ address }) => address)).toEqual([a, at(3), at(4)]);
    expect(pool.find(at(2))).toBeUndefined();
    pool.admit(a, 'learned');
    pool.admit(at(3), 'configured');
    expect(pool.peers().map(({ provenance }) => provenance)).toEqual(['configured', 'configured', 'learned']);
  });
});
