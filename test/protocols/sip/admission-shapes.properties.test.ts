/**
 * RFC 3261 §7.3, §16.4, §19.1, §22.3: however a request is written (compact, folded, escaped, mixed case, odd lists, odd tags, other
 * spellings of an address), with `auth.invite` nobody reaches by it what he may not reach, and nothing of his Route goes further.
 */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { domain, hosts } from '../../support/sip-world.ts';
import { aliceHost, foreign, trunk, upstream, Wall } from './wall.ts';
import { fieldsOf, request } from './world.ts';

let wall: Wall;

afterEach(() => wall.world.stop());

const host = hosts.primary;
const other = hosts.backup;
const number = '+19005551234';

const methods = [
  ...['INVITE', 'ACK', 'CANCEL', 'BYE', 'MESSAGE', 'OPTIONS', 'REGISTER', 'SUBSCRIBE', 'NOTIFY', 'REFER'],
  ...['INFO', 'UPDATE', 'PRACK', 'PUBLISH', 'invite', 'X-FOO'],
];

const targets = [
  `sip:alice@${domain}`,
  `SIP:%61lice@${domain.toUpperCase()}.`,
  `sip:alice:secret@${host}`,
  `sip:alice@${domain};maddr=${trunk}`,
  `sip:alice@${domain};lr;maddr=${trunk}`,
  `sip:alice@${domain};transport=tcp;method=INVITE`,
  `sips:alice@${domain}`,
  `sip:alice%40${trunk}@${domain}`,
  `sip:alice;x=@${domain}`,
  `sip:${number}@${domain};user=phone`,
  `SIP:${number}@${domain}`,
  `sip:%2B1900%35551234@${domain}`,
  `sip:+1(900)555-12.34@${host}`,
  `sip:${number};phone-context=${domain}@${host}`,
  `sip:${number}@${domain}.;lr`,
  `sip:${number}@${domain}:5061`,
  `sip:${number}@${domain}:9999`,
  `sip:${number}:alice@${domain}`,
  `sip:${number}@[::ffff:${host}]:5060`,
  `sip:${number}@[::ffff:${trunk}]`,
  `sip:x@${foreign};maddr=${host}`,
  `sip:${host};maddr=${trunk}`,
  `sip:alice@${other};lr`,
  `tel:+1-900-555-1234`,
  `tel:9005551234;phone-context=+1`,
  `tel:9005551234;phone-context=${domain}`,
  `TEL:alice`,
  'urn:service:sos',
  `pres:alice@${domain}`,
];

const own = `${host}:5060`;

/** As lists of values, each of which is written as one field or joined with the others. */
const routes = [
  `<sip:${own};lr>`,
  `"a, <b>" <SIP:${own};LR>`,
  `sip:${own};lr`,
  `<sip:${domain}.;lr=on>`,
  `<sip:${own};lr?Route=%3Csip:${trunk}%3Blr%3E>`,
  `<sip:${own};lr>;x="<sip:${trunk};lr>, "`,
  `<sip:[::ffff:${host}]:5060;lr>`,
  `<sip:${own};transport=tcp;lr>`,
  `<sips:${host};lr>`,
  `<sip:alice@${own};lr>`,
  `<sip:${own};lr;maddr=${trunk}>`,
  `<sip:${host}:9999;lr>`,
  `<sip:${other}:5060;lr>`,
  `<sip:${trunk};lr>`,
  `"${trunk}" <sip:${number}@${trunk}>`,
  `<sip:${trunk};lr>;AlternatePath="sip:${host}:5060"`,
  `sip:${foreign};lr`,
  `<sip:${foreign}:9999;lr;AlternatePath=sip:${trunk}:5060>`,
  '<tel:+19005551234>',
  '<urn:service:sos>',
  `<sip:${trunk}`,
  `"<sip:${trunk};lr>`,
  'nonsense',
  '<>',
  '<sip:>',
  '',
  ',',
  `,,<sip:${trunk};lr>`,
  '*',
];

const tags = ['', ';tag=t', ';TAG=t', ' ; tag = t', ';a="b;tag=q"', ';tag=', ';tag', ';tag=t;tag=u', ';tag="t"'];

const callers = [
  '<sip:mallory@elsewhere.net>',
  `"alice" <SIP:alice@${domain.toUpperCase()}.>`,
  `<sip:%61lice@${host}>`,
  '<tel:+123>',
  `<sips:bob@${domain}>`,
  'sip:x@elsewhere.net',
];

interface Writing {
  readonly name: string;
  write(text: string): string;
}

const writings: readonly Writing[] = [
  { name: 'plain', write: (text) => text },
  {
    name: 'compact',
    write: (text) =>
      text
        .replace(/^Via:/gm, 'v:')
        .replace(/^From:/gm, 'f :')
        .replace(/^To:/gm, 't\t:')
        .replace(/^Call-ID:/gm, 'i:')
        .replace(/^Contact:/gm, 'm:')
        .replace(/^Content-Length:/gm, 'l:'),
  },
  {
    name: 'upper case',
    write: (text) => text.replace(/^(?:Via|From|To|Route|Max-Forwards):/gm, (n) => n.toUpperCase()),
  },
  {
    name: 'folded',
    write: (text) => text.replace(/^(To|From|Route|Via): ?/gm, '$1:\r\n  ').replace(/(;(?:tag|lr)\b)/gi, '\r\n\t$1'),
  },
  { name: 'bare line feeds', write: (text) => text.replaceAll('\r\n', '\n') },
  { name: 'line ends first', write: (text) => `\r\n\r\n${text}` },
];

interface Shape {
  readonly method: string;
  readonly uri: string;
  readonly routes: readonly string[];
  readonly joined: boolean;
  readonly tag: string;
  readonly from: string;
  readonly writing: Writing;
  readonly more: string;
}

const shapes = (
  uris: readonly string[],
  routeValues: readonly string[],
  tagTexts: readonly string[] = tags,
): fc.Arbitrary<Shape> =>
  fc.record({
    method: fc.constantFrom(...methods),
    uri: fc.constantFrom(...uris),
    routes: fc.array(fc.constantFrom(...routeValues), { maxLength: 3 }),
    joined: fc.boolean(),
    tag: fc.constantFrom(...tagTexts),
    from: fc.constantFrom(...callers),
    writing: fc.constantFrom(...writings),
    more: fc.constantFrom(
      '',
      `Record-Route: <sip:${trunk};lr>\r\n`,
      `Path: <sip:${trunk};lr>\r\nSupported: path\r\n`,
      `P-Asserted-Identity: <sip:alice@${domain}>\r\n`,
      `Contact: <sip:${number}@${trunk}>\r\n`,
      'Proxy-Authorization: Digest username="alice", realm="example.com", nonce="", uri="", response=""\r\n',
      'Max-Breadth: 5\r\n',
    ),
  });

const textOf = (
  shape: Shape,
  callId: string,
  branch: string,
  via: string,
  fromTag: string,
  toUri = shape.uri,
): string => {
  const values = shape.joined && shape.routes.length > 0 ? [shape.routes.join(', ')] : shape.routes;
  return shape.writing.write(
    request(shape.method, {
      uri: shape.uri,
      via,
      branch,
      from:
        shape.from.startsWith('<') || shape.from.startsWith('"')
          ? `${shape.from};tag=${fromTag}`
          : `<${shape.from}>;tag=${fromTag}`,
      to: `<${toUri}>${shape.tag}`,
      callId,
      fields: `${values.map((each) => `Route: ${each}\r\n`).join('')}${shape.more}`,
    }),
  );
};

/** What alice heard of this request. */
const heardBy = (callId: string): readonly string[] => wall.alice.texts.filter((text) => text.includes(callId));

/** Values of Route; a field without any says nothing. */
const routesIn = (text: string): readonly string[] => fieldsOf(text, 'route').filter((value) => /[^\s,]/.test(value));

describe.each([
  ['somewhere', '127.0.6.8:5060'],
  ['over a connection', 'tcp:127.0.6.7:5060'],
  ['on the machine of a configured hop, beside it (loopback addresses have many programs)', `${trunk}:7777`],
  ['there over a connection', `tcp:${trunk}:7777`],
])('a stranger %s', (_where, at) => {
  it('reaches registered users alone, and what they get has no Route of his', { timeout: 60_000 }, async () => {
    wall = await Wall.up();
    const attacker = await wall.peer(at);
    const isConnected = at.startsWith('tcp:');
    let count = 0;
    await fc.assert(
      fc.asyncProperty(shapes(targets, routes), async (shape) => {
        count += 1;
        const callId = `shape-${count}@x`;
        const via = isConnected ? attacker.sentBy : `${attacker.sentBy};rport`;
        const text = textOf(shape, callId, `z9hG4bKshape${count}`, via, 'm1').replace(
          'SIP/2.0/UDP',
          isConnected ? 'SIP/2.0/TCP' : 'SIP/2.0/UDP',
        );
        attacker.send(text, { host, port: 5_060 });
        await wall.run(5);
        const escaped = wall
          .escaped(callId)
          .filter(
            (line) => !line.startsWith(`${attacker.sentBy} SIP/2.0 `) && !/^\S+:(?:49|5\d)\d{3} SIP\/2\.0 /.test(line),
          );
        expect([text, escaped]).toEqual([text, []]);
        for (const heard of heardBy(callId)) expect([text, routesIn(heard)]).toEqual([text, []]);
        wall.alice.take();
        attacker.take();
        wall.beyond.length = 0;
      }),
      { numRuns: 700 },
    );
  });
});

describe('who was in a dialog with a user of ours', () => {
  const spelled = [
    trunk,
    `${trunk}:5060`,
    `[::ffff:${trunk}]`,
    `[0:0:0:0:0:ffff:7f00:701]:5060`,
    `${foreign};maddr=${trunk}`,
    `${foreign};MADDR=${trunk}`,
    `${foreign};maddr=[::ffff:${trunk}]`,
    `${host};maddr=${trunk}`,
    `${trunk};transport=tcp`,
    `${foreign};AlternatePath=sip:${trunk}:5060`,
    upstream,
  ];

  it('reaches no configured hop that has no part in it, however he spells its address', {
    timeout: 60_000,
  }, async () => {
    wall = await Wall.up();
    const { attacker, alice } = wall;
    attacker.send(
      request('INVITE', {
        uri: `sip:alice@${domain}`,
        via: '127.0.6.6:5060',
        from: '<sip:mallory@elsewhere.net>;tag=m1',
        to: `<sip:alice@${domain}>`,
        callId: 'theirs',
        branch: 'z9hG4bKbegin',
        fields: 'Contact: <sip:mallory@127.0.6.6:5060>\r\n',
      }),
      { host, port: 5_060 },
    );
    await wall.run();
    const [record = ''] = fieldsOf(alice.last, 'record-route');
    expect(record).toMatch(/^<sip:d/);
    await wall.aliceAnswers(200, `Contact: <sip:alice@${aliceHost}:5060>\r\n`);
    const user = /sip:([^@]*)@/.exec(record)?.[1] ?? '';
    const values = [
      record,
      `<sip:${user}@${own};lr>`,
      `<sip:${user}@${other}:5060;lr>`,
      `<SIP:${user}@${domain};LR>`,
      `<sip:h${user.slice(1)}@${own};lr>`,
      ...spelled.flatMap((each) => [`<sip:${each};lr>`, `<sip:${number}@${each}>`]),
    ];
    const uris = [
      `sip:alice@${aliceHost}`,
      ...spelled.map((each) => `sip:${number}@${each}`),
      ...spelled.map((each) => `sips:${number}@${each}`),
      `sip:${user}@${own};lr`,
      `sip:${number}@${domain}`,
      'tel:+19005551234',
    ];
    let count = 0;
    await fc.assert(
      fc.asyncProperty(
        shapes(uris, values, [';tag=alice1', ';TAG=other', ' ; tag = x']),
        fc.constantFrom('primary', 'backup'),
        async (shape, at) => {
          count += 1;
          wall.beyond.length = 0;
          const text = textOf(
            {
              ...shape,
              routes: [values[count % 4] ?? '', ...shape.routes],
              from: '<sip:mallory@elsewhere.net>',
              joined: count % 2 === 0,
            },
            'theirs',
            `z9hG4bKproof${count}`,
            '127.0.6.6:5060',
            'm1',
            `sip:alice@${domain}`,
          );
          attacker.send(text, { host: at === 'primary' ? host : other, port: 5_060 });
          await wall.run(5);
          const reached = wall.beyond
            .filter(({ to }) => (to.host === trunk || to.host === upstream) && to.port === 5_060)
            .map(({ bytes }) => bytes.toString('latin1'))
            .filter((each) => each.includes('theirs'));
          expect([text, reached]).toEqual([text, []]);
          attacker.take();
          alice.take();
        },
      ),
      { numRuns: 900 },
    );
  });
});
