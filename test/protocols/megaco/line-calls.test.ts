import { describe, expect, it } from 'vitest';
import { decodeText } from '../../../protocols/megaco/codec/text/decode.ts';
import { primaryHost, World } from './world.ts';

describe.each([
  ['compact text over UDP', { gateway: { encoding: 'compact' as const } }],
  ['pretty text over TCP', { gateway: { encoding: 'pretty' as const }, transport: 'tcp' as const }],
  ['BER over UDP', { gateway: { encoding: 'binary' as const } }],
  ['BER over TCP', { gateway: { encoding: 'binary' as const }, transport: 'tcp' as const }],
])('a call between two lines in %s', (_name, options) => {
  it('goes from dial tone to hang-up and leaves no context behind', async () => {
    const world = await World.up(options);
    expect(world.idle('200', '201', '202', '203')).toBe(true);

    world.line('200').offHook();
    await world.run(50);
    expect(world.line('200').signal).toBe('cg/dt');
    expect(world.line('200').collecting).toBe(true);

    world.line('200').dial('202');
    await world.run(100);
    expect(world.line('202').signal).toBe('al/ri');
    expect(world.line('200').signal).toBe('cg/rt');
    expect(world.calls(primaryHost)).toMatchObject([{ caller: '200', callee: '202', phase: 'ringing' }]);

    world.line('202').offHook();
    await world.run(100);
    expect(world.talking('200', '202')).toBe(true);
    expect(world.line('200').signal).toBeUndefined();
    expect(world.line('202').signal).toBeUndefined();

    world.line('202').onHook();
    await world.run(100);
    expect(world.line('200').signal).toBe('cg/bt');
    expect(world.idle('202')).toBe(true);
    world.line('200').onHook();
    await world.run(100);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
    expect(world.ephemerals).toBe(0);
    expect(world.calls(primaryHost)).toEqual([]);
  });

  it('tells busy, unknown and abandoned apart', async () => {
    const world = await World.up(options);
    for (const number of ['200', '201']) world.line(number).offHook();
    await world.run(50);
    world.line('200').dial('201');
    await world.run(100);
    expect(world.line('200').signal).toBe('cg/bt');
    world.line('201').dial('999');
    await world.run(100);
    expect(world.line('201').signal).toBe('cg/ct');
    for (const number of ['200', '201']) world.line(number).onHook();
    await world.run(100);
    world.line('203').offHook();
    await world.run(50);
    world.line('203').dial('2');
    world.line('203').onHook();
    await world.run(100);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
    expect(world.ephemerals).toBe(0);
  });
});

describe('RFC 3525 §9.2, Annex D.1: loss', () => {
  it('a call is made with every fifth datagram lost, doubled or late', async () => {
    const world = await World.up({
      conditions: { loss: 0.2, duplication: 0.2, reordering: 0.2 },
      seed: 7,
      backup: false,
    });
    await world.run(20_000);
    world.line('200').offHook();
    await world.run(20_000);
    world.line('200').dial('203');
    await world.run(20_000);
    expect(world.line('203').signal).toBe('al/ri');
    world.line('203').offHook();
    await world.run(20_000);
    expect(world.talking('200', '203')).toBe(true);
    world.line('200').onHook();
    world.line('203').onHook();
    await world.run(30_000);
    expect(world.idle('200', '203')).toBe(true);
    expect(world.ephemerals).toBe(0);
  });
});

describe('the path attribute (docs/alternate-path.md)', () => {
  it('is in every message of the controller, and gateways learn it', async () => {
    const world = await World.up();
    const sent = world.packets.filter(({ from }) => from.host === primaryHost);
    expect(sent.length).toBeGreaterThan(8);
    for (const { bytes } of sent)
      expect(decodeText(bytes)).toMatchObject({ ok: true, value: { alternatePath: ['[127.0.0.2]:2944'] } });
    for (const gateway of world.gateways) expect(gateway.alternates).toEqual([world.address('127.0.0.2')]);
  });

  it('is set as a property at gateways that list the package, and nowhere else', async () => {
    for (const aware of [true, false]) {
      const world = await World.up({ gateway: { aware } });
      const set = world.summary().filter((text) => text.includes('alternatepath/addr="[127.0.0.2]:2944"'));
      expect(set.length).toBe(aware ? 2 : 0);
    }
  });
});
