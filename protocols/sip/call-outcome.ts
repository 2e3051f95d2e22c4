/** What a final response says of a call, in the words of all protocols and as a cause of Q.850 (as RFC 3398 pairs them). */
import type { CallOutcome } from '../../src/internal.ts';
import { keptShort } from './codec/kept-text.ts';

export function outcomeOf(status: number, detail?: string): CallOutcome {
  const [reason, cause] = table.get(status) ?? byClass(status);
  return {
    reason,
    code: String(status),
    cause,
    ...(detail === undefined || detail === '' ? {} : { detail: keptShort(detail) }),
  };
}

type Entry = readonly [reason: string, cause: number];

const table: ReadonlyMap<number, Entry> = new Map<number, Entry>([
  [401, ['unauthorized', 21]],
  [402, ['forbidden', 21]],
  [403, ['forbidden', 21]],
  [404, ['unknownNumber', 1]],
  [407, ['unauthorized', 21]],
  [408, ['timeout', 102]],
  [410, ['unknownNumber', 22]],
  [415, ['notAcceptable', 79]],
  [416, ['noRoute', 127]],
  [430, ['unavailable', 20]],
  [480, ['unavailable', 18]],
  [481, ['temporary', 41]],
  [482, ['loop', 25]],
  [483, ['loop', 25]],
  [484, ['incompleteNumber', 28]],
  [485, ['unknownNumber', 1]],
  [486, ['busy', 17]],
  [487, ['cancelled', 16]],
  [488, ['notAcceptable', 65]],
  [500, ['temporary', 41]],
  [501, ['notAcceptable', 79]],
  [502, ['unreachable', 38]],
  [503, ['overload', 41]],
  [504, ['timeout', 102]],
  [580, ['noResources', 47]],
  [600, ['busy', 17]],
  [603, ['declined', 21]],
  [604, ['unknownNumber', 1]],
  [606, ['notAcceptable', 65]],
]);

function byClass(status: number): Entry {
  if (status < 400) return ['redirected', 23];
  if (status < 500) return ['refused', 127];
  return status < 600 ? ['temporary', 41] : ['declined', 21];
}
