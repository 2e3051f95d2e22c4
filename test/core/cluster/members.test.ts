import { describe, expect, it } from 'vitest';
import { LinkWorld, type Node, signaling, signalingPort } from './link-world.ts';

const a = '127.0.0.1';
const b = '127.0.0.2';

async function pair(hasLink = true): Promise<{ world: LinkWorld; one: Node; other: Node }> {
  const world = new LinkWorld([a, b]);
  const one = await world.start(a, { hasLink });
  const other = await world.start(b, { hasLink });
  await world.run(12_000);
  expect(one.state(b)).toBe('alive');
  one.changes.length = 0;
  return { world, one, other };
}

/** The link alone is cut; the rest of the network is whole. */
const cutLink = (world: LinkWorld): void => {
  world.network.onPacket(({ to }) => (to.port === signalingPort ? undefined : 'drop'));
};

describe('members: two witnesses for a death (design §16.4)', () => {
  it('a killed process is dead within half a second', async () => {
    const { world, one } = await pair();
    world.kill(b);
    await world.run(500);
    expect(one.state(b)).toBe('dead');
  });

  it('a machine without power is dead after the silence limit', async () => {
    const { world, one } = await pair();
    world.network.silence(b);
    await world.run(1_100);
    expect(one.state(b)).not.toBe('dead');
    await world.run(900);
    expect(one.state(b)).toBe('dead');
  });

  it('a cut link alone makes it suspect and moves nothing; its death after that is noticed', async () => {
    const { world, one } = await pair();
    cutLink(world);
    await world.run(60_000);
    expect(one.state(b)).toBe('suspect');
    expect(one.changes).toEqual(['suspect']);
    world.network.silence(b);
    await world.run(2_500);
    expect(one.state(b)).toBe('dead');
  });

  it('a forged ICMP error, at the signaling address, at the link or both, is asked about and moves nothing', async () => {
    const { world, one, other } = await pair();
    for (let count = 0; count < 10; count += 1) {
      one.members.refused(signaling(b));
      await world.run(137);
    }
    expect(one.changes).toEqual([]);
    expect(other.changes.filter((states) => states.includes('dead'))).toEqual([]);
  });

  it('a forged ICMP error moves nothing while the link is cut, either', async () => {
    const { world, one } = await pair();
    cutLink(world);
    await world.run(5_000);
    one.changes.length = 0;
    for (let count = 0; count < 10; count += 1) {
      one.members.refused(signaling(b));
      await world.run(700);
    }
    expect(one.changes).toEqual([]);
  });

  it('returns for the hold time, and counts its life from then', async () => {
    const { world, one } = await pair();
    world.kill(b);
    await world.run(3_000);
    await world.start(b);
    await world.run(500);
    expect(one.state(b)).toBe('returning');
    await world.run(9_000);
    expect(one.state(b)).toBe('returning');
    await world.run(1_000);
    expect(one.state(b)).toBe('alive');
  });

  it('a restart too quick to be missed counts as one', async () => {
    const { world, one } = await pair();
    world.kill(b);
    await world.run(50);
    await world.start(b);
    await world.run(500);
    expect(one.state(b)).toBe('returning');
  });

  it('who starts beside a member that has lived for long knows that it is no newcomer', async () => {
    const { world } = await pair();
    world.kill(a);
    const again = await world.start(a);
    await world.run(100);
    expect(again.state(b)).toBe('alive');
  });

  it('a member that never had a link (the version before) lives and dies by its signaling address', async () => {
    const world = new LinkWorld([a, b]);
    const one = await world.start(a);
    await world.start(b, { hasLink: false });
    await world.run(20_000);
    expect(one.state(b)).toBe('suspect');
    expect(one.changes.filter((states) => states === 'dead')).toEqual([]);
    world.kill(b);
    await world.run(2_000);
    expect(one.state(b)).toBe('dead');
  });
});

describe('members without a secret: probes are all there is', () => {
  it('lives, dies by silence and by two refusals, returns', async () => {
    const { world, one } = await pair(false);
    world.kill(b);
    await world.run(3_000);
    // Once and for all, although it answered a moment before.
    expect(one.changes).toEqual(['dead']);
    await world.start(b, { hasLink: false });
    await world.run(1_000);
    expect(one.state(b)).toBe('returning');
    await world.run(10_500);
    expect(one.state(b)).toBe('alive');
    world.network.silence(b);
    await world.run(2_500);
    expect(one.state(b)).toBe('dead');
  });

  it('one forged ICMP error moves nothing', async () => {
    const { world, one } = await pair(false);
    one.members.refused(signaling(b));
    await world.run(3_000);
    expect(one.changes).toEqual([]);
  });
});

describe('a process that stood still knows it', () => {
  it('says so before it believes anything', async () => {
    const { world, one, other } = await pair();
    world.network.pause(b);
    await world.run(5_000);
    expect(one.state(b)).toBe('dead');
    world.network.resume(b);
    await world.run(5);
    expect(other.absences).toBe(1);
    await world.run(500);
    expect(one.state(b)).toBe('returning');
    expect(other.changes.filter((states) => states === 'dead')).toEqual([]);
  });
});
