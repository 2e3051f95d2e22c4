/**
 * Audit of a whole gateway (RFC 3525 §7.2.5): first which terminations are in which contexts, then each context, and each line that
 * is in none. In portions, so that no reply outgrows what carries it. A portion that cannot be read, or that the gateway finds too
 * large (error 533), is asked for again termination by termination: it costs one line at most.
 */
import type { CommandOutcome } from '../../src/internal.ts';
import {
  type ActionReply,
  type ActionRequest,
  type AuditItem,
  contextAll,
  contextNull,
  type TransactionReply,
} from './codec/messages.ts';
import type { MediaGateway } from './media-gateways.ts';
import type { GatewayPicture, TerminationPicture } from './snapshot.ts';
import type { MegacoResponse } from './transactions.ts';

export type AuditRequester = (
  mg: MediaGateway,
  actions: readonly ActionRequest[],
  ended: (outcome: CommandOutcome<MegacoResponse>) => void,
) => void;

/** Lines of the null context per transaction: each answers with its events and their digit map. */
const portion = 12;
/** Lines per transaction where the answer is nothing but the context of each. */
const contextPortion = 40;
/**
 * With more lines than this the contexts are asked for line by line: a datagram, and a TPKT packet as well, ends at 64 kB (Annex D.1,
 * D.2), and a context of two terminations takes up to 60 octets.
 */
const maxLinesAtOnce = 500;

/** `answer` gets undefined where the gateway did not answer, or refuses to be audited by us. */
export function auditGateway(
  mg: MediaGateway,
  lines: readonly string[],
  request: AuditRequester,
  answer: (picture: GatewayPicture | undefined) => void,
): void {
  new GatewayAudit(mg, lines, request, answer).start();
}

class GatewayAudit {
  readonly #mg: MediaGateway;
  readonly #lines: readonly string[];
  readonly #request: AuditRequester;
  readonly #answer: (picture: GatewayPicture | undefined) => void;
  readonly #contexts = new Map<number, Set<string>>();
  readonly #terminations = new Map<string, TerminationPicture>();
  readonly #unreadable = new Map<string, number>();
  /** The errors that terminations answered with. */
  readonly #refused = new Map<string, number>();
  #open = 0;
  #failed = false;

  constructor(
    mg: MediaGateway,
    lines: readonly string[],
    request: AuditRequester,
    answer: (picture: GatewayPicture | undefined) => void,
  ) {
    this.#mg = mg;
    this.#lines = lines;
    this.#request = request;
    this.#answer = answer;
  }

  start(): void {
    if (this.#lines.length > maxLinesAtOnce) this.#askContextsByLine();
    else this.#askContexts();
  }

  #askContexts(): void {
    this.#ask(audit(contextAll, ['*'], []), (reply) => {
      if (isCutShort(reply) || isRefused(reply)) {
        this.#askContextsByLine();
        return;
      }
      this.#placed(reply.actions);
      this.#askTerminations();
    });
  }

  /** §7.2.5: a termination by its name in all contexts is where it is now, the null context excepted. */
  #askContextsByLine(): void {
    let open = 0;
    for (const lines of portions(this.#lines, contextPortion)) {
      open += 1;
      this.#ask(audit(contextAll, lines, []), (reply) => {
        this.#placed(reply.actions);
        open -= 1;
        if (open === 0) this.#askTerminations();
      });
    }
    if (open === 0) this.#end();
  }

  #askTerminations(): void {
    const inContext = new Set([...this.#contexts.values()].flatMap((terminations) => [...terminations]));
    for (const [contextId, terminations] of this.#contexts)
      this.#ask(audit(contextId, ['*'], contextItems), (reply) =>
        this.#described(reply, contextId, [...terminations], contextItems),
      );
    const idle = this.#lines.filter((line) => !inContext.has(line));
    for (const lines of portions(idle, portion))
      this.#ask(audit(contextNull, lines, nullItems), (reply) => this.#described(reply, contextNull, lines, nullItems));
    if (this.#open === 0) this.#end();
  }

  /** Whatever is not told, or not so that it can be read, is asked for again by itself. */
  #described(reply: TransactionReply, contextId: number, asked: readonly string[], items: readonly AuditItem[]): void {
    const unreadable = this.#collect(reply.actions);
    for (const termination of new Set([...unreadable, ...asked.filter((each) => !this.#isSettled(each))]))
      this.#ask(audit(contextId, [termination], items), (alone) => {
        this.#terminations.delete(termination);
        this.#refused.delete(termination);
        this.#collect(alone.actions);
        const isHidden = this.#refused.has(termination) && !this.#isSettled(termination);
        if (alone.unreadable === true || isHidden) this.#unreadable.set(termination, contextId);
      });
  }

  /** It is known, or known not to be there. */
  #isSettled(termination: string): boolean {
    return this.#terminations.has(termination) || absent.has(this.#refused.get(termination) ?? 0);
  }

  #ask(question: ActionRequest, answered: (reply: TransactionReply) => void): void {
    this.#open += 1;
    this.#request(this.#mg, [question], (outcome) => {
      this.#open -= 1;
      if (outcome.kind !== 'answered' || isForeign(outcome.response.reply)) this.#failed = true;
      else answered(outcome.response.reply);
      if (this.#open === 0) this.#end();
    });
  }

  #end(): void {
    this.#answer(this.#failed ? undefined : { terminations: this.#terminations, unreadable: this.#unreadable });
  }

  /** What could be read goes into the picture; the names of those that could not come back. */
  #collect(actions: readonly ActionReply[]): readonly string[] {
    const unreadable: string[] = [];
    for (const { contextId, commands } of actions)
      for (const { terminationId, descriptors, unreadable: isUnreadable } of commands) {
        if (terminationId === '') continue;
        if (isUnreadable === true) unreadable.push(terminationId);
        const error = descriptors.find((each) => each.kind === 'Error');
        if (error?.kind === 'Error') {
          this.#refused.set(terminationId, error.code);
          continue;
        }
        const before = this.#terminations.get(terminationId)?.descriptors ?? [];
        this.#terminations.set(terminationId, { contextId, descriptors: [...before, ...descriptors] });
      }
    return unreadable;
  }

  /** The answer in either form: one command per termination, or the condensed list. */
  #placed(actions: readonly ActionReply[]): void {
    for (const { contextId, commands, error, unreadable } of actions) {
      if (contextId === contextNull || contextId >= 0xffff_fffe) continue;
      if (error !== undefined && unreadable !== true) continue;
      for (const command of commands) {
        if (command.unreadable !== true && command.descriptors.some(({ kind }) => kind === 'Error')) continue;
        let context = this.#contexts.get(contextId);
        if (context === undefined) {
          context = new Set();
          this.#contexts.set(contextId, context);
        }
        for (const found of command.contextTerminations ?? [command.terminationId]) context.add(found);
      }
    }
  }
}

const contextItems: readonly AuditItem[] = ['Media', 'Events', 'Signals'];
const nullItems: readonly AuditItem[] = ['Events', 'Signals'];

/** Another controller commands it: 402, 504. */
export const isForeign = ({ error }: TransactionReply): boolean => error?.code === 504 || error?.code === 402;

/** Error 533: the answer exceeds what the transport carries; or it was cut off and could not be read to its end. */
const isCutShort = ({ error, actions, unreadable }: TransactionReply): boolean =>
  error?.code === 533 ||
  (unreadable === true && error !== undefined) ||
  actions.some((each) => each.error?.code === 533);

/** There is no such termination, or it is not in this context. */
const absent: ReadonlySet<number> = new Set([430, 431, 432, 433, 434, 435]);

/** It does not do this kind of audit. 431: it does, and no context has a termination. */
const isRefused = ({ error, actions }: TransactionReply): boolean => {
  const said = error ?? actions.find((each) => each.error !== undefined)?.error;
  return said !== undefined && said.code !== 431 && actions.every(({ commands }) => commands.length === 0);
};

function* portions(lines: readonly string[], size: number): Iterable<readonly string[]> {
  for (let at = 0; at < lines.length; at += size) yield lines.slice(at, at + size);
}

const audit = (contextId: number, terminations: readonly string[], items: readonly AuditItem[]): ActionRequest => ({
  contextId,
  commands: terminations.map((terminationId) => ({
    verb: 'AuditValue',
    terminationId,
    optional: true,
    descriptors: [{ kind: 'Audit', items }],
  })),
});
