/** What is configured twice, or names something that is not configured: each would be left out, or win by chance, without a word. */
import type { z } from 'zod';

type Issue = z.core.$ZodRawIssue;

/** One issue per value that is there already, letter by letter. `at` is the path of the item with this index. */
export function duplicates(
  values: Iterable<string>,
  at: (index: number) => PropertyKey[],
  complaint: (value: string) => string,
): Issue[] {
  const seen = new Set<string>();
  const issues: Issue[] = [];
  let index = -1;
  for (const value of values) {
    index += 1;
    if (!seen.has(value)) seen.add(value);
    else if (issues.length < maxIssues) issues.push(custom(at(index), complaint(value)));
  }
  return issues;
}

/** One issue per value that is none of `known`. */
export function unknowns(
  values: Iterable<string>,
  known: Iterable<string>,
  at: (index: number) => PropertyKey[],
  complaint: (value: string) => string,
): Issue[] {
  const names = new Set([...known].map((name) => name.toLowerCase()));
  const issues: Issue[] = [];
  let index = -1;
  for (const value of values) {
    index += 1;
    if (!names.has(value.toLowerCase()) && issues.length < maxIssues) issues.push(custom(at(index), complaint(value)));
  }
  return issues;
}

const custom = (path: PropertyKey[], message: string): Issue => ({ code: 'custom', path, message, input: null });

/** A slip in a generated file of a million lines makes a million. */
const maxIssues = 20;
