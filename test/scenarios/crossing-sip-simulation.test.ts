/**
 * The primary is killed after every single message of a call between a SIP telephone and a line (docs/crossing-failover-cases.md). With
 * an edge proxy that follows the path attribute nothing is lost; of a telephone that is alone with the pair, calls that talk are kept.
 */
import { describe, expect, it } from 'vitest';
import {
  everyMessage,
  lineCalls,
  lineGivesUp,
  lineHangsUp,
  lines,
  phoneCalls,
  phoneGivesUp,
  phoneIsBusy,
} from './crossing-scene.ts';

describe('killed after every message, telephone behind an edge: nothing is lost', () => {
  for (const [name, line] of lines) {
    it(`SIP calls ${name}`, async () => {
      expect(await everyMessage(phoneCalls, line, 'crash')).toBeGreaterThan(20);
    });
    it(`${name} calls SIP`, async () => {
      expect(await everyMessage(lineCalls, line, 'crash')).toBeGreaterThan(20);
    });
    it(`SIP calls ${name}, the primary falls silent`, async () => {
      expect(await everyMessage(phoneCalls, line, 'silence')).toBeGreaterThan(20);
    });
    it(`${name} calls SIP, the primary falls silent`, async () => {
      expect(await everyMessage(lineCalls, line, 'silence')).toBeGreaterThan(20);
    });
    it(`SIP calls ${name}, whose gateway keeps no records`, async () => {
      expect(await everyMessage(phoneCalls, line, 'crash', { records: 'forgets' })).toBeGreaterThan(20);
    });
    it(`${name} calls SIP, and its gateway keeps no records`, async () => {
      expect(await everyMessage(lineCalls, line, 'crash', { records: 'forgets' })).toBeGreaterThan(20);
    });
    it(`SIP calls ${name}, the line hangs up`, async () => {
      expect(await everyMessage(lineHangsUp, line, 'crash')).toBeGreaterThan(20);
    });
    it(`SIP calls ${name}, the line hangs up while nobody knows that the primary is silent`, async () => {
      const choice = { every: 5, first: 1 };
      expect(await everyMessage(lineHangsUp, line, 'silence', { records: 'forgets' }, choice)).toBeGreaterThan(5);
    });
    it(`SIP calls ${name} and gives up while it rings`, async () => {
      expect(await everyMessage(phoneGivesUp, line, 'crash')).toBeGreaterThan(10);
    });
    it(`${name} calls SIP and gives up while it rings`, async () => {
      expect(await everyMessage(lineGivesUp, line, 'crash')).toBeGreaterThan(10);
    });
    it(`${name} calls SIP, which is busy`, async () => {
      expect(await everyMessage(phoneIsBusy, line, 'crash')).toBeGreaterThan(10);
    });
  }
});

describe('killed after every message, telephone alone with the pair: what rings or talks is kept', () => {
  for (const [name, line] of lines) {
    it(`SIP calls ${name}`, async () => {
      expect(await everyMessage(phoneCalls, line, 'crash', { edge: false })).toBeGreaterThan(20);
    });
    it(`${name} calls SIP`, async () => {
      expect(await everyMessage(lineCalls, line, 'crash', { edge: false })).toBeGreaterThan(20);
    });
  }
});
