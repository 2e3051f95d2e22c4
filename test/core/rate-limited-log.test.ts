import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { RateLimitedLog } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';

function world(level = 'info') {
  const clock = new FakeClock();
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level, base: null, timestamp: false }, { write: (line) => lines.push(JSON.parse(line)) });
  const limited = new RateLimitedLog(log, clock);
  const bad = (from: string, offset = 0) => limited.info('malformed message', from, () => ({ from, offset }));
  return { clock, lines, limited, bad };
}

describe('rate-limited log', () => {
  it('writes one line per source, kind and minute, then one with the count', () => {
    const { clock, lines, limited, bad } = world();
    for (let index = 0; index < 1_000; index += 1) bad('192.0.2.1', index);
    bad('192.0.2.2');
    limited.warn('stranger', '192.0.2.1', () => ({ from: '192.0.2.1' }));
    expect(lines).toMatchObject([
      { msg: 'malformed message', from: '192.0.2.1', offset: 0 },
      { msg: 'malformed message', from: '192.0.2.2' },
      { msg: 'stranger', from: '192.0.2.1', level: 40 },
    ]);
    clock.advance(60_000);
    expect(lines.slice(3)).toEqual([{ level: 30, from: '192.0.2.1', offset: 0, count: 999, msg: 'malformed message' }]);
  });

  it('writes one line a minute of who goes on, and a first line again of who stopped', () => {
    const { clock, lines, bad } = world();
    for (let second = 0; second < 300; second += 1) {
      bad('192.0.2.1');
      clock.advance(1_000);
    }
    expect(lines.map(({ count }) => count)).toEqual([undefined, 59, 60, 60, 60, 60]);
    clock.advance(180_000);
    expect(clock.pending).toBe(0);
    bad('192.0.2.1');
    expect(lines.at(-1)).not.toHaveProperty('count');
  });

  it('has a bound for invented sources: they are counted together', () => {
    const { clock, lines, bad } = world();
    for (let index = 0; index < 100_000; index += 1) bad(`source ${index}`);
    expect(lines).toHaveLength(64);
    clock.advance(60_000);
    expect(lines.slice(64)).toEqual([{ level: 30, from: 'others', count: 100_000 - 64, msg: 'malformed message' }]);
    clock.advance(120_000);
    expect([lines.length, clock.pending]).toEqual([65, 0]);
  });

  it('keeps nothing and counts nothing of what the level hides', () => {
    const { clock, lines, limited, bad } = world('warn');
    bad('192.0.2.1');
    limited.debug('x', 'y', () => {
      throw new Error('not asked');
    });
    expect([lines.length, clock.pending]).toEqual([0, 0]);
  });

  it('says what it left out when it is closed', () => {
    const { clock, lines, limited, bad } = world();
    bad('a');
    bad('a');
    limited.close();
    limited.close();
    expect(lines.map(({ count }) => count)).toEqual([undefined, 1]);
    expect(clock.pending).toBe(0);
  });
});
