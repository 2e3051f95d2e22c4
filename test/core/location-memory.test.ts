import { describe, expect, it } from 'vitest';
import type { Contact } from '../../src/internal.ts';
import { ContactTable } from '../../src/location/contact-table.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { FakeClock } from '../support/fake-clock.ts';

const record = 'sip:alice@example.com';

function contact(clock: FakeClock, key: string, more: Partial<Contact> = {}): Contact {
  return {
    protocol: 'sip',
    target: key,
    key,
    path: [],
    alternates: [],
    expiresMs: clock.now() + 60_000,
    q: 1_000,
    updatedMs: clock.now(),
    ...more,
  };
}

describe('location service in memory', () => {
  it('answers with what was saved at once', () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock });
    const saved = contact(clock, 'sip:alice@127.0.0.9');
    void locations.save(record, [saved]);
    expect(locations.lookup(record)).toEqual([saved]);
    expect(locations.lookup('sip:bob@example.com')).toEqual([]);
  });

  it('puts the best q first, then the latest', () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock });
    void locations.save(record, [
      contact(clock, 'low', { q: 100 }),
      contact(clock, 'old', { q: 500, updatedMs: 1 }),
      contact(clock, 'new', { q: 500, updatedMs: 2 }),
    ]);
    expect(locations.lookup(record).map(({ key }) => key)).toEqual(['new', 'old', 'low']);
  });

  it('never returns a contact from the millisecond at which it lapses', () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock });
    void locations.save(record, [contact(clock, 'short', { expiresMs: clock.now() + 10 }), contact(clock, 'long')]);
    clock.advance(9);
    expect(locations.lookup(record)).toHaveLength(2);
    clock.advance(1);
    expect(locations.lookup(record).map(({ key }) => key)).toEqual(['long']);
    expect([...locations.records()].map(([, contacts]) => contacts.length)).toEqual([1]);
  });

  it('keeps a provisioned contact for ever', () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock });
    void locations.save('1001', [contact(clock, 'aaln/1@rgw1', { expiresMs: Number.POSITIVE_INFINITY })]);
    clock.advance(1e12);
    expect(locations.lookup('1001')).toHaveLength(1);
  });

  it('forgets a record that is saved empty', () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock });
    void locations.save(record, [contact(clock, 'a')]);
    void locations.save(record, []);
    expect(locations.size).toBe(0);
  });

  it('holds one timer, not one per contact, and lets go of lapsed records within a minute', async () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock });
    await locations.open();
    for (let user = 0; user < 5_000; user += 1) void locations.save(`sip:${user}@example.com`, [contact(clock, 'a')]);
    expect(clock.pending).toBe(1);
    clock.advance(120_000);
    expect(locations.size).toBe(0);
    await locations.close();
    expect(clock.pending).toBe(0);
  });

  it('refuses a new record beyond its limit, not a known one', async () => {
    const clock = new FakeClock();
    const locations = new MemoryLocations({ clock, maxRecords: 1 });
    await locations.save(record, [contact(clock, 'a')]);
    await expect(locations.save('sip:bob@example.com', [contact(clock, 'a')])).rejects.toMatchObject({
      code: 'ERR_LOCATION',
    });
    await locations.save(record, [contact(clock, 'b')]);
    expect(locations.lookup(record).map(({ key }) => key)).toEqual(['b']);
  });
});

describe('sweep of the contact table', () => {
  it('visits no more records than its budget and goes on where it stopped', () => {
    const clock = new FakeClock();
    const table = new ContactTable(100);
    for (let user = 0; user < 10; user += 1) table.set(String(user), [contact(clock, 'a', { expiresMs: 1 })]);
    table.sweep(2, 4);
    expect(table.size).toBe(6);
    table.set('10', [contact(clock, 'a', { expiresMs: 1 })]);
    table.sweep(2, 4);
    table.sweep(2, 4);
    expect(table.size).toBe(0);
  });

  it('drops the lapsed contacts of a record, names them, and keeps the others', () => {
    const clock = new FakeClock();
    const table = new ContactTable(100);
    table.set(record, [contact(clock, 'gone', { expiresMs: 1 }), contact(clock, 'stays', { expiresMs: 5 })]);
    const lapsed: string[] = [];
    table.sweep(2, 10, (_, { key }) => lapsed.push(key));
    expect(lapsed).toEqual(['gone']);
    expect(table.held(record).map(({ key }) => key)).toEqual(['stays']);
  });
});
