import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Digest, type DigestOptions } from '../../../protocols/sip/registrar/digest.ts';
import { parseCredentials } from '../../../protocols/sip/registrar/digest-credentials.ts';
import { type DigestAlgorithm, digestResponse, ha1 } from '../../../protocols/sip/registrar/digest-response.ts';
import { DigestUsers, parseUsersFile } from '../../../protocols/sip/registrar/users.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const realm = 'example.com';
const users = new DigestUsers(realm, [
  { user: 'alice', password: 'wonderland' },
  { user: 'bob', ha1: { md5: ha1('MD5', 'bob', realm, 'builder') } },
  { user: 'jürgen', password: 'straße' },
]);

function digestOf(clock: FakeClock, more: Partial<DigestOptions> = {}): Digest {
  return new Digest({
    realm,
    algorithms: ['SHA-256', 'MD5'],
    users,
    secret: 'cluster secret',
    nonceMs: 300_000,
    clock,
    random: seededRandom(1),
    ...more,
  });
}

interface Answer {
  readonly user?: string;
  readonly password?: string;
  readonly algorithm?: DigestAlgorithm;
  readonly nc?: number;
  readonly uri?: string;
  readonly method?: string;
  readonly qop?: 'auth' | 'none';
  readonly nonce?: string;
}

const nonceOf = (challenges: readonly string[]): string => /nonce="([^"]*)"/.exec(challenges[0] ?? '')?.[1] ?? '';

/** What a telephone sends back. */
function answer(challenges: readonly string[], options: Answer = {}): string {
  const { user = 'alice', password = 'wonderland', algorithm = 'SHA-256', uri = 'sip:example.com' } = options;
  const nonce = options.nonce ?? nonceOf(challenges);
  const nc = (options.nc ?? 1).toString(16).padStart(8, '0');
  const qop = options.qop === 'none' ? undefined : 'auth';
  const response = digestResponse(algorithm, ha1(algorithm, user, realm, password), options.method ?? 'REGISTER', {
    nonce,
    nc: qop === undefined ? '' : nc,
    cnonce: qop === undefined ? '' : '0a4f113b',
    qop,
    uri,
  });
  const name = Buffer.from(user, 'utf8').toString('latin1');
  return `Digest username="${name}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${response}", algorithm=${algorithm}${qop === undefined ? '' : `, cnonce="0a4f113b", qop=auth, nc=${nc}`}`;
}

describe('RFC 7616 §3.9.1 example with SHA-256 and MD5', () => {
  const given = {
    nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
    nc: '00000001',
    cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    qop: 'auth',
    uri: '/dir/index.html',
  };

  it('gives the response of the MD5 client', () => {
    const a1 = ha1('MD5', 'Mufasa', 'http-auth@example.org', 'Circle of Life');
    expect(digestResponse('MD5', a1, 'GET', given)).toBe('8ca523f5e9506fed4657c9700eebdbec');
  });

  it('gives the response of the SHA-256 client', () => {
    const a1 = ha1('SHA-256', 'Mufasa', 'http-auth@example.org', 'Circle of Life');
    expect(digestResponse('SHA-256', a1, 'GET', given)).toBe(
      '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
    );
  });

  it('reads the header field of the MD5 client', () => {
    const text = `Digest username="Mufasa",
       realm="http-auth@example.org",
       uri="/dir/index.html",
       algorithm=MD5,
       nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
       nc=00000001,
       cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
       qop=auth,
       response="8ca523f5e9506fed4657c9700eebdbec",
       opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`;
    expect(parseCredentials(text)).toEqual({
      ok: true,
      value: {
        ...given,
        username: 'Mufasa',
        realm: 'http-auth@example.org',
        algorithm: 'MD5',
        response: '8ca523f5e9506fed4657c9700eebdbec',
      },
    });
  });
});

describe('RFC 2617 §3.5 example', () => {
  it('gives the response of the example', () => {
    const a1 = ha1('MD5', 'Mufasa', 'testrealm@host.com', 'Circle Of Life');
    const response = digestResponse('MD5', a1, 'GET', {
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      nc: '00000001',
      cnonce: '0a4f113b',
      qop: 'auth',
      uri: '/dir/index.html',
    });
    expect(response).toBe('6629fae49393a05397450978507c4ef1');
  });
});

describe('RFC 3261 §25.1 credentials', () => {
  const plain = 'username="a", realm="r", nonce="n", uri="sip:x", response="ABC"';

  it('reads scheme and names in any case, values with or without quotes, unknown parameters and odd white space', () => {
    const parsed = parseCredentials(
      `  dIgEsT\tUSERNAME = "a\\"b\\\\c" ,realm="r,s=t", , Nonce="n",uri="sip:x;y=z",RESPONSE="abc",flavour=mint,taste="a, b"`,
    );
    expect(parsed).toMatchObject({
      ok: true,
      value: { username: 'a"b\\c', realm: 'r,s=t', uri: 'sip:x;y=z', algorithm: 'MD5', qop: undefined },
    });
  });

  it('takes MD5 where no algorithm is named (RFC 7616 §3.3)', () => {
    expect(parseCredentials(`Digest ${plain}`)).toMatchObject({
      ok: true,
      value: { algorithm: 'MD5', response: 'abc' },
    });
  });

  it.each([
    ['a required parameter is missing', 'Digest username="a", realm="r", nonce="n", response="abc"'],
    ['a parameter comes twice', `Digest ${plain}, realm="s"`],
    ['a quoted string never ends', `Digest ${plain}, opaque="abc`],
    ['a parameter has no value', `Digest ${plain}, opaque`],
    ['there is no comma between two', `Digest ${plain} opaque="a"`],
    ['qop comes without nc', `Digest ${plain}, qop=auth, cnonce="c"`],
    ['qop comes without cnonce', `Digest ${plain}, qop=auth, nc=00000001`],
    ['nc has other than eight digits', `Digest ${plain}, qop=auth, cnonce="c", nc=1`],
    ['both username and username* are there (RFC 7616 §3.4)', `Digest ${plain}, username*=UTF-8''a`],
    ['there is nothing behind the scheme', 'Digest'],
  ])('says malformed where %s', (_, text) => {
    expect(parseCredentials(text)).toEqual({ ok: false, error: 'malformed' });
  });

  it.each(['Basic YWxhZGRpbg==', 'NoOneKnowsThisScheme opaque-data=here', '', ',,,', 'Digestive biscuit="x"'])(
    'leaves another scheme alone: %s',
    (text) => {
      expect(parseCredentials(text)).toEqual({ ok: false, error: 'otherScheme' });
    },
  );

  it('never throws, in linear time', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        parseCredentials(`Digest ${text}`);
        parseCredentials(text);
      }),
    );
    const started = performance.now();
    for (const long of ['"\\', 'a=', ', ', 'a="', ' '].map((piece) => piece.repeat(30_000)))
      parseCredentials(`Digest ${long}`);
    expect(performance.now() - started).toBeLessThan(250);
  });
});

describe('RFC 8760 §2.3 challenges', () => {
  it('offers SHA-256 before MD5, one field each, with the same fresh nonce and qop', () => {
    const digest = digestOf(new FakeClock());
    const [sha256 = '', md5 = ''] = digest.challenge(false);
    expect(sha256).toMatch(
      /^Digest realm="example.com", nonce="[0-9a-z.]+", opaque="[0-9a-f]{32}", algorithm=SHA-256, qop="auth"$/,
    );
    expect(md5).toBe(sha256.replace('SHA-256', 'MD5'));
    expect(nonceOf(digest.challenge(false))).not.toBe(nonceOf([sha256]));
  });

  it('says stale only when told to', () => {
    const digest = digestOf(new FakeClock());
    expect(digest.challenge(true).every((value) => value.endsWith(', stale=true'))).toBe(true);
  });

  it('accepts the answer to either', () => {
    const digest = digestOf(new FakeClock());
    for (const algorithm of ['SHA-256', 'MD5'] as const) {
      const verdict = digest.verify([answer(digest.challenge(false), { algorithm })], 'REGISTER', 'sip:example.com');
      expect(verdict).toEqual({ kind: 'authenticated', user: 'alice' });
    }
  });

  it('refuses an algorithm or qop that it did not offer', () => {
    const digest = digestOf(new FakeClock(), { algorithms: ['SHA-256'] });
    const challenges = digest.challenge(false);
    const refused = { kind: 'refused', reason: 'noCredentials' };
    expect(digest.verify([answer(challenges, { algorithm: 'MD5' })], 'REGISTER', 'sip:example.com')).toEqual(refused);
    const integrity = answer(challenges).replace('qop=auth', 'qop=auth-int');
    expect(digest.verify([integrity], 'REGISTER', 'sip:example.com')).toEqual(refused);
  });
});

describe('RFC 3261 §22 verification', () => {
  const clock = new FakeClock();
  const digest = digestOf(clock);
  const verify = (options: Answer = {}, method = 'REGISTER', uri = 'sip:example.com') =>
    digest.verify([answer(digest.challenge(false), options)], method, uri);
  const wrong = { kind: 'refused', reason: 'wrongResponse' };

  it('refuses a wrong password, a wrong method and an unknown user alike', () => {
    expect(verify({ password: 'looking-glass' })).toEqual(wrong);
    expect(verify({}, 'INVITE')).toEqual(wrong);
    expect(verify({ user: 'mallory' })).toEqual(wrong);
  });

  it('refuses a response that is cut, empty or longer than its hash', () => {
    const value = answer(digest.challenge(false));
    const right = /response="([^"]*)"/.exec(value)?.[1] ?? '';
    for (const response of ['', right.slice(0, -1), `${right}0`, `0${right}`, right.replace(/.$/, 'z')])
      expect(digest.verify([value.replace(right, response)], 'REGISTER', 'sip:example.com')).toEqual(wrong);
    expect(digest.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
  });

  it('finds the credentials of its realm among others', () => {
    const value = answer(digest.challenge(false));
    const other = value.replace('realm="example.com"', 'realm="elsewhere"');
    expect(digest.verify(['Basic abc', other, value], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
    expect(digest.verify([other], 'REGISTER', 'sip:example.com')).toEqual({ kind: 'refused', reason: 'noCredentials' });
  });

  it('asks for 400 where the only credentials are malformed (RFC 7616 §3.4)', () => {
    expect(digest.verify(['Digest username="alice'], 'REGISTER', 'sip:example.com')).toEqual({ kind: 'malformed' });
  });

  it('knows a user by MD5 hash alone, who cannot answer to SHA-256', () => {
    expect(verify({ user: 'bob', password: 'builder', algorithm: 'MD5' })).toMatchObject({ kind: 'authenticated' });
    expect(verify({ user: 'bob', password: 'builder', algorithm: 'SHA-256' })).toEqual(wrong);
    expect(users.answerable(['SHA-256', 'MD5'])).toEqual(['MD5']);
  });

  it('reads names and passwords as UTF-8 (RFC 7616 §4)', () => {
    expect(verify({ user: 'jürgen', password: 'straße' })).toMatchObject({ kind: 'authenticated' });
  });

  it('takes a response for the same user at the same host, whatever the parameters (RFC 8760 §2.6 item 6)', () => {
    expect(
      verify({ uri: 'sip:bob@Example.com;transport=udp', method: 'INVITE' }, 'INVITE', 'sip:bob@example.com').kind,
    ).toBe('authenticated');
    expect(verify({ uri: 'sip:carol@example.com', method: 'INVITE' }, 'INVITE', 'sip:bob@example.com')).toEqual({
      kind: 'refused',
      reason: 'wrongUri',
    });
  });

  it('takes a response for another user at a host it serves: a proxy may have changed the Request-URI', () => {
    const serving = digestOf(clock, { serves: (host) => host === 'example.com' });
    const value = answer(serving.challenge(false), { uri: 'sip:100@example.com', method: 'INVITE' });
    expect(serving.verify([value], 'INVITE', 'sip:+49100@example.com').kind).toBe('authenticated');
    const elsewhere = answer(serving.challenge(false), { uri: 'sip:100@elsewhere.org', method: 'INVITE' });
    expect(serving.verify([elsewhere], 'INVITE', 'sip:+49100@example.com').kind).toBe('refused');
  });

  it('takes a client of RFC 2069, without qop, once per nonce (RFC 3261 §22.4)', () => {
    const challenges = digest.challenge(false);
    const value = answer(challenges, { qop: 'none', algorithm: 'MD5' });
    expect(digest.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
    expect(digest.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('stale');
  });

  it('takes other users after a reload', () => {
    const reloaded = digestOf(clock);
    reloaded.replaceUsers(new DigestUsers(realm, [{ user: 'dave', password: 'hal' }]));
    expect(reloaded.verify([answer(reloaded.challenge(false))], 'REGISTER', 'sip:example.com')).toEqual(wrong);
    const dave = answer(reloaded.challenge(false), { user: 'dave', password: 'hal' });
    expect(reloaded.verify([dave], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
  });
});

describe('RFC 7616 §3.3 nonces and stale', () => {
  it('says stale to the right answer to an expired nonce, refused to a wrong one', () => {
    const clock = new FakeClock();
    const digest = digestOf(clock);
    const challenges = digest.challenge(false);
    clock.advance(299_999);
    expect(digest.verify([answer(challenges)], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
    clock.advance(1);
    expect(digest.verify([answer(challenges, { nc: 2 })], 'REGISTER', 'sip:example.com').kind).toBe('stale');
    const wrong = answer(challenges, { nc: 3, password: 'x' });
    expect(digest.verify([wrong], 'REGISTER', 'sip:example.com').kind).toBe('refused');
  });

  it('says stale to the right answer to a nonce it never issued or that was altered', () => {
    const digest = digestOf(new FakeClock());
    const nonce = nonceOf(digest.challenge(false));
    for (const other of [
      '',
      'abc',
      nonce.slice(0, -1),
      `${nonce.slice(0, -1)}${nonce.endsWith('0') ? '1' : '0'}`,
      `z${nonce}`,
    ])
      expect(digest.verify([answer([], { nonce: other })], 'REGISTER', 'sip:example.com').kind).toBe('stale');
  });

  it('says stale to the nonce of a partner, used there or not, and to one of an earlier life: the telephone answers again, nobody is asked', () => {
    const clock = new FakeClock();
    const primary = digestOf(clock);
    const backup = digestOf(clock, { random: seededRandom(2) });
    const value = answer(primary.challenge(false));
    expect(backup.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('stale');
    expect(primary.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
    expect(backup.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('stale');
    const restarted = digestOf(clock, { random: seededRandom(3) });
    expect(restarted.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('stale');
    const again = answer(backup.challenge(true));
    expect(backup.verify([again], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
  });

  it('does not age a nonce by a calendar that is set', () => {
    const clock = new FakeClock();
    const digest = digestOf(clock);
    const value = answer(digest.challenge(false));
    clock.steppedMs = 86_400_000;
    expect(digest.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
    clock.steppedMs = -86_400_000;
    clock.advance(300_000);
    expect(digest.verify([answer([], { nonce: nonceOf([value]), nc: 2 })], 'REGISTER', 'sip:example.com').kind).toBe(
      'stale',
    );
  });

  it('gives the copies of one request one nonce, and different requests different ones (RFC 3261 §8.2.7)', () => {
    const clock = new FakeClock();
    const digest = digestOf(clock);
    const first = nonceOf(digest.challenge(false, 'one'));
    clock.advance(31_000);
    expect(nonceOf(digest.challenge(false, 'one'))).toBe(first);
    expect(nonceOf(digest.challenge(false, 'two'))).not.toBe(first);
    clock.advance(1_000);
    expect(nonceOf(digest.challenge(false, 'one'))).not.toBe(first);
    expect(digest.verify([answer([], { nonce: first })], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
  });
});

describe('RFC 7616 §3.4 nonce count', () => {
  it('says stale to a count that was seen', () => {
    const digest = digestOf(new FakeClock());
    const challenges = digest.challenge(false);
    const kinds = [1, 2, 2, 1, 3].map(
      (nc) => digest.verify([answer(challenges, { nc })], 'REGISTER', 'sip:example.com').kind,
    );
    expect(kinds).toEqual(['authenticated', 'authenticated', 'stale', 'stale', 'authenticated']);
  });

  it('lets counts arrive out of order within 32', () => {
    const digest = digestOf(new FakeClock());
    const challenges = digest.challenge(false);
    const kind = (nc: number) => digest.verify([answer(challenges, { nc })], 'REGISTER', 'sip:example.com').kind;
    expect(kind(40)).toBe('authenticated');
    expect(kind(9)).toBe('authenticated');
    expect(kind(9)).toBe('stale');
    expect(kind(8)).toBe('stale');
    expect(kind(0xffffffff)).toBe('authenticated');
    expect(kind(0xffffffff)).toBe('stale');
    expect(kind(0xfffffff0)).toBe('authenticated');
  });

  it('accepts each count of a window once, in whatever order they come', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 60 }), (counts) => {
        const digest = digestOf(new FakeClock());
        const challenges = digest.challenge(false);
        const accepted = counts.filter(
          (nc) => digest.verify([answer(challenges, { nc })], 'REGISTER', 'sip:example.com').kind === 'authenticated',
        );
        expect(accepted).toEqual([...new Set(counts)]);
      }),
      { numRuns: 50 },
    );
  });

  it('accepts no repetition even after it had to forget used nonces', () => {
    const clock = new FakeClock();
    const digest = digestOf(clock, { maxUsedNonces: 2 });
    const values: string[] = [];
    for (let user = 0; user < 5; user += 1) {
      const value = answer(digest.challenge(false));
      values.push(value);
      expect(digest.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
      clock.advance(1);
    }
    for (const value of values) expect(digest.verify([value], 'REGISTER', 'sip:example.com').kind).toBe('stale');
  });

  it('does not let wrong answers use up a nonce', () => {
    const digest = digestOf(new FakeClock());
    const challenges = digest.challenge(false);
    digest.verify([answer(challenges, { password: 'x' })], 'REGISTER', 'sip:example.com');
    expect(digest.verify([answer(challenges)], 'REGISTER', 'sip:example.com').kind).toBe('authenticated');
  });
});

describe('users file', () => {
  const md5 = ha1('MD5', 'alice', realm, 'wonderland');
  const sha256 = ha1('SHA-256', 'alice', realm, 'wonderland');

  it('reads lines of htdigest, with or without SHA-256, for our realm', () => {
    const text = `# telephones\n\nalice:${realm}:${md5}:${sha256}\r\nbob:${realm}:${md5}\ncarol:elsewhere:${md5}\ndave:${realm}::${sha256}\n`;
    expect(parseUsersFile(text, 'users', realm)).toEqual([
      { user: 'alice', ha1: { md5, sha256 } },
      { user: 'bob', ha1: { md5, sha256: undefined } },
      { user: 'dave', ha1: { md5: undefined, sha256 } },
    ]);
  });

  it('reads a YAML list in the form of the configuration', () => {
    const text = `# telephones\n- user: alice\n  password: wonderland\n- { user: bob, ha1: { md5: ${md5} } }\n`;
    expect(parseUsersFile(text, 'users', realm)).toEqual([
      { user: 'alice', password: 'wonderland' },
      { user: 'bob', ha1: { md5, sha256: undefined } },
    ]);
    expect(parseUsersFile('\n# nobody yet\n', 'users', realm)).toEqual([]);
  });

  it.each([
    ['a line without a hash', 'alice:example.com:\n', 'users:1: no user'],
    ['a line in the wrong form', `alice:example.com:${md5}\nbob\n`, 'users:2: no user'],
    ['an entry without password', '- user: alice\n', 'users: entry 1 is no user'],
    ['an entry with both', `- { user: a, password: b, ha1: { md5: ${md5} } }\n`, 'users: entry 1 is no user'],
    ['broken YAML', '- [\n', 'users: '],
    ['no list', '---\nalice: 1\n', 'users: must be a list'],
  ])('names the place of %s', (_, text, message) => {
    expect(() => parseUsersFile(text, 'users', realm)).toThrow(message);
  });
});
