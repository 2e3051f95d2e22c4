import { describe, expect, it } from 'vitest';
import { LogOutput } from '../../src/internal.ts';
import { FakeClock } from '../support/fake-clock.ts';

/** An output that takes what the test lets it take. */
function world() {
  const clock = new FakeClock();
  let text = '';
  let room = Number.POSITIVE_INFINITY;
  let fault: string | undefined;
  let lost = 0;
  const resumed: number[] = [];
  const output = new LogOutput({
    clock,
    write(bytes) {
      if (room === 0) throw Object.assign(new Error('no'), { code: fault ?? 'EAGAIN' });
      const taken = bytes.subarray(0, room);
      room -= taken.length;
      text += Buffer.from(taken).toString();
      return taken.length;
    },
    dropped: (count) => {
      lost += count;
    },
    resumed: (count) => {
      resumed.push(count);
    },
  });
  return {
    clock,
    output,
    resumed,
    text: () => text,
    lost: () => lost,
    /** From now on it takes so many octets, then fails. */
    takes: (octets: number, then?: string) => {
      room = octets;
      fault = then;
    },
  };
}

describe('log output: a disk without room', () => {
  it.each(['ENOSPC', 'EDQUOT', 'EIO', 'EPIPE', 'EBADF'])('drops lines on %s, counts them and goes on', (code) => {
    const { output, takes, text, lost, resumed } = world();
    output.write('one\n');
    takes(0, code);
    output.write('two\n');
    output.write('three\n');
    takes(Number.POSITIVE_INFINITY);
    output.write('four\n');
    output.write('five\n');
    expect(text()).toBe('one\nfour\nfive\n');
    expect(lost()).toBe(2);
    expect(resumed).toEqual([2]);
  });

  it('does not glue the next line to one that came out in part', () => {
    const { output, takes, text, lost } = world();
    takes(2, 'ENOSPC');
    output.write('three\n');
    output.write('lost as well\n');
    takes(Number.POSITIVE_INFINITY);
    output.write('four\n');
    output.write('five\n');
    expect(text()).toBe('th\nfour\nfive\n');
    expect(lost()).toBe(2);
  });
});

describe('log output: a reader that stops', () => {
  it('keeps lines for it in order, and never waits', () => {
    const { clock, output, takes, text, lost } = world();
    takes(3);
    output.write('hello\n');
    output.write('world\n');
    expect(text()).toBe('hel');
    takes(5);
    clock.advance(100);
    expect(text()).toBe('hello\nwo');
    takes(Number.POSITIVE_INFINITY);
    output.write('!\n');
    clock.advance(100);
    expect(text()).toBe('hello\nworld\n!\n');
    expect(lost()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('holds a bounded amount, drops and counts what is more, and says so when it reads again', () => {
    const { clock, output, takes, text, lost, resumed } = world();
    takes(0);
    const line = `${'x'.repeat(1_023)}\n`;
    for (let index = 0; index < 5_000; index += 1) output.write(line);
    expect(lost()).toBe(5_000 - 1_024);
    takes(Number.POSITIVE_INFINITY);
    clock.advance(100);
    expect(text()).toBe(line.repeat(1_024));
    expect(resumed).toEqual([5_000 - 1_024]);
    output.write('and on\n');
    expect(text().endsWith('and on\n')).toBe(true);
  });

  it('drops what waits when the reader goes away', () => {
    const { clock, output, takes, text, lost } = world();
    takes(2);
    output.write('hello\n');
    output.write('world\n');
    takes(0, 'EPIPE');
    clock.advance(100);
    expect([text(), lost(), clock.pending]).toEqual(['he', 2, 0]);
  });
});

describe('log output: what terminals obey', () => {
  it('stands there as its escape, and means the same in JSON', () => {
    const { output, text } = world();
    const uri = 'sip:\u009b31m\u009d0;x\u009c\u007f\u202eevil\u2066@h\u00e9\u4e2d';
    const line = `${JSON.stringify({ uri, escaped: '\u001b[2J' })}\n`;
    output.write(line);
    output.write('plain\n');
    expect(text().replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    const [first = '', second] = text().split('\n');
    expect(JSON.parse(first)).toEqual({ uri, escaped: '\u001b[2J' });
    expect(second).toBe('plain');
  });
});
