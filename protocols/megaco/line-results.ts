/** Pure: what the reply to a command of the line driver says about the line. */
import type { DesiredLine, Reaction, ReleaseReason } from '../../src/internal.ts';
import {
  type ActionReply,
  type CommandReply,
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
  const error = errorIn(reply.error, reply.actions);
  if (error?.code === 504 || error?.code === 402) return { observed, report: { kind: 'failed', because: 'notOurs' } };
  if (kind === 'find') {
    const leftovers = reply.actions.filter(holdsSomething).map(({ contextId }) => contextId);
    return { observed: { ...observed, isMisplaced: false, media: undefined, leftovers } };
  }
  if (kind === 'empty') return { observed: { ...observed, leftovers: [] } };
  if (kind === 'leave' || desired === undefined) return { observed: { ...observed, media: undefined } };
  if (error === undefined) {
    const media = mediaAfter(desired, observed.media, reply.actions, termination);
    const isSilenced = isDisturbed && desired.tone !== undefined;
    const confirmed = isSilenced ? undefined : desired;
    return { observed: { ...observed, media, playing: desired.tone, confirmed, cleared: 0 } };
  }
  if (stale.has(error.code) && observed.cleared < 2)
    return { observed: { ...observed, isMisplaced: true, cleared: observed.cleared + 1 } };
  // An Add that failed half-way leaves a context behind.
  const leftovers = reply.actions
    .filter(({ contextId, commands }) => isReal(contextId) && commands.some(({ verb }) => verb === 'Add'))
    .map(({ contextId }) => contextId);
  const media = observed.media?.callId === desired.media?.callId ? observed.media : undefined;
  // It is asked again, without.
  if (command.asksForEvents && mayMeanMedia(error.code)) return { observed: { ...observed, media, leftovers } };
  return { observed: { ...observed, media, leftovers }, report: { kind: 'refused', reason: reasonOf(error.code) } };
}

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

/** Neither the null context nor one of the reserved ids. */
const isReal = (contextId: number): boolean => contextId !== contextNull && contextId < 0xffff_fffe;

const holdsSomething = ({ contextId, commands, error }: ActionReply): boolean =>
  isReal(contextId) && error === undefined && commands.length > 0;

/** Unknown context or termination, termination in a context or not in it: 411, 430, 431, 433, 434, 435. */
const stale = new Set([411, 430, 431, 433, 434, 435]);

/** Syntax, an unknown property or value, not implemented, no such media: what Local asks for may be meant. */
export const mayMeanMedia = (code: number): boolean => mediaErrors.has(code);

const mediaErrors: ReadonlySet<number> = new Set([400, 403, 422, 442, 445, 449, 501, 515]);

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
