import { describe, expect, it } from 'vitest';
import type { CommandReply, Descriptor } from '../../../protocols/megaco/codec/messages.ts';
import { reached } from '../../support/reached.ts';
import { playCall } from './call-script.ts';
import { backupHost, primaryHost, World } from './world.ts';

/** What the gateways answer to an audit of one termination, made of what they should. */
function answers(world: World, say: (reply: CommandReply) => readonly Descriptor[]): void {
  for (const { contexts } of world.gateways) {
    const execute = contexts.execute.bind(contexts);
    contexts.execute = (actions) =>
      execute(actions).map((action) => ({
        ...action,
        commands: action.commands.map((reply) =>
          reply.verb === 'AuditValue' && reply.descriptors.length > 0 ? { ...reply, descriptors: say(reply) } : reply,
        ),
      }));
  }
}

/** 200 talks with 202 as the primary dies. */
async function takenOver(say: (reply: CommandReply) => readonly Descriptor[]): Promise<World> {
  const world = await World.up();
  world.line('200').offHook();
  await world.run(50);
  world.line('200').dial('202');
  await world.run(100);
  world.line('202').offHook();
  await world.run(300);
  expect(world.talking('200', '202')).toBe(true);
  answers(world, say);
  world.kill(primaryHost);
  // A gateway turns to the backup with whatever happens next.
  world.line('201').offHook();
  world.line('203').offHook();
  await world.run(10_000);
  for (const number of ['201', '203']) world.line(number).onHook();
  await world.run(1_000);
  return world;
}

async function isAsNew(world: World): Promise<void> {
  for (const number of ['200', '202']) world.line(number).onHook();
  await world.run(60_000);
  expect(world.idle('200', '201', '202', '203')).toBe(true);
  expect(world.ephemerals).toBe(0);
  expect(world.calls(backupHost)).toEqual([]);
  for (const [from, to] of [
    ['203', '201'],
    ['200', '202'],
  ] as const)
    expect((await playCall(world, from, to, { patienceMs: 3_000 })).stuckAt).toBeUndefined();
}

describe('RFC 3525 §7.2.5: audits that do not tell all', () => {
  it.each([[['Media']], [['Media', 'Events']], [['Media', 'Signals']]])(
    'of each termination its %j: who talks goes on, and no line is dead afterwards',
    async (kinds) => {
      const world = await takenOver(({ descriptors }) => descriptors.filter(({ kind }) => kinds.includes(kind)));
      expect(world.talking('200', '202')).toBe(true);
      world.line('200').onHook();
      expect(await reached(world, () => /^cg\/[bc]t$/.test(world.line('202').signal ?? ''), 3_000)).toBe(true);
      await isAsNew(world);
    },
  );

  it.each([[['Events', 'Signals']], [['Events']], [['Signals']]])('its %j: no line is dead', async (kinds) => {
    await isAsNew(await takenOver(({ descriptors }) => descriptors.filter(({ kind }) => kinds.includes(kind))));
  });

  it.each([510, 501, 526, 599])('error %i once for each termination: it is asked again', async (code) => {
    const refused = new Set<string>();
    const world = await takenOver(({ terminationId, descriptors }) => {
      if (refused.has(terminationId)) return descriptors;
      refused.add(terminationId);
      return [{ kind: 'Error', code, text: 'not now' }];
    });
    expect(world.talking('200', '202')).toBe(true);
    await isAsNew(world);
  });

  it('an error for one line, always: this line begins anew', async () => {
    const world = await takenOver(({ terminationId, descriptors }) =>
      terminationId === 'aaln/2' ? [{ kind: 'Error', code: 501, text: 'never' }] : descriptors,
    );
    expect(world.talking('200', '202')).toBe(true);
    await isAsNew(world);
  });
});
