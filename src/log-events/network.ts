/** Events of floating addresses, which are on one of several hosts at a time. */
import { event } from './shape.ts';

const address = 'the floating address, as it is listened on';

export const networkEvents = {
  vipHere: event('info', 'floating address is on this host', 'a listener on a floating address that is here begins', {
    address,
  }),
  vipElsewhere: event(
    'info',
    'floating address is on another host: bound, serves once it comes',
    'a listener on a floating address that is elsewhere begins, and the system lets it be bound (`ip_nonlocal_bind`)',
    { address },
  ),
  vipUnbound: event(
    'warn',
    'floating address is on another host: is bound once it comes (at once with sysctl net.ipv4.ip_nonlocal_bind=1)',
    'a listener on a floating address that is elsewhere begins, and the system does not let it be bound',
    { address },
  ),
  vipCame: event('info', 'floating address came to this host', 'the address moves here, and is bound', { address }),
  vipLeft: event(
    'warn',
    'floating address has left this host: nothing is sent from it until it returns',
    'the address was away for a second',
    { address },
  ),
  vipNotBound: event(
    'error',
    'floating address cannot be bound',
    'the address is here and the system refuses to bind it; once for each reason, and it is tried again ten times a second',
    { address, reason: 'what the system says' },
  ),
} as const;
