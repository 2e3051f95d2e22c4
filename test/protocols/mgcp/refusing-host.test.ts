/** A gateway's program ends and its host lives: each command is refused within a moment (ICMP), and is not sent again in that moment. */
import { describe, expect, it } from 'vitest';
import { World } from './world.ts';

describe('a gateway whose host refuses what it is sent', () => {
  it.each([true, false])('is asked a few times until T-MAX, then is down; back up: %s', async (isBack) => {
    const world = await World.up();
    world.packets.length = 0;
    world.network.crash('127.0.0.11');
    const sent = () => world.packets.filter(({ to }) => to.host === '127.0.0.11').length;
    // Somebody calls its lines meanwhile.
    world.line('202').offHook();
    await world.run(500);
    world.line('202').dial('200');
    await world.run(25_000);
    expect(sent()).toBeLessThan(100);
    if (!isBack) return;
    world.network.revive('127.0.0.11');
    await world.startGateway(0);
    await world.run(5_000);
    expect(world.roles.get('127.0.0.1')?.status()).toMatchObject({ linesServed: 4 });
  });
});
