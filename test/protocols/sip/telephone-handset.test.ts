import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Handset, type HandsetOptions } from '../../../protocols/sip/telephone/handset.ts';
import { domain, TelephoneWorld } from './telephone-world.ts';

let world: TelephoneWorld;

beforeEach(async () => {
  world = new TelephoneWorld();
  await world.startPair();
});

afterEach(() => world.stop());

interface Line {
  readonly event: string;
  readonly [detail: string]: unknown;
}

function handset(user: string, host: string, told: Line[], options: Partial<HandsetOptions> = {}): Promise<Handset> {
  return Handset.pickUp({
    user: `${user}@${domain}`,
    servers: [`127.0.0.1:${world.port}`, `127.0.0.2:${world.port}`],
    local: host,
    password: undefined,
    authUser: undefined,
    expiresSeconds: 600,
    json: true,
    trace: false,
    incoming: undefined,
    print: (line) => told.push(JSON.parse(line)),
    ...options,
  });
}

const words = (told: readonly Line[]): readonly string[] => told.map(({ event }) => event);

describe('altpath phone', () => {
  it('answers one call, and calls: both tell it as JSON lines', async () => {
    const bobTold: Line[] = [];
    const aliceTold: Line[] = [];
    const bob = await handset('bob', '127.0.0.4', bobTold, { incoming: { ringMs: 20, busy: false } });
    const answering = bob.answer(undefined, 1, undefined);
    await expect.poll(() => words(bobTold)).toContain('registered');
    const alice = await handset('alice', '127.0.0.3', aliceTold);
    await alice.call('bob', 0.05, 5);
    await answering;
    await bob.putDown();
    await alice.putDown();
    expect(words(aliceTold)).toEqual(['ready', 'ringing', 'answered', 'ended']);
    expect(aliceTold.at(-1)).toMatchObject({ by: 'us', status: 200 });
    expect(words(bobTold)).toEqual(['ready', 'registered', 'ringing', 'answered', 'ended', 'unregistered']);
  });

  it('tells a switch, with both addresses and the reason', async () => {
    const told: Line[] = [];
    const alice = await handset('alice', '127.0.0.3', told);
    await world.kill('127.0.0.1');
    await alice.options(`sip:127.0.0.1:${world.port}`).catch(() => undefined);
    await alice.putDown();
    expect(told).toContainEqual(
      expect.objectContaining({
        event: 'switched',
        method: 'OPTIONS',
        from: `udp:127.0.0.1:${world.port}`,
        to: `udp:127.0.0.2:${world.port}`,
        because: 'refused',
      }),
    );
  });

  it('a call that fails is an error with the status', async () => {
    const alice = await handset('alice', '127.0.0.3', []);
    await expect(alice.call('nobody', 1, 5)).rejects.toThrow('call to nobody: 404 Not Found');
    await alice.putDown();
  });

  it('hangs up what nobody answers', async () => {
    const bob = await world.telephone('127.0.0.4', 'bob');
    await bob.register();
    const alice = await handset('alice', '127.0.0.3', []);
    await expect(alice.call('bob', 1, 0.1)).rejects.toThrow('487 Request Terminated');
    await alice.putDown();
  });

  it('says what is wrong with its words', async () => {
    await expect(handset('', '127.0.0.3', [])).rejects.toThrow('write user@domain');
    await expect(handset('alice', 'tcp:127.0.0.3', [])).rejects.toThrow('UDP only');
    await expect(handset('alice', '127.0.0.3', [], { servers: ['not an address'] })).rejects.toThrow('is no server');
  });
});
