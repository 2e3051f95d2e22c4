/** Design §16.4 for the SIP role: partners are known over the member link, idle ones included, and nothing else changes by it. */
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createFraming } from '../../../protocols/sip/codec/framing.ts';
import { type Logger, parseAddress } from '../../../src/internal.ts';
import { domain, linkPort, type RunningRole, SipWorld } from '../../support/sip-world.ts';
import { fieldsOf, Peer, request, statusOf } from './world.ts';

const hosts = ['127.0.2.1', '127.0.2.2', '127.0.2.3'] as const;
const [a, b, c] = hosts;

let open: SipWorld | undefined;

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

interface Member extends RunningRole {
  readonly events: unknown[];
  readonly lines: string[];
}

class Cluster {
  readonly world = new SipWorld();
  readonly members = new Map<string, Member>();
  readonly hosts: readonly string[];
  readonly hasLink: boolean;

  constructor(all: readonly string[], hasLink = true) {
    open = this.world;
    this.hosts = all;
    this.hasLink = hasLink;
  }

  async start(host: string): Promise<Member> {
    const others = this.hosts.filter((each) => each !== host);
    const events: unknown[] = [];
    const lines: string[] = [];
    this.world.network.revive(host);
    const running = await this.world.node(host, {
      config: {
        domains: [domain],
        serviceRoute: true,
        listen: [`udp:${host}:5060`, `tcp:${host}:5060`, `ws:${host}:5080`],
      },
      backups: others,
      backupFor: others,
      hasLink: this.hasLink,
      events: { isHeard: true, emit: (event) => events.push(event) },
      log: recordingLog(lines),
    });
    const member = { ...running, events, lines };
    this.members.set(host, member);
    return member;
  }

  static async up(all: readonly string[], hasLink = true): Promise<Cluster> {
    const cluster = new Cluster(all, hasLink);
    for (const host of all) await cluster.start(host);
    await cluster.run(12_000);
    for (const { events, lines } of cluster.members.values()) for (const list of [events, lines]) list.length = 0;
    return cluster;
  }

  at(host: string): Member {
    const member = this.members.get(host);
    if (member === undefined) throw new Error(`no member ${host}`);
    return member;
  }

  /** What `host` says of another in `peers`. */
  row(host: string, other: string): Readonly<Record<string, unknown>> {
    const row = this.at(host)
      .role.peers()
      .find((each) => each['host'] === other);
    if (row === undefined) throw new Error(`${host} does not know ${other}`);
    return row;
  }

  run(ms: number): Promise<void> {
    return this.world.clock.advanceAsync(ms);
  }

  cutLinks(): void {
    this.world.network.onPacket(({ to }) => (to.port === linkPort ? 'drop' : undefined));
  }
}

/** Lines that an operator sees. */
const recordingLog = (lines: string[]): Logger =>
  pino({ level: 'info', base: null }, { write: (line: string) => void lines.push(line) });

const died = { kind: 'peer', state: 'died', protocol: 'sip', address: `udp:${b}:5060`, because: expect.any(String) };
const returned = { kind: 'peer', state: 'returned', protocol: 'sip', address: `udp:${b}:5060` };

describe('members of a SIP cluster', () => {
  it('know each other without a call: state, version, clock', async () => {
    const cluster = await Cluster.up([a, b]);
    expect(cluster.row(a, b)).toMatchObject({
      kind: 'member',
      state: 'alive',
      health: 'up',
      version: 'test',
      clockDifferenceMs: expect.any(Number),
    });
    expect(cluster.at(a).role.status()).toMatchObject({ members: [{ host: b, state: 'alive' }], draining: false });
    expect(await cluster.at(a).metrics.text()).toContain(`altpath_member_up{protocol="sip",member="udp:${b}:5060"} 1`);
  });

  it.each([
    ['is killed', 500, (world: SipWorld) => world.network.crash(b)],
    [
      'loses its power',
      2_000,
      (world: SipWorld) => {
        world.network.crash(b);
        world.network.silence(b);
      },
    ],
  ])('an idle partner that %s is dead, in one line and one event; and so is its return', async (_how, ms, die) => {
    const cluster = await Cluster.up([a, b]);
    const { events, lines, metrics } = cluster.at(a);
    die(cluster.world);
    await cluster.run(ms);
    expect(cluster.row(a, b)).toMatchObject({ state: 'dead', health: 'down' });
    await cluster.run(20_000);
    expect(events).toEqual([died]);
    expect(lines.filter((line) => /dead|down/.test(line))).toHaveLength(1);
    expect(await metrics.text()).toContain('altpath_member_deaths_total{protocol="sip"} 1');
    expect(await metrics.text()).toContain(`altpath_member_up{protocol="sip",member="udp:${b}:5060"} 0`);
    lines.length = 0;
    await cluster.start(b);
    await cluster.run(1_500);
    expect(cluster.row(a, b)).toMatchObject({ state: 'returning', health: 'recovering' });
    await cluster.run(15_000);
    expect(cluster.row(a, b)).toMatchObject({ state: 'alive', health: 'up' });
    expect(events).toEqual([died, returned]);
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual([expect.stringMatching(/returning|answers again/)]);
  });

  it('a partner that is not there when we start is no death, and its coming no return', async () => {
    const cluster = new Cluster([a, b]);
    const { events } = await cluster.start(a);
    await cluster.run(5_000);
    expect(cluster.row(a, b)).toMatchObject({ state: 'dead', health: 'down' });
    await cluster.start(b);
    await cluster.run(20_000);
    expect(cluster.row(a, b)).toMatchObject({ state: 'alive', health: 'up' });
    expect(events).toEqual([]);
  });

  it('a cut link alone moves nothing; a death after that is noticed all the same', async () => {
    const cluster = await Cluster.up([a, b]);
    cluster.cutLinks();
    await cluster.run(60_000);
    expect(cluster.row(a, b)).toMatchObject({ state: 'suspect', health: 'up' });
    expect(cluster.at(a).events).toEqual([]);
    cluster.world.network.silence(b);
    await cluster.run(2_500);
    expect(cluster.row(a, b)).toMatchObject({ state: 'dead', health: 'down' });
    expect(cluster.at(a).events).toEqual([died]);
  });

  it('a partner that is drained is not tried first from then on, and is back after a restart', async () => {
    const cluster = await Cluster.up([a, b]);
    const drained = cluster.at(b).role.drain(2_000);
    await cluster.run(50);
    expect(cluster.row(a, b)).toMatchObject({ state: 'leaving', health: 'refusing' });
    expect(cluster.at(b).role.status()).toMatchObject({ draining: true });
    await cluster.run(3_000);
    await drained;
    cluster.world.network.crash(b);
    await cluster.run(3_000);
    await cluster.start(b);
    await cluster.run(16_000);
    expect(cluster.row(a, b)).toMatchObject({ state: 'alive', health: 'up' });
  });

  it('a takeover says how long ago the partner was last heard, by the link as well', async () => {
    const cluster = await Cluster.up([a, b]);
    const bob = await Phone.at(cluster, 'udp:127.0.7.2:5060');
    await bob.ask('REGISTER', a, 'register');
    const alice = await Phone.at(cluster, 'udp:127.0.7.1:5060', undefined, 'alice');
    cluster.world.network.crash(b);
    await cluster.run(1_500);
    await alice.ask('MESSAGE', a, 'told', `Route: <sip:${b}:5060;lr>\r\n`);
    const [line, more] = cluster.at(a).lines.filter((each) => each.includes('"event":"takeover"'));
    expect(more).toBeUndefined();
    const { gapMs } = JSON.parse(line ?? '{}');
    // A pair without calls hears of each other by the link alone, once a second at most.
    expect(gapMs).toBeGreaterThanOrEqual(1_500);
    expect(gapMs).toBeLessThanOrEqual(2_600);
  });

  it('name a member that is known to be dead last, before anything was sent to it', async () => {
    const cluster = await Cluster.up([a, b, c]);
    const named = async (callId: string) => {
      const phone = await Phone.at(cluster, `udp:127.0.7.${callId.length}:5060`);
      await phone.ask('REGISTER', a, callId);
      return /AlternatePath="([^"]*)"/.exec(fieldsOf(phone.last, 'service-route').join())?.[1];
    };
    expect(await named('1')).toBe(`sip:${b}:5060;transport=udp sip:${c}:5060;transport=udp`);
    cluster.world.network.crash(b);
    await cluster.run(1_000);
    expect(await named('22')).toBe(`sip:${c}:5060;transport=udp sip:${b}:5060;transport=udp`);
  });

  it('without a secret there is no link, and nobody is asked unless something is sent there', async () => {
    const cluster = await Cluster.up([a, b], false);
    cluster.world.network.crash(b);
    await cluster.run(20_000);
    expect(cluster.row(a, b)).toMatchObject({ kind: 'peer', health: 'up' });
    expect(cluster.at(a).role.status()).toMatchObject({ members: [] });
  });
});

describe('RFC 5626 §5.3 a telephone whose member has died', () => {
  it.each([
    [300, 4_500],
    [3_000, 2_000],
    [6_000, 100],
  ])(
    'is waited for until it has had the time to connect anew: a call %i ms after the death ends within %i ms',
    async (afterMs, withinMs) => {
      const cluster = await Cluster.up([a, b]);
      const bob = await Phone.at(cluster, 'ws:127.0.7.2:5060', 'sip:bob@df7jal23ls0d.invalid;transport=ws');
      await bob.ask('REGISTER', b, 'register');
      expect(statusOf(bob.last)).toBe(200);
      cluster.world.network.crash(b);
      await cluster.run(afterMs);
      const alice = await Phone.at(cluster, 'udp:127.0.7.1:5060', undefined, 'alice');
      await alice.ask('INVITE', a, 'call');
      await cluster.run(withinMs);
      expect(statusOf(alice.last)).toBe(480);
    },
  );

  it('is called where it is back in time', async () => {
    const cluster = await Cluster.up([a, b]);
    const bob = await Phone.at(cluster, 'ws:127.0.7.2:5060', 'sip:bob@df7jal23ls0d.invalid;transport=ws');
    await bob.ask('REGISTER', b, 'register');
    cluster.world.network.crash(b);
    await cluster.run(400);
    const alice = await Phone.at(cluster, 'udp:127.0.7.1:5060', undefined, 'alice');
    await alice.ask('INVITE', a, 'call');
    await cluster.run(1_000);
    bob.take();
    await bob.ask('REGISTER', a, 'again');
    await cluster.run(100);
    expect(bob.texts.some((text) => text.startsWith('INVITE'))).toBe(true);
  });
});

/** Registers as bob, or calls him. */
class Phone extends Peer {
  readonly cluster: Cluster;
  readonly contact: string;
  readonly user: string;

  constructor(cluster: Cluster, address: string, contact: string | undefined, user: string) {
    super(parseAddress(address, { port: 5_060 }));
    this.cluster = cluster;
    this.user = user;
    this.contact = contact ?? `sip:${user}@${this.address.host}:5060`;
  }

  static async at(cluster: Cluster, address: string, contact?: string, user = 'bob'): Promise<Phone> {
    const phone = new Phone(cluster, address, contact, user);
    phone.listener = await cluster.world.network
      .host(phone.address.host)
      .bind(phone.address, { framing: createFraming }, { received: phone.received, failed: phone.failed });
    return phone;
  }

  async ask(method: string, host: string, callId: string, fields = ''): Promise<void> {
    const own = `<sip:${this.user}@${domain}>`;
    const isRegister = method === 'REGISTER';
    this.send(
      request(method, {
        transport: this.address.transport.toUpperCase(),
        uri: isRegister ? `sip:${domain}` : `sip:bob@${domain}`,
        via: `${this.address.host}:5060;rport`,
        branch: `z9hG4bK${callId}`,
        from: `${own};tag=${callId}`,
        to: isRegister ? own : `<sip:bob@${domain}>`,
        callId,
        fields: `${fields}Supported: path, outbound\r\nContact: <${this.contact}>\r\n`,
      }),
      { host, port: this.address.transport === 'ws' ? 5_080 : 5_060 },
    );
    await this.cluster.run(50);
  }
}
