/** Calls between a MEGACO line and a party that makes offers in mid-call, on the wire (RFC 3525 §7.1.7, §7.1.8; RFC 3264 §8). */
import { describe, expect, it } from 'vitest';
import { displayDataBlock } from '../../../protocols/megaco/caller-id.ts';
import { mediaOf } from '../../../protocols/megaco/gateway/simulation.ts';
import { joinParty, type Party, partySdp as sdp } from '../../support/call-party.ts';
import { primaryHost, World, type WorldOptions } from './world.ts';

describe('hold and resume of a line', () => {
  it('ten times: the mode and the port are right after each, and the answer says what the line does', async () => {
    const { world, party, rtp } = await talking();
    for (let time = 0; time < 10; time += 1) {
      const [direction, mode, answer] = holds[time % holds.length] ?? holds[0];
      party.report({ kind: 'modifyOffered', description: sdp(6_000 + time, direction) });
      await world.run(100);
      expect([rtp().localControl?.mode, portOf(rtp().remote)]).toEqual([mode, 6_000 + time]);
      expect(answerOf(party)).toMatch(new RegExp(`m=audio ${portOf(rtp().local)} RTP/AVP 0 8\\r\\n${answer}\\r\\n$`));
      party.report({ kind: 'modifyOffered', description: sdp(7_000 + time) });
      await world.run(100);
      expect([rtp().localControl?.mode, portOf(rtp().remote)]).toEqual(['SendReceive', 7_000 + time]);
      expect(answerOf(party)).toMatch(/RTP\/AVP 0 8\r\n$/);
    }
    expect(party.heard('modifyRefuse')).toEqual([]);
  });

  it('refused leaves the call as it was, and it can be modified afterwards', async () => {
    const faults: number[] = [];
    const { world, party, rtp } = await talking({ gateway: { faults } });
    const { local, localControl, remote } = rtp();
    faults.push(449);
    party.report({ kind: 'modifyOffered', description: sdp(6_000, 'a=sendonly') });
    await world.run(1_000);
    expect(party.heard('modifyRefuse')).toEqual(['notAcceptable']);
    expect(rtp()).toMatchObject({ local, localControl, remote });
    expect(party.heard('release')).toEqual([]);
    party.report({ kind: 'modifyOffered', description: sdp(6_002, 'a=sendonly') });
    await world.run(100);
    expect([rtp().localControl?.mode, portOf(rtp().remote)]).toEqual(['ReceiveOnly', 6_002]);
  });

  it('other codecs are chosen anew, in the order of the offer and with its number for keys (RFC 4733)', async () => {
    const { world, party, rtp } = await talking();
    const offer = sdp(6_000, 'a=rtpmap:96 telephone-event/8000', 'a=ptime:30').replace('RTP/AVP 0', 'RTP/AVP 8 0 96');
    party.report({ kind: 'modifyOffered', description: offer });
    await world.run(100);
    expect(rtp().local).toMatch(
      /m=audio \d+ RTP\/AVP 8 0 96\na=rtpmap:96 telephone-event\/8000\na=fmtp:96 0-15\na=ptime:30$/,
    );
    expect(answerOf(party)).toMatch(/^o=- 0 0 IN IP4 127.0.0.11\r\ns=-\r\n.*^t=0 0\r\n/ms);
  });
});

describe('keys as events (RFC 4733)', () => {
  it('are not asked for again of a gateway that refuses them: the call is made without', async () => {
    const world = await World.up({ gateway: { refusesEvents: true } });
    const party = joinParty(world.servicesOf.get(primaryHost), '900');
    const [gateway] = world.gateways;
    const line = gateway?.lines[0];
    if (gateway === undefined || line === undefined) throw new Error('no line');
    const refusals = () => world.packets.filter(({ bytes }) => bytes.includes('=449{')).length;
    for (let call = 0; call < 2; call += 1) {
      party.call('200', sdp(5_000, 'a=rtpmap:101 telephone-event/8000').replace('AVP 0', 'AVP 0 101'));
      await world.run(500);
      expect(line.signal).toBe('al/ri');
      line.offHook();
      await world.run(200);
      expect(mediaOf(gateway, line)?.local).toMatch(/RTP\/AVP 0$/m);
      expect(mediaOf(gateway, line)?.localControl?.mode).toBe('SendReceive');
      line.onHook();
      await world.run(200);
      expect([gateway.contexts.size, gateway.contexts.ephemerals]).toEqual([0, 0]);
    }
    expect(party.heard('release')).toEqual(['normal', 'normal']);
    expect(refusals()).toBe(1);
  });
});

describe('fax (T.38)', () => {
  const fax = sdp(0, 'm=image 6100 udptl t38');

  it('is chosen where the gateway has a package for it, and refused elsewhere', async () => {
    const able = await talking({ gateway: { linePackages: ['ipfax'] } });
    able.party.report({ kind: 'modifyOffered', description: fax });
    await able.world.run(100);
    expect(able.rtp().local).toMatch(/^m=image \d+ udptl t38/m);
    expect(answerOf(able.party)).toMatch(/^m=audio 0 RTP\/AVP 0\r\nm=image [1-9]\d* udptl t38/m);
    able.party.report({ kind: 'modifyOffered', description: sdp(6_000) });
    await able.world.run(100);
    expect(able.rtp().local).toMatch(/^m=audio [1-9]/m);

    const { world, party, rtp } = await talking();
    const { local, localControl, remote } = rtp();
    party.report({ kind: 'modifyOffered', description: fax });
    await world.run(100);
    expect(party.heard('modifyRefuse')).toEqual(['notAcceptable']);
    expect(rtp()).toMatchObject({ local, localControl, remote });
  });
});

describe('who calls', () => {
  const ring = async (options: WorldOptions) => {
    const world = await World.up(options);
    const party = joinParty(world.servicesOf.get(primaryHost), '900');
    party.identity = { number: '4930123', name: 'Ada', presentation: 'allowed' };
    party.call('200', sdp(5_000));
    await world.run(200);
    const [signal] = world.gateways[0]?.lines[0]?.signals.signals ?? [];
    return signal?.kind === 'signal' ? signal : undefined;
  };

  it('is told with the bell where the gateway has the display package', async () => {
    const signal = await ring({ gateway: { linePackages: ['andisp'] } });
    expect(signal?.name).toBe('andisp/dwa');
    // Call set-up; time, number and name; what makes the sum zero.
    const [block] = signal?.parameters.find(({ name }) => name === 'ddb')?.values ?? [];
    expect(block).toMatch(/^80180108(?:3\d){8}0207343933303132330703416461[0-9a-f]{2}$/);
  });
  it('is told in binary by the same octets', async () => {
    const text = await ring({ gateway: { linePackages: ['andisp'] } });
    const signal = await ring({ gateway: { linePackages: ['andisp'], encoding: 'binary' } });
    expect(signal?.name).toBe('andisp/dwa');
    const blockOf = (of: typeof signal) => of?.parameters.find(({ name }) => name === 'ddb')?.values;
    expect(blockOf(signal)).toEqual(blockOf(text));
  });
  it('is not told elsewhere: the bell rings', async () => {
    expect((await ring({}))?.name).toBe('al/ri');
  });
  it.each(['compact', 'binary'] as const)(
    'is not told where the gateway refuses it (%s): the bell rings',
    async (encoding) => {
      expect((await ring({ gateway: { linePackages: ['andisp'], encoding, refusesDisplay: true } }))?.name).toBe(
        'al/ri',
      );
    },
  );
  it('is one block of octets that add up to zero, with reasons for what is not told', () => {
    for (const presentation of ['allowed', 'restricted', 'unavailable'] as const) {
      const block = displayDataBlock({ number: '+49-30', name: 'Zoë 漢', presentation }, '09141726');
      expect(block.reduce((sum, octet) => sum + octet, 0) % 256).toBe(0);
      expect(block[1]).toBe(block.length - 3);
      const told = block.subarray(12, -1).toString('latin1');
      expect(told).toBe(
        presentation === 'allowed'
          ? '\x02\x044930\x07\x04Zoë '
          : presentation === 'restricted'
            ? '\x04\x01P\x08\x01P'
            : '\x04\x01O\x08\x01O',
      );
    }
  });
});

describe('keys in messages (Annex E.5)', () => {
  const pressed = async (options: WorldOptions) => {
    const { world, party } = await talking(options);
    for (const signal of ['5', '#', '5']) party.report({ kind: 'digit', signal, durationMs: 160 });
    await world.run(500);
    const keys = world.gateways[0]?.lines[0]?.keys;
    expect(party.heard('release')).toEqual([]);
    world.gateways[0]?.lines[0]?.onHook();
    await world.run(200);
    expect(party.heard('release')).toEqual(['normal']);
    return keys;
  };

  it('are played to the line, each once and in order', async () => {
    expect(await pressed({ gateway: { linePackages: ['dg'] } })).toEqual(['dg/d5', 'dg/do', 'dg/d5']);
  });
  it('are left aside by a gateway without the package', async () => {
    expect(await pressed({})).toEqual([]);
  });
});

const holds = [
  ['a=sendonly', 'ReceiveOnly', 'a=recvonly'],
  ['a=inactive', 'Inactive', 'a=inactive'],
  ['a=recvonly', 'SendOnly', 'a=sendonly'],
] as const;

const portOf = (description: string | undefined): number =>
  Number(/^m=\S+ (\d+)/m.exec(description ?? '')?.[1] ?? Number.NaN);

const answerOf = (party: Party): string => String(party.heard('modifyAnswer').at(-1));

/** Line 200 called 900, who answered. */
async function talking(options: WorldOptions = {}) {
  const world = await World.up(options);
  const party = joinParty(world.servicesOf.get(primaryHost), '900');
  const [gateway] = world.gateways;
  const line = gateway?.lines[0];
  if (gateway === undefined || line === undefined) throw new Error('no line');
  line.offHook();
  await world.run(100);
  line.dial('900');
  await world.run(100);
  party.report({ kind: 'alerting' });
  await world.run(100);
  expect(line.signal).toBe('cg/rt');
  party.report({ kind: 'answered', description: sdp(5_000) });
  await world.run(100);
  const rtp = () => {
    const found = mediaOf(gateway, line);
    if (found === undefined) throw new Error('no media');
    return found;
  };
  expect([line.signal, rtp().localControl?.mode, portOf(rtp().remote)]).toEqual([undefined, 'SendReceive', 5_000]);
  return { world, party, rtp };
}
