/** The simulated gateway's contexts, and the commands on them (RFC 3525 §6.1, §7.2): each action becomes its reply. */
import {
  type ActionReply,
  type ActionRequest,
  type AuditItem,
  type Command,
  type CommandReply,
  contextAll,
  contextChoose,
  contextNull,
  type Descriptor,
} from '../codec/messages.ts';
import { asksForEvents, showsCaller } from '../line-commands.ts';
import { matchesTermination } from '../termination-pattern.ts';
import type { SimTermination } from './sim-termination.ts';

export interface ContextsParts {
  readonly lines: ReadonlyMap<string, SimTermination>;
  /** A new ephemeral termination. */
  makeRtp(): SimTermination;
  /** The local address and port for a new one. */
  rtpAddress(termination: SimTermination): { readonly host: string; readonly port: number };
  /** The code with which a Modify of an ephemeral termination is refused. */
  fault?(): number | undefined;
  /** ... and an Add of one. */
  addFault?(): number | undefined;
  readonly refusesEvents?: boolean | undefined;
  readonly leavesOutLocal?: boolean | undefined;
  /** It does not know what to do with a display. */
  readonly refusesDisplay?: boolean | undefined;
  /** Commands on ROOT. */
  root(command: Command): CommandReply;
  /** Of a remote description only what is understood is kept. */
  readonly rendersRemote: boolean;
}

export class Contexts {
  readonly #parts: ContextsParts;
  readonly #contexts = new Map<number, Map<string, SimTermination>>();
  #nextId: number;

  constructor(parts: ContextsParts, firstId: number) {
    this.#parts = parts;
    this.#nextId = firstId;
  }

  get size(): number {
    return this.#contexts.size;
  }

  /** Ephemeral terminations that exist. */
  get ephemerals(): number {
    let count = 0;
    for (const members of this.#contexts.values())
      for (const { kind } of members.values()) if (kind === 'rtp') count += 1;
    return count;
  }

  clear(): void {
    for (const members of this.#contexts.values())
      for (const termination of members.values()) {
        termination.contextId = contextNull;
        termination.hush();
      }
    this.#contexts.clear();
  }

  /** The context's members, for whoever wants to look at a call. */
  members(contextId: number): readonly SimTermination[] {
    return [...(this.#contexts.get(contextId)?.values() ?? [])];
  }

  /** All actions up to the first failure of a command that is not optional (§8.2.2). */
  execute(actions: readonly ActionRequest[]): readonly ActionReply[] {
    const replies: ActionReply[] = [];
    for (const action of actions) {
      const { done, failed } = this.#action(action);
      replies.push(...done);
      if (failed) break;
    }
    return replies;
  }

  #action(action: ActionRequest): { done: readonly ActionReply[]; failed: boolean } {
    if (action.contextId === contextAll) return this.#allContexts(action);
    let { contextId } = action;
    if (contextId === contextChoose) {
      contextId = this.#nextId;
      this.#nextId += 1;
      this.#contexts.set(contextId, new Map());
    } else if (contextId !== contextNull && !this.#contexts.has(contextId)) {
      const error = { kind: 'Error' as const, code: 411, text: 'Unknown ContextID' };
      return {
        done: [{ contextId, error, commands: [] }],
        failed: action.commands.some(({ optional }) => optional !== true),
      };
    }
    const commands: CommandReply[] = [];
    let failed = false;
    for (const command of action.commands) {
      const replies = this.#command(contextId, command);
      commands.push(...replies);
      failed = command.optional !== true && replies.some(isFailure);
      if (failed) break;
    }
    if (this.#contexts.get(contextId)?.size === 0) this.#contexts.delete(contextId);
    return { done: [{ contextId, commands }], failed };
  }

  /** Audits over all contexts but the null one (§7.2.5), and the Subtract of everything. */
  #allContexts({ commands }: ActionRequest): { done: readonly ActionReply[]; failed: boolean } {
    const done: ActionReply[] = [];
    for (const [contextId, members] of [...this.#contexts])
      for (const command of commands) {
        const found = [...members.keys()].filter((id) => matchesTermination(command.terminationId, id));
        if (found.length === 0) continue;
        done.push({
          contextId,
          commands: found.flatMap((terminationId) => this.#command(contextId, { ...command, terminationId })),
        });
        if (members.size === 0) this.#contexts.delete(contextId);
      }
    if (done.length > 0) return { done, failed: false };
    const error = { kind: 'Error' as const, code: 431, text: 'No TerminationID matched a wildcard' };
    return {
      done: [{ contextId: contextAll, error, commands: [] }],
      failed: commands.some(({ optional }) => optional !== true),
    };
  }

  #command(contextId: number, command: Command): readonly CommandReply[] {
    const { verb, terminationId } = command;
    if (terminationId === 'ROOT') return [this.#parts.root(command)];
    switch (verb) {
      case 'Add':
        return [this.#add(contextId, command)];
      case 'Modify':
        return this.#each(contextId, command, (termination) => {
          const code = termination.kind === 'rtp' ? this.#parts.fault?.() : undefined;
          return code === undefined
            ? this.#apply(verb, termination, command.descriptors)
            : failure(command, code, 'A fault');
        });
      case 'Subtract':
        return this.#each(contextId, command, (termination) => this.#subtract(contextId, termination, command));
      case 'AuditValue':
        return this.#each(contextId, command, (termination) => ({
          verb,
          terminationId: termination.id,
          descriptors: termination.describe(itemsOf(command)),
        }));
      case 'Move':
      case 'AuditCapability':
      case 'Notify':
      case 'ServiceChange':
        return [failure(command, 443, 'Unsupported or unknown command')];
    }
  }

  #each(
    contextId: number,
    command: Command,
    run: (termination: SimTermination) => CommandReply,
  ): readonly CommandReply[] {
    const { terminationId } = command;
    const here = this.#terminationsIn(contextId);
    if (!/[*$]/.test(terminationId)) {
      const found = here.get(terminationId);
      if (found !== undefined && found.contextId === contextId) return [run(found)];
      const known = this.#parts.lines.has(terminationId);
      return [
        known
          ? failure(command, contextId === contextNull ? 433 : 435, 'TerminationID is not in this context')
          : failure(command, 430, 'Unknown TerminationID'),
      ];
    }
    const found = [...here.values()].filter(
      ({ id, contextId: in_ }) => in_ === contextId && matchesTermination(terminationId, id),
    );
    return found.length === 0 ? [failure(command, 431, 'No TerminationID matched a wildcard')] : found.map(run);
  }

  #terminationsIn(contextId: number): ReadonlyMap<string, SimTermination> {
    return contextId === contextNull ? this.#parts.lines : (this.#contexts.get(contextId) ?? new Map());
  }

  #add(contextId: number, command: Command): CommandReply {
    const members = this.#contexts.get(contextId);
    if (members === undefined) return failure(command, 421, 'Illegal combination of actions');
    if (this.#parts.refusesEvents === true && asksForEvents(command))
      return failure(command, 449, 'Unsupported or unknown parameter or property value');
    if (this.#parts.refusesDisplay === true && showsCaller(command))
      return failure(command, 454, 'No such parameter value in this package');
    const choose = command.terminationId === '$' || command.terminationId === 'rtp/$';
    const fault = choose ? this.#parts.addFault?.() : undefined;
    if (fault !== undefined) return failure(command, fault, 'A fault');
    const termination = choose ? this.#parts.makeRtp() : this.#parts.lines.get(command.terminationId);
    if (termination === undefined) return failure(command, 430, 'Unknown TerminationID');
    if (termination.contextId !== contextNull) return failure(command, 433, 'TerminationID is already in a context');
    termination.contextId = contextId;
    members.set(termination.id, termination);
    return this.#apply('Add', termination, command.descriptors);
  }

  #subtract(contextId: number, termination: SimTermination, command: Command): CommandReply {
    this.#contexts.get(contextId)?.delete(termination.id);
    termination.contextId = contextNull;
    const statistics = termination.statistics();
    termination.reset();
    const audit = command.descriptors.find(({ kind }) => kind === 'Audit');
    const silent = audit?.kind === 'Audit' && audit.items.length === 0;
    return {
      verb: 'Subtract',
      terminationId: termination.id,
      descriptors: silent || termination.kind === 'line' ? [] : [statistics],
    };
  }

  #apply(verb: 'Add' | 'Modify', termination: SimTermination, descriptors: readonly Descriptor[]): CommandReply {
    let chosen = false;
    for (const descriptor of descriptors) {
      if (descriptor.kind === 'Media') {
        for (const { localControl, local, remote } of descriptor.streams) {
          if (localControl !== undefined) termination.localControl = localControl;
          if (local !== undefined) {
            termination.local = this.#choose(termination, local);
            chosen = true;
          }
          if (remote !== undefined) termination.remote = this.#parts.rendersRemote ? understood(remote) : remote;
        }
      } else if (descriptor.kind === 'Signals') termination.play(descriptor);
    }
    termination.speak();
    // Last: a state that is already so is reported with everything else in place.
    for (const descriptor of descriptors) if (descriptor.kind === 'Events') termination.arm(descriptor);
    return {
      verb,
      terminationId: termination.id,
      descriptors:
        chosen && this.#parts.leavesOutLocal !== true
          ? [{ kind: 'Media', streams: [{ streamId: 1, local: termination.local }] }]
          : [],
    };
  }

  /** The first payload type, our address, a free port (§7.1.8). */
  #choose(termination: SimTermination, local: string): string {
    const { host, port } = this.#parts.rtpAddress(termination);
    return (
      local
        .split(/\r?\n(?=v=)/)[0]
        ?.replace(/c=IN IP4 \$/, `c=IN IP4 ${host}`)
        .replace(/m=(audio|image) \$/, `m=$1 ${port}`)
        .trim() ?? ''
    );
  }
}

const itemsOf = ({ descriptors }: Command): readonly AuditItem[] =>
  descriptors.flatMap((descriptor) => (descriptor.kind === 'Audit' ? descriptor.items : []));

const isFailure = ({ descriptors }: CommandReply): boolean => descriptors.some(({ kind }) => kind === 'Error');

const failure = ({ verb, terminationId }: Command, code: number, text: string): CommandReply => ({
  verb,
  terminationId,
  descriptors: [{ kind: 'Error', code, text }],
});

const understood = (description: string): string =>
  description
    .split(/\r\n|\n/)
    .filter((line) => /^[vctm]=/.test(line))
    .map((line) => `${line}\r\n`)
    .join('');
