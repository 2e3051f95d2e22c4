/** What of a call cannot be computed is sealed and put beside the description that a gateway keeps (design §17). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sipRecordDictionaries } from '../../protocols/sip/user-agent/record-dictionary.ts';
import {
  type CallRecord,
  decodeRecord,
  encodeRecord,
  isLaterPhase,
  isSameRecord,
  recordPhases,
} from '../../src/calls/call-record.ts';
import { fromBase32, readRecords, toBase32, withoutRecord, withRecord } from '../../src/calls/record-text.ts';
import { type RecordPlace, RecordSeal } from '../../src/calls/sealed-record.ts';
import { Metrics, systemRandom } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';

const seed = 20_261_128;
const runs = 300;

const place: RecordPlace = { gateway: 'rgw1', endpoint: 'aaln/1@rgw1', callId: '0011223344556677200FFFFFFFFFFFFF' };

const dialog: CallRecord = {
  protocol: 'sip',
  side: 'callee',
  phase: 'talking',
  callId: '0011223344556677200FFFFFFFFFFFFF',
  number: '200',
  fields: [
    '<sip:100@altpath.example.net>',
    '<sip:200@altpath.example.net>',
    'as5f1c9d3e',
    'sip:200@192.0.2.77:5062;transport=udp',
    '',
    '1',
    '1800;uas',
    '1',
  ],
};

function seal(secret = 'a secret of this test', formerSecret?: string, clock = new FakeClock()) {
  const metrics = new Metrics();
  const made = new RecordSeal({ secret, formerSecret, clock, random: systemRandom, metrics });
  made.learn('sip', sipRecordDictionaries);
  return { seal: made, metrics, clock };
}

function sealed(by: RecordSeal, record: CallRecord, at: RecordPlace): Buffer {
  const octets = by.seal(record, at);
  if (octets === undefined) throw new Error('too long');
  return octets;
}

const text = fc.string({ unit: 'binary', maxLength: 60 });
const anyRecord: fc.Arbitrary<CallRecord> = fc.record({
  protocol: fc.constantFrom('sip', 'trunk'),
  side: fc.constantFrom('caller', 'callee'),
  phase: fc.constantFrom(...recordPhases),
  callId: fc.constantFrom('0011223344556677200FFFFFFFFFFFFF', 'A1', 'x y'),
  number: fc.constantFrom('200', '+49301234', '*21#', ''),
  fields: fc.array(text, { maxLength: 12 }),
});
const anyPlace: fc.Arbitrary<RecordPlace> = fc.record({
  gateway: fc.constantFrom('rgw1', 'rgw11', 'rgw1|aaln'),
  endpoint: fc.constantFrom('aaln/1@rgw1', 'aaln/2@rgw1', '1'),
  callId: fc.constantFrom('0011223344556677200FFFFFFFFFFFFF', 'A1', undefined),
});

describe('records of calls: contents', () => {
  it('come back as they were written, whatever they hold', () => {
    const dictionaries = new Map([['sip', sipRecordDictionaries]]);
    fc.assert(
      fc.property(anyRecord, anyPlace, (record, at) => {
        const octets = encodeRecord(record, at.callId, dictionaries);
        expect(octets).toBeDefined();
        const read = decodeRecord(octets ?? Buffer.alloc(0), at.callId, dictionaries);
        expect(read).toEqual(record);
        expect(isSameRecord(read, record)).toBe(true);
      }),
      { seed, numRuns: runs },
    );
  });

  it('any octets are a record or none, and never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
        decodeRecord(Buffer.from(octets), 'A1', new Map([['sip', sipRecordDictionaries]]));
      }),
      { seed, numRuns: runs * 3 },
    );
  });

  it('one that inflates to more than any call needs is none', () => {
    const dictionaries = new Map([['sip', sipRecordDictionaries]]);
    const record = { ...dialog, fields: Array.from({ length: 60 }, () => 'a'.repeat(500)) };
    expect(encodeRecord(record, place.callId, dictionaries)).toBeUndefined();
    expect(seal().seal.seal(record, place)).toBeUndefined();
  });

  it('one with a dictionary that is not known here is none', () => {
    const long = { ...dialog, fields: [...dialog.fields, 'sip:proxy.example.net;lr'.repeat(8)] };
    const octets = encodeRecord(
      long,
      place.callId,
      new Map([['sip', [{ version: 9, text: 'sip:proxy.example.net' }]]]),
    );
    expect(octets?.[0]).toBe(9);
    expect(
      decodeRecord(octets ?? Buffer.alloc(0), place.callId, new Map([['sip', sipRecordDictionaries]])),
    ).toBeUndefined();
  });

  it('phases follow each other', () => {
    expect(isLaterPhase('talking', 'ringing')).toBe(true);
    expect(isLaterPhase('ringing', 'ringing')).toBe(false);
    expect(isLaterPhase('answered', 'over')).toBe(false);
    expect(isSameRecord(dialog, { ...dialog, phase: 'over' })).toBe(false);
    expect(isSameRecord(dialog, undefined)).toBe(false);
  });
});

describe('records of calls: sealed', () => {
  it('open at every member that has the secret, and tell the call', () => {
    const octets = sealed(seal().seal, dialog, place);
    expect(seal().seal.open(octets, place)).toEqual({ ok: true, value: dialog });
    // Endpoints are compared without regard to case (RFC 3435 §3.2.1.3), call ids as well.
    expect(seal().seal.open(octets, { ...place, endpoint: 'AALN/1@RGW1', gateway: 'RGW1' }).ok).toBe(true);
  });

  it('two of the same call are not alike', () => {
    const { seal: by } = seal();
    expect(sealed(by, dialog, place).equals(sealed(by, dialog, place))).toBe(false);
  });

  it('moved to another line, gateway or call they are none, and are counted', async () => {
    fc.assert(
      fc.property(anyRecord, anyPlace, anyPlace, (record, at, other) => {
        const { seal: by } = seal();
        const isSame =
          at.gateway === other.gateway && at.endpoint === other.endpoint && (at.callId ?? '') === (other.callId ?? '');
        expect(by.open(sealed(by, record, at), other).ok).toBe(isSame);
      }),
      { seed, numRuns: runs },
    );
    const { seal: by, metrics } = seal();
    const octets = sealed(by, dialog, place);
    expect(by.open(octets, { ...place, endpoint: 'aaln/2@rgw1' })).toEqual({ ok: false, error: 'forged' });
    expect(by.open(octets, { ...place, gateway: 'rgw2' }).ok).toBe(false);
    // What was sealed for an earlier call of this line, played back in a later one.
    expect(by.open(octets, { ...place, callId: 'FF11223344556677200FFFFFFFFFFFFF' }).ok).toBe(false);
    expect(await metrics.text()).toMatch(/call_records_refused_total\{reason="forged"\} 3/);
  });

  it('with any octet changed or any left out they are none', () => {
    const { seal: by } = seal();
    const octets = sealed(by, dialog, place);
    for (let at = 0; at < octets.length; at += 1)
      for (const bit of [1, 0x80]) {
        const changed = Buffer.from(octets);
        changed[at] = (changed[at] ?? 0) ^ bit;
        expect(by.open(changed, place).ok).toBe(false);
      }
    for (let length = 0; length < octets.length; length += 1)
      expect(by.open(octets.subarray(0, length), place).ok).toBe(false);
    expect(by.open(Buffer.concat([octets, Buffer.of(0)]), place).ok).toBe(false);
    expect(by.open(Buffer.alloc(100_000), place)).toEqual({ ok: false, error: 'malformed' });
  });

  it('sealed with another secret they are none', () => {
    const octets = sealed(seal('another secret altogether').seal, dialog, place);
    expect(seal().seal.open(octets, place).ok).toBe(false);
  });

  it('an old secret opens for a day after it was replaced, and seals no more', () => {
    const old = sealed(seal('the old secret of all').seal, dialog, place);
    const { seal: by, clock } = seal('the old secret of all');
    by.rotate('the new secret of all');
    expect(by.open(old, place).ok).toBe(true);
    const fresh = sealed(by, dialog, place);
    expect(seal('the old secret of all').seal.open(fresh, place).ok).toBe(false);
    expect(seal('the new secret of all', 'the old secret of all').seal.open(old, place).ok).toBe(true);
    clock.advance(86_399_000);
    expect(by.open(old, place).ok).toBe(true);
    clock.advance(1_000);
    expect(by.open(old, place).ok).toBe(false);
    expect(by.open(fresh, place).ok).toBe(true);
  });
});

describe('records of calls: in a description', () => {
  const sdp = 'v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n';

  it('are the last line of the last media, and are taken out without a trace', () => {
    const octets = sealed(seal().seal, dialog, place);
    const with_ = withRecord(sdp, octets);
    expect(with_.startsWith(sdp)).toBe(true);
    expect(with_.endsWith('\r\n')).toBe(true);
    expect(with_.split('\r\n').at(-2)).toMatch(/^a=x-altpath:[A-Za-z0-9_-]+$/);
    expect(readRecords(with_)).toEqual({ description: sdp, sealed: [octets] });
    const bare = sdp.replaceAll('\r\n', '\n');
    expect(readRecords(withRecord(bare, octets))).toEqual({ description: bare, sealed: [octets] });
    expect(withoutRecord(withRecord(sdp.trimEnd(), octets))).toBe(sdp);
    expect(withRecord(sdp, undefined)).toBe(sdp);
  });

  it('whatever a party has planted in our attribute goes no further', () => {
    for (const planted of [
      'a=x-altpath:AAAA\r\n',
      'a=x-altpath\r\n',
      'a=X-ALTPATH:%%%\r\n',
      'a=x-altpath-v2:zzz\n',
      'a=x-altpath:abc\r',
      'a=x-altpath:abc\u2028def\r\n',
    ]) {
      expect(withoutRecord(planted + sdp)).toBe(sdp);
      expect(withoutRecord(sdp + planted)).toBe(sdp);
      expect(withoutRecord(sdp + planted.repeat(50))).toBe(sdp);
    }
    expect(readRecords(sdp + 'a=x-altpath:AAAA\r\n'.repeat(50)).sealed.length).toBeLessThanOrEqual(4);
    // Another attribute, and text that merely mentions ours.
    const other = `${sdp}a=x-other:1\r\na=tool:x-altpath\r\n`;
    expect(withoutRecord(other)).toBe(other);
  });

  it('a long line of almost our attribute costs no time', () => {
    const began = performance.now();
    withoutRecord(`a=x-altpat${'h'.repeat(60_000)}\n`.repeat(3) + 'a=x-altpath:'.repeat(5_000));
    expect(performance.now() - began).toBeLessThan(200);
  });
});

describe('records of calls: where case does not count', () => {
  it('letters and digits give every octet back, in either case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        const written = toBase32(octets);
        expect(written).toMatch(/^[a-z2-7]*$/);
        expect(fromBase32(written)).toEqual(Buffer.from(octets));
        expect(fromBase32(written.toUpperCase())).toEqual(Buffer.from(octets));
      }),
      { seed, numRuns: runs },
    );
  });

  it('what is no such text is nothing', () => {
    for (const bad of ['a', 'abc1', 'ab cd', 'ab=', 'ac']) expect(fromBase32(bad)).toBeUndefined();
  });
});

describe('records of calls: their size (in octets, as written)', () => {
  const route = 'sip:127.0.0.1:5060;lr;transport=udp';
  const via = (branch: string) => `SIP/2.0/UDP 192.168.17.23:5060;rport=5060;branch=z9hG4bK${branch}`;
  const sizes: readonly (readonly [string, CallRecord, number, number])[] = [
    ['dialog, no route', dialog, 220, 260],
    ['dialog, one record-route', { ...dialog, fields: [...dialog.fields, route] }, 250, 300],
    [
      'dialog of a carrier',
      {
        ...dialog,
        fields: [
          '"Example Caller" <sip:+493012345678@carrier.example.com;user=phone>',
          '<sip:+498912345678@carrier.example.com;user=phone>',
          'gK0c3f5a2b-1c2d-4e5f-8a9b-0c1d2e3f4a5b',
          'sip:+498912345678@198.51.100.27:5060;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6;transport=tcp',
          '<sip:sbc1.carrier.example.com:5060;lr;ftag=gK0c3f5a2b>',
          '<sip:proxy-3.core.carrier.example.com;transport=tcp;lr>',
          '<sip:edge.altpath.example.net:5061;transport=tls;lr>',
          '4711',
          '1800;uas',
          '0',
        ],
      },
      560,
      680,
    ],
    [
      'INVITE of two hops',
      {
        ...dialog,
        side: 'caller',
        phase: 'ringing',
        fields: [
          via('b5f0c6e4d7a1'),
          'SIP/2.0/UDP 192.168.17.40:5062;received=192.168.17.40;rport=5062;branch=z9hG4bK9f2c',
          '"Alice" <sip:100@altpath.example.net>;tag=8f3b2c1d',
          '<sip:200@altpath.example.net>',
          '3a7c5e9d1b@192.168.17.40',
          '1 INVITE',
          `<${route}>`,
          '<sip:100@192.168.17.40:5062;transport=udp>',
        ],
      },
      380,
      460,
    ],
  ];

  it.each(sizes)('%s', (_, record, maxText, maxName) => {
    const octets = sealed(seal().seal, record, place);
    expect(octets.toString('base64url').length).toBeLessThanOrEqual(maxText);
    expect(toBase32(octets).length).toBeLessThanOrEqual(maxName);
  });
});
