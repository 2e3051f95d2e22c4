/**
 * RequestIDs that tell a backup what a line was doing: the gateway keeps the id with the events and gives it back when audited.
 * Four bits say what (LineState), the others are a digest of the number that was dialled, which a backup finds among the numbers it
 * knows. So the digits that the dead controller had consumed are not lost.
 */
import type { LineState } from '../../src/internal.ts';

const lineStates: readonly LineState[] = [
  'idle',
  'dialling',
  'offering',
  'ringback',
  'ringing',
  'talking',
  'tone',
  'howler',
  'lockout',
];

/** Never 0 (no request) nor 0xFFFFFFFF (all). */
export const requestIdFor = (state: LineState, number: string | undefined): number =>
  (lineStates.indexOf(state) + 1) * 0x1000_0000 + (number === undefined ? 0 : digest(number));

export interface RequestMeaning {
  readonly state: LineState | undefined;
  /** 0: no number. */
  readonly digest: number;
}

export function meaningOf(requestId: number | undefined): RequestMeaning {
  if (requestId === undefined) return { state: undefined, digest: 0 };
  return { state: lineStates[Math.floor(requestId / 0x1000_0000) - 1], digest: requestId % 0x1000_0000 };
}

/** 28 bits, never 0 (FNV-1a, folded). */
export function digest(number: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < number.length; index += 1) hash = Math.imul(hash ^ number.charCodeAt(index), 0x01000193);
  const folded = ((hash >>> 28) ^ hash) & 0x0fff_ffff;
  return folded === 0 ? 1 : folded;
}
