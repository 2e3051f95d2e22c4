/**
 * The npm package `sip` as oracle of our codec: well-formed messages mean the same to both. Inside what the package can do: no IPv6 in
 * a Via, no folding, no bare addr-spec in a list, no parameter twice, bodies as octets with their length given.
 */
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { type NameAddr, parseVia } from '../../../protocols/sip/codec/values.ts';

interface PackageAddress {
  readonly name?: string;
  readonly uri: string;
  readonly params: Readonly<Record<string, string | null>> & { readonly tag?: string | null };
}

interface PackageMessage {
  readonly method?: string;
  readonly uri?: string;
  readonly status?: number;
  readonly reason?: string;
  readonly content: string;
  readonly headers: {
    readonly via: readonly {
      readonly version: string;
      readonly protocol: string;
      readonly host: string;
      readonly port?: number;
      readonly params: Readonly<Record<string, string | null>>;
    }[];
    readonly from: PackageAddress;
    readonly to: PackageAddress;
    readonly contact?: readonly PackageAddress[];
    readonly cseq: { readonly seq: number; readonly method: string };
    readonly 'call-id': string;
    readonly 'max-forwards'?: string;
  };
}

interface SipPackage {
  parse(bytes: Buffer): PackageMessage | undefined;
  stringify(message: PackageMessage): string;
}

const sip: SipPackage = createRequire(import.meta.url)('sip');

/** What both must have understood. */
interface Understood {
  readonly start: readonly (string | number)[];
  readonly via: readonly unknown[];
  readonly from: unknown;
  readonly to: unknown;
  readonly contact: readonly unknown[];
  readonly callId: string;
  readonly cseq: readonly (string | number)[];
  readonly maxForwards: number | undefined;
  readonly body: string;
}

it('a well-formed message means the same to the npm package and to us, from our octets and from theirs', () => {
  const seen = { requests: 0, responses: 0 };
  fc.assert(
    fc.property(message(), (text) => {
      const bytes = Buffer.from(text, 'latin1');
      const theirs = sip.parse(bytes);
      if (theirs === undefined) throw new Error('the package reads nothing');
      const meant = byPackage(theirs);
      expect(byUs(bytes)).toEqual(meant);
      expect(byUs(Buffer.from(sip.stringify(theirs), 'latin1'))).toEqual(meant);
      seen[theirs.status === undefined ? 'requests' : 'responses'] += 1;
    }),
    { numRuns: 300 },
  );
  expect(Math.min(seen.requests, seen.responses)).toBeGreaterThan(50);
});

function byUs(bytes: Buffer): Understood {
  const decoded = decode(bytes);
  if (!decoded.ok) throw new Error(`refused: ${decoded.error.reason} at ${decoded.error.offset}`);
  const { value } = decoded;
  return {
    start: value.isRequest ? [value.method, value.requestUri] : [value.status, value.reason],
    via: value.list(H.via).map((each) => {
      const via = parseVia(each);
      return via && [via.transport, via.host, via.port, paramsOf(via.params)];
    }),
    from: addressOf(value.from, value.fromTag),
    to: addressOf(value.to, value.toTag),
    contact: value.addresses(H.contact).map((each) => each && addressOf(each)),
    callId: value.callId,
    cseq: [value.cseq, cseqMethod(value)],
    maxForwards: value.maxForwards,
    body: value.body,
  };
}

function byPackage(message: PackageMessage): Understood {
  const { headers } = message;
  const address = ({ name = '', uri, params }: PackageAddress, isTagged: boolean): unknown => ({
    uri,
    display: name,
    params: Object.entries(params).sort(byName),
    tag: isTagged ? (params.tag ?? '') : undefined,
  });
  return {
    start:
      message.status === undefined ? [message.method ?? '', message.uri ?? ''] : [message.status, message.reason ?? ''],
    via: headers.via.map(({ protocol, host, port = 0, params }) => [
      protocol.toUpperCase(),
      host.toLowerCase(),
      port,
      Object.entries(params).sort(byName),
    ]),
    from: address(headers.from, true),
    to: address(headers.to, true),
    contact: (headers.contact ?? []).map((each) => address(each, false)),
    callId: headers['call-id'],
    cseq: [headers.cseq.seq, headers.cseq.method],
    maxForwards: headers['max-forwards'] === undefined ? undefined : Number(headers['max-forwards']),
    body: message.content,
  };
}

const addressOf = ({ uri, display, params }: NameAddr, tag?: string): unknown => ({
  uri,
  display,
  params: paramsOf(params),
  tag,
});

/** Read by a rule of the test's own: our codec names single parameters and hands on the rest as written. */
function paramsOf(params: string): readonly (readonly [string, string | null])[] {
  return [...params.matchAll(/;\s*([^\s;="]+)(?:\s*=\s*("(?:\\.|[^"\\])*"|[^\s;="]+))?/g)]
    .map(([, name = '', value]) => [name.toLowerCase(), value ?? null] as const)
    .sort(byName);
}

const cseqMethod = (message: SipMessage): string => message.header(H.cseq)?.split(/\s+/)[1] ?? '';

const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number => (a < b ? -1 : 1);

function message(): fc.Arbitrary<string> {
  const method = fc.oneof(
    fc.constantFrom('INVITE', 'ACK', 'BYE', 'CANCEL', 'OPTIONS', 'REGISTER', 'MESSAGE', 'SUBSCRIBE'),
    from('ABCXYZ-.!*_+', 1, 9),
  );
  const startLine = fc.oneof(
    uri.map((text) => (verb: string) => `${verb} ${text} SIP/2.0`),
    fc.tuple(fc.integer({ min: 100, max: 699 }), reason).map(
      ([status, phrase]) =>
        () =>
          `SIP/2.0 ${status} ${phrase}`,
    ),
  );
  const body = fc.oneof(fc.constant(''), fc.string({ unit: octet, maxLength: 60 }));
  return fc
    .tuple(method, startLine, body, fields(), fc.array(fc.nat(), { minLength: 16, maxLength: 16 }))
    .map(([verb, start, content, linesOf, keys]) => {
      // The order of fields is free (RFC 3261 §7.3.1).
      const lines = linesOf(verb, content).map((each, i) => [keys[i] ?? 0, each] as const);
      const ordered = lines.sort(([a], [b]) => a - b).map(([, each]) => each);
      return `${[start(verb), ...ordered].join('\r\n')}\r\n\r\n${content}`;
    });
}

function fields(): fc.Arbitrary<(method: string, body: string) => readonly string[]> {
  return fc
    .record({
      from: line(['From', 'f', 'FROM'], tagged),
      to: line(['To', 't', 'tO'], fc.oneof(tagged, address)),
      callId: line(
        ['Call-ID', 'i', 'CALL-ID'],
        fc.tuple(word, host).map((parts) => parts.join('@')),
      ),
      cseq: line(['CSeq', 'cseq'], fc.integer({ min: 0, max: 2_147_483_647 }).map(String)),
      length: line(['Content-Length', 'l'], fc.constant('')),
      contacts: fc.array(line(['Contact', 'm'], joined(address)), { maxLength: 2 }),
      hops: fc.array(line(['Max-Forwards', 'max-forwards'], fc.integer({ min: 0, max: 255 }).map(String)), {
        maxLength: 1,
      }),
      others: fc.array(line(['Subject', 's', 'X-Unheard-Of', 'User-Agent'], reason), { maxLength: 3 }),
      vias: fc.array(line(['Via', 'v', 'VIA'], joined(via)), { minLength: 1, maxLength: 4 }),
    })
    .map(({ from: sender, to, callId, cseq, length, contacts, hops, others, vias }) => (method, body) => [
      ...vias,
      ...contacts,
      ...hops,
      ...others,
      sender,
      to,
      callId,
      `${cseq} ${method}`,
      `${length}${body.length}`,
    ]);
}

/** The name in one of its spellings, the blanks that may stand around the colon, and the value. */
function line(names: readonly string[], value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom(...names), fc.constantFrom(': ', ':', ' : ', ':\t', ':   '), value)
    .map((parts) => parts.join(''));
}

function joined(each: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(each, { minLength: 1, maxLength: 3 }), fc.constantFrom(',', ', ', ' , '))
    .map(([values, comma]) => values.join(comma));
}

/** Parameters with unlike names: of two alike the package keeps the last, and we the first. */
function params(names: readonly string[]): fc.Arbitrary<string> {
  const form = fc.tuple(
    fc.constantFrom(';', '; ', ' ;'),
    fc.constantFrom(...names),
    fc.oneof(
      fc.constantFrom('', '="a;b,\\"c"', '=""'),
      word.map((value) => `=${value}`),
      word.map((value) => ` = ${value}`),
    ),
  );
  return fc
    .uniqueArray(form, { maxLength: 4, selector: ([, name]) => name })
    .map((all) => all.map((parts) => parts.join('')).join(''));
}

function from(characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...characters), minLength, maxLength });
}

const octet = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));

const reason = fc.array(from('abcdeXYZ019', 1, 8), { minLength: 1, maxLength: 4 }).map((words) => words.join(' '));

/** A token of most of the characters that RFC 3261 §25.1 allows. */
const word = from("abcdefXYZ0123456789-.!*_+'~%", 1, 12);

const host = fc.oneof(
  fc.tuple(from('abcXYZ', 1, 6), from('abcdef', 2, 4)).map((labels) => labels.join('.')),
  fc.constantFrom('192.0.2.1', '127.0.0.1', 'a-b.example.com'),
);

const port = fc.oneof(
  fc.constant(''),
  fc.integer({ min: 1, max: 65_535 }).map((number) => `:${number}`),
);

const bareUri = fc
  .tuple(fc.constantFrom('sip:', 'sips:'), word, fc.constant('@'), host, port)
  .map((parts) => parts.join(''));

const uri = fc
  .tuple(bareUri, fc.constantFrom('', ';lr', ';transport=tcp', ';user=phone;x=%20'))
  .map((parts) => parts.join(''));

const quoted = fc
  .array(fc.constantFrom(...'abc XYZ.,;<>@=:\u00e4', '\\"', '\\\\'), { maxLength: 9 })
  .map((characters) => `"${characters.join('')}" `);

/** A name-addr: with a display name, quoted or not, or without. */
const address = fc
  .tuple(
    fc.oneof(
      fc.constantFrom('', 'Alice of Atlanta '),
      word.map((name) => `${name} `),
      quoted,
    ),
    uri,
    params(['q', 'expires', 'x', 'Methods', 'flag']),
  )
  .map(([display, target, others]) => `${display}<${target}>${others}`);

const tagged = fc
  .tuple(fc.oneof(address, bareUri), fc.constantFrom(';tag=', ';TAG=', '; tag = '), word)
  .map((parts) => parts.join(''));

const via = fc
  .tuple(
    fc.constantFrom('UDP', 'TCP', 'TLS', 'WS', 'udp'),
    host,
    port,
    word,
    params(['rport', 'received', 'x', 'Y-1', 'maddr']),
  )
  .map(([transport, name, at, branch, others]) => `SIP/2.0/${transport} ${name}${at};branch=z9hG4bK${branch}${others}`);
