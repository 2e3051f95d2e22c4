import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { answerTo, causeOf, ptimeOf, type ReleaseReason, reasonOf, servedMedia } from '../../src/internal.ts';

const lines = (...each: readonly string[]): string => [...each, ''].join('\r\n');
const session = ['v=0', 'o=- 1 1 IN IP4 192.0.2.1', 's=-', 'c=IN IP4 192.0.2.1', 't=0 0'];
const own = lines(...session, 'm=audio 4000 RTP/AVP 0', 'a=ptime:20');

describe('what a line can serve of an offer', () => {
  it('is the offer itself where that is one stream of audio', () => {
    const offer = lines(...session, 'm=audio 5000 RTP/AVP 8 0 101', 'a=rtpmap:101 telephone-event/8000', 'a=sendrecv');
    expect(servedMedia(offer)).toMatchObject({ kind: 'audio', remote: offer, mode: 'both', index: 0 });
  });
  it('leaves ICE, DTLS keys, bundling and RTCP extensions aside', () => {
    const offer = lines(
      ...session,
      'a=group:BUNDLE 0 1',
      'a=ice-options:trickle',
      'm=audio 5000 RTP/AVPF 0',
      'a=mid:0',
      'a=rtcp-mux',
      'a=candidate:1 1 udp 1 192.0.2.1 5000 typ host',
      'a=rtcp-fb:0 nack',
      'a=ptime:30',
      'm=video 6000 RTP/AVPF 96',
      'a=mid:1',
    );
    const served = servedMedia(offer);
    expect(served?.remote).toBe(lines(...session, 'm=audio 5000 RTP/AVP 0', 'a=ptime:30'));
    // The answer keeps the profile and the order of the offer.
    expect(served && answerTo(served, own, 'both')).toBe(
      lines(...session, 'm=audio 4000 RTP/AVPF 0', 'a=ptime:20', 'm=video 0 RTP/AVPF 96'),
    );
  });
  it('takes the plain one of two alternatives for audio', () => {
    const offer = lines(...session, 'm=audio 5000 RTP/SAVP 0', 'a=crypto:1 x', 'm=audio 5002 RTP/AVP 0');
    expect(servedMedia(offer)).toMatchObject({ index: 1 });
  });
  it('is nothing where all audio is secured, refused or absent', () => {
    for (const media of [
      'm=audio 5000 RTP/SAVP 0',
      'm=audio 5000 UDP/TLS/RTP/SAVPF 0',
      'm=audio 0 RTP/AVP 0',
      'm=video 5000 RTP/AVP 96',
    ])
      expect(servedMedia(lines(...session, media))).toBeUndefined();
  });
  it('is fax where that is asked for, with audio refused or beside it (T.38)', () => {
    const fax = 'm=image 5002 udptl t38';
    for (const audio of ['m=audio 0 RTP/AVP 0', 'm=audio 5000 RTP/AVP 0'])
      expect(servedMedia(lines(...session, audio, fax), true)).toMatchObject({ kind: 'fax', index: 1 });
    expect(servedMedia(lines(...session, 'm=audio 5000 RTP/AVP 0', fax))).toMatchObject({ kind: 'audio', index: 0 });
  });
  it('reads the direction of the medium before that of the session (RFC 4566 §6)', () => {
    const offer = lines(...session, 'a=inactive', 'm=audio 5000 RTP/AVP 0', 'a=sendonly');
    expect(servedMedia(offer)?.mode).toBe('receive');
    expect(servedMedia(lines(...session, 'a=inactive', 'm=audio 5000 RTP/AVP 0'))?.mode).toBe('none');
  });
  it('is silence towards the unspecified address of either family', () => {
    for (const c of ['c=IN IP4 0.0.0.0', 'c=IN IP6 ::'])
      expect(servedMedia(lines(...session, 'm=audio 5000 RTP/AVP 0', c))).toMatchObject({
        mode: 'none',
        isUnconnected: true,
      });
  });
});

describe('the answer', () => {
  it('has no direction that a gateway wrote of its own state', () => {
    const said = lines(...session, 'a=recvonly', 'm=audio 4000 RTP/AVP 0', 'a=inactive');
    expect(answerTo(undefined, said, 'both')).toBe(lines(...session, 'm=audio 4000 RTP/AVP 0'));
    expect(answerTo(undefined, said, 'receive')).toBe(lines(...session, 'm=audio 4000 RTP/AVP 0', 'a=recvonly'));
  });
  it('tells the packetization period that was asked for, where the gateway does not', () => {
    const offer = servedMedia(lines(...session, 'm=audio 5000 RTP/AVP 0', 'a=ptime:30'));
    expect(answerTo(offer, lines(...session, 'm=audio 4000 RTP/AVP 0'), 'both')).toContain('\r\na=ptime:30\r\n');
    expect(answerTo(offer, own, 'both')).toBe(own);
  });
  it('has as many media lines as the offer, whatever the offer is (RFC 3264 §6)', () => {
    const medium = fc.record({
      media: fc.constantFrom('audio', 'video', 'image', 'application'),
      port: fc.integer({ min: 0, max: 65_535 }),
      profile: fc.constantFrom('RTP/AVP', 'RTP/AVPF', 'RTP/SAVP', 'udptl'),
    });
    fc.assert(
      fc.property(fc.array(medium, { minLength: 1, maxLength: 6 }), (media) => {
        const offer = lines(...session, ...media.map((m) => `m=${m.media} ${m.port} ${m.profile} 0`));
        const served = servedMedia(offer);
        if (served === undefined) return;
        const answered = answerTo(served, own, 'both')
          .split('\r\n')
          .filter((line) => line.startsWith('m='));
        expect(answered).toHaveLength(media.length);
        for (const [at, line] of answered.entries()) {
          expect(line.startsWith(`m=${media[at]?.media} `)).toBe(true);
          expect(/ 0 /.test(line.slice(0, line.lastIndexOf(' ') + 1))).toBe(at !== served.index);
        }
      }),
    );
  });
  it('never throws and ends soon, whatever is offered', () => {
    const piece = fc.constantFrom(
      'm=',
      'm=audio 1 RTP/AVP 0',
      'c=IN IP4 ',
      'a=sendonly',
      '\r\n',
      '\n',
      '\0',
      'm=audio 99999 x',
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(piece, fc.string()), { maxLength: 60 }), (pieces) => {
        const served = servedMedia(pieces.join(''), true);
        if (served !== undefined) answerTo(served, pieces.join(''), 'receive');
      }),
    );
    const started = performance.now();
    servedMedia('m=audio 1 RTP/AVP '.repeat(3_600));
    servedMedia('a=x\n'.repeat(16_000));
    servedMedia(`m=audio 1 RTP/AVP${' '.repeat(64_000)}`);
    expect(performance.now() - started).toBeLessThan(200);
  });
  it('reads a packetization period that RTP can have', () => {
    expect([ptimeOf('a=ptime:30'), ptimeOf('a=ptime:0'), ptimeOf('a=ptime:9999'), ptimeOf('x')]).toEqual([
      30,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('causes of Q.850', () => {
  const reasons: readonly ReleaseReason[] = [
    'normal',
    'busy',
    'unknownNumber',
    'unavailable',
    'noAnswer',
    'declined',
    'noResources',
    'notAcceptable',
    'incompleteNumber',
    'gatewayLost',
    'temporary',
    'overload',
  ];
  it('mean the reasons that they are told for', () => {
    for (const reason of reasons) expect(reasonOf(causeOf(reason))).toBe(reason);
    expect([causeOf('cancelled'), causeOf('forbidden')]).toEqual([16, 21]);
  });
  it('that have no meaning of their own have that of their class; others have none', () => {
    expect([34, 57, 65, 81, 102, 127].map(reasonOf)).toEqual([
      'noResources',
      'forbidden',
      'notAcceptable',
      'temporary',
      'temporary',
      'temporary',
    ]);
    expect([0, 128, -1, 1.5, Number.NaN].map(reasonOf)).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
