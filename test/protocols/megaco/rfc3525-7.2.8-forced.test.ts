import { describe, expect, it } from 'vitest';
import { encode } from '../../../protocols/megaco/codec/codec.ts';
import { matchesTermination } from '../../../protocols/megaco/termination-pattern.ts';
import { playCall } from './call-script.ts';
import { gatewayHosts, primaryHost, World, type WorldOptions } from './world.ts';

/** 200 calls 202, which rings, or answers. */
async function inCall(answered: boolean, options: WorldOptions = {}): Promise<World> {
  const world = await World.up({ backup: false, ...options });
  world.line('200').offHook();
  await world.run(50);
  world.line('200').dial('202');
  await world.run(100);
  if (answered) world.line('202').offHook();
  await world.run(200);
  expect(world.line('200').contextId).not.toBe(0);
  expect(world.line('202').contextId).not.toBe(0);
  return world;
}

/** ServiceChange of a gateway's terminations, as its second voice; what is answered comes back. */
async function announce(
  world: World,
  gateway: number,
  terminationId: string,
  method: 'Forced' | 'Restart' | 'Graceful',
  delay?: number,
): Promise<string> {
  const bytes = encode(
    {
      version: 1,
      mId: `gw${gateway + 1}`,
      body: {
        kind: 'transactions',
        transactions: [
          {
            kind: 'request',
            transactionId: 1 + (Math.floor(world.clock.now()) % 1_000_000),
            actions: [
              {
                contextId: 0,
                commands: [
                  {
                    verb: 'ServiceChange',
                    terminationId,
                    descriptors: [
                      { kind: 'Services', method, delay, address: '2944', reason: '904 Termination malfunctioning' },
                    ],
                  },
                ],
              },
            ],
          },
        ],
      },
    },
    { encoding: 'compact', version: 1 },
  );
  const host = gatewayHosts[gateway] ?? '';
  const heard: string[] = [];
  const listener = await world.network
    .host(host)
    .bind(
      { transport: 'udp', host, port: 2_955 },
      {},
      { received: (reply) => heard.push(reply.toString()), failed: () => undefined },
    );
  listener.flowTo({ host: primaryHost, port: 2944 }).send(bytes);
  await world.run(200);
  await listener.close();
  return heard.join('');
}

describe('RFC 3525 §7.2.8, Forced: the controller subtracts the termination that failed', () => {
  it.each([
    ['the caller while it rings', false, 0, 'aaln/1', '202'],
    ['the callee while it rings', false, 1, 'aaln/1', '200'],
    ['the caller in a call', true, 0, 'aaln/1', '202'],
    ['the callee in a call', true, 1, 'aaln/1', '200'],
    ['all lines by a wildcard', true, 0, 'aaln/*', '202'],
    ['everything', true, 0, '*', '202'],
    ['the ephemeral termination', true, 0, 'rtp/*', '202'],
  ] as const)('%s', async (_name, answered, gateway, pattern, other) => {
    const world = await inCall(answered);
    const [failed, survivor] = [world.gateways[gateway], world.gateways[1 - gateway]];
    expect(await announce(world, gateway, pattern, 'Forced')).toContain('SC=');
    await world.run(1_000);
    expect(failed?.lines.map(({ contextId }) => contextId)).toEqual([0, 0]);
    expect(failed?.contexts.size).toBe(0);
    expect(failed?.contexts.ephemerals).toBe(0);
    // The other party is told: it rings no more, or hears a tone.
    if (world.line(other).hook === 'on') expect(world.line(other).signal).toBeUndefined();
    else expect(world.line(other).signal).toMatch(/^cg\/[bc]t$/);
    for (const number of ['200', '202']) world.line(number).onHook();
    await world.run(1_000);
    expect(survivor?.contexts.size).toBe(0);
    expect(world.calls(primaryHost)).toEqual([]);
  });

  it('while its Add is under way: the context that comes of it ends as well', async () => {
    const world = await World.up({ backup: false, conditions: { latencyMs: 40 } });
    world.line('200').offHook();
    await world.run(200);
    world.line('200').dial('202');
    // The controller has the digits, its Add is on the way.
    await world.run(60);
    await announce(world, 0, 'aaln/1', 'Forced');
    await world.run(2_000);
    expect(world.gateways[0]?.contexts.size).toBe(0);
  });

  it('a Restart afterwards brings it back', async () => {
    const world = await inCall(true);
    await announce(world, 0, 'aaln/1', 'Forced');
    await world.run(500);
    for (const number of ['200', '202']) world.line(number).onHook();
    await world.run(500);
    const [first] = world.gateways;
    for (const line of first?.lines ?? []) line.reset();
    await announce(world, 0, 'aaln/*', 'Restart');
    await world.run(500);
    expect((await playCall(world, '200', '203')).stuckAt).toBeUndefined();
    expect(world.ephemerals).toBe(0);
  });
});

describe('RFC 3525 §6.2.2: wildcards in termination ids', () => {
  it.each([
    ['*', 'aaln/1', true],
    ['aaln/*', 'aaln/12', true],
    ['aaln/*', 'rtp/1', false],
    ['*/1', 'aaln/1', true],
    ['*/1', 'aaln/2', false],
    ['a/*/c*', 'a/b/c/d', true],
    ['a/*/c*/d', 'a/b/c', false],
    ['aa*aa', 'aaa', false],
    ['aaln/1', 'aaln/1', true],
    ['aaln/1', 'aaln/11', false],
  ])('%s and %s: %s', (pattern, id, matched) => expect(matchesTermination(pattern, id)).toBe(matched));
});

describe('RFC 3525 §7.2.8, Graceful: established connections stay, new ones are not made', () => {
  it.each(['aaln/1', 'aaln/*', 'ROOT'])(
    '%s: the call goes on, a call to the line is refused, a Restart ends it',
    async (of) => {
      const world = await inCall(true);
      expect(await announce(world, 1, of, 'Graceful')).toContain('SC=');
      await world.run(500);
      expect(world.talking('200', '202')).toBe(true);
      for (const number of ['200', '202']) world.line(number).onHook();
      await world.run(500);
      expect(world.idle('200', '202')).toBe(true);
      world.line('201').offHook();
      await world.run(50);
      world.line('201').dial('202');
      await world.run(200);
      expect(world.line('202').signal).toBeUndefined();
      expect(world.line('201').signal).toMatch(/^cg\/[bc]t$/);
      world.line('201').onHook();
      // Who lifts the handset hears that no call can be begun.
      world.line('202').offHook();
      await world.run(200);
      expect(world.line('202').signal).toMatch(/^cg\/[bc]t$/);
      world.line('202').onHook();
      if (of === 'ROOT') world.gateways[1]?.restart();
      else await announce(world, 1, of, 'Restart');
      await world.run(500);
      expect((await playCall(world, '201', '202')).stuckAt).toBeUndefined();
      expect(world.ephemerals).toBe(0);
    },
  );
});

describe('RFC 3525 §7.2.8, Restart: "service will be restored … after expiration of the ServiceChangeDelay"', () => {
  it.each(['aaln/1', 'aaln/*', 'ROOT'])('%s: calls are over, the line is armed when the delay is over', async (of) => {
    const world = await inCall(true);
    const [gateway] = world.gateways;
    gateway?.contexts.clear();
    for (const line of gateway?.lines ?? []) if (of !== 'aaln/1' || line.id === of) line.reset();
    expect(await announce(world, 0, of, 'Restart', 10)).toContain('SC=');
    await world.run(5_000);
    expect(world.line('202').signal).toMatch(/^cg\/[bc]t$/);
    expect(world.idle('200')).toBe(false);
    for (const number of ['200', '202']) world.line(number).onHook();
    await world.run(6_000);
    expect(world.idle('200', '201', '202', '203')).toBe(true);
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  });

  it('said again with another delay, the last one counts', async () => {
    const world = await World.up({ backup: false });
    world.gateways[0]?.lines[0]?.reset();
    await announce(world, 0, 'aaln/1', 'Restart', 5);
    await announce(world, 0, 'aaln/1', 'Restart', 20);
    await world.run(10_000);
    expect(world.idle('200')).toBe(false);
    await announce(world, 0, 'aaln/1', 'Restart');
    expect(world.idle('200')).toBe(true);
  });
});

describe('RFC 3525 §7.1.8: a termination whose description the gateway does not tell', () => {
  it('is subtracted, and the call is refused', async () => {
    const world = await World.up({ backup: false, gateway: { leavesOutLocal: true } });
    world.line('200').offHook();
    await world.run(50);
    world.line('200').dial('202');
    await world.run(1_000);
    expect(world.line('200').signal).toBe('cg/ct');
    world.line('200').onHook();
    await world.run(1_000);
    expect(world.ephemerals).toBe(0);
    expect(world.idle('200', '202')).toBe(true);
  });
});
