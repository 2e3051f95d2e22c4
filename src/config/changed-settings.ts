/** Which settings differ, by name alone: what is in them may be secret. */
import { isDeepStrictEqual } from 'node:util';

/** `taken` are settings that change while running, by their whole name; they are left out, with what is under them. */
export function changedSettings(
  before: unknown,
  after: unknown,
  taken: ReadonlySet<string>,
  name = '',
): readonly string[] {
  if (taken.has(name) || isDeepStrictEqual(before, after)) return [];
  if (!isMapping(before) || !isMapping(after)) return [name];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) => changedSettings(before[key], after[key], taken, name === '' ? key : `${name}.${key}`));
}

const isMapping = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  Object.getPrototypeOf(value) === Object.prototype;
