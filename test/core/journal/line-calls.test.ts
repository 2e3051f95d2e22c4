/** Calls of gateways' lines in the journal, whichever protocol they speak: why they fail, and one id for a call that changes hands. */
import { describe, expect, it } from 'vitest';
import { callRow } from '../../../src/journal/call-row.ts';
import * as megaco from '../../protocols/megaco/world.ts';
import * as mgcp from '../../protocols/mgcp/world.ts';
import { logLines } from '../../support/log-lines.ts';
import { journalOf } from '../../support/services.ts';

const worlds = [
  ['mgcp', mgcp],
  ['megaco', megaco],
] as const;

describe.each(worlds)('calls of %s lines', (protocol, { World, primaryHost, backupHost }) => {
  const journal = (world: { network: mgcp.World['network'] }, host: string) =>
    journalOf(world.network.host(host).clock);

  it('are open while they last, and tell how they ended: talked, busy, unknown', async () => {
    const world = await World.up({});
    const calls = journal(world, primaryHost);
    const dial = async (from: string, number: string): Promise<void> => {
      world.line(from).offHook();
      await world.run(200);
      world.line(from).dial(number);
      await world.run(2_000);
    };
    await dial('200', '202');
    expect([...calls.open]).toMatchObject([{ protocol, stage: 'ringing', caller: '200', callee: '202' }]);
    world.line('202').offHook();
    await world.run(2_000);
    expect([...calls.open]).toMatchObject([{ stage: 'talking', callId: expect.any(String) }]);
    await dial('201', '200');
    expect(calls.failed()[0]).toMatchObject({ caller: '201', callee: '200', outcome: { reason: 'busy', cause: 17 } });
    world.line('201').onHook();
    await world.run(1_000);
    await dial('201', '999');
    expect(calls.failed()[0]).toMatchObject({ caller: '201', outcome: { reason: 'unknownNumber', cause: 1 } });
    world.line('200').onHook();
    await world.run(1_000);
    expect(calls.ended()[0]).toMatchObject({
      caller: '200',
      outcome: { reason: 'normal', cause: 16 },
      hasFailed: false,
    });
  });

  it('that a backup takes over have the same id there, and no beginning is made up', async () => {
    const world = await World.up({});
    world.line('200').offHook();
    await world.run(200);
    world.line('200').dial('202');
    await world.run(2_000);
    world.line('202').offHook();
    await world.run(2_000);
    const [before] = journal(world, primaryHost).open;
    if (before === undefined) throw new Error('no call');
    const { id } = callRow(before, 0, 0);
    world.kill(primaryHost);
    await world.run(20_000);
    const taken = journal(world, backupHost);
    expect([...taken.open]).toMatchObject([{ stage: 'talking', isAdopted: true }]);
    world.line('202').onHook();
    await world.run(3_000);
    const [ended] = taken.ended();
    if (ended === undefined) throw new Error('no call has ended');
    expect(callRow(ended, 0, 0)).toMatchObject({ isAdopted: true, failed: false, reason: 'normal' });
    // A termination keeps no id of its call: what is rebuilt from an audit of contexts is told by its parties.
    if (protocol === 'mgcp') expect(callRow(ended, 0, 0).id).toBe(id);
    else expect([ended.caller, ended.callee].toSorted()).toEqual(['200', '202']);
    expect(callRow(ended, 0, 0).begunMs).toBeUndefined();
  });
});

it('at debug, each number that is dialled says where it leads, or why not', async () => {
  const { log, lines } = logLines();
  const world = new mgcp.World({ backup: false, log });
  await world.startAgent(mgcp.primaryHost);
  await world.run(2_500);
  await world.startGateway(0);
  await world.startGateway(1);
  await world.run(2_000);
  for (const [from, number] of [
    ['200', '202'],
    ['201', '999'],
  ] as const) {
    world.line(from).offHook();
    await world.run(200);
    world.line(from).dial(number);
    await world.run(2_000);
    world.line(from).onHook();
    await world.run(2_000);
  }
  const said = (name: string) => lines.filter(({ event }) => event === name);
  expect(said('numberRouted')).toMatchObject([
    { number: '202', caller: '200', protocol: 'mgcp', contact: 'aaln/1@rgw2' },
  ]);
  expect(said('numberRefused')).toMatchObject([{ number: expect.stringMatching(/^9+$/), reason: 'unknownNumber' }]);
  expect(said('callEnded')).toMatchObject([{ caller: '200' }, { caller: '201', reason: 'unknownNumber' }]);
});
