/** RFC 5393 §3, §4.2, §5: contacts that lead back to us multiply a request at each pass; their sum is bounded. */
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { ForkBudget } from '../../../protocols/sip/proxy/fork-budget.ts';
import type { Contact } from '../../../src/internal.ts';
import { answerTo, gist, type Peer, request, SipWorld, statusOf } from './world.ts';

const domain = 'biloxi.example';

async function bombed(
  contactsOf: Readonly<Record<string, readonly string[]>>,
  config: Readonly<Record<string, unknown>> = {},
): Promise<{ world: SipWorld; caller: Peer }> {
  const world = await SipWorld.up({
    config: { domains: [domain], ...config },
    names: (name) => (name === domain ? '127.0.0.1' : undefined),
  });
  for (const [user, targets] of Object.entries(contactsOf))
    await world.locations.save(
      `${user}@${domain}`,
      targets.map(
        (target): Contact => ({
          protocol: 'sip',
          key: target,
          target,
          path: [],
          alternates: [],
          q: 1_000,
          expiresMs: world.clock.now() + 3_600_000,
          updatedMs: 0,
        }),
      ),
    );
  return { world, caller: await world.peer('127.0.0.9:5062') };
}

const times = (count: number, contact: (n: number) => string): readonly string[] =>
  Array.from({ length: count }, (_, n) => contact(n));

const sentOf = (world: SipWorld, method: string): number =>
  world.sent.filter(({ bytes }) => bytes.toString('latin1').startsWith(`${method} `)).length;

describe('fork bombs', () => {
  const shapes: readonly (readonly [string, (user: string, n: number) => string])[] = [
    ['URI parameters', (user, n) => `sip:${user}@127.0.0.1:5060;n=${n}`],
    ['the domain', (user, n) => `sip:${user}@${domain};n=${n}`],
    [
      'escapes',
      (user, n) =>
        `sip:${[...user].map((c, at) => ((n >> at) & 1 ? `%${c.charCodeAt(0).toString(16)}` : c)).join('')}@127.0.0.1`,
    ],
    [
      'the case of the host',
      (user, n) => `sip:${user}@${[...domain].map((c, at) => ((n >> at) & 1 ? c.toUpperCase() : c)).join('')}`,
    ],
    ['a new user for each', (user, n) => `sip:${user}@127.0.0.1;x=${n * 7919}`],
  ];

  it.each(shapes)(
    'two users that lead to one another, told apart by %s: no more than the budget',
    async (_what, contact) => {
      for (const method of ['INVITE', 'MESSAGE']) {
        const { world, caller } = await bombed(
          {
            alice: times(10, (n) => contact('bobby', n)),
            bobby: times(10, (n) => contact('alice', n)),
          },
          {},
        );
        caller.send(request(method, { uri: `sip:alice@${domain}` }));
        await world.run(40_000);
        expect(sentOf(world, method)).toBeGreaterThan(0);
        expect(sentOf(world, method)).toBeLessThanOrEqual(130);
        expect(gist(caller.texts).some((status) => Number(status) >= 400)).toBe(true);
        await world.run(400_000);
        expect(world.transactions).toBe(0);
        await world.down();
      }
    },
  );

  it('a ring of users, each with contacts at the next: no more than the budget', async () => {
    const users = times(12, (n) => `user${n}`);
    const { world, caller } = await bombed(
      Object.fromEntries(
        users.map((user, at) => [user, times(10, (n) => `sip:${users[(at + 1) % 12]}@127.0.0.1;n=${n}`)]),
      ),
    );
    caller.send(request('INVITE', { uri: `sip:user0@${domain}` }));
    await world.run(40_000);
    expect(sentOf(world, 'INVITE')).toBeLessThanOrEqual(130);
  });

  it('a CANCEL or ACK of no transaction does not multiply either', async () => {
    for (const method of ['CANCEL', 'ACK']) {
      const { world, caller } = await bombed({
        alice: times(10, (n) => `sip:bobby@127.0.0.1;n=${n}`),
        bobby: times(10, (n) => `sip:alice@127.0.0.1;n=${n}`),
      });
      caller.send(request(method, { uri: `sip:alice@${domain}` }));
      await world.run(40_000);
      expect(sentOf(world, method)).toBeLessThanOrEqual(130);
    }
  });

  it('a spiral that leads on is no loop (§4.2): a user who forwards to another', async () => {
    const { world, caller } = await bombed({
      alice: [`sip:bobby@127.0.0.1;x=1`],
      bobby: ['sip:bobby@127.0.0.20:5070'],
    });
    const callee = await world.peer('127.0.0.20:5070');
    caller.send(request('INVITE', { uri: `sip:alice@${domain}` }));
    await world.run();
    expect(gist(callee.texts)).toEqual(['INVITE']);
    callee.answer(answerTo(callee.last, 200));
    await world.run();
    expect(statusOf(caller.last)).toBe(200);
  });

  it('a user whose forks keep too much open gets no further one, and all others do', async () => {
    const silent = (user: string) => times(5, (n) => `sip:${user}@127.0.0.20:${7_000 + n}`);
    const { world, caller } = await bombed(
      { alice: silent('alice'), bobby: silent('bobby') },
      { maxBranchesPerUser: 12 },
    );
    for (let n = 0; n < 5; n += 1) await world.peer(`127.0.0.20:${7_000 + n}`);
    const call = async (user: string, n: number): Promise<readonly string[]> => {
      caller.take();
      caller.send(request('INVITE', { uri: `sip:${user}@${domain}`, callId: `c${n}`, branch: `z9hG4bKc${n}` }));
      await world.run();
      return gist(caller.take());
    };
    expect([await call('alice', 1), await call('alice', 2), await call('alice', 3)]).toEqual([[], [], ['503']]);
    expect(await call('bobby', 4)).toEqual([]);
    // Timer B of the silent ones.
    await world.run(40_000);
    expect(await call('alice', 5)).toEqual([]);
  });
});

describe('the budget', () => {
  it('forgets a request after the longest ring, and holds a bounded number of them', async () => {
    const { world, caller } = await bombed({ alice: times(3, (n) => `sip:a@127.0.0.20:${7_100 + n}`) });
    const budget = new ForkBudget(world.clock, { maxBranches: 10, maxBranchesPerUser: 1_000_000 });
    caller.send(request('INVITE', { uri: `sip:alice@${domain}` }));
    await world.run();
    const read = (callId: string) => {
      const decoded = decode(Buffer.from(request('INVITE', { callId })));
      if (!decoded.ok) throw new Error(decoded.error.reason);
      return decoded.value;
    };
    const one = read('one');
    expect([budget.take(one, 'r', 10), budget.take(one, 'r', 1)]).toEqual(['fits', 'requestSpent']);
    await world.run(250_000);
    expect(budget.take(one, 'r', 10)).toBe('fits');
    for (let n = 0; n < 70_000; n += 1) budget.take(one, `r${n}`, 0);
    expect(budget.take(one, 'r', 1)).toBe('requestSpent');
  });
});
