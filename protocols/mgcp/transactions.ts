/**
 * Transactions on the MGCP wire, the same for a call agent and a gateway (RFC 3435 §3.5, §4.3): commands come in at most once, are
 * answered to where they came from, provisionally if that takes time; commands of ours that a message causes leave in one datagram
 * with its response (piggy-backing, §3.5.5), so that both arrive or neither does.
 */
import type {
  Assembler,
  Cancel,
  Clock,
  CommandOutcome,
  ControlEndpoint,
  ControllerAddress,
  ControlPeer,
  Flow,
  GatewayTransactions,
  PendingCommand,
  ReplyCache,
} from '../../src/internal.ts';
import { piggyback } from './codec/encode.ts';
import {
  type BrokenMessage,
  isProvisional,
  type MgcpCommand,
  type MgcpDatagram,
  type MgcpResponse,
  type Parameter,
  parameter,
  respond,
} from './codec/messages.ts';
import type { Deferral } from './deferral.ts';

export type Respond = (response: MgcpResponse) => void;

export interface TransactionUser {
  /** A command that was not seen before. `respond` once, now or later. */
  onCommand(command: MgcpCommand, flow: Flow, respond: Respond): void;
  /** Whose command is this, for at-most-once? undefined: it is not to be believed, and dropped. */
  senderOf(command: MgcpCommand, flow: Flow): string | undefined;
  /** May this response be believed? Its command was sent to `peer`. */
  trusts(peer: ControlPeer, flow: Flow): boolean;
  /** The member in whose place we speak to this peer or sender; undefined: for ourselves. */
  homeOf?(name: string): ControllerAddress | undefined;
  /** A datagram that must come before this response in the same one (RFC 3435 §4.4.7); undefined: none. */
  beforeResponse?(command: MgcpCommand, flow: Flow): Uint8Array | undefined;
  /** Is what cannot be read from there answered? */
  answersTo(flow: Flow): boolean;
}

/** A command before it has an id and a way. */
export interface Draft {
  readonly verb: string;
  readonly endpoint: string;
  readonly parameters: readonly Parameter[];
  readonly sdp: readonly string[];
  readonly pathless?: boolean | undefined;
}

export interface Submission {
  readonly peer: ControlPeer;
  readonly queue?: string | undefined;
  readonly urgent?: boolean | undefined;
  readonly persistent?: boolean | undefined;
  /** It is not repeated sooner than this. */
  readonly minWaitMs?: number | undefined;
  /** It changes nothing: an answer that cannot be read may be taken for a refusal. */
  readonly isQuestion?: boolean | undefined;
  draft(flow: Flow): Draft;
  provisional?(response: MgcpResponse): void;
  ended(outcome: CommandOutcome<MgcpResponse>): void;
}

export type MgcpEndpoint = ControlEndpoint<MgcpDatagram, MgcpResponse>;

export class MgcpTransactions {
  readonly #clock: Clock;
  readonly #endpoint: MgcpEndpoint;
  readonly #assembler: Assembler<MgcpDatagram>;
  readonly #user: TransactionUser;
  readonly #deferral: Deferral | undefined;
  readonly #unacknowledged = new Map<string, Unacknowledged>();
  /** The datagram being processed: its responses wait here until a command takes them along, or its end. */
  #cork: Cork | undefined;
  #stopped = false;

  constructor(
    clock: Clock,
    endpoint: MgcpEndpoint,
    assembler: Assembler<MgcpDatagram>,
    user: TransactionUser,
    deferral?: Deferral,
  ) {
    this.#deferral = deferral;
    this.#clock = clock;
    this.#endpoint = endpoint;
    this.#assembler = assembler;
    this.#user = user;
  }

  get size(): number {
    return this.#outgoing.size;
  }

  get waiting(): number {
    return this.#outgoing.waiting;
  }

  get #outgoing(): GatewayTransactions<MgcpResponse> {
    return this.#endpoint.commands;
  }

  get #replies(): ReplyCache {
    return this.#endpoint.replies;
  }

  onDatagram({ messages }: MgcpDatagram, flow: Flow): void {
    const cork: Cork = { flow, waiting: [] };
    this.#cork = cork;
    try {
      for (const message of messages) {
        if (message.kind === 'command') this.#onCommand(message, flow);
        else if (message.kind === 'response') this.#onResponse(message, flow);
        else this.#onBroken(message, flow);
      }
    } finally {
      this.#cork = undefined;
      this.#flush(cork);
    }
  }

  submit(submission: Submission): PendingCommand {
    return this.#outgoing.submit({
      peer: submission.peer,
      queue: submission.queue,
      urgent: submission.urgent,
      persistent: submission.persistent,
      minWaitMs: submission.minWaitMs,
      isQuestion: submission.isQuestion,
      encode: (id, flow, to) => {
        const { verb, endpoint, parameters, sdp, pathless } = submission.draft(flow);
        const command: MgcpCommand = {
          kind: 'command',
          verb,
          transactionId: id,
          endpoint,
          version: '1.0',
          parameters,
          sdp,
          pathless,
        };
        return this.#withWaiting(this.#octets(command, flow, submission.peer.name), to.host, to.port);
      },
      ...(submission.provisional === undefined ? {} : { provisional: submission.provisional }),
      ended: submission.ended,
    });
  }

  /** The peer's addresses have changed: what is open goes there. */
  redirect(peer: ControlPeer): void {
    this.#outgoing.redirect(peer);
  }

  abandon(peer: ControlPeer): void {
    this.#outgoing.abandon(peer);
  }

  stop(): void {
    this.#deferral?.stop();
    this.#stopped = true;
    for (const { cancel } of this.#unacknowledged.values()) cancel();
  }

  #onCommand(command: MgcpCommand, flow: Flow): void {
    const sender = this.#user.senderOf(command, flow);
    if (sender === undefined) return;
    const key = `${sender} ${command.transactionId}`;
    const confirmed = parameter(command, 'K');
    if (confirmed !== undefined && confirmed !== '') this.#confirm(sender, confirmed);
    const seen = this.#replies.seen(key);
    if (seen.kind === 'answered') flow.send(seen.response);
    else if (seen.kind === 'executing') this.#send(flow, this.#octets(this.#pending(command), flow, sender));
    if (seen.kind !== 'new') return;
    const execution: Execution = { key, sender, command, flow, provisional: false, answered: false };
    const run = () => this.#user.onCommand(command, flow, (response) => this.#answer(execution, response));
    if (this.#deferral === undefined) run();
    else this.#deferral.offer(command, run, () => this.#answer(execution, overloaded(command)));
    if (!execution.answered) {
      execution.provisional = true;
      this.#send(flow, this.#octets(this.#pending(command), flow, sender));
    }
  }

  /** RFC 3435 §2.4: being carried out, or waiting for that. */
  #pending({ transactionId, endpoint }: MgcpCommand): MgcpResponse {
    return this.#deferral?.isWaiting(endpoint) === true
      ? respond(transactionId, 101, 'Queued')
      : respond(transactionId, 100, 'Pending');
  }

  #answer(execution: Execution, response: MgcpResponse): void {
    if (execution.answered || this.#stopped) return;
    execution.answered = true;
    const { key, sender, command, flow, provisional } = execution;
    // RFC 3435 §3.5.6: an empty ResponseAck asks for an acknowledgement of a final response that follows a provisional one.
    const final = provisional ? { ...response, parameters: [acknowledge, ...response.parameters] } : response;
    const before = this.#user.beforeResponse?.(command, flow);
    const own = this.#octets(final, flow, sender);
    const bytes = before === undefined ? own : piggyback([before, own]);
    this.#replies.answer(key, bytes);
    const { remote } = flow;
    const cork = this.#cork;
    if (cork !== undefined && cork.flow.remote.host === remote.host && cork.flow.remote.port === remote.port)
      cork.waiting.push({ key, bytes });
    else this.#send(flow, bytes);
    if (provisional) this.#repeatUntilAcknowledged(key, flow, bytes, 1);
  }

  /** RFC 3435 §3.5.6; failing to hear the acknowledgement has no other consequence. */
  #repeatUntilAcknowledged(key: string, flow: Flow, bytes: Uint8Array, repetition: number): void {
    this.#unacknowledged.get(key)?.cancel();
    if (repetition > 3 || this.#unacknowledged.size > 10_000) {
      this.#unacknowledged.delete(key);
      return;
    }
    const cancel = this.#clock.after(500 * 2 ** (repetition - 1), () => {
      flow.send(bytes);
      this.#repeatUntilAcknowledged(key, flow, bytes, repetition + 1);
    });
    this.#unacknowledged.set(key, { host: flow.remote.host, cancel });
  }

  #onResponse(response: MgcpResponse, flow: Flow): void {
    const { transactionId, code } = response;
    if (code < 100) {
      this.#acknowledged(transactionId, flow);
      return;
    }
    const peer = this.#outgoing.peerOf(transactionId);
    if (peer !== undefined && !this.#user.trusts(peer, flow)) return;
    const asksForAcknowledgement = !isProvisional(code) && parameter(response, 'K') !== undefined;
    if (asksForAcknowledgement && (peer !== undefined || this.#user.answersTo(flow)))
      this.#send(flow, this.#octets(respond(transactionId, 0, ''), flow, peer?.name));
    this.#outgoing.onResponse(transactionId, !isProvisional(code), response, flow);
  }

  /** By whom it was answered to, and nobody else: what is confirmed is not said again. */
  #acknowledged(transactionId: number, { remote }: Flow): void {
    const suffix = ` ${transactionId}`;
    for (const [key, { host, cancel }] of this.#unacknowledged) {
      if (host !== remote.host || !key.endsWith(suffix)) continue;
      cancel();
      this.#unacknowledged.delete(key);
      this.#replies.confirm(key);
    }
  }

  #onBroken({ code, transactionId, reason, response }: BrokenMessage, flow: Flow): void {
    // A repetition would be answered in the same words: a question ends here, as one that was refused, and costs its endpoint alone.
    if (response !== undefined && !isProvisional(response) && this.#outgoing.isQuestion(transactionId))
      this.#onResponse(respond(transactionId, unreadable, reason), flow);
    if (code === undefined || this.#cork === undefined || !this.#user.answersTo(flow)) return;
    const bytes = this.#octets(respond(transactionId, code, reason), flow, undefined);
    this.#cork.waiting.push({ key: undefined, bytes });
  }

  /** RFC 3435 §3.5.2: ranges of confirmed responses; wide ones are not worth the work. */
  #confirm(sender: string, value: string): void {
    for (const range of value.split(',').slice(0, 16)) {
      const [low = '', high = low] = range.trim().split('-');
      const from = Number(low);
      const to = Math.min(Number(high), from + 256);
      for (let id = from; id <= to; id += 1) this.#replies.confirm(`${sender} ${id}`);
    }
  }

  /** Puts the waiting responses before a command that goes to the same place, and remembers the whole for repetitions. */
  #withWaiting(command: Uint8Array, host: string, port: number): Uint8Array {
    const cork = this.#cork;
    if (cork === undefined || cork.waiting.length === 0) return command;
    const { remote } = cork.flow;
    if (remote.host !== host || remote.port !== port) return command;
    // RFC 3435 §3.5.4: every implementation takes 4,000 octets.
    const whole = piggyback([...cork.waiting.map(({ bytes }) => bytes), command]);
    if (whole.length > 3_900) return command;
    for (const { key } of cork.waiting) if (key !== undefined) this.#replies.answer(key, whole);
    cork.waiting.length = 0;
    return whole;
  }

  #flush({ waiting, flow }: Cork): void {
    if (waiting.length > 0) this.#send(flow, piggyback(waiting.map(({ bytes }) => bytes)));
  }

  #octets(message: MgcpCommand | MgcpResponse, flow: Flow, name: string | undefined): Uint8Array {
    const home = name === undefined ? undefined : this.#user.homeOf?.(name);
    return this.#assembler.octets({ messages: [message] }, flow, home);
  }

  #send(flow: Flow, bytes: Uint8Array): void {
    if (!this.#stopped) flow.send(bytes);
  }
}

interface Cork {
  readonly flow: Flow;
  readonly waiting: { readonly key: string | undefined; readonly bytes: Uint8Array }[];
}

/** A final response that is repeated until its receiver has said that it came. */
interface Unacknowledged {
  readonly host: string;
  readonly cancel: Cancel;
}

interface Execution {
  readonly key: string;
  readonly sender: string;
  readonly command: MgcpCommand;
  readonly flow: Flow;
  provisional: boolean;
  answered: boolean;
}

/** RFC 3435 §2.4: a protocol error, here the gateway's. */
const unreadable = 510;

const acknowledge: Parameter = { code: 'K', value: '' };

const overloaded = ({ transactionId }: MgcpCommand): MgcpResponse => respond(transactionId, 409, 'Processing overload');
