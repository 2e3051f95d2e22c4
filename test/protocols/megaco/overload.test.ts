/** What a controller of media gateways under overload lets wait (RFC 3525 §8.2.3), what it refuses (510), and what goes on. */
import { describe, expect, it } from 'vitest';
import { PlayedOverload } from '../../support/overload.ts';
import { World } from './world.ts';

const numbers = Array.from({ length: 20 }, (_, index) => String(200 + index));

async function up() {
  const overload = new PlayedOverload();
  const world = await World.up({ backup: false, linesPerGateway: 20, overload: overload.make });
  return { world, overload, overloaded: () => overload.begin(() => world.run(100)) };
}

describe('under overload', () => {
  it('a line that goes off-hook hears its dial tone once there is time', async () => {
    const { world, overload, overloaded } = await up();
    await overloaded();
    for (const number of numbers) world.line(number).offHook();
    await world.run(1_000);
    const silent = numbers.filter((number) => world.line(number).signal === undefined);
    expect(silent.length).toBeGreaterThan(10);
    overload.end();
    await world.run(3_000);
    expect(new Set(numbers.map((number) => world.line(number).signal))).toEqual(new Set(['cg/dt']));
  });

  it('a call in progress goes on: it is answered, and hung up', async () => {
    const { world, overloaded } = await up();
    const [a, b] = [world.line('200'), world.line('220')];
    a.offHook();
    await world.run(100);
    a.dial('220');
    await world.run(100);
    await overloaded();
    b.offHook();
    await world.run(100);
    expect(world.talking('200', '220')).toBe(true);
    a.onHook();
    await world.run(200);
    expect(world.talking('200', '220')).toBe(false);
  });
});
