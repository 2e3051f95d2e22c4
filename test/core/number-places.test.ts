/** Where a number leads: lines, users, trunks and emergency numbers, answered in one place for every protocol. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AddressResolver,
  CallControl,
  type Contact,
  DiallingPlan,
  type Directory,
  Metrics,
  silentLog,
} from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';

const contact = (target: string, trunk?: string): Contact => ({
  protocol: 'words',
  target,
  key: target,
  path: [],
  alternates: [],
  expiresMs: Number.POSITIVE_INFINITY,
  q: 1_000,
  updatedMs: 0,
  ...(trunk === undefined ? {} : { trunk }),
});

function world(records: readonly string[], users: readonly string[] = []) {
  const plan = new DiallingPlan({ country: '49', area: '30', emergency: ['112'] });
  const none = () => Promise.reject(new Error('no DNS here'));
  const resolver = new AddressResolver({
    clock: new FakeClock(),
    dns: { naptr: none, srv: none, a: none, aaaa: none },
    locations: { lookup: (record) => (records.includes(record) ? [contact(record)] : []) },
    plan,
  });
  const directory: Directory = {
    protocol: 'words',
    isOwn: (record) => record.endsWith('@example.com'),
    recordsOf: (number) => [`${number}@example.com`],
    knows: (number) => users.includes(number),
    trunksOf: (number) => (/^[+0-9]/.test(number) ? [contact(plan.normal(number).number, 'carrier')] : []),
    dialled: () => ({ numbers: users, prefixes: ['+'] }),
    version: 1,
    explain: () => [],
    refuses: () => undefined,
  };
  resolver.join(directory);
  return { resolver, plan };
}

const targets = (contacts: readonly Contact[]): readonly string[] =>
  contacts.map(({ target, trunk }) => (trunk === undefined ? target : `${trunk}: ${target}`));

describe('AddressResolver.locate', () => {
  it.each([
    ['200', '200'],
    ['+4930200', '200'],
    ['030-200', '200'],
    ['0049(30)200', '200'],
    ['300', '300@example.com'],
    ['+4930300', '300@example.com'],
    ['030300@example.com', '300@example.com'],
    ['200@example.com', '200'],
    ['030555', '+4930555'],
    ['alice@example.com', 'alice@example.com'],
    ['+4930999', 'carrier: +4930999'],
    ['0044123', 'carrier: +44123'],
    ['999@example.com', 'carrier: +4930999'],
    ['112', 'carrier: 112'],
    ['1-1-2', 'carrier: 112'],
  ])('%s leads to %s', (identity, expected) => {
    const { resolver } = world(['200', '300@example.com', '+4930555', 'alice@example.com']);
    expect(targets(resolver.locate(identity))).toEqual([expected]);
  });

  it('a user or line of another domain is nobody’s here', () => {
    const { resolver } = world(['200', '300@example.com']);
    expect(resolver.contactsOf('200@elsewhere.example')).toEqual([]);
    expect(resolver.contactsOf('300@elsewhere.example')).toEqual([]);
  });

  it('an emergency number leads to the trunks before whoever has it', () => {
    const { resolver } = world(['112']);
    expect(targets(resolver.locate('112'))).toEqual(['carrier: 112', '112']);
  });

  it('no trunk has the number of a user who is not registered', () => {
    const { resolver } = world([], ['300']);
    expect(resolver.locate('300')).toEqual([]);
    expect(resolver.locate('+4930300')).toEqual([]);
    expect(resolver.isUser('030300')).toBe(true);
  });

  it('property: every form of a number leads to the same', () => {
    const { resolver, plan } = world(['200', '300@example.com', '+4930555']);
    const number = fc.oneof(
      fc.constantFrom('200', '300', '555', '+4930200', '0049300'),
      fc.integer({ min: 2, max: 999_999 }).map(String),
    );
    fc.assert(
      fc.property(number, (dialled) => {
        const there = targets(resolver.locate(dialled));
        for (const form of plan.forms(dialled)) expect(targets(resolver.locate(form))).toEqual(there);
      }),
    );
  });
});

it('digit maps derive from lines, users, trunks and emergency numbers together, and follow them', () => {
  const { resolver } = world([], ['3001']);
  const callControl = new CallControl({
    clock: new FakeClock(),
    random: seededRandom(1),
    log: silentLog,
    metrics: new Metrics(),
    locate: (number) => resolver.locate(number),
    dialling: resolver,
  });
  const plan = callControl.numberingPlan(['7xx']);
  expect(plan.digitMap).toBe('(112|3xxx|7xx|00x.T|0x.T|[2-9]x.T|1[02-9]x.T|11[013-9]x.T)');
  expect(callControl.numberingPlan(['7xx'])).toBe(plan);
  resolver.join({ ...(resolver.directories[0] as Directory), dialled: () => ({ numbers: ['40'], prefixes: [] }) });
  expect(callControl.numberingPlan(['7xx']).digitMap).toContain('|4x|');
});
