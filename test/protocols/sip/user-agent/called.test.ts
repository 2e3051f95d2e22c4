import { afterEach, describe, expect, it } from 'vitest';
import { lineSdp, peerHost, peerSdp, Rig } from './rig.ts';

let rig: Rig;

afterEach(async () => {
  await rig.stop();
});

describe('RFC 3261 §13.3 a call that comes by SIP', () => {
  it('says 100 after 200 ms where the line takes its time', async () => {
    rig = await Rig.up();
    rig.peer.request('INVITE', { body: peerSdp });
    await rig.run(190);
    expect(rig.peer.got).toEqual([]);
    await rig.run(20);
    expect(rig.peer.responses('INVITE').map(({ status }) => status)).toEqual([100]);
  });

  it('waits for a gateway that takes 20 s', async () => {
    rig = await Rig.up();
    rig.peer.request('INVITE', { body: peerSdp });
    await rig.run(20_000);
    rig.leg.say({ kind: 'alerting', description: lineSdp, early: false });
    rig.leg.say({ kind: 'answered' });
    await rig.run(10);
    expect(rig.peer.responses('INVITE').map(({ status }) => status)).toEqual([100, 180, 200]);
  });

  it('has the same To tag in every response, and the answer in the 200 alone', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming();
    leg.say({ kind: 'answered' });
    await rig.run(10);
    const [ringing, answered] = rig.peer.responses('INVITE');
    expect([ringing?.status, ringing?.body, answered?.status]).toEqual([180, '', 200]);
    expect(ringing?.toTag).toBe(answered?.toTag);
    expect(answered?.body).toContain('m=audio 30000 RTP/AVP 0');
  });

  it('does not answer before the line is connected', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming();
    leg.settling = [];
    leg.say({ kind: 'answered' });
    await rig.run(100);
    expect(rig.peer.responses('INVITE', 200)).toEqual([]);
    for (const run of leg.settling) run();
    await rig.run(10);
    expect(rig.peer.responses('INVITE', 200)).toHaveLength(1);
  });

  it('§13.3.1.4 repeats the 200 until the ACK comes', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming();
    leg.say({ kind: 'answered' });
    await rig.run(1_600);
    expect(rig.peer.responses('INVITE', 200)).toHaveLength(3);
    await rig.acknowledge();
    await rig.run(20_000);
    expect(rig.peer.responses('INVITE', 200)).toHaveLength(3);
    expect(leg.commands).not.toContain('release');
  });

  it('§13.3.1.4 ends the session with BYE where no ACK comes', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming();
    leg.say({ kind: 'answered' });
    await rig.run(33_000);
    expect(rig.peer.requests('BYE').length).toBeGreaterThan(0);
    expect(leg.last('release')).toBeDefined();
  });

  it('§15 sends no BYE before the ACK', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming();
    leg.say({ kind: 'answered' });
    await rig.run(10);
    leg.say({ kind: 'hungUp' });
    await rig.run(100);
    expect(rig.peer.requests('BYE')).toEqual([]);
    await rig.acknowledge();
    expect(rig.peer.requests('BYE')).toHaveLength(1);
  });

  it('§13.2.1 takes the answer from the ACK where the INVITE had no offer', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming({ body: '' });
    expect(leg.last('alert')?.[1]).toBeUndefined();
    leg.say({ kind: 'answered', description: lineSdp });
    await rig.run(10);
    expect(rig.peer.responses('INVITE', 200)[0]?.body).toContain('m=audio 30000');
    await rig.acknowledge(peerSdp);
    expect(leg.last('connect')).toEqual([peerSdp]);
  });

  it('§9.2 CANCEL: 200 to it, 487 to the INVITE', async () => {
    rig = await Rig.up();
    const branch = rig.peer.request('INVITE', { body: peerSdp, cseq: 1 });
    await rig.run(10);
    rig.leg.say({ kind: 'alerting', description: lineSdp, early: false });
    await rig.run(10);
    rig.peer.request('CANCEL', { branch, cseq: 1, contact: false });
    await rig.run(10);
    expect(rig.peer.responses('CANCEL').map(({ status }) => status)).toEqual([200]);
    expect(rig.peer.responses('INVITE').at(-1)?.status).toBe(487);
    expect(rig.leg.last('release')?.[0]).toBe('cancelled');
  });

  it('§9.2 a CANCEL after the 200 has no effect', async () => {
    rig = await Rig.up();
    const branch = rig.peer.request('INVITE', { body: peerSdp, cseq: 1 });
    await rig.run(10);
    rig.leg.say({ kind: 'alerting', description: lineSdp, early: false });
    rig.leg.say({ kind: 'answered' });
    await rig.run(10);
    rig.peer.request('CANCEL', { branch, cseq: 1, contact: false });
    await rig.run(10);
    expect(rig.peer.responses('CANCEL', 200)).toHaveLength(1);
    expect(rig.peer.responses('INVITE', 487)).toEqual([]);
    expect(rig.leg.commands).not.toContain('release');
  });

  it('§15.1.2 an early dialog may be ended by BYE', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming();
    rig.inDialog('BYE');
    await rig.run(10);
    expect(rig.peer.responses('BYE', 200)).toHaveLength(1);
    expect(rig.peer.responses('INVITE').at(-1)?.status).toBe(487);
    expect(leg.commands).toContain('release');
  });

  it('§8.2.2.2 the same INVITE by another way is a merged request: 482', async () => {
    rig = await Rig.up();
    await rig.incoming({ cseq: 5 });
    rig.peer.request('INVITE', { body: peerSdp, cseq: 5 });
    await rig.run(10);
    expect(rig.peer.responses('INVITE').at(-1)?.status).toBe(482);
    expect(rig.lines.legs).toHaveLength(1);
  });

  it('§8.2.2.3 refuses extensions that it does not have', async () => {
    rig = await Rig.up();
    rig.peer.request('INVITE', { body: peerSdp, fields: 'Require: precondition, 100rel\r\n' });
    await rig.run(10);
    const [answer] = rig.peer.responses('INVITE');
    expect([answer?.status, answer?.named('Unsupported')]).toEqual([420, 'precondition']);
  });

  it('§11 tells what it can do', async () => {
    rig = await Rig.up();
    rig.peer.request('OPTIONS');
    await rig.run(10);
    const [answer] = rig.peer.responses('OPTIONS');
    expect([answer?.status, answer?.named('Allow')]).toEqual([
      200,
      'INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO',
    ]);
  });

  it('§8.2.1, §21.5.2 methods that are not for lines', async () => {
    rig = await Rig.up();
    for (const method of ['MESSAGE', 'SUBSCRIBE', 'REFER', 'FROBNICATE']) rig.peer.request(method, { callId: method });
    await rig.run(10);
    const statuses = rig.peer.got.map(({ method, status }) => [method, status]);
    expect(statuses).toEqual([
      ['MESSAGE', 405],
      ['SUBSCRIBE', 405],
      ['REFER', 405],
      ['FROBNICATE', 501],
    ]);
  });

  it('§12.2.2 a request of no dialog: 481, and an ACK of none: silence', async () => {
    rig = await Rig.up();
    for (const method of ['BYE', 'INVITE', 'UPDATE', 'INFO', 'ACK'])
      rig.peer.request(method, { callId: method, to: '<sip:200@example.com>;tag=made-up' });
    await rig.run(10);
    expect(rig.peer.got.map(({ method, status }) => [method, status])).toEqual([
      ['BYE', 481],
      ['INVITE', 481],
      ['UPDATE', 481],
      ['INFO', 481],
    ]);
  });
});

describe('session descriptions of strangers', () => {
  const refusals: readonly (readonly [string, string, number, string?])[] = [
    ['no SDP at all', 'hello', 488],
    ['no media', 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n', 488],
    ['video alone', peerSdp.replace('m=audio', 'm=video'), 488],
    ['SRTP', peerSdp.replace('RTP/AVP', 'RTP/SAVP'), 488],
    ['DTLS', peerSdp.replace('RTP/AVP', 'UDP/TLS/RTP/SAVPF'), 488],
    ['audio refused', peerSdp.replace('40000', '0'), 488],
    ['a line that is none', `${peerSdp}.\r\nRQNT 1 aaln/1@rgw1 MGCP 1.0\r\n`, 488],
    ['control characters', `${peerSdp}a=x\u0000y\r\n`, 488],
    ['another type', peerSdp, 415, 'text/plain'],
  ];
  for (const [name, body, status, type = 'application/sdp'] of refusals)
    it(`${name}: ${status}, and no line rings`, async () => {
      rig = await Rig.up();
      rig.peer.request('INVITE', { body, type });
      await rig.run(10);
      expect(rig.peer.responses('INVITE').map((answer) => answer.status)).toEqual([status]);
      expect(rig.lines.legs).toEqual([]);
    });

  it('takes out what members keep there, and passes on what else is SDP', async () => {
    rig = await Rig.up();
    const leg = await rig.incoming({ body: `${peerSdp}a=x-altpath:forged\r\na=ptime:20\r\n` });
    expect(leg.last('alert')?.[1]).toBe(`${peerSdp}a=ptime:20\r\n`);
  });
});

describe('RFC 3261 §14, RFC 3264 §8 offers in mid-call', () => {
  const hold = peerSdp.replace('o=- 1 1', 'o=- 1 2').concat('a=sendonly\r\n');

  it('hold and resume ten times', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    for (let turn = 0; turn < 10; turn += 1)
      for (const body of [hold, peerSdp.replace('o=- 1 1', 'o=- 1 3')]) {
        rig.inDialog('INVITE', { body });
        await rig.run(10);
        expect(leg.last('modify')).toEqual([body]);
        leg.say({ kind: 'modifyAnswered', description: `${lineSdp}${body === hold ? 'a=recvonly\r\n' : ''}` });
        await rig.run(10);
        const answer = rig.peer.responses('INVITE', 200).at(-1);
        expect(answer?.body.includes('a=recvonly')).toBe(body === hold);
        await rig.acknowledge();
      }
    expect(leg.commands.filter((command) => command === 'modify')).toHaveLength(20);
    // RFC 3264 §8: a new version for every change.
    expect(rig.peer.responses('INVITE', 200).at(-1)?.body).toContain('o=- 7 21 ');
  });

  for (const [reason, status] of [
    ['notAcceptable', 488],
    ['glare', 491],
    ['temporary', 500],
  ] as const)
    it(`refused as ${reason}: ${status}, and the call stays`, async () => {
      rig = await Rig.up();
      const leg = await rig.talking();
      rig.inDialog('INVITE', { body: hold });
      await rig.run(10);
      leg.say({ kind: 'modifyRefused', reason });
      await rig.run(10);
      expect(rig.peer.responses('INVITE').at(-1)?.status).toBe(status);
      rig.inDialog('ACK', { cseq: rig.peer.responses('INVITE').at(-1)?.cseq ?? 0 });
      await rig.run(40_000);
      expect(leg.commands).not.toContain('release');
      rig.inDialog('BYE');
      await rig.run(10);
      expect(rig.peer.responses('BYE', 200)).toHaveLength(1);
    });

  it('§14.2 a second INVITE before the first is answered: 500 with Retry-After', async () => {
    rig = await Rig.up();
    await rig.talking();
    rig.inDialog('INVITE', { body: hold });
    await rig.run(10);
    rig.inDialog('INVITE', { body: hold });
    await rig.run(10);
    const answer = rig.peer.responses('INVITE').at(-1);
    expect(answer?.status).toBe(500);
    expect(answer?.header(24)).toMatch(/^([0-9]|10)$/);
  });

  it('§14.2 an INVITE that meets one of ours: 491, and ours is tried again after 491', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    leg.say({ kind: 'modifyOffered', description: lineSdp.replace('30000', '30002') });
    await rig.run(10);
    const [ours] = rig.peer.requests('INVITE');
    expect(ours?.body).toContain('30002');
    rig.inDialog('INVITE', { body: hold });
    await rig.run(10);
    expect(rig.peer.responses('INVITE').at(-1)?.status).toBe(491);
    if (ours !== undefined) rig.peer.respond(ours, 491, 'Request Pending');
    await rig.run(2_100);
    const again = rig.peer.requests('INVITE').at(-1);
    expect(again?.cseq).toBeGreaterThan(ours?.cseq ?? 0);
    if (again !== undefined) rig.peer.respond(again, 200, 'OK', { body: peerSdp });
    await rig.run(10);
    expect(leg.last('modifyAnswer')).toEqual([peerSdp]);
    expect(rig.peer.requests('ACK').at(-1)?.cseq).toBe(again?.cseq);
  });

  it('an offer of ours that is refused with 488 changes nothing', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    leg.say({ kind: 'modifyOffered', description: lineSdp.replace('30000', '30002') });
    await rig.run(10);
    rig.peer.respond(rig.peer.lastOf('INVITE'), 488, 'Not Acceptable Here');
    await rig.run(10);
    expect(leg.last('modifyRefuse')).toEqual(['notAcceptable']);
    expect(leg.commands).not.toContain('release');
  });

  it('without a description asks the line for all of it, and the answer is in the ACK', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    rig.inDialog('INVITE');
    await rig.run(10);
    expect(leg.last('modify')).toEqual([undefined]);
    leg.say({ kind: 'modifyAnswered', description: lineSdp });
    await rig.run(10);
    expect(rig.peer.responses('INVITE', 200).at(-1)?.body).toContain('m=audio 30000');
    await rig.acknowledge(peerSdp.replace('40000', '40002'));
    expect(leg.last('connect')).toEqual([peerSdp.replace('40000', '40002')]);
  });

  it('RFC 3311 UPDATE: without an offer 200, with one like a re-INVITE', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    rig.inDialog('UPDATE');
    await rig.run(10);
    expect(rig.peer.responses('UPDATE', 200)).toHaveLength(1);
    rig.inDialog('UPDATE', { body: hold });
    await rig.run(10);
    leg.say({ kind: 'modifyAnswered', description: lineSdp });
    await rig.run(10);
    expect(rig.peer.responses('UPDATE', 200).at(-1)?.body).toContain('m=audio 30000');
  });

  it('the same description again is answered without asking the line', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    rig.inDialog('INVITE', { body: peerSdp });
    await rig.run(10);
    expect(rig.peer.responses('INVITE', 200)).toHaveLength(2);
    expect(leg.commands).not.toContain('modify');
  });

  it('§12.2.1.1 requests go where the last Contact says', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    rig.inDialog('INVITE', { body: peerSdp, contact: false, fields: `Contact: <sip:moved@${rig.peer.host}:5060>\r\n` });
    await rig.run(10);
    await rig.acknowledge();
    leg.say({ kind: 'hungUp' });
    await rig.run(10);
    expect(rig.peer.requests('BYE')[0]?.requestUri).toBe(`sip:moved@${rig.peer.host}:5060`);
  });

  it('§12.2.2 a lower CSeq is out of order: 500', async () => {
    rig = await Rig.up();
    await rig.talking({ cseq: 100 });
    rig.inDialog('INFO', { cseq: 99 });
    await rig.run(10);
    expect(rig.peer.responses('INFO')[0]?.status).toBe(500);
  });
});

describe('RFC 3261 §15 the end', () => {
  it('BYE with the cause of Q.850, both ways', async () => {
    rig = await Rig.up();
    const leg = await rig.talking();
    rig.inDialog('BYE', { fields: 'Reason: SIP;cause=200, Q.850;cause=31;text="x"\r\n' });
    await rig.run(10);
    expect(leg.last('release')).toEqual(['normal', 31]);
    const second = await rig.talking({ callId: 'second' });
    second.say({ kind: 'hungUp', cause: 16 });
    await rig.run(10);
    expect(rig.peer.requests('BYE')[0]?.named('Reason')).toBe('Q.850;cause=16');
  });

  it('a BYE that comes again after the end: 200 as repetition, else 481; never relayed', async () => {
    rig = await Rig.up();
    await rig.talking();
    rig.inDialog('BYE', { branch: 'z9hG4bKbye', cseq: 50 });
    rig.inDialog('BYE', { branch: 'z9hG4bKbye', cseq: 50 });
    await rig.run(10);
    rig.inDialog('BYE', { cseq: 51 });
    await rig.run(10);
    expect(rig.peer.responses('BYE').map(({ status }) => status)).toEqual([200, 200, 481]);
    expect(rig.peer.requests('BYE')).toEqual([]);
  });

  it('§15.1.2 a re-INVITE that is not answered yet gets 487', async () => {
    rig = await Rig.up();
    await rig.talking();
    rig.inDialog('INVITE', { body: peerSdp.replace('40000', '40002') });
    await rig.run(10);
    rig.inDialog('BYE');
    await rig.run(10);
    expect(rig.peer.responses('INVITE').at(-1)?.status).toBe(487);
  });

  it('a program hears of each call once, from whoever began it', async () => {
    rig = await Rig.up();
    await rig.talking();
    rig.inDialog('BYE');
    await rig.run(10);
    expect(rig.heard).toEqual(['sip begun', 'sip answered', 'sip ended']);
    rig.heard.length = 0;
    const leg = await rig.outgoing();
    rig.peer.respond(rig.peer.lastOf('INVITE'), 200, 'OK', { body: peerSdp });
    await rig.run(10);
    leg.say({ kind: 'hungUp' });
    await rig.run(10);
    expect(rig.heard).toEqual(['line begun', 'line answered', 'line ended']);
  });

  it('leaves nothing behind, after 200 calls', async () => {
    rig = await Rig.up();
    await rig.run(70_000);
    const before = rig.clock.pending;
    for (let call = 0; call < 200; call += 1) {
      await rig.talking({ callId: `call ${call}` });
      rig.inDialog('BYE');
      await rig.run(100);
    }
    await rig.run(70_000);
    expect(rig.clock.pending).toBe(before);
    expect(rig.role.status()).toMatchObject({ transactions: 0, pending: 0 });
    await rig.readMetrics();
    expect(rig.dialogs).toBe(0);
    expect([...rig.callControl.calls]).toEqual([]);
  });
});

describe('who may call a line, and under which name', () => {
  it('where calls need credentials a stranger may call lines, as he may call users', async () => {
    rig = await Rig.up({ auth: { invite: true, users: [{ user: '7001', password: 'secret' }] } });
    rig.peer.request('INVITE', { body: peerSdp, from: '<sip:stranger@elsewhere.example>' });
    await rig.run(10);
    expect(rig.lines.legs).toHaveLength(1);
    rig.peer.request('INVITE', { body: peerSdp, callId: 'claims', from: '<sip:7001@example.com>' });
    rig.peer.request('INVITE', {
      body: peerSdp,
      callId: 'trunk',
      from: '<sip:a@b.example>',
      uri: 'sip:+49301@192.0.2.1',
    });
    await rig.run(10);
    const final = (callId: string) => rig.peer.got.find((message) => message.callId === callId)?.status;
    expect([final('claims'), final('trunk')]).toEqual([407, 407]);
    expect(rig.lines.legs).toHaveLength(1);
  });

  it('a stranger’s Contact leads us to no hop that the operator named', async () => {
    const trunk = '127.0.0.77';
    for (const [contact, byes] of [
      [`sip:+49900@${trunk}:5060`, 0],
      [`sip:7001@${peerHost}:5060`, 1],
    ] as const) {
      rig = await Rig.up({
        auth: { invite: true, users: [{ user: '7001', password: 'secret' }] },
        routes: [{ prefix: '+49', to: [`${trunk}:5060`] }],
      });
      const sent: string[] = [];
      rig.network.onPacket(({ to, bytes }) => {
        if (bytes.toString('latin1').startsWith('BYE ')) sent.push(to.host);
      });
      const fields = `Contact: <${contact}>\r\n`;
      const leg = await rig.talking({ from: '<sip:stranger@elsewhere.example>', contact: false, fields });
      leg.say({ kind: 'hungUp' });
      await rig.run(400);
      expect(sent).toHaveLength(byes);
      if (byes === 0) await rig.stop();
    }
  });

  it('the number of a line is no name for a telephone: not in From, and not in REGISTER', async () => {
    rig = await Rig.up();
    rig.peer.request('INVITE', { body: peerSdp, from: '<sip:200@example.com>' });
    rig.peer.request('REGISTER', {
      uri: 'sip:example.com',
      to: '<sip:200@example.com>',
      callId: 'registration',
      fields: 'Expires: 3600\r\n',
    });
    await rig.run(10);
    expect(rig.peer.got.map(({ method, status }) => [method, status])).toEqual([
      ['INVITE', 403],
      ['REGISTER', 403],
    ]);
    expect(rig.lines.legs).toEqual([]);
    expect(await rig.metrics.text()).toMatch(/sip_line_numbers_claimed_total\S* 1/);
  });
});
