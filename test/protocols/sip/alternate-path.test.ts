import { describe, expect, it } from 'vitest';
import { createSipAdapter } from '../../../protocols/sip/adapter.ts';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import { parseUri, uriParam } from '../../../protocols/sip/codec/uri.ts';
import { parseNameAddr, parseVia, replaceParam } from '../../../protocols/sip/codec/values.ts';
import {
  nameAddrAlternates,
  type Placement,
  readAlternates,
  tagText,
  uriTagText,
  viaAlternates,
} from '../../../protocols/sip/path.ts';
import { formatAddress, type PathAttribute, parseAddress } from '../../../src/internal.ts';
import { request } from './world.ts';

const addresses = (text: string, transport?: 'udp' | 'tcp' | 'tls'): readonly string[] =>
  readAlternates(text, transport).map(formatAddress);

const path: PathAttribute = {
  primary: parseAddress('127.0.0.1:5060', { port: 5_060 }),
  alternates: [parseAddress('127.0.0.2:5060', { port: 5_060 })],
};

describe('AlternatePath as it is read', () => {
  it.each<[string, string, readonly string[]]>([
    ['a host token', 'b.example.com', ['udp:b.example.com:5060']],
    ['an IPv4 token', '192.0.2.2', ['udp:192.0.2.2:5060']],
    ['a quoted host', '"b.example.com"', ['udp:b.example.com:5060']],
    ['host and port', '"127.0.0.2:5070"', ['udp:127.0.0.2:5070']],
    ['a SIP URI', '"sip:127.0.0.2:5060;transport=udp"', ['udp:127.0.0.2:5060']],
    ['its transport', '"sip:127.0.0.2;transport=TCP"', ['tcp:127.0.0.2:5060']],
    ['sips as TLS', '"sips:b.example.com"', ['tls:b.example.com:5061']],
    ['an IPv6 reference', '"[2001:DB8::2]:5062"', ['udp:2001:db8::2:5062'.replace('2001:db8::2', '[2001:db8::2]')]],
    [
      'a list between blanks',
      '"127.0.0.2 sip:127.0.0.3:5070\t127.0.0.4"',
      ['udp:127.0.0.2:5060', 'udp:127.0.0.3:5070', 'udp:127.0.0.4:5060'],
    ],
    [
      'a list between commas',
      '"127.0.0.2, 127.0.0.3,127.0.0.4"',
      ['udp:127.0.0.2:5060', 'udp:127.0.0.3:5060', 'udp:127.0.0.4:5060'],
    ],
    ['no more than three', '"a b c d e"', ['udp:a:5060', 'udp:b:5060', 'udp:c:5060']],
    ['quoted pairs', '"127.0.0\\.2"', ['udp:127.0.0.2:5060']],
  ])('%s', (_form, text, expected) => {
    expect(addresses(text)).toEqual(expected);
  });

  it.each([
    '""',
    '"',
    '" "',
    '"a b:0"',
    '"a:65536"',
    '"sip:"',
    '"tel:+49"',
    '"a;transport=carrier-pigeon"',
    '"<sip:a>"',
    '"a b@"',
    '"[::1"',
    '"[1.2.3.4]"',
    '"a:b"',
  ])('%s is malformed: no address at all', (text) => {
    expect(addresses(text)).toEqual([]);
  });

  it('takes the transport of the Via it stands on where it says none', () => {
    const via = parseVia('SIP/2.0/TCP h;branch=z9hG4bK1;ALTERNATEPATH="127.0.0.2"');
    expect(via && viaAlternates(via)?.map(formatAddress)).toEqual(['tcp:127.0.0.2:5060']);
  });

  it('is a whole parameter name, in any case, outside of quotes', () => {
    const read = (text: string) => {
      const entry = parseNameAddr(text);
      return entry === undefined ? undefined : nameAddrAlternates(entry)?.map(formatAddress);
    };
    expect(read('<sip:a>;alternatepath=b')).toEqual(['udp:b:5060']);
    expect(read('<sip:a>; AlternatePath = "b"')).toEqual(['udp:b:5060']);
    expect(read('<sip:a>;XAlternatePath=b;AlternatePaths=b')).toBeUndefined();
    expect(read('<sip:a>;x=";AlternatePath=b"')).toBeUndefined();
    expect(read('<sip:a>;AlternatePath')).toEqual([]);
    expect(read('<sip:a;alternatepath=sip:b%3Btransport%3Dtcp>')).toEqual(['tcp:b:5060']);
    expect(read('<sip:a;AlternatePath=b%20c>')).toEqual(['udp:b:5060', 'udp:c:5060']);
  });

  it('the header parameter wins over the URI parameter, also where it is malformed', () => {
    const entry = (params: string) => parseNameAddr(`<sip:a;AlternatePath=fromuri;lr>${params}`);
    const first = entry(';AlternatePath="fromheader"');
    expect(first && nameAddrAlternates(first)?.map(formatAddress)).toEqual(['udp:fromheader:5060']);
    const broken = entry(';AlternatePath="<"');
    expect(broken && nameAddrAlternates(broken)).toEqual([]);
    const bare = entry('');
    expect(bare && nameAddrAlternates(bare)?.map(formatAddress)).toEqual(['udp:fromuri:5060']);
  });
});

describe('AlternatePath that was read before', () => {
  it('reads as the first time, for each transport by itself, whatever came in between', () => {
    const tags = Array.from({ length: 2_500 }, (_, n) => `"127.1.${n >> 8}.${n & 255}:5070"`);
    for (let round = 0; round < 2; round += 1) {
      for (const [n, tag] of tags.entries()) {
        const address = `127.1.${n >> 8}.${n & 255}:5070`;
        expect(readAlternates(tag, undefined).map(formatAddress)).toEqual([`udp:${address}`]);
        expect(readAlternates(tag, 'tcp').map(formatAddress)).toEqual([`tcp:${address}`]);
      }
      expect(readAlternates('"127.0.0.1 nonsense:x"', 'udp')).toEqual([]);
    }
  });

  it('does not take a text beyond octets for the one its octets spell', () => {
    expect(readAlternates('"127.0.0.1:5070"', 'udp')).toHaveLength(1);
    const beyond = String.fromCharCode(0x131);
    expect(readAlternates(`"${beyond}27.0.0.1:5070"`, 'udp')).toEqual([]);
    expect(readAlternates('"127.0.0.1:5070"', 'udp')).toHaveLength(1);
  });
});

describe('AlternatePath as it is written', () => {
  it('is quoted, a SIP URI each, blanks between', () => {
    expect(tagText(path)).toBe(';AlternatePath="sip:127.0.0.2:5060;transport=udp"');
    const two: PathAttribute = {
      ...path,
      alternates: [...path.alternates, parseAddress('tls:[::1]:5061', { port: 5_061 })],
    };
    expect(tagText(two)).toBe(';AlternatePath="sip:127.0.0.2:5060;transport=udp sip:[::1]:5061;transport=tls"');
    expect(tagText(two)).not.toContain(',');
  });

  it('is escaped inside a URI (RFC 3261 §19.1.1) and comes back', () => {
    expect(uriTagText(path)).toBe(';AlternatePath=sip:127.0.0.2:5060%3Btransport%3Dudp');
    const entry = parseNameAddr(`<sip:127.0.0.1${uriTagText(path)};lr>`);
    expect(entry && nameAddrAlternates(entry)).toEqual(path.alternates);
    const uri = parseUri(entry?.uri ?? '');
    expect(uri && uriParam(uri, 'lr')).toBe('');
  });

  it.each<[Placement, string]>([
    ['header', '<sip:127.0.0.1:5060;lr>;AlternatePath="sip:127.0.0.2:5060;transport=udp"'],
    ['uri', '<sip:127.0.0.1:5060;lr;AlternatePath=sip:127.0.0.2:5060%3Btransport%3Dudp>'],
    [
      'both',
      '<sip:127.0.0.1:5060;lr;AlternatePath=sip:127.0.0.2:5060%3Btransport%3Dudp>;AlternatePath="sip:127.0.0.2:5060;transport=udp"',
    ],
  ])('placement %s is all that an entry of ours has, whatever tag it had before', (placement, expected) => {
    for (const before of [
      '<sip:127.0.0.1:5060;lr>',
      '<sip:127.0.0.1:5060;lr>;AlternatePath="old.example"',
      '<sip:127.0.0.1:5060;lr>;alternatepath',
      '<sip:127.0.0.1:5060;AlternatePath=old.example;lr>;ALTERNATEPATH=a;AlternatePath="b"',
    ])
      expect(inserted(`Record-Route: ${before}\r\n`, placement, H.recordRoute)).toEqual([expected]);
  });

  it('leaves entries of others and look-alikes in quotes alone', () => {
    expect(
      inserted(
        'Route: <sip:other.example;lr>;AlternatePath=x , <sip:127.0.0.1:5060;lr>;y=";AlternatePath=z"\r\n',
        'header',
        H.route,
      ),
    ).toEqual([
      '<sip:other.example;lr>;AlternatePath=x',
      '<sip:127.0.0.1:5060;lr>;y=";AlternatePath=z";AlternatePath="sip:127.0.0.2:5060;transport=udp"',
    ]);
  });

  function inserted(fields: string, placement: Placement, id: typeof H.route | typeof H.recordRoute) {
    const decoded = decode(Buffer.from(request('INVITE', { fields }), 'latin1'));
    if (!decoded.ok) throw new Error(decoded.error.reason);
    const tagged = decode(createSipAdapter(placement).encode(decoded.value, path));
    return tagged.ok ? tagged.value.list(id) : [];
  }
});

describe('replaceParam', () => {
  it.each([
    [';a;b=c;d', ';a;X;d'],
    [';a; B = c ;d', ';a;X;d'],
    [';b;a;b=2', ';X;a'],
    [';x=";b=1"', ';x=";b=1"'],
    [';bb=1;ab', ';bb=1;ab'],
    ['', ''],
  ])('%s becomes %s', (before, after) => {
    expect(replaceParam(before, 'b', ';X')).toBe(after);
  });
});
