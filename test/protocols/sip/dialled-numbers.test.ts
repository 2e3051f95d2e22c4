import { describe, expect, it } from 'vitest';
import { dialledNumber, redial } from '../../../protocols/sip/proxy/dialled-number.ts';
import { type Peer, request, SipWorld, startLine, statusOf } from './world.ts';

describe('RFC 3966 §3 and RFC 3261 §19.1.2: what number a user part means', () => {
  it.each([
    ['+4930123', '+4930123'],
    ['%2B4930123', '+4930123'],
    ['+49-30-123', '+4930123'],
    ['+49(30)123.45', '+493012345'],
    ['+49%2830%29123', '+4930123'],
    ['%30%30%34%39', '0049'],
    ['%2321%23', '#21#'],
    ['*21*', '*21*'],
    ['+4930123;isub=1411', '+4930123'],
    ['+49-30-123;ext=5;phone-context=x', '+4930123'],
    ['1001', '1001'],
    ['alice', 'alice'],
    ['john.doe', 'john.doe'],
    ['j%2Edoe-3', 'j.doe-3'],
    ['alice;day=tuesday', 'alice;day=tuesday'],
    ['', ''],
    ['%', '%'],
    ['-', '-'],
    ['()', '()'],
  ])('%s is %s', (user, number) => {
    expect(dialledNumber(user)).toBe(number);
  });

  it.each([
    ['sip:0049-30-1@h', '0049-30-1', 2, '+', 'sip:+49301@h'],
    ['sip:%30%30491@h', '%30%30491', 2, '+', 'sip:+491@h'],
    ['sip:9%23221;isub=1@h;user=phone', '9%23221;isub=1', 1, '', 'sip:%23221;isub=1@h;user=phone'],
    ['tel:00-49;phone-context=x', '00-49', 2, '+', 'tel:+49;phone-context=x'],
    ['sip:00-49@h', '00-49', 0, '', 'sip:00-49@h'],
    ['sip:john.doe;x=y@h', 'john.doe;x=y', 0, 'p-', 'sip:p-john.doe;x=y@h'],
  ])('%s without %i and with "%s" is %s', (text, user, strip, prepend, expected) => {
    expect(redial(text, user, strip, prepend)).toBe(expected);
  });
});

describe('dialled numbers and routes', () => {
  const config = {
    domains: ['example.com'],
    routes: [
      { prefix: '+49', to: ['127.0.0.31:5060'] },
      { prefix: '#21', to: ['127.0.0.32:5060'] },
      { prefix: '00', to: ['127.0.0.33:5060'], stripDigits: 2, prepend: '+' },
      { domain: 'example.com', prefix: '+1', to: ['127.0.0.34:5060'] },
      { domain: 'other.example', prefix: '7', to: ['127.0.0.35:5060'] },
    ],
  };

  async function sentTo(uri: string): Promise<string> {
    const world = await SipWorld.up({ config });
    const hops: Peer[] = [];
    for (const last of [31, 32, 33, 34, 35]) hops.push(await world.peer(`127.0.0.${last}:5060`));
    const caller = await world.peer('127.0.0.9:5062');
    caller.send(request('MESSAGE', { uri }));
    await world.run();
    const hop = hops.find(({ heard }) => heard.length > 0);
    return hop === undefined ? String(statusOf(caller.last)) : `${hop.address.host.slice(8)} ${startLine(hop.last)}`;
  }

  it.each([
    ['sip:+4930123@example.com', '31 MESSAGE sip:+4930123@example.com SIP/2.0'],
    ['sip:%2B49-30-123@example.com', '31 MESSAGE sip:%2B49-30-123@example.com SIP/2.0'],
    ['sip:+4(9)30123@example.com;user=phone', '31 MESSAGE sip:+4(9)30123@example.com;user=phone SIP/2.0'],
    ['sip:%2321%23@example.com', '32 MESSAGE sip:%2321%23@example.com SIP/2.0'],
    ['sip:%30%30%34%39301@example.com', '33 MESSAGE sip:+49301@example.com SIP/2.0'],
    ['sip:0-0-49-301@example.com', '33 MESSAGE sip:+49301@example.com SIP/2.0'],
    ['tel:+49-30-123', '31 MESSAGE tel:+49-30-123 SIP/2.0'],
    ['tel:+49(30)123;isub=1', '31 MESSAGE tel:+49(30)123;isub=1 SIP/2.0'],
    ['TEL:0049-301;phone-context=example.com', '33 MESSAGE TEL:+49301;phone-context=example.com SIP/2.0'],
    ['tel:+1-201-555-0123', '34 MESSAGE tel:+1-201-555-0123 SIP/2.0'],
    ['sip:+12015550123@example.com', '34 MESSAGE sip:+12015550123@example.com SIP/2.0'],
    ['tel:7042;phone-context=other.example', '35 MESSAGE tel:7042;phone-context=other.example SIP/2.0'],
    ['tel:7042;phone-context=example.com', '416'],
    ['tel:+33', '416'],
  ])('%s goes to %s', async (uri, expected) => {
    expect(await sentTo(uri)).toBe(expected);
  });

  it.each(['sip:+49-30-123@example.com', 'sip:%2B4930123@example.com', 'tel:+49-30-123', 'tel:+4930123;isub=5'])(
    '%s finds who is registered under the number (RFC 3261 §19.1.6)',
    async (uri) => {
      const world = await SipWorld.up({ config });
      const bob = await world.peer('127.0.0.20:5070');
      await world.locations.save('+4930123@example.com', [
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
      const caller = await world.peer('127.0.0.9:5062');
      caller.send(request('MESSAGE', { uri }));
      await world.run();
      expect(startLine(bob.last)).toBe('MESSAGE sip:bob@127.0.0.20:5070 SIP/2.0');
    },
  );
});

describe('RFC 3261 §25.1 hostname: a domain with the dot of the root', () => {
  it('is the domain, in Request-URI, To, From, Contact and Via', async () => {
    const world = await SipWorld.up({ config: { domains: ['example.com'] }, names: () => '127.0.0.20' });
    const bob = await world.peer('127.0.0.20:5060');
    const caller = await world.peer('127.0.0.9:5062');
    caller.send(
      request('REGISTER', {
        uri: 'sip:example.com.',
        from: '<sip:bob@example.com.>;tag=1',
        to: '<sip:bob@EXAMPLE.COM.>',
        fields: 'Contact: <sip:bob@bob.example.net.>\r\n',
        branch: 'z9hG4bKdot1',
      }),
    );
    await world.run();
    expect(statusOf(caller.last)).toBe(200);
    expect(world.locations.lookup('bob@example.com')).toHaveLength(1);
    caller.send(request('MESSAGE', { uri: 'sip:bob@example.com.', via: '127.0.0.9.:5062', branch: 'z9hG4bKdot2' }));
    await world.run();
    expect(startLine(bob.last)).toBe('MESSAGE sip:bob@bob.example.net. SIP/2.0');
    expect(world.asked).toContain('A bob.example.net');
  });

  it('may be configured so, too', async () => {
    const world = await SipWorld.up({ config: { domains: ['example.com.'] } });
    const caller = await world.peer('127.0.0.9:5062');
    caller.send(request('MESSAGE', { uri: 'sip:nobody@example.com' }));
    await world.run();
    expect(statusOf(caller.last)).toBe(404);
  });
});

describe('RFC 3261 §20: an addr-spec without brackets, with quoted header parameters', () => {
  it.each([
    'sip:bob@127.0.0.20:5070;+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";reg-id=1',
    'sip:bob@127.0.0.20:5070;note="a;b, \\"c\\" <d>"',
    'sip:bob@127.0.0.20:5070 ; note="x"',
  ])('Contact: %s registers', async (contact) => {
    const world = await SipWorld.up({ config: { domains: ['example.com'] } });
    const phone = await world.peer('127.0.0.20:5070');
    phone.send(
      request('REGISTER', {
        uri: 'sip:example.com',
        via: '127.0.0.20:5070',
        from: 'sip:bob@example.com;tag=1;note="<x>"',
        to: 'sip:bob@example.com',
        fields: `Contact: ${contact}, sip:bob@127.0.0.21\r\n`.replace(/(reg-id.*), .*/, '$1'),
      }),
    );
    await world.run();
    expect(statusOf(phone.last)).toBe(200);
    expect(world.locations.lookup('bob@example.com').map(({ target }) => target)).toContain('sip:bob@127.0.0.20:5070');
  });

  it.each(['sip:bob@127.0.0.20;x="', 'sip:bob@127.0.0.20;x=<y>', 'a;b <sip:bob@127.0.0.20>', '"a" sip:b@c;x="y"'])(
    'Contact: %s does not',
    async (contact) => {
      const world = await SipWorld.up({ config: { domains: ['example.com'] } });
      const phone = await world.peer('127.0.0.20:5070');
      phone.send(
        request('REGISTER', {
          uri: 'sip:example.com',
          via: '127.0.0.20:5070',
          from: '<sip:bob@example.com>;tag=1',
          to: '<sip:bob@example.com>',
          fields: `Contact: ${contact}\r\n`,
        }),
      );
      await world.run();
      expect(statusOf(phone.last)).toBe(400);
    },
  );
});
