/** Events of the program itself, of what it receives, and of carriers. */
import { event } from './shape.ts';

export const programEvents = {
  ready: event('info', 'ready', 'every socket is open', {
    addresses: 'all that is listened on',
    admin: 'where the admin server is, or off',
    location: 'where registrations are kept',
    node: 'which member this is',
    version: 'of altpath',
    pid: 'of the process',
  }),
  workerServes: event('info', 'worker serves', 'with workers: one of them has opened its sockets', {
    worker: 'which',
    pid: 'of its process',
  }),
  workerEnded: event('error', 'worker ended', 'with workers: one of them ends without being asked to', {
    worker: 'which',
    how: 'the signal or the exit code, or why it could not start',
    livedMs: 'how long it lived',
    deaths: 'how often in a row it ended soon after its start; from 4 on it waits long for the next',
    restartMs: 'when it is started anew',
  }),
  workerStuck: event(
    'error',
    'worker does not answer: it is ended',
    'with workers: one of them has said nothing for 20 s',
    { worker: 'which' },
  ),
  workerLeads: event(
    'info',
    'worker has the gateways and the registrations with carriers',
    'with workers: what one does for all goes to another',
    { worker: 'which' },
  ),
  stopped: event('info', 'stopped', 'a drain is over, and the process ends', {}),
  malformedMessage: event(
    'info',
    'malformed message',
    'a message cannot be read; one a minute for each source and 64 sources',
    {
      from: 'where it came from',
      transport: 'by which transport',
      reason: 'what is wrong with it',
      offset: 'at which octet',
      count: 'in a later line: how many were left out',
    },
  ),
  trunkRegistered: event('info', 'registered with the carrier', 'a registration with a carrier begins', {
    trunk: 'its name',
    seconds: 'for how long',
  }),
  trunkNotRegistered: event(
    'warn',
    'the carrier does not take our registration',
    'a registration with a carrier fails; once until it succeeds',
    { trunk: 'its name', detail: 'what the carrier answered' },
  ),
  trunkElsewhere: event('info', 'another member registers with the carrier', 'that member lives again', {
    trunk: 'its name',
  }),
} as const;
