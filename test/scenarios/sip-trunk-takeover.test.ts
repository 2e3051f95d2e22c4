/** docs/adr/0020: a controller dies while its carrier asks for credentials, and while it is registered there. No call is placed twice. */
import { afterEach, describe, expect, it } from 'vitest';
import { membersAhead } from '../../protocols/sip/trunks/trunk-service.ts';
import { type ControllerAddress, type Flow, readTrustRule } from '../../src/internal.ts';
import { type CarrierOptions, SimCarrier } from '../support/sip-carrier.ts';
import { domain, hosts, SipWorld } from '../support/sip-world.ts';

const carrierHost = '127.0.5.1:5060';
const callerHost = '127.0.3.1';
const number = `sip:+4930123@${domain}`;
const users = { user: 'trunk1', password: 'secret' };

interface Up {
  readonly world: SipWorld;
  readonly carrier: SimCarrier;
  readonly heard: string[];
  send(host: string, text: string): void;
}

let open: SipWorld | undefined;

afterEach(async () => {
  await open?.stop();
  open = undefined;
});

const nodeOptions = (host: string, trunk: object) => {
  const other = host === hosts.primary ? hosts.backup : hosts.primary;
  return {
    config: { domains: [domain], trunks: [{ name: 'carrier', to: [carrierHost], pingSeconds: 0, ...users, ...trunk }] },
    backups: [other],
    backupFor: [other],
    trust: {
      trust: [callerHost].map(readTrustRule).filter((rule) => rule !== undefined),
      allow: [],
      strip: 'none' as const,
    },
  };
};

async function up(trunk: object = {}, carrierOptions: CarrierOptions = { algorithms: ['SHA-256'] }): Promise<Up> {
  const world = new SipWorld();
  open = world;
  // The calendar counts CSeq numbers, from 2024 on.
  world.clock.steppedMs = 50_000_000_000;
  const carrier = await SimCarrier.at(world.network, world.clock, carrierHost, carrierOptions);
  await world.node(hosts.primary, nodeOptions(hosts.primary, trunk));
  await world.node(hosts.backup, nodeOptions(hosts.backup, trunk));
  const heard: string[] = [];
  const listener = await world.network
    .host(callerHost)
    .bind(
      { transport: 'udp', host: callerHost, port: 5060 },
      { maxMessageBytes: 65_535 },
      { received: (bytes) => heard.push(bytes.toString('latin1')), failed: () => undefined },
    );
  const send = (host: string, text: string): void => {
    const flow: Flow | undefined = listener.flowTo({ host, port: 5060 });
    flow?.send(Buffer.from(text, 'latin1'));
  };
  return { world, carrier, heard, send };
}

const request = (method: string, cseq: number, fields = '', to = ''): string =>
  [
    `${method} ${number} SIP/2.0`,
    `Via: SIP/2.0/UDP ${callerHost}:5060;branch=z9hG4bKcaller1`,
    'Max-Forwards: 70',
    `Route: <sip:${hosts.primary}:5060;lr>`,
    `From: <sip:alice@${domain}>;tag=alice1`,
    `To: <${number}>${to}`,
    'Call-ID: one@call',
    `CSeq: ${cseq} ${method}`,
    `Contact: <sip:alice@${callerHost}:5060>`,
    `${fields}Content-Length: 0`,
    '',
    '',
  ].join('\r\n');

const statuses = (heard: readonly string[]): readonly string[] => heard.map((text) => text.slice(8, 11));
const cseqOf = (text: string): string => /^CSeq: ([^\r]*)/im.exec(text)?.[1] ?? '';

describe('the primary dies in the middle of the attempts at a trunk', () => {
  const moments = {
    'with the first INVITE at the carrier': (text: string) => text.startsWith('INVITE') && cseqOf(text) === '1 INVITE',
    'with the challenge on its way': (text: string) => text.startsWith('SIP/2.0 407'),
    'with the ACK of the challenge on its way': (text: string) => text.startsWith('ACK'),
    'with the second INVITE on its way': (text: string) => text.startsWith('INVITE') && cseqOf(text) === '2 INVITE',
    'with the call ringing': (text: string) => text.startsWith('SIP/2.0 180'),
  };

  it.each(Object.entries(moments))('%s: one call', async (_name, isMoment) => {
    const { world, carrier, heard, send } = await up();
    let isDead = false;
    world.network.onPacket(({ bytes, from, to }) => {
      const isBetween = from.host === '127.0.5.1' || to.host === '127.0.5.1';
      if (isDead || !isBetween || !isMoment(bytes.toString('latin1'))) return;
      isDead = true;
      // What is under way arrives.
      world.clock.after(3, () => world.network.crash(hosts.primary));
    });
    send(hosts.primary, request('INVITE', 1));
    await world.clock.advanceAsync(50);
    expect(isDead).toBe(true);
    // The caller hears nothing and repeats the very same INVITE at the backup.
    await world.clock.advanceAsync(1_000);
    send(hosts.backup, request('INVITE', 1));
    await world.clock.advanceAsync(20_000);
    expect(carrier.placed).toEqual(['one@call']);
    expect(statuses(heard)).toContain('180');
    expect(new Set(heard.map(cseqOf))).toEqual(new Set(['1 INVITE']));
  });

  it('late as well: the carrier has forgotten the first attempt', async () => {
    const { world, carrier, heard, send } = await up();
    send(hosts.primary, request('INVITE', 1));
    await world.clock.advanceAsync(50);
    expect(carrier.placed).toHaveLength(1);
    world.network.crash(hosts.primary);
    await world.clock.advanceAsync(10_000);
    heard.length = 0;
    send(hosts.backup, request('INVITE', 1));
    await world.clock.advanceAsync(3_000);
    expect(carrier.placed).toHaveLength(1);
    // Twice without credentials: nothing was placed by it.
    expect(carrier.of('INVITE').map(cseqOf)).toEqual(['1 INVITE', '2 INVITE', '1 INVITE', '2 INVITE']);
    expect(statuses(heard)).toContain('180');
  });

  it('a CANCEL that the backup gets reaches the attempt that rings', async () => {
    const { world, carrier, send } = await up();
    send(hosts.primary, request('INVITE', 1));
    await world.clock.advanceAsync(50);
    world.network.crash(hosts.primary);
    send(hosts.backup, request('CANCEL', 1));
    await world.clock.advanceAsync(500);
    const branches = carrier.of('INVITE').map((text) => /branch=([^;\r]*)/.exec(text)?.[1]);
    expect(carrier.of('CANCEL').map((text) => /branch=([^;\r]*)/.exec(text)?.[1])).toContain(branches.at(-1));
    expect(carrier.of('CANCEL').map(cseqOf)).toContain('2 CANCEL');
  });

  it('an answer that comes to the backup goes to the caller with his own CSeq', async () => {
    const { world, carrier, heard, send } = await up();
    send(hosts.primary, request('INVITE', 1));
    await world.clock.advanceAsync(50);
    world.network.crash(hosts.primary);
    heard.length = 0;
    carrier.say(200, '', hosts.backup);
    await world.clock.advanceAsync(100);
    expect(statuses(heard)).toEqual(['200']);
    expect(heard.map(cseqOf)).toEqual(['1 INVITE']);
    // And the dialog goes on over the backup, with the carrier's numbers.
    const route = /^Record-Route: ([^\r]*)/im.exec(heard[0] ?? '')?.[1] ?? '';
    for (const [method, cseq] of [
      ['ACK', 1],
      ['BYE', 2],
    ] as const)
      send(
        hosts.backup,
        request(method, cseq, '', ';tag=carrier')
          .replace(/^Route: [^\r]*/m, `Route: ${route}`)
          .replace(`${method} ${number}`, `${method} sip:gw@${carrierHost}`)
          .replace('caller1', `caller${method}`),
      );
    await world.clock.advanceAsync(100);
    expect(carrier.of('ACK').map(cseqOf)).toContain('2 ACK');
    expect(carrier.problems).toEqual([]);
    expect(statuses(heard).at(-1)).toBe('200');
  });

  it('a challenge that comes to the backup is no answer for the caller', async () => {
    const { world, carrier, heard, send } = await up();
    carrier.silent = true;
    send(hosts.primary, request('INVITE', 1));
    await world.clock.advanceAsync(50);
    world.network.crash(hosts.primary);
    carrier.silent = false;
    carrier.challengeLast(hosts.backup);
    await world.clock.advanceAsync(100);
    expect(statuses(heard).filter((status) => status !== '100')).toEqual([]);
    expect(carrier.of('ACK')).toHaveLength(1);
  });
});

describe('registration with a carrier follows the living', () => {
  const contacts = (carrier: SimCarrier): readonly string[] => [...carrier.contacts.keys()];
  const own = (host: string): string => `sip:trunk1@${host}:5060`;

  it('primary, backup when it dies, primary when it is back: one contact, one Call-ID, rising CSeq', async () => {
    const { world, carrier } = await up({ register: true });
    await world.clock.advanceAsync(1_000);
    expect(contacts(carrier)).toEqual([own(hosts.primary)]);
    world.network.crash(hosts.primary);
    await world.clock.advanceAsync(4_000);
    expect(contacts(carrier)).toEqual([own(hosts.backup)]);
    world.network.revive(hosts.primary);
    await world.node(hosts.primary, nodeOptions(hosts.primary, { register: true }));
    await world.clock.advanceAsync(4_000);
    expect(contacts(carrier)).toEqual([own(hosts.primary)]);
    const all = carrier.of('REGISTER');
    expect(new Set(all.map((text) => /^Call-ID: ([^\r]*)/im.exec(text)?.[1])).size).toBe(1);
    const numbers = all.map((text) => Number(cseqOf(text).split(' ')[0]));
    expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
    // Later refreshes are the primary's alone, with the nonce that it has (RFC 7616 §3.4: nc).
    const before = all.length;
    await world.clock.advanceAsync(2_800_000);
    const refresh = carrier.of('REGISTER').slice(before);
    expect(refresh).toHaveLength(1);
    expect(refresh[0]).toContain('nc=00000002');
    expect(refresh[0]).not.toContain('expires=0');
  });

  it('a controller that drains takes its contact out, and the backup registers', async () => {
    const { world, carrier } = await up({ register: true });
    await world.clock.advanceAsync(1_000);
    void world.roleAt(hosts.primary)?.role.drain(0);
    await world.clock.advanceAsync(100);
    expect(contacts(carrier)).toEqual([]);
    world.network.crash(hosts.primary);
    await world.clock.advanceAsync(4_000);
    expect(contacts(carrier)).toEqual([own(hosts.backup)]);
  });

  it('423, 503 with Retry-After and a wrong password: asked again, later each time', async () => {
    const { world, carrier } = await up({ register: true, registerSeconds: 60 }, { algorithms: [] });
    carrier.refuse.push(503, 403, 403, 403);
    await world.clock.advanceAsync(600_000);
    expect(contacts(carrier)).toEqual([own(hosts.primary)]);
    expect(carrier.of('REGISTER').length).toBeGreaterThan(4);
  });

  it('a carrier that is not there is asked again, less and less often', async () => {
    const { world, carrier } = await up({ register: true });
    carrier.silent = true;
    await world.clock.advanceAsync(3_600_000);
    const tries = new Set(carrier.of('REGISTER').map(cseqOf)).size;
    expect(tries).toBeGreaterThan(3);
    expect(tries).toBeLessThan(30);
    carrier.silent = false;
    await world.clock.advanceAsync(1_900_000);
    expect(contacts(carrier)).toHaveLength(1);
  });
});

describe('which member registers', () => {
  const at = (host: string): ControllerAddress => ({ transport: 'udp', host, port: 5_060 });
  const [a, b, c] = [at('192.0.2.1'), at('192.0.2.2'), at('192.0.2.3')];

  it('the first of the operator’s list, also where ours is a wildcard', () => {
    const cluster = { secret: 's', backups: [a, c], backupFor: [a, c] };
    expect(membersAhead({ ...cluster, order: [a, b, c] }, b)).toEqual([a]);
    expect(membersAhead({ ...cluster, order: [a, at('0.0.0.0'), c] }, b)).toEqual([a]);
    expect(membersAhead({ ...cluster, backups: [b, c], backupFor: [b, c], order: [at('0.0.0.0'), b, c] }, a)).toEqual(
      [],
    );
  });

  it('a primary rather than its mere backup; of two that are each other’s backup the lower address', () => {
    expect(membersAhead({ secret: 's', backups: [], backupFor: [a] }, b)).toEqual([a]);
    expect(membersAhead({ secret: 's', backups: [b], backupFor: [] }, a)).toEqual([]);
    expect(membersAhead({ secret: 's', backups: [a], backupFor: [a] }, b)).toEqual([a]);
    expect(membersAhead({ secret: 's', backups: [b], backupFor: [b] }, a)).toEqual([]);
  });
});
