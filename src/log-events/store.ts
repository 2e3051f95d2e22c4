/** Of the location service: the one that hosts share, and the file of one host. */
import { event } from './shape.ts';

export const storeEvents = {
  storeAway: event(
    'error',
    'LOCATION STORE AWAY: registrations are kept in memory only until it is back',
    'the Redis store does not answer, refuses, or is too slow; again once a minute while it is away',
    {
      store: 'which, without credentials',
      reason: 'what it says, or that it says nothing',
      waiting: 'records that it does not have yet',
      awayMs: 'since when',
    },
  ),
  storeBack: event('warn', 'location store is back: what waited is written', 'the Redis store takes writes again', {
    store: 'which, without credentials',
    waiting: 'records that it does not have yet',
    awayMs: 'how long it was away',
  }),
  storeLost: event(
    'error',
    'location store has lost what it had: all registrations that are known here are written again',
    'the Redis store was emptied, replaced, or failed over to a server without the last changes',
    { store: 'which, without credentials' },
  ),
  storeRead: event('info', 'location store was read', 'all records of the Redis store were read', {
    store: 'which, without credentials',
    records: 'how many there were',
    ms: 'how long it took',
  }),
  storeUnfit: event(
    'warn',
    'location store is not set up as it should be',
    'the Redis store was found at the start, for each setting or clock that is wrong',
    { store: 'which, without credentials', reason: 'what is wrong, and what to do' },
  ),
  storeFileLost: event(
    'error',
    'LOCATION STORE LOST: registrations are kept in memory only and will not survive a restart',
    'the file of the location store can be neither read nor written any more',
    { path: 'the file', reason: 'what the system says' },
  ),
  storeFileStillAway: event('error', 'location store is still away', 'it was tried again in vain', {
    path: 'the file',
    reason: 'what the system says',
  }),
  storeFileBack: event(
    'warn',
    'location store is back, registrations are stored again',
    'the file can be written again',
    {
      path: 'the file',
      dropped: 'how many removals it was not told of: it was away too long',
    },
  ),
  storeFileDamaged: event(
    'error',
    'LOCATION STORE DAMAGED: set aside, a new one is begun; who was stored in it alone is unknown until he registers again',
    'the file is no data base, or a broken one',
    { path: 'the file', aside: 'its name from now on', reason: 'what the data base says' },
  ),
  storeFileRows: event(
    'warn',
    'location store holds rows that are no contacts',
    'the file was opened, and others have written into it',
    { path: 'the file', rows: 'how many' },
  ),
  calendarSet: event('warn', 'the calendar of this machine was set', 'wall time jumped', {
    stepMs: 'by how much, forward above 0',
  }),
} as const;
