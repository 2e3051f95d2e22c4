/** A call that one party holds when its controller dies is still held after the takeover. */
import { describe, expect, it } from 'vitest';
import {
  CallControl,
  LineProvider,
  type LineSnapshot,
  type MediaMode,
  Metrics,
  rebuild,
  silentLog,
  talkingMode,
} from '../../src/internal.ts';
import { MemoryLocations } from '../../src/location/memory.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { seededRandom } from '../support/seeded-random.ts';

const sdp = (port: number): string => `v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio ${port} RTP/AVP 0\r\n`;

const snapshot = (
  endpoint: string,
  mode: MediaMode,
  [local, remote]: readonly [number, number],
  over: Partial<LineSnapshot> = {},
): LineSnapshot => ({
  endpoint,
  hook: 'off',
  tone: undefined,
  collecting: false,
  state: 'talking',
  media: [{ callId: 'A', mode, local: sdp(local), remote: sdp(remote) }],
  ...over,
});

const modes = ['both', 'receive', 'send', 'none'] as const;

describe('media of a call that was answered', () => {
  it('keep the mode that they were told; before it was connected, a line only received', () => {
    const party = (mode: MediaMode, state: LineSnapshot['state']) => {
      const [media] = snapshot('a@g', mode, [1, 2]).media;
      return talkingMode({ protocol: 'x', endpoint: 'a@g', media, state });
    };
    expect(modes.map((mode) => party(mode, 'talking'))).toEqual(modes);
    expect(modes.map((mode) => party(mode, 'ringing'))).toEqual(['both', 'both', 'send', 'none']);
  });

  it('are over when the callee is on-hook, held or not', () => {
    for (const mode of modes) {
      const ends = [
        { protocol: 'x', snapshot: snapshot('a@g', 'both', [1, 2]) },
        { protocol: 'x', snapshot: snapshot('b@g', mode, [2, 1], { hook: 'on' }) },
      ];
      const { calls } = rebuild(ends, {
        isNumberOf: (number, { snapshot: { endpoint } }) => endpoint === (number === '201' ? 'b@g' : 'a@g'),
        reach: () => 'now',
      });
      expect([mode, calls]).toEqual([mode, []]);
    }
  });
});

describe('lines after a takeover', () => {
  for (const mode of modes)
    it(`that were to ${mode} are still, and go on when the other party is heard of`, () => {
      const clock = new FakeClock();
      const parts = { clock, log: silentLog, metrics: new Metrics() };
      const locations = new MemoryLocations({ clock });
      const control = new CallControl({
        ...parts,
        random: seededRandom(1),
        locate: (number) => locations.lookup(number),
      });
      let isUnknown = true;
      const board = new LineProvider({
        ...parts,
        locations,
        callControl: control,
        protocol: 'lines',
        driver: { apply() {} },
        hasUnknownLines: () => isUnknown,
      });
      const [a, b] = ['200', '201'].map((number) => {
        const line = board.lines.add({ number, endpoint: `${number}@g`, gateway: 'g' });
        board.inService(line, 'on');
        return line;
      });
      if (a === undefined || b === undefined) throw new Error('no lines');
      const report = (each: LineSnapshot) =>
        control.recovery.report({
          protocol: 'lines',
          snapshots: [each],
          isOurs: () => true,
          adopt: ({ endpoint, hook }) => {
            const line = board.lines.byEndpoint(endpoint);
            if (line !== undefined) line.hook = hook;
          },
          restoreLine: () => undefined,
        });
      report(snapshot('200@g', mode, [4_000, 5_000]));
      expect(a.desired).toMatchObject({ state: 'talking', media: { mode, remote: sdp(5_000) } });
      isUnknown = false;
      report(snapshot('201@g', 'both', [5_000, 4_000]));
      expect(a.desired).toMatchObject({ state: 'talking', media: { mode } });
      expect(b.desired).toMatchObject({ state: 'talking', media: { mode: 'both' } });
      board.onHook(b);
      expect(a.desired).toMatchObject({ state: 'tone', tone: 'busy' });
      expect([...control.calls]).toEqual([]);
    });
});
