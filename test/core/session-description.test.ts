import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { completeDescription, isSameMedia, mediaAddress, payloadTypes } from '../../src/internal.ts';

describe('RFC 4566: where media is received', () => {
  it('takes the connection line of the media before that of the session (§5.7)', () => {
    expect(mediaAddress('v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.2\n')).toBe(
      '192.0.2.2:4000',
    );
    expect(
      mediaAddress('v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0\nm=video 5000 RTP/AVP 31\nc=IN IP4 192.0.2.9\n'),
    ).toBe('192.0.2.1:4000');
    expect(mediaAddress('v=0\nc=IN IP6 2001:DB8::1\nm=audio 4000 RTP/AVP 0\n')).toBe('[2001:db8::1]:4000');
  });
  it('finds none while the gateway has not chosen, or refuses', () => {
    for (const none of [
      'v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n',
      'v=0\nc=IN IP4 192.0.2.1\nm=audio 0 RTP/AVP 0\n',
      'v=0\n',
      '',
    ])
      expect(mediaAddress(none)).toBeUndefined();
    expect(mediaAddress(undefined)).toBeUndefined();
  });
});

describe('RFC 3435 §3.4, RFC 3525 §7.1.8: descriptions that cross from H.248 to MGCP', () => {
  it('gives an MGCP gateway the origin, name and time that an H.248 gateway may leave out', () => {
    expect(completeDescription('v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 0 8\na=ptime:20\n')).toBe(
      'v=0\r\no=- 0 0 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=ptime:20\r\n',
    );
  });
  it('leaves a whole description octet by octet', () => {
    const whole =
      'v=0\r\no=a 1 2 IN IP4 192.0.2.1\r\ns= \r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 1 RTP/AVP 0\r\na=x:y\r\n';
    expect(completeDescription(whole)).toBe(whole);
  });
  it('sends the first of several alternatives', () => {
    const two = completeDescription(
      'v=0\nc=IN IP4 192.0.2.1\nm=audio 1 RTP/AVP 0\nv=0\nc=IN IP4 192.0.2.2\nm=audio 2 RTP/AVP 8\n',
    );
    expect(two).toContain('m=audio 1 RTP/AVP 0');
    expect(two).not.toContain('192.0.2.2');
  });
  it('comes to the same text when it is completed again, and never throws', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('v=0', 'o=x', 's=y', 't=1 2', 'c=IN IP4 1.2.3.4', 'm=audio 1 RTP/AVP 0', 'a=b', '')),
        (lines) => {
          const once = completeDescription(lines.join('\n'));
          expect(completeDescription(once)).toBe(once);
        },
      ),
      { seed: 3 },
    );
  });
});

describe('media that gateways give back in other words', () => {
  it('compares addresses and payload types, not text', () => {
    const sent =
      'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8\r\na=x-new:1\r\n';
    expect(isSameMedia(sent, 'v=0\nm=audio 4000 RTP/AVP 0 8\nc=IN IP4 192.0.2.1\n')).toBe(true);
    expect(isSameMedia(sent, sent.replace('4000', '4002'))).toBe(false);
    expect(isSameMedia(sent, sent.replace('0 8', '8'))).toBe(false);
    expect(isSameMedia(sent, undefined)).toBe(false);
  });
  it('reads payload types in order', () => {
    expect(payloadTypes('v=0\nm=audio 4000 RTP/AVP 8 0 101\n')).toEqual([8, 0, 101]);
    expect(payloadTypes('v=0\nm=image 4000 udptl t38\n')).toEqual([]);
  });
});
