import { describe, expect, it } from 'vitest';
import { primaryHost, World } from './world.ts';

describe('lines call each other', () => {
  it('arms every line after its gateway restarted (RFC 3435 G.1)', async () => {
    const world = await World.up();
    for (const number of ['200', '201', '202', '203']) {
      expect(world.line(number).notification.request.events.map(({ id }) => id)).toEqual(['hd']);
      expect(world.owner(number)).toBe(primaryHost);
    }
    await world.stop();
  });

  it('200 calls 202: dial tone, ringing and ringback, talk path both ways, hang-up (RFC 3435 G.2)', async () => {
    const world = await World.up();
    const a = world.line('200');
    const b = world.line('202');
    a.offHook();
    await world.run(100);
    expect(a.hears).toBe('L/dl');
    a.dial('202');
    await world.run(100);
    expect(a.hears).toBe('G/rt');
    expect(b.hears).toBe('L/rg');
    b.offHook();
    await world.run(100);
    expect(a.hears).toBe('');
    expect(world.talking('200', '202')).toBe(true);
    a.onHook();
    await world.run(100);
    expect(b.hears).toBe('L/bz');
    b.onHook();
    await world.run(100);
    expect([...a.connections, ...b.connections]).toEqual([]);
    expect(world.calls(primaryHost)).toEqual([]);
    await world.stop();
  });
});
