import { describe, expect, it } from 'vitest';
import {
  type CallEvent,
  CallIds,
  type CallState,
  type Contact,
  dialledNumber,
  type Line,
  type LineSnapshot,
  type LocationService,
  Metrics,
  NumberingPlan,
  onCallEvent,
  rebuild,
  Switchboard,
  silentLog,
} from '../../src/index.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';

describe('numbering plan (RFC 3435 §2.1.5)', () => {
  it('matches our own numbers by first digit and length', () => {
    expect(new NumberingPlan(['200', '201', '3001']).digitMap).toBe('(2xx|3xxx)');
  });
  it('asks for a pause where one number begins another', () => {
    const plan = new NumberingPlan(['20', '200']);
    expect(plan.digitMap).toBe('(2xT|2xx)');
    expect(plan.match('20')).toBe('partial');
    expect(plan.match('20T')).toBe('complete');
    expect(plan.match('200')).toBe('complete');
  });
  it('follows the examples of the section', () => {
    const plan = new NumberingPlan([], { extra: ['0[12].', '00', '1[12].1', '2x.#'] });
    expect(plan.match('0')).toBe('complete');
    expect(plan.match('1')).toBe('partial');
    expect(plan.match('12')).toBe('partial');
    expect(plan.match('11')).toBe('complete');
    expect(plan.match('121')).toBe('complete');
    expect(plan.match('2345')).toBe('partial');
    expect(plan.match('2345#')).toBe('complete');
    expect(plan.match('9')).toBe('impossible');
  });
  it('falls back to any number with a pause when the map would be too long', () => {
    expect(new NumberingPlan(['200'], { extra: ['9'.repeat(3_000)] }).digitMap).toBe('(x.T)');
  });
});

describe('call ids', () => {
  const ids = new CallIds(seededRandom(7));
  it('tell a backup what was dialled', () => {
    for (const number of ['201', '*21#', '123456789012345']) {
      const id = ids.make(number);
      expect(id).toMatch(/^[0-9A-F]{32}$/);
      expect(dialledNumber(id)).toBe(number);
    }
  });
  it('tell nothing of a number too long, and nothing where they are not ours', () => {
    expect(dialledNumber(ids.make('1234567890123456'))).toBeUndefined();
    expect(dialledNumber('A3C47F21456789F0')).toBeUndefined();
  });
});

describe('call machine', () => {
  it('is over at any hang-up of the caller, and stays over', () => {
    const states: CallState[] = [
      { phase: 'dialling' },
      { phase: 'offering', number: '2' },
      { phase: 'alerting', number: '2', offer: 'o', answered: false },
      { phase: 'ringing', number: '2', offer: 'o', answer: 'a' },
      { phase: 'talking', number: '2' },
    ];
    const hangUp: CallEvent = { kind: 'leg', side: 'caller', event: { kind: 'hungUp' } };
    for (const state of states) {
      const [next, effects] = onCallEvent(state, hangUp);
      expect(next.phase).toBe('over');
      expect(effects.map(({ kind }) => kind)).toEqual(['release', 'release']);
      expect(onCallEvent(next, hangUp)).toEqual([next, []]);
    }
  });
  it('keeps an answer that comes before the description', () => {
    const alerting: CallState = { phase: 'alerting', number: '2', offer: 'o', answered: false };
    const [answered] = onCallEvent(alerting, {
      kind: 'leg',
      side: 'callee',
      event: { kind: 'answered', description: undefined },
    });
    const [talking, effects] = onCallEvent(answered, {
      kind: 'leg',
      side: 'callee',
      event: { kind: 'alerting', description: 'a' },
    });
    expect(talking.phase).toBe('talking');
    expect(effects).toContainEqual({ kind: 'connect', side: 'caller', remote: 'a' });
  });
});

describe('switchboard', () => {
  it('connects two lines and clears both', () => {
    const bench = newBench();
    const [a, b] = bench.lines;
    bench.board.offHook(a);
    expect(a.order).toMatchObject({ mark: 'dialling', tone: 'dial', collect: true });
    bench.board.dialled(a, '201');
    expect(a.order).toMatchObject({ mark: 'offering', media: { mode: 'receive', remote: undefined } });
    const callId = a.order.media?.callId ?? '';
    bench.board.mediaReady(a, callId, 'sdp-a');
    expect(b.order).toMatchObject({ mark: 'ringing', tone: 'ring', media: { callId, remote: 'sdp-a' } });
    bench.board.mediaReady(b, callId, 'sdp-b');
    expect(a.order).toMatchObject({ mark: 'ringback', tone: 'ringback', media: { remote: 'sdp-b' } });
    bench.board.offHook(b);
    expect(a.order).toMatchObject({ mark: 'talking', media: { mode: 'both', remote: 'sdp-b' } });
    expect(b.order).toMatchObject({ mark: 'talking', media: { mode: 'both', remote: 'sdp-a' } });
    bench.board.onHook(a);
    expect(a.order.mark).toBe('idle');
    expect(b.order).toMatchObject({ mark: 'tone', tone: 'busy', media: undefined });
    bench.clock.advance(30_000);
    expect(b.order.mark).toBe('howler');
    bench.clock.advance(60_000);
    expect(b.order.mark).toBe('parked');
    bench.board.onHook(b);
    expect(b.order.mark).toBe('idle');
    expect(bench.board.callCount).toBe(0);
    expect(bench.clock.pending).toBe(0);
  });
  it('gives reorder for an unknown number, busy for a busy line, itself included', () => {
    const bench = newBench();
    const [a] = bench.lines;
    bench.board.offHook(a);
    bench.board.dialled(a, '999');
    expect(a.order).toMatchObject({ mark: 'tone', tone: 'reorder' });
    bench.board.onHook(a);
    bench.board.offHook(a);
    bench.board.dialled(a, '200');
    expect(a.order).toMatchObject({ mark: 'tone', tone: 'busy' });
  });
  it('stops ringing when nobody answers', () => {
    const bench = newBench();
    const [a, b] = bench.lines;
    ringing(bench);
    bench.clock.advance(120_000);
    expect(a.order).toMatchObject({ mark: 'tone', tone: 'busy' });
    expect(b.order.mark).toBe('idle');
  });
  it('ends a call whose gateway is lost, and the line waits for its gateway', () => {
    const bench = newBench();
    const [a, b] = bench.lines;
    ringing(bench);
    bench.board.outOfService(b);
    expect(a.order).toMatchObject({ mark: 'tone', tone: 'reorder' });
    expect(bench.locations.lookup('201')).toEqual([]);
    bench.board.onHook(a);
    bench.board.offHook(a);
    bench.board.dialled(a, '201');
    expect(a.order).toMatchObject({ mark: 'tone', tone: 'reorder' });
  });
});

describe('rebuilding calls from audits', () => {
  const ids = new CallIds(seededRandom(3));
  const callId = ids.make('201');
  const rules = { dialled: dialledNumber, endpointOf: (number: string) => (number === '201' ? 'b@g' : 'a@g') };
  const snapshot = (endpoint: string, over: Partial<LineSnapshot>): LineSnapshot => ({
    endpoint,
    hook: 'on',
    tone: undefined,
    collecting: false,
    mark: undefined,
    media: [],
    ...over,
  });
  const media = (mode: 'receive' | 'both') => [{ callId, mode, local: 'l', remote: 'r' }];

  it('finds the call in every phase', () => {
    const phase = (a: Partial<LineSnapshot>, b: Partial<LineSnapshot>) =>
      rebuild([snapshot('b@g', b), snapshot('a@g', a)], rules).calls.map((call) => [call.phase, call.caller.endpoint]);
    expect(phase({ hook: 'off', media: media('receive') }, {})).toEqual([['offering', 'a@g']]);
    expect(phase({ hook: 'off', media: media('receive') }, { tone: 'ring', media: media('receive') })).toEqual([
      ['ringing', 'a@g'],
    ]);
    expect(phase({ hook: 'off', media: media('receive') }, { hook: 'off', media: media('receive') })).toEqual([
      ['talking', 'a@g'],
    ]);
    expect(phase({ hook: 'off', media: media('both') }, { hook: 'on', media: media('both') })).toEqual([]);
    expect(phase({ hook: 'on', media: media('receive') }, { tone: 'ring', media: media('receive') })).toEqual([]);
  });
  it('leaves no line stuck', () => {
    const lines = rebuild(
      [
        snapshot('1@g', {}),
        snapshot('2@g', { hook: 'off', collecting: true }),
        snapshot('3@g', { hook: 'off' }),
        snapshot('4@g', { hook: 'off', media: media('both') }),
        snapshot('5@g', { hook: 'off', tone: 'busy' }),
      ],
      rules,
    ).lines;
    expect([...lines.values()]).toEqual(['idle', 'dialling', 'dialling', 'tone', 'tone']);
  });
});

function ringing({ board, lines: [a, b] }: ReturnType<typeof newBench>): void {
  board.offHook(a);
  board.dialled(a, '201');
  const callId = a.order.media?.callId ?? '';
  board.mediaReady(a, callId, 'sdp-a');
  board.mediaReady(b, callId, 'sdp-b');
}

function newBench() {
  const clock = new FakeClock();
  const locations = mapLocations();
  const board = new Switchboard({
    clock,
    random: seededRandom(1),
    log: silentLog,
    metrics: new Metrics(),
    locations,
    protocol: 'test',
    driver: { apply() {} },
  });
  const lines: [Line, Line] = [
    board.lines.add({ number: '200', endpoint: 'a@g', gateway: 'g' }),
    board.lines.add({ number: '201', endpoint: 'b@g', gateway: 'g' }),
  ];
  for (const line of lines) board.inService(line, 'on');
  return { clock, locations, board, lines };
}

function mapLocations(): LocationService {
  const records = new Map<string, readonly Contact[]>();
  return {
    open: async () => {},
    lookup: (record) => records.get(record) ?? [],
    save: async (record, contacts) => {
      if (contacts.length === 0) records.delete(record);
      else records.set(record, contacts);
    },
    records: () => records,
    get size() {
      return records.size;
    },
    close: async () => {},
  };
}
