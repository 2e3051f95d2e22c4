/** What is refused before it is decoded is refused as it would be after: the same response, for requests of the same kind, and for no others. */
import { describe, expect, it } from 'vitest';
import { decode } from '../../../protocols/sip/codec/decode.ts';
import { response } from '../../../protocols/sip/codec/encode.ts';
import { H } from '../../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../../protocols/sip/codec/messages.ts';
import { EarlyRefusal } from '../../../protocols/sip/overload/early-refusal.ts';
import { stampedVia } from '../../../protocols/sip/proxy/forward.ts';
import { type Flow, Metrics, OverloadControl, silentLog } from '../../../src/internal.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { octetsOf, tortureMessages } from './torture.ts';
import { request } from './world.ts';

const localTag = (callId: string, fromTag: string, cseq: number): string =>
  `tag-of-${callId}-${fromTag}-${cseq}`.replaceAll(/[^\w-]/g, '');

class Rig {
  readonly clock = new FakeClock();
  readonly sent: string[] = [];
  readonly underWay = new Set<string>();
  readonly control: OverloadControl;
  readonly early: EarlyRefusal;
  isPressed = true;

  constructor() {
    this.control = new OverloadControl({
      clock: this.clock,
      random: seededRandom(3),
      log: silentLog,
      metrics: new Metrics(),
      sensor: { sample: () => ({ delayMs: 0, utilization: 1, queued: this.isPressed ? 1 : 0 }) },
      settings: { keptPerSecond: 1, retryAfterSeconds: 10 },
    });
    this.early = new EarlyRefusal({
      overload: this.control,
      isUnderWay: (key) => this.underWay.has(key),
      isEmergency: (user) => user === '112',
      localTag,
    });
  }

  overloaded(): this {
    this.control.start();
    for (let n = 0; n < 80; n += 1) {
      for (let each = 0; each < 200; each += 1) this.control.admits();
      this.clock.advance(100);
    }
    return this;
  }

  readonly flow = (host = '127.0.0.9', port = 5_062): Flow => ({
    transport: 'udp',
    reliable: false,
    local: { host: '127.0.0.1', port: 5_060 },
    remote: { host, port },
    id: host,
    send: (bytes) => {
      this.sent.push(Buffer.from(bytes).toString('latin1'));
    },
    close: () => undefined,
  });

  turnsAway(text: string, flow = this.flow()): boolean {
    return this.early.turnsAway(Buffer.from(text, 'latin1'), flow);
  }
}

const decoded = (text: string): SipMessage => {
  const read = decode(Buffer.from(text, 'latin1'));
  if (!read.ok) throw new Error(read.error.reason);
  return read.value;
};

/** Names and values that matter, whatever their order. */
const gist = (text: string): readonly unknown[] => {
  const read = decoded(text);
  return [
    read.status,
    read.list(H.via),
    read.from.uri,
    read.fromTag,
    read.to.uri,
    read.toTag,
    read.callId,
    read.cseq,
    read.method,
  ];
};

function theLongWay(text: string, flow: Flow): string {
  const read = decoded(text);
  return response(read, 503, 'Service Unavailable - overload', {
    toTag: localTag(read.callId, read.fromTag, read.cseq),
    topVia: stampedVia(read, flow),
  });
}

const via = (more: string): string => `127.0.0.9:5062${more}`;

describe('a new INVITE under overload', () => {
  it.each([
    ['as telephones write it', request('INVITE', { via: via('') }), undefined],
    ['with rport (RFC 3581)', request('INVITE', { via: via(';rport') }), undefined],
    ['from behind a NAT', request('INVITE', { via: '10.0.0.5:5060;rport' }), undefined],
    [
      'with a received of its own, which is not believed',
      request('INVITE', { via: via(';received=192.0.2.99') }),
      undefined,
    ],
    ['in compact form', compact(request('INVITE', { via: via('') })), undefined],
    ['through two proxies', twoVias(request('INVITE', { via: via('') })), 'none'],
    ['with a body', request('INVITE', { via: via(''), body: 'v=0\r\nTo: <sip:x@y>;tag=1\r\n' }), undefined],
    ['with a parameter named tag in a URI', request('INVITE', { via: via(''), to: '<sip:bob@x;tag=1>' }), undefined],
  ])('%s', (_what, text, retry) => {
    const rig = new Rig().overloaded();
    const flow = rig.flow();
    // Some are always taken.
    const turned = Array.from({ length: 10 }, () => rig.turnsAway(text, flow));
    expect(turned.filter((each) => each).length).toBeGreaterThan(8);
    expect(gist(rig.sent[0] ?? '')).toEqual(gist(theLongWay(text, flow)));
    expect(new Set(rig.sent.map((each) => decoded(each).toTag)).size).toBe(1);
    for (const each of rig.sent) {
      const seconds = Number(/^Retry-After: (\d+)\r$/m.exec(each)?.[1] ?? Number.NaN);
      if (retry === 'none') expect(seconds).toBeNaN();
      else expect(seconds >= 5 && seconds <= 15).toBe(true);
    }
  });

  it.each([
    ['its dialog', request('INVITE', { via: via(''), to: '<sip:b@x>;tag=9' })],
    ['its dialog, written with blanks', request('INVITE', { via: via(''), to: '<sip:b@x> ; tag = 9' })],
    ['its dialog, in capitals', request('INVITE', { via: via(''), to: '<sip:b@x>;TAG=9' })],
    ['a call for help', request('INVITE', { via: via(''), uri: 'sip:112@x' })],
    ['a tel URI', request('INVITE', { via: via(''), uri: 'tel:112' })],
    ['a hop that obeys', request('INVITE', { via: via(';oc') })],
    ['another method', request('MESSAGE', { via: via('') })],
    ['an answer elsewhere', request('INVITE', { via: '127.0.0.9:5070' })],
    ['a group', request('INVITE', { via: via(';maddr=192.0.2.1') })],
    ['TCP by its Via', request('INVITE', { via: via('') }).replace('SIP/2.0/UDP', 'SIP/2.0/TCP')],
    [
      'a Via list',
      request('INVITE', { via: via('') }).replace(/^(Via: [^\r]*)/m, '$1, SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKq'),
    ],
    ['a folded field', request('INVITE', { via: via('') }).replace('\r\nTo: ', '\r\nTo:\r\n ')],
    ['an unusual name', request('INVITE', { via: via('') }).replace('\r\nTo: ', '\r\nTO : ')],
    [
      'a second Via of an unusual name',
      request('INVITE', { via: via('') }).replace('\r\nTo: ', '\r\nVIA: SIP/2.0/UDP h\r\nTo: '),
    ],
    ['two Tos', request('INVITE', { via: via('') }).replace('\r\nTo: ', '\r\nt: <sip:b@x>;tag=5\r\nTo: ')],
    ['no tag (RFC 2543)', request('INVITE', { via: via(''), from: '<sip:a@x>' })],
    ['no cookie (RFC 2543)', request('INVITE', { via: via(''), branch: '1' })],
    ['no end', request('INVITE', { via: via('') }).split('\r\n\r\n')[0] ?? ''],
    ['nothing', ''],
  ])('%s goes the long way', (_what, text) => {
    const rig = new Rig().overloaded();
    for (let n = 0; n < 10; n += 1) expect(rig.turnsAway(text)).toBe(false);
    expect(rig.sent).toEqual([]);
    expect(rig.early.takeAdmission()).toBe(false);
  });

  it('that is under way, and one over a connection, go the long way', () => {
    const rig = new Rig().overloaded();
    const text = request('INVITE', { via: via('') });
    const { via: read } = decoded(text);
    rig.underWay.add(`${read.branch} ${read.host}:${read.port} INVITE`);
    for (let n = 0; n < 10; n += 1) expect(rig.turnsAway(text)).toBe(false);
    rig.underWay.clear();
    for (let n = 0; n < 10; n += 1) expect(rig.turnsAway(text, { ...rig.flow(), reliable: true })).toBe(false);
  });

  it('that is taken is counted once', () => {
    const rig = new Rig().overloaded();
    const text = request('INVITE', { via: via('') });
    let taken = 0;
    for (let n = 0; n < 200; n += 1) {
      if (rig.turnsAway(text)) continue;
      taken += 1;
      expect(rig.early.takeAdmission()).toBe(true);
      expect(rig.early.takeAdmission()).toBe(false);
    }
    expect(taken).toBeGreaterThan(0);
    expect(taken + rig.sent.length).toBe(200);
    // What comes next is judged by itself.
    rig.turnsAway(text);
    rig.turnsAway('whatever');
    expect(rig.early.takeAdmission()).toBe(false);
  });

  it('without overload nothing is looked at', () => {
    const rig = new Rig();
    for (let n = 0; n < 10; n += 1) expect(rig.turnsAway(request('INVITE', { via: via('') }))).toBe(false);
  });
});

describe('the ACK of what was refused', () => {
  const ack = (to: string): string => request('ACK', { via: via(''), to });
  const own = (): string => {
    const { callId, fromTag, cseq } = decoded(ack('<sip:b@x>'));
    return localTag(callId, fromTag, cseq);
  };

  it('ends here; that of a call, and of what has a transaction, does not', () => {
    const rig = new Rig().overloaded();
    expect(rig.turnsAway(ack(`<sip:b@x>;tag=${own()}`))).toBe(true);
    expect(rig.turnsAway(ack('<sip:b@x>;tag=other'))).toBe(false);
    expect(rig.turnsAway(ack('<sip:b@x>'))).toBe(false);
    const { via: read } = decoded(ack('<sip:b@x>'));
    rig.underWay.add(`${read.branch} ${read.host}:${read.port} INVITE`);
    expect(rig.turnsAway(ack(`<sip:b@x>;tag=${own()}`))).toBe(false);
    expect(rig.sent).toEqual([]);
  });
});

describe('torture tests (RFC 4475, RFC 5118)', () => {
  it('what is turned away is a request that could be read, and that begins a call', () => {
    const rig = new Rig().overloaded();
    for (const { file } of [4475, 5118].flatMap(tortureMessages)) {
      const bytes = octetsOf(file);
      const before = rig.sent.length;
      let isTurned = false;
      for (let n = 0; n < 3; n += 1) isTurned = rig.early.turnsAway(bytes, rig.flow()) || isTurned;
      if (!isTurned || rig.sent.length === before) continue;
      const text = bytes.toString('latin1');
      expect(decoded(text).toTag, file).toBe('');
      expect(gist(rig.sent.at(-1) ?? ''), file).toEqual(gist(theLongWay(text, rig.flow())));
    }
  });

  it('cut off or garbled anywhere, none does harm', () => {
    const rig = new Rig().overloaded();
    const random = seededRandom(5);
    const text = request('INVITE', { via: via(';rport'), body: 'v=0\r\n' });
    for (let at = 0; at < text.length; at += 1) {
      const octets = Buffer.from(text, 'latin1');
      octets[at] = random.below(256);
      for (const bytes of [octets, octets.subarray(0, at)]) {
        const before = rig.sent.length;
        rig.early.turnsAway(bytes, rig.flow());
        const [answer] = rig.sent.slice(before);
        // What could be read the long way is answered alike.
        const read = decode(bytes);
        if (answer !== undefined && read.ok)
          expect(gist(answer)).toEqual(gist(theLongWay(bytes.toString('latin1'), rig.flow())));
      }
    }
  });
});

function compact(text: string): string {
  const short = new Map([
    ['Via', 'v'],
    ['From', 'f'],
    ['To', 't'],
    ['Call-ID', 'i'],
    ['Contact', 'm'],
  ]);
  return text.replaceAll(/^(Via|From|To|Call-ID|Contact):/gm, (_, name: string) => `${short.get(name) ?? name}:`);
}

function twoVias(text: string): string {
  return text.replace('\r\nMax-Forwards', '\r\nVia: SIP/2.0/UDP 127.0.0.77;branch=z9hG4bKfirst\r\nMax-Forwards');
}
