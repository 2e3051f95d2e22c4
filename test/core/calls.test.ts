import { describe, expect, it } from 'vitest';
import {
  CallControl,
  type CallEnd,
  type CallEvent,
  CallIds,
  type CallState,
  type Contact,
  dialledNumber,
  dispositionOf,
  type Line,
  LineProvider,
  type LineSnapshot,
  type LocationService,
  Metrics,
  NumberingPlan,
  onCallEvent,
  rebuild,
  silentLog,
} from '../../src/internal.ts';
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

describe('lineProvider', () => {
  it('connects two lines and clears both', () => {
    const harness = newHarness();
    const [a, b] = harness.lines;
    harness.board.offHook(a);
    expect(a.desired).toMatchObject({ state: 'dialling', tone: 'dial', collect: true });
    harness.board.dialled(a, '201');
    expect(a.desired).toMatchObject({ state: 'offering', media: { mode: 'receive', remote: undefined } });
    const callId = a.desired.media?.callId ?? '';
    harness.board.mediaReady(a, callId, 'sdp-a');
    expect(b.desired).toMatchObject({ state: 'ringing', tone: 'ring', media: { callId, remote: 'sdp-a' } });
    harness.board.mediaReady(b, callId, 'sdp-b');
    expect(a.desired).toMatchObject({ state: 'ringback', tone: 'ringback', media: { remote: 'sdp-b' } });
    harness.board.offHook(b);
    expect(a.desired).toMatchObject({ state: 'talking', media: { mode: 'both', remote: 'sdp-b' } });
    expect(b.desired).toMatchObject({ state: 'talking', media: { mode: 'both', remote: 'sdp-a' } });
    harness.board.onHook(a);
    expect(a.desired.state).toBe('idle');
    expect(b.desired).toMatchObject({ state: 'tone', tone: 'busy', media: undefined });
    harness.clock.advance(30_000);
    expect(b.desired.state).toBe('howler');
    harness.clock.advance(60_000);
    expect(b.desired.state).toBe('lockout');
    harness.board.onHook(b);
    expect(b.desired.state).toBe('idle');
    expect(harness.board.callCount).toBe(0);
    expect(harness.clock.pending).toBe(0);
  });
  it('gives reorder for an unknown number, busy for a busy line, itself included', () => {
    const harness = newHarness();
    const [a] = harness.lines;
    harness.board.offHook(a);
    harness.board.dialled(a, '999');
    expect(a.desired).toMatchObject({ state: 'tone', tone: 'reorder' });
    harness.board.onHook(a);
    harness.board.offHook(a);
    harness.board.dialled(a, '200');
    expect(a.desired).toMatchObject({ state: 'tone', tone: 'busy' });
  });
  it('stops ringing when nobody answers', () => {
    const harness = newHarness();
    const [a, b] = harness.lines;
    ringing(harness);
    harness.clock.advance(120_000);
    expect(a.desired).toMatchObject({ state: 'tone', tone: 'busy' });
    expect(b.desired.state).toBe('idle');
  });
  it('ends a call whose gateway is lost, and the line waits for its gateway', () => {
    const harness = newHarness();
    const [a, b] = harness.lines;
    ringing(harness);
    harness.board.outOfService(b);
    expect(a.desired).toMatchObject({ state: 'tone', tone: 'reorder' });
    expect(harness.locations.lookup('201')).toEqual([]);
    harness.board.onHook(a);
    harness.board.offHook(a);
    harness.board.dialled(a, '201');
    expect(a.desired).toMatchObject({ state: 'tone', tone: 'reorder' });
  });
});

describe('rebuilding calls from audits', () => {
  const ids = new CallIds(seededRandom(3));
  const callId = ids.make('201');
  const rules = {
    isNumberOf: (number: string, end: CallEnd) => end.snapshot.endpoint === (number === '201' ? 'b@g' : 'a@g'),
    reach: () => 'now' as const,
  };
  const end = (endpoint: string, over: Partial<LineSnapshot>, protocol = 'mgcp'): CallEnd => ({
    protocol,
    snapshot: {
      endpoint,
      hook: 'on',
      tone: undefined,
      collecting: false,
      state: undefined,
      media: [],
      ...over,
    },
  });
  const media = (mode: 'receive' | 'both', remote?: string) => [{ callId, mode, local: undefined, remote }];
  const sdp = (host: string, port: number, order = 'cm'): string =>
    order === 'cm'
      ? `v=0\r\nc=IN IP4 ${host}\r\nm=audio ${port} RTP/AVP 0\r\n`
      : `v=0\nm=audio ${port} RTP/AVP 0\nc=IN IP4 ${host}\n`;

  it('finds the call in every phase', () => {
    const phase = (a: Partial<LineSnapshot>, b: Partial<LineSnapshot>) =>
      rebuild([end('b@g', b), end('a@g', a)], rules).calls.map((call) => [call.phase, call.caller?.endpoint]);
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
    const { others } = rebuild(
      [
        end('1@g', {}),
        end('2@g', { hook: 'off', collecting: true }),
        end('3@g', { hook: 'off' }),
        end('4@g', { hook: 'off', media: media('both') }),
        end('5@g', { hook: 'off', tone: 'busy' }),
      ],
      rules,
    );
    expect(others.map(({ snapshot }) => dispositionOf(snapshot))).toEqual([
      'idle',
      'dialling',
      'dialling',
      'tone',
      'tone',
    ]);
  });
  it('joins ends of two protocols by their media addresses, however the gateways write them', () => {
    const caller = [{ callId, mode: 'both' as const, local: sdp('192.0.2.1', 4_000), remote: sdp('192.0.2.2', 5_000) }];
    const callee = [
      {
        callId: undefined,
        mode: 'both' as const,
        local: sdp('192.0.2.2', 5_000, 'mc'),
        remote: sdp('192.0.2.1', 4_000),
      },
    ];
    const ends = [end('a@g', { hook: 'off', media: caller }), end('b@g', { hook: 'off', media: callee }, 'megaco')];
    for (const order of [ends, [...ends].reverse()]) {
      const [call, ...more] = rebuild(order, rules).calls;
      expect(more).toEqual([]);
      expect(call).toMatchObject({ phase: 'talking', callId, number: '201', caller: { protocol: 'mgcp' } });
      expect(call?.callee).toMatchObject({ protocol: 'megaco', endpoint: 'b@g' });
    }
  });
  it('lets no address that was used again draw a third end into a call', () => {
    const talk = (local: number, remote: number) => [
      { callId: undefined, mode: 'both' as const, local: sdp('192.0.2.1', local), remote: sdp('192.0.2.1', remote) },
    ];
    const { calls, loose } = rebuild(
      [
        end('stale@g', { hook: 'off', media: talk(9, 1) }),
        end('a@g', { hook: 'off', media: talk(1, 2) }),
        end('c@g', { hook: 'off', media: talk(2, 1) }),
      ],
      rules,
    );
    expect(calls).toHaveLength(1);
    expect(loose.map((each) => each.end.snapshot.endpoint)).toEqual(['stale@g']);
  });
  it('holds an end that talks to somebody nobody has reported', () => {
    const { calls, loose, others } = rebuild(
      [end('a@g', { hook: 'off', media: media('both', sdp('192.0.2.9', 7_000)) })],
      rules,
    );
    expect([calls, others]).toEqual([[], []]);
    expect(loose).toMatchObject([{ callId, number: '201' }]);
  });
});

describe('call control', () => {
  it('connects lines of two protocols, counts the call in both, and clears both', () => {
    const { mgcp, megaco, control } = crossing();
    const { line: a, board: mgcpBoard } = mgcp;
    const { line: b, board: megacoBoard } = megaco;
    mgcpBoard.offHook(a);
    mgcpBoard.dialled(a, '300');
    const callId = a.desired.media?.callId ?? '';
    mgcpBoard.mediaReady(a, callId, 'sdp-a');
    expect(b.desired).toMatchObject({ state: 'ringing', tone: 'ring', media: { callId, remote: 'sdp-a' } });
    megacoBoard.mediaReady(b, callId, 'sdp-b');
    expect(a.desired).toMatchObject({ state: 'ringback', media: { remote: 'sdp-b' } });
    megacoBoard.offHook(b);
    expect(a.desired.state).toBe('talking');
    expect([mgcpBoard.callCount, megacoBoard.callCount]).toEqual([1, 1]);
    megacoBoard.onHook(b);
    expect(b.desired.state).toBe('idle');
    expect(a.desired).toMatchObject({ state: 'tone', tone: 'busy' });
    expect([...control.calls]).toEqual([]);
  });

  it('keeps a talking end whose other end has not reported, and joins the other end when it does', () => {
    const { mgcp, megaco, control, unknown } = crossing();
    unknown.add('megaco');
    const adopted: string[] = [];
    const report = (protocol: string, board: LineProvider, snapshot: LineSnapshot) =>
      control.recovery.report({
        protocol,
        snapshots: [snapshot],
        isOurs: () => true,
        adopt: ({ endpoint, hook }, kept) => {
          const line = board.lines.byEndpoint(endpoint);
          if (line !== undefined) line.hook = hook;
          adopted.push(`${protocol} ${kept?.callId}`);
        },
        restoreLine: (endpoint, disposition) => {
          const line = board.lines.byEndpoint(endpoint);
          if (line !== undefined) board.restoreLine(line, disposition);
        },
      });
    report('mgcp', mgcp.board, talking('a@mgcp', 'A', 4_000, 5_000));
    expect(mgcp.line.desired).toMatchObject({ state: 'talking', media: { callId: 'A' } });
    mgcp.clock.advance(60_000);
    expect(mgcp.line.desired.state).toBe('talking');
    unknown.clear();
    report('megaco', megaco.board, talking('a@megaco', undefined, 5_000, 4_000));
    expect(megaco.line.desired.state).toBe('talking');
    expect(adopted).toEqual(['mgcp A', 'megaco A']);
    megaco.board.onHook(megaco.line);
    expect(mgcp.line.desired).toMatchObject({ state: 'tone', tone: 'busy' });
    expect([...control.calls]).toEqual([]);
  });

  it('ends a talking end once every gateway has reported and none has its other end', () => {
    const { mgcp, megaco, control, unknown } = crossing();
    unknown.add('megaco');
    control.recovery.report({
      protocol: 'mgcp',
      snapshots: [talking('a@mgcp', 'A', 4_000, 5_000)],
      isOurs: () => true,
      adopt: ({ hook }) => {
        mgcp.line.hook = hook;
      },
      restoreLine: () => undefined,
    });
    unknown.clear();
    megaco.board.lost(megaco.line);
    expect(mgcp.line.desired).toMatchObject({ state: 'tone', tone: 'busy' });
    expect([...control.calls]).toEqual([]);
  });

  it('keeps the party here talking when the gateway of the other becomes another member’s', () => {
    const { mgcp, megaco, unknown, control } = crossing();
    mgcp.board.offHook(mgcp.line);
    mgcp.board.dialled(mgcp.line, '300');
    const callId = mgcp.line.desired.media?.callId ?? '';
    mgcp.board.mediaReady(mgcp.line, callId, 'sdp-a');
    megaco.board.mediaReady(megaco.line, callId, 'sdp-b');
    megaco.board.offHook(megaco.line);
    unknown.add('mgcp');
    mgcp.board.forget(mgcp.line);
    expect(megaco.line.desired.state).toBe('talking');
    megaco.board.onHook(megaco.line);
    expect(megaco.line.desired.state).toBe('idle');
    expect([...control.calls]).toEqual([]);
  });
});

const talking = (endpoint: string, callId: string | undefined, local: number, remote: number): LineSnapshot => ({
  endpoint,
  hook: 'off',
  tone: undefined,
  collecting: false,
  state: 'talking',
  media: [
    {
      callId,
      mode: 'both',
      local: `v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio ${local} RTP/AVP 0\r\n`,
      remote: `v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio ${remote} RTP/AVP 0\r\n`,
    },
  ],
});

/** One line of each gateway protocol under one call control. */
function crossing() {
  const clock = new FakeClock();
  const locations = mapLocations();
  const metrics = new Metrics();
  const parts = { clock, log: silentLog, metrics, locations };
  const control = new CallControl({
    ...parts,
    random: seededRandom(1),
    locate: (number) => locations.lookup(number),
  });
  const unknown = new Set<string>();
  const side = (protocol: string, number: string) => {
    const board = new LineProvider({
      ...parts,
      callControl: control,
      protocol,
      driver: { apply() {} },
      hasUnknownLines: () => unknown.has(protocol),
    });
    const line = board.lines.add({ number, endpoint: `a@${protocol}`, gateway: protocol });
    board.inService(line, 'on');
    return { board, line, clock };
  };
  return { control, unknown, mgcp: side('mgcp', '200'), megaco: side('megaco', '300') };
}

function ringing({ board, lines: [a, b] }: ReturnType<typeof newHarness>): void {
  board.offHook(a);
  board.dialled(a, '201');
  const callId = a.desired.media?.callId ?? '';
  board.mediaReady(a, callId, 'sdp-a');
  board.mediaReady(b, callId, 'sdp-b');
}

function newHarness() {
  const clock = new FakeClock();
  const locations = mapLocations();
  const parts = { clock, log: silentLog, metrics: new Metrics(), locations };
  const board = new LineProvider({
    ...parts,
    callControl: new CallControl({
      ...parts,
      random: seededRandom(1),
      locate: (number) => locations.lookup(number),
    }),
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
