/** A transaction that only absorbs repetitions (RFC 6026 §7, RFC 3261 §17) holds nothing of its request: there are 32 s of calls of them. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { answerTo, request, SipWorld } from './world.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

it('of 200 answered calls nothing is kept but what repetitions need', async () => {
  const world = await SipWorld.up({});
  const caller = await world.peer('127.0.0.9:5062');
  const callee = await world.peer('127.0.0.20:5070');
  const forget = (): void => {
    for (const list of [world.sent, caller.heard, callee.heard]) list.length = 0;
  };
  const call = async (n: number): Promise<void> => {
    const [branch, callId] = [`z9hG4bKc${n}`, `call-${n}`];
    caller.send(request('INVITE', { branch, callId, body: `${n}`.padEnd(50_000, 'x') }));
    await world.run();
    callee.answer(answerTo(callee.last, 200));
    await world.run();
    forget();
  };
  for (let n = 0; n < 20; n += 1) await call(n);
  gc();
  const before = process.memoryUsage().heapUsed;
  for (let n = 20; n < 220; n += 1) await call(n);
  gc();
  expect(world.transactions).toBe(440);
  // The requests have ten millions of octets.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(4_000_000);
});
