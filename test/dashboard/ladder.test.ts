import { describe, expect, it } from 'vitest';
import { ladder, type Mark } from '../../src/dashboard/page/ladder-layout.ts';
import type { TraceRow } from '../../src/dashboard/page/rows.ts';

const row = (sequence: number, from: string, to: string, title: string, own: Partial<TraceRow> = {}): TraceRow => ({
  sequence,
  wallMs: 10_000 + sequence * 100,
  protocol: 'x',
  transport: 'udp',
  direction: to.startsWith('10.0.0.1:') ? 'in' : 'out',
  from,
  to,
  title,
  isRequest: !/^\d/.test(title),
  ...own,
});

const [alice, here, bob, dead] = ['10.0.0.3:1', '10.0.0.1:5060', '10.0.0.4:1', '10.0.0.2:5060'];
const draw = (rows: readonly TraceRow[], marks: readonly Mark[] = [], width = 900, besides: readonly string[] = []) =>
  ladder({ rows, marks, width, nameOf: (address) => (address === dead ? 'b' : undefined), besides });

describe('the ladder of a call', () => {
  const plain = [
    row(1, alice, here, 'INVITE sip:bob@example.com;x=1'),
    row(2, here, bob, 'INVITE sip:bob@10.0.0.4'),
    row(3, bob, here, '486 Busy Here (INVITE)'),
  ];

  it('has a column for each address in the order of the call, ours marked, and a row for each message', () => {
    const { columns, items } = draw(plain);
    expect(columns.map(({ address, isOwn }) => [address, isOwn])).toEqual([
      [alice, false],
      [here, true],
      [bob, false],
    ]);
    expect(items.map((item) => (item.kind === 'message' ? item.label : item.kind))).toEqual([
      'INVITE bob@example.com',
      'INVITE bob@10.0.0.4',
      '486 Busy Here (INVITE)',
    ]);
    expect(items[2]).toMatchObject({ isFailure: true, isRequest: false, from: columns[2]?.x, to: columns[1]?.x });
    const ys = items.map(({ y }) => y);
    expect(ys).toEqual([...new Set(ys)].sort((a, b) => a - b));
  });

  it('draws what failed as an arrow that does not arrive, above the one that did', () => {
    const { columns, items } = draw([
      row(1, alice, here, 'INVITE x'),
      row(2, here, bob, 'INVITE x', { moved: { from: `udp:${dead}`, because: 'refused' } }),
    ]);
    expect(columns.map(({ address }) => address)).toEqual([alice, here, dead, bob]);
    expect(items.map(({ kind }) => kind)).toEqual(['message', 'failed', 'message']);
    expect(items[1]).toMatchObject({ text: 'b failed: refused', to: columns[2]?.x });
    expect(items[2]).toMatchObject({ isMoved: true });
  });

  it('ends the life line of a member where it died, and begins it again where it returned', () => {
    const died: Mark = { atMs: 10_150, mood: 'bad', text: 'b died', address: dead };
    const returned: Mark = { atMs: 10_250, mood: 'good', text: 'b is back', address: dead };
    const gone = draw(plain, [died], 900, [dead]);
    expect(gone.items.map(({ kind }) => kind)).toEqual(['message', 'mark', 'message', 'message']);
    const column = gone.columns.find(({ address }) => address === dead);
    expect(column?.life).toEqual([[0, column?.deaths[0]]]);
    const back = draw(plain, [returned, died], 900, [dead]).columns.find(({ address }) => address === dead);
    expect(back?.life.length).toBe(2);
  });

  it('puts what was before at the top, and what comes last at the bottom', () => {
    const kinds = draw(plain, [
      { atMs: 1, mood: 'bad', text: 'before' },
      { atMs: 99_999, mood: 'good', text: 'after' },
    ]).items.map(({ kind }) => kind);
    expect(kinds).toEqual(['mark', 'message', 'message', 'message', 'mark']);
  });

  it.each([320, 390, 900, 1_400])(
    'keeps every column and label inside %d pixels, or as wide as columns need',
    (width) => {
      const { columns, items, width: total, timeWidth } = draw(plain, [], width);
      expect(total).toBeGreaterThanOrEqual(width);
      for (const { x } of columns) expect(x).toBeGreaterThan(timeWidth);
      for (const { x } of columns) expect(x).toBeLessThan(total);
      const gaps = columns.slice(1).map(({ x }, index) => x - (columns[index]?.x ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(90);
      for (const item of items)
        if (item.kind === 'message') expect(item.labelX + item.label.length * 6.9).toBeLessThanOrEqual(total + 7);
    },
  );

  it('says each message to who cannot see it', () => {
    const { items } = draw([row(1, here, dead, 'BYE x', { moved: { from: bob, because: 'silent' } })]);
    const message = items.at(-1);
    expect(message?.kind === 'message' && message.spoken).toMatch(
      /BYE x, from 10\.0\.0\.1:5060 to b, because 10\.0\.0\.4:1 failed: silent$/,
    );
  });

  it('is empty without messages, and bears a message to itself', () => {
    expect(draw([]).columns).toEqual([]);
    expect(draw([row(1, here, here, 'OPTIONS x')]).items[0]).toMatchObject({ isItself: true });
  });
});
