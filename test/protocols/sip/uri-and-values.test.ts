/** URIs and header values: what is read, and what is no such thing (RFC 3261 §19.1, §20, §25.1; RFC 3966). */
import { describe, expect, it } from 'vitest';
import { escapeParam, parseUri, unescapeText, uriParam } from '../../../protocols/sip/codec/uri.ts';
import { param, parseNameAddr, parseVia, splitList } from '../../../protocols/sip/codec/values.ts';

describe('RFC 3261 §19.1.1 URIs', () => {
  it.each([
    // The examples of §19.1.3 among them.
    ['sip:alice@atlanta.com', 'sip', 'alice', 'atlanta.com', 0, '', ''],
    ['sip:alice:secretword@atlanta.com;transport=tcp', 'sip', 'alice', 'atlanta.com', 0, ';transport=tcp', ''],
    ['sips:alice@atlanta.com?subject=p&priority=u', 'sips', 'alice', 'atlanta.com', 0, '', 'subject=p&priority=u'],
    ['sip:+1-212-555-1212:1234@gateway.com;user=phone', 'sip', '+1-212-555-1212', 'gateway.com', 0, ';user=phone', ''],
    ['sip:alice@192.0.2.4', 'sip', 'alice', '192.0.2.4', 0, '', ''],
    ['sip:atlanta.com;method=REGISTER?to=a%40b', 'sip', undefined, 'atlanta.com', 0, ';method=REGISTER', 'to=a%40b'],
    ['sip:alice;day=tuesday@atlanta.com', 'sip', 'alice;day=tuesday', 'atlanta.com', 0, '', ''],
    ['SIP:Alice@ATLANTA.com:5070', 'sip', 'Alice', 'atlanta.com', 5070, '', ''],
    ['SiPs:a@b', 'sips', 'a', 'b', 0, '', ''],
    ['sip:a%40b@c', 'sip', 'a%40b', 'c', 0, '', ''],
    ['sip:a?b@c', 'sip', 'a?b', 'c', 0, '', ''],
    ['sip:[2001:DB8::1]:5061;lr', 'sip', undefined, '2001:db8::1', 5061, ';lr', ''],
    ['sip:[2001:db8:::1]', 'sip', undefined, '2001:db8::1', 0, '', ''],
    ['sip:h:65535', 'sip', undefined, 'h', 65_535, '', ''],
    ['sip:h?', 'sip', undefined, 'h', 0, '', ''],
    ['tel:+1-201-555-0123;phone-context=a', 'tel', '+1-201-555-0123', '', 0, ';phone-context=a', ''],
    ['TEL:911', 'tel', '911', '', 0, '', ''],
    ['urn:service:sos', 'urn', 'service:sos', '', 0, '', ''],
  ])('%s', (text, scheme, user, host, port, params, headers) => {
    expect(parseUri(text)).toEqual({ scheme, user, host, port, params, headers, text });
  });

  it.each([
    '',
    ':',
    'sip',
    ':a@b',
    'sip:',
    'sip:@b',
    'sip::secret@b',
    'sip:a@',
    'sip:a b@c',
    'sip:"a"@c',
    'sip:<a>@c',
    'sip:a@b:',
    'sip:a@b:0',
    'sip:a@b:65536',
    'sip:a@b:5x',
    'sip:a@b c',
    'sip:a@b;x= y',
    'sip:a@b?x= y',
    'sip:a@b/c',
    'sip:[::1',
    'sip:[1.2.3.4]',
    'sip:[::1]x',
    'sip:a@@b',
    '1x:a',
    'tel:1 2',
    '<sip:a@b>',
  ])('%j is none', (text) => {
    expect(parseUri(text)).toBeUndefined();
  });

  it.each([
    ['sip:h;transport=TCP;lr', 'transport', 'TCP'],
    ['sip:h;Transport=tcp', 'transport', 'tcp'],
    ['sip:h;lr;a=b', 'lr', ''],
    ['sip:h;lr;a=b', 'a', 'b'],
    ['sip:h;lr=', 'lr', ''],
    ['sip:h;a=b=c', 'a', 'b=c'],
    ['sip:h;a=1;a=2', 'a', '1'],
    ['sip:h;a=%3B', 'a', '%3B'],
    ['sip:h;xlr', 'lr', undefined],
    ['sip:h;lrx', 'lr', undefined],
    ['sip:h;x=lr', 'lr', undefined],
    ['sip:h', 'lr', undefined],
    ['sip:a;lr@h', 'lr', undefined],
    ['sip:h?lr=1', 'lr', undefined],
    ['tel:1;lr', 'lr', ''],
  ])('%s has %s = %j', (text, name, value) => {
    const uri = parseUri(text);
    expect(uri && uriParam(uri, name)).toBe(value);
    expect(uri).toBeDefined();
  });

  it.each([
    ['a', 'a'],
    ['a%20b', 'a b'],
    ['%41%4a%4A', 'AJJ'],
    ['%c3%a4', '\u00c3\u00a4'],
    ['%2541', '%41'],
    ['100%', '100%'],
    ['%4', '%4'],
    ['%zz%41', '%zzA'],
    ['%00', '\0'],
  ])('§19.1.2: %j without its escapes is %j', (text, value) => {
    expect(unescapeText(text)).toBe(value);
  });

  it('§19.1.2: escaping and taking it back gives every octet again', () => {
    const octets = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet)).toString('latin1');
    const escaped = escapeParam(octets);
    expect(unescapeText(escaped)).toBe(octets);
    expect(escaped).not.toMatch(/[\s;=?"<>@,]/);
  });
});

describe('RFC 3261 §20.42 Via', () => {
  it.each([
    ['SIP/2.0/UDP a.example;branch=z9hG4bK1', 'UDP', 'a.example', 0, { branch: 'z9hG4bK1' }],
    ['SIP/2.0/tcp A.Example:5070', 'TCP', 'a.example', 5070, {}],
    ['SIP / 2.0 / UDP h : 5061 ; branch = x', 'UDP', 'h', 5061, { branch: 'x' }],
    ['sip/2.0/udp h', 'UDP', 'h', 0, {}],
    ['SIP/2.0/WSS h;rport', 'WSS', 'h', 0, { rport: '' }],
    ['SIP/2.0/UDP h;rport=5062;received=192.0.2.1', 'UDP', 'h', 0, { rport: '5062', received: '192.0.2.1' }],
    ['SIP/2.0/UDP [2001:DB8::9]:1;received=[::1]', 'UDP', '2001:db8::9', 1, { received: '::1' }],
    ['SIP/2.0/UDP h;MADDR=239.0.0.1;Branch=B', 'UDP', 'h', 0, { maddr: '239.0.0.1', branch: 'B' }],
    ['SIP/2.0/UDP h;x="a;branch=no";branch=yes', 'UDP', 'h', 0, { branch: 'yes' }],
    ['SIP/2.0/UDP h;branch=1;branch=2', 'UDP', 'h', 0, { branch: '1' }],
    ['SIP/2.0/XYZ h;ttl=1', 'XYZ', 'h', 0, {}],
  ])('%s', (text, transport, host, port, known) => {
    const absent = { branch: undefined, received: undefined, rport: undefined, maddr: undefined };
    const params = text.includes(';') ? text.slice(text.indexOf(';')) : '';
    expect(parseVia(text)).toEqual({ transport, host, port, params, text, ...absent, ...known });
  });

  it.each([
    '',
    'SIP/2.0/UDP',
    'SIP/2.0/UDP ',
    'SIP/2.0/ h',
    'SIP/3.0/UDP h',
    'HTTP/2.0/UDP h',
    'SIP/2.0/UDP h:',
    'SIP/2.0/UDP h:65536',
    'SIP/2.0/UDP h:x',
    'SIP/2.0/UDP h j',
    'SIP/2.0/UDP [::1',
    'SIP/2.0/UDP [h]',
    'SIP/2.0/UDP ;branch=x',
    'SIP/2.0/UDP h;',
    'SIP/2.0/UDP h;=x',
    'SIP/2.0/UDP h;;branch=x',
    'SIP/2.0/UDP h;a b',
    'SIP/2.0/UDP h, SIP/2.0/UDP i',
  ])('%j is none', (text) => {
    expect(parseVia(text)).toBeUndefined();
  });
});

describe('RFC 3261 §20.10 name-addr and addr-spec', () => {
  it.each([
    ['<sip:a@b>', 'sip:a@b', '', ''],
    ['<sip:a@b>;tag=1', 'sip:a@b', ';tag=1', ''],
    ['sip:a@b;tag=1', 'sip:a@b', ';tag=1', ''],
    ['sip:a@b ;tag=1', 'sip:a@b', ';tag=1', ''],
    ['<sip:a@b;lr?x=y> ; tag = 1', 'sip:a@b;lr?x=y', '; tag = 1', ''],
    ['Alice <sip:a@b>', 'sip:a@b', '', 'Alice'],
    ['Alice of  Atlanta<sip:a@b>', 'sip:a@b', '', 'Alice of  Atlanta'],
    ['"A. \\"G\\" <x>, Bell" <sip:a@b>;tag=a48s', 'sip:a@b', ';tag=a48s', '"A. \\"G\\" <x>, Bell"'],
    ['"" <sip:a@b>', 'sip:a@b', '', '""'],
    ['<sip:a@b>;x="; \\" >";tag=1', 'sip:a@b', ';x="; \\" >";tag=1', ''],
    ['<tel:+1>', 'tel:+1', '', ''],
  ])('%s', (text, uri, params, display) => {
    expect(parseNameAddr(text)).toEqual({ uri, params, display });
  });

  it.each([
    '',
    ';tag=1',
    '<>',
    '<sip:a@b',
    'sip:a@b>',
    '<sip:a b>',
    '<<sip:a@b>',
    '<sip:a@b> x',
    '"Alice <sip:a@b>',
    '"Alice" x <sip:a@b>',
    '"Alice" sip:a@b',
    'Bell, Alexander <sip:a@b>',
    'a@b <sip:a@b>',
    'x"y" <sip:a@b>',
    'sip:a@b x',
    '<sip:a@b>;x="y',
  ])('%j is none', (text) => {
    expect(parseNameAddr(text)).toBeUndefined();
  });
});

describe('RFC 3261 §7.3.1 lists and parameters', () => {
  it.each<[string, string[]]>([
    ['', []],
    [' , ,', []],
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    [' a ,\tb ', ['a', 'b']],
    ['a,,b', ['a', 'b']],
    ['"x, y" <sip:a>, <sip:b>', ['"x, y" <sip:a>', '<sip:b>']],
    ['"x\\", y" <sip:a>,b', ['"x\\", y" <sip:a>', 'b']],
    ['<sip:a,b>;x,c', ['<sip:a,b>;x', 'c']],
    ['<sip:a>;x="1,2",c', ['<sip:a>;x="1,2"', 'c']],
    ['"open, a', ['"open, a']],
    ['<open, a', ['<open, a']],
    ['"<", a', ['"<"', 'a']],
  ])('%j holds %j', (text, values) => {
    expect(splitList(text)).toEqual(values);
  });

  it.each([
    [';tag=1', 'tag', '1'],
    [';TAG=Aa', 'tag', 'Aa'],
    ['; tag = 1 ;x', 'tag', '1'],
    [';tag', 'tag', ''],
    [';tag=', 'tag', ''],
    [';xtag=1;tagx=2', 'tag', undefined],
    [';x="a;tag=no";tag=yes', 'tag', 'yes'],
    [';x="a\\";tag=no"', 'tag', undefined],
    [';q="a b"', 'q', '"a b"'],
    [';a=1;a=2', 'a', '1'],
    ['a=1;b=2', 'a', '1'],
    ['', 'a', undefined],
  ])('%j has %s = %j', (text, name, value) => {
    expect(param(text, name)).toBe(value);
  });

  it('looks between the offsets only', () => {
    expect(splitList('a,b,c,d', 2, 5)).toEqual(['b', 'c']);
    expect(param(';a=1;b=2;c=3', 'c', 0, 8)).toBeUndefined();
    expect(param(';a=1;b=2;c=3', 'b', 5, 8)).toBe('2');
  });
});
