import { expect, it } from 'vitest';
import type { GatewayHabits } from '../../../protocols/mgcp/gateway/habits.ts';
import { isIdle } from '../../../protocols/mgcp/gateway/simulation.ts';
import { reached } from '../../support/reached.ts';
import { backupHost, primaryHost, World } from './world.ts';

const numbers = ['200', '201', '202', '203'] as const;
const items = ['I', 'X', 'R', 'S', 'ES'];

/** What a gateway may leave out when it is audited: every subset, with and without AuditConnection. */
const kinds: readonly GatewayHabits[] = Array.from({ length: 64 }, (_, bits) => ({
  audits: items.filter((_item, index) => ((bits >> index) & 1) === 1),
  auditsConnections: bits >= 32,
}));

/** Does it tell in which call its connections are? */
const tellsCall = ({ audits = items, auditsConnections }: GatewayHabits): boolean =>
  audits.includes('X') || (audits.includes('I') && auditsConnections !== false);

async function takenOver(one: GatewayHabits, two: GatewayHabits): Promise<readonly string[]> {
  const world = await World.up({ gatewayOf: { 0: { habits: one }, 1: { habits: two } } });
  const [a, b] = [world.line('200'), world.line('202')];
  const until = (holds: () => boolean) => reached(world, holds, 4_000);
  const problems: string[] = [];
  const note = (holds: boolean, problem: string) => {
    if (!holds) problems.push(`${JSON.stringify([one, two])}: ${problem}`);
  };
  try {
    a.offHook();
    await until(() => a.hears === 'L/dl');
    a.dial('202');
    await until(() => b.hears === 'L/rg');
    b.offHook();
    note(await until(() => world.talking('200', '202')), 'no talk path');
    await world.run(1_000);
    world.kill(primaryHost);
    await world.run(12_000);
    note(world.talking('200', '202'), 'the call is lost');
    a.onHook();
    const isTold = await until(() => b.connections.size === 0);
    if (tellsCall(one) && tellsCall(two)) note(isTold, 'the other party does not hear the end');
    b.onHook();
    await world.run(15_000);
    for (const number of numbers) note(isIdle(world.line(number)), `${number} is not idle`);
    note(world.calls(backupHost).length === 0, 'a call is left');
    world.line('203').offHook();
    note(await until(() => world.line('203').hears === 'L/dl'), 'no dial tone');
    world.line('203').dial('201');
    note(await until(() => world.line('201').hears === 'L/rg'), 'no bell');
    return problems;
  } finally {
    await world.stop();
  }
}

it('RFC 3435 §2.3.10: whatever gateways leave out of their audits, who talks goes on, and no line is dead afterwards', async () => {
  const problems: string[] = [];
  // Every third of them, beside one of its like, one that tells everything, and one that tells something else.
  for (const [index, kind] of kinds.entries()) {
    if (index % 3 !== 1) continue;
    const other = index % 9 === 1 ? kind : index % 9 === 4 ? {} : (kinds[(index * 37 + 11) % kinds.length] ?? {});
    problems.push(...(await takenOver(kind, other)));
  }
  expect(problems).toEqual([]);
}, 60_000);
