/**
 * Audit of a whole gateway (RFC 3525 §7.2.5): first which terminations are in which contexts, then each context, and each line that
 * is in none. In portions, so that no reply outgrows a datagram. What comes back is a snapshot per line.
 */
import type { CommandOutcome, LineSnapshot, MediaSnapshot, Tone } from '../../src/index.ts';
import type { Agent } from './agents.ts';
import { signalNames } from './line-commands.ts';
import {
  type ActionReply,
  type ActionRequest,
  type AuditItem,
  contextAll,
  contextNull,
  type Descriptor,
} from './messages.ts';
import { meaningOf } from './request-ids.ts';
import type { MegacoResponse } from './transaction.ts';

export interface GatewayPicture {
  /** By termination id in lower case. */
  readonly terminations: ReadonlyMap<string, TerminationPicture>;
}

export interface TerminationPicture {
  readonly contextId: number;
  readonly descriptors: readonly Descriptor[];
}

export type AuditRequester = (
  agent: Agent,
  actions: readonly ActionRequest[],
  ended: (outcome: CommandOutcome<MegacoResponse>) => void,
) => void;

/** Lines of the null context per transaction. */
const portion = 12;

/** `answer` gets undefined where the gateway did not answer, or refuses to be audited by us. */
export function auditGateway(
  agent: Agent,
  lines: readonly string[],
  request: AuditRequester,
  answer: (picture: GatewayPicture | undefined) => void,
): void {
  request(agent, [audit(contextAll, ['*'], [])], (outcome) => {
    if (outcome.kind !== 'answered') return answer(undefined);
    const { reply } = outcome.response;
    if (reply.error !== undefined && (reply.error.code === 504 || reply.error.code === 402)) return answer(undefined);
    const contexts = contextsIn(reply.actions);
    const inContext = new Set([...contexts.values()].flat());
    const idle = lines.filter((line) => !inContext.has(line));
    const questions: ActionRequest[] = [...contexts.keys()].map((contextId) => audit(contextId, ['*'], wanted));
    for (let at = 0; at < idle.length; at += portion)
      questions.push(audit(contextNull, idle.slice(at, at + portion), ['Events', 'Signals']));
    const terminations = new Map<string, TerminationPicture>();
    let open = questions.length;
    let failed = false;
    const done = (): void => {
      if (open === 0) answer(failed ? undefined : { terminations });
    };
    for (const question of questions)
      request(agent, [question], (ended) => {
        open -= 1;
        if (ended.kind === 'answered') collect(ended.response.reply.actions, terminations);
        else failed = true;
        done();
      });
    done();
  });
  return;
}

const wanted: readonly AuditItem[] = ['Media', 'Events', 'Signals'];

const audit = (contextId: number, terminations: readonly string[], items: readonly AuditItem[]): ActionRequest => ({
  contextId,
  commands: terminations.map((terminationId) => ({
    verb: 'AuditValue',
    terminationId,
    optional: true,
    descriptors: [{ kind: 'Audit', items }],
  })),
});

/** The answer in either form: one command per termination, or the condensed list. */
function contextsIn(actions: readonly ActionReply[]): ReadonlyMap<number, readonly string[]> {
  const contexts = new Map<number, string[]>();
  for (const { contextId, commands, error } of actions) {
    if (error !== undefined || contextId === contextNull || contextId >= 0xffff_fffe) continue;
    for (const { terminationId, contextTerminations, descriptors } of commands) {
      if (descriptors.some(({ kind }) => kind === 'Error')) continue;
      const found = contextTerminations ?? [terminationId];
      contexts.set(contextId, [...(contexts.get(contextId) ?? []), ...found]);
    }
  }
  return contexts;
}

function collect(actions: readonly ActionReply[], terminations: Map<string, TerminationPicture>): void {
  for (const { contextId, commands } of actions)
    for (const { terminationId, descriptors } of commands) {
      if (terminationId === '' || descriptors.some(({ kind }) => kind === 'Error')) continue;
      const before = terminations.get(terminationId)?.descriptors ?? [];
      terminations.set(terminationId, { contextId, descriptors: [...before, ...descriptors] });
    }
}

/** A line as the picture shows it; undefined where the gateway said nothing of it. */
export interface AuditedLine {
  readonly snapshot: Omit<LineSnapshot, 'media'>;
  /** Digest of the number that its RequestID tells of. */
  readonly digest: number;
  readonly media: AuditedMedia | undefined;
}

export interface AuditedMedia extends Omit<MediaSnapshot, 'callId'> {
  readonly contextId: number;
  /** Empty: the line is alone in its context. */
  readonly rtp: string;
}

export function auditedLine(endpoint: string, termination: string, picture: GatewayPicture): AuditedLine | undefined {
  const found = picture.terminations.get(termination);
  if (found === undefined) return undefined;
  let expectsOnHook = false;
  let collecting = false;
  let requestId: number | undefined;
  let tone: Tone | undefined;
  for (const descriptor of found.descriptors) {
    if (descriptor.kind === 'Events') {
      requestId = descriptor.requestId;
      for (const { name } of descriptor.events) {
        if (name === 'al/on') expectsOnHook = true;
        if (name === 'dd/ce') collecting = true;
      }
    } else if (descriptor.kind === 'Signals') {
      for (const signal of descriptor.signals) {
        const names = signal.kind === 'signal' ? [signal.name] : signal.signals.map(({ name }) => name);
        for (const name of names) tone ??= toneOf(name);
      }
    }
  }
  const { mark, digest } = meaningOf(requestId);
  return {
    // The hook is no property of the al package: what was waited for last tells where it was then; `strict=state` tells the rest.
    snapshot: { endpoint, hook: expectsOnHook ? 'off' : 'on', tone, collecting, mark },
    digest,
    media: found.contextId === contextNull ? undefined : mediaIn(found.contextId, termination, picture),
  };
}

const toneNames = new Map<string, Tone>([
  [signalNames.dial, 'dial'],
  [signalNames.ring, 'ring'],
  [signalNames.ringback, 'ringback'],
  [signalNames.busy, 'busy'],
  [signalNames.reorder, 'reorder'],
  [signalNames.howler, 'howler'],
]);

const toneOf = (name: string): Tone | undefined => toneNames.get(name);

function mediaIn(contextId: number, line: string, picture: GatewayPicture): AuditedMedia {
  for (const [termination, { contextId: in_, descriptors }] of picture.terminations) {
    if (in_ !== contextId || termination === line) continue;
    for (const descriptor of descriptors) {
      if (descriptor.kind !== 'Media') continue;
      const [stream] = descriptor.streams;
      const mode = stream?.localControl?.mode === 'SendReceive' ? 'both' : 'receive';
      return { contextId, rtp: termination, mode, local: stream?.local, remote: stream?.remote };
    }
    return { contextId, rtp: termination, mode: 'receive', local: undefined, remote: undefined };
  }
  return { contextId, rtp: '', mode: 'receive', local: undefined, remote: undefined };
}
