import { describe, expect, it } from 'vitest';
import { backupHost, gatewayHosts, primaryHost, World } from './world.ts';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

/** From now on the gateway answers questions of this verb about this endpoint with a line that is no parameter. */
function garble(world: World, verb: string, endpoint: string): { count: number } {
  const ids = new Set<string>();
  const garbled = { count: 0 };
  world.network.onPacket(({ from, bytes }) => {
    for (const [, id] of text(bytes).matchAll(new RegExp(`^${verb} (\\d+) ${endpoint} `, 'gim'))) ids.add(id ?? '');
    if (from.host !== gatewayHosts[0]) return;
    const [, id = ''] = /^200 (\d+) /.exec(text(bytes)) ?? [];
    const colon = text(bytes).indexOf(':');
    if (!ids.has(id) || colon < 0) return;
    bytes.set(Buffer.from(' '), colon);
    garbled.count += 1;
  });
  return garbled;
}

/** 200 and 202 talk, 201 has dial tone; the primary dies, and the backup cannot read what is said of 200 or 201. */
async function takenOver(verb: string): Promise<{ world: World; garbled: { count: number } }> {
  const world = await World.up();
  world.line('200').offHook();
  await world.run(200);
  world.line('200').dial('202');
  await world.run(300);
  world.line('202').offHook();
  await world.run(300);
  world.line('201').offHook();
  await world.run(200);
  expect(world.talking('200', '202')).toBe(true);
  const garbled = garble(world, verb, verb === 'AUCX' ? 'aaln/1@rgw1' : 'aaln/2@rgw1');
  world.kill(primaryHost);
  world.line('203').offHook();
  await world.run(8_000);
  return { world, garbled };
}

describe('RFC 3435 §2.3.10, §2.3.11: an answer that cannot be read', () => {
  it.each(['AUEP', 'AUCX'])('to %s costs one endpoint, and no wait for T-MAX', async (verb) => {
    const { world, garbled } = await takenOver(verb);
    expect(garbled.count).toBeGreaterThan(0);
    expect(world.talking('200', '202')).toBe(true);
    if (verb === 'AUEP') expect(world.calls(backupHost)).toContainEqual(expect.objectContaining({ caller: '200' }));
    expect(world.line('203').hears).toBe('L/dl');
    for (const number of ['200', '201', '202', '203']) world.line(number).onHook();
    await world.run(6_000);
    expect(world.calls(backupHost)).toEqual([]);
    expect(world.line('200').connections.size + world.line('202').connections.size).toBe(0);
  });
});
