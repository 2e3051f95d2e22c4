/**
 * Pure: from what a gateway says when audited to the core's snapshot of a line. Gateways leave out what they do not support (RFC 3435
 * §2.3.10), so each question has a second source: the event states or the requested events tell the hook, the RequestIdentifier, which is
 * ours or a partner's, what the line was doing and in which call.
 */
import {
  type LineSnapshot,
  type LineState,
  type MediaMode,
  type MediaSnapshot,
  readRecords,
  type Tone,
} from '../../src/internal.ts';
import { type MgcpResponse, parameter } from './codec/messages.ts';
import { readRequestedEvents, readSignals } from './codec/values/events.ts';
import { isAbsent } from './codec/values/sdp.ts';
import type { Connection, Stray } from './line-commands.ts';
import { callTokenOf, lineStateOf, toneOf } from './requests.ts';

/** A connection as its audit shows it; `callId` is undefined where the gateway does not tell it. */
export type AuditedConnection = Omit<Connection, 'callId' | 'isNamed' | 'record'> & {
  readonly callId: string | undefined;
  /** What stands beside the remote description in our attribute. */
  readonly sealed?: readonly Uint8Array[] | undefined;
};

/** Media whose call is known (RFC 3435 §2.1.3.2). */
export type NamedMedia = MediaSnapshot & { readonly callId: string };

/** A line's snapshot, and its connections as commands will name them. */
export interface EndpointAudit extends LineSnapshot {
  readonly media: readonly NamedMedia[];
  readonly connections: readonly Connection[];
  /** Connections that cannot be told to be of a call. */
  readonly unnamed: readonly Stray[];
  /** How the CallId of the line's call begins, by its RequestIdentifier. */
  readonly callToken: string | undefined;
}

export function connectionOf(id: string, response: MgcpResponse | undefined): AuditedConnection {
  if (response === undefined) return { callId: undefined, id, mode: 'receive', local: undefined, remote: undefined };
  const mode = (parameter(response, 'M') ?? '').toLowerCase();
  const [local, remote] = response.sdp;
  const known = (sdp: string | undefined) => (sdp === undefined || isAbsent(sdp) ? undefined : readRecords(sdp));
  const given = known(remote);
  const callId = (parameter(response, 'C') ?? '').toUpperCase();
  return {
    callId: callId === '' ? undefined : callId,
    id,
    mode: modes.get(mode) ?? 'receive',
    local: known(local)?.description,
    remote: given?.description,
    sealed: given?.sealed,
  };
}

/** RFC 3435 §2.3.5; whatever else there is sends no speech of the line. */
const modes: ReadonlyMap<string, MediaMode> = new Map<string, MediaMode>([
  ['sendrecv', 'both'],
  ['confrnce', 'both'],
  ['sendonly', 'send'],
  ['inactive', 'none'],
]);

/** `connections`: undefined where the gateway does not tell which there are. */
export function snapshotOf(
  name: string,
  response: MgcpResponse,
  connections: readonly AuditedConnection[] | undefined,
): EndpointAudit {
  const requestId = parameter(response, 'X') ?? '';
  const told = lineStateOf(requestId);
  const requested = readRequestedEvents(parameter(response, 'R') ?? '') ?? [];
  const signals = readSignals(parameter(response, 'S') ?? '') ?? [];
  let tone: Tone | undefined;
  for (const { packageName, id } of signals) tone ??= toneOf(packageName ?? 'L', id);
  const named: Connection[] = [];
  const unnamed: Stray[] = [];
  for (const each of connections ?? [unseen]) {
    const { callId } = each;
    if (callId === undefined) unnamed.push({ id: each.id, callId });
    else {
      const { id, mode, local, remote } = each;
      named.push({ id, mode, local, remote, callId, isNamed: true });
    }
  }
  const isPartial = unnamed.length > 0;
  const collecting = requested.some(({ actions }) => actions.some(({ kind }) => kind === 'D'));
  const known = hookOf(response, told) ?? hookUnder(tone);
  const hook = known ?? likelyHook(connections, parameter(response, 'S') !== undefined);
  // Off-hook, and nothing says what it does: perhaps it talks.
  const isHidden = isPartial && hook === 'off' && tone === undefined && !collecting;
  return {
    endpoint: name,
    hook,
    isHookGuessed: known === undefined,
    tone,
    state: told ?? (isHidden ? 'lockout' : undefined),
    isPartial,
    collecting,
    media: named.map(({ callId, mode, local, remote }): NamedMedia => {
      const sealed = connections?.find((each) => each.callId === callId)?.sealed;
      return { callId, mode, local, remote, ...(sealed === undefined || sealed.length === 0 ? {} : { sealed }) };
    }),
    connections: named,
    unnamed,
    callToken: callTokenOf(requestId),
  };
}

/** A line of which nothing is known but that it is there: it may be talking, so it is left as it is until it is hung up. */
export const unauditable = (name: string): EndpointAudit => ({
  endpoint: name,
  hook: 'off',
  isHookGuessed: true,
  tone: undefined,
  state: 'lockout',
  isPartial: true,
  collecting: false,
  media: [],
  connections: [],
  unnamed: [unseen],
  callToken: undefined,
});

/** What an audit of a line on-hook without media and signals would say, as far as it matters. */
export const idle = (name: string): EndpointAudit => ({
  ...unauditable(name),
  hook: 'on',
  isHookGuessed: false,
  state: undefined,
  isPartial: false,
  unnamed: [],
});

/** Stands for whatever connections a gateway has and does not tell. */
const unseen: AuditedConnection & Stray = {
  id: '',
  callId: undefined,
  mode: 'receive',
  local: undefined,
  remote: undefined,
};

/** By the event states, else by what is waited for, else by what the line was doing; undefined where none of them is told. */
function hookOf(response: MgcpResponse, state: LineState | undefined): 'on' | 'off' | undefined {
  const states = readSignals(parameter(response, 'ES') ?? '') ?? [];
  const event = states.find(({ id }) => /^h[ud]$/i.test(id));
  if (event !== undefined) return /^hd$/i.test(event.id) ? 'off' : 'on';
  // Who waits for off-hook is on-hook.
  const requested = readRequestedEvents(parameter(response, 'R') ?? '') ?? [];
  const has = (id: string) => requested.some((event) => event.id.toLowerCase() === id);
  if (has('hd')) return 'on';
  if (has('hu')) return 'off';
  if (state === undefined) return undefined;
  return state === 'idle' || state === 'ringing' ? 'on' : 'off';
}

/** A bell rings on-hook; whoever hears a tone is off-hook. */
const hookUnder = (tone: Tone | undefined): 'on' | 'off' | undefined =>
  tone === undefined ? undefined : tone === 'ring' ? 'on' : 'off';

/**
 * What its connections let one think. Of a line that may be talking nothing is taken away: if it is on-hook after all, its gateway says so
 * when asked for the opposite (§4.4.2). `isSilent`: it is known to play nothing, so its bell does not ring.
 */
function likelyHook(connections: readonly AuditedConnection[] | undefined, isSilent: boolean): 'on' | 'off' {
  if (connections === undefined) return 'off';
  const isBegun = ({ callId, mode }: AuditedConnection): boolean =>
    callId === undefined || mode !== 'receive' || isSilent;
  return connections.some(isBegun) ? 'off' : 'on';
}
