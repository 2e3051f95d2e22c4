/** Calls between an MGCP line and a party that makes offers in mid-call, on the wire (RFC 3435 §2.3.6, RFC 3264 §8). */
import { describe, expect, it } from 'vitest';
import { joinParty, type Party, partySdp as sdp } from '../../support/call-party.ts';
import { primaryHost, World, type WorldOptions } from './world.ts';

describe('hold and resume of a line', () => {
  it('ten times: the mode and the port are right after each, and the answer says what the line does', async () => {
    const { world, party, connection } = await talking();
    for (let time = 0; time < 10; time += 1) {
      const [direction, mode, answer] = holds[time % holds.length] ?? holds[0];
      party.report({ kind: 'modifyOffered', description: sdp(6_000 + time, direction) });
      await world.run(100);
      expect([connection().mode, portOf(connection().remote)]).toEqual([mode, 6_000 + time]);
      expect(party.heard('modifyAnswer').at(-1)).toBe(`${connection().local}${answer}\r\n`);
      party.report({ kind: 'modifyOffered', description: sdp(7_000 + time) });
      await world.run(100);
      expect([connection().mode, portOf(connection().remote)]).toEqual(['sendrecv', 7_000 + time]);
      expect(party.heard('modifyAnswer').at(-1)).toBe(connection().local);
    }
    expect(party.heard('modifyRefuse')).toEqual([]);
    await world.stop();
  });

  it('a gateway without the mode inactive only receives (517), and is not asked again', async () => {
    const { world, party, connection } = await talking({ gateway: { habits: { lacksModes: ['inactive'] } } });
    const refusals = () => world.summary().filter((line) => line.includes(' 517 ')).length;
    for (const port of [6_000, 6_002]) {
      party.report({ kind: 'modifyOffered', description: sdp(port, 'a=inactive') });
      await world.run(200);
      expect([connection().mode, portOf(connection().remote)]).toEqual(['recvonly', port]);
      expect(party.heard('modifyAnswer').at(-1)).toContain('\r\na=inactive\r\n');
    }
    expect(refusals()).toBe(1);
    await world.stop();
  });

  for (const [code, reason] of [
    [509, 'notAcceptable'],
    [534, 'notAcceptable'],
    [400, 'temporary'],
  ] as const)
    it(`refused with ${code} leaves the call as it was, and it can be modified afterwards`, async () => {
      const faults: number[] = [];
      const { world, party, connection } = await talking({ gateway: { habits: { faults } } });
      const before = { ...connection() };
      faults.push(code);
      party.report({ kind: 'modifyOffered', description: sdp(6_000, 'a=sendonly') });
      await world.run(3_000);
      expect(party.heard('modifyRefuse')).toEqual([reason]);
      expect(connection()).toEqual(before);
      expect(party.heard('release')).toEqual([]);
      party.report({ kind: 'modifyOffered', description: sdp(6_002, 'a=sendonly') });
      await world.run(100);
      expect([connection().mode, portOf(connection().remote)]).toEqual(['recvonly', 6_002]);
      await world.stop();
    });

  it('an offer that the gateway does not answer is refused before the party gives up', async () => {
    const { world, party } = await talking();
    world.network.crash('127.0.0.11');
    party.report({ kind: 'modifyOffered', description: sdp(6_000, 'a=sendonly') });
    await world.run(31_000);
    expect(party.heard('modifyRefuse').length + party.heard('release').length).toBeGreaterThan(0);
    await world.stop();
  });

  it('other codecs are asked for, in the order of the offer', async () => {
    const { world, party, connection } = await talking();
    const offer = sdp(6_000, 'a=rtpmap:101 telephone-event/8000', 'a=ptime:30').replace('RTP/AVP 0', 'RTP/AVP 8 0 101');
    party.report({ kind: 'modifyOffered', description: offer });
    await world.run(100);
    expect(world.summary().findLast((line) => line.includes('MDCX'))).toContain('L:p:30, a:PCMA;PCMU;telephone-event');
    expect(connection().local).toContain('RTP/AVP 8 0 101');
    expect(party.heard('modifyAnswer').at(-1)).toBe(`${connection().local}a=ptime:30\r\n`);
    await world.stop();
  });
});

describe('fax (T.38)', () => {
  const fax = sdp(0, 'm=image 6100 udptl t38', 'a=T38FaxVersion:0');

  it('goes over UDPTL where the gateway says that it can, and back', async () => {
    const { world, party, connection } = await talking({ gateway: { habits: { fax: true } } });
    const before = connection().local;
    party.report({ kind: 'modifyOffered', description: fax });
    await world.run(100);
    expect(world.summary().findLast((line) => line.includes('MDCX'))).toContain('L:a:image/t38');
    expect(connection().local).toMatch(/^m=image \d+ udptl t38/m);
    expect(party.heard('modifyAnswer').at(-1)).toMatch(/^m=audio 0 RTP\/AVP 0\r\nm=image [1-9]\d* udptl t38/m);
    party.report({ kind: 'modifyOffered', description: sdp(6_000) });
    await world.run(100);
    expect(portOf(connection().local)).toBe(portOf(before));
    expect(party.heard('modifyAnswer').at(-1)).toMatch(/^m=audio [1-9]\d* RTP\/AVP 0/m);
    await world.stop();
  });
  it('is refused where the gateway cannot, and the call goes on', async () => {
    const { world, party, connection } = await talking();
    const before = { ...connection() };
    party.report({ kind: 'modifyOffered', description: fax });
    await world.run(100);
    expect(party.heard('modifyRefuse')).toEqual(['notAcceptable']);
    expect(connection()).toEqual(before);
    await world.stop();
  });
});

describe('who calls (RFC 3660 §2.4)', () => {
  const ring = async (identity: Party['identity'], options: WorldOptions = {}) => {
    const world = await World.up(options);
    const party = joinParty(world.servicesOf.get(primaryHost), '900');
    party.identity = identity;
    party.call('200', sdp(5_000));
    await world.run(200);
    const line = world.line('200');
    const shown = line.notification.briefs.map(({ parameters }) => parameters?.join('|').replace(/^[\d/]*/, ''));
    const { hears } = line;
    await world.stop();
    return { hears, shown };
  };

  it('is shown while the bell rings, with the number in digits and the name as it is', async () => {
    expect(await ring({ number: '+49 30-123', name: 'Ada "L"', presentation: 'allowed' })).toEqual({
      hears: 'L/rg',
      shown: ['|"4930123"|"Ada ""L"""'],
    });
  });
  it('is withheld where it is private, and told to be unknown where nobody knows', async () => {
    expect((await ring({ number: '4930123', name: 'Ada', presentation: 'restricted' })).shown).toEqual(['|P|P']);
    expect((await ring({ presentation: 'unavailable' })).shown).toEqual(['|O|O']);
  });
  it('makes no second line of a name', async () => {
    expect((await ring({ number: '1', name: 'x\r\nS: L/vmwi', presentation: 'allowed' })).shown).toEqual([
      '|"1"|"xS: L/vmwi"',
    ]);
  });
  it('is left out where the gateway cannot show it: the bell rings all the same (513)', async () => {
    const lacking = { gateway: { habits: { lacks: ['L/ci'] } } };
    expect(await ring({ number: '1', presentation: 'allowed' }, lacking)).toEqual({ hears: 'L/rg', shown: [] });
  });
  it('has the time of the place where the gateway is', async () => {
    const times: string[] = [];
    for (const timeZone of ['Asia/Tokyo', 'America/New_York']) {
      const gateways = [1, 2].map((n) => ({ name: `rgw${n}`, addresses: [`127.0.0.1${n}:2427`], timeZone }));
      const world = await World.up({ config: { gateways } });
      const party = joinParty(world.servicesOf.get(primaryHost), '900');
      party.identity = { number: '1', presentation: 'allowed' };
      party.call('200', sdp(5_000));
      await world.run(200);
      times.push(world.line('200').notification.briefs[0]?.parameters?.[0] ?? '');
      await world.stop();
    }
    expect(times[0]).toMatch(/^\d\d\/\d\d\/\d\d\/\d\d$/);
    expect(times[0]).not.toBe(times[1]);
  });
});

describe('keys in messages (RFC 3660 §2.2)', () => {
  const pressed = async (options: WorldOptions) => {
    const world = await World.up(options);
    const party = joinParty(world.servicesOf.get(primaryHost), '900');
    const line = world.line('200');
    party.call('200', sdp(5_000));
    await world.run(100);
    line.offHook();
    await world.run(100);
    expect(party.heard('connect')).toHaveLength(1);
    for (const signal of ['5', '#', '5']) party.report({ kind: 'digit', signal, durationMs: 160 });
    await world.run(500);
    const keys = line.notification.briefs.filter(({ packageName }) => packageName === 'D').map(({ id }) => id);
    expect([...line.connections.values()].map(({ mode }) => mode)).toEqual(['sendrecv']);
    expect(party.heard('release')).toEqual([]);
    line.onHook();
    await world.run(200);
    expect(party.heard('release')).toEqual(['normal']);
    await world.stop();
    return keys;
  };

  it('are played to the line, each once and in order', async () => {
    expect(await pressed({})).toEqual(['5', '#', '5']);
  });
  it('are left aside by a gateway without the package', async () => {
    expect(await pressed({ gateway: { habits: { packages: ['G'] } } })).toEqual([]);
  });
});

const holds = [
  ['a=sendonly', 'recvonly', 'a=recvonly'],
  ['a=inactive', 'inactive', 'a=inactive'],
  ['a=recvonly', 'sendonly', 'a=sendonly'],
] as const;

const portOf = (description: string | undefined): number =>
  Number(/^m=\S+ (\d+)/m.exec(description ?? '')?.[1] ?? Number.NaN);

/** Line 200 called 900, who answered. */
async function talking(options: WorldOptions = {}) {
  const world = await World.up(options);
  const party = joinParty(world.servicesOf.get(primaryHost), '900');
  const line = world.line('200');
  line.offHook();
  await world.run(100);
  line.dial('900');
  await world.run(100);
  party.report({ kind: 'alerting' });
  await world.run(100);
  expect(line.hears).toBe('G/rt');
  party.report({ kind: 'answered', description: sdp(5_000) });
  await world.run(100);
  const connection = () => {
    const [only] = line.connections.values();
    if (only === undefined) throw new Error('no connection');
    return only;
  };
  expect([line.hears, connection().mode, portOf(connection().remote)]).toEqual(['', 'sendrecv', 5_000]);
  return { world, party, connection };
}
