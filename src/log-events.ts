/**
 * What the log tells an operator, as one table: each event has a name, which its line carries as `event`, a level, its words and its fields.
 * docs/log-events.md is made of it.
 */
import type { Logger } from './log.ts';
import { gatewayEvents } from './log-events/gateways.ts';
import { memberEvents } from './log-events/members.ts';
import { networkEvents } from './log-events/network.ts';
import { programEvents } from './log-events/program.ts';
import { type EventShape, event } from './log-events/shape.ts';
import { storeEvents } from './log-events/store.ts';
import type { RateLimitedLog } from './rate-limited-log.ts';

const callEvents = {
  callFailed: event(
    'info',
    'call failed',
    'a call attempt came to nothing, or a call ended otherwise than by hanging up; 10 a second at most, the others are counted',
    {
      callId: 'the id that its messages carry; nothing where no number was dialled',
      caller: 'who called',
      callee: 'who was called',
      reason:
        'why, in one word: busy, unknownNumber, noAnswer, unavailable, unauthorized, notAcceptable, noRoute, timeout, loop, overload, gatewayLost …',
      code: 'the answer that said so, as its protocol numbers answers',
      cause: 'the same as a cause of Q.850',
      where: 'the address that said so; nothing: this controller',
      detail: 'more, in words: which addresses were tried, and what became of each',
      durationMs: 'from the beginning to the end',
      route: 'by which route the call was to go',
    },
  ),
  callsFailed: event('info', 'more calls failed', 'a minute after callFailed had to leave out calls', {
    count: 'how many were left out',
    reasons: 'how many for each reason',
  }),
  takeover: event('warn', 'taking over for a member', 'the first message of a member that is gone comes here', {
    partner: 'the address of the member whose work it was',
    what: 'request or response',
    gapMs: 'how long ago that member was last heard; nothing where it never was',
  }),
  takeoverCounts: event('info', 'taken over so far', 'every 10 s while work of a member comes here', {
    partner: 'the address of the member whose work it was',
    requests: 'how many requests since the takeover began',
    responses: 'how many responses',
    calls: 'how many calls they belong to',
    forMs: 'since when',
  }),
  peerDied: event('warn', 'peer is down: what is open moves to its alternates', 'a peer with alternates fails', {
    peer: 'its address',
    failure: 'refused, silent, down …',
    detail: 'what the system or the failure detector says',
    moving: 'how many messages move',
  }),
  peerReturned: event('info', 'peer answers again: held before it gets new work', 'a peer that was down answers', {
    peer: 'its address',
    heldMs: 'for how long',
    newWorkAt: 'when it gets new work again, by the calendar of this machine (UTC)',
  }),
  peerRefuses: event(
    'warn',
    'peer takes no new work: it goes to its alternates',
    'a peer says that it takes no work for so long',
    {
      peer: 'its address',
      forMs: 'for how long',
    },
  ),
  registrationRefused: event(
    'info',
    'registration refused',
    'a registration is refused, but for the first challenge; one a minute for each source and 64 sources',
    {
      to: 'the address of record',
      from: 'where it came from',
      status: 'the status code of the answer',
      reason: 'its reason phrase',
      count: 'in a later line: how many were left out',
    },
  ),
  authenticationFailed: event(
    'info',
    'authentication failed',
    'credentials are wrong; one a minute for each source and 64 sources',
    {
      from: 'where they came from',
      user: 'the user name that was given',
      reason: 'what is wrong',
      count: 'in a later line: how many were left out',
    },
  ),
  requestRouted: event('debug', 'request routed', 'at debug: a request has its targets', {
    callId: 'the id of its call',
    method: 'its method',
    uri: 'its Request-URI',
    from: 'where it came from',
    standing: 'what its sender may: open, trusted, user, party, dialog, stranger',
    route: 'what decided: registered, route …, default, direct, Route header',
    targets: 'where it may go, in order: each URI with its hop',
  }),
  requestSent: event('debug', 'request sent', 'at debug: a branch has its addresses', {
    callId: 'the id of its call',
    method: 'its method',
    uri: 'the Request-URI of the branch',
    addresses: 'in the order in which they are tried, each with how it is: up, down, unknown …',
  }),
  requestRefused: event('debug', 'request refused', 'at debug: this controller answers a request itself', {
    callId: 'the id of its call',
    method: 'its method',
    uri: 'its Request-URI',
    from: 'where it came from',
    status: 'the status code of the answer',
    reason: 'its reason phrase',
  }),
  messageMoved: event('debug', 'message moves to the alternate', 'at debug: a message is sent to another address', {
    from: 'the address that failed',
    to: 'where it is sent now',
    because: 'why',
    tried: 'what was tried before, and what became of each',
  }),
  numberRouted: event('debug', 'number routed', 'at debug: a party dialled a number that can be called', {
    number: 'the number',
    caller: 'who dialled',
    protocol: 'the protocol of the called party',
    contact: 'the called party as its protocol names it',
    tried: 'contacts that could not be called before it, each with why',
  }),
  numberRefused: event('debug', 'number cannot be called', 'at debug: a party dialled a number that cannot be called', {
    number: 'the number',
    reason: 'why',
    tried: 'the contacts, each with why',
  }),
  callEnded: event('debug', 'call ended', 'at debug: a call of gateways ended, however', {
    protocol: 'of the caller',
    caller: 'who called',
    callee: 'who was called',
    reason: 'why',
  }),
  logLevelChanged: event('info', 'log level changed', 'somebody asked for another level while running', {
    level: 'from now on',
    part: 'of this protocol alone; nothing: of all',
    about: 'only lines about this call, peer or number',
    minutes: 'goes back by itself after so long',
  }),
  logLevelRestored: event('info', 'log level is what it was', 'the time is over', {
    level: 'from now on',
    part: 'of this protocol alone; nothing: of all',
  }),
  overloadBegan: event(
    'warn',
    'overload: a share of the new work is refused, what is under way goes on',
    'the event loop was late or a queue full for half a second',
    {
      delayMs: 'how late the event loop was',
      busyPercent: 'how busy it was',
      queuedPercent: 'how full the fullest queue is',
      offeredPerSecond: 'new requests a second, lately',
    },
  ),
  overloadGoesOn: event('info', 'overload goes on', 'every 10 s while new work is refused', {
    keptPercent: 'the share of new requests that is taken',
    refused: 'how many were refused since it began',
    offeredPerSecond: 'new requests a second, lately',
  }),
  overloadEnded: event('warn', 'overload is over: all new work is taken again', 'two seconds without pressure', {
    refused: 'how many new requests were refused',
    forMs: 'since it began',
  }),
  sourceLimited: event(
    'warn',
    'source sends more than it may: the rest of its new work is dropped',
    'a source is beyond its messages a second; one a minute for each source and 64 sources',
    {
      source: 'its address, or the /64 of it',
      transport: 'udp, tcp …',
      perSecond: 'what it may send',
      count: 'in a later line: how many were left out',
    },
  ),
  sourceBanned: event(
    'warn',
    'source is banned: its new work is dropped',
    'a source was beyond its limit three times within ten seconds, or an operator said so; one a minute for each source and 64 sources',
    {
      source: 'its address, or the /64 of it',
      because: 'rate or operator',
      forMs: 'for how long',
      times: 'how often it was banned, this time included',
      count: 'in a later line: how many were left out',
    },
  ),
  banLifted: event('info', 'ban is lifted', 'an operator lifts the ban of a source', {
    source: 'its address, or the /64 of it',
    dropped: 'how many of its messages were dropped',
  }),
  recordsStopped: event(
    'error',
    'call records cannot be written: they wait in memory',
    'the file of call records takes nothing',
    {
      file: 'where they are to go',
      reason: 'what the system says',
      waiting: 'how many wait',
    },
  ),
  recordsResumed: event('warn', 'call records are written again', 'the file takes them again', {
    file: 'where they go',
    lost: 'how many were lost meanwhile',
  }),
} as const;

export const logEvents = {
  ...callEvents,
  ...memberEvents,
  ...networkEvents,
  ...gatewayEvents,
  ...programEvents,
  ...storeEvents,
} as const satisfies Readonly<Record<string, EventShape>>;

export type LogEventName = keyof typeof logEvents;

export type LogFields<N extends LogEventName> = Partial<
  Readonly<Record<keyof (typeof logEvents)[N]['fields'] | 'protocol', unknown>>
>;

/** One line of the table. */
export function logEvent<N extends LogEventName>(log: Logger, name: N, fields: LogFields<N>): void {
  const { level, text }: EventShape = logEvents[name];
  const line: Readonly<Record<string, unknown>> = { event: name, ...fields };
  log[level](line, text);
}

/** The same for what a peer can cause with every message: one line a minute for each source. */
export function limitedEvent<N extends LogEventName>(
  log: RateLimitedLog,
  name: N,
  source: string,
  fields: () => LogFields<N>,
): void {
  const { level, text }: EventShape = logEvents[name];
  log[level](text, source, () => ({ event: name, ...fields() }));
}

const fieldTable = (fields: Readonly<Record<string, string>>): readonly string[] =>
  Object.keys(fields).length === 0
    ? ['It has no fields.']
    : ['| Field | Says |', '|---|---|', ...Object.entries(fields).map(([field, says]) => `| \`${field}\` | ${says} |`)];

/** The table as a document. */
export function logEventsDocument(): string {
  const rows = Object.entries(logEvents).map(([name, { level, text, when, fields }]) =>
    [`## ${name}`, '', `\`${level}\`: "${text}". Written when ${when}.`, '', ...fieldTable(fields)].join('\n'),
  );
  return `${[
    '# Events in the log',
    'Made from `src/log-events.ts` and `src/log-events/` by `node scripts/log-events.ts`; a test keeps both equal. Every line of these carries its name as `event`, so that tools need not read words. Fields that do not apply are left out. Protocols stand in `protocol`. Text of peers is cut at 256 characters.',
    ...rows,
  ].join('\n\n')}\n`;
}
