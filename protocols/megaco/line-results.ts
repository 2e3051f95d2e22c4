/** Pure: what the reply to a command of the line driver says about the line. */
import type { DesiredLine, Reaction, ReleaseReason } from '../../src/internal.ts';
import {
  type ActionReply,
  type ActionRequest,
  type CommandReply,
  contextChoose,
  contextNull,
  type ErrorDescriptor,
  type MediaDescriptor,
} from './codec/messages.ts';
import type { LineCommand, LineMedia, ObservedLine } from './line-commands.ts';
import type { MegacoResponse } from './transactions.ts';

export const nothingObserved: ObservedLine = {
  media: undefined,
  playing: undefined,
  confirmed: undefined,
  isMisplaced: false,
  cleared: 0,
  leftovers: [],
};

export const unrequested = (observed: ObservedLine): ObservedLine => ({ ...observed, confirmed: undefined });

/** A detected event ends the signals, while the events stay requested (RFC 3525 §7.1.11): a tone that is to go on is sent again. */
export const afterEvent = ({ confirmed, ...observed }: ObservedLine): ObservedLine => ({
  ...observed,
  playing: undefined,
  confirmed: confirmed?.tone === undefined ? confirmed : undefined,
});

export function onResult(
  observed: ObservedLine,
  command: LineCommand,
  { reply }: MegacoResponse,
  isDisturbed: boolean,
): Reaction<ObservedLine> {
  const { kind, termination, desired } = command;
  // Whatever is not executed as a whole may have changed the line's events: Add sets them, Subtract clears them (§6.2.4).
  const unconfirmed = unrequested(observed);
  const error = errorIn(reply.error, reply.actions);
  if (error?.code === 504 || error?.code === 402) return { observed, report: { kind: 'failed', because: 'notOurs' } };
  if (kind === 'find') {
    const leftovers = reply.actions.filter(holdsSomething).map(({ contextId }) => contextId);
    return { observed: { ...unconfirmed, isMisplaced: false, media: undefined, leftovers } };
  }
  if (kind === 'empty') return { observed: { ...unconfirmed, leftovers: [] } };
  if (kind === 'leave' || desired === undefined) return { observed: { ...observed, media: undefined } };
  if (error === undefined && isAnswered(command, reply.actions)) {
    const media = mediaAfter(desired, observed.media, reply.actions, termination);
    // §7.1.8: what it chose has to be told, and nobody can talk to a termination whose description is not.
    if (desired.media !== undefined && command.actions.some(isCreation) && media?.local === undefined)
      return {
        observed: { ...unconfirmed, media, isMisplaced: media === undefined },
        report: { kind: 'refused', reason: 'noResources' },
      };
    const isSilenced = isDisturbed && desired.tone !== undefined;
    const confirmed = isSilenced ? undefined : desired;
    return { observed: { ...observed, media, playing: desired.tone, confirmed, cleared: 0 } };
  }
  const { code } = error ?? unanswered;
  if (stale.has(code) && observed.cleared < 2)
    return { observed: { ...unconfirmed, isMisplaced: true, cleared: observed.cleared + 1 } };
  // An Add that failed half-way leaves a context behind.
  const leftovers = reply.actions
    .filter(({ contextId, commands }) => isReal(contextId) && commands.some(({ verb }) => verb === 'Add'))
    .map(({ contextId }) => contextId);
  const media = observed.media?.callId === desired.media?.callId ? observed.media : undefined;
  // It is asked again, without.
  if ((command.asksForEvents && mayMeanMedia(code)) || (command.showsCaller && mayMeanSignal(code)))
    return { observed: { ...unconfirmed, media, leftovers } };
  return { observed: { ...unconfirmed, media, leftovers }, report: { kind: 'refused', reason: reasonOf(code) } };
}

/** §8.2.2: every command up to the first failure has its reply; without one the last was not executed. */
function isAnswered({ actions, termination }: LineCommand, replies: readonly ActionReply[]): boolean {
  const last = actions.at(-1)?.commands.at(-1);
  if (last === undefined) return true;
  return replies.some(({ commands }) =>
    commands.some(
      ({ verb, terminationId }) =>
        verb === last.verb &&
        (terminationId === last.terminationId || (last.terminationId === '$' && terminationId !== termination)),
    ),
  );
}

/** What stands for a reply that is missing: where the line is has to be found out. */
const unanswered = { code: 430 };

/** H.248.8: media that the gateway has not; no bandwidth; everything else is a lack of something. */
function reasonOf(code: number): ReleaseReason {
  if (code === 526) return 'overload';
  return code === 415 || code === 515 ? 'notAcceptable' : 'noResources';
}

function mediaAfter(
  { media }: DesiredLine,
  before: LineMedia | undefined,
  actions: readonly ActionReply[],
  termination: string,
): LineMedia | undefined {
  if (media === undefined) return undefined;
  const { callId, mode, remote } = media;
  const kept = before?.callId === callId ? before : undefined;
  const heard = mediaIn(actions, termination);
  const contextId = heard?.contextId ?? kept?.contextId;
  const rtp = heard?.rtp ?? kept?.rtp;
  if (contextId === undefined || rtp === undefined) return undefined;
  return {
    callId,
    contextId,
    rtp,
    mode,
    local: heard?.local ?? kept?.local,
    remote: remote ?? kept?.remote,
    record: media.record ?? kept?.record,
  };
}

const isCreation = ({ contextId }: ActionRequest): boolean => contextId === contextChoose;

/** Neither the null context nor one of the reserved ids. */
const isReal = (contextId: number): boolean => contextId !== contextNull && contextId < 0xffff_fffe;

const holdsSomething = ({ contextId, commands, error }: ActionReply): boolean =>
  isReal(contextId) && error === undefined && commands.length > 0;

/** Unknown context or termination, termination in a context or not in it: 411, 430, 431, 433, 434, 435. */
const stale = new Set([411, 430, 431, 433, 434, 435]);

/** Syntax, an unknown property or value, not implemented, no such media: what Local asks for may be meant. */
export const mayMeanMedia = (code: number): boolean => mediaErrors.has(code);

const mediaErrors: ReadonlySet<number> = new Set([400, 403, 422, 442, 445, 449, 501, 515]);

/** An unknown package, parameter, value or signal, or none that this line can play (H.248.8): what it is to display may be meant. */
export const mayMeanSignal = (code: number): boolean => signalErrors.has(code);

const signalErrors: ReadonlySet<number> = new Set([400, 403, 422, 440, 442, 445, 446, 449, 452, 454, 501, 512]);

/** The first error that counts: those of optional commands do not (RFC 3525 §8.2.2); ours are the Subtracts. */
export function errorIn(
  whole: ErrorDescriptor | undefined,
  actions: readonly ActionReply[],
): ErrorDescriptor | undefined {
  if (whole !== undefined) return whole;
  for (const { error, commands } of actions) {
    for (const { verb, descriptors } of commands) {
      if (verb === 'Subtract') continue;
      for (const descriptor of descriptors) if (descriptor.kind === 'Error') return descriptor;
    }
    if (error !== undefined && !commands.every(({ verb }) => verb === 'Subtract')) return error;
    if (error !== undefined && commands.length === 0) return error;
  }
  return undefined;
}

export interface HeardMedia {
  readonly contextId: number | undefined;
  readonly rtp: string | undefined;
  readonly local: string | undefined;
}

/** What the replies to Add and Modify tell of the ephemeral termination beside the line. */
export function mediaIn(actions: readonly ActionReply[], termination: string): HeardMedia | undefined {
  for (const { contextId, commands } of actions) {
    if (!isReal(contextId)) continue;
    const reply = commands.find(({ verb, terminationId }) => verb !== 'Subtract' && terminationId !== termination);
    if (reply === undefined) continue;
    return { contextId, rtp: reply.terminationId, local: localIn(reply) };
  }
  return undefined;
}

function localIn({ descriptors }: Pick<CommandReply, 'descriptors'>): string | undefined {
  const media = descriptors.find((descriptor): descriptor is MediaDescriptor => descriptor.kind === 'Media');
  return media?.streams.find(({ local }) => local !== undefined && local !== '')?.local;
}
