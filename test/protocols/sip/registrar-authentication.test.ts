import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { sipConfigSchema } from '../../../protocols/sip/config.ts';
import { Identity } from '../../../protocols/sip/identity.ts';
import { PathTrust } from '../../../protocols/sip/proxy/trust.ts';
import { digestResponse, ha1 } from '../../../protocols/sip/registrar/digest-response.ts';
import { createRegistration } from '../../../protocols/sip/registrar/registration.ts';
import { type Flow, Metrics } from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { assemblerOf } from '../../support/assembler.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { withCallControl } from '../../support/services.ts';
import { flowStore } from '../../support/sip-flow-store.ts';

const directory = mkdtempSync(join(tmpdir(), 'altpath-users-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const aliceAndBob = [
  { user: 'alice', password: 'wonderland' },
  { user: 'bob', password: 'builder' },
];

const flow: Flow = {
  transport: 'udp',
  reliable: false,
  local: { host: '127.0.0.1', port: 5_060 },
  remote: { host: '127.0.0.9', port: 5_060 },
  id: 'udp-1',
  send: () => undefined,
  close: () => undefined,
};

function world({
  domains = ['example.com'],
  ...auth
}: {
  domains?: readonly string[];
  [setting: string]: unknown;
} = {}) {
  const clock = new FakeClock();
  const metrics = new Metrics();
  const lines: { readonly msg: string; readonly count?: number }[] = [];
  const locations = new MemoryLocations({ clock });
  const config = sipConfigSchema.parse({
    domains,
    auth: { register: true, invite: true, users: aliceAndBob, ...auth },
  });
  const cluster = { secret: 'cluster secret', backups: [], backupFor: [] };
  const services = withCallControl({
    clock,
    random: seededRandom(1),
    log: pino({ level: 'info', base: null }, { write: (line: string) => lines.push(JSON.parse(line)) }),
    metrics,
    network: { bind: () => Promise.reject(new Error('no sockets here')) },
    dns: { naptr: nothing, srv: nothing, a: nothing, aaaa: nothing },
    locations,
    cluster,
  });
  const identity = new Identity(
    { domains: config.domains, placement: 'header', partners: [], secret: 's' },
    assemblerOf(cluster),
  );
  const trust = new PathTrust({ trust: [], allow: [], strip: 'none' }, 'header', metrics);
  trust.know([{ host: '127.0.0.50' }]);
  const registration = createRegistration(services, config, identity, trust, flowStore().flows);
  const register = async (text: string): Promise<string> => {
    let answer = '';
    registration.register(read(text), flow, (_, text) => {
      answer = text;
    });
    await new Promise((resolve) => setImmediate(resolve));
    return answer;
  };
  return { clock, locations, registration, register, lines };
}

const nothing = () => Promise.resolve({ records: [], ttlMs: 0 });

function read(text: string): SipMessage {
  const decoded = decode(Buffer.from(text, 'latin1'));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}

let cseq = 0;

function request(method: string, uri: string, from: string, to: string, fields = ''): string {
  cseq += 1;
  return `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.9;branch=z9hG4bK${cseq}\r\nFrom: <${from}>;tag=1\r\nTo: <${to}>\r\nCall-ID: c1\r\nCSeq: ${cseq} ${method}\r\nMax-Forwards: 70\r\n${fields}Content-Length: 0\r\n\r\n`;
}

const registerOf = (user: string, fields = ''): string =>
  request(
    'REGISTER',
    'sip:example.com',
    `sip:${user}@example.com`,
    `sip:${user}@example.com`,
    `Contact: <sip:${user}@127.0.0.9>\r\n${fields}`,
  );

/** The field with which a telephone answers a challenge. */
function credentials(
  challenge: string,
  name: string,
  user: string,
  password: string,
  method: string,
  uri: string,
): string {
  const realm = /realm="([^"]*)"/.exec(challenge)?.[1] ?? '';
  const nonce = /nonce="([^"]*)"/.exec(challenge)?.[1] ?? '';
  const given = { nonce, nc: '00000001', cnonce: 'c', qop: 'auth', uri };
  const response = digestResponse('SHA-256', ha1('SHA-256', user, realm, password), method, given);
  return `${name}: Digest username="${user}", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${response}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c"\r\n`;
}

const authorization = (challenge: string, user: string, password: string): string =>
  credentials(challenge, 'Authorization', user, password, 'REGISTER', 'sip:example.com');

describe('RFC 3261 §22.2 registering with a password', () => {
  it('challenges with 401, SHA-256 before MD5, and binds nothing', async () => {
    const { register, locations } = world();
    const answer = await register(registerOf('alice'));
    expect(answer.startsWith('SIP/2.0 401 Unauthorized\r\n')).toBe(true);
    expect(answer.match(/WWW-Authenticate: Digest realm="example.com".*algorithm=\S+(?=,)/g)).toHaveLength(2);
    expect(answer.indexOf('algorithm=SHA-256')).toBeLessThan(answer.indexOf('algorithm=MD5'));
    expect(locations.size).toBe(0);
  });

  it('logs who guesses passwords once a minute, with a count', async () => {
    const { clock, register, lines } = world();
    const challenge = await register(registerOf('alice'));
    for (let guess = 0; guess < 100; guess += 1)
      await register(registerOf('alice', authorization(challenge, 'alice', `guess ${guess}`)));
    clock.advance(60_000);
    const said = lines.filter(({ msg }) => msg === 'authentication failed');
    expect(said.map(({ count }) => count)).toEqual([undefined, 99]);
  });

  it('registers who answers the challenge', async () => {
    const { register, locations } = world();
    const challenge = await register(registerOf('alice'));
    const answer = await register(registerOf('alice', authorization(challenge, 'alice', 'wonderland')));
    expect(answer.startsWith('SIP/2.0 200 ')).toBe(true);
    expect(locations.lookup('alice@example.com')).toHaveLength(1);
  });

  it('challenges again after a wrong password, and says stale to a repeated count', async () => {
    const { register } = world();
    const challenge = await register(registerOf('alice'));
    const wrong = await register(registerOf('alice', authorization(challenge, 'alice', 'x')));
    expect(wrong).toContain('401 Unauthorized');
    expect(wrong).not.toContain('stale');
    const right = authorization(challenge, 'alice', 'wonderland');
    await register(registerOf('alice', right));
    expect(await register(registerOf('alice', right))).toContain('stale=true');
  });

  it('lets nobody register the address of somebody else (RFC 3261 §10.3 item 4)', async () => {
    const { register, locations } = world();
    const challenge = await register(registerOf('alice'));
    const answer = await register(registerOf('alice', authorization(challenge, 'bob', 'builder')));
    expect(answer.startsWith('SIP/2.0 403 ')).toBe(true);
    expect(locations.size).toBe(0);
  });

  it('tells the users of several domains apart by their domain (RFC 3261 §10.3 item 4)', async () => {
    const { register, locations } = world({
      domains: ['example.com', 'b.test'],
      users: [
        { user: 'alice', password: 'wonderland' },
        { user: 'alice@B.test', password: 'other' },
      ],
    });
    const at = (domain: string, uri: string, fields = '') =>
      request('REGISTER', uri, `sip:alice@${domain}`, `sip:alice@${domain}`, `Contact: <sip:a@127.0.0.9>\r\n${fields}`);
    const as = async (user: string, password: string, domain: string, uri = `sip:${domain}`) => {
      const challenge = await register(at(domain, uri));
      const field = credentials(challenge, 'Authorization', user, password, 'REGISTER', uri);
      return (await register(at(domain, uri, field))).slice(8, 11);
    };
    expect(await as('alice', 'wonderland', 'b.test')).toBe('403');
    expect(await as('alice@B.test', 'other', 'example.com')).toBe('403');
    // The realm is the first domain's, whichever Request-URI the challenge was asked with.
    expect(await as('alice', 'wonderland', 'B.TEST', 'sip:example.com')).toBe('403');
    expect(locations.size).toBe(0);
    expect(await as('alice', 'wonderland', 'example.com')).toBe('200');
    expect(await as('alice@B.test', 'other', 'b.test')).toBe('200');
    expect([...locations.records()].map(([record]) => record).toSorted()).toEqual([
      'alice@b.test',
      'alice@example.com',
    ]);
  });

  it('takes the domain that is the realm for the home of plain names', async () => {
    const { register } = world({ domains: ['a.test', 'b.test'], realm: 'b.test' });
    const answer = async (domain: string) => {
      const text = (fields: string) =>
        request(
          'REGISTER',
          `sip:${domain}`,
          `sip:alice@${domain}`,
          `sip:alice@${domain}`,
          `Contact: <sip:a@127.0.0.9>\r\n${fields}`,
        );
      const challenge = await register(text(''));
      return register(
        text(credentials(challenge, 'Authorization', 'alice', 'wonderland', 'REGISTER', `sip:${domain}`)),
      );
    };
    expect((await answer('a.test')).slice(8, 11)).toBe('403');
    expect((await answer('b.test')).slice(8, 11)).toBe('200');
  });

  it('ignores another scheme (RFC 4475 §3.3.7) and answers 400 to broken credentials', async () => {
    const { register } = world();
    expect(await register(registerOf('alice', 'Authorization: NoOneKnowsThisScheme opaque-data=here\r\n'))).toContain(
      ' 401 ',
    );
    expect(await register(registerOf('alice', 'Authorization: Digest username="alice\r\n'))).toContain(' 400 ');
  });

  it('asks nobody where it is not configured', async () => {
    const { register } = world({ register: false });
    expect(await register(registerOf('anybody'))).toContain(' 200 ');
  });
});

describe('RFC 3261 §22.3 calling with a password', () => {
  const invite = (from: string, to: string, fields = '') => read(request('INVITE', to, from, to, fields));
  const alice = 'sip:alice@example.com';
  const bob = 'sip:bob@example.com';

  it('challenges our users with 407 and lets them pass with their password, under their own name', () => {
    const { registration } = world();
    const challenge = registration.authenticate(invite(alice, bob), flow);
    expect(challenge).toMatchObject({ status: 407, fields: expect.stringMatching(/^Proxy-Authenticate: Digest /) });
    const by = (user: string, password: string, from: string) =>
      registration.authenticate(
        invite(
          from,
          bob,
          credentials(
            registration.authenticate(invite(alice, bob), flow)?.fields ?? '',
            'Proxy-Authorization',
            user,
            password,
            'INVITE',
            bob,
          ),
        ),
        flow,
      );
    expect(by('alice', 'wonderland', alice)).toBeUndefined();
    expect(by('alice', 'x', alice)).toMatchObject({ status: 407 });
    expect(by('bob', 'builder', alice)).toMatchObject({ status: 403 });
  });

  it('lets a stranger call our users who are there, but nothing else', async () => {
    const { registration, locations, clock, register } = world();
    const stranger = 'sip:carol@elsewhere.net';
    const challenge = await register(registerOf('bob'));
    await register(registerOf('bob', authorization(challenge, 'bob', 'builder')));
    expect(registration.authenticate(invite(stranger, bob), flow)).toBeUndefined();
    expect(registration.authenticate(invite(stranger, 'sip:+4930123456@example.com'), flow)).toMatchObject({
      status: 407,
    });
    expect(registration.authenticate(invite(stranger, 'sip:dave@far.net'), flow)).toMatchObject({ status: 407 });
    await locations.save('1001@example.com', [
      {
        protocol: 'mgcp',
        target: 'aaln/1@rgw1',
        key: 'k',
        path: [],
        alternates: [],
        expiresMs: clock.now() + 1,
        q: 0,
        updatedMs: 0,
      },
    ]);
    expect(registration.authenticate(invite(stranger, 'sip:1001@example.com'), flow)).toBeUndefined();
  });

  it('asks neither trusted hops, nor for ACK and CANCEL (§22.1); a To tag that anybody can invent spares nobody', () => {
    const { registration } = world();
    const trunk = { ...flow, remote: { host: '127.0.0.50', port: 5_060 } };
    expect(registration.authenticate(invite(alice, bob), trunk)).toBeUndefined();
    expect(registration.authenticate(read(request('MESSAGE', bob, alice, bob)), flow)).toMatchObject({ status: 407 });
    const inDialog = request('INVITE', bob, alice, bob).replace(`To: <${bob}>`, `To: <${bob}>;tag=9`);
    expect(registration.authenticate(read(inDialog), flow)).toMatchObject({ status: 407 });
    for (const method of ['ACK', 'CANCEL'])
      expect(registration.authenticate(read(request(method, bob, alice, bob)), flow)).toBeUndefined();
  });

  it('asks nobody where it is not configured', () => {
    expect(world({ invite: false }).registration.authenticate(invite(alice, bob), flow)).toBeUndefined();
  });
});

describe('users of the registrar', () => {
  const uri = (user: string) => {
    const { uri: parsed } = read(request('OPTIONS', `sip:${user}@example.com`, 'sip:a@b', 'sip:a@b'));
    if (parsed === undefined) throw new Error('no URI');
    return parsed;
  };

  it('come from the configuration and a file, and are read again at a reload', () => {
    const usersFile = join(directory, 'users');
    writeFileSync(usersFile, '- { user: carol, password: x }\n');
    const { registration } = world({ usersFile });
    expect(['alice', '%61lice', 'carol', 'dave'].map((user) => registration.knows(uri(user)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    writeFileSync(usersFile, '- { user: dave, password: x }\n');
    expect(registration.reload({ auth: { users: aliceAndBob, usersFile } })).toEqual(['3 users (1 added, 1 removed)']);
    expect(['carol', 'dave'].map((user) => registration.knows(uri(user)))).toEqual([false, true]);
  });

  it('stay as they are where the new ones cannot be used', () => {
    const usersFile = join(directory, 'broken');
    writeFileSync(usersFile, '- { user: carol, password: x }\n');
    const { registration } = world({ usersFile });
    writeFileSync(usersFile, '- { user: carol }\n');
    expect(() => registration.reload({ auth: { users: aliceAndBob, usersFile } })).toThrow('entry 1 is no user');
    const md5 = ha1('MD5', 'erin', 'example.com', 'x');
    writeFileSync(usersFile, `erin:example.com:${md5}\n`);
    expect(() => registration.reload({ auth: { users: aliceAndBob, usersFile } })).toThrow('lack a hash');
    expect(registration.knows(uri('carol'))).toBe(true);
  });

  it('are offered only the algorithms that all of them can answer to', async () => {
    const md5 = ha1('MD5', 'erin', 'example.com', 'x');
    const { register } = world({ users: [...aliceAndBob, { user: 'erin', ha1: { md5 } }] });
    const answer = await register(registerOf('alice'));
    expect(answer).toContain('algorithm=MD5');
    expect(answer).not.toContain('SHA-256');
    expect(() => world({ users: [{ user: 'erin', ha1: { md5 } }], algorithms: ['SHA-256'] })).toThrow(
      'no hash in common',
    );
  });
});
