/**
 * Lists of local endpoint names with range wildcards, `aaln/[1-4,7], ds/ds1-[1-3]/[1-24]` (RFC 3435 Appendix E.5, RFC 3624 §2.1.1.3):
 * read name by name in the order that they stand for, and written with ranges in the last term only (§2.1.1.8).
 */

/** Every name that the list stands for; undefined where it is malformed or stands for more than `limit`. */
export function expandNames(value: string, limit = 100_000): readonly string[] | undefined {
  const names: string[] = [];
  for (const item of value.split(/,(?![^[]*\])/)) {
    const name = item.trim();
    if (name !== '' && !expand('', name, names, limit)) return undefined;
  }
  return names;
}

/** In the order given; numbers that follow one another become a range. */
export function writeNames(names: readonly string[]): string {
  const items: string[] = [];
  for (let at = 0; at < names.length; ) {
    const [, prefix = '', number = ''] = /^(.*?)(\d*)$/.exec(names[at] ?? '') ?? [];
    let next = at + 1;
    if (number !== '' && !number.startsWith('0'))
      while (next < names.length && names[next] === `${prefix}${Number(number) + next - at}`) next += 1;
    items.push(next - at === 1 ? `${prefix}${number}` : `${prefix}[${number}-${Number(number) + next - at - 1}]`);
    at = next;
  }
  return items.join(', ');
}

/** Adds what the name stands for; false where it cannot be read or is too much. */
function expand(before: string, name: string, into: string[], limit: number): boolean {
  const open = name.indexOf('[');
  if (open < 0) {
    if (into.length >= limit || /[\s\]]/.test(name)) return false;
    into.push(before + name);
    return true;
  }
  const close = name.indexOf(']', open);
  if (close < 0) return false;
  const prefix = before + name.slice(0, open);
  const rest = name.slice(close + 1);
  for (const range of name.slice(open + 1, close).split(',')) {
    const [, from = '', to = from] = /^\s*(\d{1,9})(?:\s*-\s*(\d{1,9}))?\s*$/.exec(range) ?? [];
    if (from === '' || Number(to) - Number(from) >= limit) return false;
    for (let number = Number(from); number <= Number(to); number += 1)
      if (!expand(`${prefix}${number}`, rest, into, limit)) return false;
  }
  return true;
}
