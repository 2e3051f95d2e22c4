import { describe, expect, it } from 'vitest';
import { playCall } from './call-script.ts';
import { backupHost, primaryHost, World } from './world.ts';

/** The gateway refuses every command for this termination with this error while `refuses` says so. */
function refuse(world: World, termination: string, code: number, refuses: () => boolean): void {
  const contexts = world.gateways[0]?.contexts;
  if (contexts === undefined) throw new Error('no gateway');
  const execute = contexts.execute.bind(contexts);
  contexts.execute = (actions) => {
    const concerned = actions.some(({ commands }) =>
      commands.some(({ verb, terminationId }) => verb !== 'AuditValue' && terminationId === termination),
    );
    if (!concerned || !refuses()) return execute(actions);
    return actions.map(({ contextId }) => ({
      contextId,
      commands: [],
      error: { kind: 'Error', code, text: 'refused' },
    }));
  };
}

describe('RFC 3525 §8.2.2: an error is about the command that it answers, not about the gateway', () => {
  it.each([402, 504])('error %i to the commands of one line costs this line alone', async (code) => {
    const world = await World.up();
    let refuses = true;
    refuse(world, 'aaln/1', code, () => refuses);
    world.line('200').offHook();
    await world.run(5_000);
    expect(world.line('200').signal).toBeUndefined();
    expect(world.roles.get(primaryHost)?.peers()).toContainEqual(
      expect.objectContaining({ name: 'gw1', state: 'up', ours: true }),
    );
    expect((await playCall(world, '201', '202')).stuckAt).toBeUndefined();
    refuses = false;
    world.line('200').onHook();
    await world.run(60_000);
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  });

  it('a command of one line without an answer costs this line alone, while its gateway speaks', async () => {
    const world = await World.up({ config: { timers: { tMaxMs: 3_000 } } });
    let swallows = true;
    world.network.onArrival(({ to, bytes }) => {
      const text = bytes.toString('latin1');
      return swallows && to.host === '127.0.0.11' && text.includes('aaln/1') && text.includes('MF=')
        ? 'drop'
        : undefined;
    });
    world.line('200').offHook();
    world.line('201').offHook();
    await world.run(100);
    world.line('201').dial('202');
    await world.run(1_000);
    world.line('202').offHook();
    await world.run(1_000);
    expect(world.talking('201', '202')).toBe(true);
    await world.run(4_000);
    expect(world.talking('201', '202')).toBe(true);
    swallows = false;
    await world.run(10_000);
    expect(world.line('200').signal).toBe('cg/dt');
    for (const number of ['200', '201', '202']) world.line(number).onHook();
    await world.run(1_000);
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  });
});

const controllers = [primaryHost, backupHost].map((host) => ({ transport: 'udp' as const, host, port: 2944 }));

it('RFC 3525 §11.5: a gateway that restarts in the middle of its audit is armed, and its lines work', async () => {
  for (const wait of [0, 10, 20, 30]) {
    const world = await World.up({ conditions: { latencyMs: 10 }, gateway: { controllers } });
    world.kill(primaryHost);
    let restarted = false;
    world.network.onArrival(({ from, to, bytes }) => {
      if (restarted || from.host !== backupHost || to.host !== '127.0.0.11') return;
      if (!bytes.toString('latin1').includes('AV=')) return;
      restarted = true;
      world.clock.after(wait, () => world.gateways[0]?.restart());
    });
    world.line('200').offHook();
    await world.run(500);
    world.line('200').onHook();
    await world.run(15_000);
    expect(restarted).toBe(true);
    expect(world.roles.get(backupHost)?.peers()).toContainEqual(
      expect.objectContaining({ name: 'gw1', state: 'up', ours: true }),
    );
    expect(world.idle('200', '201')).toBe(true);
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  }
});
