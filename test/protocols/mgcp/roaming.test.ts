/** `addresses: any`: gateways of an access network that gives out addresses are known by the domain in their endpoint names. */
import { afterEach, describe, expect, it } from 'vitest';
import { mgcpConfigSchema } from '../../../protocols/mgcp/config.ts';
import { reached } from '../../support/reached.ts';
import { backupHost, gatewayHosts, primaryHost, World } from './world.ts';

const numbers = ['200', '201', '202', '203'] as const;
const config = { gateways: ['rgw1', 'rgw2'].map((name) => ({ name, addresses: 'any' })) };

let open: World | undefined;

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

async function up(): Promise<World> {
  open = await World.up({ config });
  return open;
}

const until = (world: World, holds: () => boolean, limitMs = 15_000): Promise<boolean> =>
  reached(world, holds, limitMs);

async function talk(world: World, from = '200', to = '202'): Promise<void> {
  const a = world.line(from);
  const b = world.line(to);
  a.offHook();
  expect(await until(world, () => a.hears === 'L/dl')).toBe(true);
  a.dial(to, 60);
  expect(await until(world, () => b.hears === 'L/rg')).toBe(true);
  b.offHook();
  expect(await until(world, () => world.talking(from, to))).toBe(true);
}

async function hangUp(world: World): Promise<void> {
  world.line('200').onHook();
  expect(await until(world, () => world.line('202').hears !== '')).toBe(true);
  world.line('202').onHook();
  await world.run(10_000);
  for (const number of numbers) expect(world.line(number)).toMatchObject({ hook: 'on', hears: '' });
  for (const number of numbers) expect(world.line(number).connections.size).toBe(0);
  for (const host of world.roles.keys()) expect(world.calls(host)).toEqual([]);
}

/** A program at this address that says a gateway's name, and answers whatever it is asked. */
async function stranger(world: World, host: string, name: string): Promise<{ say(): void; heard: string[] }> {
  const heard: string[] = [];
  const listener = await world.network.host(host).bind(
    { transport: 'udp', host, port: 2427 },
    {},
    {
      received(bytes, flow) {
        const text = bytes.toString('latin1');
        heard.push(text);
        const [, id] = /^AUEP (\d+)/.exec(text) ?? [];
        if (id !== undefined) flow.send(Buffer.from(`200 ${id} OK\n`));
      },
      failed() {},
    },
  );
  let id = 7_000;
  return {
    heard,
    say() {
      id += 1;
      listener
        .flowTo({ host: primaryHost, port: 2727 })
        .send(Buffer.from(`RSIP ${id} *@${name} MGCP 1.0\nRM: restart\n`));
    },
  };
}

describe('a gateway known by its name', () => {
  it('is served wherever it says its name and answers', async () => {
    const world = await up();
    await talk(world);
    await hangUp(world);
  });

  it('changes its address in the middle of a call: the call goes on, and ends from either side', async () => {
    for (const [gateway, to] of [
      [0, '127.0.0.21'],
      [1, '127.0.0.22'],
    ] as const) {
      const world = await up();
      await talk(world);
      world.network.renumber(gatewayHosts[gateway], to);
      await world.run(1_000);
      // What it does next comes from the new address.
      world.line(gateway === 0 ? '201' : '203').offHook();
      expect(await until(world, () => world.line(gateway === 0 ? '201' : '203').hears === 'L/dl')).toBe(true);
      world.line(gateway === 0 ? '201' : '203').onHook();
      await world.run(1_000);
      expect(world.talking('200', '202')).toBe(true);
      await hangUp(world);
      await talk(world, '203', '201');
      await world.stop();
    }
    open = undefined;
  });

  it('is not taken over by a stranger who says its name elsewhere while it lives', async () => {
    const world = await up();
    await talk(world);
    const other = await stranger(world, '127.0.0.66', 'rgw1');
    for (let turn = 0; turn < 20; turn += 1) {
      other.say();
      await world.run(500);
    }
    // It was asked, and answered; nothing else was said to it.
    expect(other.heard.length).toBeGreaterThan(0);
    for (const text of other.heard) expect(text).toMatch(/^(?:AUEP \d+ \*@rgw1|100 \d+) /);
    expect(world.talking('200', '202')).toBe(true);
    await hangUp(world);
  });

  it('and its call survive the death of the primary: the backup knows where it is', async () => {
    const world = await up();
    world.network.renumber(gatewayHosts[0], '127.0.0.21');
    world.line('200').offHook();
    expect(await until(world, () => world.line('200').hears === 'L/dl')).toBe(true);
    world.line('200').onHook();
    await world.run(1_000);
    await talk(world);
    world.kill(primaryHost);
    expect(await until(world, () => numbers.every((number) => world.owner(number) === backupHost))).toBe(true);
    expect(world.talking('200', '202')).toBe(true);
    await hangUp(world);
  });

  it('is written as any, alone in its list too, and as a flag', () => {
    const parse = (gateway: unknown) => mgcpConfigSchema.parse({ gateways: [gateway] }).gateways[0];
    for (const gateway of [{ name: 'rgw1', addresses: 'any' }, { name: 'rgw1', addresses: ['any'] }, 'rgw1=any'])
      expect(parse(gateway)).toMatchObject({ name: 'rgw1', addresses: 'any' });
    expect(parse('rgw1=192.0.2.1')).toMatchObject({ addresses: [{ host: '192.0.2.1' }] });
    expect(() => parse({ name: 'rgw1', addresses: 'anywhere' })).toThrow(/any: known by its name/);
    expect(() => parse({ name: 'rgw1', addresses: [] })).toThrow();
  });
});
