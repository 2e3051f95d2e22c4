import { describe, expect, it } from 'vitest';
import { localConnectionOptions } from '../../../protocols/mgcp/capabilities.ts';
import type { GatewayHabits } from '../../../protocols/mgcp/gateway/habits.ts';
import { Gateway } from '../../../src/internal.ts';
import { backupHost, primaryHost, World, type WorldOptions } from './world.ts';

const gateway = (...words: string[]): Gateway => {
  const made = new Gateway('rgw1', []);
  for (const word of words) made.dialect.add(word);
  return made;
};

describe('RFC 3435 §3.2.2.3, §3.2.2.10: the codecs that a gateway is offered', () => {
  const none = new Set<string>();

  it('are PCMU, PCMA and telephone-event as far as it names them, PCMU where it names none', () => {
    const all = gateway('codec:telephone-event', 'codec:PCMA', 'codec:PCMU');
    expect(localConnectionOptions('p:20', all, none)).toBe('p:20, a:PCMU;PCMA;telephone-event');
    expect(localConnectionOptions('p:20', gateway('codec:PCMA'), none)).toBe('p:20, a:PCMA');
    expect(localConnectionOptions('p:20', gateway(), none)).toBe('p:20, a:PCMU');
    expect(localConnectionOptions(undefined, gateway('codec:telephone-event'), none)).toBe('p:20, a:PCMU');
  });

  it('are those of the configuration where it names any', () => {
    expect(localConnectionOptions('p:10, a:G729;PCMU, e:on', gateway('codec:PCMA'), none)).toBe(
      'p:10, e:on, a:G729;PCMU',
    );
  });

  it('become one, then none, where the gateway refuses them', () => {
    const all = gateway('codec:PCMA', 'codec:PCMU');
    expect(localConnectionOptions('p:20', all, new Set(['oneCodec']))).toBe('p:20, a:PCMU');
    expect(localConnectionOptions('p:20', all, new Set(['oneCodec', 'noCodecs']))).toBe('p:20');
  });

  it('a call between gateways that have little in common with us goes through (534)', async () => {
    const kinds: readonly GatewayHabits[] = [{ codecs: ['PCMU'] }, { codecs: ['PCMA'] }, { codecs: ['G729'] }, {}];
    for (const habits of kinds)
      await inWorld({ gateway: { habits } }, async (world) => {
        await talk(world, '200', '202');
        expect(world.summary().some((line) => line.includes('CRCX') && line.includes('L:p:20'))).toBe(true);
      });
  });

  it('a gateway may have its own', async () => {
    const gateways = [
      { name: 'rgw1', addresses: ['127.0.0.11:2427'], localConnectionOptions: 'p:30, a:PCMA' },
      { name: 'rgw2', addresses: ['127.0.0.12:2427'] },
    ];
    await inWorld({ config: { gateways } }, async (world) => {
      await talk(world, '200', '202');
      const creations = (of: string) =>
        world.summary().filter((line) => line.includes('CRCX') && line.includes(`aaln/1@${of}`));
      expect(creations('rgw1').some((line) => line.includes('L:p:30, a:PCMA|'))).toBe(true);
      // §2.6: the called one is given what the caller offers.
      expect(creations('rgw2').some((line) => line.includes('L:p:20, a:PCMA|'))).toBe(true);
      world.line('200').onHook();
      world.line('202').onHook();
      await world.run(1_000);
      await talk(world, '202', '200');
      expect(creations('rgw2').some((line) => line.includes('L:p:20, a:PCMU;PCMA;telephone-event|'))).toBe(true);
    });
  });
});

describe('docs/alternate-path.md §4.2: the attribute and the domain', () => {
  it('every audit and probe of a gateway carries the attribute and names the gateway by its own domain', async () => {
    await inWorld({}, async (world) => {
      world.network.silence('127.0.0.11');
      world.line('202').offHook();
      await world.run(200);
      world.line('202').dial('200');
      await world.run(60_000);
      const audits = world.packets
        .filter(({ from, to }) => from.host === primaryHost && to.port === 2427)
        .flatMap(({ bytes }) => bytes.toString('latin1').split(/^\.\r\n/m))
        .filter((text) => text.startsWith('AUEP '));
      expect(audits.length).toBeGreaterThan(4);
      for (const text of audits) {
        expect(text).toContain('X-ALTPTH: ca@[127.0.0.2]\r\n');
        expect(text).toMatch(/^AUEP \d+ \S+@rgw[12] /);
      }
    });
  });

  it('a backup that stands in names its own backup first, and the member that it knows to be dead last', async () => {
    const third = '127.0.0.3';
    const config = { backup: [`${third}:2727`], backupFor: [`${primaryHost}:2727`] };
    const world = new World();
    try {
      await world.startAgent(primaryHost);
      await world.startAgent(backupHost, config);
      // The third member is only there to live.
      await world.startAgent(third, { backupFor: [`${backupHost}:2727`], gateways: [], lines: [] });
      await world.run(2_500);
      for (const index of [0, 1]) await world.startGateway(index);
      await world.run(2_000);
      world.kill(primaryHost);
      await world.run(8_000);
      const paths = () => world.gateways[0]?.destination(world.line('200')).alternates.map(({ host }) => host);
      expect(world.owner('200')).toBe(backupHost);
      expect(paths()).toEqual([third, primaryHost]);
      world.kill(third);
      await world.run(4_000);
      world.line('200').offHook();
      await world.run(500);
      // Both are dead: in the order of the rule. Itself it never names.
      expect(paths()).toEqual([third, primaryHost]);
    } finally {
      await world.stop();
    }
  });
});

async function inWorld(options: WorldOptions, play: (world: World) => Promise<void>): Promise<void> {
  const world = await World.up(options);
  try {
    await play(world);
  } finally {
    await world.stop();
  }
}

async function talk(world: World, from: string, to: string): Promise<void> {
  const [a, b] = [world.line(from), world.line(to)];
  a.offHook();
  await world.run(200);
  a.dial(to);
  await world.run(300);
  b.offHook();
  await world.run(200);
  expect(world.talking(from, to)).toBe(true);
}
