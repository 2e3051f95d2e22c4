/** Does a file that is read again look like one that was emptied, or is still being written? */
import type { ConfigSource } from './source.ts';

/** What is wrong with it, beside what was read before; undefined: nothing. `sections` are those that must not go. */
export function truncation(before: ConfigSource, after: ConfigSource, sections: Iterable<string>): string | undefined {
  const old = before.text ?? '';
  const text = after.text ?? '';
  if (keysOf(after.value).length === 0 && keysOf(before.value).length > 0) return 'it is empty';
  for (const section of sections)
    if (keysOf(before.value).includes(section) && !keysOf(after.value).includes(section))
      return `its section "${section}:" is gone, and runs here`;
  if (old.endsWith('\n') && !text.endsWith('\n')) return 'its last line has no end: it seems to be cut off';
  if (old.length > text.length && old.startsWith(text) && losesKeys(before.value, after.value))
    return 'it is the beginning of the file as it was: it seems to be cut off';
  return undefined;
}

/** Is a key gone, at any depth? Items of lists may go. */
function losesKeys(before: unknown, after: unknown): boolean {
  if (Array.isArray(before) && Array.isArray(after))
    return after.some((each: unknown, index) => losesKeys(before[index], each));
  return keysOf(before).some((key) => {
    const value = valueAtKey(after, key);
    return value === undefined ? valueAtKey(before, key) !== undefined : losesKeys(valueAtKey(before, key), value);
  });
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const keysOf = (value: unknown): readonly string[] => (isMapping(value) ? Object.keys(value) : []);

const valueAtKey = (value: unknown, key: string): unknown => (isMapping(value) ? value[key] : undefined);
