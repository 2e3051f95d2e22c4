/** Contexts that are to end: by their ids, or wherever a termination is found (RFC 3525 §7.2.3, §7.2.5). */
import type { CommandOutcome } from '../../src/internal.ts';
import { type ActionReply, type ActionRequest, contextAll, contextNull } from './messages.ts';
import type { MegacoResponse } from './transaction.ts';

export type Ask = (actions: readonly ActionRequest[], ended: (outcome: CommandOutcome<MegacoResponse>) => void) => void;

/** Neither the null context nor one of the reserved ids. */
export const isReal = (contextId: number): boolean => contextId !== contextNull && contextId < 0xffff_fffe;

/** Everything leaves it; with its last termination it ends (§6.1.1). */
export const emptied = (contextId: number): ActionRequest => ({
  contextId,
  commands: [{ verb: 'Subtract', terminationId: '*', descriptors: [{ kind: 'Audit', items: [] }], optional: true }],
});

/** Wherever the termination is, its context ends; then `done`. */
export function emptyContextOf(termination: string, ask: Ask, done: () => void): void {
  const find: ActionRequest = {
    contextId: contextAll,
    commands: [
      { verb: 'AuditValue', terminationId: termination, descriptors: [{ kind: 'Audit', items: [] }], optional: true },
    ],
  };
  ask([find], (outcome) => {
    const contexts = outcome.kind === 'answered' ? outcome.response.reply.actions.filter(holdsSomething) : [];
    if (contexts.length === 0) done();
    else
      ask(
        contexts.map(({ contextId }) => emptied(contextId)),
        done,
      );
  });
}

const holdsSomething = ({ contextId, commands, error }: ActionReply): boolean =>
  isReal(contextId) && error === undefined && commands.length > 0;
