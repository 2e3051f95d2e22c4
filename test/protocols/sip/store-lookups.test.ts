/** A user who is not known here may have registered with another member a moment ago: the store is asked before anybody is refused. */
import { expect, it } from 'vitest';
import { type Contact, LocationConflictError, type LocationService } from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { world } from './registrar-scene.ts';
import { gist, request, SipWorld } from './world.ts';

/** What another member wrote is here once it was asked for. */
class Shared extends MemoryLocations {
  readonly asked: string[] = [];
  isBeingRead = false;
  isAway = false;
  readonly elsewhere = new Map<string, readonly Contact[]>();

  ask(record: string): Promise<boolean> {
    if (this.isAway) return Promise.resolve(false);
    this.asked.push(record);
    return this.save(record, this.elsewhere.get(record) ?? []).then(() => true);
  }
}

const contactOf = (clock: FakeClock, more: Partial<Contact> = {}): Contact => ({
  protocol: 'sip',
  target: 'sip:alice@192.0.2.9',
  key: 'sip:alice@192.0.2.9',
  path: [],
  alternates: [],
  expiresMs: clock.now() + 60_000,
  q: 1_000,
  updatedMs: clock.now(),
  callId: 'reg-elsewhere',
  cseq: 7,
  ...more,
});

it('RFC 3261 §10.3: a REGISTER finds what was registered with another member', async () => {
  const clock = new FakeClock();
  const locations = new Shared({ clock });
  locations.elsewhere.set('alice@example.com', [contactOf(clock)]);
  const { register } = world({ locations });
  const answer = await register('');
  expect(locations.asked).toEqual(['alice@example.com']);
  expect(answer).toContain('Contact: <sip:alice@192.0.2.9>');
});

it.each([
  ['older', '500'],
  ['crowded', '403'],
] as const)('RFC 3261 §10.3: what the store refuses as %s is answered %s', async (conflict, status) => {
  const clock = new FakeClock();
  const memory = new MemoryLocations({ clock });
  const seen: unknown[] = [];
  const locations: LocationService = {
    open: () => memory.open(),
    lookup: (record) => memory.lookup(record),
    save(_record, _contacts, registration) {
      seen.push(registration);
      return Promise.reject(new LocationConflictError(conflict));
    },
    records: () => memory.records(),
    size: 0,
    close: () => memory.close(),
  };
  const { register } = world({ locations });
  const answer = await register('Contact: <sip:alice@192.0.2.9>\r\n', { callId: 'c', cseq: 9 });
  expect(answer).toMatch(new RegExp(`^SIP/2.0 ${status} `));
  expect(seen).toEqual([{ callId: 'c', cseq: 9, maxContacts: 3 }]);
});

async function proxyWith(setUp: (locations: Shared) => void, config = {}) {
  const clock = new FakeClock();
  const locations = new Shared({ clock });
  locations.elsewhere.set('bob@biloxi.example', [contactOf(clock, { target: 'sip:bob@127.0.0.20:5070' })]);
  setUp(locations);
  const proxy = await SipWorld.up({ config: { domains: ['biloxi.example'], ...config }, locations });
  return { proxy, locations, caller: await proxy.peer('127.0.0.9:5062'), callee: await proxy.peer('127.0.0.20:5070') };
}

it('RFC 3261 §16.5: an INVITE reaches who registered elsewhere a moment ago, and who is nowhere is asked for once', async () => {
  const { proxy, locations, caller, callee } = await proxyWith(() => {});
  caller.send(request('INVITE', { uri: 'sip:bob@biloxi.example' }));
  await proxy.run(10);
  expect(gist(callee.texts)).toEqual(['INVITE']);
  expect(locations.asked).toEqual(['bob@biloxi.example']);
  caller.send(request('MESSAGE', { uri: 'sip:carol@biloxi.example' }));
  await proxy.run(10);
  expect(gist(caller.texts).at(-1)).toBe('404');
  expect(locations.asked).toEqual(['bob@biloxi.example', 'carol@biloxi.example']);
});

it.each([
  { isAway: true, vias: 1, status: '503', isTold: true },
  { isAway: true, vias: 2, status: '503', isTold: false },
  { isAway: false, vias: 1, status: '404', isTold: false },
])(
  'RFC 3261 §21.4.5, §21.5.4: who cannot be asked for (away: $isAway) may exist: $status, Retry-After $isTold over $vias hops',
  async ({ isAway, vias, status, isTold }) => {
    for (const isBeingRead of [true, false]) {
      const { proxy, caller } = await proxyWith((shared) => {
        shared.isBeingRead = isBeingRead;
        shared.isAway = isAway;
      });
      const via = vias === 1 ? '' : 'Via: SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKbefore\r\n';
      caller.send(request('INVITE', { uri: 'sip:carol@biloxi.example', fields: via }));
      await proxy.run(10);
      expect(gist(caller.texts).at(-1)).toBe(status);
      expect(caller.last.includes('Retry-After: ')).toBe(isTold);
    }
  },
);

it.each([
  ['Contact: *\r\nExpires: 0\r\n', '503'],
  ['Contact: <sip:alice@192.0.2.9>;expires=0\r\n', '503'],
  ['', '503'],
  ['Contact: <sip:alice@192.0.2.9>\r\n', '200'],
])('RFC 3261 §10.3: %j for somebody who cannot be asked for is answered %s', async (fields, status) => {
  const clock = new FakeClock();
  const locations = new Shared({ clock });
  locations.isAway = true;
  const { register } = world({ locations });
  const answer = await register(fields);
  expect(answer).toMatch(new RegExp(`^SIP/2.0 ${status} `));
  expect(answer.includes('Retry-After: ')).toBe(status === '503');
});

it('a route takes who is unknown without a question, but not while the store is still being read', async () => {
  const routes = { defaultRoute: ['udp:127.0.0.30:5060'] };
  for (const isBeingRead of [false, true]) {
    const { proxy, locations, caller, callee } = await proxyWith((shared) => {
      shared.isBeingRead = isBeingRead;
    }, routes);
    const hop = await proxy.peer('127.0.0.30:5060');
    caller.send(request('MESSAGE', { uri: 'sip:bob@biloxi.example' }));
    await proxy.run(10);
    expect(locations.asked.length).toBe(isBeingRead ? 1 : 0);
    expect(gist(callee.texts)).toEqual(isBeingRead ? ['MESSAGE'] : []);
    expect(gist(hop.texts).includes('MESSAGE')).toBe(!isBeingRead);
  }
});
