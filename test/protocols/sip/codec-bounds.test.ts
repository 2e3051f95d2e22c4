/** Design §14: whatever the octets, decode never throws and takes no more than 5 ms for 64 kB; neither does what follows it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import { limits } from '../../../protocols/sip/codec/scanner.ts';
import { parseUri, uriParam } from '../../../protocols/sip/codec/uri.ts';
import { param, parseNameAddr, parseVia, splitList, unfold } from '../../../protocols/sip/codec/values.ts';
import { bestOf } from '../../contract/protocol-adapter.contract.ts';
import { request } from './world.ts';

/** Twice the design's bound, for the machine that runs the tests is busy; the shortest of five runs counts. */
const boundMs = 10;

const octets = (text: string): Buffer => Buffer.from(text, 'latin1');

const fill = (unit: string, length: number): string => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);

/** What a hostile sender would repeat: separators, openings that never close, folds, blanks. */
const units = [
  ':',
  ';',
  ',',
  '"',
  '<',
  '>',
  '\\',
  '\\"',
  '%',
  ' ',
  '\t',
  '\r',
  '\n',
  '\r\n',
  '\r\n ',
  ' \r\n ',
  '=',
  '?',
  '@',
  '&',
  '[',
  ']',
  '(',
  '<<',
  '<>',
  '<sip:a>,',
  '"a",',
  '";"',
  ';a=b',
  ';a',
  ';a="',
  ' ;',
  '; ',
  ',,',
  'a: b\r\n',
  'v:\r\n',
  'Via: SIP/2.0/UDP a\r\n',
  ';lr',
  'x',
  '\0',
  '\xff',
  '\xa0',
  'sip:',
  'To:a\r\n',
  '. ',
  '%41',
  ';tag',
  ';rport',
  ';received=',
  '  "',
  'c\n',
  'l:\n',
] as const;

const places: readonly (readonly [string, (filling: string) => string])[] = [
  ['a whole datagram', (filling) => filling],
  ['a Request-URI', (filling) => request('INVITE', { uri: filling })],
  ['a user part', (filling) => request('INVITE', { uri: `sip:${filling}@h` })],
  ['URI parameters', (filling) => request('INVITE', { uri: `sip:a@h;${filling}` })],
  ['From', (filling) => request('INVITE', { from: filling })],
  ['a display name', (filling) => request('INVITE', { from: `${filling} <sip:a@h>;tag=1` })],
  ['header parameters', (filling) => request('INVITE', { to: `<sip:a@h>;${filling}` })],
  ['folded parameters', (filling) => request('INVITE', { to: `<sip:a@h>;a\r\n b${filling}` })],
  ['blanks before a fold', (filling) => request('INVITE', { to: `<sip:a@h>;a${filling}x\r\n b` })],
  ['a Via', (filling) => request('INVITE', { via: `h;${filling}` })],
  ['a folded Via', (filling) => request('INVITE', { via: `h;a\r\n ${filling}` })],
  ['an unknown field', (filling) => request('INVITE', { fields: `X-Unknown: ${filling}\r\n` })],
  ['a field name', (filling) => request('INVITE', { fields: `${filling}\r\n` })],
  ['Route', (filling) => request('INVITE', { fields: `Route: ${filling}\r\n` })],
  ['Contact', (filling) => request('INVITE', { fields: `Contact: <sip:a@h>,${filling}\r\n` })],
  ['CSeq', (filling) => request('INVITE').replace('CSeq: 1 ', () => `CSeq: ${filling}`)],
  ['Content-Length', (filling) => request('INVITE').replace('Content-Length: 0', () => `Content-Length: ${filling}0`)],
  ['Call-ID', (filling) => request('INVITE', { callId: filling })],
  ['a header section without end', (filling) => request('INVITE').replace('\r\n\r\n', () => `\r\nX: ${filling}`)],
  ['the body', (filling) => request('INVITE', { body: filling })],
];

describe('64 kB of anything', () => {
  it.each(places)('in %s are read or refused in time', (_place, put) => {
    const slow: string[] = [];
    for (const unit of units) {
      // Just under the limit for header fields, where the most work may be asked for, and a whole datagram.
      for (const length of [limits.headerBytes - 600, limits.messageBytes - 600]) {
        const bytes = octets(put(fill(unit, length)));
        const took = bestOf(5, () => decode(bytes));
        if (took > boundMs) slow.push(`${JSON.stringify(unit)} × ${length}: ${took.toFixed(1)} ms`);
      }
    }
    expect(slow).toEqual([]);
  });

  it('in every value that a proxy looks into are read in time', () => {
    const slow: string[] = [];
    for (const unit of units) {
      for (const lead of [
        '',
        'sip:a@h;',
        '<sip:a@h>;',
        '<sip:a@h',
        'SIP/2.0/UDP h;',
        '"',
        ';x=',
        'tel:1;',
        'a\n ',
      ] as const) {
        const text = lead + fill(unit, limits.headerBytes);
        const took = bestOf(3, () => {
          splitList(text);
          parseVia(text);
          parseNameAddr(text);
          unfold(text);
          unfold(`${text}x\r\n y`);
          param(text, 'tag', 1);
          const uri = parseUri(text);
          if (uri !== undefined) uriParam(uri, 'lr');
        });
        if (took > boundMs) slow.push(`${JSON.stringify(lead)} ${JSON.stringify(unit)}: ${took.toFixed(1)} ms`);
      }
    }
    expect(slow).toEqual([]);
  });
});

describe('limits', () => {
  it('refuses a message above 65,535 octets with 513, and reads one of exactly that', () => {
    const empty = request('INVITE', { body: '' }).length + 4;
    const largest = request('INVITE', { body: 'x'.repeat(65_535 - empty) });
    expect(largest.length).toBe(65_535);
    expect(decode(octets(largest)).ok).toBe(true);
    const beyond = decode(octets(`${largest}x`));
    expect(beyond).toMatchObject({ ok: false, error: { code: 513 } });
  });

  it('refuses header fields above 16 kB', () => {
    const wide = (length: number): Buffer => octets(request('INVITE', { fields: `X: ${'y'.repeat(length)}\r\n` }));
    expect(decode(wide(15_000)).ok).toBe(true);
    expect(decode(wide(17_000))).toMatchObject({ ok: false, error: { code: 400, reason: 'headers too large' } });
  });

  it('refuses more than 256 header fields', () => {
    const many = (count: number): Buffer => octets(request('INVITE', { fields: 'X: y\r\n'.repeat(count) }));
    // Six of them are the request's own, and Content-Length.
    expect(decode(many(249)).ok).toBe(true);
    expect(decode(many(250))).toMatchObject({ ok: false, error: { code: 400 } });
  });

  it('refuses more than 70 Via fields', () => {
    const deep = (count: number): Buffer =>
      octets(request('INVITE', { fields: 'Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n'.repeat(count) }));
    expect(decode(deep(69)).ok).toBe(true);
    expect(decode(deep(70))).toMatchObject({ ok: false, error: { code: 400, reason: 'too many Via fields' } });
  });

  it('counts Vias that are joined by commas as well', () => {
    const joined = (count: number): Buffer =>
      octets(
        request('INVITE', { fields: `Via: ${Array(count).fill('SIP/2.0/UDP h;branch=z9hG4bK1').join(', ')}\r\n` }),
      );
    expect(decode(joined(69)).ok).toBe(true);
    expect(decode(joined(70))).toMatchObject({ ok: false, error: { code: 400, reason: 'too many Via fields' } });
  });
});

describe('decode on any octets', () => {
  const hostile = fc
    .array(
      fc.oneof(fc.constantFrom(...units), fc.string({ maxLength: 8 }), fc.constantFrom('sip:', 'SIP/2.0', 'tag=')),
      {
        maxLength: 40,
      },
    )
    .map((parts) => parts.join(''));

  it('neither throws nor reads beyond, and every value can be asked for', () => {
    fc.assert(
      fc.property(fc.nat(places.length - 1), hostile, (place, filling) => {
        const text = places[place]?.[1](filling) ?? '';
        const decoded = decode(octets(text));
        if (!decoded.ok) {
          expect(decoded.error.offset).toBeLessThanOrEqual(text.length);
          return;
        }
        const message = decoded.value;
        expect(message.end).toBeLessThanOrEqual(text.length);
        for (const id of Object.values(H)) {
          message.header(id);
          message.list(id);
          message.addresses(id);
        }
        expect(typeof message.fromTag + typeof message.toTag + message.reason).toBe('stringstring');
      }),
      { numRuns: 1_000, seed: 2 },
    );
  });

  it('answers a malformed request with a message that decodes, if it answers, or with as much of one as came', () => {
    fc.assert(
      fc.property(fc.nat(places.length - 1), hostile, (place, filling) => {
        const decoded = decode(octets(places[place]?.[1](filling) ?? ''));
        if (decoded.ok || decoded.error.answer === undefined) return;
        const answer = Buffer.from(decoded.error.answer(undefined)).toString('latin1');
        expect(answer).toMatch(/^SIP\/2\.0 (400|501|505|513) [^\r\n]*\r\n/);
        // One empty line, at the end: nothing of what came can pose as the end of our answer.
        expect(answer.search(/\r?\n\r?\n/)).toBe(answer.length - 4);
      }),
      { numRuns: 1_000, seed: 3 },
    );
  });
});
