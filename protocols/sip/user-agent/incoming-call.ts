/**
 * A call that comes by SIP (RFC 3261 §13.3): the caller's leg. It has its number and, mostly, its offer with the INVITE; what the call
 * comes to goes back as responses of the INVITE.
 */
import type { Call, CallerIdentity, CallRecord, Flow, Leg, LegEvent, ReleaseReason } from '../../../src/internal.ts';
import { answerFor, causeIn, causeInFields } from '../causes.ts';
import { H } from '../codec/header-names.ts';
import { keptAll } from '../codec/kept-text.ts';
import type { SipMessage } from '../codec/messages.ts';
import { stampedVia } from '../proxy/forward.ts';
import type { ServerTransaction, ServerUser } from '../transactions/server.ts';
import { type AgentParts, answerText, type DialogEnd, reply, supported, unsupportedIn } from './agent.ts';
import type { Dialog } from './dialog.ts';
import { partyFields, partyOf } from './party-record.ts';
import { ReliableProvisionals } from './reliable-provisionals.ts';
import { RepeatedAnswer } from './repeated-answer.ts';
import { refuseMethod, Session } from './session.ts';
import { descriptionOf, OwnDescription } from './session-description.ts';
import { SessionLeg } from './session-leg.ts';
import { answerInterval } from './session-timer.ts';

export interface IncomingCallParts {
  readonly agent: AgentParts;
  readonly invite: SipMessage;
  readonly server: ServerTransaction;
  readonly dialog: Dialog;
  readonly number: string;
  /** undefined: the caller wants ours. */
  readonly offer: string | undefined;
  readonly caller: CallerIdentity;
  /** The INVITE came to a member that died: how the caller heard of it is not known. */
  readonly isResumed?: boolean | undefined;
}

export class IncomingCall extends SessionLeg implements Leg, DialogEnd, ServerUser {
  readonly identity: CallerIdentity;
  readonly callId: string;
  readonly localTag: string;
  readonly #agent: AgentParts;
  readonly #number: string;
  readonly #offer: string | undefined;
  readonly #own = new OwnDescription();
  readonly #reliable: ReliableProvisionals;
  #dialog: Dialog;
  /** Until the INVITE has its final response, and as 2xx its ACK. */
  #invite: { readonly request: SipMessage; readonly server: ServerTransaction } | undefined;
  #call: Call | undefined;
  #success: RepeatedAnswer | undefined;
  /** What the call wanted while the 2xx had no ACK yet. */
  #owed: { hangUp?: { readonly cause: number | undefined }; connect?: string } = {};
  #isAnswered = false;
  readonly #isResumed: boolean;
  /** Where responses to the INVITE go, while some may have to go. */
  #vias: readonly string[];
  #isOver = false;
  /** It has ended the call itself: nobody has to tell it. */
  #hasLeft = false;
  #cancelTrying: (() => void) | undefined;

  constructor({ agent, invite, server, dialog, number, offer, caller, isResumed = false }: IncomingCallParts) {
    super();
    this.#agent = agent;
    this.#invite = { request: invite, server };
    this.#dialog = dialog;
    this.#number = number;
    this.#offer = offer;
    this.identity = caller;
    this.callId = dialog.callId;
    this.localTag = dialog.localTag;
    this.#isResumed = isResumed;
    const [first = '', ...others] = invite.list(H.via);
    this.#vias = keptAll([stampedVia(invite, server.flow) ?? first, ...others]);
    this.#reliable = new ReliableProvisionals({
      agent,
      firstSequence: agent.ids.firstRSeq(dialog.localTag),
      inviteCseq: invite.cseq,
      isWanted: ReliableProvisionals.isWanted(invite),
      // RFC 3262 §3: without PRACK the call cannot be completed.
      unacknowledged: () => this.#fail({ kind: 'failed', reason: 'temporary' }),
    });
    server.user = this;
    agent.ends.add(this);
    // RFC 3261 §17.2.1.
    this.#cancelTrying = agent.clock.after(tryingMs, () => this.#provisional(100, 'Trying'));
  }

  get name(): string {
    return this.identity.number ?? this.#dialog.remote;
  }

  get call(): Call | undefined {
    return this.#call;
  }

  /** What a backup needs of it. */
  get dialog(): Dialog {
    return this.session?.dialog ?? this.#dialog;
  }

  /** What a backup needs of it: until the caller has acknowledged the answer, also where responses to the INVITE go. */
  get record(): CallRecord | undefined {
    if (this.#hasLeft) return undefined;
    const session = this.session;
    return {
      protocol: 'sip',
      side: 'caller',
      phase: session === undefined ? 'ringing' : 'talking',
      callId: this.#call?.callId ?? '',
      number: this.#number,
      fields: partyFields(
        partyOf(this.dialog, session === undefined ? this.#vias : [], session?.interval, this.#own.version),
      ),
    };
  }

  attach(call: Call): this {
    this.#call = call;
    return this;
  }

  callIdFor(number: string): string {
    return this.#agent.ids.crossingCallId(this.callId, this.#dialog.remoteTag, number);
  }

  // --- what the call wants --------------------------------------------------------------------------------------------------

  collect(): void {
    // Not from within: the call has still to begin to wait for it.
    queueMicrotask(() => this.report({ kind: 'digits', number: this.#number }));
  }

  offer(): void {
    this.report({ kind: 'offered', description: this.#offer });
  }

  /** A caller is not called. */
  alert(): void {}

  progress(early: string | undefined): void {
    if (early === undefined) this.#provisional(180, 'Ringing');
    else this.#provisional(183, 'Session Progress', this.#own.tell(early));
  }

  connect(remote: string | undefined): void {
    if (this.session !== undefined) {
      if (remote !== undefined && !this.#own.isTold(remote)) this.session.connect(remote);
      return;
    }
    if (this.#isAnswered) {
      if (remote !== undefined && !this.#own.isTold(remote)) this.#owed.connect = remote;
      return;
    }
    const description = remote ?? this.#own.told;
    if (description === undefined) {
      this.#fail({ kind: 'failed', reason: 'temporary' });
      return;
    }
    this.#isAnswered = true;
    const isTold = this.#own.told !== undefined;
    const body = this.#own.tell(description);
    // RFC 3262 §3: no final response before the offer or answer in a reliable provisional response has its PRACK.
    const answer = (): void =>
      this.#reliable.whenAcknowledged(() => this.#answer(this.#reliable.hasAnswered && isTold ? '' : body));
    if (this.#call === undefined) answer();
    else this.#call.whenKept('caller', answer);
  }

  release(reason: ReleaseReason, cause?: number): void {
    if (this.#hasLeft && this.session === undefined && this.#success === undefined && this.#call === undefined) return;
    this.#call = undefined;
    if (this.session !== undefined) {
      this.session.bye(cause);
      return;
    }
    if (this.#success !== undefined) {
      // RFC 3261 §15: the called party sends no BYE before the ACK has come, or never will.
      this.#owed.hangUp = { cause };
      return;
    }
    // The dead member may have accepted already: the 200 goes out again, and then the BYE.
    if (this.#isResumed && this.#isAnswered && this.#invite?.server.isFinal === false) {
      this.#owed.hangUp = { cause };
      return;
    }
    const { status, reason: phrase, fields } = answerFor(reason, cause);
    this.#refuse(status, phrase, fields);
  }

  // --- what the caller wants ------------------------------------------------------------------------------------------------

  /** CANCEL (RFC 3261 §9.2). */
  cancel(reasons: readonly string[]): void {
    if (this.#isAnswered && this.#invite?.server.isFinal === true) return;
    const callee = this.#call?.callee;
    this.#hasLeft = true;
    const call = this.#call;
    this.#call = undefined;
    call?.on('caller', { kind: 'hungUp', cause: causeInFields(reasons) });
    // The line is told first: if we died between the two, nobody would ask again.
    const refuse = (): void => this.#refuse(487, 'Request Terminated', '');
    if (callee?.whenSettled === undefined) refuse();
    else {
      callee.whenSettled(refuse);
      this.#agent.clock.after(maxCancelMs, refuse);
    }
  }

  receive(request: SipMessage, flow: Flow): void {
    if (request.method === 'ACK' && this.#success !== undefined) {
      if (request.cseq === this.#invite?.request.cseq) this.#onAck(request);
      return;
    }
    if (this.session !== undefined) this.session.receive(request, flow);
    else if (request.method !== 'ACK') this.#serveEarly(request, flow);
  }

  /** Requests in the early dialog, and in one whose 2xx has no ACK yet. */
  #serveEarly(request: SipMessage, flow: Flow): void {
    const server = this.#agent.layer.accept(request, flow);
    const agent = this.#agent;
    if (request.cseq <= this.#dialog.remoteCseq) {
      reply(agent, server, request, 500, 'Server Internal Error - CSeq out of order');
      return;
    }
    this.#dialog = { ...this.#dialog, remoteCseq: request.cseq };
    const unsupported = unsupportedIn(request);
    switch (request.method) {
      case 'BYE':
        // RFC 3261 §15: the caller may end an early dialog like that.
        reply(agent, server, request, 200, 'OK');
        if (this.#success === undefined) this.#refuse(487, 'Request Terminated', '');
        else this.#close();
        this.report({ kind: 'hungUp', cause: causeIn(request) });
        return;
      case 'PRACK': {
        const answer = this.#reliable.acknowledge(request);
        if (unsupported !== undefined) reply(agent, server, request, 420, 'Bad Extension', { fields: unsupported });
        else if (answer === undefined) reply(agent, server, request, 481, 'Call/Transaction Does Not Exist');
        else {
          reply(agent, server, request, 200, 'OK');
          if (answer.description !== undefined) this.report({ kind: 'modified', description: answer.description });
          answer.goOn();
        }
        return;
      }
      case 'INVITE': {
        // RFC 3261 §14.2: a second INVITE before the final response to the first.
        const fields = `Retry-After: ${Math.floor(agent.random.fraction() * 11)}\r\n`;
        reply(agent, server, request, 500, 'Server Internal Error', { fields });
        return;
      }
      case 'UPDATE': {
        // RFC 3311 §5.2: the offer of the INVITE is not answered yet; without an offer it says where the caller is.
        const fields = `Retry-After: ${Math.floor(agent.random.fraction() * 11)}\r\n`;
        if (request.body !== '') reply(agent, server, request, 500, 'Server Internal Error', { fields });
        else reply(agent, server, request, 200, 'OK', { contactUser: this.#number });
        return;
      }
      case 'OPTIONS':
      case 'INFO':
        reply(agent, server, request, 200, 'OK');
        return;
      default:
        refuseMethod(agent, server, request);
    }
  }

  #onAck(ack: SipMessage): void {
    this.#success?.stop();
    this.#success = undefined;
    this.#invite = undefined;
    this.#vias = [];
    const session = this.session;
    const { hangUp, connect } = this.#owed;
    this.#owed = {};
    if (session === undefined) this.#confirmed(ack);
    // From now on a backup must not answer the INVITE any more.
    this.#call?.whenKept('caller', () => undefined);
    if (hangUp !== undefined) this.session?.bye(hangUp.cause);
    else if (connect !== undefined) this.session?.connect(connect);
  }

  #confirmed(ack: SipMessage): void {
    const answer = this.#offer === undefined ? descriptionOf(ack) : undefined;
    const remote = answer?.kind === 'description' ? answer.text : this.#offer;
    this.session = new Session(this.#sessionHost(), this.#dialog, remote);
    this.session.refreshedBy(this.#interval);
    // Delayed offer: the answer is in the ACK (RFC 3261 §13.2.1).
    if (answer?.kind === 'description') this.report({ kind: 'modified', description: answer.text });
    else if (answer !== undefined) this.report({ kind: 'failed', reason: 'notAcceptable' });
  }

  get #interval() {
    return this.#agreed;
  }

  #agreed: Parameters<Session['refreshedBy']>[0];

  // --- responses ------------------------------------------------------------------------------------------------------------

  #provisional(status: number, reason: string, body = ''): void {
    const invite = this.#invite;
    if (invite === undefined || invite.server.isFinal || this.#isAnswered) return;
    this.#cancelTrying?.();
    this.#cancelTrying = undefined;
    const { request, server } = invite;
    if (status === 100) {
      server.respond(100, answerText(this.#agent, request, server.flow, 100, 'Trying'));
      return;
    }
    this.#reliable.send((fields) => {
      const content = { toTag: this.localTag, contactUser: this.#number, fields: fields + supported, body };
      server.respond(status, answerText(this.#agent, request, server.flow, status, reason, content));
    }, body !== '');
  }

  #answer(body: string): void {
    const invite = this.#invite;
    if (invite === undefined || invite.server.isFinal || this.#isOver) return;
    this.#cancelTrying?.();
    const { request, server } = invite;
    const timer = answerInterval(request);
    const agreed = timer.kind === 'agreed' ? timer : undefined;
    this.#agreed = agreed?.interval;
    const content = {
      toTag: this.localTag,
      contactUser: this.#number,
      fields: `${agreed?.fields ?? ''}${supported}`,
      body,
    };
    const text = answerText(this.#agent, request, server.flow, 200, 'OK', content);
    this.#success = new RepeatedAnswer(
      this.#agent.clock,
      this.#agent.layer.timers,
      () => server.respond(200, text),
      () => this.#unacknowledged(),
    );
  }

  /** RFC 3261 §13.3.1.4: without an ACK the dialog is confirmed, and the session is ended. */
  #unacknowledged(): void {
    this.#success = undefined;
    this.#invite = undefined;
    this.session = new Session(this.#sessionHost(), this.#dialog, this.#offer);
    const { hangUp } = this.#owed;
    if (hangUp !== undefined) {
      this.session.bye(hangUp.cause);
      return;
    }
    if (this.#isResumed) {
      // The ACK may have gone to the dead member's Contact: a refresh finds out, and ends the call where the caller knows none.
      this.session.refresh();
      return;
    }
    this.report({ kind: 'failed', reason: 'temporary' });
    this.session.bye(recoveryOnTimerExpiry);
  }

  #refuse(status: number, reason: string, fields: string): void {
    const invite = this.#invite;
    this.#close();
    if (invite === undefined || invite.server.isFinal) return;
    const { request, server } = invite;
    server.respond(
      status,
      answerText(this.#agent, request, server.flow, status, reason, { toTag: this.localTag, fields }),
    );
  }

  #sessionHost() {
    return {
      agent: this.#agent,
      contactUser: this.#number,
      own: this.#own,
      report: (event: LegEvent) => this.report(event),
      over: () => this.#close(),
    };
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#cancelTrying?.();
    this.#success?.stop();
    this.#success = undefined;
    this.#reliable.stop();
    this.session?.abandon();
    if (this.#invite !== undefined) this.#invite.server.user = undefined;
    this.#agent.ends.delete(this);
  }

  abandon(): void {
    this.#call = undefined;
    this.#close();
  }

  /** The process ends: nothing more is sent. */
  stop(): void {
    this.#close();
  }

  #fail(event: Extract<LegEvent, { kind: 'failed' }>): void {
    const call = this.#call;
    if (call === undefined) this.release(event.reason, event.cause);
    else call.on('caller', event);
  }

  protected override report(event: LegEvent): void {
    if (event.kind === 'hungUp' || event.kind === 'failed') this.#hasLeft = true;
    this.#call?.on('caller', event);
  }
}

const tryingMs = 200;

/** Whoever cancels does not wait longer for a gateway. */
const maxCancelMs = 1_000;

const recoveryOnTimerExpiry = 102;
