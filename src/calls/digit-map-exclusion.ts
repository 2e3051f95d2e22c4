/**
 * Digit map alternatives from which the numbers that begin like an emergency number are taken out. A gateway reports a number at once only
 * where no other alternative could still match (RFC 3525 §7.1.14: else it waits for a pause): `112` beside `x.T` would wait, beside
 * `[02-9]x.T|1[02-9]x.T|11[013-9]x.T` it does not.
 */

interface Position {
  /** Every symbol that may stand here. */
  readonly symbols: string;
  /** Any number of them (`.`). */
  readonly repeated: boolean;
}

/** The alternative without what begins with any of these numbers; it may become several, or none. */
export function excluding(alternative: string, numbers: readonly string[]): readonly string[] {
  let kept: readonly string[] = [alternative];
  for (const number of numbers) kept = kept.flatMap((each) => without(each, number));
  return kept;
}

function without(alternative: string, number: string): readonly string[] {
  const positions = parse(alternative);
  if (positions === undefined || !goesOn(positions, number)) return [alternative];
  const found: string[] = [];
  /** `at` is the position that comes next, `depth` how many digits of the number have been matched. */
  const walk = (at: number, depth: number): void => {
    const position = positions[at];
    const next = number[depth];
    const before = number.slice(0, depth);
    if (next === undefined) return;
    if (position === undefined || isTimer(position)) {
      found.push(before + written(positions.slice(at)));
      return;
    }
    const { symbols, repeated } = position;
    const others = symbols.replace(next, '');
    if (repeated && positions.slice(at + 1).some((each) => !isTimer(each))) walk(at + 1, depth);
    if (others !== '') {
      const rest = positions.slice(repeated ? at : at + 1);
      found.push(before + written([{ symbols: others, repeated: false }, ...rest]));
    }
    if (symbols.includes(next)) walk(repeated ? at : at + 1, depth + 1);
  };
  walk(0, 0);
  return [...new Set(found)];
}

/** Does the alternative match anything longer than the number that begins with it? */
function goesOn(positions: readonly Position[], number: string): boolean {
  let states = new Set(reach(positions, 0));
  for (const digit of number) {
    const next = new Set<number>();
    for (const state of states) {
      const position = positions[state];
      if (position?.symbols.includes(digit) !== true) continue;
      for (const to of reach(positions, position.repeated ? state : state + 1)) next.add(to);
    }
    states = next;
  }
  // What is left to match, a pause included, makes the gateway wait.
  return [...states].some((state) => state < positions.length);
}

/** A repeated position may be passed without a digit. */
function reach(positions: readonly Position[], from: number): number[] {
  const found = [from];
  let at = from;
  while (positions[at]?.repeated === true) {
    at += 1;
    found.push(at);
  }
  return found;
}

/** Undefined where it is written in a way that is not understood here: it stays as it is. */
function parse(alternative: string): readonly Position[] | undefined {
  const positions: Position[] = [];
  for (const [, ranged, single, dot] of alternative.matchAll(/(?:\[([^\]]*)\]|([0-9A-Za-z*#]))(\.?)|[\s\S]/g)) {
    const symbols = expand(ranged ?? single ?? '');
    if (symbols === '') return undefined;
    positions.push({ symbols, repeated: dot === '.' });
  }
  return positions;
}

function expand(letters: string): string {
  const text = letters
    .replaceAll(/x/gi, allDigits)
    .replaceAll(/(\d)-(\d)/g, (_, from: string, to: string) => allDigits.slice(Number(from), Number(to) + 1));
  return /^[0-9A-Za-z*#]+$/.test(text) ? [...new Set(text)].join('') : '';
}

const written = (positions: readonly Position[]): string =>
  positions.map(({ symbols, repeated }) => `${set(symbols)}${repeated ? '.' : ''}`).join('');

/** `x`, `1`, `[02-9]`. */
function set(symbols: string): string {
  if (symbols === allDigits) return 'x';
  if (symbols.length === 1) return symbols;
  return `[${symbols.replaceAll(/0?1?2?3?4?5?6?7?8?9?/g, (run) => shortened(run))}]`;
}

/** Digits in ascending order: `023456789` is `02-9`. */
function shortened(digits: string): string {
  let out = '';
  for (let at = 0; at < digits.length; ) {
    let end = at;
    while (end + 1 < digits.length && Number(digits[end + 1]) === Number(digits[end]) + 1) end += 1;
    out += end - at > 1 ? `${digits[at]}-${digits[end]}` : digits.slice(at, end + 1);
    at = end + 1;
  }
  return out;
}

const isTimer = ({ symbols }: Position): boolean => /^[LST]$/i.test(symbols);

const allDigits = '0123456789';
