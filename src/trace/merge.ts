/** Traces of several members as one: what one of them sent and another received is one message. */
import type { TraceRow } from './trace-row.ts';

/** In the order of time. */
export function mergeTraces(traces: readonly (readonly TraceRow[])[]): readonly TraceRow[] {
  const all = traces.flat().toSorted((a, b) => a.wallMs - b.wallMs);
  /** Sent and not seen to arrive, or the other way round, by what it is. */
  const waiting = new Map<string, TraceRow[]>();
  const merged: TraceRow[] = [];
  for (const row of all) {
    const key = `${row.transport} ${row.from} ${row.to} ${row.octets ?? row.title}`;
    const same = waiting.get(key) ?? [];
    const twin = same.findIndex(({ direction, wallMs }) => direction !== row.direction && row.wallMs - wallMs < sameMs);
    if (twin >= 0) {
      const [seen] = same.splice(twin, 1);
      // Whoever sent it knows that it is sent for a second time elsewhere.
      if (seen !== undefined && row.moved !== undefined && seen.moved === undefined)
        merged[merged.indexOf(seen)] = { ...seen, moved: row.moved };
      continue;
    }
    same.push(row);
    waiting.set(key, same);
    merged.push(row);
  }
  return merged;
}

/** A message is no longer under way, and clocks of members differ no more. */
const sameMs = 2_000;
