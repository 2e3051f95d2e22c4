/** A YAML document as values, with the place of each in the text. */
import { readFileSync } from 'node:fs';
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { ConfigError, FileError } from '../errors.ts';
import { fileProblem } from './fields.ts';

export type Path = readonly PropertyKey[];

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface ConfigSource {
  /** As the operator named it; absent where the configuration comes from flags alone. */
  readonly file?: string;
  /** As it was read; absent where there is no file. */
  readonly text?: string;
  /** Plain values; a key without a value is as good as absent. */
  readonly value: unknown;
  /** Where the value at this path stands, or else the nearest thing around it. */
  placeOf(path: Path): Place | undefined;
  /** Where this key of the mapping at this path stands. */
  placeOfKey(path: Path, key: string): Place | undefined;
  /** The very characters of an unquoted scalar, for text that YAML takes for a number (`+49`, `007`). */
  plainText(path: Path): string | undefined;
}

/** What flags alone stand on. */
export const emptySource: ConfigSource = {
  value: {},
  placeOf: () => undefined,
  placeOfKey: () => undefined,
  plainText: () => undefined,
};

/** A program's own values: there are no places to tell. */
export const objectSource = (value: object): ConfigSource => ({ ...emptySource, value: withoutNulls(value) });

/** @throws FileError where the file cannot be read, ConfigError where it is no YAML. */
export function readSource(file: string): ConfigSource {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FileError(`cannot read "${file}": ${fileProblem(error)}`, { cause: error });
  }
  return parseSource(file, text);
}

/** @throws ConfigError with one line per syntax error. */
export function parseSource(file: string, text: string): ConfigSource {
  const lines = new LineCounter();
  // Pretty errors quote the line at fault, which may hold a password; plain ones a word of it, which is cut off below.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    const problems = document.errors.slice(0, maxSyntaxProblems).map(({ pos, message }) => {
      const { line, column } = place(pos[0]);
      return `${file}:${line}:${column}: not YAML: ${lowerFirst(message.replace(/: ".*$/s, ''))}`;
    });
    throw new ConfigError([...new Set(problems)].join('\n'));
  }
  const root = document.contents;
  const inner = (node: unknown): unknown => (isAlias(node) ? node.resolve(document) : node);
  const find = (path: Path): { node: unknown; whole: boolean } => {
    let node: unknown = root;
    for (const segment of path) {
      const next = child(inner(node), segment);
      if (next === undefined) return { node, whole: false };
      node = next;
    }
    return { node, whole: true };
  };
  return {
    file,
    text,
    value: withoutNulls(document.toJS({ maxAliasCount: 100 }) ?? {}),
    placeOf(path) {
      const offset = startOf(find(path).node);
      return offset === undefined ? { line: 1, column: 1 } : place(offset);
    },
    placeOfKey(path, key) {
      const node = inner(find(path).node);
      const pair = isMap(node) ? node.items.find((item) => keyText(item.key) === key) : undefined;
      const offset = startOf(pair?.key);
      return offset === undefined ? this.placeOf(path) : place(offset);
    },
    plainText(path) {
      const { node, whole } = find(path);
      const scalar = inner(node);
      return whole && isScalar(scalar) && scalar.type === 'PLAIN' ? scalar.source : undefined;
    },
  };
}

function child(node: unknown, segment: PropertyKey): unknown {
  if (isMap(node)) return node.items.find((item) => keyText(item.key) === String(segment))?.value ?? undefined;
  return isSeq(node) ? node.items[Number(segment)] : undefined;
}

const keyText = (key: unknown): string | undefined => (isScalar(key) ? String(key.value) : undefined);

const startOf = (node: unknown): number | undefined => (isRanged(node) ? node.range?.[0] : undefined);

const isRanged = (node: unknown): node is Node => isScalar(node) || isMap(node) || isSeq(node) || isAlias(node);

/** A section whose lines are all commented out reads as null: it counts as absent, its key as written. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, each === null ? undefined : withoutNulls(each)]),
  );
}

/** One slip makes many; the first tell where it is. */
const maxSyntaxProblems = 3;

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
