/** Listeners on an address that moves between hosts: bound to it alone, when it is here, and nothing sent from another. */
import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { floatingWarnings, virtualAddresses } from '../../src/config/floating.ts';
import type { LoadedConfig } from '../../src/config/load.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseSource } from '../../src/config/source.ts';
import type { RoleSetup } from '../../src/controller/protocol-entry.ts';
import {
  BindError,
  type ControllerAddress,
  ControllerPool,
  createNetwork,
  defaultPoolOptions,
  type Flow,
  formatAddress,
  type Listener,
  Metrics,
  type Network,
  type NetworkEvents,
  type TransmitError,
  Transmitter,
} from '../../src/internal.ts';
import type { LogEventName } from '../../src/log-events.ts';
import { FloatingAddresses } from '../../src/network/floating.ts';
import { protocols } from '../../src/protocol-table.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { lineFraming } from '../support/line-framing.ts';
import { seededRandom } from '../support/seeded-random.ts';

const vip = '192.0.2.10';
const udp: ControllerAddress = { transport: 'udp', host: vip, port: 5060 };
const tcp: ControllerAddress = { ...udp, transport: 'tcp' };
const peer = { host: '192.0.2.99', port: 5060 };

/** The host's system as far as it concerns binding. */
class Host {
  readonly clock = new FakeClock();
  readonly metrics = new Metrics();
  readonly logged: string[] = [];
  readonly addresses = new Set(['192.0.2.1']);
  readonly bound: string[] = [];
  readonly closed: string[] = [];
  readonly failures: TransmitError[] = [];
  readonly left: string[] = [];
  nonlocalBind = false;
  inUse = false;
  inner: NetworkEvents | undefined;
  readonly floating: FloatingAddresses;
  readonly network: Network;

  constructor(addresses: readonly string[] = [], vips: readonly string[] = [vip]) {
    for (const each of addresses) this.addresses.add(each);
    this.floating = new FloatingAddresses({
      clock: this.clock,
      metrics: this.metrics,
      log: pino(
        { base: null },
        {
          write: (text) => {
            const { event, address, reason }: Record<string, unknown> = JSON.parse(text);
            this.logged.push([event, address, reason].filter((each) => each !== undefined).join(' '));
          },
        },
      ),
      addresses: vips,
      hostAddresses: () => this.addresses,
    });
    this.network = this.floating.over({ bind: (address, _options, events) => this.#bind(address, events) });
  }

  listen(address: ControllerAddress): Promise<Listener> {
    return this.network.bind(
      address,
      {},
      {
        received: () => {},
        failed: (_flow, error) => this.failures.push(error),
        left: (local) => this.left.push(formatAddress(local)),
      },
    );
  }

  async #bind(address: ControllerAddress, events: NetworkEvents): Promise<Listener> {
    const refuse = (code: string): never => {
      throw new BindError(code, { cause: Object.assign(new Error(code), { code }) });
    };
    if (this.inUse) refuse('EADDRINUSE');
    if (!this.nonlocalBind && !this.addresses.has(address.host)) refuse('EADDRNOTAVAIL');
    this.inner = events;
    this.bound.push(formatAddress(address));
    const flow = (remote: Flow['remote']): Flow => ({
      transport: address.transport,
      reliable: address.transport !== 'udp',
      local: address,
      remote,
      id: 'flow',
      send: () => {},
      close: () => {},
    });
    return {
      local: address,
      connections: 1,
      flowTo: flow,
      flowById: (id) => (id === 'flow' ? flow(peer) : undefined),
      close: async () => {
        this.closed.push(formatAddress(address));
      },
    };
  }
}

/** As the line carries it. */
const told = (event: LogEventName): string => event;

const immediate = () => new Promise((resolve) => setImmediate(resolve));

describe('a listener on a floating address', () => {
  it('is bound at once where the address is, and to nothing else', async () => {
    const host = new Host([vip]);
    const listener = await host.listen(udp);
    expect(host.bound).toEqual(['udp:192.0.2.10:5060']);
    expect(listener).toMatchObject({ local: udp, floating: 'here' });
    expect(host.floating.status()).toEqual({ 'udp:192.0.2.10:5060': 'here, bound' });
    expect(await host.metrics.text()).toContain('altpath_vip_here{address="192.0.2.10"} 1');
    expect(host.logged).toEqual([`${told('vipHere')} udp:192.0.2.10:5060`]);
  });

  it('waits where the address is not, is bound when it comes, and says both', async () => {
    const host = new Host();
    const listener = await host.listen(udp);
    expect(host.bound).toEqual([]);
    expect(listener.floating).toBe('elsewhere');
    expect(host.floating.status()).toEqual({ 'udp:192.0.2.10:5060': 'elsewhere, not bound' });
    expect(await host.metrics.text()).toContain('altpath_vip_here{address="192.0.2.10"} 0');
    // What is sent meanwhile leaves from nowhere.
    listener.flowTo(peer).send(Buffer.from('x'));
    await immediate();
    expect(host.failures).toEqual([]);
    host.addresses.add(vip);
    await host.clock.advanceAsync(150);
    expect(host.bound).toEqual(['udp:192.0.2.10:5060']);
    expect(listener.floating).toBe('here');
    expect(host.logged).toEqual([
      `${told('vipUnbound')} udp:192.0.2.10:5060`,
      `${told('vipCame')} udp:192.0.2.10:5060`,
    ]);
  });

  it('is bound ahead of the address where the system allows it', async () => {
    const host = new Host();
    host.nonlocalBind = true;
    const listener = await host.listen(udp);
    expect(host.bound).toHaveLength(1);
    expect(listener.floating).toBe('elsewhere');
    expect(host.floating.status()).toEqual({ 'udp:192.0.2.10:5060': 'elsewhere, bound' });
    host.addresses.add(vip);
    await host.clock.advanceAsync(150);
    expect(listener.floating).toBe('here');
    expect(host.bound).toHaveLength(1);
    expect(host.logged).toEqual([
      `${told('vipElsewhere')} udp:192.0.2.10:5060`,
      `${told('vipCame')} udp:192.0.2.10:5060`,
    ]);
  });

  it('serves again when the address left and came back; its connections end with the address', async () => {
    const host = new Host([vip]);
    const [datagrams, streams] = [await host.listen(udp), await host.listen(tcp)];
    host.addresses.delete(vip);
    await host.clock.advanceAsync(900);
    expect([datagrams.floating, ...host.left], 'a link that flaps moves nothing').toEqual(['here']);
    await host.clock.advanceAsync(300);
    expect([datagrams.floating, streams.floating]).toEqual(['elsewhere', 'elsewhere']);
    expect(host.left).toEqual(['udp:192.0.2.10:5060', 'tcp:192.0.2.10:5060']);
    expect(host.closed).toEqual(['tcp:192.0.2.10:5060']);
    expect(streams.flowById('flow')).toBeUndefined();
    expect(host.logged.filter((line) => line.startsWith(told('vipLeft')))).toHaveLength(2);
    host.addresses.add(vip);
    await host.clock.advanceAsync(300);
    expect([datagrams.floating, streams.floating]).toEqual(['here', 'here']);
    expect(host.bound).toEqual(['udp:192.0.2.10:5060', 'tcp:192.0.2.10:5060', 'tcp:192.0.2.10:5060']);
  });

  it('holds what the system refuses to send for lost while the address is elsewhere, and for a failure while it is here', async () => {
    const host = new Host([vip]);
    const listener = await host.listen(udp);
    const refused: TransmitError = { reason: 'unreachable', detail: 'EINVAL', isLocal: true };
    host.inner?.failed(listener.flowTo(peer), refused);
    expect(host.failures).toEqual([refused]);
    host.addresses.delete(vip);
    // Nobody has looked since.
    host.inner?.failed(listener.flowTo(peer), refused);
    expect(host.failures).toHaveLength(1);
    await host.clock.advanceAsync(1_500);
    host.inner?.failed(listener.flowTo(peer), refused);
    expect(host.failures).toHaveLength(1);
    host.inner?.failed(listener.flowTo(peer), { reason: 'refused', detail: 'ECONNREFUSED' });
    expect(host.failures).toHaveLength(2);
  });

  it('keeps the program from starting where another program has the port; comes later, it is told once and tried again', async () => {
    const busy = new Host([vip]);
    busy.inUse = true;
    await expect(busy.listen(udp)).rejects.toThrow('EADDRINUSE');
    const host = new Host();
    await host.listen(udp);
    host.inUse = true;
    host.addresses.add(vip);
    await host.clock.advanceAsync(1_000);
    expect(host.logged.filter((line) => line === `${told('vipNotBound')} udp:192.0.2.10:5060 EADDRINUSE`)).toHaveLength(
      1,
    );
    expect(host.floating.status()).toEqual({ 'udp:192.0.2.10:5060': 'here, not bound: EADDRINUSE' });
    host.inUse = false;
    await host.clock.advanceAsync(200);
    expect(host.floating.status()).toEqual({ 'udp:192.0.2.10:5060': 'here, bound' });
  });

  it('leaves listeners on other addresses alone, and looks at nothing where no address floats', async () => {
    const host = new Host();
    expect((await host.listen({ ...udp, host: '192.0.2.1' })).floating).toBeUndefined();
    const plain = new Host([], []);
    expect(plain.clock.pending).toBe(0);
    await plain.listen({ ...udp, host: '192.0.2.1' });
    expect(plain.bound).toHaveLength(1);
  });

  it('closes, and looks no longer after stop', async () => {
    const host = new Host([vip]);
    const listener = await host.listen(udp);
    await listener.close();
    await listener.close();
    expect(host.closed).toEqual(['udp:192.0.2.10:5060']);
    host.floating.stop();
    expect(host.clock.pending).toBe(0);
  });

  it('knows an IPv6 address however it is written', async () => {
    const host = new Host(['2001:db8::10'], ['2001:DB8:0::10']);
    expect((await host.listen({ ...udp, host: '2001:0db8::10' })).floating).toBe('here');
  });

  it.each(['udp', 'tcp'] as const)(
    'on the real system: %s waits for an address that this machine has not',
    async (transport) => {
      const clock = new FakeClock();
      const parts = { clock, metrics: new Metrics(), log: pino({ level: 'silent' }) };
      const floating = new FloatingAddresses({ ...parts, addresses: ['198.51.100.77'] });
      const network = floating.over(createNetwork(parts));
      const listener = await network.bind(
        { transport, host: '198.51.100.77', port: 45_060 },
        { framing: lineFraming },
        { received: () => {}, failed: () => {} },
      );
      expect(Object.values(floating.status())).toEqual([expect.stringMatching(/^elsewhere, (not )?bound$/)]);
      await listener.close();
      floating.stop();
    },
  );
});

describe('what a controller sends of its own', () => {
  it('leaves from the floating address where that is here, else from one that stays', async () => {
    const host = new Host([vip]);
    const own = await host.listen({ ...udp, host: '192.0.2.1' });
    const floating = await host.listen(udp);
    const transmitter = new Transmitter({
      clock: host.clock,
      pool: new ControllerPool(host.clock, seededRandom(1), defaultPoolOptions),
      log: pino({ level: 'silent' }),
      metrics: host.metrics,
      protocol: 'test',
      listeners: () => [own, floating],
    });
    expect(transmitter.flowTo({ ...udp, ...peer })?.local.host).toBe(vip);
    host.addresses.delete(vip);
    await host.clock.advanceAsync(1_500);
    expect(transmitter.flowTo({ ...udp, ...peer })?.local.host).toBe('192.0.2.1');
    transmitter.stop();
  });
});

const load = (text: string): LoadedConfig<RoleSetup> =>
  loadConfig({ protocols, file: 'c.yaml', source: parseSource('c.yaml', text) });

function warnings(text: string, keepalived?: string): readonly string[] {
  const { core, roles } = load(text);
  return floatingWarnings(core, new Map([...roles].map(([name, { section }]) => [name, section])), keepalived);
}

const keepalivedConf = `
vrrp_instance sip {
  virtual_ipaddress {
    192.0.2.10/24 dev eth0   # telephones
  }
  track_script { altpath }
}
`;

describe('the configuration of a floating address', () => {
  const good = [
    'admin: 127.0.0.1:9060',
    'location: sqlite:/tmp/x.sqlite',
    'vip: [192.0.2.10]',
    'cluster: { secret: 0123456789abcdef0123456789abcdef }',
    'sip: { listen: [192.0.2.10:5060, tcp:192.0.2.10:5060] }',
  ].join('\n');

  it('is accepted without a warning when it loses nothing', () => {
    expect(load(good).core.vip).toEqual(['192.0.2.10']);
    expect(warnings(good, keepalivedConf)).toEqual([]);
    expect(warnings(good)).toEqual([]);
  });

  it.each([
    ['vip: [sip.example.com]\nsip:\n', '"sip.example.com" is no floating address'],
    ['vip: [0.0.0.0]\nsip:\n', '"0.0.0.0" is no floating address'],
    [good.replace('sip: { listen: [192.0.2.10:5060, tcp:192.0.2.10:5060] }', 'sip:'), 'nothing listens on 192.0.2.10'],
    [good.replaceAll('192.0.2.10:5060', '192.0.2.10:0'), 'nothing listens on 192.0.2.10'],
    [good.replace(/cluster.*\n/, ''), 'vip: needs cluster.secret'],
  ])('refuses what cannot serve: %j', (text, complaint) => {
    expect(() => load(text)).toThrow(complaint);
  });

  it('warns of what loses calls when the address moves', () => {
    const wildcard = 'admin: 127.0.0.1:9060\nsip: { listen: [0.0.0.0:5060], advertise: 192.0.2.10 }\n';
    expect(warnings(wildcard), 'no floating address is known: a NAT may be meant').toEqual([]);
    expect(warnings(wildcard, keepalivedConf)).toEqual([
      expect.stringMatching(
        /^sip: udp:0\.0\.0\.0:5060 \(advertise: 192\.0\.2\.10\) beside a floating address: .*name it in vip$/,
      ),
    ]);
    expect(warnings('sip: { listen: [192.0.2.10:5060] }\n', keepalivedConf)).toEqual([
      expect.stringContaining('keepalived moves 192.0.2.10: name it in vip'),
    ]);
    expect(warnings(good.replace('admin: 127.0.0.1:9060\n', ''))).toEqual([
      expect.stringContaining('keepalived cannot ask /healthz'),
    ]);
    expect(warnings(good, keepalivedConf.replace(/track_script.*/, ''))).toEqual([
      expect.stringContaining('keepalived checks nothing here'),
    ]);
    expect(warnings(good.replace(/location.*\n/, ''))).toEqual([expect.stringContaining('location memory')]);
  });

  it('reads the addresses that keepalived moves', () => {
    expect(virtualAddresses(keepalivedConf)).toEqual(['192.0.2.10']);
    expect(
      virtualAddresses(
        'virtual_ipaddress {\n 192.0.2.11\n ! 192.0.2.12\n}\nvirtual_ipaddress_excluded {\n 2001:db8::1/64 dev x\n}',
      ),
    ).toEqual(['192.0.2.11', '2001:db8::1']);
    expect(virtualAddresses('virtual_ipaddress {')).toEqual([]);
  });
});
