/** A member whose host has several workers: each speaks on the link, with a life of its own. */
import { describe, expect, it } from 'vitest';
import { Known } from '../../../src/cluster/known-member.ts';
import type { LinkedMember } from '../../../src/cluster/member-link.ts';

const known = (): Known => new Known({ transport: 'udp', host: '192.0.2.1', port: 5_060 }, 'udp:192.0.2.1:5060');

const says = (member: string, random: string, heardMs: number): LinkedMember => ({
  member,
  boot: { startMs: 0, random },
  version: 'test',
  startedMs: 0,
  provenMs: heardMs,
  provenCounter: 1,
  heardMs,
  isDeaf: false,
  clockDifferenceMs: 0,
  roles: new Map(),
});

describe('a member on the link', () => {
  it('of one process has restarted when its life is another', () => {
    const member = known();
    expect(member.heardFrom(says('a', 'one', 0))).toBe(false);
    expect(member.heardFrom(says('a', 'one', 250))).toBe(false);
    expect(member.heardFrom(says('a', 'two', 500))).toBe(true);
    expect(member.heardFrom(says('a', 'two', 750))).toBe(false);
  });

  it('of several has not, as long as one of them goes on', () => {
    const member = known();
    for (let ms = 0; ms < 2_000; ms += 250) {
      expect(member.heardFrom(says('a/1', 'one', ms))).toBe(false);
      expect(member.heardFrom(says('a/2', 'two', ms))).toBe(false);
    }
    // The first is killed, and is back at once.
    expect(member.heardFrom(says('a/1', 'three', 2_000))).toBe(false);
    expect(member.heardFrom(says('a/2', 'two', 2_000))).toBe(false);
  });

  it('of several has, when all of them are others', () => {
    const member = known();
    for (const name of ['a/1', 'a/2']) member.heardFrom(says(name, `${name} one`, 0));
    expect(member.heardFrom(says('a/1', 'a/1 two', 5_000))).toBe(true);
    expect(member.heardFrom(says('a/2', 'a/2 two', 5_010))).toBe(false);
  });

  it('that is upgraded from one process to several has restarted once', () => {
    const member = known();
    member.heardFrom(says('a', 'one', 0));
    expect(member.heardFrom(says('a/1', 'two', 5_000))).toBe(true);
    expect(member.heardFrom(says('a/2', 'three', 5_000))).toBe(false);
  });
});
