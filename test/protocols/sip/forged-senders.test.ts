/** What somebody without a password gets who may also lie about the address it writes from. */
import { describe, expect, it } from 'vitest';
import { digestResponse, ha1 } from '../../../protocols/sip/registrar/digest-response.ts';
import { fieldsOf, gist, type Peer, request, SipWorld, statusOf } from './world.ts';

const config = {
  domains: ['example.com'],
  auth: {
    register: true,
    invite: true,
    users: [
      { user: 'alice', password: 'wonderland' },
      { user: 'bob', password: 'builder' },
    ],
  },
};

async function worldWithPeer(more: object = {}): Promise<{ world: SipWorld; peer: Peer }> {
  const world = await SipWorld.up({ config: { ...config, ...more } });
  return { world, peer: await world.peer('127.0.0.9:5062') };
}

const own = { from: '<sip:alice@example.com>;tag=a1', to: '<sip:bob@example.com>', uri: 'sip:bob@example.com' };

const stranger = '<sip:carol@elsewhere.example>;tag=c1';

describe('RFC 3261 §8.2.7 a refusal where nobody has shown who he is', () => {
  it.each([
    ['404', 'nobody', 'sip:nobody@example.com', {}],
    [
      '480',
      'a user who is not there',
      'sip:bob@example.com',
      { register: true, invite: false, users: config.auth.users },
    ],
    ['404', 'the domain itself, by a stranger', 'sip:example.com', config.auth],
  ])('is a %s for %s once per copy, always the same, and nothing is kept of it', async (status, _, uri, auth) => {
    const { world, peer } = await worldWithPeer({ auth });
    const invite = request('INVITE', { from: stranger, to: `<${uri}>`, uri });
    peer.send(invite);
    await world.run(40_000);
    const [first = '', ...more] = peer.take();
    expect([String(statusOf(first)), more]).toEqual([status, []]);
    expect(world.transactions).toBe(0);
    peer.send(invite);
    peer.send(invite);
    await world.run(500);
    expect(peer.take()).toEqual([first, first]);
    expect(world.transactions).toBe(0);
    // Its ACK ends here: nothing is answered and nothing goes anywhere.
    peer.send(request('ACK', { from: stranger, to: fieldsOf(first, 'To')[0] ?? '', uri }));
    await world.run(500);
    expect(peer.take()).toEqual([]);
    expect(world.transactions).toBe(0);
  });
});

describe('RFC 3261 §26.3.2.4 a challenge to a forged sender', () => {
  it('is sent once per copy of an INVITE, always the same, and nothing is kept of it', async () => {
    const { world, peer } = await worldWithPeer();
    const invite = request('INVITE', own);
    peer.send(invite);
    await world.run(40_000);
    expect(gist(peer.take())).toEqual(['407']);
    expect(world.transactions).toBe(0);
    peer.send(invite);
    await world.run(500);
    const [first = ''] = peer.take();
    peer.send(invite);
    peer.send(invite);
    await world.run(500);
    expect(peer.take()).toEqual([first, first]);
    expect(world.transactions).toBe(0);
  });

  it.each(['REGISTER', 'MESSAGE', 'SUBSCRIBE', 'OPTIONS'])('keeps nothing of %s either', async (method) => {
    const { world, peer } = await worldWithPeer();
    const uri = method === 'REGISTER' ? 'sip:example.com' : own.uri;
    const text = request(method, { ...own, uri });
    peer.send(text);
    peer.send(text);
    await world.run();
    const [one, two] = peer.take();
    expect(statusOf(one ?? '')).toBe(method === 'REGISTER' ? 401 : 407);
    expect(two).toBe(one);
    expect(world.transactions).toBe(0);
  });

  it.each([
    ['a common INVITE', request('INVITE', { ...own, via: '127.0.0.9:5062;rport' })],
    [
      'the shortest INVITE',
      'INVITE sip:b@example.com SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK1\r\nf:<sip:a@example.com>;tag=1\r\nt:<sip:b@example.com>\r\ni:1\r\nCSeq:1 INVITE\r\n\r\n',
    ],
    [
      'one of RFC 2543',
      'INVITE sip:b@c SIP/2.0\r\nv:SIP/2.0/UDP a\r\nf:<sip:a@b>\r\nt:<sip:b@c>\r\ni:1\r\nCSeq:1 INVITE\r\n\r\n',
    ],
    [
      'the shortest OPTIONS to ourselves',
      'OPTIONS sip:example.com SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK1\r\nf:<sip:b@c>;tag=1\r\nt:<sip:example.com>\r\ni:1\r\nCSeq:1 OPTIONS\r\n\r\n',
    ],
    [
      'the shortest REGISTER',
      'REGISTER sip:example.com SIP/2.0\r\nv:SIP/2.0/UDP a;branch=z9hG4bK1\r\nf:<sip:b@example.com>;tag=1\r\nt:<sip:b@example.com>\r\ni:1\r\nCSeq:1 REGISTER\r\n\r\n',
    ],
  ])('is at most three times as long as %s', async (_, text) => {
    for (const realm of ['example.com', 'r'.repeat(128)]) {
      const { world } = await worldWithPeer({ auth: { ...config.auth, realm } });
      const peer = await world.peer('127.0.0.9:5060');
      peer.send(text);
      await world.run(40_000);
      const answers = peer.take();
      expect(answers).toHaveLength(1);
      expect(answers[0]?.length).toBeLessThanOrEqual(3 * text.length);
    }
  });

  it('offers every algorithm to whoever sends as much as a telephone does, and over a connection always', async () => {
    const { world, peer } = await worldWithPeer();
    peer.send(request('INVITE', { ...own, fields: 'Contact: <sip:alice@127.0.0.9:5062>\r\n' }));
    await world.run();
    expect(fieldsOf(peer.last, 'Proxy-Authenticate')).toHaveLength(2);
    const tcp = await world.peer('tcp:127.0.0.10:5063');
    tcp.send(
      'INVITE sip:b@c SIP/2.0\r\nv:SIP/2.0/TCP a\r\nf:<sip:a@b>\r\nt:<sip:b@c>\r\ni:1\r\nCSeq:1 INVITE\r\nl:0\r\n\r\n',
    );
    await world.run();
    expect(fieldsOf(tcp.last, 'Proxy-Authenticate')).toHaveLength(2);
  });

  it('lets its ACK go nowhere (RFC 3261 §8.2.7)', async () => {
    const { world, peer } = await worldWithPeer({ defaultRoute: ['127.0.0.30:5060'] });
    const behind = await world.peer('127.0.0.30:5060');
    peer.send(request('INVITE', own));
    await world.run();
    const [to = ''] = fieldsOf(peer.last, 'To');
    peer.send(request('ACK', { ...own, to }));
    await world.run();
    expect(behind.take()).toEqual([]);
  });

  it('counts for other refusals of an INVITE too: one answer per copy', async () => {
    const { world, peer } = await worldWithPeer({ auth: {} });
    for (const more of [
      { maxForwards: 'Max-Forwards: 0\r\n' },
      { fields: 'Proxy-Require: gizmo\r\n' },
      { uri: 'http:x' },
    ]) {
      peer.send(request('INVITE', { ...own, ...more }));
      await world.run(40_000);
      expect(peer.take()).toHaveLength(1);
    }
  });
});

describe('RFC 3261 §22.3 credentials for us', () => {
  const at = (realm: string, nonce: string): string => {
    const uri = own.uri;
    const given = { nonce, nc: '00000001', cnonce: 'c', qop: 'auth', uri };
    const response = digestResponse('SHA-256', ha1('SHA-256', 'alice', realm, 'wonderland'), 'INVITE', given);
    return `Proxy-Authorization: Digest username="alice", realm="${realm}", nonce="${nonce}", uri="${uri}", response="${response}", algorithm=SHA-256, qop=auth, nc=00000001, cnonce="c"\r\n`;
  };

  const bobRegistered = async (world: SipWorld): Promise<Peer> => {
    const bob = await world.peer('127.0.0.20:5070');
    await world.locations.save('bob@example.com', [
      {
        protocol: 'sip',
        target: 'sip:bob@127.0.0.20:5070',
        key: 'bob',
        path: [],
        alternates: [],
        expiresMs: world.clock.now() + 1_000_000,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    return bob;
  };

  it('are used up here; those for others go on', async () => {
    const { world, peer } = await worldWithPeer();
    const bob = await bobRegistered(world);
    peer.send(request('INVITE', own));
    await world.run();
    const nonce = /nonce="([^"]*)"/.exec(peer.last)?.[1] ?? '';
    const others = at('elsewhere.net', 'abc');
    const fields = others + at('example.com', nonce);
    peer.send(request('INVITE', { ...own, branch: 'z9hG4bKcaller2', cseq: 2, fields }));
    await world.run();
    expect(gist(bob.take())).toEqual(['INVITE']);
    peer.send(request('INVITE', { ...own, branch: 'z9hG4bKcaller3', cseq: 3, fields }));
    await world.run();
    // The same credentials once more.
    expect(peer.last).toContain('stale=true');
    expect(bob.take()).toEqual([]);
  });

  it('leave no trace for the callee', async () => {
    const { world, peer } = await worldWithPeer();
    const bob = await bobRegistered(world);
    peer.send(request('INVITE', own));
    await world.run();
    const nonce = /nonce="([^"]*)"/.exec(peer.last)?.[1] ?? '';
    const others = at('elsewhere.net', 'abc');
    const fields = at('example.com', nonce) + others;
    peer.send(request('INVITE', { ...own, branch: 'z9hG4bKcaller2', cseq: 2, fields }));
    await world.run();
    expect(fieldsOf(bob.last, 'Proxy-Authorization').map((value) => `Proxy-Authorization: ${value}\r\n`)).toEqual([
      others,
    ]);
  });

  it('are left alone by a proxy that asks nobody: they are for one behind it', async () => {
    const { world, peer } = await worldWithPeer({ auth: {} });
    const bob = await bobRegistered(world);
    peer.send(request('INVITE', { ...own, fields: at('example.com', 'abc') }));
    await world.run();
    expect(fieldsOf(bob.last, 'Proxy-Authorization')).toHaveLength(1);
  });
});

describe('names that strangers ask for', () => {
  const stranger = { from: '<sip:carol@elsewhere.net>;tag=c1' };
  /** An answer without what depends on the name or the request. */
  const shape = (text: string): string => text.replace(/alice|nobody/g, 'X').replace(/nonce="[^"]*"|;tag=[\w-]+/g, '');

  it.each([
    'INVITE',
    'OPTIONS',
    'SUBSCRIBE',
    'MESSAGE',
    'REFER',
    'NOTIFY',
    'PUBLISH',
    'INFO',
    'UPDATE',
    'PRACK',
    'BYE',
  ])(
    '%s is answered alike for a user who is away and for nobody, with auth.invite, auth.register or both',
    async (method) => {
      for (const auth of [{ ...config.auth, register: false }, { ...config.auth, invite: false }, config.auth]) {
        const { world, peer } = await worldWithPeer({ auth });
        const answers: string[] = [];
        for (const user of ['alice', 'nobody']) {
          const name = `sip:${user}@example.com`;
          peer.send(request(method, { ...stranger, uri: name, to: `<${name}>`, branch: `z9hG4bK${user}` }));
          await world.run();
          answers.push(shape(peer.last.replace(`z9hG4bK${user}`, '')));
        }
        expect(answers[0]).toBe(answers[1]);
        await world.down();
      }
    },
  );

  it('REGISTER is challenged alike for a user and for nobody', async () => {
    const { world, peer } = await worldWithPeer();
    const answers: string[] = [];
    for (const user of ['alice', 'nobody']) {
      const name = `sip:${user}@example.com`;
      peer.send(request('REGISTER', { uri: 'sip:example.com', from: `<${name}>;tag=1`, to: `<${name}>` }));
      await world.run();
      answers.push(shape(peer.last));
    }
    expect(answers[0]).toBe(answers[1]);
  });

  it('404 is still for our own and trusted callers', async () => {
    const world = await SipWorld.up({
      config,
      trust: { trust: [{ kind: 'network', network: { octets: Uint8Array.of(127, 0, 0, 9), prefixBits: 32 } }] },
    });
    const peer = await world.peer('127.0.0.9:5062');
    for (const [user, status] of [
      ['alice', 480],
      ['nobody', 404],
    ] as const) {
      peer.send(request('MESSAGE', { uri: `sip:${user}@example.com`, branch: `z9hG4bK${user}`, callId: user }));
      await world.run();
      expect(statusOf(peer.last)).toBe(status);
    }
  });
});
