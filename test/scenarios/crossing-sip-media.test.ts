import { afterEach, describe, expect, it } from 'vitest';
import { Peer, peerSdp } from '../protocols/sip/user-agent/rig.ts';
import { CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

/** Offers and early media between SIP and lines, with a peer that says exactly what each case needs (RFC 3261 §13, RFC 3262 §5, RFC 3264). */
let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

const host = '127.0.0.31';
const early = peerSdp.replace('40000', '41000');

async function up(): Promise<Peer> {
  world = await CrossingWorld.up({ sip: {} });
  const peer = new Peer(world.network, host);
  await peer.start();
  peer.request('REGISTER', {
    uri: `sip:${sipDomain}`,
    to: `<sip:7001@${sipDomain}>`,
    callId: 'registration',
    fields: 'Expires: 3600\r\n',
  });
  await world.run(200);
  return peer;
}

/** The line's address as the peer was told it is where the line's gateway listens. */
const told = (line: string) => ({ line: world.telephone(line).media().receivesAt });

const addressIn = (sdp: string | undefined): string =>
  `${/^c=IN IP4 (\S+)/m.exec(sdp ?? '')?.[1]}:${/^m=audio (\d+)/m.exec(sdp ?? '')?.[1]}`;

for (const line of ['200', '300']) {
  describe(`a SIP peer calls line ${line}`, () => {
    it('without an offer: the line makes it, and the answer comes with the ACK', async () => {
      const peer = await up();
      peer.request('INVITE', { uri: `sip:${line}@${sipDomain}`, to: `<sip:${line}@${sipDomain}>`, cseq: 5 });
      await world.run(500);
      expect(world.telephone(line).hears()).toBe('ring');
      world.telephone(line).offHook();
      await world.run(400);
      const answer = peer.responses('INVITE', 200)[0];
      expect(addressIn(answer?.body)).toBe(told(line).line);
      expect(world.telephone(line).media().sendsTo).toBeUndefined();
      peer.request('ACK', {
        uri: `sip:${line}@${primaryHost}:5060`,
        to: `<sip:${line}@${sipDomain}>;tag=${answer?.toTag}`,
        cseq: 5,
        body: peerSdp,
      });
      await world.run(500);
      expect(world.telephone(line).media().sendsTo).toBe(`${host}:40000`);
    });

    it('which requires reliable provisional responses', async () => {
      const peer = await up();
      peer.request('INVITE', {
        uri: `sip:${line}@${sipDomain}`,
        to: `<sip:${line}@${sipDomain}>`,
        cseq: 5,
        fields: 'Require: 100rel\r\n',
        body: peerSdp,
      });
      await world.run(500);
      const ringing = peer.responses('INVITE', 180)[0];
      peer.request('PRACK', {
        uri: `sip:${line}@${primaryHost}:5060`,
        to: `<sip:${line}@${sipDomain}>;tag=${ringing?.toTag}`,
        cseq: 6,
        fields: `RAck: ${ringing?.named('RSeq')} 5 INVITE\r\n`,
        contact: false,
      });
      await world.run(100);
      expect(peer.responses('PRACK', 200)).toHaveLength(1);
      world.telephone(line).offHook();
      await world.run(500);
      expect(peer.responses('INVITE', 200).length).toBeGreaterThan(0);
      expect(world.telephone(line).media().sendsTo).toBe(`${host}:40000`);
    });
  });

  describe(`line ${line} calls a SIP peer`, () => {
    async function calling(peer: Peer) {
      world.telephone(line).offHook();
      await world.run(300);
      world.telephone(line).dial('7001');
      await world.run(400);
      return peer.lastOf('INVITE');
    }

    it('which has something to say before it answers: no ringback tone over it', async () => {
      const peer = await up();
      const invite = await calling(peer);
      peer.respond(invite, 180, 'Ringing');
      await world.run(300);
      expect(world.telephone(line).hears()).toBe('ringback');
      peer.respond(invite, 183, 'Session Progress', { body: early });
      await world.run(300);
      expect(world.telephone(line).hears()).toBe('nothing');
      peer.respond(invite, 200, 'OK', { body: peerSdp });
      await world.run(500);
      expect(world.telephone(line).media().sendsTo).toBe(`${host}:40000`);
      expect(addressIn(invite.body)).toBe(told(line).line);
      expect(peer.requests('ACK').length).toBeGreaterThan(0);
    });

    it('where two telephones of a fork have early media, and the first one answers', async () => {
      const peer = await up();
      const invite = await calling(peer);
      peer.respond(invite, 183, 'Session Progress', { tag: 'one', body: early });
      await world.run(200);
      peer.respond(invite, 183, 'Session Progress', { tag: 'two', body: peerSdp.replace('40000', '42000') });
      await world.run(200);
      peer.respond(invite, 200, 'OK', { tag: 'one', body: early });
      await world.run(500);
      expect(world.telephone(line).media().sendsTo).toBe(`${host}:41000`);
      peer.respond(invite, 200, 'OK', { tag: 'two', body: peerSdp.replace('40000', '42000') });
      await world.run(500);
      expect(new Set(peer.requests('BYE').map(({ toTag }) => toTag))).toEqual(new Set(['two']));
      expect(world.telephone(line).media().sendsTo).toBe(`${host}:41000`);
    });

    it('is acknowledged only when its gateway has the answer', async () => {
      const peer = await up();
      const invite = await calling(peer);
      const before = world.packets.length;
      peer.respond(invite, 200, 'OK', { body: peerSdp });
      await world.run(500);
      const later = world.packets.slice(before).map(({ bytes }) => bytes.toString('latin1'));
      const ack = later.findIndex((text) => text.startsWith('ACK '));
      // The command that carries the peer's address, and the gateway's answer to it.
      const command = later.findIndex((text) => /^(?:MDCX|MEGACO\/|!\/)/.test(text) && text.includes('40000'));
      const reply = later.findIndex(
        (text, at) => at > command && /^(?:200 |!\/\S+ \S+(?:\r?\n| )(?:P=|Reply))/.test(text),
      );
      expect(command).toBeGreaterThanOrEqual(0);
      expect(ack).toBeGreaterThan(command);
      if (line === '200') expect(ack).toBeGreaterThan(reply);
    });

    it('which has no codec in common: ACK and BYE, and the line hears so', async () => {
      const peer = await up();
      const invite = await calling(peer);
      peer.respond(invite, 200, 'OK', { body: peerSdp.replace('m=audio 40000', 'm=audio 0') });
      await world.run(500);
      expect(peer.requests('ACK').length).toBeGreaterThan(0);
      expect(peer.requests('BYE').length).toBeGreaterThan(0);
      expect(world.telephone(line).hears()).toBe('reorder');
    });
  });
}

describe('two telephones of one user', () => {
  it('both ring, the one that answers has the call, the other stops', async () => {
    world = await CrossingWorld.up({ sip: {} });
    const quick = await world.phone('7001', '127.0.0.31', { ringMs: 1_000 });
    const slow = await world.phone('7001', '127.0.0.32', { answering: 'ring' });
    world.telephone('200').offHook();
    await world.run(300);
    world.telephone('200').dial('7001');
    await world.run(600);
    expect([quick.ringing.size, slow.ringing.size]).toEqual([1, 1]);
    await world.run(1_500);
    expect(slow.ringing.size).toBe(0);
    expect(world.telephone('200').media().sendsTo).toBe('127.0.0.1:40000');
    world.telephone('200').onHook();
    await world.run(40_000);
    expect([quick.served, slow.served]).toEqual([['BYE'], []]);
    expect([...quick.complaints, ...slow.complaints]).toEqual([]);
  });
});
