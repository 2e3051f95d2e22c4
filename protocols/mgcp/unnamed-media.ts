/**
 * Pure: what becomes of lines that talk over connections which their gateways do not name. All they need is to be left alone, and to be
 * told when the other party leaves. They are paired by their RequestIdentifiers, by a CallId that another gateway told, or by the number in
 * that; whoever talks to one that cannot be told is left alone as well.
 */
import type { Connection } from './line-commands.ts';
import type { EndpointAudit, NamedMedia } from './snapshot.ts';

export interface NumberRules {
  /** The number that a call id tells of. */
  dialled(callId: string): string | undefined;
  /** The endpoint that a number stands for. */
  endpointOf(number: string): string | undefined;
}

export function withUnnamedMedia(audits: readonly EndpointAudit[], rules: NumberRules): readonly EndpointAudit[] {
  if (!audits.some(isHidden)) return audits;
  const wholeIds = new Map<string, string>();
  for (const { media } of audits) for (const { callId } of media) wholeIds.set(callId.slice(0, 16), callId);
  const named = audits.map((audit) => {
    const { callToken, state } = audit;
    if (!isHidden(audit) || callToken === undefined || state !== 'talking') return audit;
    return joined(audit, wholeIds.get(callToken) ?? callToken);
  });
  const ends = new Map<string, number>();
  for (const { media } of named) for (const { callId } of media) ends.set(callId, (ends.get(callId) ?? 0) + 1);
  const isLoose = ({ callId, mode }: NamedMedia) => mode === 'both' && ends.get(callId) === 1;
  const calledBy = new Map<string, string>();
  for (const { endpoint, media } of named)
    for (const each of media) {
      const number = isLoose(each) ? rules.dialled(each.callId) : undefined;
      const called = number === undefined ? undefined : rules.endpointOf(number)?.toLowerCase();
      if (called !== undefined && called !== endpoint.toLowerCase()) calledBy.set(called, each.callId);
    }
  const paired = named.map((audit) => {
    const callId = isHidden(audit) ? calledBy.get(audit.endpoint.toLowerCase()) : undefined;
    if (callId === undefined) return audit;
    ends.set(callId, 2);
    return joined(audit, callId);
  });
  if (!paired.some(isHidden)) return paired;
  return paired.map((audit) => {
    const [only, ...others] = audit.connections;
    if (only === undefined || others.length > 0 || audit.hook === 'on' || !audit.media.every(isLoose)) return audit;
    const unnamed = [...audit.unnamed, { id: only.id, callId: undefined }];
    return { ...audit, state: 'lockout', isPartial: true, media: [], connections: [], unnamed } as const;
  });
}

/** Off-hook, and its gateway does not tell over what connection it talks, if it does. */
const isHidden = ({ hook, state, unnamed }: EndpointAudit): boolean =>
  hook === 'off' && unnamed.length > 0 && (state === 'talking' || state === 'lockout');

function joined(audit: EndpointAudit, callId: string): EndpointAudit {
  const [first, ...others] = audit.unnamed;
  if (first === undefined || audit.media.some((each) => each.callId === callId)) return audit;
  const media: NamedMedia = { callId, mode: 'both', local: undefined, remote: undefined };
  const connection: Connection = { ...media, id: first.id, isNamed: false };
  return { ...audit, media: [...audit.media, media], connections: [...audit.connections, connection], unnamed: others };
}
