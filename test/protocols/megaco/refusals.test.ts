import { describe, expect, it } from 'vitest';
import type { ErrorDescriptor } from '../../../protocols/megaco/codec/messages.ts';
import { reached } from '../../support/reached.ts';
import { playCall } from './call-script.ts';
import { primaryHost, World } from './world.ts';

/** RFC 3525 §13.2 and later ones of H.248.8, with codes that nobody has defined. */
const codes = [
  ...[400, 401, 402, 403, 406, 410, 411, 412, 421, 422, 430, 431, 432, 433, 434, 435],
  ...Array.from({ length: 20 }, (_, index) => 440 + index),
  ...[500, 501, 502, 503, 504, 505, 506],
  ...Array.from({ length: 26 }, (_, index) => 510 + index),
  ...[540, 581, 600, 899],
];

type Level = 'lastCommand' | 'action';

/**
 * The gateways refuse the `at`th transaction of a call with this error: in its last command, the others are executed; or in its first
 * action, nothing is.
 */
function refuse(world: World, level: Level, code: number, at: number): { text: string | undefined } {
  const refused: { text: string | undefined } = { text: undefined };
  let count = 0;
  for (const { contexts } of world.gateways) {
    const execute = contexts.execute.bind(contexts);
    contexts.execute = (actions) => {
      count += 1;
      const last = actions.at(-1);
      const command = last?.commands.at(-1);
      if (count !== at || last === undefined || command === undefined) return execute(actions);
      refused.text = actions.flatMap(({ commands }) => commands.map(({ verb }) => verb)).join(' ');
      const error: ErrorDescriptor = { kind: 'Error', code, text: 'refused' };
      if (level === 'action') return [{ contextId: actions[0]?.contextId ?? 0, commands: [], error }];
      const before = [...actions.slice(0, -1), { ...last, commands: last.commands.slice(0, -1) }];
      const done = execute(before.filter(({ commands }) => commands.length > 0));
      const reply = { verb: command.verb, terminationId: command.terminationId, descriptors: [error] };
      const tail = last.commands.length > 1 ? done.at(-1) : undefined;
      return tail === undefined
        ? [...done, { contextId: last.contextId, commands: [reply] }]
        : [...done.slice(0, -1), { ...tail, commands: [...tail.commands, reply] }];
    };
  }
  return refused;
}

async function refusedOnce(level: Level, code: number, at: number): Promise<readonly string[]> {
  const world = await World.up({ backup: false });
  const problems: string[] = [];
  const refused = refuse(world, level, code, at);
  await playCall(world, '200', '202', { patienceMs: 1_500 });
  for (const number of ['200', '202']) world.line(number).onHook();
  await world.run(60_000);
  if (!world.idle('200', '201', '202', '203')) problems.push('lines are not idle');
  if (world.ephemerals > 0) problems.push('ephemerals are left');
  if (world.calls(primaryHost).length > 0) problems.push('a call is left');
  for (const [from, to] of [
    ['200', '202'],
    ['202', '200'],
  ] as const) {
    const { stuckAt } = await playCall(world, from, to, { patienceMs: 3_000 });
    if (stuckAt !== undefined) problems.push(`${from} calls ${to}: no ${stuckAt}`);
  }
  await world.stop();
  return problems.map((problem) => `${code} in the ${level} of ${refused.text} (${at}): ${problem}`);
}

describe('RFC 3525 §8.2.2: an error may cost its call, and no line', () => {
  it.each(['lastCommand', 'action'] as const)(
    'whatever error, to whatever transaction of a call: %s',
    async (level) => {
      const problems: string[] = [];
      const isOdd = level === 'action';
      for (const [index, code] of codes.entries())
        if (index % 4 === (isOdd ? 1 : 3)) problems.push(...(await refusedOnce(level, code, 1 + ((index >> 2) % 8))));
      expect(problems).toEqual([]);
    },
  );

  it('a called line whose gateway has no room for its media rings again afterwards', async () => {
    const world = await World.up({ backup: false, gateway: { addFaults: [] } });
    world.line('200').offHook();
    await world.run(50);
    // The caller has its media; the second Add of this call is refused, when the line is in the context already.
    const refused = refuse(world, 'lastCommand', 510, 2);
    world.line('200').dial('202');
    await world.run(500);
    expect(refused.text).toBe('Add Add');
    expect(world.line('200').signal).toBe('cg/ct');
    world.line('200').onHook();
    await world.run(5_000);
    expect(world.idle('200', '202')).toBe(true);
    expect((await playCall(world, '203', '201')).stuckAt).toBeUndefined();
    expect((await playCall(world, '200', '202')).stuckAt).toBeUndefined();
  });

  it('media of the caller that had to be made anew while it rang are where the callee sends to', async () => {
    const world = await World.up({ backup: false });
    const [a, b] = [world.line('200'), world.line('202')];
    const contexts = world.gateways[0]?.contexts;
    if (contexts === undefined) throw new Error('no gateway');
    const execute = contexts.execute.bind(contexts);
    let isLost = false;
    contexts.execute = (actions) => {
      const isModified = actions.some(({ commands }) =>
        commands.some(({ verb, terminationId }) => verb === 'Modify' && terminationId.startsWith('rtp/')),
      );
      if (isModified && !isLost) {
        isLost = true;
        contexts.clear();
        for (const line of world.gateways[0]?.lines ?? []) line.reset();
      }
      return execute(actions);
    };
    a.offHook();
    await world.run(50);
    a.dial('202');
    await world.run(500);
    expect([isLost, a.signal, b.signal]).toEqual([true, 'cg/rt', 'al/ri']);
    b.offHook();
    expect(await reached(world, () => world.talking('200', '202'), 1_000)).toBe(true);
  });
});
