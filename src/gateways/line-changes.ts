/** What freshly read configuration changes among the lines: a line is one number at one endpoint. */
import type { Line, LineProvision } from './line.ts';

export interface LineChanges {
  /** To be taken away first: their numbers and endpoints may be wanted again. */
  readonly gone: readonly Line[];
  readonly fresh: readonly LineProvision[];
  /** For the operator. */
  readonly words: readonly string[];
}

/** Where a number or an endpoint is wanted twice, the first counts. */
export function lineChanges(current: Iterable<Line>, wanted: Iterable<LineProvision>): LineChanges {
  const byNumber = new Map<string, LineProvision>();
  const endpoints = new Set<string>();
  for (const line of wanted) {
    const endpoint = line.endpoint.toLowerCase();
    if (byNumber.has(line.number) || endpoints.has(endpoint)) continue;
    byNumber.set(line.number, line);
    endpoints.add(endpoint);
  }
  const gone: Line[] = [];
  const words: string[] = [];
  const kept = new Set<string>();
  for (const line of current) {
    const next = byNumber.get(line.number);
    if (next?.endpoint.toLowerCase() === line.endpoint.toLowerCase()) {
      kept.add(line.number);
      continue;
    }
    gone.push(line);
    if (next === undefined) words.push(`line ${line.number} removed`);
    else words.push(`line ${line.number} moved from ${line.endpoint} to ${next.endpoint}`);
  }
  const moved = new Set(gone.map(({ number }) => number));
  const fresh = [...byNumber.values()].filter(({ number }) => !kept.has(number));
  for (const { number } of fresh) if (!moved.has(number)) words.push(`line ${number} added`);
  return { gone, fresh, words };
}
