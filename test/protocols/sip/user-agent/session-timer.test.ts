/** RFC 4028 where it is the last resort: whoever refreshes, a call that the peer has forgotten ends, and one that it knows goes on. */
import { afterEach, describe, expect, it } from 'vitest';
import { H } from '../../../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../../../protocols/sip/codec/messages.ts';
import { lineSdp, peerSdp, Rig, type ScriptedLeg } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

/** INVITEs within the dialog, each once. */
const refreshes = (): readonly SipMessage[] => {
  const seen = new Set<number>();
  return rig.peer.requests('INVITE').filter(({ toTag, cseq }) => {
    if (toTag === '' || seen.has(cseq)) return false;
    seen.add(cseq);
    return true;
  });
};

const lastRefresh = (): SipMessage => {
  const last = refreshes().at(-1);
  if (last === undefined) throw new Error('no refresh');
  return last;
};

const byes = (): number => new Set(rig.peer.requests('BYE').map(({ cseq }) => cseq)).size;

/** The peer answers what it was asked last. */
async function answers(status: number, fields = ''): Promise<void> {
  rig.peer.respond(lastRefresh(), status, 'Whatever', { fields, body: status < 300 ? peerSdp : '' });
  await rig.run(10);
}

async function called(fields = ''): Promise<ScriptedLeg> {
  const leg = await rig.outgoing();
  rig.peer.respond(rig.peer.lastOf('INVITE'), 200, 'OK', { fields, body: peerSdp });
  await rig.run(10);
  return leg;
}

const roles = [
  ['calls', (): Promise<ScriptedLeg> => rig.talking()],
  ['is called', (): Promise<ScriptedLeg> => called()],
] as const;

describe.each(roles)('§7.2 a peer that knows nothing of session timers %s', (_, talk) => {
  it('is refreshed by us, again and again', async () => {
    rig = await Rig.up();
    const leg = await talk();
    for (let turn = 1; turn <= 4; turn += 1) {
      await rig.run(91_000);
      expect(refreshes()).toHaveLength(turn);
      // What was not agreed is not claimed.
      expect(lastRefresh().named('Session-Expires')).toBeUndefined();
      await answers(200);
    }
    expect(byes()).toBe(0);
    expect(leg.commands).not.toContain('release');
  });

  it('and has forgotten the call: it ends', async () => {
    rig = await Rig.up();
    const leg = await talk();
    await rig.run(91_000);
    await answers(481);
    expect(leg.last('release')).toEqual(['normal', 102]);
  });

  it('and says nothing any more: it ends', async () => {
    rig = await Rig.up();
    const leg = await talk();
    await rig.run(91_000 + 33_000);
    expect(leg.last('release')).toEqual(['normal', 102]);
    expect(byes()).toBe(1);
  });

  it('and refuses to be asked: a sign of life, the call goes on', async () => {
    rig = await Rig.up();
    const leg = await talk();
    for (let turn = 1; turn <= 3; turn += 1) {
      await rig.run(91_000);
      expect(refreshes()).toHaveLength(turn);
      await answers(turn === 1 ? 488 : 501);
    }
    expect(leg.commands).not.toContain('release');
    expect(byes()).toBe(0);
  });
});

describe('§10 we refresh, as was agreed', () => {
  const agreed = 'Session-Expires: 180;refresher=uac\r\nRequire: timer\r\n';

  it('with the interval and the refresher as they were', async () => {
    rig = await Rig.up();
    const leg = await called(agreed);
    for (let turn = 1; turn <= 3; turn += 1) {
      await rig.run(91_000);
      expect(refreshes()).toHaveLength(turn);
      expect(lastRefresh().named('Session-Expires')).toBe('180;refresher=uac');
      await answers(200, agreed);
    }
    expect(leg.commands).not.toContain('release');
  });

  it('refused, it is asked three times more, and the session ends with its interval', async () => {
    rig = await Rig.up();
    const leg = await called(agreed);
    await rig.run(91_000);
    for (let turn = 1; turn <= 4; turn += 1) {
      expect(refreshes()).toHaveLength(turn);
      await answers(503);
      await rig.run(11_000);
    }
    expect(refreshes()).toHaveLength(4);
    expect(leg.commands).not.toContain('release');
    await rig.run(46_000);
    expect(leg.last('release')).toEqual(['normal', 102]);
    expect(byes()).toBe(1);
  });

  it('refused once and then taken: it goes on', async () => {
    rig = await Rig.up();
    const leg = await called(agreed);
    await rig.run(91_000);
    await answers(500);
    await rig.run(11_000);
    await answers(200, agreed);
    await rig.run(89_000);
    expect(refreshes()).toHaveLength(2);
    await rig.run(3_000);
    await answers(200, agreed);
    await rig.run(60_000);
    expect(leg.commands).not.toContain('release');
    expect(byes()).toBe(0);
  });

  it('§7.3, §7.4 too short for somebody on the way (422): again with what he demands, and so from then on', async () => {
    rig = await Rig.up();
    await called(agreed);
    await rig.run(91_000);
    await answers(422, 'Min-SE: 600\r\n');
    expect(refreshes()).toHaveLength(2);
    const again = lastRefresh();
    expect([again.named('Session-Expires'), again.named('Min-SE')]).toEqual(['600;refresher=uac', '600']);
    await answers(200, 'Session-Expires: 600;refresher=uac\r\nRequire: timer\r\n');
    await rig.run(299_000);
    expect(refreshes()).toHaveLength(2);
    await rig.run(2_000);
    expect(lastRefresh().named('Session-Expires')).toBe('600;refresher=uac');
  });

  it('a 422 that demands nothing more, or more each time, is not followed without end', async () => {
    rig = await Rig.up();
    await called(agreed);
    await rig.run(91_000);
    await answers(422, 'Min-SE: 90\r\n');
    expect(refreshes()).toHaveLength(1);
    await rig.run(11_000);
    for (let turn = 0; turn < 20; turn += 1) await answers(422, `Min-SE: ${200 + turn}\r\n`);
    expect(refreshes().length).toBeLessThan(8);
  });

  it('a 422 to an offer in mid-call: the offer goes again, and nobody is told that it was refused', async () => {
    rig = await Rig.up();
    const leg = await called(agreed);
    leg.say({ kind: 'modifyOffered', description: `${lineSdp.replace('30000', '30004')}a=sendonly\r\n` });
    await rig.run(10);
    await answers(422, 'Min-SE: 300\r\n');
    expect(refreshes()).toHaveLength(2);
    expect(lastRefresh().body).toContain('m=audio 30004');
    expect(lastRefresh().named('Min-SE')).toBe('300');
    await answers(200, 'Session-Expires: 300;refresher=uac\r\nRequire: timer\r\n');
    expect(leg.commands).toContain('modifyAnswer');
    expect(leg.commands).not.toContain('modifyRefuse');
  });
});

describe('§10 the peer refreshes, as was agreed', () => {
  const agreed = 'Session-Expires: 180;refresher=uas\r\nRequire: timer\r\n';

  it('and does not: BYE somewhat before the end', async () => {
    rig = await Rig.up();
    const leg = await called(agreed);
    await rig.run(147_000);
    expect(byes()).toBe(0);
    await rig.run(2_000);
    expect(byes()).toBe(1);
    expect(leg.last('release')).toEqual(['normal', 102]);
  });

  it('and turns the timer off by a refresh without one: then we look after it', async () => {
    rig = await Rig.up();
    const leg = await rig.talking({ fields: 'Supported: timer\r\nSession-Expires: 180;refresher=uac\r\n' });
    await rig.run(80_000);
    rig.inDialog('UPDATE');
    await rig.run(10);
    expect(rig.peer.responses('UPDATE', 200).at(-1)?.named('Session-Expires')).toBeUndefined();
    await rig.run(91_000);
    expect(byes()).toBe(0);
    expect(refreshes()).toHaveLength(1);
    await answers(200);
    expect(leg.commands).not.toContain('release');
  });
});

describe('§9, table 2: what a request for a timer is answered', () => {
  it.each([
    ['Session-Expires: 300\r\n', '300;refresher=uas', undefined],
    ['Session-Expires: 300;refresher=uas\r\n', '300;refresher=uas', undefined],
    ['Session-Expires: 50\r\n', '90;refresher=uas', undefined],
    ['Supported: timer\r\nSession-Expires: 300\r\n', '300;refresher=uac', 'timer'],
    ['Supported: timer\r\nSession-Expires: 300;refresher=uac\r\n', '300;refresher=uac', 'timer'],
    ['Supported: timer\r\nSession-Expires: 300;refresher=uas\r\n', '300;refresher=uas', 'timer'],
    ['Supported: timer\r\nMin-SE: 600\r\n', '600;refresher=uac', 'timer'],
    ['k: timer\r\nx: 300;refresher=uas\r\n', '300;refresher=uas', 'timer'],
    ['', undefined, undefined],
  ])('%j: %s', async (fields, expires, required) => {
    rig = await Rig.up();
    await rig.talking({ fields });
    const [answer] = rig.peer.responses('INVITE', 200);
    expect([answer?.named('Session-Expires'), answer?.list(H.require)[0]]).toEqual([expires, required]);
  });
});
