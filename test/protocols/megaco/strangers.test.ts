import { describe, expect, it } from 'vitest';
import { ReplyCache, Strangers } from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { primaryHost, World } from './world.ts';

/** Sends what it is told to, from this host, and counts what comes back. */
async function sender(world: World, host: string) {
  let answers = 0;
  const listener = await world.network.host(host).bind(
    { transport: 'udp', host, port: 2944 },
    {},
    {
      received: () => {
        answers += 1;
      },
      failed: () => undefined,
    },
  );
  const flow = listener.flowTo({ host: primaryHost, port: 2944 });
  return {
    get answers() {
      return answers;
    },
    send: (text: string) => flow.send(Buffer.from(text)),
  };
}

const shapes: readonly (readonly [string, (n: number) => string])[] = [
  ['requests', (n) => `!/1 evil T=${n}{C=-{SC=ROOT{SV{MT=RS,V=1,RE="901 Cold Boot"}}}}`],
  ['requests under a provisioned name', (n) => `!/1 gw1 T=${n}{C=-{N=aaln/1{OE=1{al/of}}}}`],
  ['questions whether we live', (n) => `!/1 evil T=${n}{C=-{AV=ROOT{AT{}}}}`],
  ['requests that cannot be read', (n) => `!/1 evil T=${n}{C=-{XX}}`],
  ['messages that cannot be read', (n) => `!/1 evil ${n}`],
  ['other versions', (n) => `!/9 evil T=${n}{}`],
  ['errors with 20 kB of text', (n) => `!/1 evil ER=400{"${n}${'x'.repeat(20_000)}"}`],
  ['replies', (n) => `!/1 evil P=${n}{IA,C=-{AV=ROOT}}`],
];

describe('senders at whose address no gateway is provisioned', () => {
  it.each(shapes)('%s: one answer at most, nothing changes', async (_name, text) => {
    const world = await World.up({ backup: false });
    const stranger = await sender(world, '127.0.0.66');
    for (let n = 1; n <= 50; n += 1) stranger.send(text(n));
    await world.run(1_000);
    expect(stranger.answers).toBeLessThanOrEqual(1);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
  });

  it('many of them get a bounded number of answers a minute', () => {
    const clock = new FakeClock();
    const strangers = new Strangers(clock, 100);
    let answers = 0;
    for (let source = 0; source < 10_000; source += 1)
      if (strangers.mayAnswer(`10.0.${source >> 8}.${source & 255}`)) answers += 1;
    expect(answers).toBe(100);
    expect(strangers.mayAnswer('10.0.0.1')).toBe(false);
    clock.advance(60_000);
    expect(strangers.mayAnswer('10.0.0.1')).toBe(true);
    expect(strangers.mayAnswer('10.0.0.1')).toBe(false);
  });

  it('fill no reply cache; a provisioned gateway has room for what it can have open', () => {
    const clock = new FakeClock();
    let room = 10;
    const cache = new ReplyCache(clock, 30_000, { maxEntries: () => room });
    for (let n = 0; n < 100; n += 1) cache.seen(`gw1 ${n}`);
    expect(cache.size).toBeLessThanOrEqual(10);
    room = 50;
    for (let n = 0; n < 100; n += 1) cache.seen(`gw2 ${n}`);
    expect(cache.size).toBeGreaterThan(40);
    expect(cache.size).toBeLessThanOrEqual(50);
  });

  it('a gateway and a partner are heard as before', async () => {
    const world = await World.up();
    expect(world.idle('200', '201', '202', '203')).toBe(true);
    await world.run(15_000);
    expect(JSON.stringify(world.roles.get(primaryHost)?.status())).toContain('"alive"');
  });
});
