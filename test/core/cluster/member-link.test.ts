import { describe, expect, it } from 'vitest';
import { writeContent } from '../../../src/cluster/link-content.ts';
import type { LinkedMember } from '../../../src/cluster/member-link.ts';
import { ReplayWindow } from '../../../src/cluster/replay-window.ts';
import { DatagramSeal } from '../../../src/cluster/sealed-datagram.ts';
import { LinkWorld, linkPort, type Node, secret } from './link-world.ts';

const a = '127.0.0.1';
const b = '127.0.0.2';

async function pair(): Promise<{ world: LinkWorld; one: Node; other: Node }> {
  const world = new LinkWorld([a, b]);
  const one = await world.start(a);
  const other = await world.start(b);
  await world.run(1_000);
  return { world, one, other };
}

const linked = (node: Node): LinkedMember | undefined => [...(node.link?.members() ?? [])][0];

/** Everything that went to this link port so far, as it was on the wire. */
function record(world: LinkWorld, to: string): Buffer[] {
  const recorded: Buffer[] = [];
  world.network.onPacket((packet) => {
    if (packet.to.host === to && packet.to.port === linkPort) recorded.push(packet.bytes);
  });
  return recorded;
}

describe('member link: what members tell each other (design §16.4)', () => {
  it('carries homes, guests, hints and the wish to leave, at once on change', async () => {
    const { world, one, other } = await pair();
    other.serves = ['udp:127.0.0.2:2727'];
    other.guests = Array.from({ length: 100 }, (_, index) => `gw${index}`);
    other.hints = { gw1: 'binary' };
    other.isLeaving = true;
    other.members.tell();
    await world.run(15);
    expect([...one.of(b).serves]).toEqual(['udp:127.0.0.2:2727']);
    expect(one.state(b)).toBe('leaving');
    // A long list goes round page by page.
    await world.run(1_500);
    expect([...one.of(b).guests].sort()).toEqual([...other.guests].sort());
    expect(one.of(b).hints.get('gw1')).toBe('binary');
    other.guests = ['gw7'];
    await world.run(600);
    expect([...one.of(b).guests]).toEqual(['gw7']);
  });

  it('speaks every 250 ms, and after a burst of changes at most every 10 ms', async () => {
    const { world, other } = await pair();
    const datagrams = record(world, a);
    await world.run(1_000);
    expect(datagrams.length).toBe(4);
    for (let change = 0; change < 1_000; change += 1) other.members.tell();
    await world.run(100);
    expect(datagrams.length).toBeLessThan(10);
  });

  it('says once that clocks differ by more than two seconds', async () => {
    const said: string[] = [];
    const { silentLog } = await import('../../../src/internal.ts');
    const log = Object.assign(Object.create(silentLog), {
      warn: (_: unknown, text: string) => said.push(text),
    });
    const world = new LinkWorld([a, b]);
    await world.start(a, { log });
    await world.start(b, { link: { wallClock: () => world.clock.now() + 3_000 } });
    await world.run(3_000);
    expect(said.filter((text) => text.includes('clocks'))).toHaveLength(1);
  });
});

describe('member link: what is not believed', () => {
  it('a datagram sealed with another secret, garbage, and one that is too large: counted and dropped', async () => {
    const { world, one } = await pair();
    const content = writeContent({ m: 'x', v: '1', t: 0, u: 0, q: false, h: [], r: {} });
    const boot = { startMs: 1, random: '0011223344556677' };
    await world.inject(new DatagramSeal('another secret altogether').seal(boot, 1, content), a);
    await world.inject(Buffer.from('hello'), a);
    await world.inject(Buffer.alloc(20_000, 'x'), a);
    await world.inject(new DatagramSeal(secret).seal(boot, 1, Buffer.from('{"m":1}')), a);
    expect(await one.dropped('forged')).toBe(1);
    expect(await one.dropped('malformed')).toBe(2);
    expect(await one.dropped('oversized')).toBe(1);
    expect([...(one.link?.members() ?? [])].map(({ member }) => member)).toEqual([`${b}:${linkPort}`]);
  });

  it('a changed octet anywhere', async () => {
    const { world, one } = await pair();
    const datagrams = record(world, a);
    await world.run(300);
    const [datagram] = datagrams;
    if (datagram === undefined) throw new Error('none');
    let flips = 0;
    for (let at = 0; at < datagram.length; at += 7) {
      const changed = Buffer.from(datagram);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await world.inject(changed, a);
      flips += 1;
    }
    const counted = (await one.dropped('forged')) + (await one.dropped('malformed')) + (await one.dropped('version'));
    expect(counted).toBe(flips);
  });

  it('a replay within the same boot', async () => {
    const { world, one } = await pair();
    const datagrams = record(world, a);
    await world.run(300);
    for (const datagram of [...datagrams]) await world.inject(datagram, a);
    expect(await one.dropped('replayed')).toBeGreaterThan(0);
  });

  it('what a dead member said earlier does not keep it alive, and an older boot is refused once a newer was seen', async () => {
    const world = new LinkWorld([a, b]);
    const one = await world.start(a);
    await world.start(b);
    const recorded = record(world, a);
    await world.run(2_000);
    world.kill(b);
    await world.run(2_000);
    expect(one.state(b)).toBe('dead');
    const first = [...recorded];
    for (const datagram of first) await world.inject(datagram, a);
    expect(one.state(b)).toBe('dead');
    await world.start(b);
    await world.run(500);
    expect(one.state(b)).toBe('returning');
    const before = await one.dropped('older');
    for (const datagram of first) await world.inject(datagram, a);
    expect(await one.dropped('older')).toBe(before + first.length);
  });

  it('a recording of a member, played to one that restarted and remembers nothing, is no life', async () => {
    const world = new LinkWorld([a, b]);
    await world.start(a);
    await world.start(b);
    const recorded = record(world, a);
    await world.run(5_000);
    world.kill(a);
    world.kill(b);
    const one = await world.start(a);
    const last = recorded.slice(-20);
    for (let round = 0; round < 3; round += 1)
      for (const datagram of last) {
        await world.inject(datagram, a);
        await world.run(100);
      }
    expect(one.state(b)).toBe('dead');
    expect([...(one.link?.members() ?? [])]).toEqual([]);
  });

  it('our own datagrams, sent back to us', async () => {
    const { world, one } = await pair();
    const own = record(world, b);
    await world.run(300);
    const count = own.length;
    for (const datagram of [...own]) await world.inject(datagram, a);
    expect(await one.dropped('reflected')).toBe(count);
  });

  it('a flood of strangers writes one line a minute', async () => {
    const said: string[] = [];
    const { silentLog } = await import('../../../src/internal.ts');
    const log = Object.assign(Object.create(silentLog), { warn: (_: unknown, text: string) => said.push(text) });
    const world = new LinkWorld([a, b]);
    await world.start(a, { log });
    await world.start(b);
    for (let count = 0; count < 200; count += 1) await world.inject(Buffer.from('x'), a);
    expect(said.filter((text) => text.includes('dropped'))).toHaveLength(1);
  });
});

describe('member link: lives of a member', () => {
  it('a machine whose clock was set back is heard once its former life is over', async () => {
    const { world, one } = await pair();
    world.kill(b);
    await world.run(4_000);
    await world.start(b, { link: { wallClock: () => world.clock.now() - 3_600_000 } });
    await world.run(1_000);
    expect(one.state(b)).toBe('returning');
    expect(linked(one)?.isDeaf).toBe(false);
  });

  it('a member that does not hear us is told from one that does', async () => {
    const { world, one } = await pair();
    world.network.partition(a, b, 'oneWay');
    await world.run(3_000);
    expect(linked(one)?.isDeaf).toBe(true);
    world.network.heal();
    await world.run(500);
    expect(linked(one)?.isDeaf).toBe(false);
  });

  it('lives through 20 % loss, duplicates and reordering', async () => {
    const world = new LinkWorld([a, b], { loss: 0.2, duplication: 0.2, reordering: 0.2 }, 3);
    const one = await world.start(a);
    await world.start(b);
    await world.run(60_000);
    expect(one.changes.filter((states) => states.includes('dead'))).toEqual([]);
    expect(one.state(b)).toBe('alive');
  });
});

describe('replay window (RFC 4303 §3.4.3)', () => {
  it('admits each counter once, those of the 64 below the highest too', () => {
    const window = new ReplayWindow();
    expect([5, 3, 5, 3, 4, 70, 6, 7, 70].map((counter) => window.admit(counter))).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
      false,
      true,
      false,
    ]);
  });
});
