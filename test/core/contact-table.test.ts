/** The compact table beside the plain one that it replaces: the same answers to the same questions. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Contact, Transport } from '../../src/internal.ts';
import { ContactTable } from '../../src/location/contact-table.ts';
import { contactOf, contactText, isSameContact, SharedWords } from '../../src/location/contact-text.ts';

/** What it shall do, in few words: a Map of lists. */
class PlainTable {
  readonly #entries = new Map<string, readonly Contact[]>();

  get size(): number {
    return this.#entries.size;
  }

  live(record: string, nowMs: number): readonly Contact[] {
    return this.held(record).filter(({ expiresMs }) => expiresMs > nowMs);
  }

  held(record: string): readonly Contact[] {
    return this.#entries.get(record) ?? [];
  }

  set(record: string, contacts: readonly Contact[]): void {
    if (contacts.length === 0) this.#entries.delete(record);
    else
      this.#entries.set(
        record,
        contacts.toSorted((a, b) => b.q - a.q || b.updatedMs - a.updatedMs),
      );
  }

  records(nowMs: number): (readonly [string, readonly Contact[]])[] {
    return [...this.#entries.keys()].flatMap((record) => {
      const contacts = this.live(record, nowMs);
      return contacts.length === 0 ? [] : [[record, contacts] as const];
    });
  }

  sweep(nowMs: number): string[] {
    const lapsed: string[] = [];
    for (const [record, contacts] of [...this.#entries]) {
      for (const { key, expiresMs } of contacts) if (expiresMs <= nowMs) lapsed.push(`${record} ${key}`);
      this.set(record, this.live(record, nowMs));
    }
    return lapsed;
  }
}

const text = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    '',
    '\t',
    '\n',
    '\v',
    '\\',
    '\\n',
    '\\e',
    '=',
    ' ',
    '@',
    'sip:a@192.0.2.1:5060',
    'sip:a@[2001:db8::1]:5060',
  ),
);
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const address = fc
  .record({
    transport: fc.constantFrom<Transport>('udp', 'tcp', 'tls', 'ws', 'wss'),
    host: fc.oneof(fc.constantFrom('192.0.2.1', '2001:db8::1', '[2001:db8::1]'), text),
    port: fc.integer({ min: 0, max: 65_535 }),
    user: optional(text),
  })
  .map(({ user, ...rest }) => (user === undefined ? rest : { ...rest, user }));
const time = fc.oneof(fc.integer({ min: 0, max: 100 }), fc.double({ min: 0, max: 1e13, noNaN: true }));
const contact: fc.Arbitrary<Contact> = fc.record({
  protocol: fc.constantFrom('sip', 'mgcp', 'megaco', ''),
  target: text,
  key: text,
  address: optional(address),
  flow: optional(text),
  path: fc.array(text, { maxLength: 3 }),
  alternates: fc.array(address, { maxLength: 3 }),
  expiresMs: fc.oneof(time, fc.constant(Number.POSITIVE_INFINITY)),
  q: fc.integer({ min: 0, max: 1_000 }),
  instance: optional(text),
  regId: optional(fc.integer({ min: 0, max: 2 ** 31 })),
  callId: optional(text),
  cseq: optional(fc.integer({ min: 0, max: 2 ** 32 - 1 })),
  userAgent: optional(fc.oneof(text, fc.string({ minLength: 129, maxLength: 200 }))),
  trunk: optional(text),
  params: optional(text),
  updatedMs: time,
});

describe('a contact as text', () => {
  it('is read as it was written, whatever its fields hold', () => {
    fc.assert(
      fc.property(contact, (given) => {
        const words = new SharedWords();
        const written = contactText(given, words);
        expect(written).not.toContain('\n');
        const read = contactOf(written, words, given.expiresMs, given.updatedMs, given.cseq ?? Number.NaN);
        expect(read).toEqual(given);
        expect(isSameContact(read, given)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('is short: what many share is written once', () => {
    const words = new SharedWords();
    const given: Contact = {
      protocol: 'sip',
      target: 'sip:u123456@10.11.12.13:5060',
      key: 'sip:u123456@10.11.12.13:5060',
      address: { transport: 'udp', host: '10.11.12.13', port: 5060 },
      path: [],
      alternates: [],
      expiresMs: 1,
      updatedMs: 1,
      q: 1_000,
      callId: '8f14e45fceea167a5a36dedd4bea2543',
      cseq: 17,
      userAgent: 'Yealink SIP-T46S 66.85.0.5',
    };
    contactText(given, words);
    expect(contactText(given, words).length).toBeLessThan(85);
  });
});

type Step =
  | { readonly kind: 'set'; readonly record: string; readonly contacts: readonly Contact[] }
  | { readonly kind: 'refresh'; readonly record: string; readonly expiresMs: number }
  | { readonly kind: 'remove'; readonly record: string }
  | { readonly kind: 'sweep'; readonly nowMs: number };

const record = fc.oneof(fc.constantFrom('a', 'b', 'a\nb', 'a\\nb', 'a\\', '', 'alice@example.com', 'ж'), text);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('set' as const), record, contacts: fc.array(contact, { maxLength: 4 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('refresh' as const),
      record,
      expiresMs: fc.integer({ min: 0, max: 200 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), record }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('sweep' as const), nowMs: fc.integer({ min: 0, max: 200 }) }) },
);

describe('the compact table', () => {
  it('answers as a Map of lists does', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const compact = new ContactTable(1_000);
        const plain = new PlainTable();
        for (const each of steps) {
          switch (each.kind) {
            case 'set':
              compact.set(each.record, each.contacts);
              plain.set(each.record, each.contacts);
              break;
            case 'refresh': {
              const [first, ...others] = plain.held(each.record);
              if (first === undefined) break;
              const contacts = [{ ...first, expiresMs: each.expiresMs, updatedMs: first.updatedMs + 1 }, ...others];
              compact.set(each.record, contacts);
              plain.set(each.record, contacts);
              break;
            }
            case 'remove':
              compact.set(each.record, []);
              plain.set(each.record, []);
              break;
            case 'sweep': {
              const lapsed: string[] = [];
              compact.sweep(each.nowMs, 10_000, (of, { key }) => lapsed.push(`${of} ${key}`));
              expect(lapsed.sort()).toEqual(plain.sweep(each.nowMs).sort());
            }
          }
          expect(compact.size).toBe(plain.size);
        }
        for (const nowMs of [0, 50, 1e14]) {
          const records = [...compact.records(nowMs)].sort(([a], [b]) => (a < b ? -1 : 1));
          expect(records).toEqual(plain.records(nowMs).sort(([a], [b]) => (a < b ? -1 : 1)));
          for (const [name] of records) expect(compact.live(name, nowMs)).toEqual(plain.live(name, nowMs));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('keeps apart what hashes and places make meet, through growth and removal', () => {
    const table = new ContactTable(100_000);
    const of = (n: number, more: Partial<Contact> = {}): Contact => ({
      protocol: 'sip',
      target: `sip:u${n}@192.0.2.1:5060`,
      key: String(n),
      path: [],
      alternates: [],
      expiresMs: n,
      updatedMs: n,
      q: 1_000,
      ...more,
    });
    for (let n = 0; n < 30_000; n += 1) table.set(`u${n}@example.com`, [of(n)]);
    for (let n = 0; n < 30_000; n += 3) table.set(`u${n}@example.com`, []);
    for (let n = 0; n < 30_000; n += 7) table.set(`u${n}@example.com`, [of(n), of(n, { key: 'second', q: 1 })]);
    expect(table.size).toBe([...table.records(-1)].length);
    for (let n = 0; n < 30_000; n += 1) {
      const keys = table.held(`u${n}@example.com`).map(({ key }) => key);
      expect(keys, String(n)).toEqual(n % 7 === 0 ? [String(n), 'second'] : n % 3 === 0 ? [] : [String(n)]);
    }
    for (let n = 0; n < 30_000; n += 1) table.set(`u${n}@example.com`, []);
    expect([table.size, table.octets]).toEqual([0, 0]);
  });

  it('a refresh keeps the text: numbers alone are written', () => {
    const table = new ContactTable(10);
    const given: Contact = {
      protocol: 'sip',
      target: 'sip:a@192.0.2.1:5060',
      key: 'a',
      path: [],
      alternates: [],
      expiresMs: 10,
      updatedMs: 1,
      q: 1_000,
      cseq: 1,
    };
    table.set('a', [given]);
    const { octets } = table;
    table.set('a', [{ ...given, expiresMs: 20, updatedMs: 2, cseq: 2 }]);
    expect(table.octets).toBe(octets);
    expect(table.live('a', 15)).toEqual([{ ...given, expiresMs: 20, updatedMs: 2, cseq: 2 }]);
  });

  it('says what it takes, and refuses what is too much', () => {
    const table = new ContactTable(10, 400);
    const given = (key: string): Contact => ({
      protocol: 'sip',
      target: key,
      key,
      path: [],
      alternates: [],
      expiresMs: 10,
      updatedMs: 1,
      q: 1_000,
    });
    expect(table.hasRoomFor('a', [given('x'.repeat(100))])).toBe(true);
    table.set('a', [given('x'.repeat(100))]);
    expect(table.octets).toBeGreaterThan(170);
    expect(table.hasRoomFor('b', [given('x'.repeat(300))])).toBe(false);
    expect(table.hasRoomFor('a', [given('x'.repeat(90))])).toBe(true);
  });
});

describe('names that somebody chose', () => {
  /** Pieces of which each two lead FNV-1a from its usual beginning to the same state: 2^13 names with one hash. */
  function colliding(): string[] {
    const next = (state: number, text: string): number => {
      let hash = state;
      for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
      return hash;
    };
    let names = [''];
    let state = 0x811c9dc5 | 0;
    for (let stage = 0; stage < 13; stage += 1) {
      const seen = new Map<number, string>();
      for (let n = 0; ; n += 1) {
        const piece = n.toString(36).padStart(6, '0');
        const to = next(state, piece);
        const other = seen.get(to);
        if (other !== undefined) {
          names = names.flatMap((name) => [name + piece, name + other]);
          state = to;
          break;
        }
        seen.set(to, piece);
      }
    }
    return names;
  }

  it('do not all share one place', () => {
    const fill = (names: readonly string[]): number => {
      const table = new ContactTable(100_000);
      const contact = {
        protocol: 'sip',
        target: 'sip:x',
        key: 'x',
        path: [],
        alternates: [],
        expiresMs: 1e15,
        q: 1,
        updatedMs: 0,
      };
      const before = process.cpuUsage();
      for (const name of names) table.set(name, [contact]);
      for (const name of names) table.has(name);
      const { user, system } = process.cpuUsage(before);
      expect(table.size).toBe(names.length);
      return (user + system) / 1_000;
    };
    const chosen = colliding();
    expect(new Set(chosen).size).toBe(8_192);
    const plain = chosen.map((name, index) => `${name.length}${index}`);
    fill(plain);
    // One after the other they would take some hundred times as long.
    expect(fill(chosen)).toBeLessThan(20 * fill(plain) + 20);
  });
});
