import { BlockList, isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  allowHolds,
  networkHolds,
  readAllowRule,
  readIpNetwork,
  readTrustRule,
  trustHolds,
} from '../../src/internal.ts';

const holds = (network: string, host: string): boolean => {
  const parsed = readIpNetwork(network);
  if (parsed === undefined) throw new Error(`${network} was refused`);
  return networkHolds(parsed, host);
};

describe('RFC 4632 §3.1 networks', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['127.0.0.2', '127.0.0.2', true],
    ['127.0.0.2', '127.0.0.3', false],
    ['192.0.2.128/25', '192.0.2.127', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['2001:db8::/33', '2001:db8:7fff::1', true],
    ['2001:db8::/33', '2001:db8:8000::1', false],
    ['[::1]', '::1', true],
    ['::/0', '10.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.0.0.1', true],
    ['10.0.0.0/8', 'example.com', false],
    ['fe80::/10', 'fe80::1%lo', false],
  ])('%s holds %s: %s', (network, host, expected) => {
    expect(holds(network, host)).toBe(expected);
  });

  it.each(['10.0.0.0/33', '::1/129', '10.0.0', 'example.com', '10.0.0.0/', '10.0.0.0/-1', ''])('%j is none', (text) => {
    expect(readIpNetwork(text)).toBeUndefined();
  });

  it('agrees with the block list of Node on any network and address', () => {
    const pair = (ip: fc.Arbitrary<string>, bits: number) => fc.tuple(ip, ip, fc.integer({ min: 0, max: bits }));
    const near = fc.oneof(pair(fc.ipV4(), 32), pair(fc.ipV6(), 128));
    fc.assert(
      fc.property(near, fc.boolean(), ([base, other, bits], same) => {
        const host = same ? base : other;
        fc.pre(isIP(base) !== 0 && isIP(host) !== 0 && !/^::ffff:/i.test(base) && !/^::ffff:/i.test(host));
        const list = new BlockList();
        const family = isIP(base) === 4 ? 'ipv4' : 'ipv6';
        list.addSubnet(base, bits, family);
        expect(holds(`${base}/${bits}`, host)).toBe(list.check(host, family));
      }),
    );
  });
});

describe('trust', () => {
  const trusts = (rule: string, host: string, name?: string): boolean | undefined => {
    const parsed = readTrustRule(rule);
    return parsed && trustHolds(parsed, host, name);
  };

  it('goes by address, whatever the certificate says', () => {
    expect(trusts('10.0.0.0/8', '10.0.0.1')).toBe(true);
    expect(trusts('10.0.0.0/8', '192.0.2.1', '10.0.0.1')).toBe(false);
  });

  it('goes by the name a certificate proved, and by nothing else', () => {
    expect(trusts('proxy.example.com', '192.0.2.1', 'Proxy.Example.com')).toBe(true);
    expect(trusts('proxy.example.com', '192.0.2.1')).toBe(false);
    expect(trusts('proxy.example.com', 'proxy.example.com')).toBe(false);
  });

  it('lets a star stand for one label', () => {
    expect(trusts('*.example.com', '192.0.2.1', 'a.example.com')).toBe(true);
    expect(trusts('*.example.com', '192.0.2.1', 'a.b.example.com')).toBe(false);
    expect(trusts('*.example.com', '192.0.2.1', 'example.com')).toBe(false);
    expect(trusts('*.example.com', '192.0.2.1', '.example.com')).toBe(false);
  });

  it.each(['10.0.0.0/99', '300.1.1.1', 'a b', '*', '', 'host:5060'])('%j names no hop', (text) => {
    expect(readTrustRule(text)).toBeUndefined();
  });
});

describe('allow', () => {
  const allows = (rule: string, host: string, port = 5060): boolean | undefined => {
    const parsed = readAllowRule(rule);
    return parsed && allowHolds(parsed, { host, port });
  };

  it('holds for a network, and for one port of it where one is written', () => {
    expect(allows('10.0.0.0/8', '10.1.1.1', 9)).toBe(true);
    expect(allows('10.0.0.0/8:5060', '10.1.1.1', 5060)).toBe(true);
    expect(allows('10.0.0.0/8:5060', '10.1.1.1', 22)).toBe(false);
    expect(allows('127.0.0.2:5060', '127.0.0.2', 5060)).toBe(true);
    expect(allows('[2001:db8::/32]:5060', '2001:db8::9', 5060)).toBe(true);
    expect(allows('[2001:db8::/32]:5060', '2001:db8::9', 5061)).toBe(false);
    expect(allows('2001:db8::/32', '2001:db8::9', 1)).toBe(true);
  });

  it('holds for a domain and what is below it, not for what merely ends like it', () => {
    expect(allows('example.com', 'sip.Example.com')).toBe(true);
    expect(allows('example.com', 'example.com.')).toBe(true);
    expect(allows('*.example.com', 'sip.example.com')).toBe(true);
    expect(allows('example.com', 'badexample.com')).toBe(false);
  });

  it.each(['10.0.0.0/8:99999', '10.0.0.0/40:1', '1.2.3', '[::1', ''])('%j allows nothing', (text) => {
    expect(readAllowRule(text)).toBeUndefined();
  });
});
