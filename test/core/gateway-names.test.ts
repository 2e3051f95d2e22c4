import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import {
  AddressResolver,
  type DnsAnswer,
  type DnsClient,
  formatAddress,
  GatewayNames,
  type LocationService,
} from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';

type Answer = DnsAnswer<string> | 'fails';

function world() {
  const clock = new FakeClock();
  const zone = new Map<string, Answer>();
  const asked: string[] = [];
  const located: string[] = [];
  const lines: string[] = [];
  const ask = (type: string) => (name: string) => {
    asked.push(`${type} ${name}`);
    const answer = zone.get(`${type} ${name}`) ?? { records: [], ttlMs: 10_000 };
    return answer === 'fails' ? Promise.reject(new Error('SERVFAIL')) : Promise.resolve(answer);
  };
  const none = () => Promise.reject(new Error('not asked'));
  const dns: DnsClient = { naptr: none, srv: none, a: ask('A'), aaaa: ask('AAAA') };
  const locations: LocationService = {
    open: async () => undefined,
    close: async () => undefined,
    size: 0,
    lookup: () => [],
    save: async () => undefined,
    records: () => [],
  };
  const names = new GatewayNames({
    clock,
    resolver: new AddressResolver({ clock, dns, locations }),
    log: pino({ base: null, timestamp: false }, { write: (line) => lines.push(JSON.parse(line).reason) }),
    located: (gateway, addresses) =>
      located.push(`${gateway}: ${addresses.map((each) => formatAddress(each)).join(' ')}`),
  });
  return { clock, zone, asked, located, lines, names };
}

const named = (host: string, port = 2427) => ({ transport: 'udp' as const, host, port });

describe('gateways by DNS name', () => {
  it('have every address of the name, IPv4 and IPv6, and again when the time to live is over', async () => {
    const { clock, zone, located, names } = world();
    zone.set('A gw.test', { records: ['192.0.2.1', '192.0.2.2'], ttlMs: 30_000 });
    zone.set('AAAA gw.test', { records: ['2001:db8::1'], ttlMs: 40_000 });
    names.watch('gw', [named('gw.test'), named('192.0.2.9', 2500)]);
    await clock.advanceAsync(0);
    expect(located).toEqual(['gw: udp:192.0.2.1:2427 udp:192.0.2.2:2427 udp:[2001:db8::1]:2427 udp:192.0.2.9:2500']);
    zone.set('A gw.test', { records: ['192.0.2.3'], ttlMs: 30_000 });
    zone.delete('AAAA gw.test');
    await clock.advanceAsync(29_000);
    expect(located).toHaveLength(1);
    await clock.advanceAsync(1_000);
    expect(located.at(-1)).toBe('gw: udp:192.0.2.3:2427 udp:192.0.2.9:2500');
  });

  it('stay where they were while nothing answers, with one line a minute, and are asked for again soon', async () => {
    const { clock, zone, asked, located, lines, names } = world();
    zone.set('A gw.test', 'fails');
    zone.set('AAAA gw.test', 'fails');
    names.watch('gw', [named('gw.test')]);
    await clock.advanceAsync(50_000);
    expect([asked.length, located.length, lines.length]).toEqual([22, 0, 1]);
    expect(lines[0]).toContain('SERVFAIL');
    zone.set('A gw.test', { records: ['192.0.2.1'], ttlMs: 30_000 });
    await clock.advanceAsync(5_000);
    expect(located).toEqual(['gw: udp:192.0.2.1:2427']);
  });

  it('are asked for no more once they are forgotten, provisioned anew, or all is stopped', async () => {
    const { clock, zone, asked, located, names } = world();
    zone.set('A gw.test', { records: ['192.0.2.1'], ttlMs: 1_000 });
    zone.set('A other.test', { records: ['192.0.2.2'], ttlMs: 1_000 });
    names.watch('gw', [named('gw.test')]);
    names.watch('gw', [named('other.test')]);
    await clock.advanceAsync(0);
    expect(located).toEqual(['gw: udp:192.0.2.2:2427']);
    names.watch('gw', [named('192.0.2.3')]);
    await clock.advanceAsync(100_000);
    expect(asked).toHaveLength(4);
    names.watch('gw', [named('gw.test')]);
    names.stop();
    await clock.advanceAsync(100_000);
    expect([located.length, clock.pending]).toEqual([1, 0]);
  });
});
