/**
 * Which digit strings are numbers, derived from the numbers that exist: a digit map for gateways that match by themselves
 * (RFC 3435 §2.1.5; the H.248 DigitMap has the same core), and the same question answered here for digits that come one by one.
 * `T`: a pause ends a number that is also the beginning of a longer one.
 */

import { excluding } from './digit-map-exclusion.ts';

export interface NumberingOptions {
  /** Digit map alternatives beyond our own numbers (`9x.T`, `[34]xxx`), as the operator writes them. */
  readonly extra?: readonly string[];
  /** Matched exactly and at once, whatever else there is. */
  readonly emergency?: readonly string[];
  /** A digit map longer than this falls back to one that takes any number with a pause (RFC 3435 §2.1.5: 2,048 octets are safe). */
  readonly maxLength?: number;
}

export class NumberingPlan {
  /** As it goes on the wire: `(2xx|9x.T)`. */
  readonly digitMap: string;
  readonly #patterns: readonly RegExp[];
  readonly #partial: readonly Pattern[];

  constructor(numbers: Iterable<string>, options: NumberingOptions = {}) {
    const { emergency = [], extra = [], maxLength = 2_048 } = options;
    const prepared = (alternatives: readonly string[]): readonly string[] => [
      ...new Set(
        alternatives.flatMap((each) => excluding(each, emergency)).map((each) => afterEmergency(each, emergency)),
      ),
    ];
    const others = prepared([...new Set([...compress(numbers), ...extra])]);
    const alternatives = [...emergency, ...others];
    const fits = others.length > 0 && alternatives.join('|').length + 2 <= maxLength;
    const usable = fits ? alternatives : [...emergency, ...prepared(['x.T'])];
    this.digitMap = `(${usable.join('|')})`;
    const parsed = usable.map(parsePattern);
    this.#partial = parsed;
    this.#patterns = parsed.map(({ source }) => new RegExp(`^(?:${source})$`, 'i'));
  }

  /** The shortest match wins, as on a gateway: `complete` also without the final `T` where the pause is still to come is `partial`. */
  match(digits: string): 'complete' | 'partial' | 'impossible' {
    if (this.#patterns.some((pattern) => pattern.test(digits))) return 'complete';
    return this.#partial.some((pattern) => couldBecome(pattern, digits)) ? 'partial' : 'impossible';
  }
}

/** The number dialled, without the timer that ended it. */
export const withoutTimer = (digits: string): string => digits.replace(/[tT]+$/, '');

/** `{first digit, length}` groups; a group whose numbers begin numbers of a longer group needs the pause. */
function compress(numbers: Iterable<string>): readonly string[] {
  const all = [...numbers].filter((number) => /^[0-9*#]+$/.test(number));
  const groups = new Map<string, { first: string; length: number }>();
  for (const number of all) {
    const [first = ''] = number;
    groups.set(`${first}${number.length}`, { first, length: number.length });
  }
  return [...groups.values()]
    .sort((a, b) => (a.first === b.first ? a.length - b.length : a.first < b.first ? -1 : 1))
    .map(({ first, length }) => {
      const longer = [...groups.values()].some((group) => group.first === first && group.length > length);
      return `${first}${'x'.repeat(length - 1)}${longer ? 'T' : ''}`;
    });
}

/** What is complete after the first digits of an emergency number would end the dialling there: it waits for the pause. */
function afterEmergency(alternative: string, emergency: readonly string[]): string {
  if (emergency.length === 0 || /[tT]$/.test(alternative)) return alternative;
  const pattern = new RegExp(`^(?:${parsePattern(alternative).source})$`, 'i');
  const isShorter = emergency.some((number) =>
    [...number].some((_, length) => length > 0 && pattern.test(number.slice(0, length))),
  );
  return isShorter ? `${alternative}T` : alternative;
}

interface Pattern {
  readonly source: string;
  readonly positions: readonly { readonly set: string; readonly repeated: boolean }[];
}

function parsePattern(text: string): Pattern {
  const positions: { set: string; repeated: boolean }[] = [];
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] ?? '';
    if (letter === '.') {
      const last = positions.at(-1);
      if (last !== undefined) last.repeated = true;
      continue;
    }
    if (letter === '[') {
      const end = text.indexOf(']', at);
      const inside = text.slice(at + 1, end < 0 ? text.length : end);
      positions.push({
        set: `[${inside.replaceAll(/x/gi, '0-9').replaceAll(/[^0-9A-Ta-t#*-]/g, '')}]`,
        repeated: false,
      });
      at = end < 0 ? text.length : end;
      continue;
    }
    positions.push({ set: letter === 'x' || letter === 'X' ? '[0-9]' : `[${letter}]`, repeated: false });
  }
  return { positions, source: positions.map(({ set, repeated }) => `${set}${repeated ? '*' : ''}`).join('') };
}

/** Is `digits` the beginning of something the pattern matches? Walks the pattern's positions as a set of states. */
function couldBecome({ positions }: Pattern, digits: string): boolean {
  let states = new Set<number>(reach(positions, 0));
  for (const digit of digits) {
    const next = new Set<number>();
    for (const state of states) {
      const position = positions[state];
      if (position === undefined || !new RegExp(`^${position.set}$`, 'i').test(digit)) continue;
      for (const to of reach(positions, position.repeated ? state : state + 1)) next.add(to);
    }
    if (next.size === 0) return false;
    states = next;
  }
  return [...states].some((state) => state < positions.length);
}

/** A repeated position may be passed without a digit. */
function* reach(positions: Pattern['positions'], from: number): Iterable<number> {
  let at = from;
  yield at;
  while (positions[at]?.repeated) {
    at += 1;
    yield at;
  }
}
