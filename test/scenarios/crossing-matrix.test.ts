/**
 * The primary is killed after a message of what a SIP telephone and a line do beyond the ordinary call, in both directions, with an edge that
 * follows the path attribute and without, whatever the gateways keep (docs/crossing-failover-cases.md). Here a few
 * messages of each cell and one kind of gateway, another for each; `ALTPATH_MATRIX=all` plays every message of every cell with every kind.
 */
import { describe, expect, it } from 'vitest';
import type { PhoneOptions } from '../support/sip-ua.ts';
import {
  everyMessage,
  glares,
  type How,
  holds,
  lineCalls,
  lineCallsTwo,
  lineIsNotAnswered,
  lines,
  phoneCallsWithoutOffer,
  phoneIsNotAnswered,
  pressesKey,
  type Script,
} from './crossing-scene.ts';

const scripts: readonly (readonly [name: string, script: Script, phone?: Partial<PhoneOptions>, last?: number])[] = [
  ['SIP calls, holds and resumes', holds('phone')],
  ['SIP is called, holds and resumes', holds('line')],
  ['SIP calls, and both sides offer at a time', glares('phone')],
  ['SIP is called, and both sides offer at a time', glares('line')],
  ['SIP calls and presses keys', pressesKey('phone')],
  ['SIP is called and presses keys', pressesKey('line')],
  ['SIP calls without an offer', phoneCallsWithoutOffer],
  ['SIP is called, and is heard before it answers', lineCalls, { hasEarlyMedia: true }],
  ['SIP is called at two telephones', lineCallsTwo],
  ['SIP calls, and nobody lifts', lineIsNotAnswered, {}, 40],
  ['SIP is called, and nobody lifts', phoneIsNotAnswered, {}, 40],
];

const variants: readonly (readonly [How, 'keepsRemote' | 'keepsEntity' | 'forgets'])[] = [
  ['crash', 'keepsRemote'],
  ['silence', 'forgets'],
  ['crash', 'keepsEntity'],
  ['silence', 'keepsRemote'],
  ['crash', 'forgets'],
];

const isWhole = process.env['ALTPATH_MATRIX'] === 'all';
const share = 13;
const limitMs = isWhole ? 3_600_000 : 120_000;
let cell = 0;

for (const edge of [true, false])
  describe(`a telephone ${edge ? 'behind an edge' : 'alone with the pair'}`, () => {
    for (const [name, script, phone = {}, last = 400] of scripts)
      for (const [kind, line] of lines) {
        cell += 1;
        const at = cell;
        for (const [how, records] of isWhole ? variants : variants.slice(at % variants.length).slice(0, 1))
          it(
            `${name}, ${kind}: ${how}, gateway ${records}`,
            async () => {
              const choice = isWhole ? { phone, last } : { phone, last, every: share, first: 1 + ((at * 5) % share) };
              expect(await everyMessage(script, line, how, { edge, records }, choice)).toBeGreaterThan(0);
            },
            limitMs,
          );
      }
  });
