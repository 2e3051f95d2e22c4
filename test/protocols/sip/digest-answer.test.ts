/** Digest as a client: challenges as carriers write them, and the examples of the RFC. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { type Challenge, credentialsFor, readChallenges } from '../../../protocols/sip/trunks/digest-answer.ts';

const example: Challenge = {
  isProxy: false,
  realm: 'http-auth@example.org',
  nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
  opaque: 'FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS',
  algorithm: 'MD5',
  isNamed: true,
  qop: true,
  isStale: false,
};

describe('RFC 7616 §3.9.1', () => {
  it.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ] as const)('%s', (algorithm, response) => {
    const field = credentialsFor(
      { ...example, algorithm },
      { user: 'Mufasa', password: 'Circle of Life' },
      { method: 'GET', uri: '/dir/index.html' },
      { count: 1, cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ' },
    );
    expect(field).toContain(`response="${response}"`);
    expect(field).toMatch(/^Authorization: Digest username="Mufasa", .*nc=00000001, .*\r\n$/);
  });

  it('names and passwords are UTF-8 in the hash and on the wire, as latin1 text of octets (RFC 7616 §4)', () => {
    const field = credentialsFor(
      example,
      { user: 'Jäsøn', password: 'Secret' },
      { method: 'GET', uri: '/' },
      { count: 1, cnonce: 'c' },
    );
    expect(Buffer.from(field, 'latin1').toString('utf8')).toContain('username="Jäsøn"');
  });
});

const challenged = (fields: string, status = 401) => {
  const text = `SIP/2.0 ${status} No\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n${fields}Content-Length: 0\r\n\r\n`;
  const decoded = decode(Buffer.from(text, 'latin1'));
  if (!decoded.ok) throw new Error('the test is wrong');
  return readChallenges(decoded.value);
};

describe('RFC 3261 §20.44, RFC 8760 §2.4: which challenge is answered', () => {
  it('of one realm the topmost that is known, of several realms one each, also in one field', () => {
    const found = challenged(
      'WWW-Authenticate: Digest realm="a", nonce="1", algorithm=SHA-512, Digest realm="a", nonce="2", algorithm=sha-256, qop="auth-int,auth"\r\nWWW-Authenticate: Digest realm="a", nonce="3", algorithm=MD5\r\nWWW-Authenticate: Basic realm="x", Digest realm="b, c", nonce="4"\r\n',
    );
    expect(found.map(({ realm, nonce, algorithm, qop }) => [realm, nonce, algorithm, qop])).toEqual([
      ['a', '2', 'SHA-256', true],
      ['b, c', '4', 'MD5', false],
    ]);
  });

  it('a 407 is answered in Proxy-Authorization, stale in any case, an unnamed algorithm stays unnamed', () => {
    const [first] = challenged('Proxy-Authenticate: dIgEsT Realm="r\\"q",  NONCE="n" , stale=TRUE,opaque=""\r\n', 407);
    expect(first).toMatchObject({ isProxy: true, realm: 'r"q', isStale: true, isNamed: false, opaque: '' });
    if (first === undefined) return;
    const field = credentialsFor(
      first,
      { user: 'u', password: 'p' },
      { method: 'INVITE', uri: 'sip:x' },
      { count: 17, cnonce: 'c' },
    );
    expect(field).toMatch(
      /^Proxy-Authorization: Digest username="u", realm="r\\"q", nonce="n", uri="sip:x", response="[0-9a-f]{32}", opaque=""\r\n$/,
    );
  });

  it.each([
    'Basic realm="a"',
    'Digest realm="a"',
    'Digest nonce="a"',
    'Digest realm="a", nonce="n", qop="auth-int"',
    'Digest realm="a", nonce="n", algorithm=SHA-3',
    'Digest realm="a", nonce="n", algorithm=MD5-sess',
    'Digest',
    '',
    ',,,',
    `Digest realm="${'a'.repeat(2_000)}", nonce="n"`,
  ])('none: %s', (value) => {
    expect(challenged(`WWW-Authenticate: ${value}\r\n`)).toEqual([]);
  });

  it('whatever stands there, nothing is thrown, and no line end gets into what goes back', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200, unit: 'binary-ascii' }), (text) => {
        const value = text.replaceAll(/[\r\n\0]/g, ' ');
        for (const challenge of challenged(`WWW-Authenticate: Digest realm="r", nonce="n", ${value}\r\n`)) {
          const field = credentialsFor(
            challenge,
            { user: 'u', password: 'p' },
            { method: 'INVITE', uri: 'sip:x' },
            { count: 1, cnonce: 'c' },
          );
          expect(field.slice(0, -2)).not.toMatch(/[\r\n]/);
        }
      }),
    );
  });
});
