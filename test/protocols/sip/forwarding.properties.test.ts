/** RFC 3261 §16.6: a forwarded request is the received one, octet for octet and in order, but for what a proxy has to change. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import { losses } from './lossless.ts';
import { answerTo, bodyOf, fieldsOf, headerLines, SipWorld, startLine } from './world.ts';

const seed = 20_261_122;

/** Any octet; a fold may stand where the grammar has white space. */
const octet = (from: number, to: number) => fc.integer({ min: from, max: to }).map((code) => String.fromCharCode(code));
const blank = fc.constantFrom(' ', '  ', '\t', '\r\n ', ' \r\n\t', '');
const textOctets = fc
  .array(fc.oneof(octet(33, 126), octet(128, 255), fc.constantFrom(' ', ',', ';', '"', '\r\n ')), { maxLength: 30 })
  .map((all) => all.join(''));
const token = fc
  .array(fc.constantFrom(..."abcXYZ019-.!%*_+`'~"), { minLength: 1, maxLength: 12 })
  .map((all) => all.join(''));
const quoted = fc
  .array(
    fc.oneof(
      octet(32, 126).filter((c) => c !== '"' && c !== '\\'),
      octet(128, 255),
      fc.constantFrom('\\"', '\\\\', ',', ';', '>', '<'),
    ),
    { maxLength: 16 },
  )
  .map((all) => `"${all.join('')}"`);
const parameter = fc
  .tuple(blank, token, fc.option(fc.oneof(token, quoted), { nil: undefined }))
  .map(([white, name, value]) => `${white};${white}x${name}${value === undefined ? '' : `=${value}`}`);
const parameters = fc.array(parameter, { maxLength: 3 }).map((all) => all.join(''));
const nameAddr = fc
  .tuple(
    fc.oneof(
      fc.constant(''),
      quoted,
      token.map((word) => `${word} `),
    ),
    token,
    parameters,
  )
  .map(([display, user, params]) => `${display}<sip:${user}@h.example;lr;x=%41>${params}`);
const via = fc
  .tuple(
    fc.constantFrom('UDP', 'TCP', 'TLS', 'WS', 'WSS', 'SCTP', 'X-new'),
    fc.constantFrom('h.example', '192.0.2.1:5070', '[2001:db8::1]', 'H'),
    token,
    parameters,
  )
  .map(([transport, host, branch, params]) => `SIP/2.0/${transport} ${host};branch=z9hG4bK${branch}${params}`);

/** Names of one header field in every spelling a sender may choose. */
const spelt = (...names: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...names), fc.constantFrom(0, 1, 2), fc.constantFrom('', ' ', '\t'), blank)
    .map(
      ([name, how, before, behind]) =>
        `${how === 0 ? name : how === 1 ? name.toLowerCase() : name.toUpperCase()}${before}:${behind}`,
    );
const field = (name: fc.Arbitrary<string>, value: fc.Arbitrary<string>) =>
  fc.tuple(name, value).map(([start, text]) => `${start}${text}\r\n`);
const list = (value: fc.Arbitrary<string>) =>
  fc.array(value, { minLength: 1, maxLength: 3 }).chain((values) => blank.map((white) => values.join(`,${white}`)));

const others = fc.array(
  fc.oneof(
    field(
      fc.tuple(token, fc.constantFrom('', ' ')).map(([name, white]) => `X-${name}${white}:`),
      textOctets,
    ),
    field(spelt('Contact', 'm'), list(nameAddr)),
    field(spelt('Record-Route'), list(nameAddr)),
    field(spelt('Supported', 'k', 'Require', 'Allow', 'Subject', 's', 'Date'), textOctets),
    field(spelt('Content-Type', 'c'), fc.constant('application/x; a="b,c"')),
    field(spelt('Via', 'v'), list(via)),
    field(spelt('Authorization'), textOctets),
  ),
  { maxLength: 6 },
);

interface Drawn {
  readonly text: string;
  readonly body: string;
}

/** A request in any legal dress, to a user agent at 127.0.0.20:5070. */
const dressed = fc
  .record({
    method: fc.constantFrom('INVITE', 'MESSAGE', 'OPTIONS', 'BYE', 'X-y!'),
    branch: token,
    topParams: parameters,
    joined: fc.array(via, { maxLength: 2 }),
    viaName: spelt('Via', 'v'),
    from: field(
      spelt('From', 'f'),
      nameAddr.map((value) => `${value};tag=f`),
    ),
    to: field(spelt('To', 't'), nameAddr),
    callId: field(spelt('Call-ID', 'i'), token),
    cseqWhite: fc.constantFrom(' ', '  ', '\r\n ', '\t'),
    hops: fc.option(fc.integer({ min: 1, max: 255 }), { nil: undefined }),
    above: others,
    below: others,
    body: fc
      .array(fc.oneof(octet(0, 255), fc.constantFrom('\r\n', '\r\n\r\n')), { maxLength: 60 })
      .map((all) => all.join('')),
    says: fc.boolean(),
    noise: fc.constantFrom('', '\r\n', 'INVITE '),
    lead: fc.constantFrom('', '\r\n', '\r\n\r\n'),
  })
  .map((d): Drawn => {
    const top = [`SIP/2.0/UDP 127.0.0.9:5062;branch=z9hG4bK${d.branch}${d.topParams}`, ...d.joined].join(', ');
    const head = `${d.lead}${d.method} sip:bob@127.0.0.20:5070 SIP/2.0\r\n${d.above.filter((line) => !/^v(ia)?\s*:/i.test(line)).join('')}${d.viaName}${top}\r\n${d.hops === undefined ? '' : `Max-Forwards: ${d.hops}\r\n`}${d.from}${d.to}${d.callId}CSeq:${d.cseqWhite}7${d.cseqWhite}${d.method}\r\n${d.below.join('')}`;
    // Without Content-Length the body is all there is; what is behind it otherwise is noise.
    return d.says
      ? { text: `${head}Content-Length: ${d.body.length}\r\n\r\n${d.body}${d.noise}`, body: d.body }
      : { text: `${head}\r\n${d.body}`, body: d.body };
  });

describe('lossless forwarding', () => {
  it('keeps every octet of a request that no duty changes', async () => {
    const world = await SipWorld.up();
    // Time stands still: no transaction repeats anything.
    world.network.conditions = { ...world.network.conditions, latencyMs: 0 };
    const caller = await world.peer('127.0.0.9:5062');
    const callee = await world.peer('127.0.0.20:5070');
    let drawn = 0;
    fc.assert(
      fc.property(dressed, ({ text, body }) => {
        drawn += 1;
        callee.take();
        caller.take();
        // Each is another transaction.
        const unlike = text.replace('branch=z9hG4bK', `branch=z9hG4bK${drawn}.`);
        caller.send(unlike);
        world.clock.advance(0);
        expect(caller.take()).toEqual([]);
        expect(callee.heard.length).toBe(1);
        expect(losses(unlike, callee.last)).toEqual([]);
        expect(bodyOf(callee.last)).toBe(body);
      }),
      { numRuns: 400, seed },
    );
    await world.down();
  });

  it('keeps every octet of a response but the top Via', async () => {
    const world = await SipWorld.up();
    // Time stands still: no transaction repeats anything.
    world.network.conditions = { ...world.network.conditions, latencyMs: 0 };
    const caller = await world.peer('127.0.0.9:5062');
    const callee = await world.peer('127.0.0.20:5070');
    let drawn = 0;
    fc.assert(
      fc.property(dressed, others, textOctets, (request, extra, phrase) => {
        drawn += 1;
        callee.take();
        caller.take();
        caller.send(request.text.replace('branch=z9hG4bK', `branch=z9hG4bK${drawn}.`));
        world.clock.advance(0);
        const reason = phrase.replace(/[\r\n]/g, '');
        const fields = extra.filter((line) => !/^v(ia)?\s*:/i.test(line)).join('');
        const response = answerTo(callee.last, 200, { reason, fields, body: request.body });
        callee.answer(response);
        world.clock.advance(0);
        const back = caller.last;
        expect(startLine(back)).toBe(startLine(response));
        const [top, ...rest] = headerLines(response)
          .map((line, index) => [line, index] as const)
          .sort(
            (a, b) =>
              Number(b[0].startsWith('Via: SIP/2.0/UDP 127.0.0.1:5060')) -
              Number(a[0].startsWith('Via: SIP/2.0/UDP 127.0.0.1:5060')),
          );
        expect(top?.[0]).toContain('127.0.0.1:5060');
        expect(headerLines(back)).toEqual(rest.sort((a, b) => a[1] - b[1]).map(([line]) => line));
        expect(bodyOf(back)).toBe(request.body);
      }),
      { numRuns: 200, seed },
    );
    await world.down();
  });

  it('reads Via lists, joined or not, in the same order as they came', () => {
    fc.assert(
      fc.property(dressed, ({ text }) => {
        const decoded = decode(Buffer.from(text, 'latin1'));
        expect(decoded.ok).toBe(true);
        if (!decoded.ok) return;
        const hosts = decoded.value.list(H.via).map((value) => /^SIP\/2\.0\/\S+ ([^;\s]+)/.exec(value)?.[1]);
        const written = [...fieldsOf(text.trimStart(), 'v'), ...fieldsOf(text.trimStart(), 'via')];
        expect(hosts.length).toBe(written.join(',').split('SIP/2.0/').length - 1);
        expect(hosts[0]).toBe('127.0.0.9:5062');
      }),
      { numRuns: 200, seed },
    );
  });
});
