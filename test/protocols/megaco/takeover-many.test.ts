import { describe, expect, it } from 'vitest';
import { backupHost, primaryHost, World } from './world.ts';

describe('RFC 3525 §11.5 with many lines: everybody talks as the primary dies', () => {
  it('every call is with the backup, and ends when it is hung up', async () => {
    const perGateway = 120;
    const world = await World.up({ linesPerGateway: perGateway });
    const number = (index: number): string => String(200 + index);
    for (let index = 0; index < perGateway; index += 1) {
      world.line(number(index)).offHook();
      await world.run(10);
      world.line(number(index)).dial(number(perGateway + index));
      await world.run(20);
      world.line(number(perGateway + index)).offHook();
    }
    await world.run(1_000);
    const pairs = Array.from(
      { length: perGateway },
      (_, index) => [number(index), number(perGateway + index)] as const,
    );
    expect(pairs.filter(([a, b]) => !world.talking(a, b))).toEqual([]);

    world.kill(primaryHost);
    // Everybody hangs up at once: all these events wait for the audit.
    for (const [a] of pairs) world.line(a).onHook();
    await world.run(8_000);
    expect(pairs.filter(([, b]) => world.line(b).signal !== 'cg/bt')).toEqual([]);
    for (const [, b] of pairs) world.line(b).onHook();
    await world.run(3_000);
    expect(world.idle(...pairs.flat())).toBe(true);
    expect(world.ephemerals).toBe(0);
    expect(world.calls(backupHost)).toEqual([]);
  }, 60_000);
});
