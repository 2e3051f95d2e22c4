/** DNS with a memory, on a fake clock and a resolver that the test answers for. */
import { describe, expect, it } from 'vitest';
import { createDns, type DnsResolver, systemResolver } from '../../src/caching-dns.ts';
import type { DnsClient, NaptrRecord } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';

const hour = 3_600_000;

describe('answers', () => {
  it('are kept for their TTL, which counts down, and then asked for again', async () => {
    const { clock, dns, asked, zone } = world();
    zone.a.set('host.example', [{ address: '192.0.2.1', ttl: 60 }]);
    expect(await dns.a('host.example')).toEqual({ records: ['192.0.2.1'], ttlMs: 60_000 });
    clock.advance(59_999);
    expect(await dns.a('HOST.example.')).toEqual({ records: ['192.0.2.1'], ttlMs: 1 });
    expect(asked).toEqual(['A host.example']);
    clock.advance(1);
    zone.a.set('host.example', [{ address: '192.0.2.2', ttl: 60 }]);
    expect((await dns.a('host.example')).records).toEqual(['192.0.2.2']);
    expect(asked).toHaveLength(2);
  });

  it('are kept a second at least and an hour at most; the shortest TTL of a set counts', async () => {
    const { dns, zone } = world();
    zone.a.set('zero.example', [{ address: '192.0.2.1', ttl: 0 }]);
    zone.aaaa.set('year.example', [{ address: '2001:db8::1', ttl: 31_536_000 }]);
    zone.a.set('both.example', [
      { address: '192.0.2.1', ttl: 100 },
      { address: '192.0.2.2', ttl: 20 },
    ]);
    expect((await dns.a('zero.example')).ttlMs).toBe(1_000);
    expect((await dns.aaaa('year.example')).ttlMs).toBe(hour);
    expect(await dns.a('both.example')).toEqual({ records: ['192.0.2.1', '192.0.2.2'], ttlMs: 20_000 });
  });

  it('of SRV and NAPTR, whose TTL node:dns does not tell, are kept a minute', async () => {
    const { clock, dns, asked, zone } = world();
    const naptr = {
      order: 10,
      preference: 50,
      flags: 's',
      service: 'X+D2U',
      regexp: '',
      replacement: '_x._udp.example',
    };
    zone.srv.set('_x._udp.example', [{ priority: 1, weight: 2, port: 5060, name: 'host.example' }]);
    zone.naptr.set('example', [naptr]);
    const srv = { priority: 1, weight: 2, port: 5060, target: 'host.example' };
    expect(await dns.srv('_x._udp.example')).toEqual({ records: [srv], ttlMs: 60_000 });
    expect(await dns.naptr('example')).toEqual({ records: [naptr], ttlMs: 60_000 });
    clock.advance(59_999);
    await dns.srv('_x._udp.example');
    expect(asked).toHaveLength(2);
  });

  it('to the same question at the same time are asked for once', async () => {
    const { dns, asked, zone } = world();
    zone.a.set('host.example', [{ address: '192.0.2.1', ttl: 60 }]);
    const answers = await Promise.all(Array.from({ length: 50 }, () => dns.a('host.example')));
    expect(new Set(answers.flatMap(({ records }) => records))).toEqual(new Set(['192.0.2.1']));
    expect(asked).toEqual(['A host.example']);
  });

  it('to a literal address are that address, without a question', async () => {
    const { dns, asked } = world();
    expect((await dns.a('192.0.2.1')).records).toEqual(['192.0.2.1']);
    expect((await dns.aaaa('192.0.2.1')).records).toEqual([]);
    expect((await dns.aaaa('::1')).records).toEqual(['::1']);
    expect(asked).toEqual([]);
  });
});

describe('absence', () => {
  it.each(['ENOTFOUND', 'ENODATA', 'EBADNAME'])('(%s) is an empty answer, kept for ten seconds', async (code) => {
    const { clock, dns, asked, failures } = world();
    failures.set('SRV _x._udp.example', code);
    expect(await dns.srv('_x._udp.example')).toEqual({ records: [], ttlMs: 10_000 });
    clock.advance(9_999);
    await dns.srv('_x._udp.example');
    expect(asked).toHaveLength(1);
    clock.advance(1);
    await dns.srv('_x._udp.example');
    expect(asked).toHaveLength(2);
  });

  it('of an address in DNS sends the question to the machine’s own table', async () => {
    const { dns, hosts } = world();
    hosts.set('gateway 4', ['127.0.0.9']);
    expect(await dns.a('gateway')).toEqual({ records: ['127.0.0.9'], ttlMs: 60_000 });
    expect((await dns.aaaa('gateway')).records).toEqual([]);
  });
});

describe('a failure', () => {
  it.each(['ESERVFAIL', 'ETIMEOUT', 'ECONNREFUSED', 'EREFUSED'])(
    '(%s) rejects, and is not repeated for two seconds',
    async (code) => {
      const { clock, dns, asked, failures, zone } = world();
      failures.set('A host.example', code);
      await expect(dns.a('host.example')).rejects.toMatchObject({ code });
      await expect(dns.a('host.example')).rejects.toMatchObject({ code });
      expect(asked).toHaveLength(1);
      failures.clear();
      zone.a.set('host.example', [{ address: '192.0.2.1', ttl: 60 }]);
      clock.advance(2_000);
      expect((await dns.a('host.example')).records).toEqual(['192.0.2.1']);
    },
  );

  it('of the servers leaves the machine’s own table', async () => {
    const { dns, failures, hosts } = world();
    failures.set('A gateway', 'ETIMEOUT');
    hosts.set('gateway 4', ['127.0.0.9']);
    expect((await dns.a('gateway')).records).toEqual(['127.0.0.9']);
  });

  it('is bridged by the last answer for an hour (RFC 8767 §5)', async () => {
    const { clock, dns, failures, zone } = world();
    zone.a.set('host.example', [{ address: '192.0.2.1', ttl: 60 }]);
    await dns.a('host.example');
    failures.set('A host.example', 'ESERVFAIL');
    clock.advance(60_000 + hour - 1);
    expect(await dns.a('host.example')).toEqual({ records: ['192.0.2.1'], ttlMs: 30_000 });
    clock.advance(1);
    await expect(dns.a('host.example')).rejects.toMatchObject({ code: 'ESERVFAIL' });
  });

  it('that takes its time is bridged after half a second; the late answer counts from then on', async () => {
    const { clock, dns, zone, hold } = world();
    zone.a.set('host.example', [{ address: '192.0.2.1', ttl: 60 }]);
    await dns.a('host.example');
    zone.a.set('host.example', [{ address: '192.0.2.2', ttl: 60 }]);
    clock.advance(60_000);
    const release = hold();
    let answer: readonly string[] | undefined;
    const asking = dns.a('host.example').then(({ records }) => {
      answer = records;
    });
    await clock.advanceAsync(499);
    expect(answer).toBeUndefined();
    await clock.advanceAsync(1);
    await asking;
    expect(answer).toEqual(['192.0.2.1']);
    release();
    await clock.advanceAsync(0);
    expect((await dns.a('host.example')).records).toEqual(['192.0.2.2']);
  });

  it('never comes from bridging an absence: the name may exist by now', async () => {
    const { clock, dns, failures } = world();
    await dns.a('host.example');
    failures.set('A host.example', 'ETIMEOUT');
    clock.advance(10_000);
    await expect(dns.a('host.example')).rejects.toMatchObject({ code: 'ETIMEOUT' });
  });
});

describe('the limits', () => {
  it('of what is kept: the answer longest unused is forgotten', async () => {
    const { dns, asked, zone } = world();
    const ask = async (number: number): Promise<void> => {
      zone.a.set(`h${number}.example`, [{ address: '192.0.2.1', ttl: 600 }]);
      await dns.a(`h${number}.example`);
    };
    for (let number = 0; number < 4_096; number += 1) await ask(number);
    await ask(0);
    await ask(4_096);
    expect(asked).toHaveLength(4_097);
    await ask(0);
    expect(asked).toHaveLength(4_097);
    await ask(1);
    expect(asked).toHaveLength(4_098);
  });

  it('of what is asked at a time, and of records per name', async () => {
    const { dns, zone, hold } = world();
    zone.a.set(
      'many.example',
      Array.from({ length: 200 }, (_, index) => ({ address: `192.0.2.${index}`, ttl: 60 })),
    );
    expect((await dns.a('many.example')).records).toHaveLength(64);
    const release = hold();
    const waiting = Array.from({ length: 512 }, (_, index) => dns.a(`w${index}.example`));
    await expect(dns.a('one-more.example')).rejects.toThrow('too many DNS questions');
    release();
    expect((await Promise.all(waiting)).every(({ records }) => records.length === 0)).toBe(true);
  });
});

describe('the system’s resolver', () => {
  it('takes localhost from the machine’s own table, also where no DNS server answers', async () => {
    const dns = createDns(new FakeClock(), systemResolver(['127.0.0.1:1']));
    expect((await dns.a('localhost')).records).toContain('127.0.0.1');
    await expect(dns.srv('_x._udp.example')).rejects.toBeInstanceOf(Error);
  });
});

function world() {
  const clock = new FakeClock(0);
  const asked: string[] = [];
  const zone = {
    a: new Map<string, readonly { address: string; ttl: number }[]>(),
    aaaa: new Map<string, readonly { address: string; ttl: number }[]>(),
    srv: new Map<string, readonly { priority: number; weight: number; port: number; name: string }[]>(),
    naptr: new Map<string, readonly NaptrRecord[]>(),
  };
  const failures = new Map<string, string>();
  const hosts = new Map<string, readonly string[]>();
  let gate: Promise<void> | undefined;
  const answer = async <T>(type: string, records: Map<string, readonly T[]>, name: string): Promise<readonly T[]> => {
    asked.push(`${type} ${name}`);
    await gate;
    const found = records.get(name);
    const code = failures.get(`${type} ${name}`) ?? (found === undefined ? 'ENOTFOUND' : undefined);
    if (code !== undefined) throw Object.assign(new Error(code), { code });
    return found ?? [];
  };
  const resolver: DnsResolver = {
    resolveNaptr: (name) => answer('NAPTR', zone.naptr, name),
    resolveSrv: (name) => answer('SRV', zone.srv, name),
    resolve4: (name) => answer('A', zone.a, name),
    resolve6: (name) => answer('AAAA', zone.aaaa, name),
    hosts: async (name, family) => hosts.get(`${name} ${family}`) ?? [],
  };
  const dns: DnsClient = createDns(clock, resolver);
  /** Every answer waits until the returned function is called. */
  const hold = (): (() => void) => {
    let release = (): void => undefined;
    gate = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      gate = undefined;
      release();
    };
  };
  return { clock, dns, asked, zone, failures, hosts, hold };
}
