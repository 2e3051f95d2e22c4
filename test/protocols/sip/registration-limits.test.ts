/** What registrations may cost us: octets per contact, per record and in all, and nothing of the message beyond. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fieldsOf, type Peer, request, SipWorld, statusOf } from './world.ts';

let count = 0;

async function register(world: SipWorld, peer: Peer, fields: string, options: object = {}): Promise<number> {
  count += 1;
  peer.send(
    request('REGISTER', {
      uri: 'sip:example.com',
      from: '<sip:alice@example.com>;tag=1',
      to: '<sip:alice@example.com>',
      branch: `z9hG4bKr${count}`,
      callId: `reg-${count}`,
      fields,
      ...options,
    }),
  );
  await world.run();
  return statusOf(peer.last);
}

async function up(config: object = {}): Promise<{ world: SipWorld; peer: Peer }> {
  const world = await SipWorld.up({ config: { domains: ['example.com'], ...config } });
  return { world, peer: await world.peer('127.0.0.9:5062') };
}

describe('RFC 3261 §10.3 limits of a registration, in octets', () => {
  it('refuses contact parameters and names of nobody', async () => {
    const { world, peer } = await up();
    expect(await register(world, peer, `Contact: <sip:a@127.0.0.9>;x=${'y'.repeat(2_000)}\r\n`)).toBe(200);
    expect(await register(world, peer, `Contact: <sip:b@127.0.0.9>;x=${'y'.repeat(2_100)}\r\n`)).toBe(400);
    const to = `<sip:${'n'.repeat(600)}@example.com>`;
    expect(await register(world, peer, 'Contact: <sip:a@127.0.0.9>\r\n', { to })).toBe(404);
    expect(world.locations.size).toBe(1);
  });

  it('bounds all contacts of a record together; what is there may still be taken back', async () => {
    const { world, peer } = await up();
    const contact = (user: number, more = '') =>
      `Contact: <sip:${user}@127.0.0.9;p=${'y'.repeat(1_800)}>;x=${'y'.repeat(1_500)}${more}\r\n`;
    const statuses: number[] = [];
    for (let user = 0; user < 6; user += 1) statuses.push(await register(world, peer, contact(user)));
    expect(statuses).toEqual([200, 200, 200, 403, 403, 403]);
    expect(await register(world, peer, contact(0, ';expires=0'))).toBe(200);
    expect(world.locations.lookup('alice@example.com')).toHaveLength(2);
  });

  it('orders requests by a Call-ID of any length, and keeps little of it', async () => {
    const { world, peer } = await up();
    const callId = 'c'.repeat(4_000);
    const contact = 'Contact: <sip:a@127.0.0.9>\r\n';
    expect(await register(world, peer, contact, { callId, cseq: 7 })).toBe(200);
    expect(await register(world, peer, contact, { callId, cseq: 6 })).toBe(500);
    expect(await register(world, peer, contact, { callId: `${callId}x`, cseq: 6 })).toBe(200);
    expect(await register(world, peer, contact, { callId: `${callId}x`, cseq: 7 })).toBe(200);
    expect(world.locations.lookup('alice@example.com')[0]?.callId?.length).toBeLessThan(100);
  });

  it('keeps nothing of a message but the binding', async () => {
    setFlagsFromString('--expose-gc');
    const gc = runInNewContext('gc') as () => void;
    const { world, peer } = await up();
    const body = 'b'.repeat(50_000);
    const registrations = 400;
    gc();
    const before = process.memoryUsage().heapUsed;
    for (let user = 0; user < registrations; user += 1) {
      const name = `<sip:some-user-${user}@example.com>`;
      await register(world, peer, `Contact: <sip:some-user-${user}@127.0.0.9:5062>;some-parameter=yes\r\n`, {
        body,
        from: `${name};tag=1`,
        to: name,
      });
      peer.heard.length = 0;
      world.sent.length = 0;
    }
    await world.run(60_000);
    gc();
    expect(world.locations.size).toBe(registrations);
    // 20 MB of bodies.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(6_000_000);
  });
});

describe('RFC 3261 §21.5.4 a location service that is full', () => {
  const contact = (clock: FakeClock, key: string) => ({
    protocol: 'sip',
    target: key,
    key,
    path: [],
    alternates: [],
    expiresMs: clock.now() + 10_000,
    q: 1_000,
    updatedMs: clock.now(),
  });

  it('by its octets takes nothing more, until something has lapsed or was taken back', async () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock, maxOctets: 15_000 });
    await locations.open();
    let taken = 0;
    const fill = async (): Promise<unknown> => {
      for (;;) {
        try {
          await locations.save(`user-${taken}@example.com`, [contact(clock, `sip:${'x'.repeat(200)}`)]);
        } catch (error) {
          return error;
        }
        taken += 1;
      }
    };
    expect(await fill()).toMatchObject({ code: 'ERR_LOCATION' });
    expect(taken).toBeGreaterThan(10);
    expect(taken).toBeLessThan(60);
    await locations.save('user-0@example.com', [contact(clock, 'sip:short')]);
    await locations.save('user-1@example.com', []);
    await locations.save('other@example.com', [contact(clock, 'sip:short')]);
    await clock.advanceAsync(12_000);
    expect(locations.size).toBe(0);
    await locations.save('later@example.com', [contact(clock, `sip:${'x'.repeat(5_000)}`)]);
    await locations.close();
  });

  it('is said to the telephone as 503 with Retry-After', async () => {
    const { world, peer } = await up();
    const full = new MemoryLocations({ clock: world.clock, maxRecords: 0 });
    world.locations.save = (record, contacts) => full.save(record, contacts);
    expect(await register(world, peer, 'Contact: <sip:a@127.0.0.9>\r\n')).toBe(503);
    expect(fieldsOf(peer.last, 'Retry-After')).toEqual(['60']);
  });
});
