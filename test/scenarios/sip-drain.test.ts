/**
 * The primary is drained at every single message of every flow, and ends when its drain is over. Nothing is lost: not behind edges, and
 * not to a plain telephone that hangs on the primary itself and answers to it alone, as long as the drain may take.
 */
import { describe, expect, it } from 'vitest';
import { type Flow, flows } from '../support/sip-flows.ts';
import { leavings, runAllMoments } from '../support/sip-kill.ts';

/** A plain callee sends requests to the primary alone, which has to be back for them. */
const asksOnlyCaller = ({ callee = [] }: Flow): boolean => callee.length === 0;

/** Who registers is told to come back later (RFC 3261 §21.5.4). */
const calls = flows.filter(({ name }) => name !== 'register');

/** `ALTPATH_FULL=1` plays every message, else every so-manieth. */
const isFull = process.env['ALTPATH_FULL'] !== undefined;

describe('RFC 3261 §17: the primary is drained at every single message, telephones behind edges', () => {
  for (const flow of flows)
    for (const how of isFull ? leavings : (['drain', 'drain, deaf'] as const))
      it(`${flow.name}: ${how}`, async () => {
        const row = await runAllMoments(flow, how, { stride: isFull ? 1 : 9 });
        expect(row.failures).toEqual([]);
      });
});

describe('RFC 3261 §17: the primary is drained at every single message, plain callees on the primary itself', () => {
  for (const flow of calls)
    for (const how of leavings.filter((each) =>
      each === 'drain, no ICMP' && !isFull ? false : each === 'drain and restart' || asksOnlyCaller(flow),
    ))
      it(`${flow.name}: ${how}`, async () => {
        const row = await runAllMoments(flow, how, { stride: isFull ? 1 : 4, isDirect: true });
        expect(row.failures).toEqual([]);
      });
});
