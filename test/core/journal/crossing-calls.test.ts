/** A call between SIP and a line is one call in the journal, and the ids of both sides find it. */
import { afterEach, describe, expect, it } from 'vitest';
import { CrossingWorld, primaryHost, sipDomain } from '../../scenarios/crossing-world.ts';
import { journalOf } from '../../support/services.ts';

let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

describe.each(['200', '300'])('a crossing call with line %s', (line) => {
  it('from a SIP telephone: one call, found by the Call-ID and by the number', async () => {
    world = await CrossingWorld.up({ sip: {} });
    const phone = await world.phone('7001', '127.0.0.31', { answering: 'answer', ringMs: 1_000 });
    const journal = journalOf(world.network.host(primaryHost).clock);
    const callId = phone.call(`sip:${line}@${sipDomain}`);
    await world.run(500);
    world.telephone(line).offHook();
    await world.run(500);
    expect([...journal.open]).toMatchObject([{ protocol: 'sip', stage: 'talking', callee: line }]);
    expect(journal.find(callId)).toEqual([...journal.open]);
    expect(journal.find(line)).toEqual([...journal.open]);
    world.telephone(line).onHook();
    await world.run(40_000);
    expect(journal.open.size).toBe(0);
    expect(journal.ended()).toMatchObject([{ outcome: { reason: 'normal' }, hasFailed: false }]);
  });

  it('to a SIP telephone: one call', async () => {
    world = await CrossingWorld.up({ sip: {} });
    await world.phone('7001', '127.0.0.31', { answering: 'answer', ringMs: 1_000 });
    const journal = journalOf(world.network.host(primaryHost).clock);
    world.telephone(line).offHook();
    await world.run(300);
    world.telephone(line).dial('7001');
    await world.run(2_500);
    expect([...journal.open]).toMatchObject([{ stage: 'talking', caller: line }]);
    world.telephone(line).onHook();
    await world.run(40_000);
    expect(journal.ended()).toMatchObject([{ outcome: { reason: 'normal' }, hasFailed: false }]);
  });
});
