/** Design §4: each address once, never back, and it ends. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  beginFailover,
  type ControllerAddress,
  type FailoverEvent,
  type FailoverState,
  onFailoverEvent,
} from '../../src/internal.ts';

const at = (n: number): ControllerAddress => ({ transport: 'udp', host: `127.0.0.${n}`, port: 5_060 });
const [a, b, c] = [at(1), at(2), at(3)];

const failed = (address: ControllerAddress): FailoverEvent => ({ kind: 'hopFailed', address, failure: 'silent' });

describe('failover of one message', () => {
  it('tries the next address when the current one fails, and says what was tried when none is left', () => {
    const [second, effects] = onFailoverEvent(beginFailover([a, b]), failed(a));
    expect(effects).toEqual([{ kind: 'send', to: b, because: 'silent' }]);
    const [last, end] = onFailoverEvent(second, { kind: 'hopFailed', address: b, failure: 'refused' });
    const tried = [
      { address: a, failure: 'silent' },
      { address: b, failure: 'refused' },
    ];
    expect([last, end]).toEqual([{ kind: 'exhausted', tried }, [{ kind: 'giveUp', tried }]]);
  });

  it('a late failure of a hop that was left already changes nothing', () => {
    const [second] = onFailoverEvent(beginFailover([a, b, c]), failed(a));
    expect(onFailoverEvent(second, failed(a))).toEqual([second, []]);
  });

  it('a provisional answer does not settle it: the hop may die afterwards', () => {
    const [state] = onFailoverEvent(beginFailover([a, b]), { kind: 'provisional' });
    expect(onFailoverEvent(state, failed(a))[1]).toEqual([{ kind: 'send', to: b, because: 'silent' }]);
  });

  it('after an answer nothing moves any more', () => {
    const [settled] = onFailoverEvent(beginFailover([a, b]), { kind: 'answered' });
    expect(onFailoverEvent(settled, failed(a))).toEqual([settled, []]);
  });

  it('whatever happens in whatever order: no address twice, at most one end, nothing after it', () => {
    const event = fc.oneof(
      fc.constantFrom(a, b, c).map(failed),
      fc.constant<FailoverEvent>({ kind: 'provisional' }),
      fc.constant<FailoverEvent>({ kind: 'answered' }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 20 }), (events) => {
        let state: FailoverState = beginFailover([a, b, c]);
        const sent: ControllerAddress[] = [a];
        let ends = 0;
        for (const each of events) {
          const [next, effects] = onFailoverEvent(state, each);
          if (state.kind !== 'trying') expect(effects).toEqual([]);
          state = next;
          for (const effect of effects) {
            if (effect.kind === 'send') sent.push(effect.to);
            else ends += 1;
          }
        }
        expect(new Set(sent).size).toBe(sent.length);
        expect(ends).toBeLessThanOrEqual(1);
      }),
    );
  });
});
