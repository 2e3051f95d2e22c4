/** RFC 3435 §4.4.8: what a call agent under overload lets wait, what it refuses, and what goes on. */
import { describe, expect, it } from 'vitest';
import { PlayedOverload } from '../../support/overload.ts';
import { World } from './world.ts';

async function up(linesPerGateway = 20) {
  const overload = new PlayedOverload();
  const world = await World.up({ backup: false, linesPerGateway, overload: overload.make });
  const overloaded = () => overload.begin(() => world.run(100));
  /** Response lines that the call agent sent. */
  const answers = (code: number): number =>
    world.packets.filter(({ bytes, from }) => from.port === 2727 && bytes.toString('latin1').startsWith(`${code} `))
      .length;
  return { world, overload, overloaded, answers };
}

const numbers = Array.from({ length: 20 }, (_, index) => String(200 + index));

describe('under overload', () => {
  it('a line that goes off-hook is queued (101), and hears its dial tone once there is time', async () => {
    const { world, overload, overloaded, answers } = await up();
    await overloaded();
    for (const number of numbers) world.line(number).offHook();
    await world.run(1_000);
    const silent = numbers.filter((number) => world.line(number).hears === '');
    expect(silent.length).toBeGreaterThan(10);
    expect(answers(101)).toBeGreaterThan(10);
    overload.end();
    await world.run(3_000);
    expect(numbers.map((number) => world.line(number).hears)).toEqual(numbers.map(() => 'L/dl'));
    await world.stop();
  });

  it('a call in progress goes on: it is answered, and hung up', async () => {
    const { world, overloaded } = await up();
    const [a, b] = [world.line('200'), world.line('220')];
    a.offHook();
    await world.run(100);
    a.dial('220');
    await world.run(100);
    expect(b.hears).toBe('L/rg');
    await overloaded();
    b.offHook();
    await world.run(100);
    expect(world.talking('200', '220')).toBe(true);
    a.onHook();
    await world.run(100);
    expect(b.hears).toBe('L/bz');
    await world.stop();
  });

  it('what waited too long is refused (409), and the line is served again afterwards', async () => {
    const { world, overload, overloaded, answers } = await up(150);
    const all = Array.from({ length: 150 }, (_, index) => String(200 + index));
    await overloaded();
    for (const number of all) world.line(number).offHook();
    for (let n = 0; n < 120; n += 1) await overload.begin(() => world.run(2));

    await world.run(2_000);
    expect(answers(409)).toBeGreaterThan(5);
    for (const number of all) world.line(number).onHook();
    overload.end();
    await world.run(20_000);
    for (const number of all) world.line(number).offHook();
    await world.run(3_000);
    expect(all.map((number) => world.line(number).hears)).toEqual(all.map(() => 'L/dl'));
    await world.stop();
  });
});
