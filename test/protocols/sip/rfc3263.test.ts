import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byWeight, SipNames, type SipNamesOptions } from '../../../protocols/sip/rfc3263.ts';
import {
  type DnsClient,
  formatAddress,
  type NamedHop,
  type NaptrRecord,
  type SrvRecord,
} from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';

/** `A example.com` → records; `failing`: names whose servers do not answer. */
interface Zone {
  readonly naptr?: Readonly<Record<string, readonly NaptrRecord[]>>;
  readonly srv?: Readonly<Record<string, readonly SrvRecord[]>>;
  readonly a?: Readonly<Record<string, readonly string[]>>;
  readonly aaaa?: Readonly<Record<string, readonly string[]>>;
  readonly failing?: readonly string[];
  readonly ttlMs?: number;
}

class FakeDns implements DnsClient {
  readonly asked: string[] = [];
  readonly #zone: Zone;

  constructor(zone: Zone) {
    this.#zone = zone;
  }

  naptr = (name: string) => this.#answer('NAPTR', name, this.#zone.naptr?.[name]);
  srv = (name: string) => this.#answer('SRV', name, this.#zone.srv?.[name]);
  a = (name: string) => this.#answer('A', name, this.#zone.a?.[name]);
  aaaa = (name: string) => this.#answer('AAAA', name, this.#zone.aaaa?.[name]);

  async #answer<T>(type: string, name: string, records: readonly T[] = []) {
    this.asked.push(`${type} ${name}`);
    await Promise.resolve();
    if (this.#zone.failing?.includes(`${type} ${name}`)) throw new Error('SERVFAIL');
    return { records, ttlMs: this.#zone.ttlMs ?? 60_000 };
  }
}

const naptr = (order: number, service: string, replacement: string, more: Partial<NaptrRecord> = {}): NaptrRecord => ({
  order,
  preference: 50,
  flags: 's',
  service,
  regexp: '',
  replacement,
  ...more,
});

const srv = (priority: number, weight: number, port: number, target: string): SrvRecord => ({
  priority,
  weight,
  port,
  target,
});

function names(zone: Zone, more: Partial<SipNamesOptions> = {}) {
  const dns = new FakeDns(zone);
  const clock = new FakeClock();
  const options = { dns, clock, random: seededRandom(7), transports: ['udp', 'tcp', 'tls', 'ws', 'wss'] as const };
  return { dns, clock, sipNames: new SipNames({ ...options, ...more }) };
}

async function located(zone: Zone, hop: NamedHop, more: Partial<SipNamesOptions> = {}): Promise<readonly string[]> {
  const resolution = await names(zone, more).sipNames.resolve(hop);
  return resolution.ok ? resolution.value.map(formatAddress) : [resolution.error.reason];
}

/** The example of RFC 3263 §4.1. */
const example: Zone = {
  naptr: {
    'example.com': [
      naptr(90, 'SIP+D2T', '_sip._tcp.example.com'),
      naptr(50, 'SIPS+D2T', '_sips._tcp.example.com.'),
      naptr(100, 'SIP+D2U', '_sip._udp.example.com'),
    ],
  },
  srv: {
    '_sips._tcp.example.com': [srv(0, 1, 5_061, 'server1.example.com')],
    '_sip._tcp.example.com': [srv(0, 1, 5_060, 'server1.example.com'), srv(1, 1, 5_070, 'server2.example.com.')],
    '_sip._udp.example.com': [srv(0, 1, 5_060, 'server2.example.com')],
  },
  a: { 'server1.example.com': ['192.0.2.1'], 'server2.example.com': ['192.0.2.2'] },
};

describe('RFC 3263 §4.1, §4.2: numeric targets', () => {
  it.each<[string, NamedHop, string]>([
    ['UDP and 5060 for sip', { host: '192.0.2.7' }, 'udp:192.0.2.7:5060'],
    ['the port of the URI', { host: '192.0.2.7', port: 5_080 }, 'udp:192.0.2.7:5080'],
    ['the transport of the URI', { host: '192.0.2.7', transport: 'tcp' }, 'tcp:192.0.2.7:5060'],
    ['5061 for TLS', { host: '192.0.2.7', transport: 'tls' }, 'tls:192.0.2.7:5061'],
    ['TLS for sips', { host: '192.0.2.7', secure: true }, 'tls:192.0.2.7:5061'],
    ['TLS for sips over TCP', { host: '192.0.2.7', secure: true, transport: 'tcp' }, 'tls:192.0.2.7:5061'],
    [
      'secure WebSocket for sips over ws (RFC 7118 §5.5)',
      { host: '192.0.2.7', secure: true, transport: 'ws' },
      'wss:192.0.2.7:443',
    ],
    ['80 for WebSocket (RFC 7118 §5.5)', { host: '192.0.2.7', transport: 'ws' }, 'ws:192.0.2.7:80'],
    ['an IPv6 literal', { host: '2001:db8::1' }, 'udp:[2001:db8::1]:5060'],
  ])('uses %s, without a question', (_, hop, expected) => {
    const { sipNames, dns } = names({});
    const resolution = sipNames.now(hop);
    expect(resolution?.ok === true && resolution.value.map(formatAddress)).toEqual([expected]);
    expect(dns.asked).toEqual([]);
  });

  it('has no secure transport over UDP', () => {
    expect(names({}).sipNames.now({ host: '192.0.2.7', secure: true, transport: 'udp' })).toMatchObject({
      ok: false,
      error: { reason: 'unsupported' },
    });
  });

  it('uses no transport that we do not have', () => {
    const { sipNames } = names({}, { transports: ['tcp'] });
    expect(sipNames.now({ host: '192.0.2.7', transport: 'udp' })).toMatchObject({ error: { reason: 'unsupported' } });
    expect(sipNames.now({ host: '192.0.2.7', secure: true })).toMatchObject({ error: { reason: 'unsupported' } });
    expect(sipNames.now({ host: '192.0.2.7' })).toMatchObject({ value: [{ transport: 'tcp' }] });
  });
});

describe('RFC 3263 §4.2: a name with a port', () => {
  it('asks for A and AAAA only, never for SRV', async () => {
    const { sipNames, dns } = names({
      ...example,
      a: { 'example.com': ['192.0.2.3'] },
      aaaa: { 'example.com': ['2001:db8::3'] },
    });
    const resolution = await sipNames.resolve({ host: 'Example.COM.', port: 5_060 });
    expect(resolution.ok && resolution.value.map(formatAddress)).toEqual([
      'udp:192.0.2.3:5060',
      'udp:[2001:db8::3]:5060',
    ]);
    expect(dns.asked).toEqual(['A example.com', 'AAAA example.com']);
  });

  it('uses UDP for sip, TLS for sips, or the transport said', async () => {
    const zone = { a: { 'example.com': ['192.0.2.3'] } };
    expect(await located(zone, { host: 'example.com', port: 99 })).toEqual(['udp:192.0.2.3:99']);
    expect(await located(zone, { host: 'example.com', port: 99, secure: true })).toEqual(['tls:192.0.2.3:99']);
    expect(await located(zone, { host: 'example.com', port: 99, transport: 'tcp' })).toEqual(['tcp:192.0.2.3:99']);
  });

  it('gives every address in order, the preferred family first', async () => {
    const zone = { a: { 'example.com': ['192.0.2.3', '192.0.2.4'] }, aaaa: { 'example.com': ['2001:db8::3'] } };
    expect(await located(zone, { host: 'example.com', port: 99 }, { families: ['ipv6', 'ipv4'] })).toEqual([
      'udp:[2001:db8::3]:99',
      'udp:192.0.2.3:99',
      'udp:192.0.2.4:99',
    ]);
    expect(await located(zone, { host: 'example.com', port: 99 }, { families: ['ipv6'] })).toEqual([
      'udp:[2001:db8::3]:99',
    ]);
  });
});

describe('RFC 3263 §4.1: a name with a transport', () => {
  it('asks the SRV record of that transport, never NAPTR', async () => {
    const { sipNames, dns } = names(example);
    const resolution = await sipNames.resolve({ host: 'example.com', transport: 'tcp' });
    expect(resolution.ok && resolution.value.map(formatAddress)).toEqual(['tcp:192.0.2.1:5060', 'tcp:192.0.2.2:5070']);
    expect(dns.asked[0]).toBe('SRV _sip._tcp.example.com');
    expect(dns.asked.some((question) => question.startsWith('NAPTR'))).toBe(false);
  });

  it.each<[NamedHop, string]>([
    [{ host: 'x.org', transport: 'udp' }, 'SRV _sip._udp.x.org'],
    [{ host: 'x.org', transport: 'tls' }, 'SRV _sips._tcp.x.org'],
    [{ host: 'x.org', transport: 'tcp', secure: true }, 'SRV _sips._tcp.x.org'],
    [{ host: 'x.org', transport: 'ws' }, 'SRV _sip._ws.x.org'],
    [{ host: 'x.org', transport: 'ws', secure: true }, 'SRV _sips._ws.x.org'],
  ])('asks by the service of scheme and transport: %o', async (hop, question) => {
    const { sipNames, dns } = names({});
    await sipNames.resolve(hop);
    expect(dns.asked[0]).toBe(question);
  });

  it('takes A and AAAA at the default port where there is no SRV record', async () => {
    const zone = { a: { 'example.com': ['192.0.2.3'] } };
    expect(await located(zone, { host: 'example.com', transport: 'tcp' })).toEqual(['tcp:192.0.2.3:5060']);
    expect(await located(zone, { host: 'example.com', transport: 'tls' })).toEqual(['tls:192.0.2.3:5061']);
  });

  it('goes nowhere where the SRV record is a lone dot (RFC 2782)', async () => {
    const zone = { srv: { '_sip._tcp.example.com': [srv(0, 0, 0, '.')] }, a: { 'example.com': ['192.0.2.3'] } };
    expect(await located(zone, { host: 'example.com', transport: 'tcp' })).toEqual(['notFound']);
  });
});

describe('RFC 3263 §4.1: a name alone', () => {
  it('follows NAPTR in its order, then SRV, then A: every address in one list', async () => {
    expect(await located(example, { host: 'example.com' })).toEqual([
      'tls:192.0.2.1:5061',
      'tcp:192.0.2.1:5060',
      'tcp:192.0.2.2:5070',
      'udp:192.0.2.2:5060',
    ]);
  });

  it('discards the services of transports it does not have', async () => {
    expect(await located(example, { host: 'example.com' }, { transports: ['udp', 'tcp'] })).toEqual([
      'tcp:192.0.2.1:5060',
      'tcp:192.0.2.2:5070',
      'udp:192.0.2.2:5060',
    ]);
  });

  it('discards all but SIPS for sips', async () => {
    expect(await located(example, { host: 'example.com', secure: true })).toEqual(['tls:192.0.2.1:5061']);
  });

  it('orders records of one order by preference, and ignores other flags, regular expressions and services', async () => {
    const zone: Zone = {
      naptr: {
        'example.com': [
          naptr(1, 'E2U+sip', 'enum.example.com'),
          naptr(1, 'SIP+D2S', '_sip._sctp.example.com'),
          naptr(1, 'SIP+D2T', 'wrong.example.com', { flags: 'u', regexp: '!^.*$!sip:x@y!' }),
          naptr(1, 'SIP+D2T', '_sip._tcp.example.com', { preference: 20, flags: 'S' }),
          naptr(1, 'sip+d2u', '_sip._udp.example.com', { preference: 10 }),
        ],
      },
      srv: example.srv ?? {},
      a: example.a ?? {},
    };
    expect(await located(zone, { host: 'example.com' })).toEqual([
      'udp:192.0.2.2:5060',
      'tcp:192.0.2.1:5060',
      'tcp:192.0.2.2:5070',
    ]);
  });

  it('knows the services of WebSocket (RFC 7118 §5.5)', async () => {
    const zone: Zone = {
      naptr: { 'example.com': [naptr(1, 'SIPS+D2W', '_a.example.com'), naptr(2, 'SIP+D2W', '_b.example.com')] },
      srv: {
        '_a.example.com': [srv(0, 0, 8_443, 'w.example.com')],
        '_b.example.com': [srv(0, 0, 8_080, 'w.example.com')],
      },
      a: { 'w.example.com': ['192.0.2.9'] },
    };
    expect(await located(zone, { host: 'example.com' })).toEqual(['wss:192.0.2.9:8443', 'ws:192.0.2.9:8080']);
  });

  it('asks SRV for each of its transports where there is no NAPTR', async () => {
    const { naptr: _, ...zone } = example;
    expect(await located(zone, { host: 'example.com' })).toEqual([
      'udp:192.0.2.2:5060',
      'tcp:192.0.2.1:5060',
      'tcp:192.0.2.2:5070',
      'tls:192.0.2.1:5061',
    ]);
    expect(await located(zone, { host: 'example.com', secure: true })).toEqual(['tls:192.0.2.1:5061']);
  });

  it('takes UDP at 5060, or TLS at 5061 for sips, where there is no SRV either', async () => {
    const zone = { a: { 'example.com': ['192.0.2.3'] } };
    expect(await located(zone, { host: 'example.com' })).toEqual(['udp:192.0.2.3:5060']);
    expect(await located(zone, { host: 'example.com', secure: true })).toEqual(['tls:192.0.2.3:5061']);
  });

  it('keeps the transport that NAPTR chose where its SRV record is missing', async () => {
    const zone = {
      naptr: { 'example.com': [naptr(1, 'SIP+D2T', '_sip._tcp.example.com')] },
      a: { 'example.com': ['192.0.2.3'] },
    };
    expect(await located(zone, { host: 'example.com' })).toEqual(['tcp:192.0.2.3:5060']);
  });

  it('never asks for localhost (RFC 6761 §6.3)', () => {
    const { sipNames, dns } = names({});
    expect(sipNames.now({ host: 'localhost', port: 5_070 })).toMatchObject({
      value: [{ host: '127.0.0.1', port: 5_070 }, { host: '::1' }],
    });
    expect(dns.asked).toEqual([]);
  });
});

describe('RFC 2782 priority and weight', () => {
  it('puts lower priorities first, whatever the weights', async () => {
    const zone: Zone = {
      srv: { '_sip._udp.x.org': [srv(2, 900, 3, 'h.x.org'), srv(0, 1, 1, 'h.x.org'), srv(1, 500, 2, 'h.x.org')] },
      a: { 'h.x.org': ['192.0.2.1'] },
    };
    expect(await located(zone, { host: 'x.org', transport: 'udp' })).toEqual([
      'udp:192.0.2.1:1',
      'udp:192.0.2.1:2',
      'udp:192.0.2.1:3',
    ]);
  });

  it('draws equals in proportion to their weight, weight 0 rarely', () => {
    const random = seededRandom(3);
    const records = [srv(0, 0, 1, 'zero'), srv(0, 10, 2, 'ten'), srv(0, 30, 3, 'thirty')];
    const firsts = new Map<string, number>();
    for (let run = 0; run < 4_000; run += 1) {
      const target = byWeight(records, random)[0]?.target ?? '';
      firsts.set(target, (firsts.get(target) ?? 0) + 1);
    }
    expect(firsts.get('thirty')).toBeGreaterThan(2_700);
    expect(firsts.get('thirty')).toBeLessThan(3_200);
    expect(firsts.get('ten')).toBeGreaterThan(800);
    expect(firsts.get('ten')).toBeLessThan(1_200);
    expect(firsts.get('zero')).toBeGreaterThan(20);
    expect(firsts.get('zero')).toBeLessThan(250);
  });

  it('draws again for every request, from the cache too', async () => {
    const { sipNames } = names({
      srv: { '_sip._udp.x.org': [srv(0, 1, 1, 'h.x.org'), srv(0, 1, 2, 'h.x.org')] },
      a: { 'h.x.org': ['192.0.2.1'] },
    });
    await sipNames.resolve({ host: 'x.org', transport: 'udp' });
    const ports = new Set<number | undefined>();
    for (let run = 0; run < 50; run += 1) {
      const resolution = sipNames.now({ host: 'x.org', transport: 'udp' });
      if (resolution?.ok === true) ports.add(resolution.value[0]?.port);
    }
    expect(ports).toEqual(new Set([1, 2]));
  });

  it('keeps every record once', () => {
    const record = fc.record({
      priority: fc.nat(3),
      weight: fc.nat(65_535),
      port: fc.nat(65_535),
      target: fc.constant('h'),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 20 }), fc.nat(), (records, seed) => {
        const ordered = byWeight(records, seededRandom(seed));
        expect(new Set(ordered)).toEqual(new Set(records));
        expect(ordered).toHaveLength(records.length);
        for (let i = 1; i < ordered.length; i += 1)
          expect(ordered[i]?.priority).toBeGreaterThanOrEqual(ordered[i - 1]?.priority ?? 0);
      }),
    );
  });
});

describe('answers at once, and trouble', () => {
  it('answers from the cache until the shortest TTL is over', async () => {
    const { sipNames, dns, clock } = names({ ...example, ttlMs: 30_000 });
    const hop = { host: 'example.com', transport: 'tcp' } as const;
    expect(sipNames.now(hop)).toBeUndefined();
    const resolution = await sipNames.resolve(hop);
    const questions = dns.asked.length;
    expect(sipNames.now(hop)).toEqual(resolution);
    clock.advance(29_999);
    expect(sipNames.now(hop)).toEqual(resolution);
    clock.advance(1);
    expect(sipNames.now(hop)).toBeUndefined();
    expect(dns.asked).toHaveLength(questions);
  });

  it('keeps the answer that a name does not exist, and nothing with a TTL of 0', async () => {
    const { sipNames } = names({});
    await sipNames.resolve({ host: 'nowhere.example.com', port: 1 });
    expect(sipNames.now({ host: 'nowhere.example.com', port: 1 })).toMatchObject({ error: { reason: 'notFound' } });
    const passing = names({ a: { 'x.org': ['192.0.2.1'] }, ttlMs: 0 });
    expect(await passing.sipNames.resolve({ host: 'x.org', port: 1 })).toMatchObject({ ok: true });
    expect(passing.sipNames.now({ host: 'x.org', port: 1 })).toBeUndefined();
  });

  it('asks once for many who want to know at the same time', async () => {
    const { sipNames, dns } = names({ a: { 'x.org': ['192.0.2.1'] } });
    await Promise.all(Array.from({ length: 100 }, () => sipNames.resolve({ host: 'x.org', port: 5_060 })));
    expect(dns.asked).toEqual(['A x.org', 'AAAA x.org']);
  });

  it('says temporary where nobody answers, and asks again the next time', async () => {
    const { sipNames, dns } = names({ failing: ['A x.org'] });
    expect(await sipNames.resolve({ host: 'x.org', port: 1 })).toMatchObject({ error: { reason: 'temporary' } });
    await sipNames.resolve({ host: 'x.org', port: 1 });
    expect(dns.asked.filter((question) => question === 'A x.org')).toHaveLength(2);
  });

  it('goes on without NAPTR, and without one family, where only those fail', async () => {
    const zone: Zone = {
      failing: ['NAPTR example.com', 'AAAA server2.example.com'],
      srv: example.srv ?? {},
      a: example.a ?? {},
    };
    expect((await located(zone, { host: 'example.com' }))[0]).toBe('udp:192.0.2.2:5060');
  });

  it('asks for nothing that is no domain name', async () => {
    const { sipNames, dns } = names({});
    for (const host of ['', '.', 'a..b', '1.2.3', '999.1.1.1', 'x'.repeat(300), 'a b', `${'x'.repeat(64)}.org`])
      expect(await sipNames.resolve({ host })).toMatchObject({ error: { reason: 'notFound' } });
    expect(dns.asked).toEqual([]);
  });

  it('bounds what a zone can make it ask and return, and what it keeps', async () => {
    const many = Array.from({ length: 500 }, (_, index) => srv(index, 0, 5_060, `h${index}.x.org`));
    const { sipNames, dns } = names(
      {
        srv: { '_sip._udp.x.org': many },
        a: Object.fromEntries(
          many.map(({ target }, index) => [target, [`10.0.${index >> 8}.${index & 255}`, '10.1.1.1']]),
        ),
      },
      { maxCached: 3 },
    );
    const resolution = await sipNames.resolve({ host: 'x.org', transport: 'udp' });
    expect(resolution.ok && resolution.value.length).toBe(32);
    expect(dns.asked.length).toBeLessThanOrEqual(1 + 64);
    expect(sipNames.now({ host: 'x.org', transport: 'udp' })).toBeUndefined();
  });
});
