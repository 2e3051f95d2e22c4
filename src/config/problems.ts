/** What a schema objects to, as lines an operator can act on: `file:line:column: where: what is wrong (hint)`. */
import { match, P } from 'ts-pattern';
import type { z } from 'zod';
import type { ConfigSource, Path, Place } from './source.ts';

type Issue = z.core.$ZodIssue;

/** A value that did not come from the place its path says: a flag, an environment variable, or another part of the file. */
export interface Override {
  readonly path: Path;
  readonly value: unknown;
  /** `--listen`; or the place in the file of the value, or of its elements. */
  readonly origin: { readonly flag: string } | { readonly paths: readonly Path[] };
}

export interface ProblemContext {
  readonly source: ConfigSource;
  /** The values that were judged: the file's with the overrides in place. */
  readonly value: unknown;
  readonly overrides: readonly Override[];
  /** JSON schema of the whole file, for the keys that exist. */
  readonly keys: unknown;
}

/** One line per problem, in the order of the file. */
export function problemLines(issues: readonly Issue[], context: ProblemContext): readonly string[] {
  return plainIssues(issues)
    .flatMap((issue) => statements(issue, context))
    .map((statement) => located(statement, context))
    .sort((a, b) => (a.place?.line ?? 0) - (b.place?.line ?? 0) || (a.place?.column ?? 0) - (b.place?.column ?? 0))
    .map(({ line }) => line);
}

interface Statement {
  readonly path: Path;
  /** The problem is this key itself. */
  readonly key?: string;
  readonly text: string;
}

function statements(issue: Issue, context: ProblemContext): readonly Statement[] {
  const { path } = issue;
  const value = valueAt(context.value, path);
  return match(issue)
    .returnType<readonly Statement[]>()
    .with({ code: 'unrecognized_keys' }, ({ keys }) =>
      keys.map((key) => ({ path, key, text: `unknown key "${key}"${keyHint(context.keys, path, key)}` })),
    )
    .with({ code: 'invalid_type' }, ({ expected }) => [{ path, text: typeProblem(expected, value) }])
    .with({ code: 'invalid_value' }, ({ values }) => [{ path, text: choiceProblem(values.map(String), value) }])
    .with({ code: 'too_small', origin: P.union('number', 'int', 'bigint') }, ({ minimum }) => [
      { path, text: `must be at least ${minimum}` },
    ])
    .with({ code: 'too_big', origin: P.union('number', 'int', 'bigint') }, ({ maximum }) => [
      { path, text: `must be at most ${maximum}` },
    ])
    .with({ code: 'too_small' }, ({ minimum, origin }) => [
      { path, text: `needs at least ${counted(Number(minimum), origin)}` },
    ])
    .with({ code: 'too_big' }, ({ maximum, origin }) => [
      { path, text: `may have at most ${counted(Number(maximum), origin)}` },
    ])
    .otherwise(({ message }) => [{ path, text: message }]);
}

/** Issues with those of a setting's several forms in place of the one that says that none fits. */
export const plainIssues = (issues: readonly Issue[]): readonly Issue[] =>
  issues.flatMap((issue) =>
    issue.code === 'invalid_union'
      ? plainIssues(nearestForm(issue.errors).map((each) => ({ ...each, path: [...issue.path, ...each.path] })))
      : [issue],
  );

/** Of a setting that may be written in several forms, the complaints about the form that was meant: the one of the right type. */
function nearestForm(forms: readonly (readonly Issue[])[]): readonly Issue[] {
  const meant = forms.find((issues) => !issues.some(({ code, path }) => code === 'invalid_type' && path.length === 0));
  return meant ?? forms[0] ?? [];
}

const counted = (count: number, origin: string): string =>
  `${count} ${origin === 'string' ? 'character' : origin === 'array' ? 'entry' : 'element'}${count === 1 ? '' : 's'}`.replace(
    'entrys',
    'entries',
  );

function typeProblem(expected: string, value: unknown): string {
  const wanted = typeNames.get(expected) ?? expected;
  if (value === undefined || value === null) return `is missing: must be ${wanted}`;
  const hint = match([expected, value])
    .with(['boolean', P.string], () => ' (write true or false)')
    .with([P.union('number', 'int'), P.string], () => ' (write digits alone, without quotes or a unit)')
    .with(['array', P.union(P.string, P.number)], () => ' (write it as a list: [first, second])')
    .otherwise(() => '');
  return `must be ${wanted}, is ${nameOfType(value)}${hint}`;
}

const typeNames = new Map([
  ['string', 'text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
  ['array', 'a list'],
  ['object', 'a mapping (key: value)'],
  ['record', 'a mapping (key: value)'],
]);

function nameOfType(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'number') return Number.isInteger(value) ? 'a number' : 'a number with a fraction';
  return typeof value === 'object' ? 'a mapping' : (typeNames.get(typeof value) ?? typeof value);
}

function choiceProblem(choices: readonly string[], value: unknown): string {
  const near = typeof value === 'string' ? nearest(value, choices) : undefined;
  return `must be ${choices.length === 1 ? '' : 'one of '}${choices.join(', ')}${near === undefined ? '' : ` (did you mean "${near}"?)`}`;
}

/** A key that is spelled nearly so here, or exactly so elsewhere, or else the list of what may stand here. */
function keyHint(keys: unknown, path: Path, key: string): string {
  const here = keysAt(keys, path);
  const near = nearest(key, here);
  if (near !== undefined) return ` (did you mean "${near}"?)`;
  const elsewhere = homeOf(keys, key, []);
  if (elsewhere !== undefined)
    return ` (it belongs ${elsewhere.length === 0 ? 'at the top level' : `in ${elsewhere.join('.')}`})`;
  return here.length === 0 ? '' : ` (known here: ${here.join(', ')})`;
}

/** The keys that the schema knows at a path, in any of the forms that may stand there. */
function keysAt(schema: unknown, path: Path): readonly string[] {
  const [segment, ...rest] = path;
  const forms = get(schema, 'anyOf');
  if (Array.isArray(forms)) return forms.flatMap((form) => keysAt(form, path));
  const properties = get(schema, 'properties');
  if (segment === undefined)
    return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
  const property = get(properties, String(segment));
  return keysAt(property ?? get(schema, typeof segment === 'number' ? 'items' : 'additionalProperties'), rest);
}

/** The section outside lists that has this key, the shallowest first. */
function homeOf(schema: unknown, key: string, path: readonly string[]): readonly string[] | undefined {
  const properties = get(schema, 'properties');
  if (typeof properties !== 'object' || properties === null) return undefined;
  if (Object.hasOwn(properties, key)) return path;
  for (const [name, each] of Object.entries(properties)) {
    const found = homeOf(each, key, [...path, name]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function get(object: unknown, key: string): unknown {
  return typeof object === 'object' && object !== null && Object.hasOwn(object, key)
    ? Reflect.get(object, key)
    : undefined;
}

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, segment) => get(at, String(segment)), value);
}

function located(statement: Statement, context: ProblemContext): { line: string; place?: Place | undefined } {
  const { source, overrides } = context;
  const override = overrides.findLast((each) => each.path.every((segment, index) => segment === statement.path[index]));
  if (override !== undefined && 'flag' in override.origin)
    return { line: `${override.origin.flag}: ${statement.text}` };
  const path = override === undefined ? statement.path : originPath(override, statement.path);
  const name = pathText(path);
  const text = name === '' ? statement.text : `${name}: ${statement.text}`;
  const place = statement.key === undefined ? source.placeOf(path) : source.placeOfKey(path, statement.key);
  if (source.file === undefined || place === undefined) return { line: text };
  return { line: `${source.file}:${place.line}:${place.column}: ${text}`, place };
}

/** An element of an overriding list has its own origin; the list as a whole stands where its first element does. */
function originPath({ path, origin }: Override, at: Path): Path {
  if ('flag' in origin) return at;
  const index = at[path.length];
  return origin.paths[typeof index === 'number' ? index : 0] ?? at;
}

/** `sip.routes[2].to[0]` */
const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, segment) =>
      typeof segment === 'number'
        ? `${text}[${segment}]`
        : text === ''
          ? String(segment)
          : `${text}.${String(segment)}`,
    '',
  );

/** The candidate that is the word but for case, hyphens and a slip or two of the finger. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: { candidate: string; slips: number } | undefined;
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_ ]/g, '');
  for (const candidate of candidates) {
    const slips = distance(plain(word), plain(candidate));
    if (slips <= Math.max(1, Math.floor(candidate.length / 3)) && (best === undefined || slips < best.slips))
      best = { candidate, slips };
  }
  return best?.candidate;
}

/** Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment). */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || a.length > 64) return Number.POSITIVE_INFINITY;
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min((previous[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (previous[j - 1] ?? 0) + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (before[j - 2] ?? 0) + 1);
      row.push(least);
    }
    before = previous;
    previous = row;
  }
  return previous[b.length] ?? Number.POSITIVE_INFINITY;
}
