/** What each protocol tells of its recorded messages, and what it hides of them. */
import { describe, expect, it } from 'vitest';
import { megacoReader, mgcpReader, sipReader } from '../../support/readers.ts';

const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n';

const invite = [
  'INVITE sip:bob:hunter2@example.com SIP/2.0',
  'Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1',
  'Max-Forwards: 70',
  'From: <sip:alice@example.com>;tag=1',
  'To: <sip:bob@example.com>',
  'Call-ID: a1@host',
  'CSeq: 1 INVITE',
  'Authorization: Digest username="alice", realm="example.com",',
  ' nonce="n0nce", uri="sip:bob@example.com", response="0123456789abcdef0123456789abcdef"',
  'proxy-authorization : Digest response="fedcba98"',
  'Content-Type: application/sdp',
  'Content-Length: 250',
  '',
  `${sdp}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\na=x-altpath:c2VhbGVk\r\nk=clear:secretkey\r\na=sendrecv\r\n`,
].join('\r\n');

describe('SIP in the trace', () => {
  it('is read to its title, call, transaction and parties', () => {
    const [reading] = sipReader.read(
      Buffer.from(invite.replace('250', String(invite.length - invite.indexOf('\r\n\r\n') - 4))),
    );
    expect(reading).toMatchObject({ isRequest: true, call: 'a1@host', transaction: 'z9hG4bK1 INVITE' });
    expect(reading?.parties).toEqual(expect.arrayContaining(['alice', 'bob', 'sip:alice@example.com']));
    const [answer] = sipReader.read(
      Buffer.from(
        'SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: a1@host\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n',
      ),
    );
    expect(answer).toMatchObject({ title: '486 Busy Here (INVITE)', isRequest: false, transaction: 'z9hG4bK1 INVITE' });
  });

  it('shows no credentials, no passwords and no keys of media, and stays as long as it was (RFC 3261 §20.7, RFC 4568 §4)', () => {
    const original = Buffer.from(invite);
    const masked = sipReader.masked(original).toString('latin1');
    for (const secret of ['0123456789abcdef', 'fedcba98', 'n0nce', 'd0RmdmcmVCsp', 'c2VhbGVk', 'secretkey', 'hunter2'])
      expect(masked).not.toContain(secret);
    expect(masked.length).toBe(invite.length);
    expect(masked).toContain('a=sendrecv');
    expect(masked).toContain('Call-ID: a1@host');
    expect(original.toString()).toBe(invite);
  });

  it.each(['sip:a:', 'sip::', 'sips:x', 'sip:a:b@', '@', 'sip:sip', 'a:b;c@', 'Authorization: x\n '])(
    'hides passwords in time that grows with the length alone, in 64 kB of %j as well',
    (unit) => {
      const bytes = Buffer.from(`INVITE sip:a SIP/2.0\r\n\r\n${unit.repeat(64_000 / unit.length)}`);
      const begin = process.cpuUsage();
      const masked = sipReader.masked(bytes);
      const { user, system } = process.cpuUsage(begin);
      // It took seconds where each colon was looked for from each `sip:`.
      expect((user + system) / 1_000).toBeLessThan(500);
      expect(masked).toHaveLength(bytes.length);
    },
  );

  it('hides the password of every URI, and nothing of a URI without one', () => {
    const shown = sipReader.masked(
      Buffer.from(
        'To: <sip:a:pa=s,s@h>, "x:y" <SIPS:b@h;c=d:e@f>\r\nr: sip:u:p:q@h?X=sip%3Aw%40z\r\nsip:n:p;x=1@h\r\n',
      ),
    );
    expect(shown.toString()).toBe(
      'To: <sip:a:**=*,*@h>, "x:y" <SIPS:b@h;c=d:e@f>\r\nr: sip:u:*:*@h?X=sip%3Aw%40z\r\nsip:n:p;x=1@h\r\n',
    );
  });

  it('gives the very octets where there is nothing to hide', () => {
    const bytes = Buffer.from('OPTIONS sip:a@b SIP/2.0\r\n\r\n');
    expect(sipReader.masked(bytes)).toBe(bytes);
  });

  it('reads nothing in what is no message', () => {
    for (const reader of [sipReader, mgcpReader, megacoReader])
      for (const bytes of [Buffer.from('\0\0\0\0garbage'), Buffer.alloc(0), Buffer.alloc(2_000, 0x30)])
        expect(reader.read(bytes)).toEqual([]);
  });
});

describe('MGCP in the trace', () => {
  const create = `CRCX 1204 aaln/1@rgw1 MGCP 1.0\r\nC: a3c47f21456789f0\r\nL: p:10, a:PCMU, k:clear:s3cret\r\nM: recvonly\r\n\r\n${sdp}`;

  it('is read to its title, call and endpoint; an answer has its transaction alone', () => {
    expect(mgcpReader.read(Buffer.from(create))).toEqual([
      {
        title: 'CRCX aaln/1@rgw1 M: recvonly',
        isRequest: true,
        call: 'A3C47F21456789F0',
        transaction: '1204',
        parties: ['aaln/1@rgw1', 'aaln/1@rgw1'],
      },
    ]);
    expect(mgcpReader.read(Buffer.from('200 1204 OK\r\nI: FDE234C8\r\n'))).toMatchObject([
      { title: '200 OK', isRequest: false, transaction: '1204' },
    ]);
  });

  it('reads each of several messages in one datagram (RFC 3435 §3.5.5)', () => {
    const both = Buffer.from('200 2005 OK\r\n.\r\nDLCX 1244 card23/21@tgw-7.example.net MGCP 1.0\r\nC: A3C4\r\n');
    expect(mgcpReader.read(both).map(({ title }) => title)).toEqual(['200 OK', 'DLCX card23/21@tgw-7.example.net']);
  });

  it('hides the key of the media (RFC 3435 §3.2.2.10)', () => {
    const masked = mgcpReader.masked(Buffer.from(create)).toString();
    expect(masked).not.toContain('s3cret');
    expect(masked).toContain('a:PCMU');
    expect(masked.length).toBe(create.length);
  });
});

describe('MEGACO in the trace', () => {
  const text =
    'Authentication = 0x000003E8:0x00000001:0x0102030405060708090A0B0C\nMEGACO/1 [127.0.0.1]:2944\nTransaction = 9 {\n Context = $ {\n Add = line/1,\n Add = $ } }';

  it('is read to its commands, transaction and terminations', () => {
    expect(megacoReader.read(Buffer.from(text))).toEqual([
      {
        title: 'Add line/1 in $, Add $ in $',
        isRequest: true,
        transaction: '9',
        parties: ['line/1'],
      },
    ]);
    const reply = 'MEGACO/1 [127.0.0.2]:2944 Reply = 9 { Context = 5 { Add = line/1, Add = rtp/3 } }';
    expect(megacoReader.read(Buffer.from(reply))).toMatchObject([
      { title: 'Reply Add line/1 in 5, Add rtp/3 in 5', isRequest: false, transaction: '9' },
    ]);
    const refused = 'MEGACO/1 [127.0.0.2]:2944 Reply = 9 { Error = 510 { "no room" } }';
    expect(megacoReader.read(Buffer.from(refused))[0]?.title).toContain('error 510');
  });

  it('hides the integrity check value (RFC 3525 §10.2), and can still be read', () => {
    const masked = megacoReader.masked(Buffer.from(text));
    expect(masked.toString()).not.toContain('0102030405060708090A0B0C');
    expect(masked.toString()).toContain('0x000003E8:0x00000001:0x000000000000000000000000');
    expect(megacoReader.read(masked)).toHaveLength(1);
  });
});
