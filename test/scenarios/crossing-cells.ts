/** What a SIP telephone and a line do with each other, and the cells of the matrix that comes of it (docs/crossing-failover-cases.md). */
import type { PhoneOptions } from '../support/sip-ua.ts';
import {
  glares,
  type How,
  holds,
  lineCalls,
  lineCallsTwo,
  lineGivesUp,
  lineHangsUp,
  lineIsBusy,
  lineIsNotAnswered,
  lines,
  phoneCalls,
  phoneCallsWithoutOffer,
  phoneGivesUp,
  phoneIsBusy,
  phoneIsNotAnswered,
  pressesKey,
  type Script,
} from './crossing-scene.ts';

export interface Play {
  readonly name: string;
  readonly script: Script;
  readonly phone?: Partial<PhoneOptions>;
  /** What comes after so many messages is like what was before. */
  readonly last?: number;
}

/** Beyond the ordinary call. */
export const furtherPlays: readonly Play[] = [
  { name: 'SIP calls, holds and resumes', script: holds('phone') },
  { name: 'SIP is called, holds and resumes', script: holds('line') },
  { name: 'SIP calls, and both sides offer at a time', script: glares('phone') },
  { name: 'SIP is called, and both sides offer at a time', script: glares('line') },
  { name: 'SIP calls and presses keys', script: pressesKey('phone') },
  { name: 'SIP is called and presses keys', script: pressesKey('line') },
  { name: 'SIP calls without an offer', script: phoneCallsWithoutOffer },
  { name: 'SIP is called, and is heard before it answers', script: lineCalls, phone: { hasEarlyMedia: true } },
  { name: 'SIP is called at two telephones', script: lineCallsTwo },
  { name: 'SIP calls, and nobody lifts', script: lineIsNotAnswered, last: 40 },
  { name: 'SIP is called, and nobody lifts', script: phoneIsNotAnswered, last: 40 },
];

export const ordinaryPlays: readonly Play[] = [
  { name: 'SIP calls, talks and hangs up', script: phoneCalls },
  { name: 'SIP calls, and the line hangs up', script: lineHangsUp },
  { name: 'SIP calls and gives up', script: phoneGivesUp },
  { name: 'SIP calls a line that is busy', script: lineIsBusy },
  { name: 'SIP is called, talks and hangs up', script: lineCalls },
  { name: 'SIP is called, and the line gives up', script: lineGivesUp },
  { name: 'SIP is called and is busy', script: phoneIsBusy },
];

export type Records = 'keepsRemote' | 'keepsEntity' | 'forgets';

export const variants: readonly (readonly [How, Records])[] = [
  ['crash', 'keepsRemote'],
  ['silence', 'forgets'],
  ['crash', 'keepsEntity'],
  ['silence', 'keepsRemote'],
  ['crash', 'forgets'],
];

export interface Cell {
  readonly name: string;
  readonly play: Play;
  readonly kind: string;
  readonly line: string;
  readonly edge: boolean;
  readonly how: How;
  readonly records: Records;
}

/** Each play with each line, with an edge and without, by each kind of death and of gateway. */
export function* cells(plays: readonly Play[]): Generator<Cell> {
  for (const [how, records] of variants)
    for (const edge of [true, false])
      for (const play of plays)
        for (const [kind, line] of lines)
          yield {
            name: `${play.name}, ${kind}, telephone ${edge ? 'behind an edge' : 'alone'}: ${how}, gateway ${records}`,
            play,
            kind,
            line,
            edge,
            how,
            records,
          };
}
