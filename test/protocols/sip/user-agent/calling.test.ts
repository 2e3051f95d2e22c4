import { afterEach, describe, expect, it } from 'vitest';
import { lineSdp, peerSdp, Rig } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

const early = (port: number) => peerSdp.replace('40000', String(port));

describe('RFC 3261 §13.2 a call from a line to a telephone', () => {
  it('every member writes the same INVITE for the same call', async () => {
    const invites: string[] = [];
    for (const seed of [1, 2]) {
      rig = await Rig.up({}, 'one secret', seed);
      const leg = await rig.outgoing({ number: '200', presentation: 'allowed' });
      invites.push(String(leg.call.callId));
      const invite = rig.peer.lastOf('INVITE');
      expect(invite.cseq).toBe(1);
      expect(invite.callId).toMatch(/^[A-Za-z0-9_-]{22}$/);
      expect(invite.body).toBe(lineSdp);
      if (seed === 1) await rig.stop();
    }
    expect(new Set(invites).size).toBe(2);
  });

  it('rings, has early media, and acknowledges once the line is connected', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    rig.peer.respond(invite, 180, 'Ringing');
    await rig.run(10);
    expect(leg.last('progress')).toEqual([undefined, undefined]);
    rig.peer.respond(invite, 183, 'Session Progress', { body: peerSdp });
    await rig.run(10);
    expect(leg.last('progress')).toEqual([peerSdp, undefined]);
    leg.settling = [];
    rig.peer.respond(invite, 200, 'OK', { body: peerSdp });
    await rig.run(100);
    expect(leg.last('connect')).toEqual([peerSdp]);
    expect(rig.peer.requests('ACK')).toEqual([]);
    for (const run of leg.settling) run();
    await rig.run(10);
    expect(rig.peer.requests('ACK')).toHaveLength(1);
  });

  it('acknowledges a 200 that comes again, with the same ACK', async () => {
    rig = await Rig.up();
    await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    for (let copy = 0; copy < 3; copy += 1) {
      rig.peer.respond(invite, 200, 'OK', { body: peerSdp });
      await rig.run(10);
    }
    const acks = rig.peer.requests('ACK');
    expect(acks).toHaveLength(3);
    expect(new Set(acks.map(({ via }) => via.branch)).size).toBe(1);
  });

  it('§13.2.2.4 another telephone that answers as well gets ACK and BYE', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    rig.peer.respond(invite, 183, 'Session Progress', { tag: 'one', body: early(41_000) });
    await rig.run(10);
    rig.peer.respond(invite, 183, 'Session Progress', { tag: 'two', body: early(42_000) });
    await rig.run(10);
    expect(leg.last('progress')).toEqual([early(42_000), undefined]);
    rig.peer.respond(invite, 200, 'OK', { tag: 'one', body: early(41_000) });
    await rig.run(10);
    expect(leg.last('connect')).toEqual([early(41_000)]);
    rig.peer.respond(invite, 200, 'OK', { tag: 'two', body: early(42_000) });
    await rig.run(10);
    expect(rig.peer.requests('BYE').map(({ toTag }) => toTag)).toEqual(['two']);
    expect(rig.peer.requests('ACK').map(({ toTag }) => toTag)).toEqual(['one', 'two']);
    expect(leg.commands).not.toContain('release');
  });

  it('§13.2.1 the description of a 183 holds where the 200 has none', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    rig.peer.respond(invite, 183, 'Session Progress', { body: peerSdp });
    await rig.run(10);
    rig.peer.respond(invite, 200, 'OK');
    await rig.run(10);
    expect(leg.last('connect')).toEqual([peerSdp]);
  });

  it('a 200 that says another thing than the 183 before it is what counts', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    rig.peer.respond(invite, 183, 'Session Progress', { body: early(41_000) });
    await rig.run(10);
    rig.peer.respond(invite, 200, 'OK', { body: early(42_000) });
    await rig.run(10);
    expect(leg.last('connect')).toEqual([early(42_000)]);
  });

  it('a 200 without any description: ACK, BYE, and the line hears that it cannot be', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    rig.peer.respond(rig.peer.lastOf('INVITE'), 200, 'OK');
    await rig.run(10);
    expect([rig.peer.requests('ACK').length, rig.peer.requests('BYE').length]).toEqual([1, 1]);
    expect(leg.last('release')?.[0]).toBe('notAcceptable');
  });

  it('§9.1 no CANCEL before a provisional response; a 200 that crosses it gets ACK and BYE', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    leg.say({ kind: 'hungUp' });
    await rig.run(50);
    expect(rig.peer.requests('CANCEL')).toEqual([]);
    rig.peer.respond(invite, 180, 'Ringing');
    await rig.run(300);
    const [cancel] = rig.peer.requests('CANCEL');
    expect(cancel?.via.branch).toBe(invite.via.branch);
    rig.peer.respond(invite, 200, 'OK', { body: peerSdp });
    await rig.run(10);
    expect([rig.peer.requests('ACK').length, rig.peer.requests('BYE').length]).toEqual([1, 1]);
    rig.peer.respond(rig.peer.lastOf('BYE'), 200, 'OK');
    if (cancel !== undefined) rig.peer.respond(cancel, 200, 'OK');
    await rig.run(70_000);
    await rig.readMetrics();
    expect(rig.dialogs).toBe(0);
  });

  const finals: readonly (readonly [number, string, string])[] = [
    [486, '', 'busy'],
    [600, '', 'busy'],
    [404, '', 'unknownNumber'],
    [484, '', 'incompleteNumber'],
    [480, '', 'unavailable'],
    [480, 'Reason: Q.850;cause=17\r\n', 'busy'],
    [603, '', 'declined'],
    [403, '', 'forbidden'],
    [488, '', 'notAcceptable'],
    [500, '', 'temporary'],
    [302, 'Contact: <sip:elsewhere@192.0.2.9>\r\n', 'unavailable'],
  ];
  for (const [status, fields, reason] of finals)
    it(`${status} ${fields.trim()} is ${reason}`, async () => {
      rig = await Rig.up();
      const leg = await rig.outgoing();
      rig.peer.respond(rig.peer.lastOf('INVITE'), status, 'No', { fields, contact: '' });
      await rig.run(10);
      expect(leg.last('release')?.[0]).toBe(reason);
      expect(rig.peer.requests('ACK')).toHaveLength(1);
      await rig.run(70_000);
      await rig.readMetrics();
      expect(rig.dialogs).toBe(0);
    });

  it('RFC 3323 a caller who wants to stay unknown is not named anywhere', async () => {
    rig = await Rig.up();
    await rig.outgoing({ number: '200', name: 'Anna', presentation: 'restricted' });
    const { text } = rig.peer.lastOf('INVITE');
    expect(text).toContain('From: "Anonymous" <sip:anonymous@anonymous.invalid>;tag=');
    expect(text).toContain('Privacy: id\r\n');
    expect(text).not.toContain('200@');
    expect(text).not.toContain('Anna');
  });

  it('the telephone hangs up, and what it says of the cause goes on', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    rig.peer.respond(invite, 200, 'OK', { body: peerSdp });
    await rig.run(10);
    rig.peer.request('BYE', {
      uri: 'sip:200@127.0.0.1:5060',
      from: '<sip:7001@example.com>',
      fromTag: 'callee1',
      to: `<sip:200@example.com>;tag=${invite.fromTag}`,
      callId: invite.callId,
      fields: 'Reason: Q.850;cause=16\r\n',
    });
    await rig.run(10);
    expect(rig.peer.responses('BYE', 200)).toHaveLength(1);
    expect(leg.last('release')).toEqual(['normal', 16]);
  });

  it('§12.2.2 a request with a tag that is of no early dialog: 481', async () => {
    rig = await Rig.up();
    await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    rig.peer.request('BYE', {
      uri: 'sip:200@127.0.0.1:5060',
      fromTag: 'nobody',
      to: `<sip:200@example.com>;tag=${invite.fromTag}`,
      callId: invite.callId,
    });
    await rig.run(10);
    expect(rig.peer.responses('BYE')[0]?.status).toBe(481);
  });
});

describe('RFC 3262 provisional responses that are acknowledged', () => {
  it('§4 PRACK for each in order; one that comes again or too early is dropped', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    const reliable = (rseq: number) => ({
      fields: `Require: 100rel\r\nRSeq: ${rseq}\r\n`,
      body: rseq === 7 ? peerSdp : '',
    });
    for (const rseq of [7, 7, 9, 8]) {
      rig.peer.respond(invite, 183, 'Session Progress', reliable(rseq));
      await rig.run(10);
    }
    const pracks = rig.peer.requests('PRACK');
    expect(pracks.map((prack) => prack.named('RAck'))).toEqual(['7 1 INVITE', '8 1 INVITE']);
    expect((pracks[0]?.cseq ?? 0) < (pracks[1]?.cseq ?? 0)).toBe(true);
    expect(leg.last('progress')).toEqual([peerSdp, undefined]);
    // RFC 3262 §5: the description was the answer; another in the 200 counts no more.
    rig.peer.respond(invite, 200, 'OK', { body: early(43_000) });
    await rig.run(10);
    expect(leg.last('connect')).toEqual([peerSdp]);
  });

  it('§3 where the caller requires it: repeated until PRACK comes, numbered from what every member computes', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming({ fields: 'Require: 100rel\r\n' });
    await rig.run(1_500);
    const rings = rig.peer.responses('INVITE', 180);
    expect(rings.length).toBeGreaterThan(2);
    const rseq = Number(rings[0]?.named('RSeq'));
    expect(rseq).toBeGreaterThan(0);
    expect(rseq).toBeLessThan(2 ** 31);
    rig.inDialog('PRACK', { fields: `RAck: ${rseq + 5} 1 INVITE\r\n`, contact: false });
    await rig.run(10);
    expect(rig.peer.responses('PRACK')[0]?.status).toBe(481);
    rig.inDialog('PRACK', { fields: `RAck: ${rseq} ${rings[0]?.cseq} INVITE\r\n`, contact: false });
    await rig.run(10);
    expect(rig.peer.responses('PRACK').at(-1)?.status).toBe(200);
    const before = rig.peer.responses('INVITE', 180).length;
    await rig.run(10_000);
    expect(rig.peer.responses('INVITE', 180)).toHaveLength(before);
    leg.say({ kind: 'answered' });
    await rig.run(10);
    expect(rig.peer.responses('INVITE', 200)).toHaveLength(1);
  });

  it('§3 no PRACK at all: the call fails', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming({ fields: 'Require: 100rel\r\n' });
    await rig.run(33_000);
    expect(rig.peer.responses('INVITE').at(-1)?.status).toBe(500);
    expect(leg.commands).toContain('release');
  });
});

describe('RFC 4028 session timers', () => {
  it('§9 an interval below 90 s is refused: 422 with Min-SE', async () => {
    rig = await Rig.up();
    rig.peer.request('INVITE', { body: peerSdp, fields: 'Supported: timer\r\nSession-Expires: 60\r\n' });
    await rig.run(10);
    const [answer] = rig.peer.responses('INVITE');
    expect([answer?.status, answer?.named('Min-SE')]).toEqual([422, '90']);
  });

  it('§10 the caller refreshes, or the call ends', async () => {
    rig = await Rig.up();
    const leg = await rig.talking({ fields: 'Supported: timer\r\n' });
    const answer = rig.peer.responses('INVITE', 200)[0];
    expect(answer?.named('Session-Expires')).toBe('180;refresher=uac');
    await rig.run(140_000);
    rig.inDialog('UPDATE', { fields: 'Supported: timer\r\nSession-Expires: 180;refresher=uac\r\n' });
    await rig.run(140_000);
    expect(rig.peer.requests('BYE')).toEqual([]);
    await rig.run(20_000);
    expect(new Set(rig.peer.requests('BYE').map(({ cseq }) => cseq)).size).toBe(1);
    expect(leg.last('release')).toEqual(['normal', 102]);
  });

  it('§7.4 where we refresh: at half of the interval, with what was said before', async () => {
    rig = await Rig.up();
    const leg = await rig.talking({ fields: 'Session-Expires: 100;refresher=uas\r\n' });
    const before = rig.peer.responses('INVITE', 200)[0]?.body;
    await rig.run(51_000);
    const refresh = rig.peer.requests('INVITE')[0];
    expect(refresh?.body).toBe(before);
    if (refresh !== undefined) rig.peer.respond(refresh, 200, 'OK', { body: peerSdp });
    await rig.run(10);
    expect(rig.peer.requests('ACK')).toHaveLength(1);
    expect(leg.commands).not.toContain('modify');
  });

  it('§7.3 a called party that wants a longer interval (422) is asked once more with that', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    const first = rig.peer.lastOf('INVITE');
    rig.peer.respond(first, 422, 'Session Interval Too Small', { fields: 'Min-SE: 1800\r\n' });
    await rig.run(10);
    const second = rig.peer.lastOf('INVITE');
    expect([second.callId, second.fromTag, second.cseq]).toEqual([first.callId, first.fromTag, 2]);
    expect([second.named('Session-Expires'), second.named('Min-SE')]).toEqual(['1800;refresher=uas', '1800']);
    expect(second.body).toBe(first.body);
    rig.peer.respond(second, 183, 'Session Progress', { body: peerSdp, fields: 'Require: 100rel\r\nRSeq: 1\r\n' });
    await rig.run(10);
    expect(rig.peer.lastOf('PRACK').named('RAck')).toBe('1 2 INVITE');
    rig.peer.respond(second, 200, 'OK', { body: peerSdp });
    await rig.run(10);
    expect(rig.peer.lastOf('ACK').cseq).toBe(2);
    expect(leg.last('connect')).toEqual([peerSdp]);
  });

  it('§7.3 ... and not a third time', async () => {
    rig = await Rig.up();
    const leg = await rig.outgoing();
    for (const seconds of [1_800, 3_600]) {
      const fields = `Min-SE: ${seconds}\r\n`;
      rig.peer.respond(rig.peer.lastOf('INVITE'), 422, 'Session Interval Too Small', { fields });
      await rig.run(10);
    }
    expect(rig.peer.requests('INVITE')).toHaveLength(2);
    expect(leg.last('release')?.[0]).toBe('unavailable');
  });

  it('a refresh that nobody knows (481) ends the call', async () => {
    rig = await Rig.up();
    const leg = await rig.talking({ fields: 'Session-Expires: 100;refresher=uas\r\n' });
    await rig.run(51_000);
    rig.peer.respond(rig.peer.lastOf('INVITE'), 481, 'Unknown');
    await rig.run(10);
    expect(leg.commands).toContain('release');
  });
});

describe('keys in INFO', () => {
  const keys: readonly (readonly [string, string, readonly unknown[]])[] = [
    ['application/dtmf-relay', 'Signal=5\r\nDuration=250\r\n', ['5', 250]],
    ['application/dtmf-relay', 'Signal= *\r\n', ['*', 160]],
    ['application/dtmf', '#', ['#', 160]],
  ];
  for (const [type, body, told] of keys)
    it(`${type}: ${body.trim()}`, async () => {
      rig = await Rig.up();
      const leg = await rig.talking();
      rig.inDialog('INFO', { body, type, contact: false });
      await rig.run(10);
      expect(rig.peer.responses('INFO', 200)).toHaveLength(1);
      expect(leg.last('digit')).toEqual(told);
    });

  it('what is no key: 415 for another type, 200 without effect else', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    rig.inDialog('INFO', { body: '<xml/>', type: 'application/media_control+xml', contact: false });
    rig.inDialog('INFO', { body: 'Signal=55\r\n', type: 'application/dtmf-relay', contact: false });
    rig.inDialog('INFO', { contact: false });
    await rig.run(10);
    expect(rig.peer.responses('INFO').map(({ status }) => status)).toEqual([415, 200, 200]);
    expect(leg.commands).not.toContain('digit');
  });

  it('from the line: one after the other', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    leg.say({ kind: 'digit', signal: '1', durationMs: 100 });
    leg.say({ kind: 'digit', signal: '2', durationMs: 100 });
    await rig.run(10);
    expect(rig.peer.requests('INFO').map(({ body }) => body)).toEqual(['Signal=1\r\nDuration=100\r\n']);
    rig.peer.respond(rig.peer.lastOf('INFO'), 200, 'OK');
    await rig.run(10);
    expect(rig.peer.requests('INFO').map(({ body }) => body)).toHaveLength(2);
  });
});

describe('who calls (RFC 3323, RFC 3325 §9)', () => {
  const callers: readonly (readonly [string, string, string, unknown])[] = [
    ['From', '"Anna" <sip:7001@example.com>', '', { number: '7001', name: 'Anna', presentation: 'allowed' }],
    ['a name only', '"Bob" <sip:bob@example.com>', '', { number: undefined, name: 'Bob', presentation: 'allowed' }],
    ['anonymous', '<sip:anonymous@anonymous.invalid>', '', { presentation: 'restricted' }],
    ['Privacy', '<sip:7001@example.com>', 'Privacy: id\r\n', { presentation: 'restricted' }],
    [
      'an assertion of a stranger counts for nothing',
      '<sip:7001@example.com>',
      'P-Asserted-Identity: <sip:110@example.com>\r\n',
      { number: '7001', name: undefined, presentation: 'allowed' },
    ],
    ['nothing', '<sip:example.com>', '', { presentation: 'unavailable' }],
  ];
  for (const [name, from, fields, identity] of callers)
    it(name, async () => {
      rig = await Rig.up();
      const leg = await rig.incoming({ from, fields });
      expect(leg.caller).toEqual(identity);
    });
});

describe('RFC 5626 §5.3 a telephone on a connection, at a Contact that nobody can reach', () => {
  it('is called over its connection, and hears of the end over it', async () => {
    rig = await Rig.up({}, 'secret', 1, true);
    const leg = await rig.outgoing();
    const invite = rig.peer.lastOf('INVITE');
    expect(invite.text).toContain('Contact: <sip:200@127.0.0.1:5060;transport=tcp>');
    rig.peer.respond(invite, 200, 'OK', { body: peerSdp });
    await rig.run(10);
    expect(rig.peer.requests('ACK')).toHaveLength(1);
    leg.say({ kind: 'hungUp' });
    await rig.run(10);
    expect(rig.peer.requests('BYE').map(({ requestUri }) => requestUri)).toEqual([rig.peer.contact]);
  });

  it('calls over it, and hears over it that the line has hung up', async () => {
    rig = await Rig.up({}, 'secret', 1, true);
    const leg = await rig.talking();
    leg.say({ kind: 'modifyOffered', description: lineSdp.replace('30000', '30002') });
    await rig.run(10);
    rig.peer.respond(rig.peer.lastOf('INVITE'), 200, 'OK', { body: peerSdp });
    await rig.run(10);
    leg.say({ kind: 'hungUp' });
    await rig.run(10);
    expect(rig.peer.requests('BYE')).toHaveLength(1);
    // Each answered once: nothing came by another way.
    expect(rig.peer.requests('ACK')).toHaveLength(1);
  });
});
