import { describe, expect, it } from 'vitest';
import { playCall } from './call-script.ts';
import { backupHost, primaryHost, World } from './world.ts';

/** 200 and 202 talk, 201 and 203 have dial tone; the audit of one line cannot be read. */
async function setUp(bad: string, encoding: 'compact' | 'pretty'): Promise<World> {
  const world = await World.up({ gateway: { encoding } });
  world.line('200').offHook();
  await world.run(50);
  world.line('200').dial('202');
  await world.run(100);
  world.line('202').offHook();
  await world.run(200);
  for (const number of ['201', '203']) world.line(number).offHook();
  await world.run(200);
  expect(world.talking('200', '202')).toBe(true);
  const line = world.line(bad);
  const describeLine = line.describe.bind(line);
  line.describe = (items) =>
    describeLine(items).map((each) =>
      each.kind === 'Events' ? { ...each, events: [{ name: 'nonsense', parameters: [] }] } : each,
    );
  world.kill(primaryHost);
  await world.run(4_000);
  expect(world.gateways.map(({ controller }) => controller?.host)).toEqual([backupHost, backupHost]);
  return world;
}

describe.each(['compact', 'pretty'] as const)('a takeover where one line cannot be read (%s)', (encoding) => {
  it('keeps the calls and dial tones of all others; that line begins anew', async () => {
    const world = await setUp('201', encoding);
    expect(world.talking('200', '202')).toBe(true);
    expect(world.calls(backupHost)).toContainEqual(expect.objectContaining({ caller: '200', phase: 'talking' }));
    expect(world.line('203').signal).toBe('cg/dt');
    // Off-hook as it is, it gets dial tone again.
    expect(world.line('201').signal).toBe('cg/dt');
    for (const number of ['200', '201', '202', '203']) world.line(number).onHook();
    await world.run(2_000);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
    expect(world.ephemerals).toBe(0);
    expect((await playCall(world, '201', '203')).stuckAt).toBeUndefined();
  });

  it('loses the call of a line in a call, and nothing else', async () => {
    const world = await setUp('200', encoding);
    expect(world.line('202').signal).toMatch(/^cg\/[bc]t$/);
    for (const number of ['201', '203']) expect(world.line(number).signal).toBe('cg/dt');
    expect(world.line('200').contextId).toBe(0);
    expect(world.line('200').signal).toBe('cg/dt');
    for (const number of ['200', '201', '202', '203']) world.line(number).onHook();
    await world.run(2_000);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
    expect(world.ephemerals).toBe(0);
    expect((await playCall(world, '200', '203')).stuckAt).toBeUndefined();
  });
});
