/** Where a message goes: the hop it names, then its alternates, none twice; names by a resolver that answers when the test says so. */
import { expect, it } from 'vitest';
import {
  AddressResolver,
  type Contact,
  type ControllerAddress,
  type DnsClient,
  fail,
  isIpLiteral,
  type LocationService,
  type NamedHop,
  type NameResolver,
  normalIdentity,
  ok,
  type Resolution,
} from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';

const udp = (host: string, port = 5060): ControllerAddress => ({ transport: 'udp', host, port });
const notFound = (name: string): Resolution => fail({ name, reason: 'notFound', detail: 'NXDOMAIN' });

it('calls back at once where the hop is a literal or known', () => {
  const { resolve, asked } = world({});
  const answers = resolve({ host: '127.0.0.1' });
  expect(answers).toEqual([ok([udp('127.0.0.1')])]);
  expect(resolve({ host: '127.0.0.1', port: 1, transport: 'tcp' }, [{ host: '127.0.0.2' }])).toEqual([
    ok([{ transport: 'tcp', host: '127.0.0.1', port: 1 }, udp('127.0.0.2')]),
  ]);
  expect(asked).toEqual([]);
});

it('puts the addresses of the hop before those of its alternates, in their order, none twice', async () => {
  const { resolve, asked } = world({
    'a.example': ok([udp('10.0.0.2'), udp('10.0.0.1')]),
    'b.example': ok([udp('10.0.0.1'), udp('10.0.0.3')]),
  });
  const answers = resolve({ host: 'a.example' }, [{ host: '10.0.0.9' }, { host: 'b.example' }, { host: '10.0.0.2' }]);
  // Something had to be asked: nobody is called back before it is answered.
  expect(answers).toEqual([]);
  await settled();
  expect(answers).toEqual([ok(['10.0.0.2', '10.0.0.1', '10.0.0.9', '10.0.0.3'].map((host) => udp(host)))]);
  expect(asked).toEqual(['a.example', 'b.example']);
});

it('leaves out a name that cannot be resolved while another address remains', async () => {
  const { resolve } = world({ 'a.example': notFound('a.example') });
  const answers = resolve({ host: 'a.example' }, [{ host: '10.0.0.9' }]);
  await settled();
  expect(answers).toEqual([ok([udp('10.0.0.9')])]);
});

it('reports the failure of the hop itself where nothing remains', async () => {
  const { resolve } = world({
    'a.example': notFound('a.example'),
    'b.example': fail({ name: 'b.example', reason: 'temporary', detail: 'SERVFAIL' }),
  });
  const alone = resolve({ host: 'a.example' });
  const both = resolve({ host: 'b.example' }, [{ host: 'a.example' }]);
  await settled();
  expect(alone).toEqual([notFound('a.example')]);
  expect(both).toEqual([fail({ name: 'b.example', reason: 'temporary', detail: 'SERVFAIL' })]);
});

it('takes a failure that is known already for an answer', () => {
  const { resolve } = world({}, { 'a.example': notFound('a.example') });
  expect(resolve({ host: 'a.example' })).toEqual([notFound('a.example')]);
  expect(resolve({ host: 'a.example' }, [{ host: '10.0.0.9' }])).toEqual([ok([udp('10.0.0.9')])]);
});

it('makes a temporary failure of a resolver that rejects', async () => {
  const { resolve } = world({});
  const answers = resolve({ host: 'unheard.example' });
  await settled();
  expect(answers).toMatchObject([{ ok: false, error: { name: 'unheard.example', reason: 'temporary' } }]);
});

it('asks the location service for the contacts of a record', () => {
  const { resolver } = world({});
  expect(resolver.locate('alice')).toEqual([contact]);
  expect(resolver.locate('bob')).toEqual([]);
});

const contact: Contact = {
  protocol: 'words',
  target: 'alice@10.0.0.1',
  key: 'alice',
  path: [],
  alternates: [],
  expiresMs: Number.POSITIVE_INFINITY,
  q: 1_000,
  updatedMs: 0,
};

it.each([
  ['+4930123', '+4930123'],
  ['+49(30)-12.3', '+4930123'],
  ['2 00', '2 00'],
  ['200', '200'],
  ['alice', 'alice'],
  ['a.l-ice', 'a.l-ice'],
  ['Alice@Example.COM.', 'Alice@example.com'],
  ['+49(30)123@Example.com', '+4930123@example.com'],
])('%s is looked up as %s as well (RFC 3966 §5.1.1, RFC 4343)', (written, normal) => {
  expect(normalIdentity(written)).toBe(normal);
  const asked: string[] = [];
  const none = () => Promise.reject(new Error('no DNS here'));
  const resolver = new AddressResolver({
    clock: new FakeClock(),
    dns: { naptr: none, srv: none, a: none, aaaa: none },
    locations: {
      lookup(record) {
        asked.push(record);
        return record === normal ? [contact] : [];
      },
    },
  });
  expect(resolver.locate(written)).toEqual([contact]);
  expect(asked).toEqual(written === normal ? [written] : [written, normal]);
});

const locations: LocationService = {
  open: async () => {},
  lookup: (record) => (record === 'alice' ? [contact] : []),
  save: async () => {},
  records: () => [],
  size: 1,
  close: async () => {},
};

/** `answers` must be asked for, `cache` need not be. */
function world(answers: Readonly<Record<string, Resolution>>, cache: Readonly<Record<string, Resolution>> = {}) {
  const asked: string[] = [];
  const names: NameResolver = {
    now: ({ host, port = 5060, transport = 'udp' }) =>
      isIpLiteral(host) ? ok([{ transport, host, port }]) : cache[host],
    async resolve({ host }) {
      asked.push(host);
      const answer = answers[host];
      if (answer === undefined) throw new Error('the resolver broke');
      return answer;
    },
  };
  const none = () => Promise.reject(new Error('no DNS here'));
  const dns: DnsClient = { naptr: none, srv: none, a: none, aaaa: none };
  const resolver = new AddressResolver({ clock: new FakeClock(), dns, locations });
  const hops = resolver.using(names);
  const resolve = (hop: NamedHop, alternates: readonly NamedHop[] = []): readonly Resolution[] => {
    const given: Resolution[] = [];
    hops.resolve(hop, alternates, (resolution) => given.push(resolution));
    return given;
  };
  return { resolver, resolve, asked };
}

/** Everything that was promised at once has been kept. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
