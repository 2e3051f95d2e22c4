/** Events of the cluster: members, their link, and who serves whose gateways. */
import { event } from './shape.ts';

export const memberEvents = {
  memberLink: event('info', 'member link', 'the link to the other members is open', {
    address: 'where it is bound',
    partners: 'the other members',
  }),
  memberSuspected: event(
    'warn',
    'the link to this member is silent: its signaling address is asked',
    'nothing was heard of a member over the link for most of the time after which it counts as dead',
    { member: 'its address', before: 'what it was before' },
  ),
  memberDied: event('warn', 'member is dead', 'a member that lived does not answer any more', {
    member: 'its address',
    before: 'what it was before',
  }),
  memberAbsent: event('info', 'member is not there', 'a member did not answer since this process began', {
    member: 'its address',
  }),
  memberChanged: event('info', 'member is found, returning or leaving', 'a member is found, returns or leaves', {
    member: 'its address',
    state: 'alive, returning (held before it gets its work back), leaving',
    before: 'what it was before',
  }),
  clocksDiffer: event(
    'warn',
    'the clocks of this member and ours differ: use NTP on all members',
    'a member says another time than ours; once for each of its lives',
    { member: 'its name', differenceMs: 'by how much it is ahead' },
  ),
  processStoodStill: event(
    'warn',
    'this process stood still: others may have taken its place',
    'the process was stopped, or got no processor, for longer than members wait',
    { goneMs: 'for how long' },
  ),
  linkDropped: event(
    'warn',
    'datagrams on the member link are dropped',
    'datagrams are not believed; one a minute and reason',
    { reason: 'why: another secret, a replay, no member …', count: 'how many' },
  ),
  gatewaysOwned: event(
    'info',
    'ownership of gateways',
    'all gateways of a member change hands; of a gateway that changes hands alone, at debug',
    {
      home: 'the member that they are with when all live',
      because: 'what happened: died, alive, holdOver …',
      from: 'what we were to them: theirs, ours, returning …',
      to: 'what we are now',
    },
  ),
  gatewayElsewhere: event(
    'info',
    'gateway went to another member by itself',
    'a gateway that is ours obeys another member',
    { gateway: 'its name', member: 'that member' },
  ),
} as const;
