import { describe, expect, it } from 'vitest';
import { mgcpConfigSchema } from '../../../protocols/mgcp/config.ts';
import { gatewayHosts, primaryHost, World } from './world.ts';

/** Three endpoints per gateway: 200 to 202 at rgw1, 203 to 205 at rgw2; `line` below goes by the endpoint's first number. */
const up = (): Promise<World> => World.up({ linesPerGateway: 3, backup: false });

const at = (number: string, endpoint: string) => ({ number, endpoint });
const others = [at('203', 'aaln/1@rgw2'), at('204', 'aaln/2@rgw2'), at('205', 'aaln/3@rgw2')];

const reload = (world: World, lines: readonly unknown[], more: Record<string, unknown> = {}) =>
  world.roles.get(primaryHost)?.reload(
    mgcpConfigSchema.parse({
      listen: [`${primaryHost}:2727`],
      gateways: gatewayHosts.map((host, index) => ({ name: `rgw${index + 1}`, addresses: [`${host}:2427`] })),
      lines,
      ...more,
    }),
  );

async function call(world: World, from: string, number: string): Promise<void> {
  world.line(from).offHook();
  await world.run(200);
  world.line(from).dial(number);
  await world.run(500);
}

describe('MGCP: gateways', () => {
  it('provisioned by DNS name are believed where the name leads, and follow it', async () => {
    const names = new Map(gatewayHosts.map((host, index) => [`rgw${index + 1}.test`, host as string]));
    const gateways = [...names.keys()].map((name, index) => ({
      name: `rgw${index + 1}`,
      addresses: [`${name}:2427`],
    }));
    const world = await World.up({ linesPerGateway: 3, backup: false, names, config: { gateways } });
    await call(world, '200', '203');
    expect(world.line('203').hears).toBe('L/rg');
    const peers = () => world.roles.get(primaryHost)?.peers();
    expect(peers()).toMatchObject([{ addresses: [{ host: '127.0.0.11' }] }, { addresses: [{ host: '127.0.0.12' }] }]);
    names.set('rgw2.test', '127.0.0.13');
    await world.run(40_000);
    expect(peers()).toMatchObject([{ addresses: [{ host: '127.0.0.11' }] }, { addresses: [{ host: '127.0.0.13' }] }]);
  });

  it('that are reloaded: added, elsewhere, gone', async () => {
    const world = await up();
    const gateways = [
      { name: 'rgw1', addresses: [`${gatewayHosts[0]}:2427`] },
      { name: 'rgw2', addresses: ['127.0.0.13:2427'] },
      { name: 'rgw3', addresses: ['127.0.0.14:2427'] },
    ];
    const lines = [at('200', 'aaln/1@rgw1')];
    const peers = () => world.roles.get(primaryHost)?.peers();
    expect(reload(world, lines, { gateways })?.slice(0, 2)).toEqual(['gateway rgw2 changed', 'gateway rgw3 added']);
    expect(reload(world, lines, { gateways })).toEqual([]);
    expect(peers()).toMatchObject([
      { addresses: [{ host: '127.0.0.11' }] },
      { addresses: [{ host: '127.0.0.13' }] },
      { addresses: [{ host: '127.0.0.14' }] },
    ]);
    expect(reload(world, lines, { gateways: gateways.slice(0, 1) })).toEqual([
      'gateway rgw2 removed',
      'gateway rgw3 removed',
    ]);
    expect(peers()).toHaveLength(1);
  });
});

describe('MGCP: lines of a reloaded configuration', () => {
  it('a number moved to another endpoint rings there, and there alone', async () => {
    const world = await up();
    const lines = [at('201', 'aaln/2@rgw1'), at('200', 'AALN/3@rgw1'), ...others];
    expect(reload(world, lines)).toEqual(['line 200 moved from aaln/1@rgw1 to AALN/3@rgw1', 'line 202 removed']);
    expect(reload(world, lines)).toEqual([]);
    await world.run(1_000);
    await call(world, '203', '200');
    expect([world.line('202').hears, world.line('200').hears]).toEqual(['L/rg', '']);
    world.line('202').offHook();
    await world.run(500);
    expect(world.talking('203', '202')).toBe(true);
  });

  it('a number moved while it talks: its party hears a tone, nothing is left at the old endpoint', async () => {
    const world = await up();
    await call(world, '200', '203');
    world.line('203').offHook();
    await world.run(500);
    expect(world.talking('200', '203')).toBe(true);
    reload(world, [at('201', 'aaln/2@rgw1'), at('200', 'aaln/3@rgw1'), ...others]);
    await world.run(1_000);
    expect([world.line('200').connections.size, world.line('203').connections.size]).toEqual([0, 0]);
    expect(world.line('203').hears).toBe('L/ro');
    expect(world.calls(primaryHost)).toEqual([]);
  });

  it('two numbers that change places, and a number that is another one now', async () => {
    const world = await up();
    const lines = [at('200', 'aaln/2@rgw1'), at('201', 'aaln/1@rgw1'), at('300', 'aaln/3@rgw1'), ...others];
    expect(reload(world, lines)).toEqual([
      'line 200 moved from aaln/1@rgw1 to aaln/2@rgw1',
      'line 201 moved from aaln/2@rgw1 to aaln/1@rgw1',
      'line 202 removed',
      'line 300 added',
    ]);
    await world.run(2_000);
    for (const [number, rings] of [
      ['200', '201'],
      ['201', '200'],
      ['300', '202'],
    ] as const) {
      await call(world, '203', number);
      expect(world.line(rings).hears, number).toBe('L/rg');
      world.line('203').onHook();
      await world.run(500);
      expect(world.line(rings).hears).toBe('');
    }
  });
});
