/** All records of memory once more, for a store that has lost some. */
import type { Clock } from '../../clock.ts';
import type { ContactTable } from '../contact-table.ts';

/** Those that changed in the last minute first: a master that took over lacks these, if any. undefined: a record that is not meant. */
export function* recentFirst(
  table: ContactTable,
  clock: Clock,
  isMeant: (record: string) => boolean,
): Generator<readonly [record: string, keys: readonly string[]] | undefined> {
  const sinceMs = clock.now() - recentMs;
  for (const isRecentWanted of [true, false])
    for (const [record, contacts] of table.records(clock.now())) {
      const isRecent = contacts.some(({ updatedMs }) => updatedMs >= sinceMs);
      yield isRecent === isRecentWanted && isMeant(record) ? [record, contacts.map(({ key }) => key)] : undefined;
    }
}

const recentMs = 60_000;
