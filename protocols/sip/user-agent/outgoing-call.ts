/**
 * A call that goes to SIP: the callee's leg. One INVITE goes to our proxy core, which forks it, solves what can be solved on the way, and
 * brings the answers; the first 2xx is the call, and is acknowledged once the other party has been connected (RFC 3261 §13.2).
 */
import type { Call, CallerIdentity, CallRecord, Flow, Leg, LegEvent, ReleaseReason } from '../../../src/internal.ts';
import { reasonField, reasonOfFinal } from '../causes.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { ClientUser } from '../transactions/client.ts';
import { cancelFor } from '../transactions/hop-requests.ts';
import { type AgentParts, type DialogEnd, dialogRequest, ignored, send, sendAck } from './agent.ts';
import type { Dialog } from './dialog.ts';
import type { EarlyDialog, EarlyDialogs } from './early-dialogs.ts';
import { prack, serveEarly } from './early-requests.ts';
import { userAgentAddress } from './inner-path.ts';
import { inviteAgain, type OutgoingInvite, outgoingInvite } from './outgoing-invite.ts';
import { partyFields, partyOf } from './party-record.ts';
import { RingingPoll } from './ringing-poll.ts';
import { Session } from './session.ts';
import { descriptionOf, OwnDescription } from './session-description.ts';
import { SessionLeg } from './session-leg.ts';
import { agreedInterval } from './session-timer.ts';

export interface OutgoingCallParts {
  readonly agent: AgentParts;
  readonly call: Call;
  /** The URI that is called. */
  readonly requestUri: string;
  /** As it is named in lists. */
  readonly name: string;
  /** Our domain, for From. */
  readonly host: string;
  /** Is a user called, whose telephone may not lead us to hops that the operator named? Else such a hop is meant. */
  readonly isGuarded: boolean;
  /** May who is called know the number of a caller who keeps it to himself (RFC 3325 §9)? */
  readonly mayAssert: boolean;
  /** A dead member has called, and heard that it rings. */
  readonly ringing?: RingingParty | undefined;
}

export interface RingingParty {
  readonly dialog: Dialog;
  /** There was something to hear before it answered. */
  readonly hasEarlyMedia: boolean;
  /** From one question whether it has answered to the next. */
  waitMs(): number;
  /** It is asked no more. */
  over(): void;
}

interface Sent extends OutgoingInvite {
  readonly offer: string | undefined;
}

export class OutgoingCall extends SessionLeg implements Leg, DialogEnd, ClientUser {
  readonly name: string;
  readonly #parts: OutgoingCallParts;
  readonly #agent: AgentParts;
  readonly #own = new OwnDescription();
  #call: Call | undefined;
  #callId = '';
  #localTag = '';
  #gatewayCallId = '';
  /** The telephone that rings, as far as one is known. */
  #alerted: EarlyDialog | undefined;
  #sent: Sent | undefined;
  /** Acknowledges the 2xx; with an answer where the 2xx brought the offer. */
  #owedAck: ((answer?: string) => void) | undefined;
  #wantsAnswer = false;
  /** 2xx that were taken, by To tag, with what acknowledges them again. */
  readonly #acks = new Map<string, () => void>();
  #isProceeding = false;
  #isFinal = false;
  #cancel: { readonly fields: string; isSent: boolean } | undefined;
  #poll: RingingPoll | undefined;
  /** It has answered, and not said so to us: with which description, it is being asked. */
  #isUnheard = false;
  #isOver = false;
  /** It has ended the call itself: nobody has to tell it. */
  #hasLeft = false;

  constructor(parts: OutgoingCallParts) {
    super();
    this.#parts = parts;
    this.#agent = parts.agent;
    this.#call = parts.call;
    this.name = parts.name;
    // What the dead member wrote stands until there is more to write.
    if (parts.call.isRestored) this.#gatewayCallId = parts.call.callId ?? '';
  }

  get callId(): string {
    return this.#callId;
  }

  get localTag(): string {
    return this.#localTag;
  }

  /** What a backup needs of it, once there is one. */
  get dialog(): Dialog | undefined {
    return this.session?.dialog;
  }

  /** What a backup needs of it: before there is a dialog, nothing that it could not compute. */
  get record(): CallRecord | undefined {
    if (this.#hasLeft) return undefined;
    const dialog = this.dialog ?? this.#alerted?.dialog ?? this.#parts.ringing?.dialog;
    const { name } = this;
    return {
      protocol: 'sip',
      side: 'callee',
      phase: this.session !== undefined ? 'talking' : dialog === undefined ? 'calling' : 'ringing',
      callId: this.#gatewayCallId,
      number: name,
      fields: dialog === undefined ? [] : partyFields(partyOf(dialog, [], this.session?.interval, this.#own.version)),
    };
  }

  // --- what the call wants --------------------------------------------------------------------------------------------------

  /** A callee is not asked for a number, nor for an offer of its own accord. */
  collect(): void {}

  offer(): void {}

  progress(): void {}

  alert(callId: string, offer: string | undefined, caller?: CallerIdentity): void {
    const { call, requestUri, host, mayAssert, isGuarded } = this.#parts;
    const agent = this.#agent;
    this.#gatewayCallId = callId;
    this.#callId = agent.ids.callId(callId);
    this.#localTag = agent.ids.callerTag(callId);
    const callerName = call.caller?.name;
    const body = offer === undefined ? undefined : this.#own.tell(offer);
    const invite = outgoingInvite(agent, {
      callId,
      requestUri,
      host,
      isGuarded,
      mayAssert,
      caller,
      callerName,
      body,
    });
    // A call of which the caller's gateway tells too little is told to the other members before it is made.
    const go = (): void => {
      if (this.#call === undefined) return;
      agent.ends.add(this);
      send(agent, 'INVITE', invite.branch, invite.text, this);
      this.#sent = { ...invite, offer };
      this.#askWhether(invite.early);
    };
    if (call.isRestored) go();
    else call.whenKept('callee', go);
  }

  connect(remote: string | undefined): void {
    if (remote === undefined) return;
    if (this.#wantsAnswer) {
      this.#wantsAnswer = false;
      this.#acknowledge(this.#own.tell(remote));
    } else if (!this.#own.isTold(remote)) this.session?.connect(remote);
  }

  release(_reason: ReleaseReason, cause?: number): void {
    this.#call = undefined;
    if (this.session !== undefined) {
      // Never a 2xx without its ACK: who answered would go on repeating it.
      this.#acknowledge();
      this.session.bye(cause);
      return;
    }
    if (this.#sent === undefined || this.#isFinal) {
      this.#close();
      return;
    }
    // Whether it has answered meanwhile is not known: who still rings obeys the CANCEL, who talks the BYE (RFC 3261 §15: in either dialog).
    if (this.#poll?.isRunning === true && this.#alerted !== undefined) {
      this.#poll.stop();
      this.#bye(this.#alerted.dialog);
    }
    this.#cancel ??= { fields: cause === undefined ? '' : reasonField(cause), isSent: false };
    this.#sendCancel();
  }

  // --- what the called party says -------------------------------------------------------------------------------------------

  onResponse(response: SipMessage): void {
    const { status } = response;
    if (this.#poll?.isRunning === true) {
      // Nobody says anything to the INVITE, as was to be expected, or our own core knows nobody to send it to.
      if (status >= 300 && response.toTag !== this.#alerted?.dialog.remoteTag) return;
      // It answers to us: it need not be asked.
      if (status > 100) this.#poll.stop();
    }
    if (status < 200) this.#onProvisional(response);
    else if (status < 300) this.#onSuccess(response);
    else this.#onFailure(response);
  }

  onTimeout(): void {
    if (this.#poll?.isRunning === true || this.#isUnheard) return;
    this.#isFinal = true;
    this.report({ kind: 'failed', reason: 'unavailable' });
    this.#close();
  }

  onTransportError(): void {
    this.onTimeout();
  }

  /** A response of this tag came over a flow that only the token leads back to. */
  cameOver(token: string, { toTag }: SipMessage): void {
    this.#sent?.early.cameOver(token, toTag);
  }

  receive(request: SipMessage, flow: Flow): void {
    if (this.session !== undefined && request.fromTag === this.session.dialog.remoteTag) {
      this.session.receive(request, flow);
      return;
    }
    if (request.method === 'ACK') return;
    const server = this.#agent.layer.accept(request, flow);
    const early = this.#isFinal ? undefined : this.#sent?.early.of(request.fromTag);
    serveEarly(this.#agent, request, server, early, this.#sent?.contactUser);
  }

  /** Does it still ring, for the INVITE of a dead member? */
  #askWhether(all: EarlyDialogs): void {
    const { ringing, call } = this.#parts;
    if (ringing === undefined) return;
    const early = all.restore(ringing.dialog);
    this.#alerted = early;
    this.#isProceeding = true;
    this.#poll = new RingingPoll({
      ...ringing,
      agent: this.#agent,
      early,
      packetsReceived: (told) => {
        if (call.caller?.packetsReceived === undefined) told(undefined);
        else call.caller.packetsReceived(told);
      },
      answered: () => this.#askFor(early),
      gone: (why) => {
        this.report({ kind: 'failed', reason: why === 'over' ? 'declined' : 'unavailable' });
      },
    });
    this.#poll.start();
  }

  /** It has answered: with what, a re-INVITE brings to light, which also tells it where we are. */
  #askFor(early: EarlyDialog): void {
    const sent = this.#sent;
    const poll = this.#poll;
    if (sent === undefined || poll === undefined) return;
    this.#isFinal = true;
    this.#isUnheard = true;
    this.#acks.set(early.dialog.remoteTag, () => poll.acknowledge());
    this.session = new Session(this.#sessionHost(sent.contactUser), early.dialog, undefined);
    this.session.modify(sent.offer);
  }

  /** What that comes to, in words of a call that is being set up. */
  #ofUnheard(event: LegEvent): LegEvent | undefined {
    switch (event.kind) {
      case 'modifyAnswered':
        this.#isUnheard = false;
        return { kind: 'answered', description: event.description };
      case 'modifyRefused':
        this.#isUnheard = false;
        this.#isFinal = false;
        this.session?.abandon();
        this.session = undefined;
        this.#poll?.start();
        return undefined;
      case 'hungUp':
        this.#isUnheard = false;
        return { kind: 'failed', reason: 'normal', cause: event.cause };
      default:
        return event;
    }
  }

  #onProvisional(response: SipMessage): void {
    const sent = this.#sent;
    this.#isProceeding = true;
    if (sent === undefined || this.#isFinal) return;
    if (this.#cancel !== undefined) {
      this.#sendCancel();
      return;
    }
    if (response.status === 100 || response.toTag === '') return;
    const provisional = sent.early.provisional(response);
    if (provisional === undefined) return;
    const { early, description, rseq } = provisional;
    const told = sent.offer === undefined ? undefined : description;
    this.#alerted = early;
    this.report({ kind: 'alerting', description: told });
    if (rseq === undefined) return;
    const { cseq } = response;
    const acknowledge = (): void => prack(this.#agent, early, rseq, cseq, sent.contactUser);
    if (this.#call === undefined) acknowledge();
    else this.#call.whenKept('callee', acknowledge);
  }

  #onSuccess(response: SipMessage): void {
    const sent = this.#sent;
    if (sent === undefined) return;
    const { toTag } = response;
    const again = this.#acks.get(toTag);
    if (again !== undefined) {
      again();
      return;
    }
    this.#isProceeding = true;
    const early = sent.early.of(toTag);
    const fresh = sent.early.dialog(response);
    // A carrier's challenge was answered on the way: the INVITE that it accepted has a higher CSeq than ours.
    const localCseq = Math.max(response.cseq, (early?.dialog ?? fresh).localCseq);
    const dialog = { ...fresh, localCseq, remoteCseq: (early?.dialog ?? fresh).remoteCseq };
    // A second telephone of a fork has answered, or one that the CANCEL did not reach (RFC 3261 §13.2.2.4).
    if (this.#isFinal || this.#call === undefined) {
      this.#isFinal = true;
      this.#hangUp(dialog, response);
      return;
    }
    this.#isFinal = true;
    const body = descriptionOf(response);
    const said = body.kind === 'description' ? body.text : undefined;
    const description = early?.isAnswered === true ? early.description : (said ?? early?.description);
    this.session = new Session(this.#sessionHost(sent.contactUser), dialog, description);
    this.session.refreshedBy(agreedInterval(response));
    const ack = this.#ackOf(dialog, response);
    this.#owedAck = ack;
    this.#acks.set(toTag, () => {
      if (this.#owedAck === undefined) ack(this.#answer);
    });
    if (description === undefined) {
      this.report({ kind: 'failed', reason: 'notAcceptable' });
      return;
    }
    this.#wantsAnswer = sent.offer === undefined;
    this.report({ kind: 'answered', description });
    if (this.#wantsAnswer || this.#owedAck === undefined) return;
    if (this.#call === undefined) this.#acknowledge();
    else this.#call.whenKept('callee', () => this.#acknowledge());
  }

  #answer: string | undefined;

  #acknowledge(answer?: string): void {
    const ack = this.#owedAck;
    this.#owedAck = undefined;
    this.#answer = answer;
    ack?.(answer);
  }

  /** ACK of this 2xx, always the same one. */
  #ackOf(dialog: Dialog, { cseq }: SipMessage): (answer?: string) => void {
    const agent = this.#agent;
    const { callId, localTag, remoteTag } = dialog;
    const branch = agent.ids.branch(callId, localTag, cseq, 'ACK', remoteTag);
    const contactUser = this.#sent?.contactUser ?? '';
    return (answer) =>
      sendAck(agent, dialogRequest(agent, dialog, 'ACK', cseq, branch, contactUser, { body: answer }), dialog);
  }

  #hangUp(dialog: Dialog, response: SipMessage): void {
    const ack = this.#ackOf(dialog, response);
    ack();
    this.#acks.set(response.toTag, ack);
    this.#bye(dialog);
  }

  #bye(dialog: Dialog): void {
    const done = {
      ...this.#sessionHost(this.#sent?.contactUser ?? ''),
      report: () => undefined,
      over: () => this.#overIfAlone(),
    };
    new Session(done, dialog, undefined).bye(normalClearing);
  }

  #onFailure(response: SipMessage): void {
    if (this.#isFinal) return;
    if (response.status === 422 && this.#inviteAgain(response)) return;
    this.#isFinal = true;
    if (response.status === 408 && this.#call?.isRestored === true) this.#cancelUnheard();
    const { reason, cause } = reasonOfFinal(response);
    const told = this.#agent.watch?.failureOf(this.#callId, response.status);
    this.report({ kind: 'failed', reason, cause, told });
    this.#close();
  }

  /** Perhaps it rings, and has told the dead member so: not for ever. Our core lets go of the INVITE first (RFC 3261 §17.2.1, Timer I). */
  #cancelUnheard(): void {
    const { layer, clock } = this.#agent;
    clock.after(layer.timers.t4Ms + layer.timers.t1Ms, () => {
      this.#isFinal = false;
      this.#isProceeding = true;
      this.#cancel ??= { fields: '', isSent: false };
      this.#sendCancel();
      this.#isFinal = true;
    });
  }

  #inviteAgain(response: SipMessage): boolean {
    const sent = this.#sent;
    const again =
      sent === undefined || this.#cancel !== undefined ? undefined : inviteAgain(this.#agent, sent, response);
    if (sent === undefined || again === undefined) return false;
    this.#isProceeding = false;
    send(this.#agent, 'INVITE', again.branch, again.text, this);
    this.#sent = { ...again, offer: sent.offer };
    return true;
  }

  /** RFC 3261 §9.1: not before a provisional response. */
  #sendCancel(): void {
    const cancel = this.#cancel;
    const sent = this.#sent;
    if (cancel === undefined || sent === undefined || cancel.isSent || !this.#isProceeding || this.#isFinal) return;
    cancel.isSent = true;
    const text = cancelFor(sent.text, cancel.fields);
    const target = { addresses: [userAgentAddress], flow: this.#agent.inner.flow };
    this.#agent.layer.request('CANCEL', sent.branch, target, () => text, ignored);
  }

  #sessionHost(contactUser: string) {
    return {
      agent: this.#agent,
      contactUser,
      own: this.#own,
      report: (event: LegEvent) => this.report(event),
      over: () => this.#close(),
    };
  }

  #overIfAlone(): void {
    if (this.session === undefined) this.#close();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#poll?.stop();
    if (this.#poll !== undefined) this.#parts.ringing?.over();
    this.session?.abandon();
    if (this.#sent !== undefined) this.#agent.ends.delete(this);
  }

  abandon(): void {
    this.#call = undefined;
    this.#close();
  }

  /** The process ends: nothing more is sent. */
  stop(): void {
    this.#close();
  }

  protected override report(said: LegEvent): void {
    const event = this.#isUnheard ? this.#ofUnheard(said) : said;
    if (event === undefined) return;
    if (event.kind === 'hungUp' || event.kind === 'failed') this.#hasLeft = true;
    this.#call?.on('callee', event);
  }
}

const normalClearing = 16;
