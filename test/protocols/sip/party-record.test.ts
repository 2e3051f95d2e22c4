/** What a successor needs of a SIP party, and what it does with it (RFC 3261 §12, §13, §17). */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PartyRecord, partyFields, readPartyFields } from '../../../protocols/sip/user-agent/party-record.ts';
import { resumption } from '../../../protocols/sip/user-agent/resumption.ts';

const value = fc.string({ maxLength: 40 }).filter((text) => !text.includes('\n'));
const some = value.filter((text) => text !== '');

const party: fc.Arbitrary<PartyRecord> = fc
  .record({
    role: fc.constantFrom('uac' as const, 'uas' as const),
    callId: value,
    remoteTag: value,
    local: value,
    remote: value,
    target: value,
    routes: fc.array(some, { maxLength: 4 }),
    token: fc.option(some, { nil: undefined }),
    remoteCseq: fc.integer({ min: -1, max: 2 ** 31 - 1 }),
    vias: fc.array(some, { maxLength: 5 }),
    isAware: fc.boolean(),
    session: fc.option(
      fc.record({
        seconds: fc.integer({ min: 90, max: 86_400 }),
        refresher: fc.constantFrom('uac' as const, 'uas' as const),
      }),
      { nil: undefined },
    ),
  })
  .map(({ role, callId, vias, isAware, session, ...dialog }) => ({
    dialog: { role, ...(role === 'uas' ? { callId } : {}), ...dialog },
    vias,
    isAware,
    session,
  }));

describe('the record of a SIP party', () => {
  it('comes back as it was written', () => {
    fc.assert(
      fc.property(party, (written) => {
        expect(readPartyFields(partyFields(written))).toEqual(JSON.parse(JSON.stringify(written)));
      }),
      { seed: 20_261_128, numRuns: 500 },
    );
  });

  it('fields that are none of ours are none, and never an exception', () => {
    fc.assert(
      fc.property(fc.array(fc.string(), { maxLength: 12 }), (fields) => {
        const read = readPartyFields(fields);
        if (read !== undefined) expect(partyFields(read)).toEqual(fields.slice(0, 10));
      }),
      { seed: 20_261_128, numRuns: 500 },
    );
    expect(readPartyFields([])).toBeUndefined();
    expect(readPartyFields(['4', '1', '', 't', 'l', 'r', 'x', '', '', ''])).toBeUndefined();
  });
});

describe('what a backup sends for a call that it took over', () => {
  it.each([
    [
      'a telephone calls a line that rings: 180 again',
      'uas',
      'ringing',
      'ringing',
      false,
      { kind: 'respond', status: 180 },
    ],
    ['the line was lifted: 200', 'uas', 'lifted', 'ringing', false, { kind: 'respond', status: 200 }],
    ['the 200 may be lost: 200', 'uas', 'talking', 'answered', true, { kind: 'respond', status: 200 }],
    ['both talk, the caller is not aware: target refresh', 'uas', 'talking', 'talking', false, { kind: 'established' }],
    ['both talk, the caller is aware: target refresh', 'uas', 'talking', 'talking', true, { kind: 'established' }],
    [
      'a line rings for nobody that is known: the caller may repeat',
      'uas',
      'ringing',
      undefined,
      true,
      { kind: 'await' },
    ],
    ['a line has dialled: the INVITE', 'uac', 'offering', undefined, false, { kind: 'invite' }],
    ['the same with a record: the INVITE', 'uac', 'offering', 'calling', true, { kind: 'invite' }],
    ['an aware callee rings: the INVITE again', 'uac', 'ringing', 'ringing', true, { kind: 'invite' }],
    // Measured with two telephones: re-INVITE and UPDATE while ringing end the call, or leave the INVITE unanswered.
    ['a callee that is not aware rings: it is asked', 'uac', 'ringing', 'ringing', false, { kind: 'poll' }],
    [
      'answered, the ACK may not have left: ACK and target refresh',
      'uac',
      'talking',
      'answered',
      true,
      { kind: 'acknowledge' },
    ],
    ['the same without awareness: ACK and target refresh', 'uac', 'talking', 'talking', false, { kind: 'acknowledge' }],
    ['a line talks with nobody that is known', 'uac', 'talking', undefined, true, { kind: 'await' }],
  ] as const)('%s', (_, role, line, phase, isAware, expected) => {
    expect(resumption({ role, line, phase, isAware })).toEqual(expected);
  });

  it('there is an answer to every situation', () => {
    for (const role of ['uac', 'uas'] as const)
      for (const line of ['offering', 'ringing', 'lifted', 'talking'] as const)
        for (const phase of [undefined, 'calling', 'ringing', 'answered', 'talking', 'over'] as const)
          for (const isAware of [true, false]) {
            const { kind } = resumption({ role, line, phase, isAware });
            // While it rings, a telephone must not be sent anything but the INVITE, ACK and OPTIONS.
            if (role === 'uac' && line === 'ringing' && phase === 'ringing') expect(['invite', 'poll']).toContain(kind);
          }
  });
});
