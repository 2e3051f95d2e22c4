/** What one log line may hold: much of it is text that a peer wrote, and a peer may write 64 kB. */
import { pino } from 'pino';

/** The fields of a line, with each text cut to a bound. */
export function boundedFields(fields: Record<string, unknown>): Record<string, unknown> {
  for (const value of Object.values(fields)) if (!isSmall(value)) return Object.fromEntries(boundedEntries(fields, 0));
  return fields;
}

/** An error as a line shows it. */
export function boundedError(error: unknown): unknown {
  if (!(error instanceof Error)) return bounded(error, 0);
  const { type, message, stack, ...more } = pino.stdSerializers.err(error);
  return {
    type,
    message: cut(message, maxText),
    stack: cut(stack, maxStack),
    ...('code' in more ? { code: bounded(more['code'], 0) } : {}),
  };
}

const isSmall = (value: unknown): boolean =>
  typeof value === 'string' ? value.length <= maxText : typeof value !== 'object' || value === null;

function bounded(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return cut(value, maxText);
  // Errors have their own serializer.
  if (typeof value !== 'object' || value === null || value instanceof Error) return value;
  if (depth >= maxDepth) return '…';
  if (Array.isArray(value)) {
    const items = value.slice(0, maxItems).map((each) => bounded(each, depth + 1));
    return value.length > maxItems ? [...items, `… ${value.length - maxItems} more`] : items;
  }
  return Object.fromEntries(boundedEntries(value, depth));
}

const boundedEntries = (fields: object, depth: number): readonly (readonly [string, unknown])[] =>
  Object.entries(fields)
    .slice(0, maxItems)
    .map(([key, value]) => [key, bounded(value, depth + 1)]);

const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length)}… (${text.length} characters)`;

const maxText = 256;
const maxStack = 4_096;
const maxItems = 100;
const maxDepth = 4;
