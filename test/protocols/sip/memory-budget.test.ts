/** What transactions keep is bounded in octets: 503 with Retry-After beyond (RFC 3261 §21.5.4), what is under way first. */
import { describe, expect, it } from 'vitest';
import { answerTo, fieldsOf, gist, request, SipWorld, statusOf } from './world.ts';

const megabyte = 1_048_576;

async function scene() {
  const world = await SipWorld.up({ config: { limits: { maxTransactionBytes: 2 * megabyte } } });
  return { world, caller: await world.peer('127.0.0.9:5062'), callee: await world.peer('127.0.0.20:5070') };
}

const kept = async (world: SipWorld): Promise<number> =>
  Number(/^altpath_sip_transaction_bytes\S* (\d+)/m.exec(await world.metrics.text())?.[1]);

describe('a flood of large requests to a callee that says nothing', () => {
  it('is refused without being kept, while calls go on, and everything is given back', async () => {
    const { world, caller, callee } = await scene();
    const flood = await world.peer('127.0.0.8:5062');
    await world.peer('127.0.0.21:5070');
    const uri = 'sip:dead@127.0.0.21:5070';
    for (let n = 0; n < 200; n += 1)
      flood.send(
        request('INVITE', {
          uri,
          via: '127.0.0.8:5062',
          branch: `z9hG4bKf${n}`,
          callId: `f${n}`,
          body: 'x'.repeat(60_000),
        }),
      );
    await world.run();
    expect(await kept(world)).toBeLessThan(2 * megabyte);
    const refused = flood.texts.filter((text) => statusOf(text) === 503);
    expect(refused.length).toBeGreaterThan(150);
    expect(refused.every((text) => fieldsOf(text, 'retry-after').join() === '5')).toBe(true);
    // The ACK of what was refused goes nowhere.
    const before = world.sent.length;
    flood.send(
      request('ACK', {
        uri,
        via: '127.0.0.8:5062',
        branch: 'z9hG4bKf199',
        callId: 'f199',
        to: fieldsOf(refused.at(-1) ?? '', 'to')[0] ?? '',
      }),
    );
    await world.run(0);
    expect(world.sent.length).toBe(before);
    caller.send(request('INVITE'));
    await world.run();
    callee.answer(answerTo(callee.last, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
    await world.run(120_000);
    expect([world.transactions, await kept(world)]).toEqual([0, 0]);
  });

  it('of small requests from one source: requests of dialogs are served, and other sources', async () => {
    const { world, caller, callee } = await scene();
    const flood = await world.peer('127.0.0.8:5062');
    await world.peer('127.0.0.21:5070');
    for (let n = 0; n < 2_000; n += 1)
      flood.send(
        request('INVITE', {
          uri: 'sip:dead@127.0.0.21:5070',
          via: '127.0.0.8:5062',
          branch: `z9hG4bKf${n}`,
          callId: `f${n}`,
        }),
      );
    await world.run();
    expect(gist(flood.texts)).toContain('503');
    caller.send(request('OPTIONS', { to: '<sip:bob@biloxi.example>;tag=b' }));
    await world.run();
    expect(gist(callee.texts)).toEqual(['OPTIONS']);
    callee.answer(answerTo(callee.last, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
  });

  it('refusals of 60 kB are not kept without end either: their status goes on', async () => {
    const { world, caller, callee } = await scene();
    const silent = await world.peer('127.0.0.21:5070');
    const targets = [
      ...Array.from({ length: 9 }, (_, n) => `sip:bob@127.0.0.20:5070;n=${n}`),
      'sip:bob@127.0.0.21:5070',
    ];
    await world.locations.save(
      'bob',
      targets.map((target) => ({
        protocol: 'sip',
        key: target,
        target,
        path: [],
        alternates: [],
        q: 1_000,
        expiresMs: Number.POSITIVE_INFINITY,
        updatedMs: 0,
      })),
    );
    for (let n = 0; n < 10; n += 1) {
      caller.send(request('INVITE', { uri: 'sip:bob@127.0.0.1', branch: `z9hG4bKk${n}`, callId: `k${n}` }));
      await world.run(1);
      for (const text of callee.take())
        if (text.startsWith('INVITE')) callee.send(answerTo(text, 486, { body: 'x'.repeat(60_000) }));
      await world.run();
    }
    expect(await kept(world)).toBeGreaterThan(megabyte);
    expect(await kept(world)).toBeLessThanOrEqual(2 * megabyte);
    const begun = silent.take().filter((text) => text.startsWith('INVITE'));
    expect(begun.length).toBeGreaterThan(3);
    for (const text of begun) silent.send(answerTo(text, 404));
    await world.run();
    expect(gist(caller.texts).filter((status) => status === '486' || status === '404')).toHaveLength(begun.length);
    await world.run(120_000);
    expect(await kept(world)).toBe(0);
  });

  it('a final response gives back the request, and only little is kept to absorb repetitions', async () => {
    const { world, caller, callee } = await scene();
    caller.send(request('INVITE', { body: 'x'.repeat(60_000) }));
    await world.run();
    expect(await kept(world)).toBeGreaterThan(180_000);
    callee.answer(answerTo(callee.last, 200));
    await world.run();
    expect(await kept(world)).toBeLessThan(4_000);
  });
});
