/**
 * Transactions of one MEGACO entity, controller or gateway (RFC 3525 §8.2, Annex D.1, D.2): requests of ours go out with repetition
 * and failover, requests of peers come in at most once, replies go to where the request came from, Pending and acknowledgements both
 * ways. What a request means is its user's business.
 */
import {
  type CommandOutcome,
  ControlEndpoint,
  type ControlEndpointParts,
  type ControllerAddress,
  type ControlPeer,
  type Counter,
  type Flow,
  type GatewayTransactions,
  type Listener,
  type PendingCommand,
  type ReplyCache,
  type TransactionTimers,
} from '../../src/internal.ts';
import { type SecurityAssociation, sign, verify } from './authentication.ts';
import { isBinary, maxMessageBytes } from './codec/codec.ts';
import { withTpkt } from './codec/framing.ts';
import type {
  ActionReply,
  ActionRequest,
  ErrorDescriptor,
  MegacoMessage,
  MId,
  PeerFormat,
  Transaction,
  TransactionReply,
  TransactionRequest,
} from './codec/messages.ts';
import { SequenceNumbers } from './replay-guard.ts';

export interface EndpointTimers extends TransactionTimers {
  /** A request that is not answered after this long is answered with Pending (E.2: MGCProvisionalResponseTimerValue). */
  readonly provisionalMs: number;
}

/** RFC 3525 Annex D.1.1, D.1.5: LONG-TIMER 30 s is T-MAX and the longest way through the network. */
const defaultEndpointTimers: EndpointTimers = {
  tMaxMs: 20_000,
  tHistMs: 30_000,
  longTimerMs: 5_000,
  provisionalMs: 200,
};

export interface EndpointParts
  extends Omit<
    ControlEndpointParts<MegacoMessage>,
    'maxMessageBytes' | 'onMessage' | 'probe' | 'timers' | 'transmission'
  > {
  mId(): MId;
  readonly timers?: Partial<EndpointTimers> | undefined;
  /** How this address is written to. */
  formatFor(to: ControllerAddress): PeerFormat;
  /** The member in whose place we speak to this address; undefined: for ourselves. */
  homeFor?(to: ControllerAddress): ControllerAddress | undefined;
  /** The keys shared with this address, if any: messages are then signed, and unsigned ones refused. */
  securityFor?(host: string, sender?: MId): SecurityAssociation | undefined;
  /** May this sender be heard at all? Called before anything is remembered of it. `refused`: it may not, and is told so. */
  admits(message: MegacoMessage, flow: Flow): boolean | 'refused';
  /** A message that is admitted and authentic. False: it is not to be read all the same. */
  heard?(message: MegacoMessage, flow: Flow): boolean;
  onRequest(incoming: IncomingRequest): void;
  /** The peer could not make sense of what we sent. */
  onMessageError?(error: ErrorDescriptor, message: MegacoMessage, flow: Flow): void;
}

export interface MegacoResponse {
  readonly message: MegacoMessage;
  readonly reply: TransactionReply;
}

/** A peer's request, to be answered once. */
export interface IncomingRequest {
  readonly message: MegacoMessage;
  readonly request: TransactionRequest;
  readonly flow: Flow;
  reply(actions: readonly ActionReply[]): void;
  /** The transaction failed as a whole. */
  refuse(code: number, text: string): void;
  /** It is somebody else's to answer: nothing is sent, and a repetition counts as new. */
  ignore(): void;
}

export class MegacoEndpoint {
  readonly #parts: EndpointParts;
  readonly #timers: EndpointTimers;
  readonly #endpoint: ControlEndpoint<MegacoMessage, MegacoResponse>;
  /** Requests of peers that are not answered yet. */
  readonly #executing = new Set<string>();
  readonly #numbers = new SequenceNumbers();
  readonly #replayed: Counter;
  #stopped = false;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
    this.#timers = { ...defaultEndpointTimers, ...parts.timers };
    this.#endpoint = new ControlEndpoint({
      ...parts,
      timers: this.#timers,
      maxMessageBytes,
      onMessage: (message, flow) => this.#onMessage(message, flow),
      probe: (to, flow, id) => this.#framed(flow, this.#question(flow, to, id)),
    });
    const { metrics } = parts.services;
    this.#replayed = metrics.counter('messages_replayed_total', 'Authentic messages that had come before', {
      protocol: 'megaco',
    });
  }

  get #transactions(): GatewayTransactions<MegacoResponse> {
    return this.#endpoint.commands;
  }

  get #replies(): ReplyCache {
    return this.#endpoint.replies;
  }

  get listeners(): readonly Listener[] {
    return this.#endpoint.listeners;
  }

  /** Requests of ours that are not answered yet. */
  get open(): number {
    return this.#transactions.size;
  }

  get isElsewhere(): boolean {
    return this.#endpoint.isElsewhere;
  }

  start(): Promise<readonly Listener[]> {
    return this.#endpoint.start();
  }

  stop(): Promise<void> {
    this.#stopped = true;
    return this.#endpoint.stop();
  }

  /** Sends a request; `ended` gets the reply, or what became of it. Actions are asked for again when the address changes. */
  request(
    peer: ControlPeer,
    actions: () => readonly ActionRequest[],
    ended: (outcome: CommandOutcome<MegacoResponse>) => void,
    options: { readonly urgent?: boolean; readonly sentTo?: (to: ControllerAddress) => void } = {},
  ): PendingCommand {
    return this.#transactions.submit({
      peer,
      urgent: options.urgent,
      encode: (transactionId, flow, to) => {
        options.sentTo?.(to);
        const request: Transaction = { kind: 'request', transactionId, actions: actions() };
        return this.#framed(flow, this.#write(this.#message([request], to), flow, to));
      },
      ended,
    });
  }

  /** Asks a partner for a sign of life, with this transaction id; the reply to that is one. */
  ask(to: ControllerAddress, transactionId: number): void {
    this.#endpoint.transmitter.sendOnce(to, (flow) => this.#framed(flow, this.#question(flow, to, transactionId)), {
      connected: true,
    });
  }

  /** Requests to this peer are settled without another word. */
  abandon(peer: ControlPeer): void {
    this.#transactions.abandon(peer);
  }

  /** What is open goes to the peer's new first address. */
  redirect(peer: ControlPeer): void {
    this.#transactions.redirect(peer);
  }

  /** A message that was held back by `heard`. */
  receive(message: MegacoMessage, flow: Flow): void {
    if (this.#parts.admits(message, flow) === true) this.#read(message, flow);
  }

  /** What it asks for takes a while. */
  pend({ body }: MegacoMessage, flow: Flow): void {
    if (body.kind === 'error') return;
    for (const { kind, transactionId } of body.transactions.filter((each) => each.kind === 'request'))
      if (kind === 'request') this.#send(flow, [{ kind: 'pending', transactionId }]);
  }

  #onMessage(message: MegacoMessage, flow: Flow): void {
    const admission = this.#parts.admits(message, flow);
    if (admission !== true) {
      if (admission === 'refused') this.#refuse(message, flow);
      return;
    }
    const authentic = this.#authentic(message, flow);
    // RFC 2402 §3.4.3: a replay is dropped without a word.
    if (authentic === 'replayed') {
      this.#replayed.add();
      return;
    }
    if (!authentic) {
      this.#sendError(flow, message, 402, 'unauthorized');
      return;
    }
    if (this.#parts.heard?.(message, flow) === false) return;
    this.#read(message, flow);
  }

  #read(message: MegacoMessage, flow: Flow): void {
    if (message.body.kind === 'error') {
      this.#parts.onMessageError?.(message.body.error, message, flow);
      return;
    }
    for (const transaction of message.body.transactions) {
      switch (transaction.kind) {
        case 'request':
          this.#onRequest(message, transaction, flow);
          break;
        case 'reply':
          this.#onReply(message, transaction, flow);
          break;
        case 'pending':
          if (this.#isFrom(transaction.transactionId, flow))
            this.#transactions.onResponse(
              transaction.transactionId,
              false,
              { message, reply: { ...transaction, kind: 'reply', immAckRequired: false, actions: [] } },
              flow,
            );
          break;
        case 'ack':
          this.#onAck(message.mId, transaction.ranges);
          break;
      }
    }
  }

  #onReply(message: MegacoMessage, reply: TransactionReply, flow: Flow): void {
    const { transactionId } = reply;
    // The three-way handshake is owed even for a reply that comes again (Annex D.1.4).
    if (reply.immAckRequired && this.#parts.ids.owns(transactionId))
      this.#send(flow, [{ kind: 'ack', ranges: [[transactionId, transactionId]] }]);
    if (this.#isFrom(transactionId, flow)) this.#transactions.onResponse(transactionId, true, { message, reply }, flow);
  }

  /** A reply counts only if it comes from a host that the request may have gone to. */
  #isFrom(transactionId: number, flow: Flow): boolean {
    const peer = this.#transactions.peerOf(transactionId);
    if (peer === undefined) this.#endpoint.transmitter.probeAnswered(String(transactionId), flow);
    return peer?.addresses().some(({ host }) => host === flow.remote.host) === true;
  }

  #onAck(mId: MId, ranges: readonly (readonly [number, number])[]): void {
    for (const [first, last] of ranges) {
      const end = Math.min(last, first + maxAckRange);
      for (let id = first; id <= end; id += 1) this.#replies.confirm(replyKey(mId, id));
    }
  }

  #onRequest(message: MegacoMessage, request: TransactionRequest, flow: Flow): void {
    const { transactionId, syntaxError } = request;
    if (syntaxError !== undefined) {
      this.#send(flow, [syntaxReply(request)]);
      return;
    }
    const key = replyKey(message.mId, transactionId);
    const seen = this.#replies.seen(key);
    if (seen.kind === 'answered') {
      flow.send(this.#framed(flow, seen.response));
      return;
    }
    if (seen.kind === 'confirmed') return;
    if (seen.kind === 'executing') {
      // Annex D.1.4: the answer to a repetition of what is still being executed.
      if (this.#executing.has(key)) this.#send(flow, [{ kind: 'pending', transactionId }]);
      return;
    }
    this.#execute(message, request, flow, key);
  }

  #execute(message: MegacoMessage, request: TransactionRequest, flow: Flow, key: string): void {
    const { transactionId } = request;
    let pendingSent = false;
    this.#executing.add(key);
    const provisional = this.#parts.services.clock.after(this.#timers.provisionalMs, () => {
      pendingSent = true;
      this.#send(flow, [{ kind: 'pending', transactionId }]);
    });
    const finish = (actions: readonly ActionReply[], error: ErrorDescriptor | undefined): void => {
      if (!this.#executing.delete(key) || this.#stopped) return;
      provisional();
      const reply: Transaction = {
        kind: 'reply',
        transactionId,
        // Annex D.1.4: after a Pending the final reply asks for its acknowledgement; over TCP there is no need (D.2.4).
        immAckRequired: pendingSent && !flow.reliable,
        error,
        actions,
      };
      const bytes = this.#write(this.#message([reply], remoteOf(flow)), flow, remoteOf(flow));
      this.#replies.answer(key, bytes);
      flow.send(this.#framed(flow, bytes));
    };
    this.#parts.onRequest({
      message,
      request,
      flow,
      reply: (actions) => finish(actions, undefined),
      refuse: (code, text) => finish([], { kind: 'Error', code, text }),
      ignore: () => {
        if (!this.#executing.delete(key)) return;
        provisional();
        this.#replies.drop(key);
      },
    });
  }

  /** `replayed`: it is authentic, and was said before. */
  #authentic(message: MegacoMessage, flow: Flow): boolean | 'replayed' {
    const security = this.#parts.securityFor?.(flow.remote.host, message.mId);
    if (security === undefined) return true;
    const { authentication, bytes } = message;
    if (authentication === undefined || bytes === undefined) return false;
    if (!verify(bytes, authentication, security, flow.remote, flow.local)) return false;
    const { sequenceNum, authData } = authentication;
    return security.replays?.accepts(sequenceNum, authData, this.#parts.services.clock.now()) === false
      ? 'replayed'
      : true;
  }

  /** Nothing is remembered of it. */
  #refuse({ body }: MegacoMessage, flow: Flow): void {
    const request = body.kind === 'error' ? undefined : body.transactions.find(({ kind }) => kind === 'request');
    if (request?.kind !== 'request') return;
    const error: ErrorDescriptor = { kind: 'Error', code: 402, text: 'Unauthorized' };
    const { transactionId } = request;
    this.#send(flow, [{ kind: 'reply', transactionId, immAckRequired: false, error, actions: [] }]);
  }

  #sendError(flow: Flow, message: MegacoMessage, code: number, text: string): void {
    if (message.body.kind === 'error') return;
    const to = remoteOf(flow);
    const answer: MegacoMessage = {
      ...this.#message([], to),
      body: { kind: 'error', error: { kind: 'Error', code, text } },
    };
    flow.send(this.#framed(flow, this.#write(answer, flow, to)));
  }

  #send(flow: Flow, transactions: readonly Transaction[]): void {
    const to = remoteOf(flow);
    flow.send(this.#framed(flow, this.#write(this.#message(transactions, to), flow, to)));
  }

  #message(transactions: readonly Transaction[], to: ControllerAddress): MegacoMessage {
    const format = this.#parts.formatFor(to);
    return { version: format.version, mId: this.#parts.mId(), format, body: { kind: 'transactions', transactions } };
  }

  #question(flow: Flow, to: ControllerAddress, id: number): Uint8Array {
    const { assembler, homeFor } = this.#parts;
    return this.#signed(assembler.probe(to, flow, String(id), homeFor?.(to)), flow, to);
  }

  #write(message: MegacoMessage, flow: Flow, to: ControllerAddress): Uint8Array {
    const { assembler, homeFor } = this.#parts;
    return this.#signed(assembler.octets(message, flow, homeFor?.(to)), flow, to);
  }

  /** RFC 3525 §11.1, in text: the authentication header. */
  #signed(bytes: Uint8Array, flow: Flow, to: ControllerAddress): Uint8Array {
    const security = isBinary(bytes) ? undefined : this.#parts.securityFor?.(to.host);
    if (security === undefined) return bytes;
    const sequence = (security.numbers ?? this.#numbers).next(this.#parts.services.clock.now());
    return sign(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), security, sequence, flow.local, flow.remote);
  }

  #framed(flow: Flow, bytes: Uint8Array): Uint8Array {
    return flow.reliable ? withTpkt(bytes) : bytes;
  }
}

/** More ids than this in one confirmed range are not looked up one by one. */
const maxAckRange = 4_096;

const replyKey = (mId: MId, transactionId: number): string => `${mId} ${transactionId}`;

export const remoteOf = (flow: Flow): ControllerAddress => ({ transport: flow.transport, ...flow.remote });

/** Where the error stands depends on how far reading came (RFC 3525 §8.2.2). */
function syntaxReply({ transactionId, syntaxError }: TransactionRequest): Transaction {
  const { code = 400, reason = '', contextId } = syntaxError ?? {};
  const error: ErrorDescriptor = { kind: 'Error', code, text: reason.replace(/[^\w ./*-]/g, '') };
  return contextId === undefined || code === 403
    ? { kind: 'reply', transactionId, immAckRequired: false, error, actions: [] }
    : { kind: 'reply', transactionId, immAckRequired: false, actions: [{ contextId, error, commands: [] }] };
}
