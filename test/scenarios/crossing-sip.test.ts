import { afterEach, describe, expect, it } from 'vitest';
import type { SimPhone } from '../support/sip-ua.ts';
import { CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

/** Telephones that speak SIP, and lines of MGCP and MEGACO gateways, call each other through one controller (RFC 3261 §12, §13, §15). */
let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

const phoneHost = '127.0.0.31';

async function up(answering: SimPhone['answering'] = 'answer', ringMs = 1_000): Promise<SimPhone> {
  world = await CrossingWorld.up({ sip: {} });
  return world.phone('7001', phoneHost, { answering, ringMs });
}

/** Nothing of a call is left on any side. */
function leavesNothing(phone: SimPhone, line: string): void {
  expect(phone.complaints).toEqual([]);
  expect(phone.busy).toBe(0);
  expect([...phone.dialogs.values()].filter(({ state }) => state !== 'ended')).toEqual([]);
  expect(world.calls(primaryHost)).toBe(0);
  expect(world.telephone(line).isIdle()).toBe(true);
}

for (const line of ['200', '300']) {
  describe(`a SIP telephone calls line ${line}`, () => {
    it('rings it, talks both ways, and hangs up', async () => {
      const phone = await up();
      const seen: number[] = [];
      let final = 0;
      const callId = phone.call(
        `sip:${line}@${sipDomain}`,
        (status) => {
          final = status;
        },
        ({ status }) => seen.push(status),
      );
      await world.run(500);
      expect(world.telephone(line).hears()).toBe('ring');
      expect(seen).toContain(180);
      world.telephone(line).offHook();
      await world.run(500);
      expect(final).toBe(200);
      expect(world.telephone(line).media().sendsTo).toBe('127.0.0.1:40000');
      const dialog = phone.dialog(callId);
      expect(dialog?.state).toBe('confirmed');
      if (dialog !== undefined) phone.bye(dialog);
      await world.run(500);
      expect(phone.finals.at(-1)).toBe('BYE 200');
      expect(world.telephone(line).hears()).toBe('busy');
      world.telephone(line).onHook();
      await world.run(40_000);
      leavesNothing(phone, line);
    });

    it('ends when the line hangs up', async () => {
      const phone = await up();
      phone.call(`sip:${line}@${sipDomain}`);
      await world.run(500);
      world.telephone(line).offHook();
      await world.run(500);
      world.telephone(line).onHook();
      await world.run(40_000);
      expect(phone.served).toContain('BYE');
      leavesNothing(phone, line);
    });
  });

  describe(`line ${line} calls a SIP telephone`, () => {
    it('hears ringback, talks both ways, and hangs up', async () => {
      const phone = await up();
      world.telephone(line).offHook();
      await world.run(300);
      world.telephone(line).dial('7001');
      await world.run(700);
      expect(phone.rung.size).toBe(1);
      expect(world.telephone(line).hears()).toBe('ringback');
      await world.run(1_500);
      expect(world.telephone(line).media().sendsTo).toBe('127.0.0.1:40000');
      world.telephone(line).onHook();
      await world.run(40_000);
      expect(phone.served).toContain('BYE');
      leavesNothing(phone, line);
    });
  });
}

describe('a SIP telephone calls a line that does not answer', () => {
  it('hears busy from a line that is off-hook', async () => {
    const phone = await up();
    world.telephone('200').offHook();
    await world.run(300);
    phone.call(`sip:200@${sipDomain}`);
    await world.run(500);
    expect(phone.finals.at(-1)).toBe('INVITE 486');
    world.telephone('200').onHook();
    await world.run(40_000);
    leavesNothing(phone, '200');
  });

  it('is told that there is no such number', async () => {
    const phone = await up();
    phone.call(`sip:209@${sipDomain}`);
    await world.run(500);
    expect(phone.finals.at(-1)).toBe('INVITE 404');
  });

  for (const line of ['200', '300']) {
    it(`gives up: 487, and line ${line} rings no more`, async () => {
      const phone = await up();
      const callId = phone.call(`sip:${line}@${sipDomain}`);
      await world.run(500);
      phone.cancel(callId);
      await world.run(500);
      expect(phone.finals).toContain('INVITE 487');
      expect(phone.finals).toContain('CANCEL 200');
      await world.run(40_000);
      leavesNothing(phone, line);
    });

    it(`is told after two minutes that nobody answers at ${line}`, async () => {
      const phone = await up();
      phone.call(`sip:${line}@${sipDomain}`);
      await world.run(121_000);
      expect(phone.finals.at(-1)).toBe('INVITE 480');
      await world.run(40_000);
      leavesNothing(phone, line);
    });
  }

  for (const uri of [
    'tel:200;phone-context=EXAMPLE.com',
    'tel:2-0-0;phone-context=example.com',
    'sip:2%300@example.com;user=phone',
    'sip:200@127.0.0.1',
  ])
    it(`dials ${uri}`, async () => {
      const phone = await up();
      phone.call(uri);
      await world.run(500);
      expect(world.telephone('200').hears()).toBe('ring');
    });
});

describe('a line calls a SIP telephone that does not answer', () => {
  const outcomes = [
    ['busy', 'busy'],
    ['decline', 'busy'],
    ['unavailable', 'reorder'],
  ] as const;
  for (const [answering, tone] of outcomes)
    it(`hears ${tone} where the telephone says ${answering}`, async () => {
      const phone = await up(answering);
      world.telephone('300').offHook();
      await world.run(300);
      world.telephone('300').dial('7001');
      await world.run(2_500);
      expect(world.telephone('300').hears()).toBe(tone);
      world.telephone('300').onHook();
      await world.run(40_000);
      leavesNothing(phone, '300');
    });

  it('hears reorder where nobody has the number', async () => {
    const phone = await up();
    world.telephone('200').offHook();
    await world.run(300);
    world.telephone('200').dial('7009');
    await world.run(500);
    expect(world.telephone('200').hears()).toBe('reorder');
    expect(phone.rung.size).toBe(0);
  });

  for (const line of ['200', '300'])
    it(`gives up at ${line}: the telephone gets a CANCEL`, async () => {
      const phone = await up('ring');
      world.telephone(line).offHook();
      await world.run(300);
      world.telephone(line).dial('7001');
      await world.run(1_000);
      expect(phone.ringing.size).toBe(1);
      world.telephone(line).onHook();
      await world.run(1_000);
      expect(phone.ringing.size).toBe(0);
      await world.run(40_000);
      leavesNothing(phone, line);
    });
});

describe('what stands in the messages', () => {
  it('a Contact of ours with our backup, and no Record-Route', async () => {
    const phone = await up();
    phone.call(`sip:200@${sipDomain}`);
    await world.run(500);
    world.telephone('200').offHook();
    await world.run(500);
    const answer =
      world.sipOf(phoneHost).find((text) => text.startsWith('SIP/2.0 200') && text.includes('INVITE')) ?? '';
    expect(answer).toContain('Contact: <sip:200@127.0.0.1:5060>;AlternatePath="sip:127.0.0.2:5060;transport=udp"');
    expect(answer).not.toContain('Record-Route');
    expect(answer).not.toContain('x-altpath');
  });

  it('the same in an INVITE from a line, with its number', async () => {
    await up();
    world.telephone('200').offHook();
    await world.run(300);
    world.telephone('200').dial('7001');
    await world.run(700);
    const invite = world.sipOf(phoneHost).find((text) => text.startsWith('INVITE')) ?? '';
    expect(invite).toContain('Contact: <sip:200@127.0.0.1:5060>;AlternatePath="sip:127.0.0.2:5060;transport=udp"');
    expect(invite).toContain('From: <sip:200@example.com>;tag=');
    expect(invite).not.toContain('Record-Route');
  });
});
