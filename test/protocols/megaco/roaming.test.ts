/** `addresses: any`: gateways of an access network that gives out addresses are known by their mId (RFC 3525 §8.1.2), and by their signature where they have one. */
import { describe, expect, it } from 'vitest';
import { sign } from '../../../protocols/megaco/authentication.ts';
import { megacoConfigSchema } from '../../../protocols/megaco/config.ts';
import { reached } from '../../support/reached.ts';
import { playCall } from './call-script.ts';
import { backupHost, gatewayHosts, primaryHost, World } from './world.ts';

const gatewayConfig = { addresses: 'any' };
const numbers = ['200', '201', '202', '203'] as const;

const until = (world: World, holds: () => boolean, limitMs = 15_000): Promise<boolean> =>
  reached(world, holds, limitMs);

/** A program at this address that says what it is told to, and answers every question. */
async function stranger(world: World, host: string) {
  const heard: string[] = [];
  const listener = await world.network.host(host).bind(
    { transport: 'udp', host, port: 2944 },
    {},
    {
      received(bytes, flow) {
        const text = bytes.toString('latin1');
        heard.push(text);
        const [, id] = /T(?:ransaction)?\s*=\s*(\d+)/.exec(text) ?? [];
        if (id !== undefined) flow.send(Buffer.from(`!/1 gw1 P=${id}{C=-{AV=ROOT}}`));
      },
      failed() {},
    },
  );
  const flow = listener.flowTo({ host: primaryHost, port: 2944 });
  return {
    heard,
    says: async (bytes: string | Buffer, ms = 50) => {
      flow.send(Buffer.from(bytes));
      await world.run(ms);
    },
  };
}

const restart = (id: number) => `!/1 gw1 T=${id}{C=-{SC=ROOT{SV{MT=RS,V=1,RE="901 Cold Boot"}}}}`;

describe('a gateway known by its name', () => {
  it('is served wherever it says its name and answers', async () => {
    const world = await World.up({ gatewayConfig });
    expect(await playCall(world, '200', '202')).toEqual({ redialled: 0, stuckAt: undefined });
    expect(world.idle(...numbers)).toBe(true);
  });

  it.each([
    ['caller', 0, '201', '127.0.0.21'],
    ['callee', 1, '203', '127.0.0.22'],
  ] as const)(
    'of the %s changes its address in the middle of a call: the call goes on, and ends',
    async (_who, gateway, other, to) => {
      const world = await World.up({ gatewayConfig });
      let went = false;
      const outcome = await playCall(world, '200', '202', {
        during: (phase) => {
          if (phase !== 'talking' || went) return;
          went = true;
          world.network.renumber(gatewayHosts[gateway], to);
          // What it does next comes from the new address.
          world.line(other).offHook();
        },
      });
      expect(went).toBe(true);
      expect(outcome.stuckAt).toBeUndefined();
      expect(await until(world, () => world.line(other).signal !== undefined)).toBe(true);
      world.line(other).onHook();
      expect(await until(world, () => world.idle(...numbers))).toBe(true);
      expect(world.ephemerals).toBe(0);
      expect(await playCall(world, '203', '201')).toEqual({ redialled: 0, stuckAt: undefined });
    },
  );

  it('is not taken over by a stranger who says its name elsewhere while it lives', async () => {
    const world = await World.up({ gatewayConfig });
    const other = await stranger(world, '127.0.0.66');
    const outcome = await playCall(world, '200', '202', {
      during: (phase) => {
        if (phase === 'ringing') void other.says(restart(7_001), 0);
      },
    });
    expect(outcome.stuckAt).toBeUndefined();
    for (let turn = 0; turn < 10; turn += 1) await other.says(restart(8_000 + turn), 700);
    expect(other.heard.length).toBeGreaterThan(0);
    for (const text of other.heard) expect(text).toMatch(/AuditValue|AV\s*=|PN=|Pending/);
    expect(await playCall(world, '200', '202')).toEqual({ redialled: 0, stuckAt: undefined });
  });

  it('and its call survive the death of the primary: the backup knows where it is', async () => {
    const world = await World.up({ gatewayConfig });
    world.network.renumber(gatewayHosts[0], '127.0.0.21');
    world.line('201').offHook();
    expect(await until(world, () => world.line('201').signal === 'cg/dt')).toBe(true);
    world.line('201').onHook();
    await world.run(1_000);
    let killed = false;
    const outcome = await playCall(world, '200', '202', {
      during: (phase) => {
        if (phase !== 'talking' || killed) return;
        killed = true;
        world.kill(primaryHost);
      },
    });
    expect(killed).toBe(true);
    expect(outcome.stuckAt).toBeUndefined();
    expect(await until(world, () => world.idle(...numbers))).toBe(true);
    expect(world.roles.get(backupHost)?.status()).toMatchObject({ gateways: 2 });
  });
});

describe('RFC 3525 §10.2 a gateway known by its name and its signature', () => {
  const security = { spi: '0000abcd', key: 'a shared key of both' };
  const association = { securityParmIndex: security.spi, key: security.key };
  const to = { host: primaryHost, port: 2944 };
  const signed = (text: string, sequence: number, host: string) =>
    sign(Buffer.from(text), association, sequence, { host, port: 2944 }, to);

  it('is where its last signed message came from, at once; a recorded or unsigned one moves nothing', async () => {
    const world = new World({ backup: false, gatewayConfig: { ...gatewayConfig, security } });
    await world.startController(primaryHost);
    const where = () =>
      world.roles
        .get(primaryHost)
        ?.peers()
        .find(({ name }) => name === 'gw1')?.['addresses'];
    const one = await stranger(world, '127.0.0.31');
    const other = await stranger(world, '127.0.0.32');
    const thief = await stranger(world, '127.0.0.33');
    const first = signed(restart(1), 1, '127.0.0.31');
    await one.says(first);
    expect(where()).toEqual(['udp:127.0.0.31:2944']);
    await other.says(signed(restart(2), 2, '127.0.0.32'));
    expect(where()).toEqual(['udp:127.0.0.32:2944']);
    expect(other.heard.some((text) => text.includes('P=2{') || /Reply\s*=\s*2\b/.test(text))).toBe(true);
    await thief.says(first);
    await thief.says(signed(restart(3), 3, '127.0.0.31'));
    await thief.says(restart(4));
    await world.run(10_000);
    expect(where()).toEqual(['udp:127.0.0.32:2944']);
    for (const text of thief.heard) expect(text).toMatch(/402/);
  });
});

describe('the configuration of a gateway known by its name', () => {
  it('is written as any, alone in its list too, and as a flag', () => {
    const parse = (gateway: unknown) => megacoConfigSchema.parse({ gateways: [gateway] }).gateways[0];
    for (const gateway of [{ name: 'gw1', addresses: 'any' }, { name: 'gw1', addresses: ['any'] }, 'gw1=any'])
      expect(parse(gateway)).toMatchObject({ name: 'gw1', addresses: 'any' });
    expect(parse('gw1=192.0.2.1')).toMatchObject({ addresses: [{ host: '192.0.2.1' }] });
    expect(() => parse({ name: 'gw1', addresses: 'anywhere' })).toThrow(/any: known by its name/);
  });
});
