/** What becomes of requests under way when the proxy's address leaves its host, and what it says of them once it is back: nothing. */
import { afterEach, describe, expect, it } from 'vitest';
import { answerTo, gist, type Peer, request, SipWorld } from './world.ts';

let world: SipWorld;
let caller: Peer;
let callee: Peer;

const start = async () => {
  world = await SipWorld.up({ floats: true });
  caller = await world.peer('127.0.0.9:5062');
  callee = await world.peer('127.0.0.20:5070');
};
afterEach(() => world.down());

/** The address is on another host for so long. */
const away = async (ms: number) => {
  await world.run(300);
  world.leave();
  await world.run(ms);
  world.comeBack();
  caller.take();
  callee.take();
};

describe('the address of the proxy goes to another host and returns', () => {
  it.each([
    ['asked for', undefined],
    ['ringing', 180],
    ['refused', 486],
    ['answered', 200],
  ])('an INVITE that was %s gets no word of it, however long', async (_, status) => {
    await start();
    caller.send(request('INVITE'));
    await world.run();
    if (status !== undefined) callee.answer(answerTo(callee.last, status));
    await away(3_000);
    // What had its final response waits for repetitions still.
    expect(world.transactions).toBe(status === undefined || status < 200 ? 0 : 1);
    await world.run(300_000);
    expect(gist(caller.texts)).toEqual([]);
    expect(gist(callee.texts)).toEqual([]);
    expect(world.transactions).toBe(0);
  });

  it('while it is away a telephone that cannot be sent to is not taken for gone', async () => {
    await start();
    caller.send(request('INVITE'));
    await away(1_500);
    await world.run(40_000);
    expect(gist(caller.texts)).toEqual([]);
  });

  it('answers that come then are passed on by their Via, and the request repeated is the same one', async () => {
    await start();
    caller.send(request('INVITE'));
    await world.run();
    const asked = callee.last;
    callee.answer(answerTo(asked, 180));
    await away(3_000);
    caller.send(request('INVITE'));
    await world.run();
    expect(branchOf(callee.last)).toBe(branchOf(asked));
    callee.answer(answerTo(callee.last, 200));
    await world.run();
    expect(gist(caller.texts)).toContain('200');
  });

  it('a MESSAGE likewise', async () => {
    await start();
    caller.send(request('MESSAGE'));
    await away(3_000);
    await world.run(64_000);
    expect([gist(caller.texts), gist(callee.texts), world.transactions]).toEqual([[], [], 0]);
  });

  it('a moment without it moves nothing: the call goes on here', async () => {
    await start();
    caller.send(request('INVITE'));
    await world.run();
    const asked = callee.last;
    callee.answer(answerTo(asked, 180));
    await away(500);
    callee.send(answerTo(asked, 200));
    await world.run();
    expect(gist(caller.texts)).toEqual(['200']);
  });
});

const branchOf = (text: string): string | undefined => /branch=([^;\s]+)/.exec(text)?.[1];
