/** All records of memory once more, for a store that has lost some. */
import type { Clock } from '../../clock.ts';
import type { Contact } from '../../location-service.ts';
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

/** Is the one what the other is, so that nothing has to be written? */
export function sameContact(one: Contact, other: Contact): boolean {
  return (
    one === other ||
    (one.updatedMs === other.updatedMs &&
      one.expiresMs === other.expiresMs &&
      one.cseq === other.cseq &&
      one.callId === other.callId &&
      one.target === other.target &&
      one.flow === other.flow &&
      one.q === other.q &&
      one.params === other.params)
  );
}
