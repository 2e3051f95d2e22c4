import { describe, expect, it } from 'vitest';
import {
  age,
  bareAddress,
  clockTime,
  count,
  cut,
  delay,
  duration,
  hostOf,
  megabytes,
  moment,
  party,
  plain,
  shortDuration,
} from '../../src/dashboard/page/format.ts';

describe('times', () => {
  it.each([
    [0, '0.0 s'],
    [412, '0.4 s'],
    [9_960, '10 s'],
    [119_400, '119 s'],
    [125_000, '2 min 5 s'],
    [7_500_000, '2 h 5 min'],
    [172_800_000, '2 d 0 h'],
    [-5, '0.0 s'],
    [Number.NaN, ''],
  ])('%d ms lasted %s', (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [4_000, '4 s'],
    [99_400, '99 s'],
    [240_000, '4 min'],
    [7_200_000, '2 h'],
    [259_200_000, '3 d'],
  ])('%d ms in short are %s', (ms, text) => expect(shortDuration(ms)).toBe(text));

  it('has ages of what was and of what comes', () => {
    expect(age(1_000, 2_000)).toBe('just now');
    expect(age(1_000, 13_000)).toBe('12 s ago');
    expect(age(61_000, 1_000)).toBe('in 60 s');
  });

  it('says the day where it is another one', () => {
    const noon = new Date(2026, 10, 28, 12, 3, 4, 56).getTime();
    expect(clockTime(noon)).toBe('12:03:04');
    expect(clockTime(noon, true)).toBe('12:03:04.056');
    expect(moment(noon, noon + 60_000)).toBe('12:03:04');
    expect(moment(noon, noon + 86_400_000)).toBe('28 Nov 12:03');
  });
});

it('numbers have separators and no false precision', () => {
  expect([0, 0.44, 9.96, 12.4, 1_204, 1_234_567].map(count)).toEqual(['0', '0.4', '10', '12', '1,204', '1,234,567']);
  expect([7.44, 120.2, 2_540].map(delay)).toEqual(['7.4 ms', '120 ms', '2.5 s']);
  expect(megabytes(209_727_488)).toBe('200 MB');
});

it('parties are named without scheme and parameters', () => {
  expect(party('sip:alice@example.com;user=phone')).toBe('alice@example.com');
  expect(party('tel:+4930555')).toBe('+4930555');
  expect(party('aaln/1@rgw1')).toBe('aaln/1@rgw1');
  expect(party(undefined)).toBe('?');
});

it('addresses lose what does not tell them apart', () => {
  expect(bareAddress('udp:127.0.0.1:5060')).toBe('127.0.0.1:5060');
  expect(bareAddress('wss:[2001:db8::1]:443')).toBe('[2001:db8::1]:443');
  expect(hostOf('udp:127.0.0.1:5060')).toBe('127.0.0.1');
  expect(hostOf('[2001:db8::1]:5060')).toBe('2001:db8::1');
});

it('what peers write moves no cursor and turns no text round', () => {
  expect(plain('a\u001b[2Jb\u202ec')).toBe('a?[2Jb?c');
  expect(cut('telephone', 5)).toBe('tele…');
  expect(cut('ab', 5)).toBe('ab');
});
