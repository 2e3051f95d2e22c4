/** Events of gateways and their lines, whichever protocol they speak. */
import { event } from './shape.ts';

export const gatewayEvents = {
  gatewayDown: event('warn', 'gateway does not answer', 'a gateway that was not known to be down does not answer', {
    gateway: 'its name',
    address: 'where it was asked',
  }),
  gatewayUp: event('info', 'gateway answers again', 'a gateway that was down is heard', {
    gateway: 'its name',
    address: 'where it is',
    downMs: 'how long it was down',
  }),
  gatewayMoved: event('info', 'gateway has moved', 'a gateway that may be anywhere is at another address from now on', {
    gateway: 'its name',
    address: 'where it is now',
    before: 'where it was',
    because: 'signed, answered, or silent: it does not answer where it was',
  }),
  gatewayClaimed: event(
    'info',
    'a gateway that may be anywhere says its name at a new address',
    'somebody at a new address has the name of such a gateway: both are asked; one a minute for each gateway',
    {
      gateway: 'its name',
      address: 'the new one',
      before: 'where it is',
      count: 'in a later line: how many were left out',
    },
  ),
  gatewayClaimRefused: event(
    'warn',
    'a stranger says the name of a gateway that lives elsewhere: refused',
    'the gateway answers where it was; one a minute for each gateway',
    {
      gateway: 'its name',
      address: 'the stranger',
      lives: 'where it is',
      count: 'in a later line: how many were left out',
    },
  ),
  strangerRefused: event(
    'info',
    'message of a gateway that is not provisioned: refused',
    'somebody sends commands who is no gateway of ours; one a minute for each source and 64 sources',
    {
      from: 'where it came from',
      named: 'the gateway or endpoint that he names',
      count: 'in a later line: how many were left out',
    },
  ),
  gatewayRefuses: event(
    'info',
    'gateway refuses this: left out from now on',
    'a gateway does not bear something that commands can do without',
    { gateway: 'its name', code: 'its answer', without: 'what is left out' },
  ),
  commandRefused: event('debug', 'command refused', 'at debug: a gateway refuses a command for a line', {
    endpoint: 'the line',
    command: 'what the line was to do',
    code: 'the answer',
    text: 'its words',
  }),
  endpointMissing: event(
    'warn',
    'the gateway does not have this endpoint in service',
    'a gateway says that it has no such line, or not now',
    { endpoint: 'the line' },
  ),
  linesWanted: event(
    'info',
    'taking lines over by audit',
    'the lines of a member that is gone are asked what they do',
    {
      home: 'the member that they are with when all live',
      gateway: 'of this gateway alone',
      lines: 'how many',
    },
  ),
  linesTaken: event('info', 'taken over by audit', 'they have answered', {
    gateways: 'whose lines they are',
    lines: 'how many',
    calls: 'how many calls were made again of what they said',
  }),
  lineNotAudited: event('warn', 'line cannot be audited', 'a gateway refuses to say what a line does', {
    endpoint: 'the line',
    code: 'its answer',
  }),
  partyAlone: event(
    'info',
    'a talking end waits for the other end of its call',
    'after a takeover: one end of a call was found talking, and the other one not yet',
    { endpoint: 'the line' },
  ),
} as const;
