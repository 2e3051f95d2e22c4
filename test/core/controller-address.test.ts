/** Addresses as operators and peers write them. */
import { describe, expect, it } from 'vitest';
import {
  AddressError,
  addressKey,
  bracketed,
  type ControllerAddress,
  formatAddress,
  isReliable,
  isSecure,
  isTransport,
  parseAddress,
  readAddress,
  sameAddress,
  transports,
} from '../../src/internal.ts';

const defaults = { port: 5060 };

describe('an address as text', () => {
  it.each<[string, ControllerAddress]>([
    ['127.0.0.1', { transport: 'udp', host: '127.0.0.1', port: 5060 }],
    ['127.0.0.1:5070', { transport: 'udp', host: '127.0.0.1', port: 5070 }],
    ['tcp:127.0.0.1:5070', { transport: 'tcp', host: '127.0.0.1', port: 5070 }],
    ['wss:proxy.example', { transport: 'wss', host: 'proxy.example', port: 5060 }],
    [' Proxy.Example.:1 ', { transport: 'udp', host: 'proxy.example.', port: 1 }],
    ['udp:[::1]:2427', { transport: 'udp', host: '::1', port: 2427 }],
    ['[2001:DB8::A]', { transport: 'udp', host: '2001:db8::a', port: 5060 }],
    ['ca@ca1.whatever.net:2727', { transport: 'udp', host: 'ca1.whatever.net', port: 2727, user: 'ca' }],
    ['tcp:ca@[::1]', { transport: 'tcp', host: '::1', port: 5060, user: 'ca' }],
    ['tcp:5070', { transport: 'udp', host: 'tcp', port: 5070 }],
    ['my_host-1:0', { transport: 'udp', host: 'my_host-1', port: 0 }],
    ['h:65535', { transport: 'udp', host: 'h', port: 65_535 }],
  ])('%j is read', (text, address) => {
    expect(parseAddress(text, defaults)).toEqual(address);
    expect(readAddress(text, defaults)).toEqual(address);
    // What we print is read as the same again, whatever the defaults.
    expect(parseAddress(formatAddress(address), { transport: 'tls', port: 1 })).toEqual(address);
  });

  it.each([
    '',
    ':5060',
    'h:',
    'h:x',
    'h:65536',
    'h:123456',
    'sctp:h:1',
    'UDP:h:1',
    '::1',
    '[::1',
    '[1.2.3.4]',
    '[::g]',
    '1.2.3',
    '1.2.3.256',
    'a..b',
    '-a',
    'a-',
    'a b',
    '<h>',
    '@h',
    'a@b@c',
    'h:1:2',
    `${'a'.repeat(254)}`,
  ])('%j is refused', (text) => {
    expect(readAddress(text, defaults)).toBeUndefined();
    expect(() => parseAddress(text, defaults)).toThrow(AddressError);
    expect(() => parseAddress(text, defaults)).toThrow(`"${text}" is not an address: write `);
  });

  it('takes the transport of the defaults where it names none', () => {
    expect(parseAddress('h', { transport: 'tls', port: 5061 })).toEqual({ transport: 'tls', host: 'h', port: 5061 });
    expect(parseAddress('tcp:h', { transport: 'tls', port: 5061 }).transport).toBe('tcp');
  });
});

describe('two addresses', () => {
  const one: ControllerAddress = { transport: 'udp', host: '127.0.0.1', port: 5060 };

  it.each<[Partial<ControllerAddress>, boolean]>([
    [{}, true],
    [{ user: 'ca' }, true],
    [{ port: 5061 }, false],
    [{ host: '127.0.0.2' }, false],
    [{ transport: 'tcp' }, false],
  ])('with %j in one of them are the same hop: %j', (change, same) => {
    const other = { ...one, ...change };
    expect(sameAddress(one, other)).toBe(same);
    expect(sameAddress(other, one)).toBe(same);
    expect(addressKey(one) === addressKey(other)).toBe(same);
  });
});

it('only datagrams are unreliable, only tls and wss are secure', () => {
  expect(transports.filter((each) => !isReliable(each))).toEqual(['udp']);
  expect(transports.filter(isSecure)).toEqual(['tls', 'wss']);
  expect(['udp', 'UDP', '', 'sctp'].map(isTransport)).toEqual([true, false, false, false]);
  expect(['::1', '127.0.0.1', 'h'].map(bracketed)).toEqual(['[::1]', '127.0.0.1', 'h']);
});
