/** Design §8: tags are obeyed from trusted hops only, may lead only where allowed, and can be taken out at a border. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { isUnicast } from '../../../protocols/sip/codec/uri.ts';
import { parseNameAddr, parseVia, splitList } from '../../../protocols/sip/codec/values.ts';
import { nameAddrAlternates } from '../../../protocols/sip/path.ts';
import { stripTags, withoutTags } from '../../../protocols/sip/proxy/strip.ts';
import { PathTrust } from '../../../protocols/sip/proxy/trust.ts';
import { readAllowRule, readTrustRule } from '../../../src/config/trust-rules.ts';
import { type ControllerAddress, type Flow, Metrics, type TrustSettings } from '../../../src/internal.ts';
import { hosts, SipWorld, usualWorld } from '../../support/sip-world.ts';

const flowFrom = (host: string): Flow => ({
  transport: 'udp',
  reliable: false,
  local: { host: '127.0.0.1', port: 5_060 },
  remote: { host, port: 5_060 },
  id: host,
  send: () => undefined,
  close: () => undefined,
});

const udp = (host: string, port = 5_060): ControllerAddress => ({ transport: 'udp', host, port });

function trustOf(settings: Partial<TrustSettings> = {}): { trust: PathTrust; metrics: Metrics } {
  const metrics = new Metrics();
  const trust = new PathTrust({ trust: [], allow: [], strip: 'none', ...settings }, 'header', metrics);
  trust.know([
    { host: '127.0.2.1', port: 5_060 },
    { host: '127.0.2.2', port: 5_060 },
  ]);
  return { trust, metrics };
}

const refused = async (metrics: Metrics): Promise<number> =>
  Number(/altpath_sip_alternates_refused_total (\d+)/.exec(await metrics.text())?.[1]);

describe('whose alternates are obeyed', () => {
  it('those of hops that the operator named', () => {
    const { trust } = trustOf();
    expect(trust.alternates([udp('127.0.9.9')], flowFrom('127.0.2.1'))).toEqual([udp('127.0.9.9')]);
  });

  it('a stranger can at most name controllers that the operator named as well; the rest is counted', async () => {
    const { trust, metrics } = trustOf();
    expect(trust.alternates([udp('127.0.9.9'), udp('127.0.2.2')], flowFrom('127.0.6.6'))).toEqual([udp('127.0.2.2')]);
    expect(await refused(metrics)).toBe(1);
  });

  it('those of a trusted network, inside of what is allowed', () => {
    const network = readTrustRule('127.0.6.0/24');
    const allowed = readAllowRule('127.0.7.0/24:5060');
    if (network === undefined || allowed === undefined) throw new Error('the rules themselves');
    const { trust } = trustOf({ trust: [network], allow: [allowed] });
    const named = [udp('127.0.7.1'), udp('127.0.7.1', 5_070), udp('127.0.8.1')];
    expect(trust.alternates(named, flowFrom('127.0.6.6'))).toEqual([udp('127.0.7.1')]);
    expect(trust.alternates(named, flowFrom('127.0.5.5'))).toEqual([]);
  });

  it('where the hop is reached by TLS, no alternate without it', () => {
    const { trust } = trustOf();
    const named: ControllerAddress[] = [udp('127.0.2.2'), { transport: 'tls', host: '127.0.2.2', port: 5_060 }];
    expect(trust.alternates(named, flowFrom('127.0.2.1'), true)).toEqual([named[1]]);
    expect(trust.alternates(named, { ...flowFrom('127.0.2.1'), transport: 'tls' })).toEqual([named[1]]);
  });

  it('nor where the same tag was read on a message without TLS before', () => {
    const { trust } = trustOf();
    const via = parseVia('SIP/2.0/UDP 127.0.2.1:5060;branch=z9hG4bK1;AlternatePath="sip:127.0.2.2:5060;transport=udp"');
    if (via === undefined) return expect.fail('a Via that does not parse');
    const plain = flowFrom('127.0.2.1');
    expect(trust.backWays(via, plain)).toEqual([udp('127.0.2.2')]);
    expect(trust.backWays(via, { ...plain, transport: 'tls', reliable: true })).toEqual([]);
    expect(trust.backWays(via, plain)).toEqual([udp('127.0.2.2')]);
  });

  it('never a multicast, broadcast or unspecified address, whoever says so', () => {
    const { trust } = trustOf();
    const named = ['224.0.1.75', '255.255.255.255', '0.0.0.0', '239.1.1.1', '::', 'ff02::1'].map((host) => udp(host));
    expect(trust.alternates(named, flowFrom('127.0.2.1'))).toEqual([]);
    expect(['127.0.0.1', '10.0.0.1', '2001:db8::1', 'example.com'].map(isUnicast)).toEqual([true, true, true, true]);
  });
});

describe('what counts as a configured hop', () => {
  it('is its machine at any port, and what its name stands for; on loopback its port alone', () => {
    const { trust } = trustOf();
    trust.know([
      { host: '203.0.113.9', port: 5_060 },
      { host: 'trunk.example.net' },
      { host: '127.0.7.1', port: 5_060 },
    ]);
    expect(trust.isConfigured({ host: '203.0.113.9', port: 5_061, transport: 'tls' })).toBe(true);
    expect(trust.isConfigured({ host: 'trunk.example.net', port: 9_999 })).toBe(true);
    expect(trust.isConfigured({ host: '127.0.7.1' })).toBe(true);
    expect(trust.isConfigured({ host: '127.0.7.1', port: 5_070 })).toBe(false);
    expect(trust.isConfigured({ host: '198.51.100.7', port: 5_060 })).toBe(false);
    trust.learn([udp('198.51.100.7')]);
    expect(trust.isConfigured({ host: '198.51.100.7', port: 5_070 })).toBe(true);
    // Where the operator takes the name back, what it stood for goes with it.
    trust.know([]);
    expect(trust.isConfigured({ host: '198.51.100.7', port: 5_060 })).toBe(false);
  });
});

// --- strip ----------------------------------------------------------------------------------------------------------------------

const nobody = (): boolean => false;

function message(...fields: readonly string[]): SipMessage {
  const text = `INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.6.6;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n${fields.map((field) => `${field}\r\n`).join('')}Content-Length: 0\r\n\r\n`;
  const decoded = decode(Buffer.from(text, 'latin1'));
  if (!decoded.ok) throw new Error(decoded.error.reason);
  return decoded.value;
}

function strippedOf(received: SipMessage): SipMessage {
  const stripped = stripTags(received, nobody);
  if (stripped === undefined) throw new Error('nothing is left');
  return stripped;
}

describe('strip: untrusted takes every tag out', () => {
  const evasions: readonly string[] = [
    // A name-addr that never closes.
    'Contact: <sip:a@127.0.6.6;AlternatePath="sip:127.0.6.7"',
    'Contact: <sip:a@127.0.6.6;AlternatePath=127.0.6.7;lr',
    'Record-Route: <sip:127.0.6.6;lr>, <sip:127.0.6.8;AlternatePath="sip:127.0.6.7", <sip:127.0.6.9;lr>',
    'Contact: "a <sip:a@127.0.6.6>;AlternatePath="sip:127.0.6.7"',
    'Contact: "a" b <sip:a@127.0.6.6>;AlternatePath=127.0.6.7',
    'Contact: <sip:a@127.0.6.6> AlternatePath=127.0.6.7',
    // User parts.
    'Contact: <sip:a;b@127.0.6.6;AlternatePath=127.0.6.7>',
    'Contact: <sip:a;AlternatePath=127.0.6.7@127.0.6.6>',
    'Contact: <sip:a;AlternatePath=127.0.6.7;x=y@127.0.6.6;lr>',
    'Contact: sip:a;b@127.0.6.6;AlternatePath="sip:127.0.6.7"',
    // A quote inside of a URI quotes nothing for those who look for the bracket.
    'Route: <sip:127.0.6.6;x="a;AlternatePath=127.0.6.7;y="b;lr>',
    // URI headers, plain and escaped.
    'Contact: <sip:a@127.0.6.6?Route=%3Csip:127.0.6.6%3BAlternatePath%3D127.0.6.7%3E&X=y>',
    'Contact: <sip:a@127.0.6.6?X=y&Route=%3Csip:127.0.6.6%3E%3balternatePATH%3D%22sip:127.0.6.7%22>',
    'Contact: <sip:a@127.0.6.6?AlternatePath=127.0.6.7&X=y>',
    'Contact: <sip:a@127.0.6.6?Route=%253Csip:127.0.6.6%253B%2541lternatePath%253D127.0.6.7%253E>',
    // Wherever a URI may stand, in fields that we know and in those that we do not.
    'Refer-To: <sip:x@127.0.6.6;AlternatePath=127.0.6.7>',
    'r: <sip:x@127.0.6.6?Replaces=a%3Bto-tag=b>;AlternatePath="sip:127.0.6.7"',
    'Referred-By: <sip:x@127.0.6.6>;AlternatePath=127.0.6.7',
    'History-Info: <sip:x@127.0.6.6;AlternatePath=127.0.6.7>;index=1, <sip:y@b>;index=1.1;AlternatePath="sip:127.0.6.7"',
    'Reply-To: <sip:x@127.0.6.6>;AlternatePath="sip:127.0.6.7"',
    'P-Asserted-Identity: "x" <sip:x@127.0.6.6;%41LTERNATEPATH=127.0.6.7>',
    'Diversion: <tel:+1;AlternatePath=127.0.6.7>',
    'Alert-Info: <http://a/b?x=y;AlternatePath=127.0.6.7>',
    'X-Whatever: sip:x@127.0.6.6;AlternatePath=127.0.6.7',
    'Record-Route: <sip:127.0.6.6;lr>;AlternatePath="sip:127.0.6.7"',
    'record-ROUTE: <sip:127.0.6.6;lr>;aLTERNATEpATH=127.0.6.7',
    'Route: <sip:127.0.6.6;lr>\r\n ;\r\n\tAlternatePath\r\n =\r\n "sip:127.0.6.7"',
    'Route: <sip:127.0.6.6;lr>;x="a;b\\"c,d";AlternatePath="sip:127.0.6.7";y=1',
    'Route: <sip:127.0.6.6;lr>, <sip:127.0.6.8;lr>;AlternatePath="sip:127.0.6.7"',
    'Route: "a<b>;c,d" <sip:127.0.6.6;lr>;AlternatePath="sip:127.0.6.7"',
    'Route: <sip:127.0.6.6;AlternatePath=sip:127.0.6.7%3Btransport=udp;lr>',
    'Route: <sip:127.0.6.6;%41lternatePath=127.0.6.7;lr>',
    'Route: <sip:127.0.6.6;lr>;AlternatePath="sip:127.0.6.7";AlternatePath="sip:127.0.6.8"',
    'Route: <sip:127.0.6.6;lr;alternatepath>;ALTERNATEPATH',
    'm: <sip:a@127.0.6.6>;AlternatePath="sip:127.0.6.7"',
    'm: sip:a@127.0.6.6;AlternatePath="sip:127.0.6.7"',
    'Contact : <sip:a@127.0.6.6;AlternatePath=127.0.6.7?X=y>;q=0.5',
    'Path: <sip:127.0.6.6;lr>;AlternatePath="sip:127.0.6.7"',
    'Service-Route: <sip:127.0.6.6;lr>;AlternatePath="sip:127.0.6.7"',
    'v: SIP/2.0/UDP 127.0.6.6;AlternatePath="sip:127.0.6.7";branch=z9hG4bK2',
    'Via: SIP / 2.0 / UDP 127.0.6.6 ; branch=z9hG4bK2 , SIP/2.0/UDP 127.0.6.5;branch=z9hG4bK3;AlternatePath="sip:a, sip:b"',
  ];
  for (const evasion of evasions)
    it(JSON.stringify(evasion), () => {
      const stripped = strippedOf(message(evasion));
      expect(stripped.text.toLowerCase()).not.toContain('alternatepath');
      expect(stripped.text).not.toContain('%41lternate');
      expect(stripped.text).not.toContain('127.0.6.7');
      // What stood around it stands there still, and it is a message as before.
      expect([stripped.method, stripped.callId, stripped.list(H.via).length]).toEqual([
        'INVITE',
        '1',
        message(evasion).list(H.via).length,
      ]);
    });

  it.each([
    ['To', 'To: <sip:c@d>', 'To: <sip:c@d;AlternatePath=127.0.6.7>;AlternatePath="sip:127.0.6.7"'],
    ['From', 'From: <sip:a@b>;tag=1', 'From: "a" <sip:a@b;AlternatePath=127.0.6.7>;AlternatePath=127.0.6.7;tag=1'],
    ['the Request-URI', 'sip:bob@example.com ', 'sip:bob@example.com;AlternatePath=127.0.6.7;x=1 '],
    ['its user part', 'sip:bob@example.com ', 'sip:bob;AlternatePath=127.0.6.7@example.com '],
    ['a tel URI', 'sip:bob@example.com ', 'tel:+1234;alternatepath=127.0.6.7 '],
  ])('out of %s', (_place, plain, tagged) => {
    const decoded = decode(Buffer.from(message().text.replace(plain, tagged), 'latin1'));
    if (!decoded.ok) return expect.fail(decoded.error.reason);
    const stripped = strippedOf(decoded.value);
    expect(stripped.text.toLowerCase()).not.toContain('alternatepath');
    expect(stripped.text).not.toContain('127.0.6.7');
    expect([stripped.fromTag, stripped.callId, stripped.method]).toEqual(['1', '1', 'INVITE']);
    if (plain.startsWith('sip:') && tagged.startsWith('sip:'))
      expect([stripped.uri?.user, stripped.uri?.host]).toEqual(['bob', 'example.com']);
  });

  it('parameters beside it stay to the byte', () => {
    expect(withoutTags('<sip:a@b;lr;AlternatePath=c;x=1>;q=1;AlternatePath="c;d";y="AlternatePath=1"')).toBe(
      '<sip:a@b;lr;x=1>;q=1;y="AlternatePath=1"',
    );
  });

  it('a display name, a user part or a quoted value that shows the word is no tag', () => {
    const untouched = message(
      'Contact: "x;AlternatePath=1" <sip:AlternatePath@b>;x=";AlternatePath=2"',
      'Subject: ;AlternatePath=3',
    );
    expect(stripTags(untouched, nobody)).toBe(untouched);
  });

  it('whatever stands in the field, the result holds no tag that our own reader would see, and nothing is thrown', () => {
    const piece = fc.constantFrom(
      ';',
      'AlternatePath',
      '=',
      '"',
      '\\',
      '<',
      '>',
      ',',
      ' ',
      '\r\n ',
      'sip:',
      'a',
      '@',
      '%41',
      '%',
      '1.2.3.4',
      '?',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 24 }), (pieces) => {
        const once = withoutTags(`<sip:1.2.3.4;lr>${pieces.join('')}`);
        expect(withoutTags(once)).toBe(once);
        for (const value of splitList(once)) {
          const entry = parseNameAddr(value);
          if (entry !== undefined) expect([value, nameAddrAlternates(entry)]).toEqual([value, undefined]);
        }
      }),
    );
  });
});

describe('at the border', () => {
  it('a forged tag in a Route does not lead a call to the attacker, and is counted', async () => {
    const { world, caller } = await usualWorld();
    const stolen: string[] = [];
    const attacker = '127.0.6.7';
    await world.network
      .host(attacker)
      .bind(udp(attacker), {}, { received: (bytes) => stolen.push(bytes.toString('latin1')), failed: () => undefined });
    caller.onConfirmed = (dialog) => {
      const [first = '', ...others] = dialog.routes;
      const forged = others.map((route) => route.replace(/;AlternatePath="[^"]*"/, `;AlternatePath="sip:${attacker}"`));
      dialog.routes = [first, ...forged];
      world.network.crash(hosts.primary);
      world.clock.after(100, () => caller.bye(dialog));
    };
    caller.call('sip:bob@example.com');
    world.clock.advance(60_000);
    expect(stolen).toEqual([]);
    // The configured backup took it instead.
    expect(caller.finals).toEqual(['REGISTER 200', 'INVITE 200', 'BYE 200']);
    const edge = world.roleAt(hosts.callerEdge);
    expect(edge === undefined ? 0 : await refused(edge.metrics)).toBeGreaterThan(0);
  });

  it('nobody makes the backup send a response where he likes', async () => {
    const { world } = await usualWorld();
    const victim = '127.0.6.8';
    const hits: string[] = [];
    await world.network
      .host(victim)
      .bind(udp(victim), {}, { received: (bytes) => hits.push(bytes.toString('latin1')), failed: () => undefined });
    const attacker = await world.network
      .host('127.0.6.6')
      .bind(udp('127.0.6.6'), {}, { received: () => undefined, failed: () => undefined });
    const forged =
      `SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP ${hosts.primary}:5060;branch=z9hG4bKforged.x;AlternatePath="sip:${hosts.backup}:5060"\r\n` +
      `Via: SIP/2.0/UDP ${victim}:5060;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n`;
    for (const at of [hosts.backup, hosts.primary])
      attacker.flowTo({ host: at, port: 5_060 }).send(Buffer.from(forged));
    world.clock.advance(1_000);
    expect(hits).toEqual([]);
  });

  it('with strip, what a stranger writes into a call does not reach the callee; our own tags do', async () => {
    const world = new SipWorld();
    const strict: TrustSettings = { trust: [], allow: [], strip: 'untrusted' };
    await world.pair({ trust: strict });
    const caller = await world.phone({ address: '127.0.3.1', user: 'alice', edge: hosts.primary });
    const callee = await world.phone({ address: '127.0.3.2', user: 'bob', edge: hosts.primary });
    callee.register();
    await world.clock.advanceAsync(100);
    const seen: string[] = [];
    callee.onRequest = (request) => seen.push(request.text);
    const stranger = await world.network
      .host('127.0.6.6')
      .bind(udp('127.0.6.6'), {}, { received: () => undefined, failed: () => undefined });
    stranger
      .flowTo({ host: hosts.primary, port: 5_060 })
      .send(
        Buffer.from(
          message(
            'm: <sip:a@127.0.6.6>;alternatepath="sip:127.0.6.7"',
            'Record-Route: <sip:127.0.6.6;lr>\r\n ;AlternatePath="sip:127.0.6.7"',
          ).text,
          'latin1',
        ),
      );
    world.clock.advance(1_000);
    expect(seen).toHaveLength(1);
    expect(seen[0]).not.toContain('127.0.6.7');
    expect(seen[0]).toContain(`AlternatePath="sip:${hosts.backup}:5060;transport=udp"`);
    expect(caller.complaints).toEqual([]);
  });
});
