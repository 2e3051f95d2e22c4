import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nameAddrAt, valueEndAt, viaAt } from '../../../protocols/sip/codec/common-forms.ts';
import { H, headerId } from '../../../protocols/sip/codec/header-names.ts';
import { parseNameAddr, parseVia, trim, unfold, valueEnd } from '../../../protocols/sip/codec/values.ts';

/** A value as it stands in a message: other fields around it, its ends found by the scanner. */
function placed(value: string): { bytes: Buffer; text: string; start: number; end: number } {
  const before = 'SIP/2.0 200 OK\r\nX: ';
  const text = `${before}${value}\r\nFrom: <sip:a@b>;tag=1\r\n\r\n`;
  return { bytes: Buffer.from(text, 'latin1'), text, start: before.length, end: before.length + value.length };
}

const fragments = (...texts: string[]): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...texts) }, { weight: 1, arbitrary: fc.string() }), {
      maxLength: 12,
    })
    .map((parts) => trimmed(parts.join('')));

/** As the scanner leaves it; what would end the field is not part of a value. */
const trimmed = (text: string): string => {
  const latin1 = text.replace(/[^\0-\xff]/g, '').replace(/\n(?![ \t])/g, '');
  return trim(latin1, 0, latin1.length);
};

const viaParts = fragments(
  ...['SIP/2.0/UDP ', 'SIP/2.0/TLS ', 'SIP/2.0/SCTP ', 'h.example', '127.0.0.1', '[::1]', 'H', ':5060', ':', ':70000'],
  ...[';branch=', 'z9hG4bK1', ';Branch=x', ';rport', ';rport=5062', ';RPORT', ';received=192.0.2.1', ';received=[::1]'],
  ...[
    ';maddr=239.0.0.1',
    ';x="a,b"',
    ';x="a\\"b"',
    ';x="\\"',
    ';branch=no"',
    ';AlternatePath="sip:h:5060"',
    '=',
    ';',
    ',',
    '"',
    ' ',
    '\r\n ',
    '\t',
  ],
);

const nameAddrParts = fragments(
  ...[
    '<sip:a@b>',
    '<sip:a@b;lr>',
    '<',
    '>',
    'sip:a@b',
    '"Alice"',
    '"A \\" B"',
    '"\\"',
    'Alice',
    '"',
    ' ',
    ';tag=1',
    ';tag',
    ';',
  ],
  ...[';x="y"', ';x="y', '\r\n ', '\t', ','],
);

describe('the common forms', () => {
  it.each([
    'SIP/2.0/UDP a.example;branch=z9hG4bK1',
    'SIP/2.0/TCP 127.0.0.1:5060;branch=z9hG4bK1;rport',
    'SIP/2.0/TLS 127.0.0.1:5061;rport=5062;received=192.0.2.1;branch=z9hG4bK1;alias',
    'SIP/2.0/UDP 127.0.0.16:5060;branch=z9hG4bK1.2;AlternatePath="sip:127.0.0.17:5060;transport=udp"',
  ])('Via %s', (value) => {
    const { bytes, text, start, end } = placed(value);
    expect(viaAt(bytes, text, start, end)).toEqual(parseVia(value));
    expect(parseVia(value)).toBeDefined();
  });

  it.each([
    '<sip:a@b>',
    '<sip:a@b:5060;transport=tcp>;tag=1',
    '"Alice, of \'A\'" <sip:a@b>;tag=1',
    '""<tel:+1>;x=y;tag=1',
  ])('name-addr %s', (value) => {
    const { bytes, text, start, end } = placed(value);
    expect(nameAddrAt(bytes, text, start, end)).toEqual(parseNameAddr(value));
    expect(parseNameAddr(value)).toBeDefined();
  });

  it('of a Via say what the whole grammar says, or nothing', () => {
    fc.assert(
      fc.property(viaParts, (value) => {
        const { bytes, text, start, end } = placed(value);
        const quick = viaAt(bytes, text, start, end);
        if (quick === undefined) return;
        const stop = valueEnd(text, start, end);
        expect(start + quick.text.length).toBe(stop);
        expect(quick).toEqual(parseVia(unfold(trim(text, start, stop))));
      }),
      { numRuns: 20_000 },
    );
  });

  it('end where the list value ends', () => {
    fc.assert(
      fc.property(fc.oneof(viaParts, nameAddrParts), (value) => {
        const { bytes, text, start, end } = placed(value);
        expect(valueEndAt(bytes, start, end)).toBe(valueEnd(text, start, end));
      }),
      { numRuns: 20_000 },
    );
  });

  it('of a name-addr say what the whole grammar says, or nothing', () => {
    fc.assert(
      fc.property(nameAddrParts, (value) => {
        const { bytes, text, start, end } = placed(value);
        const quick = nameAddrAt(bytes, text, start, end);
        if (quick !== undefined) expect(quick).toEqual(parseNameAddr(unfold(value)));
      }),
      { numRuns: 20_000 },
    );
  });

  it('end with their field, whatever follows', () => {
    fc.assert(
      fc.property(viaParts, fc.nat(40), (value, cut) => {
        // The field ends early: what stands behind it would go on like a value.
        const { bytes, text, start } = placed(value);
        const end = start + Math.min(cut, value.length);
        const broken = Buffer.from(bytes);
        broken.write('\r\n', end, 'latin1');
        const part = text.slice(0, end) + broken.toString('latin1', end);
        const quick = viaAt(broken, part, start, end);
        if (quick !== undefined) expect(quick).toEqual(parseVia(text.slice(start, valueEnd(text, start, end))));
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('header names', () => {
  const id = (name: string): number => headerId(Buffer.from(`${name}:`, 'latin1'), 0, name.length);

  it.each([
    ['Via', H.via],
    ['vIA', H.via],
    ['V', H.via],
    ['CALL-ID', H.callId],
    ['i', H.callId],
    ['proxy-authenticate', H.proxyAuthenticate],
    ['Proxy-Authorization', H.proxyAuthorization],
    ['k', H.supported],
    ['User-Agent', H.userAgent],
  ])('%s', (name, expected) => {
    expect(id(name)).toBe(expected);
  });

  it.each(['', 'Vib', 'Vi', 'Viaa', 'Call\rID', 'Call\x2fID', 'z', '\x16', '@', 'From ', 'Tö', 'P'.repeat(300)])(
    '%j is another',
    (name) => {
      expect(id(name)).toBe(H.other);
    },
  );
});
