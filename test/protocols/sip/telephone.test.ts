import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TelephoneEvent } from '../../../protocols/sip/telephone/index.ts';
import { TelephoneWorld, until } from './telephone-world.ts';

let world: TelephoneWorld;

beforeEach(() => {
  world = new TelephoneWorld();
});

afterEach(() => world.stop());

describe('RFC 3261 §10.2 registration', () => {
  it('registers, and takes the registration back', async () => {
    await world.startPair();
    const events: TelephoneEvent[] = [];
    const alice = await world.telephone('127.0.0.3', 'alice', { onEvent: (event) => events.push(event) });
    expect(await alice.register()).toMatchObject({ status: 200 });
    expect(events).toMatchObject([{ kind: 'registered' }]);
    expect(await alice.unregister()).toMatchObject({ status: 200 });
    expect(events.at(-1)).toEqual({ kind: 'unregistered' });
  });

  it.each(['SHA-256', 'MD5'])('answers a digest challenge with %s', async (algorithm) => {
    await world.startPair({
      auth: { register: true, algorithms: [algorithm], users: [{ user: 'alice', password: 'a "secret"' }] },
    });
    const alice = await world.telephone('127.0.0.3', 'alice', { password: 'a "secret"' });
    expect(await alice.register()).toMatchObject({ status: 200 });
    // The second time the challenge is known and the count goes on.
    expect(await alice.register()).toMatchObject({ status: 200 });
    const wrong = await world.telephone('127.0.0.4', 'alice', { password: 'wrong' });
    expect(await wrong.register()).toMatchObject({ status: 401 });
  });
});

describe('RFC 3261 §10.2.4, §10.2.8 refreshing', () => {
  it('registers again before the registration ends, and asks for as long as the registrar wants', async () => {
    await world.startPair({ registrar: { minExpiresSeconds: 2, defaultExpiresSeconds: 2 } });
    const granted: number[] = [];
    const alice = await world.telephone('127.0.0.3', 'alice', {
      expiresSeconds: 1,
      onEvent: (event) => {
        if (event.kind === 'registered') granted.push(event.expiresSeconds);
      },
    });
    expect(await alice.register()).toMatchObject({ status: 200 });
    expect(granted[0]).toBeGreaterThanOrEqual(1);
    await until(() => granted.length >= 2, 'the refresh');
  });
});

describe('RFC 3261 §13, §15 calls', () => {
  it('calls, is answered, and hangs up', async () => {
    await world.startPair();
    const seen: string[] = [];
    const bob = await world.telephone('127.0.0.4', 'bob', {
      incoming: { ringMs: 30 },
      onEvent: (event) => {
        if (event.kind === 'ended') seen.push(`bob ended by ${event.end.by}`);
      },
    });
    const alice = await world.telephone('127.0.0.3', 'alice');
    await bob.register();
    const call = alice.call('bob');
    await until(() => call.state === 'answered', 'the answer');
    call.hangUp();
    expect(await call.ended).toEqual({ by: 'us', status: 200, reason: 'OK' });
    await until(() => seen.length === 1, 'the end at the other side');
    expect(seen).toEqual(['bob ended by them']);
  });

  it('is busy, is unknown, is cancelled', async () => {
    await world.startPair();
    const busy = await world.telephone('127.0.0.4', 'busy', { incoming: { ringMs: 0, busy: true } });
    const bob = await world.telephone('127.0.0.5', 'bob');
    const alice = await world.telephone('127.0.0.3', 'alice');
    await busy.register();
    await bob.register();
    expect(await alice.call('busy').ended).toMatchObject({ by: 'failure', status: 486 });
    expect(await alice.call('nobody').ended).toMatchObject({ by: 'failure', status: 404 });
    const call = alice.call('bob');
    await until(() => call.state === 'ringing', 'ringing');
    call.hangUp();
    expect(await call.ended).toMatchObject({ by: 'us', status: 487 });
    expect(bob.calls).toEqual([]);
    expect(await alice.options('bob')).toMatchObject({ status: 200 });
  });
});

describe('the proxy dies', () => {
  it('calls through the backup that the tag named, and hangs up there', async () => {
    await world.startPair({ serviceRoute: true });
    const bob = await world.telephone('127.0.0.4', 'bob', { incoming: { ringMs: 10 } });
    const alice = await world.telephone('127.0.0.3', 'alice');
    await bob.register();
    await alice.register();
    expect(alice.peers().map(({ address }) => address)).toContain(`udp:127.0.0.2:${world.port}`);
    await world.kill('127.0.0.1');
    const call = alice.call('bob');
    await until(() => call.state === 'answered', 'the answer through the backup');
    call.hangUp();
    expect(await call.ended).toMatchObject({ by: 'us', status: 200 });
    const dead = `udp:127.0.0.1:${world.port}`;
    const isDown = () => alice.peers().some(({ address, health }) => address === dead && health === 'down');
    await until(isDown, 'the verdict on the dead proxy');
  });

  it('keeps a call that rings, and one that is answered, and the first rings once', async () => {
    await world.startPair({ serviceRoute: true });
    let invitations = 0;
    const bob = await world.telephone('127.0.0.4', 'bob', {
      onEvent: (event) => {
        if (event.kind === 'call' && event.call.state === 'ringing') invitations += 1;
      },
    });
    const alice = await world.telephone('127.0.0.3', 'alice');
    await bob.register();
    await alice.register();
    const ringing = alice.call('bob');
    await until(() => ringing.state === 'ringing', 'ringing');
    await world.kill('127.0.0.1');
    bob.calls[0]?.answer();
    await until(() => ringing.state === 'answered', 'the answer past the dead proxy');
    expect(invitations).toBe(1);
    bob.calls[0]?.hangUp();
    expect(await ringing.ended).toMatchObject({ by: 'them' });
    await until(() => bob.calls.length === 0, 'the end at the callee');
  });
});
