/**
 * Commands to a gateway in the dialect that it bears. A command that is refused for something it can do without is repeated without it,
 * and the gateway's dialect remembers; whoever sent it sees the last answer only.
 */
import {
  type CommandOutcome,
  type Flow,
  type Gateway,
  type Logger,
  logEvent,
  type PendingCommand,
} from '../../src/internal.ts';
import { isSuccess, type MgcpResponse, type Parameter, parameterValues } from './codec/messages.ts';
import { readPackages } from './codec/values/lists.ts';
import { PathTrials } from './path-trial.ts';
import { carriedBy, judgeRefusal, type Omission } from './refusals.ts';
import type { Draft, MgcpTransactions } from './transactions.ts';

export interface GatewayCommand {
  readonly peer: Gateway;
  readonly queue?: string | undefined;
  readonly urgent?: boolean | undefined;
  /** It changes nothing: an answer that cannot be read may be taken for a refusal. */
  readonly isQuestion?: boolean | undefined;
  /** It is not repeated sooner than this. */
  readonly minWaitMs?: number | undefined;
  /** `dialect`: what is to be left out of this very command. */
  draft(flow: Flow, dialect: ReadonlySet<string>): Draft;
  ended(outcome: CommandOutcome<MgcpResponse>): void;
}

export interface GatewayCommandsParts {
  readonly log: Logger;
  transactions(): MgcpTransactions;
  /** Will a message to this gateway name anybody beside us? */
  hasPath(gateway: Gateway, flow: Flow): boolean;
  /** An audit of the gateway that carries the attribute and nothing else. */
  probe(gateway: Gateway): Draft;
}

export class GatewayCommands {
  readonly #parts: GatewayCommandsParts;
  readonly #trials: PathTrials;
  /** Refusals of signals and events since a command with them was executed last. */
  readonly #strikes = new WeakMap<Gateway, Map<Omission, number>>();

  constructor(parts: GatewayCommandsParts) {
    this.#parts = parts;
    this.#trials = new PathTrials((gateway, ended) => this.#probe(gateway, ended));
  }

  submit(command: GatewayCommand): PendingCommand {
    return this.#run(command, (gateway, verb) => this.#trials.suspected(gateway, verb));
  }

  #run(command: GatewayCommand, suspected: (gateway: Gateway, verb: string) => void): PendingCommand {
    const { peer, queue, urgent, minWaitMs, isQuestion } = command;
    const trial: Trial = { omitted: [], doubted: false, sent: undefined, verb: '' };
    let pending: PendingCommand;
    const ended = (outcome: CommandOutcome<MgcpResponse>) => {
      if (outcome.kind === 'answered' && this.#isRepeated(peer, trial, outcome.response, suspected)) pending = send();
      else command.ended(outcome);
    };
    const send = () => {
      trial.sent = undefined;
      return this.#parts.transactions().submit({
        peer,
        queue,
        urgent,
        minWaitMs,
        isQuestion,
        draft: (flow) => {
          const dialect = dialectOf(peer, trial);
          const draft = command.draft(flow, dialect);
          const pathless = dialect.has('noPath');
          trial.verb = draft.verb;
          // Sent to another address it may carry less; the answer may be to the first.
          trial.sent ??= { parameters: draft.parameters, path: !pathless && this.#parts.hasPath(peer, flow) };
          return { ...draft, pathless };
        },
        ended,
      });
    };
    pending = send();
    return {
      get id() {
        return pending.id;
      },
      get to() {
        return pending.to;
      },
      cancel: () => pending.cancel(),
    };
  }

  /** Weighs an answer; true: the command is to be sent again, with more left out. */
  #isRepeated(
    gateway: Gateway,
    trial: Trial,
    response: MgcpResponse,
    suspected: (gateway: Gateway, verb: string) => void,
  ): boolean {
    const { code } = response;
    const { sent = nothing, omitted, verb } = trial;
    if (isSuccess(code)) {
      if (sent.path) this.#trials.borne(gateway, verb);
      this.#played(gateway, sent);
      const lasting = trial.doubted ? omitted.filter((word) => !tags.has(word)) : omitted;
      this.#remember(gateway, lasting, code);
      if (trial.doubted) suspected(gateway, verb);
      return false;
    }
    const carried = carriedBy(sent.parameters, sent.path);
    const verdict = judgeRefusal(code, carried, parameterValues(response, 'PL').flatMap(readPackages));
    if (verdict.kind === 'stands') return false;
    if (verdict.kind === 'doubtful') trial.doubted = true;
    else if (verdict.certain)
      this.#remember(
        gateway,
        verdict.without.filter((word) => !isOfSignals(word)),
        code,
      );
    const before = omitted.length;
    for (const word of verdict.without) if (!omitted.includes(word)) omitted.push(word);
    return omitted.length > before && omitted.length <= maxOmissions;
  }

  #remember(gateway: Gateway, words: readonly Omission[], code: number): void {
    const fresh = words.filter((word) => !gateway.dialect.has(word) && this.#isSettled(gateway, word));
    if (fresh.length === 0) return;
    for (const word of fresh) gateway.dialect.add(word);
    logEvent(this.#parts.log, 'gatewayRefuses', { gateway: gateway.name, code, without: fresh });
  }

  /** A tone is not taken from all calls to come for one refusal: it may have been about that moment. */
  #isSettled(gateway: Gateway, word: Omission): boolean {
    if (!isOfSignals(word)) return true;
    let strikes = this.#strikes.get(gateway);
    if (strikes === undefined) {
      strikes = new Map();
      this.#strikes.set(gateway, strikes);
    }
    const count = (strikes.get(word) ?? 0) + 1;
    strikes.set(word, count);
    return count >= maxStrikes;
  }

  /** The gateway has executed it with all that was not left out. */
  #played(gateway: Gateway, { parameters, path }: Sent): void {
    const strikes = this.#strikes.get(gateway);
    if (strikes === undefined || strikes.size === 0) return;
    const { signals, spareEvents } = carriedBy(parameters, path);
    for (const name of [...signals, ...spareEvents]) strikes.delete(`no:${name}`);
  }

  #probe(gateway: Gateway, ended: (refused: boolean) => void): void {
    let refused = false;
    this.#run(
      {
        peer: gateway,
        urgent: true,
        draft: () => this.#parts.probe(gateway),
        ended: () => {
          if (refused)
            this.#parts.log.info(
              { gateway: gateway.name },
              'gateway does not bear the path attribute: left out from now on',
            );
          ended(refused);
        },
      },
      () => {
        refused = true;
      },
    );
  }
}

interface Trial {
  readonly omitted: Omission[];
  /** Was anything left out for a code that names no reason? */
  doubted: boolean;
  /** As it went out at first. */
  sent: Sent | undefined;
  verb: string;
}

interface Sent {
  readonly parameters: readonly Parameter[];
  /** Was the path attribute written beside them? */
  readonly path: boolean;
}

const nothing: Sent = { parameters: [], path: false };

const tags: ReadonlySet<Omission> = new Set<Omission>(['noPath', 'noRedirectList']);

/** Signals and events, by name. */
const isOfSignals = (word: Omission): boolean => word.startsWith('no:');

const maxStrikes = 3;

/** Nothing of ours has more that could be left out. */
const maxOmissions = 8;

const dialectOf = (gateway: Gateway, { omitted }: Trial): ReadonlySet<string> =>
  omitted.length === 0 ? gateway.dialect : new Set([...gateway.dialect, ...omitted]);
