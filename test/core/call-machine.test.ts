import { describe, expect, it } from 'vitest';
import {
  type CallEffect,
  type CallEvent,
  type CallState,
  type LegEvent,
  onCallEvent,
  otherSide,
  type Side,
} from '../../src/internal.ts';

const states: readonly CallState[] = [
  { phase: 'dialling' },
  { phase: 'routing', number: '2' },
  { phase: 'offering', number: '2' },
  { phase: 'alerting', number: '2', offer: 'o', answered: false },
  { phase: 'alerting', number: '2', offer: undefined, answered: true },
  { phase: 'ringing', number: '2', offer: 'o', answer: 'a', early: false },
  { phase: 'ringing', number: '2', offer: undefined, answer: undefined },
  { phase: 'talking', number: '2' },
  { phase: 'talking', number: '2', offerer: 'caller' },
  { phase: 'talking', number: '2', offerer: 'callee' },
  { phase: 'over', reason: 'normal' },
];

const legEvents: readonly LegEvent[] = [
  { kind: 'digits', number: '3' },
  { kind: 'offered', description: 'x' },
  { kind: 'offered' },
  { kind: 'alerting', description: 'x' },
  { kind: 'alerting', description: 'x', early: false },
  { kind: 'alerting' },
  { kind: 'answered', description: 'x' },
  { kind: 'answered' },
  { kind: 'modified', description: 'x' },
  { kind: 'modifyOffered', description: 'x' },
  { kind: 'modifyOffered' },
  { kind: 'modifyAnswered', description: 'x' },
  { kind: 'modifyRefused', reason: 'notAcceptable' },
  { kind: 'digit', signal: '5', durationMs: 100 },
  { kind: 'hungUp', cause: 16 },
  { kind: 'failed', reason: 'temporary', cause: 41 },
];

const events: readonly CallEvent[] = [
  ...(['caller', 'callee'] as const).flatMap((side) =>
    legEvents.map((event): CallEvent => ({ kind: 'leg', side, event })),
  ),
  { kind: 'routed' },
  { kind: 'unroutable', reason: 'unknownNumber' },
  { kind: 'timeout' },
];

const talking: CallState = { phase: 'talking', number: '2' };
const leg = (side: Side, event: LegEvent): CallEvent => ({ kind: 'leg', side, event });
const kinds = (effects: readonly CallEffect[]): readonly string[] => effects.map(({ kind }) => kind);

describe('every state and every event', () => {
  it('is provided for, and what ends a call releases both parties once', () => {
    for (const state of states)
      for (const event of events) {
        const [next, effects] = onCallEvent(state, event);
        const ends = next.phase === 'over' && state.phase !== 'over';
        expect(kinds(effects).filter((kind) => kind === 'release')).toHaveLength(ends ? 2 : 0);
        if (state.phase === 'over') expect([next, effects]).toEqual([state, []]);
      }
  });

  it('leaves no offer in mid-call without an answer (RFC 3264 §4)', () => {
    for (const state of states.filter(({ phase }) => phase !== 'over'))
      for (const side of ['caller', 'callee'] as const) {
        const [next, effects] = onCallEvent(state, leg(side, { kind: 'modifyOffered', description: 'x' }));
        const isRefused = effects.some((effect) => effect.kind === 'modifyRefuse' && effect.side === side);
        const isPassedOn = next.phase === 'talking' && next.offerer === side && kinds(effects).includes('modify');
        expect(isRefused !== isPassedOn || isRefused).toBe(true);
        expect(isRefused || isPassedOn).toBe(true);
      }
  });
});

describe('an offer in mid-call', () => {
  for (const side of ['caller', 'callee'] as const) {
    const other = otherSide(side);
    const [offered, first] = onCallEvent(talking, leg(side, { kind: 'modifyOffered', description: 'x' }));

    it(`of the ${side} goes to the other party, and its answer back`, () => {
      expect(first).toContainEqual({ kind: 'modify', side: other, offer: 'x' });
      const [next, effects] = onCallEvent(offered, leg(other, { kind: 'modifyAnswered', description: 'y' }));
      expect(next).toEqual({ phase: 'talking', number: '2' });
      expect(effects).toContainEqual({ kind: 'modifyAnswer', side, description: 'y' });
    });
    it(`of the ${side} is refused, and the call goes on`, () => {
      const [next, effects] = onCallEvent(offered, leg(other, { kind: 'modifyRefused', reason: 'notAcceptable' }));
      expect(next).toEqual({ phase: 'talking', number: '2' });
      expect(effects).toContainEqual({ kind: 'modifyRefuse', side, reason: 'notAcceptable' });
    });
    it(`of the ${side} is refused when nobody answers it`, () => {
      const [next, effects] = onCallEvent(offered, { kind: 'timeout' });
      expect(next).toEqual({ phase: 'talking', number: '2' });
      expect(effects).toEqual([{ kind: 'modifyRefuse', side, reason: 'temporary' }]);
    });
    it(`of the ${side} meets one of the other party: glare (RFC 3261 §14.1)`, () => {
      const [next, effects] = onCallEvent(offered, leg(other, { kind: 'modifyOffered', description: 'z' }));
      expect(next).toEqual(offered);
      expect(effects).toEqual([{ kind: 'modifyRefuse', side: other, reason: 'glare' }]);
    });
    it(`of the ${side} has no answer from the ${side} itself`, () => {
      expect(onCallEvent(offered, leg(side, { kind: 'modifyAnswered', description: 'y' }))).toEqual([offered, []]);
    });
  }

  it('late: an answer after the refusal changes nothing', () => {
    expect(onCallEvent(talking, leg('callee', { kind: 'modifyAnswered', description: 'y' }))).toEqual([talking, []]);
  });
});

describe('while the callee rings', () => {
  const alerting: CallState = { phase: 'alerting', number: '2', offer: 'o', answered: false };

  it('a description is early media, unless there is nothing to hear yet', () => {
    const heard = onCallEvent(alerting, leg('callee', { kind: 'alerting', description: 'a' }))[1];
    expect(heard[0]).toEqual({ kind: 'progress', early: 'a', answer: undefined });
    const silent = onCallEvent(alerting, leg('callee', { kind: 'alerting', description: 'a', early: false }))[1];
    expect(silent[0]).toEqual({ kind: 'progress', early: undefined, answer: 'a' });
  });
  it('early media may begin after ringing, and go over to another party of a fork; a bare 180 does not end them', () => {
    const [rings] = onCallEvent(alerting, leg('callee', { kind: 'alerting' }));
    const [early, first] = onCallEvent(rings, leg('callee', { kind: 'alerting', description: 'a' }));
    expect(first).toEqual([{ kind: 'progress', early: 'a', answer: undefined }]);
    expect(onCallEvent(early, leg('callee', { kind: 'alerting' }))).toEqual([early, []]);
    const [moved, second] = onCallEvent(early, leg('callee', { kind: 'alerting', description: 'b' }));
    expect(second).toEqual([{ kind: 'progress', early: 'b', answer: undefined }]);
    // The answering party is heard, whoever was heard before.
    const connects = onCallEvent(moved, leg('callee', { kind: 'answered', description: 'c' }))[1];
    expect(connects).toContainEqual({ kind: 'connect', side: 'caller', remote: 'c' });
    const same = onCallEvent(moved, leg('callee', { kind: 'answered' }))[1];
    expect(same).toContainEqual({ kind: 'connect', side: 'caller', remote: 'b' });
  });
  it('a caller that made no offer answers the callee’s, before or after it is accepted', () => {
    const [asked, alert] = onCallEvent({ phase: 'offering', number: '2' }, leg('caller', { kind: 'offered' }));
    expect(alert).toContainEqual({ kind: 'alert', offer: undefined });
    const [rings] = onCallEvent(asked, leg('callee', { kind: 'alerting', description: 'a', early: false }));
    const [answered] = onCallEvent(rings, leg('caller', { kind: 'modified', description: 'in PRACK' }));
    const connects = onCallEvent(answered, leg('callee', { kind: 'answered' }))[1];
    expect(connects).toContainEqual({ kind: 'connect', side: 'callee', remote: 'in PRACK' });
    const [accepted, first] = onCallEvent(rings, leg('callee', { kind: 'answered' }));
    expect(first).toContainEqual({ kind: 'connect', side: 'callee', remote: undefined });
    const later = onCallEvent(accepted, leg('caller', { kind: 'modified', description: 'in ACK' }))[1];
    expect(later).toEqual([{ kind: 'connect', side: 'callee', remote: 'in ACK' }]);
  });
});

describe('the end', () => {
  it('carries its cause to the other party (RFC 3326)', () => {
    const [over, effects] = onCallEvent(talking, leg('callee', { kind: 'failed', reason: 'temporary', cause: 38 }));
    expect(over).toEqual({ phase: 'over', reason: 'temporary', cause: 38 });
    expect(effects).toContainEqual({ kind: 'release', side: 'caller', reason: 'temporary', cause: 38 });
  });
  it('before the answer is a call that its caller gave up', () => {
    for (const state of states.slice(1, 7))
      expect(onCallEvent(state, leg('caller', { kind: 'hungUp' }))[0]).toMatchObject({ reason: 'cancelled' });
    expect(onCallEvent(talking, leg('caller', { kind: 'hungUp' }))[0]).toMatchObject({ reason: 'normal' });
  });
  it('passes on keys that are told of in messages while the parties talk', () => {
    const key: LegEvent = { kind: 'digit', signal: '5', durationMs: 160 };
    expect(onCallEvent(talking, leg('caller', key))[1]).toEqual([{ ...key, side: 'callee' }]);
    const rings: CallState = { phase: 'ringing', number: '2', offer: 'o', answer: 'a' };
    expect(onCallEvent(rings, leg('caller', key))[1]).toEqual([]);
  });
});
