/**
 * RFC 3261 §26.1, RFC 4475: whatever octets come, also nearly right ones and answers to what was just sent, no message makes the proxy fail
 * by its own fault, and it goes on to serve the next one.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readTrustRule } from '../../../src/internal.ts';
import { logLines } from '../../support/log-lines.ts';
import { answerTo, type Peer, request, SipWorld, statusOf } from './world.ts';

const me = '198.51.100.8:5062';
const at = { host: '192.0.2.1', port: 5_060 };

const sdp = 'v=0\r\no=- 1 1 IN IP4 198.51.100.8\r\ns=-\r\nc=IN IP4 198.51.100.8\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';

const rich =
  'Contact: "a, b" <sip:a%20b@198.51.100.8:5062;ob;transport=udp?X=y>;q=0.5;expires=60;+sip.instance="<urn:uuid:1>";reg-id=1\r\n' +
  'Record-Route: <sip:198.51.100.7;lr>, "x" <sip:h1234567890A~tok.en@192.0.2.1;lr>;AlternatePath="sip:192.0.2.9 sip:[::1]"\r\n' +
  'Supported: path, outbound, 100rel, timer\r\nRequire: 100rel\r\nSession-Expires: 90;refresher=uac\r\nMin-SE: 90\r\n' +
  'Privacy: id\r\nP-Asserted-Identity: <sip:x@y>\r\nRAck: 1 1 INVITE\r\nRSeq: 1\r\nReason: SIP;cause=200;text="x"\r\nMax-Breadth: 3\r\n' +
  'Proxy-Authorization: Digest username="alice", realm="example.com", nonce="a.b.c", uri="sip:x", response="00", algorithm=MD5, qop=auth, nc=00000001, cnonce="c"\r\n' +
  'Expires: 3600\r\nRetry-After: 5\r\nContent-Type: application/sdp\r\n';

const routes = [
  '',
  'Route: <sip:192.0.2.1;lr>\r\n',
  'Route: <sip:h1234567890A~abc@192.0.2.1:5060;lr>, <sip:198.51.100.7;lr>\r\n',
  'Path: <sip:198.51.100.7;lr;ob>, <sip:~x@192.0.2.1;lr>\r\n',
];

const uris = [
  'sip:alice@example.com',
  'sip:bob@198.51.100.20:5070;maddr=198.51.100.21',
  'sip:+4930123@example.com;user=phone',
  'sips:x@[2001:db8::1]:5061',
  'tel:+49(30)123-4;phone-context=+49;isub=1',
  'sip:112@example.com',
  'sip:192.0.2.1;lr',
  'sip:example.com',
  'sip:1001@example.com',
];

const methods = [
  'INVITE',
  'ACK',
  'CANCEL',
  'BYE',
  'REGISTER',
  'OPTIONS',
  'SUBSCRIBE',
  'PRACK',
  'UPDATE',
  'MESSAGE',
  'REFER',
  'FOO',
];

const splinters = [
  ...[
    '',
    ' ',
    '\t',
    '\r\n',
    '\r\n ',
    '\n',
    '\r',
    ',',
    ';',
    '"',
    '\\',
    '<',
    '>',
    '@',
    ':',
    '=',
    '?',
    '&',
    '%',
    '%00',
    '%zz',
    '[',
    ']',
    '*',
    '.',
    '..',
  ],
  ...[
    '0',
    '-1',
    '99999999999',
    '4294967296',
    '\0',
    '\x7f',
    '\xff',
    '\u00e9',
    'sip:',
    'tel:',
    ';tag=',
    ';lr',
    '~',
    ';AlternatePath=',
    'z9hG4bK',
    '+',
  ],
];

interface Mutation {
  readonly at: number;
  readonly cut: number;
  readonly put: string;
}

const mutations = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat({ max: 12 }),
    put: fc.constantFrom(...splinters),
  }),
  { maxLength: 4 },
);

/** Near the places where the grammar changes more often than elsewhere. */
function mutated(text: string, changes: readonly Mutation[]): string {
  let out = text;
  for (const { at: share, cut, put } of changes) {
    const start = Math.floor(share * out.length);
    out = out.slice(0, start) + put + out.slice(start + cut);
  }
  return out;
}

const cases: readonly (readonly [name: string, auth: object])[] = [
  ['open', {}],
  ['with auth', { register: true, invite: true, users: [{ user: 'alice', password: 'wonderland' }] }],
];

describe.each(cases)('a proxy, %s', (_name, auth) => {
  it('fails by no message', { timeout: 60_000 }, async () => {
    const log = logLines('error');
    const world = await SipWorld.up({
      log: log.log,
      numbers: { country: '49', area: '30', emergency: ['112'] },
      trust: { strip: 'untrusted', trust: [readTrustRule('198.51.100.20') ?? expect.fail('rule')] },
      config: {
        listen: ['udp:192.0.2.1:5060', 'tcp:192.0.2.1:5060'],
        domains: ['example.com'],
        auth,
        backup: ['udp:192.0.2.9:5060'],
        backupFor: ['udp:192.0.2.9:5060'],
        routes: [{ prefix: '+1', to: ['198.51.100.30', '198.51.100.31'] }],
        trunks: [
          { name: 'carrier', to: ['198.51.100.40:5060'], prefixes: ['+49'], pingSeconds: 0, user: 'u', password: 'p' },
        ],
      },
      addresses: ['192.0.2.1'],
      names: (name) => (name.endsWith('.example') ? '198.51.100.21' : undefined),
    });
    await world.locations.save('alice@example.com', [
      {
        protocol: 'sip',
        target: 'sip:alice@198.51.100.20:5070',
        key: 'k',
        path: [],
        alternates: [],
        expiresMs: Number.MAX_SAFE_INTEGER,
        q: 1_000,
        updatedMs: 0,
      },
    ]);
    const peers: readonly Peer[] = [
      await world.peer(me),
      await world.peer('tcp:198.51.100.9:5062'),
      await world.peer('198.51.100.20:5070'),
      await world.peer('198.51.100.40:5060'),
      await world.peer('192.0.2.9:5060'),
    ];
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...methods),
        fc.constantFrom(...uris),
        fc.constantFrom(...routes),
        fc.constantFrom('', ';tag=t'),
        fc.nat({ max: peers.length - 1 }),
        mutations,
        fc.constantFrom(100, 180, 183, 200, 302, 401, 407, 430, 486, 503, 603),
        mutations,
        async (method, uri, route, tag, index, changes, status, answerChanges) => {
          count += 1;
          const peer = peers[index];
          if (peer === undefined) return;
          const text = request(method, {
            uri,
            via: `${peer.sentBy};rport;oc;oc-algo="loss"`,
            branch: `z9hG4bKm${count}`,
            callId: `m-${count % 7}`,
            to: `"x" <${uri}>${tag}`,
            from: index % 2 === 0 ? '<sip:alice@example.com>;tag=a' : '<sip:m@x.net>;tag=m',
            fields: route + rich,
            body: method === 'INVITE' ? sdp : '',
          });
          peer.send(Buffer.from(mutated(text, changes), 'latin1'), at);
          await world.run(3);
          for (const other of peers) {
            const heard = other.heard.find((each) => statusOf(each.text) === 0);
            if (heard !== undefined) {
              const answer = answerTo(heard.text, status, {
                fields: rich.replace('Proxy-Authorization', 'Proxy-Authenticate'),
              });
              heard.flow.send(Buffer.from(mutated(answer, answerChanges), 'latin1'));
              await world.run(3);
            }
            other.take();
          }
          const faults = log.lines.filter(({ level }) => Number(level) >= 50);
          expect([text, changes, status, answerChanges, faults]).toEqual([text, changes, status, answerChanges, []]);
        },
      ),
      { numRuns: 1_500 },
    );
    await world.run(600_000);
    expect(world.transactions).toBe(0);
    const asks = await world.peer('198.51.100.77:5062');
    asks.send(request('OPTIONS', { uri: 'sip:example.com', via: '198.51.100.77:5062', branch: 'z9hG4bKlast' }), at);
    await world.run();
    expect(statusOf(asks.last)).toBe(200);
    expect(await world.metrics.text()).not.toMatch(/internal_errors_total\{[^}]*\} [1-9]/);
    await world.down();
  });
});
