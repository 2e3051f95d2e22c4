/**
 * The last resort after a takeover: the telephone has forgotten its call and nobody has heard its BYE. The survivor finds out by the session
 * timer (RFC 4028), whoever refreshes, and until then goes on refreshing what lives.
 */
import { afterEach, describe, expect, it } from 'vitest';
import type { SipMessage } from '../../protocols/sip/codec/messages.ts';
import { Peer, peerSdp } from '../protocols/sip/user-agent/rig.ts';
import { reached } from '../support/reached.ts';
import { confirmed, lines } from './crossing-scene.ts';
import { backupHost, CrossingWorld, primaryHost, sipDomain } from './crossing-world.ts';

const host = '127.0.0.31';
let world: CrossingWorld;

afterEach(async () => {
  await world.stop();
});

const until = (holds: () => boolean, limitMs = 40_000): Promise<boolean> => reached(world, holds, limitMs, 50);

describe.each(lines)('%s and a telephone without session timers, alone with the pair', (_, line) => {
  it.each(['phone', 'line'] as const)('the %s called; its BYE is lost after the takeover', async (caller) => {
    world = await CrossingWorld.up({ sip: {} });
    const phone = await world.phone('7001', host, { answering: 'answer', ringMs: 500 });
    const telephone = world.telephone(line);
    if (caller === 'phone') {
      phone.call(`sip:${line}@${sipDomain}`);
      await until(() => telephone.hears() === 'ring');
      telephone.offHook();
    } else {
      telephone.offHook();
      await until(() => telephone.hears() === 'dial');
      telephone.dial('7001');
    }
    expect(await until(() => telephone.media().sendsTo === '127.0.0.1:40000' && confirmed(phone) !== undefined)).toBe(
      true,
    );
    await world.run(1_000);
    world.kill(primaryHost);
    expect(await until(() => world.calls(backupHost) > 0)).toBe(true);
    // The survivor has told it where the call is, and goes on asking whether it lives.
    await world.run(240_000);
    expect(telephone.media().sendsTo).toBe('127.0.0.1:40000');
    expect(phone.served.filter((method) => method === 'INVITE').length).toBeGreaterThanOrEqual(3);
    const dialog = confirmed(phone);
    if (dialog === undefined) throw new Error('no dialog');
    dialog.state = 'ended';
    expect(await until(() => telephone.hears() === 'busy', 130_000)).toBe(true);
    telephone.onHook();
    expect(await until(() => telephone.isIdle())).toBe(true);
    await world.run(40_000);
    expect(world.calls(backupHost)).toBe(0);
  });
});

describe.each(lines)('%s and a telephone with session timers', (_, line) => {
  /** Answers every INVITE of ours in the dialog that has no answer yet. */
  async function goesOn(peer: Peer, ms: number, fields: string): Promise<void> {
    for (let waited = 0; waited < ms; waited += 500) {
      await world.run(500);
      for (const invite of unanswered(peer)) peer.respond(invite, 200, 'OK', { body: peerSdp, fields });
    }
  }

  const answered = new Set<string>();
  const unanswered = (peer: Peer): readonly SipMessage[] =>
    peer.requests('INVITE').filter(({ toTag, cseq, callId }) => {
      const key = `${callId} ${cseq}`;
      if (toTag === '' || answered.has(key)) return false;
      answered.add(key);
      return true;
    });

  async function talking(fields: string): Promise<Peer> {
    answered.clear();
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
    const telephone = world.telephone(line);
    telephone.offHook();
    await until(() => telephone.hears() === 'dial');
    telephone.dial('7001');
    expect(await until(() => peer.requests('INVITE').length > 0)).toBe(true);
    peer.respond(peer.lastOf('INVITE'), 200, 'OK', { body: peerSdp, fields });
    expect(await until(() => telephone.media().sendsTo === `${host}:40000`)).toBe(true);
    await world.run(1_000);
    world.kill(primaryHost);
    expect(await until(() => world.calls(backupHost) > 0)).toBe(true);
    return peer;
  }

  it('which refreshes: the survivor ends the call when it stops to', async () => {
    const fields = 'Session-Expires: 180;refresher=uas\r\nRequire: timer\r\n';
    const peer = await talking(fields);
    await goesOn(peer, 60_000, fields);
    expect(peer.requests('BYE')).toEqual([]);
    expect(world.telephone(line).media().sendsTo).toBe(`${host}:40000`);
    expect(await until(() => peer.requests('BYE').length > 0, 160_000)).toBe(true);
    expect(await until(() => world.telephone(line).hears() === 'busy')).toBe(true);
  });

  it('which we refresh: the survivor goes on, with interval and refresher as they were', async () => {
    const fields = 'Session-Expires: 180;refresher=uac\r\nRequire: timer\r\n';
    const peer = await talking(fields);
    await goesOn(peer, 300_000, fields);
    const refreshes = peer.requests('INVITE').filter(({ toTag }) => toTag !== '');
    expect(new Set(refreshes.map(({ cseq }) => cseq)).size).toBeGreaterThanOrEqual(4);
    for (const refresh of refreshes) expect(refresh.named('Session-Expires')).toBe('180;refresher=uac');
    expect(peer.requests('BYE')).toEqual([]);
    expect(world.telephone(line).media().sendsTo).toBe(`${host}:40000`);
    // It answers no more.
    expect(await until(() => world.telephone(line).hears() === 'busy', 140_000)).toBe(true);
  });
});
