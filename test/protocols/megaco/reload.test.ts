import { describe, expect, it } from 'vitest';
import { megacoConfigSchema } from '../../../protocols/megaco/config.ts';
import { gatewayHosts, primaryHost, World } from './world.ts';

/** Three terminations per gateway: 200 to 202 at gw1, 203 to 205 at gw2; `line` below goes by the termination's first number. */
const up = (): Promise<World> => World.up({ linesPerGateway: 3, backup: false });

const at = (number: string, termination: string) => ({ number, termination });
const others = [at('203', 'aaln/1@gw2'), at('204', 'aaln/2@gw2'), at('205', 'aaln/3@gw2')];

const reload = (world: World, lines: readonly unknown[], more: Record<string, unknown> = {}) =>
  world.roles.get(primaryHost)?.reload(
    megacoConfigSchema.parse({
      listen: [`udp:${primaryHost}:2944`],
      gateways: gatewayHosts.map((host, index) => ({ name: `gw${index + 1}`, addresses: [`udp:${host}:2944`] })),
      lines,
      ...more,
    }),
  );

const rings = (world: World, number: string): boolean => world.line(number).signal === 'al/ri';

async function call(world: World, from: string, number: string): Promise<void> {
  world.line(from).offHook();
  await world.run(200);
  world.line(from).dial(number);
  await world.run(500);
}

describe('MEGACO: gateways', () => {
  it('provisioned by DNS name are believed where the name leads, and follow it', async () => {
    const names = new Map(gatewayHosts.map((host, index) => [`gw${index + 1}.test`, host as string]));
    const gateways = [...names.keys()].map((name, index) => ({
      name: `gw${index + 1}`,
      addresses: [`udp:${name}:2944`],
    }));
    const world = await World.up({ linesPerGateway: 3, backup: false, names, config: { gateways } });
    await call(world, '200', '203');
    expect(rings(world, '203')).toBe(true);
    const peers = () => world.roles.get(primaryHost)?.peers();
    expect(peers()).toMatchObject([{ addresses: ['udp:127.0.0.11:2944'] }, { addresses: ['udp:127.0.0.12:2944'] }]);
    names.set('gw2.test', '127.0.0.13');
    await world.run(40_000);
    expect(peers()).toMatchObject([{ addresses: ['udp:127.0.0.11:2944'] }, { addresses: ['udp:127.0.0.13:2944'] }]);
  });

  it('that are reloaded: added, elsewhere, gone', async () => {
    const world = await up();
    const gateways = [
      { name: 'gw1', addresses: [`udp:${gatewayHosts[0]}:2944`] },
      { name: 'gw2', addresses: ['udp:127.0.0.13:2944'] },
      { name: 'gw3', addresses: ['udp:127.0.0.14:2944'] },
    ];
    const lines = [at('200', 'aaln/1@gw1')];
    const peers = () => world.roles.get(primaryHost)?.peers();
    expect(reload(world, lines, { gateways })?.slice(0, 2)).toEqual(['gateway gw2 changed', 'gateway gw3 added']);
    expect(reload(world, lines, { gateways })).toEqual([]);
    expect(peers()).toMatchObject([
      { addresses: ['udp:127.0.0.11:2944'] },
      { addresses: ['udp:127.0.0.13:2944'] },
      { addresses: ['udp:127.0.0.14:2944'] },
    ]);
    expect(reload(world, lines, { gateways: gateways.slice(0, 1) })).toEqual([
      'gateway gw2 removed',
      'gateway gw3 removed',
    ]);
    expect(peers()).toHaveLength(1);
  });
});

describe('MEGACO: lines of a reloaded configuration', () => {
  it('a number moved to another termination rings there, and there alone', async () => {
    const world = await up();
    const lines = [at('201', 'aaln/2@gw1'), at('200', 'AALN/3@gw1'), ...others];
    expect(reload(world, lines)).toEqual(['line 200 moved from aaln/1@gw1 to AALN/3@gw1', 'line 202 removed']);
    expect(reload(world, lines)).toEqual([]);
    await world.run(1_000);
    await call(world, '203', '200');
    expect(rings(world, '202')).toBe(true);
    expect(rings(world, '200')).toBe(false);
  });

  it('a number moved while it talks: its party hears a tone, nothing is left at the old termination', async () => {
    const world = await up();
    await call(world, '200', '203');
    world.line('203').offHook();
    await world.run(500);
    expect(world.calls(primaryHost)).toMatchObject([{ phase: 'talking' }]);
    reload(world, [at('201', 'aaln/2@gw1'), at('200', 'aaln/3@gw1'), ...others]);
    await world.run(1_000);
    expect(world.media('200')).toBeUndefined();
    expect(world.media('203')).toBeUndefined();
    expect(world.calls(primaryHost)).toEqual([]);
  });

  it('two numbers that change places, and a number that is another one now', async () => {
    const world = await up();
    const lines = [at('200', 'aaln/2@gw1'), at('201', 'aaln/1@gw1'), at('300', 'aaln/3@gw1'), ...others];
    expect(reload(world, lines)).toEqual([
      'line 200 moved from aaln/1@gw1 to aaln/2@gw1',
      'line 201 moved from aaln/2@gw1 to aaln/1@gw1',
      'line 202 removed',
      'line 300 added',
    ]);
    await world.run(2_000);
    for (const [number, ringing] of [
      ['200', '201'],
      ['201', '200'],
      ['300', '202'],
    ] as const) {
      await call(world, '203', number);
      expect(rings(world, ringing), number).toBe(true);
      world.line('203').onHook();
      await world.run(500);
      expect(rings(world, ringing)).toBe(false);
    }
  });
});
