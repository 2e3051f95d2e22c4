/**
 * A proxy without any partner is killed with 50 calls of plain telephones in all their phases, and started again: what the telephones
 * repeat by themselves (RFC 3261 §17) finds a proxy that keeps nothing per call. None is lost, none rings twice. Where its users are
 * survives as it does with `location: sqlite`.
 */
import { describe, expect, it } from 'vitest';
import { everybody } from '../support/sip-flows.ts';
import type { SimPhone } from '../support/sip-ua.ts';
import { domain, hosts, SipWorld } from '../support/sip-world.ts';

const calls = 50;
const everyMs = 100;
const downMs = 1_000;

const strikes = Array.from({ length: 12 }, (_, index) => 1_500 + index * 307);

const config = { domains: [domain] };

async function scene(ringMs: (index: number) => number) {
  const world = new SipWorld();
  await world.node(hosts.primary, { config });
  const pairs: { readonly caller: SimPhone; readonly callee: SimPhone }[] = [];
  for (let index = 0; index < calls; index += 1) {
    const caller = await world.phone({ address: `127.0.4.${index + 1}`, user: `a${index}`, edge: hosts.primary });
    const callee = await world.phone({
      address: `127.0.5.${index + 1}`,
      user: `b${index}`,
      edge: hosts.primary,
      ringMs: ringMs(index),
    });
    pairs.push({ caller, callee });
    for (const phone of [caller, callee]) phone.register();
  }
  await world.clock.advanceAsync(500);
  for (const phone of world.phones) phone.finals.length = 0;
  return { world, pairs };
}

describe('a lone proxy', () => {
  it.each(strikes)('killed %i ms after the first of 50 calls and back a second later loses none', async (strikeMs) => {
    const { world, pairs } = await scene((index) => (index % 6) * 300);
    const { clock, network } = world;
    pairs.forEach(({ caller, callee }, index) => {
      // Some hang up where they called, some where they were called.
      const ends = index % 5 === 4 ? callee : caller;
      ends.onConfirmed = (dialog) => clock.after(800, () => ends.bye(dialog));
      clock.after(index * everyMs, () => caller.call(`sip:b${index}@${domain}`));
    });
    clock.after(strikeMs, () => {
      network.silence(hosts.primary);
      network.crash(hosts.primary);
    });
    await clock.advanceAsync(strikeMs + downMs);
    network.revive(hosts.primary);
    await world.node(hosts.primary, { config });
    for (let passed = 0; passed < 120_000 && world.phones.some(({ busy }) => busy > 0); passed += 2_000)
      await clock.advanceAsync(2_000);
    await clock.advanceAsync(20_000);
    pairs.forEach(({ caller, callee }, index) => {
      const isCallees = index % 5 === 4;
      const told = { index, caller: [...caller.finals].sort(), callee: callee.finals, rang: [...callee.rung.values()] };
      expect(told).toEqual({
        index,
        caller: isCallees ? ['INVITE 200'] : ['BYE 200', 'INVITE 200'],
        callee: isCallees ? ['BYE 200'] : [],
        rang: [1],
      });
      expect([caller.served, callee.served]).toEqual(isCallees ? [['BYE'], []] : [[], ['BYE']]);
      expect([...caller.complaints, ...callee.complaints]).toEqual([]);
    });
    await clock.advanceAsync(60_000);
    expect(world.transactions(...everybody)).toBe(0);
    await world.stop();
  });
});
