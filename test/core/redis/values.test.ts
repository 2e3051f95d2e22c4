/** What the operator writes, where records lie, and how contacts look in the store. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { coreSchema } from '../../../src/config/core-schema.ts';
import { Metrics, silentLog, systemClock } from '../../../src/internal.ts';
import { openLocation } from '../../../src/location/open.ts';
import { decodeValue, encodeContact, encodeTombstone } from '../../../src/location/redis/contact-value.ts';
import { readStoreAddress, withoutCredentials } from '../../../src/location/redis/location-url.ts';
import { crc16, recordKey, recordOfKey, shardOf, shards, slotOf } from '../../../src/location/redis/shards.ts';
import type { Contact } from '../../../src/location-service.ts';

describe('location: redis…', () => {
  it.each([
    [
      'redis://192.0.2.1',
      { kind: 'single', secure: false, servers: [{ host: '192.0.2.1', port: 6_379 }], database: 0 },
    ],
    ['rediss://u:p%40ss@r.example:7000/3', { secure: true, username: 'u', password: 'p@ss', database: 3 }],
    ['redis://:secret@[2001:db8::1]', { password: 'secret', servers: [{ host: '2001:db8::1', port: 6_379 }] }],
    [
      'redis+sentinel://a,b:26380,c/altpath/1',
      {
        kind: 'sentinel',
        master: 'altpath',
        database: 1,
        servers: [
          { host: 'a', port: 26_379 },
          { host: 'b', port: 26_380 },
          { host: 'c', port: 26_379 },
        ],
      },
    ],
    ['rediss+cluster://a:7000,b:7001', { kind: 'cluster', secure: true, database: 0 }],
  ])('%s', (text, expected) => {
    expect(readStoreAddress(text)).toMatchObject(expected);
  });

  it.each([
    'redis://',
    'redis:///0',
    'redis://a,b',
    'redis://a:0',
    'redis://a:70000',
    'redis://a/x',
    'redis://a/1/2',
    'redis+sentinel://a',
    'redis+cluster://a/1',
    'redis+other://a',
    'redis://a?b',
    'rediss//a',
  ])('%s is none, and no complaint shows a password', (text) => {
    expect(readStoreAddress(text)).toBeUndefined();
    const secret = text.replace('//', '//user:pa@ss/word@');
    const said = coreSchema.safeParse({ location: secret });
    expect(said.success).toBe(false);
    expect(JSON.stringify(said.error?.issues)).not.toMatch(/pa@ss|word@|user:/);
    expect(() => openLocation(secret, { clock: systemClock, log: silentLog, metrics: new Metrics() })).toThrow(
      expect.not.stringContaining('ss/word'),
    );
  });

  it('is shown without user and password', () => {
    expect(withoutCredentials('rediss+sentinel://u:p@a,b/m')).toBe('rediss+sentinel://a,b/m');
    expect(withoutCredentials('redis://u:p@ss@a')).toBe('redis://a');
    expect(withoutCredentials('sqlite:./var/x@y.db')).toBe('sqlite:./var/x@y.db');
  });
});

describe('shards', () => {
  it('are by CRC-16/XMODEM as a Cluster has its slots, and keep all of a record in one slot', () => {
    expect(crc16(Buffer.from('123456789'))).toBe(0x31c3);
    expect(slotOf(0)).toBe(crc16(Buffer.from('s0')) % 16_384);
    expect(new Set(shards.map(slotOf)).size).toBe(64);
    const record = 'alice@example.com';
    expect(recordOfKey(recordKey(shardOf(record), record))).toBe(record);
    expect(recordOfKey(recordKey((shardOf(record) + 1) % 64, record))).toBeUndefined();
  });
});

describe('values', () => {
  const contact: Contact = {
    protocol: 'sip',
    target: 'sip:a@192.0.2.1',
    key: 'k',
    path: [],
    alternates: [],
    expiresMs: 2_000_000,
    q: 500,
    updatedMs: 1_000_000,
  };

  it('come back as they were, whatever text is in them', () => {
    const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(text, text, text, fc.array(text, { maxLength: 3 }), (target, callId, params, path) => {
        const full = { ...contact, target, callId, params, path, flow: params, instance: target, userAgent: callId };
        const value = encodeContact(full, 5_000);
        expect(decodeValue(value, 'k', 1_000_000, 5_000)).toEqual({ kind: 'contact', contact: full });
      }),
    );
  });

  it('are never more than text to whoever reads them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        for (const value of [text, `1${text}`, `1c 1 5 5\n${text}`])
          expect(['contact', 'removed', 'unknown']).toContain(decodeValue(value, 'k', 0, 0).kind);
      }),
    );
  });

  it('have times of the calendar; one that is ahead adds nothing to what was granted', () => {
    const value = encodeContact(contact, 60_000);
    const read = decodeValue(value, 'k', 1_000_000, 0);
    expect(read).toMatchObject({ contact: { updatedMs: 1_000_000, expiresMs: 2_000_000 } });
    expect(decodeValue(encodeTombstone({ callId: 'c', cseq: 1 }, 0, 0), 'k', 0, 0)).toEqual({
      kind: 'removed',
      callId: 'c',
      cseq: 1,
      atMs: 0,
    });
  });
});
