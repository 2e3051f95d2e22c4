/** RFC 3261 §16.9, §18.4: a telephone that is gone is found out at once, and what it was asked goes to the next one. */
import { expect, it } from 'vitest';
import type { Contact } from '../../../src/internal.ts';
import { answerTo, gist, request, SipWorld } from './world.ts';

const contact = (target: string, q: number): Contact => ({
  protocol: 'sip',
  key: target,
  target,
  path: [],
  alternates: [],
  q,
  expiresMs: Number.POSITIVE_INFINITY,
  updatedMs: 0,
});

async function bobAt(...targets: readonly string[]) {
  const world = await SipWorld.up({ config: { domains: ['biloxi.example'] } });
  await world.locations.save(
    'bob@biloxi.example',
    targets.map((target, at) => contact(target, 1_000 - at)),
  );
  return { world, caller: await world.peer('127.0.0.9:5062') };
}

const toBob = { uri: 'sip:bob@biloxi.example' };

it('as if it had said 503: within a second instead of Timer B', async () => {
  for (const method of ['INVITE', 'MESSAGE']) {
    const { world, caller } = await bobAt('sip:bob@127.0.0.20:5070');
    caller.send(request(method, toBob));
    await world.run(1_000);
    expect(gist(caller.texts).at(-1)).toBe('500');
    await world.run(64_000);
    expect(world.transactions).toBe(0);
  }
});

it('the next target is asked', async () => {
  const { world, caller } = await bobAt('sip:bob@127.0.0.20:5070', 'sip:bob@127.0.0.21:5070');
  const callee = await world.peer('127.0.0.21:5070');
  caller.send(request('INVITE', toBob));
  await world.run(1_000);
  expect(gist(callee.texts)[0]).toBe('INVITE');
  callee.answer(answerTo(callee.last, 200));
  await world.run();
  expect(gist(caller.texts).at(-1)).toBe('200');
});

it('one that is slow is not given up: it has Timer B', async () => {
  const { world, caller } = await bobAt('sip:bob@127.0.0.20:5070');
  const callee = await world.peer('127.0.0.20:5070');
  caller.send(request('INVITE', toBob));
  await world.run(20_000);
  callee.answer(answerTo(callee.last, 200));
  await world.run();
  expect(gist(caller.texts)).toEqual(['100', '200']);
});
