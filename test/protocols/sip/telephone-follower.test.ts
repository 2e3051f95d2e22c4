import { beforeEach, describe, expect, it } from 'vitest';
import { PathFollower } from '../../../protocols/sip/telephone/path-follower.ts';
import { type Listener, Metrics, readTrustRule, type SocketAddress, silentLog } from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryNetwork } from '../../support/memory-network.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const primary = '127.0.0.1';
const backup = '127.0.0.2';
const phone = '127.0.0.3';
const stranger = '127.0.0.9';
const victim = '127.0.0.8';
const tag = `;AlternatePath="sip:${backup}:5060;transport=udp"`;

/** A follower on a memory network, a user agent above it that a test speaks for, and controllers that it speaks for as well. */
class World {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly metrics = new Metrics();
  /** What the user agent was given. */
  readonly given: string[] = [];
  /** What each host got, probes left out. */
  readonly got = new Map<string, string[]>();
  readonly #listeners = new Map<string, Listener>();
  #follower: PathFollower | undefined;

  async up(): Promise<void> {
    const host = this.network.host(phone);
    const follower = new PathFollower({
      clock: host.clock,
      random: seededRandom(3),
      log: silentLog,
      metrics: this.metrics,
      network: host,
      listen: { transport: 'udp', host: phone, port: 5060 },
      controllers: [],
      trust: { trust: [readTrustRule(primary) ?? never()], allow: [], strip: 'none' },
      ownsVia: false,
      deliver: (bytes) => this.given.push(firstLine(bytes.toString('latin1'))),
    });
    this.#follower = follower;
    const started = follower.start();
    await started;
    for (const each of [primary, backup, stranger, victim]) await this.#bind(each);
  }

  async #bind(address: string): Promise<void> {
    const heard: string[] = [];
    this.got.set(address, heard);
    const listener = await this.network.host(address).bind(
      { transport: 'udp', host: address, port: 5060 },
      {},
      {
        received: (bytes, flow) => {
          const text = bytes.toString('latin1');
          // Every living controller answers probes.
          if (text.includes('z9hG4bKprobe')) flow.send(Buffer.from(answerTo(text, '200 OK')));
          else heard.push(text);
        },
        failed: () => undefined,
      },
    );
    this.#listeners.set(address, listener);
  }

  /** The user agent sends. */
  say(text: string, to = primary): void {
    this.#follower?.send(Buffer.from(text, 'latin1'), { host: to, port: 5060 });
  }

  /** A controller sends to the follower. */
  speak(from: string, text: string, to: SocketAddress = { host: phone, port: 5060 }): void {
    this.#listeners.get(from)?.flowTo(to).send(Buffer.from(text, 'latin1'));
  }

  heard(address: string): readonly string[] {
    return (this.got.get(address) ?? []).map(firstLine);
  }

  last(address: string): string {
    return this.got.get(address)?.at(-1) ?? '';
  }

  stop(): Promise<void> {
    return this.#follower?.stop() ?? Promise.resolve();
  }
}

const firstLine = (text: string): string => text.slice(0, text.indexOf('\r\n'));

function never(): never {
  throw new Error('cannot be');
}

const request = (method: string, branch: string, extra = '', toTag = ''): string =>
  `${method} sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP ${phone}:5060;branch=z9hG4bK${branch};rport\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\nTo: <sip:bob@example.com>${toTag}\r\nCall-ID: one\r\nCSeq: 1 ${method}\r\n${extra}Content-Length: 0\r\n\r\n`;

/** What a controller answers: its Record-Route, tagged. */
function answerTo(text: string, status: string, fields = ''): string {
  const kept = text.split('\r\n').filter((line) => /^(Via|From|To|Call-ID|CSeq|Record-Route):/.test(line));
  return `SIP/2.0 ${status}\r\n${kept.map((line) => (/^To:.*(?<!tag=b)$/.test(line) ? `${line};tag=b` : line)).join('\r\n')}\r\n${fields}Content-Length: 0\r\n\r\n`;
}

const recordRoute = (host = primary, named = tag): string => `Record-Route: <sip:${host}:5060;lr>${named}\r\n`;

const invitation = (from: string, named = tag): string =>
  `INVITE sip:alice@${phone} SIP/2.0\r\nVia: SIP/2.0/UDP ${from}:5060;branch=z9hG4bKin${named}\r\nMax-Forwards: 70\r\nFrom: <sip:carol@example.com>;tag=c\r\nTo: <sip:alice@example.com>\r\nCall-ID: two\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n`;

let world: World;

beforeEach(async () => {
  world = new World();
  await world.up();
  return () => world.stop();
});

/** The follower has learned of the backup from an answered OPTIONS. */
function introduced(): void {
  world.say(request('OPTIONS', 'first'));
  world.clock.advance(5);
  world.speak(primary, answerTo(world.last(primary), '200 OK', recordRoute()));
  world.clock.advance(5);
}

describe('docs/alternate-path.md §4 requests', () => {
  it('go to the backup with the same transaction identity when the primary is silent', () => {
    introduced();
    world.network.silence(primary);
    const invite = request('INVITE', 'second');
    world.say(invite);
    world.clock.advance(990);
    expect(world.heard(backup)).toEqual([]);
    world.clock.advance(20);
    expect(world.got.get(backup)).toEqual([invite]);
  });

  it('go to the backup at once when the primary refuses them (ICMP), and the next ones go nowhere else', () => {
    introduced();
    world.network.crash(primary);
    world.say(request('MESSAGE', 'second'));
    world.clock.advance(10);
    expect(world.heard(backup)).toHaveLength(1);
    world.say(request('MESSAGE', 'third'));
    world.clock.advance(3);
    expect(world.heard(backup)).toHaveLength(2);
  });

  it('are answered 503 where nobody is there (RFC 3261 §8.1.3.1), and the ACK of that goes nowhere', () => {
    world.network.crash(victim);
    const invite = request('INVITE', 'gone');
    world.say(invite, victim);
    world.clock.advance(500);
    for (let waitMs = 500; waitMs <= 1_000; waitMs += 500) {
      world.say(invite, victim);
      world.clock.advance(waitMs);
    }
    expect(world.given).toEqual(['SIP/2.0 503 Service Unavailable - nobody there']);
    world.say(request('ACK', 'gone', '', ';tag=unreachable'), victim);
    world.say(invite, victim);
    world.clock.advance(1_000);
    expect(world.given).toHaveLength(1);
  });

  it('a ringing INVITE moves when probes find the primary silent', () => {
    introduced();
    world.say(request('INVITE', 'second'));
    world.clock.advance(5);
    world.speak(primary, answerTo(world.last(primary), '180 Ringing', recordRoute()));
    world.clock.advance(5);
    world.network.silence(primary);
    world.clock.advance(1_600);
    expect(world.heard(backup)).toEqual(['INVITE sip:bob@example.com SIP/2.0']);
    expect(world.given).toContain('SIP/2.0 180 Ringing');
  });

  it('CANCEL goes where its INVITE went', () => {
    introduced();
    world.network.crash(primary);
    world.say(request('INVITE', 'second'));
    world.clock.advance(10);
    world.say(request('CANCEL', 'second'));
    world.clock.advance(3);
    expect(world.heard(backup).map((line) => line.split(' ')[0])).toEqual(['INVITE', 'CANCEL']);
  });

  it('a 503 of the primary is kept from the user agent, and acknowledged', () => {
    introduced();
    world.say(request('INVITE', 'second'));
    world.clock.advance(5);
    world.speak(primary, answerTo(world.last(primary), '503 Service Unavailable'));
    world.clock.advance(5);
    expect(world.heard(primary).at(-1)).toMatch(/^ACK /);
    expect(world.heard(backup)).toEqual(['INVITE sip:bob@example.com SIP/2.0']);
    expect(world.given).toEqual(['SIP/2.0 200 OK']);
  });

  it('the primary gets new work again once it has answered probes for the hold time', () => {
    introduced();
    world.network.silence(primary);
    world.say(request('MESSAGE', 'second'));
    world.clock.advance(1_100);
    world.speak(backup, answerTo(world.last(backup), '200 OK'));
    world.network.revive(primary);
    world.clock.advance(16_000);
    const before = world.heard(primary).length;
    world.say(request('MESSAGE', 'third'));
    world.clock.advance(5);
    expect(world.heard(primary)).toHaveLength(before + 1);
  });
});

describe('docs/alternate-path.md §4 ACK of a 2xx', () => {
  it('goes to the backup when the 2xx comes again, and the user agent hears of it once', () => {
    introduced();
    world.say(request('INVITE', 'second'));
    world.clock.advance(5);
    const ok = answerTo(world.last(primary), '200 OK', recordRoute());
    world.speak(primary, ok);
    world.clock.advance(5);
    world.say(request('ACK', 'third', `Route: <sip:${primary}:5060;lr>${tag}\r\n`, ';tag=b'));
    world.clock.advance(5);
    expect(world.heard(primary).at(-1)).toMatch(/^ACK /);
    world.network.silence(primary);
    world.speak(backup, ok);
    world.clock.advance(5);
    expect(world.heard(backup)).toEqual(['ACK sip:bob@example.com SIP/2.0']);
    expect(world.given.filter((line) => line === 'SIP/2.0 200 OK')).toHaveLength(2);
  });
});

describe('docs/alternate-path.md §4 responses', () => {
  it('a 2xx without ACK is repeated along both ways by turns, until the ACK comes', () => {
    introduced();
    world.speak(primary, invitation(primary));
    world.clock.advance(5);
    world.network.silence(primary);
    world.say(answerTo(invitation(primary), '200 OK'));
    world.clock.advance(510);
    expect(world.heard(backup)).toEqual(['SIP/2.0 200 OK']);
    const sent = world.heard(backup).length;
    world.speak(
      backup,
      `ACK sip:alice@${phone} SIP/2.0\r\nVia: SIP/2.0/UDP ${backup}:5060;branch=z9hG4bKack\r\nFrom: <sip:carol@example.com>;tag=c\r\nTo: <sip:alice@example.com>;tag=b\r\nCall-ID: two\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n`,
    );
    world.clock.advance(32_000);
    expect(world.heard(backup)).toHaveLength(sent);
  });

  it('a 2xx goes at once to a backup that asks again', () => {
    introduced();
    world.speak(primary, invitation(primary));
    world.clock.advance(5);
    world.say(answerTo(invitation(primary), '200 OK'));
    world.clock.advance(5);
    // RFC 6026 §7.1: the user agent's own transaction says nothing to that.
    world.speak(backup, invitation(primary));
    world.clock.advance(5);
    expect(world.heard(backup)).toEqual(['SIP/2.0 200 OK']);
  });

  it('go to the controller that repeated the request', () => {
    introduced();
    const bye = invitation(primary).replaceAll('INVITE', 'BYE');
    world.speak(primary, bye);
    world.clock.advance(5);
    world.say(answerTo(bye, '200 OK'));
    world.clock.advance(5);
    expect(world.heard(primary).at(-1)).toBe('SIP/2.0 200 OK');
    const before = world.heard(primary).length;
    world.speak(backup, bye);
    world.clock.advance(5);
    world.say(answerTo(bye, '200 OK'));
    world.clock.advance(5);
    expect(world.heard(backup)).toEqual(['SIP/2.0 200 OK']);
    expect(world.heard(primary)).toHaveLength(before);
  });
});

describe('docs/alternate-path.md §8 trust', () => {
  it('a stranger names alternates in vain', async () => {
    introduced();
    world.speak(stranger, invitation(stranger, `;AlternatePath="sip:${victim}"`));
    world.clock.advance(5);
    world.network.silence(stranger);
    world.say(answerTo(invitation(stranger), '200 OK'), stranger);
    world.clock.advance(4_000);
    expect(world.heard(victim)).toEqual([]);
    // The same for the route of a dialog: what a stranger says of the primary counts for nothing.
    world.speak(
      stranger,
      invitation(stranger, '').replace('Call-ID', `${recordRoute(primary, `;AlternatePath="sip:${stranger}"`)}Call-ID`),
    );
    world.clock.advance(5);
    world.network.crash(primary);
    const before = world.heard(stranger).length;
    world.say(request('MESSAGE', 'second'));
    world.clock.advance(10);
    expect(world.heard(backup)).toHaveLength(1);
    expect(world.heard(stranger)).toHaveLength(before);
    expect(await world.metrics.text()).toMatch(/sip_alternates_refused_total\S* [1-9]/);
  });
});
