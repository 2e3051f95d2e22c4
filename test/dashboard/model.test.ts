import { describe, expect, it } from 'vitest';
import { EventReader } from '../../src/dashboard/page/event-reader.ts';
import {
  callMood,
  failureGroups,
  happeningText,
  joinedHappenings,
  keepTakeovers,
  memberCards,
  reasonTitle,
  why,
} from '../../src/dashboard/page/model.ts';
import type { CallRow, ClusterView, Happening, MemberRow } from '../../src/dashboard/page/rows.ts';
import { failureMix, lastMinutes, postDialDelay, traffic } from '../../src/dashboard/page/series.ts';

const member = (own: Partial<MemberRow> = {}): MemberRow => ({
  protocol: 'x',
  transport: 'udp',
  host: '192.0.2.2',
  port: 5060,
  kind: 'member',
  name: 'b',
  state: 'alive',
  aliveSinceMs: 1_000,
  ...own,
});

const view = (own: Partial<ClusterView> = {}): ClusterView => ({
  state: 'ready',
  node: 'a',
  version: '1',
  startedMs: 500,
  own: [{ protocol: 'x', addresses: ['udp:192.0.2.1:5060', 'tcp:192.0.2.1:5060'] }],
  members: [member()],
  takeovers: [],
  ...own,
});

describe('the cluster strip', () => {
  it('has this member first, and one card for all roles of another', () => {
    const cards = memberCards(view({ members: [member(), member({ protocol: 'y', port: 2727 })] }));
    expect(cards).toMatchObject([
      { name: 'a', isSelf: true, mood: 'good', word: 'lives', sinceMs: 500, addresses: ['192.0.2.1:5060'] },
      { name: 'b', isSelf: false, mood: 'good', word: 'lives', addresses: ['192.0.2.2:5060', '192.0.2.2:2727'] },
    ]);
  });

  it('takes a hop without a name for the member at its host', () => {
    const hop = member({ transport: 'tcp', kind: 'peer', name: undefined as unknown as string, health: 'up' });
    expect(memberCards(view({ members: [member(), hop] })).map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('says since when one is dead, by when it was found so', () => {
    const dead = member({ state: 'dead', diedMs: 9_000, lastHeardMs: 8_000 });
    const silent = member({ protocol: 'y', state: 'suspect', lastHeardMs: 2_000 });
    expect(memberCards(view({ members: [dead, silent] }))[1]).toMatchObject({
      mood: 'bad',
      word: 'dead',
      sinceMs: 9_000,
    });
    expect(memberCards(view({ members: [member({ state: 'dead', lastHeardMs: 8_000 })] }))[1]?.sinceMs).toBe(8_000);
  });

  it('says who stands in for whom: by what was taken over, and by whose gateways are served', () => {
    const dead = member({ state: 'dead', diedMs: 9_000 });
    const takeovers = [{ protocol: 'x', partner: 'udp:192.0.2.2:5060', sinceMs: 9_500, messages: 7, calls: 2 }];
    expect(memberCards(view({ members: [dead], takeovers }))[0]?.standsInFor).toEqual([
      { name: 'b', sinceMs: 9_500, messages: 7, calls: 2, gatewaysOf: [] },
    ]);
    const own = [{ protocol: 'x', addresses: ['udp:192.0.2.1:5060'], serves: ['192.0.2.1:5060', '192.0.2.2:5060'] }];
    expect(memberCards(view({ members: [dead], own }))[0]?.standsInFor).toMatchObject([
      { name: 'b', gatewaysOf: ['x'] },
    ]);
    const third = member({ name: 'c', host: '192.0.2.3', serves: ['udp:192.0.2.2:5060'] });
    expect(memberCards(view({ members: [dead, third] }))[2]?.standsInFor).toMatchObject([
      { name: 'b', sinceMs: 9_000 },
    ]);
    expect(memberCards(view({ takeovers }))[0]?.standsInFor).toEqual([]);
  });

  it('leads to the dashboards of the others where it knows them', () => {
    const page = { protocol: 'http:', hostname: '192.0.2.1', port: '9060' };
    expect(memberCards(view(), [], page)[1]?.link).toBe('http://192.0.2.2:9060/dashboard/');
    expect(memberCards(view(), [], { ...page, hostname: '127.0.0.1' })[1]?.link).toBeUndefined();
    expect(memberCards(view({ admins: { b: '198.51.100.7:9999' } }), [], page)[1]?.link).toBe(
      'http://198.51.100.7:9999/dashboard/',
    );
  });

  it('keeps what was taken over from a dead member when there is nothing new to tell', () => {
    const row = { protocol: 'x', partner: 'udp:192.0.2.2:5060', sinceMs: 9_500, messages: 7, calls: 2 };
    const dead = view({ members: [member({ state: 'dead', diedMs: 9_000 })] });
    expect(keepTakeovers([row], dead)).toEqual([row]);
    expect(keepTakeovers([row], view())).toEqual([]);
    const anew = { ...row, sinceMs: 40_000, messages: 1, calls: 1 };
    expect(keepTakeovers([row], { ...dead, takeovers: [anew] })).toEqual([row]);
    expect(keepTakeovers([], { ...dead, takeovers: [row] })).toEqual([row]);
  });
});

const failed = (own: Partial<CallRow> = {}): CallRow => ({
  id: '1',
  protocol: 'x',
  state: 'ended',
  failed: true,
  caller: 'sip:alice@example.com',
  callee: 'sip:200@example.com',
  endedMs: 1_000,
  reason: 'busy',
  ...own,
});

describe('why calls failed', () => {
  it('groups by reason and by who said so, the most frequent first', () => {
    const groups = failureGroups([
      failed({ reason: 'timeout' }),
      failed({ where: 'udp:192.0.2.9:5060', endedMs: 5_000 }),
      failed({ where: 'udp:192.0.2.9:5060', endedMs: 7_000, id: '3' }),
      failed(),
    ]);
    expect(groups.map(({ reason, where, count, lastMs }) => [reason, where, count, lastMs])).toEqual([
      ['busy', '192.0.2.9:5060', 2, 7_000],
      ['timeout', undefined, 1, 1_000],
      ['busy', undefined, 1, 1_000],
    ]);
    expect(groups[0]?.example.id).toBe('3');
  });

  it.each([
    [
      failed({ code: '486', cause: 17, where: 'udp:192.0.2.9:5060' }),
      '200@example.com was busy. 192.0.2.9:5060 said so (486, Q.850 cause 17).',
    ],
    [
      failed({ reason: 'noRoute', detail: 'no address of gone.example' }),
      'The next hop has no address: its name does not resolve, or no route leads there. This controller said so: no address of gone.example.',
    ],
    [failed({ reason: 'somethingNew', code: '599' }), 'The call was refused. This controller said so (599).'],
  ])('says it in a sentence', (row, text) => expect(why(row)).toBe(text));

  it('writes reasons as titles', () => {
    expect([reasonTitle('noRoute'), reasonTitle('busy')]).toEqual(['No route', 'Busy']);
  });

  it('shows a call by its state', () => {
    expect(callMood(failed())).toBe('bad');
    expect(callMood(failed({ failed: false }))).toBe('idle');
    expect(callMood(failed({ state: 'talking' }))).toBe('good');
    expect(callMood(failed({ state: 'ringing' }))).toBe('warn');
  });
});

describe('what happened', () => {
  const name = (address: string): string => (address.includes('192.0.2.2') ? 'b' : address);
  const happening = (own: Partial<Happening>): Happening => ({
    sequence: 1,
    wallMs: 1_000,
    lastMs: 1_000,
    what: 'died',
    ...own,
  });

  it('is said in a sentence', () => {
    const text = (own: Partial<Happening>): string => happeningText(happening(own), name).text;
    expect(text({ address: 'udp:192.0.2.2:5060', because: 'silent', protocol: 'x' })).toBe(
      'b does not answer any more (x): silent',
    );
    expect(text({ what: 'returned', address: 'udp:192.0.2.2:5060' })).toBe('b answers again');
    expect(text({ what: 'gateway', from: 'udp:192.0.2.2:1', to: 'a' })).toBe('The gateways of b are served by a now');
    expect(text({ what: 'gateway', gateway: 'gw1', to: 'a' })).toBe('Gateway gw1 is served by a now');
    expect(text({ what: 'message', from: 'udp:192.0.2.2:1', to: 'c', because: 'refused', count: 12 })).toBe(
      '12 messages for b went to c instead: refused',
    );
  });

  it('is told once where all roles of a member died together', () => {
    const rows = [
      happening({ sequence: 3, protocol: 'z', address: 'udp:192.0.2.2:1' }),
      happening({ sequence: 2, protocol: 'y', address: 'udp:192.0.2.2:2' }),
      happening({ sequence: 1, protocol: 'x', address: 'udp:192.0.2.3:2' }),
    ];
    expect(joinedHappenings(rows, name).map(({ protocol, address }) => [protocol, address])).toEqual([
      ['y, z', 'udp:192.0.2.2:1'],
      ['x', 'udp:192.0.2.3:2'],
    ]);
  });
});

describe('charts', () => {
  const sample = (wallMs: number, failures: Record<string, number>) => ({
    wallMs,
    callsOpen: 1,
    begunPerSecond: 2,
    answeredPerSecond: 1,
    failedPerSecond: 1,
    messagesPerSecond: 9,
    failures,
    memoryBytes: 1,
  });
  const samples = [sample(1_000, { busy: 1 }), sample(6_000, { busy: 2, timeout: 4 }), sample(11_000, { loop: 1 })];

  it('puts reasons on one another, the most frequent lowest, what is rare together', () => {
    expect(failureMix(samples, 2)).toEqual({
      labels: ['Timeout', 'Busy', 'Others'],
      columns: [
        [1, 6, 11],
        [0, 4, 0],
        [1, 6, 0],
        [1, 6, 1],
      ],
    });
  });

  it('has a gap where no call rang', () => {
    expect(postDialDelay([{ ...samples[0], postDialMs: [4, 9] } as never, samples[1] as never]).columns).toEqual([
      [1, 6],
      [4, null],
      [9, null],
    ]);
    expect(traffic(samples).columns[1]).toEqual([2, 2, 2]);
    expect(lastMinutes(samples, 0.1, 11_000).length).toBe(2);
  });
});

describe('the stream of events', () => {
  it('is put together from pieces, whatever their cuts', () => {
    const text = ': altpath\n\nevent: figures\ndata: {"a":1}\n\nevent: calls\ndata: {"b":\ndata: 2}\n\ndata: torn';
    for (const size of [1, 7, 1_000]) {
      const reader = new EventReader();
      const events = [];
      for (let at = 0; at < text.length; at += size) events.push(...reader.push(text.slice(at, at + size)));
      expect(events).toEqual([
        { kind: 'figures', data: { a: 1 } },
        { kind: 'calls', data: { b: 2 } },
      ]);
    }
  });

  it('leaves out what is no JSON, and takes no event without end', () => {
    expect(new EventReader().push('data: {\n\n')).toEqual([]);
    expect(() => new EventReader().push('x'.repeat(40_000_000))).toThrow('without end');
  });
});
