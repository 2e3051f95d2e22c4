/** RFC 3261 §18.3, RFC 5626 §3.5.1: messages are cut out of a connection by Content-Length, whatever the segments. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createFraming } from '../../../protocols/sip/codec/framing.ts';
import { bestOf, pieces } from '../../contract/protocol-adapter.contract.ts';
import { request } from './world.ts';

interface Cut {
  readonly messages: readonly string[];
  readonly replies: string;
  readonly error: string | undefined;
}

function cut(chunks: readonly Buffer[]): Cut {
  const framing = createFraming();
  const messages: string[] = [];
  let replies = '';
  for (const chunk of chunks) {
    const { messages: found, reply, error } = framing.push(chunk);
    messages.push(...found.map((bytes) => bytes.toString('latin1')));
    replies += reply?.toString('latin1') ?? '';
    if (error !== undefined) return { messages, replies, error };
  }
  return { messages, replies, error: undefined };
}

const octets = (text: string): Buffer => Buffer.from(text, 'latin1');

const message = fc
  .tuple(
    fc.constantFrom('Content-Length: ', 'l:', 'CONTENT-LENGTH  :\t', 'Content-Length:\r\n ', 'L : 00'),
    fc.array(fc.constantFrom('\r\n', '\r\n\r\n', 'INVITE ', 'Content-Length: 3\r\n', '\0', '\xff', 'x'), {
      maxLength: 12,
    }),
    fc.constantFrom('', ' ', '\t '),
  )
  .map(([name, parts, blank]) => {
    const body = parts.join('');
    return request('MESSAGE', { body }).replace(/Content-Length: \d+/, () => `${name}${body.length}${blank}`);
  });

describe('any split of a stream gives the same messages', () => {
  it('with bodies of anything and line ends between them', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(message, fc.constantFrom('', '\r\n', '\r\n\r\n', '\r\n\r\n\r\n', '\n')), { maxLength: 6 }),
        fc.constantFrom('', '\r\n\r\n'),
        fc.array(fc.nat(5_000), { maxLength: 30 }),
        (sent, lead, cuts) => {
          const stream = octets(lead + sent.map(([text, filler]) => text + filler).join(''));
          const expected = sent.map(([text]) => text);
          expect(cut([stream])).toMatchObject({ messages: expected, error: undefined });
          expect(cut(pieces(stream, cuts))).toMatchObject({ messages: expected, error: undefined });
        },
      ),
      { numRuns: 300, seed: 5 },
    );
  });
});

describe('keep-alives (RFC 5626 §3.5.1)', () => {
  it('answers a double CRLF with a single one, in one segment or four, before, between and behind messages', () => {
    const text = request('OPTIONS');
    for (const stream of [`\r\n\r\n${text}`, `${text}\r\n\r\n`, `${text}\r\n\r\n${text}`, '\r\n\r\n']) {
      expect(cut([octets(stream)]).replies).toBe('\r\n');
      expect(cut(Array.from(octets(stream), (octet) => Buffer.from([octet]))).replies).toBe('\r\n');
    }
  });

  it('answers no single CRLF: that is a pong, or noise before a message (RFC 3261 §7.5)', () => {
    const text = request('OPTIONS');
    expect(cut([octets(`\r\n${text}\r\n`)])).toEqual({ messages: [text], replies: '', error: undefined });
  });

  it('holds nothing of an endless stream of line ends', () => {
    const framing = createFraming();
    for (let times = 0; times < 1_000; times += 1)
      expect(framing.push(octets('\r\n'.repeat(100))).error).toBeUndefined();
    const text = request('OPTIONS');
    expect(framing.push(octets(text)).messages.map(String)).toEqual([text]);
  });
});

describe('a stream that cannot be cut is given up', () => {
  it.each([
    ['no Content-Length', ''],
    ['one that is no number', 'Content-Length: x\r\n'],
    ['a negative one', 'Content-Length: -1\r\n'],
    ['two that differ', 'Content-Length: 1\r\nl: 2\r\n'],
    ['one beyond all bounds', 'Content-Length: 99999999999999999999\r\n'],
    ['one above the limit of a message', 'Content-Length: 65535\r\n'],
    ['one split by a blank', 'Content-Length: 1 0\r\n'],
  ])('%s', (_what, line) => {
    const text = request('OPTIONS').replace('Content-Length: 0\r\n', line);
    expect(cut([octets(text)]).error).toBeTypeOf('string');
  });

  it.each([
    ['no Content-Length', 'Content-Length: 0\r\n', '', '400'],
    ['two that differ', 'Content-Length: 0\r\n', 'Content-Length: 1\r\nContent-Length: 2\r\n', '400'],
    ['a body beyond all limits', 'Content-Length: 0\r\n', 'Content-Length: 99999999\r\n', '513'],
    ['fields beyond all limits', 'Content-Length: 0\r\n\r\n', `X: ${'y'.repeat(20_000)}`, '513'],
  ])('the sender of a request is told why (RFC 3261 §18.3): %s', (_claim, before, after, status) => {
    const { replies, error } = cut([octets(request('INVITE').replace(before, after))]);
    expect(error).toBeDefined();
    expect(replies).toMatch(new RegExp(`^SIP/2\\.0 ${status} `));
    expect(replies).toMatch(
      /\r\nVia: [^\r]*branch=z9hG4bKcaller1\r\n(?:.*\r\n)*CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n$/,
    );
  });

  it('nothing is said to a response, an ACK, or what is no SIP', () => {
    const withoutLength = (text: string): string => text.replace('Content-Length: 0\r\n', '');
    const texts = [
      withoutLength(request('ACK')),
      withoutLength(request('INVITE')).replace(/^INVITE \S+ SIP\/2.0/, 'SIP/2.0 200 OK'),
      'GET / HTTP/1.1\r\nHost: us\r\n\r\n',
    ];
    expect(texts.map((text) => cut([octets(text)]).replies)).toEqual(['', '', '']);
  });

  it('two that agree are one', () => {
    const text = request('OPTIONS').replace('Content-Length: 0', 'Content-Length: 0\r\nl: 0');
    expect(cut([octets(text)])).toMatchObject({ messages: [text], error: undefined });
  });

  it('header fields without end, as soon as they are too long', () => {
    const framing = createFraming();
    let error: string | undefined;
    let sent = 0;
    while (error === undefined && sent < 100_000) {
      sent += 1_000;
      ({ error } = framing.push(octets(`X: ${'y'.repeat(995)}\r\n`)));
    }
    expect(error).toBe('headers too large');
    expect(sent).toBeLessThan(20_000);
  });

  it('what came whole before it is still delivered', () => {
    const text = request('OPTIONS');
    const result = cut([octets(`${text}garbage\r\n\r\n`)]);
    expect(result.messages).toEqual([text]);
    expect(result.error).toBeTypeOf('string');
  });
});

describe('time', () => {
  it.each(['c\n', 'l:\n', 'c:', '\n', '\r', 'a\r\n', 'Content-Length\n', 'l: 0\r\n', ' \n'])(
    'of 16 kB of %j is bounded',
    (unit) => {
      const stream = octets(`MESSAGE x SIP/2.0\r\n${unit.repeat(16_000 / unit.length)}:\r\n\r\n`);
      expect(bestOf(5, () => createFraming().push(stream))).toBeLessThan(10);
    },
  );
});
