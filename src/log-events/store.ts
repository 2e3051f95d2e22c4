/** Of the location service that hosts share. */
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
} as const;
