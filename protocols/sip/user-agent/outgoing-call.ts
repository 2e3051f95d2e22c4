/**
 * A call that goes to SIP: the callee's leg. One INVITE goes to our proxy core, which forks it, solves what can be solved on the way, and
 * brings the answers; the first 2xx is the call, and is acknowledged once the other party has been connected (RFC 3261 §13.2).
 */
import type {
  Call,
  CallerIdentity,
  CallRecord,
  Flow,
  Leg,
  LegEvent,
  ModifyRefusal,
  ReleaseReason,
} from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { ClientTransaction, ClientUser } from '../transactions/client.ts';
import { cancelFor } from '../transactions/hop-requests.ts';
import { type AgentParts, allow, type DialogEnd, dialogRequest, reply, requestText, send, sendAck } from './agent.ts';
import { callerFields } from './caller-identity.ts';
import { reasonField, reasonOfFinal } from './causes.ts';
import { type Dialog, dialogFields, nextCseq } from './dialog.ts';
import { type EarlyDialog, EarlyDialogs } from './early-dialogs.ts';
import { userAgentAddress } from './inner-path.ts';
import { partyFields, partyOf } from './party-record.ts';
import { refuseMethod, Session } from './session.ts';
import { descriptionOf, OwnDescription } from './session-description.ts';
import { agreedInterval, askedInterval, wantedFields, withInterval } from './session-timer.ts';

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
}

interface Sent {
  readonly text: string;
  readonly branch: string;
  readonly transaction: ClientTransaction;
  readonly early: EarlyDialogs;
  readonly contactUser: string;
  readonly offer: string | undefined;
}

export class OutgoingCall implements Leg, DialogEnd, ClientUser {
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
  #session: Session | undefined;
  /** Acknowledges the 2xx; with an answer where the 2xx brought the offer. */
  #owedAck: ((answer?: string) => void) | undefined;
  #wantsAnswer = false;
  /** 2xx that were taken, by To tag, with what acknowledges them again. */
  readonly #acks = new Map<string, () => void>();
  #isProceeding = false;
  #isFinal = false;
  #cancel: { readonly fields: string; isSent: boolean } | undefined;
  #isOver = false;
  /** It has ended the call itself: nobody has to tell it. */
  #hasLeft = false;

  constructor(parts: OutgoingCallParts) {
    this.#parts = parts;
    this.#agent = parts.agent;
    this.#call = parts.call;
    this.name = parts.name;
  }

  get callId(): string {
    return this.#callId;
  }

  get localTag(): string {
    return this.#localTag;
  }

  /** What a backup needs of it, once there is one. */
  get dialog(): Dialog | undefined {
    return this.#session?.dialog;
  }

  /** What a backup needs of it: before there is a dialog, nothing that it could not compute. */
  get record(): CallRecord | undefined {
    if (this.#hasLeft) return undefined;
    const dialog = this.dialog ?? this.#alerted?.dialog;
    const { name } = this;
    return {
      protocol: 'sip',
      side: 'callee',
      phase: this.#session !== undefined ? 'talking' : dialog === undefined ? 'calling' : 'ringing',
      callId: this.#gatewayCallId,
      number: name,
      fields: dialog === undefined ? [] : partyFields(partyOf(dialog, [], this.#session?.interval)),
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
    const { ids } = agent;
    this.#gatewayCallId = callId;
    this.#callId = ids.callId(callId);
    this.#localTag = ids.callerTag(callId);
    const contactUser =
      caller?.presentation === 'restricted' ? 'anonymous' : (caller?.number ?? call.caller?.name ?? 'line');
    const { from, fields } = callerFields(caller, call.caller?.name ?? 'anonymous', host, mayAssert);
    const local = { callId: this.#callId, localTag: this.#localTag, local: from, remote: `<${requestUri}>` };
    const early = new EarlyDialogs({ ...local, requestUri, cseq: inviteCseq, isGuarded });
    const branch = ids.branch(this.#callId, this.#localTag, inviteCseq, 'INVITE');
    const dialogPart = dialogFields({ ...nobody, ...local }, inviteCseq, 'INVITE');
    const reliable = offer === undefined ? 'Supported: timer\r\n' : 'Supported: 100rel, timer\r\n';
    const content = {
      fields: allow + reliable + wantedFields + fields,
      body: offer === undefined ? undefined : this.#own.tell(offer),
    };
    const text = requestText(agent, 'INVITE', requestUri, branch, dialogPart, contactUser, content);
    // A call of which the caller's gateway tells too little is told to the other members before it is made.
    const go = (): void => {
      if (this.#call === undefined) return;
      agent.ends.add(this);
      const transaction = send(agent, 'INVITE', branch, text, this);
      this.#sent = { text, branch, transaction, early, contactUser, offer };
    };
    if (call.isRestored) go();
    else call.whenKept('callee', go);
  }

  connect(remote: string | undefined): void {
    if (remote === undefined) return;
    if (this.#wantsAnswer) {
      this.#wantsAnswer = false;
      this.#acknowledge(this.#own.tell(remote));
    } else if (!this.#own.isTold(remote)) this.#session?.connect(remote);
  }

  modify(offer: string | undefined): void {
    if (this.#session === undefined) this.#report({ kind: 'modifyRefused', reason: 'temporary' });
    else this.#session.modify(offer);
  }

  modifyAnswer(description: string): void {
    this.#session?.modifyAnswer(description);
  }

  modifyRefuse(reason: ModifyRefusal): void {
    this.#session?.modifyRefuse(reason);
  }

  digit(signal: string, durationMs: number): void {
    this.#session?.digit(signal, durationMs);
  }

  release(_reason: ReleaseReason, cause?: number): void {
    this.#call = undefined;
    if (this.#session !== undefined) {
      // Never a 2xx without its ACK: who answered would go on repeating it.
      this.#acknowledge();
      this.#session.bye(cause);
      return;
    }
    if (this.#sent === undefined || this.#isFinal) {
      this.#close();
      return;
    }
    this.#cancel ??= { fields: cause === undefined ? '' : reasonField(cause), isSent: false };
    this.#sendCancel();
  }

  // --- what the called party says -------------------------------------------------------------------------------------------

  onResponse(response: SipMessage): void {
    const { status } = response;
    if (status < 200) this.#onProvisional(response);
    else if (status < 300) this.#onSuccess(response);
    else this.#onFailure(response);
  }

  onTimeout(): void {
    this.#isFinal = true;
    this.#report({ kind: 'failed', reason: 'unavailable' });
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
    if (this.#session !== undefined && request.fromTag === this.#session.dialog.remoteTag) {
      this.#session.receive(request, flow);
      return;
    }
    if (request.method === 'ACK') return;
    const server = this.#agent.layer.accept(request, flow);
    const early = this.#sent?.early.of(request.fromTag);
    if (early === undefined || this.#isFinal) {
      reply(this.#agent, server, request, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    if (request.cseq <= early.dialog.remoteCseq) {
      reply(this.#agent, server, request, 500, 'Server Internal Error - CSeq out of order');
      return;
    }
    early.dialog = { ...early.dialog, remoteCseq: request.cseq };
    switch (request.method) {
      case 'UPDATE':
        // RFC 3311 §5.2: our offer is not answered yet.
        if (request.body === '')
          reply(this.#agent, server, request, 200, 'OK', { contactUser: this.#sent?.contactUser });
        else reply(this.#agent, server, request, 491, 'Request Pending');
        return;
      case 'INVITE':
        reply(this.#agent, server, request, 491, 'Request Pending');
        return;
      case 'INFO':
      case 'OPTIONS':
        reply(this.#agent, server, request, 200, 'OK');
        return;
      case 'BYE':
        // RFC 3261 §15: not for the called party to send before it has answered.
        reply(this.#agent, server, request, 481, 'Call/Transaction Does Not Exist');
        return;
      default:
        refuseMethod(this.#agent, server, request);
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
    this.#report({ kind: 'alerting', description: told });
    if (rseq === undefined) return;
    const { cseq } = response;
    if (this.#call === undefined) this.#prack(early, rseq, cseq);
    else this.#call.whenKept('callee', () => this.#prack(early, rseq, cseq));
  }

  /** RFC 3262 §4. */
  #prack(early: EarlyDialog, rseq: number, invited: number): void {
    const agent = this.#agent;
    const cseq = nextCseq(early.dialog, agent.clock.wallNow());
    early.dialog = { ...early.dialog, localCseq: cseq };
    const { callId, localTag, remoteTag } = early.dialog;
    const branch = agent.ids.branch(callId, localTag, cseq, 'PRACK', remoteTag);
    const fields = `RAck: ${rseq} ${invited} INVITE\r\n`;
    const text = dialogRequest(agent, early.dialog, 'PRACK', cseq, branch, this.#sent?.contactUser ?? '', { fields });
    send(agent, 'PRACK', branch, text, ignored, early.dialog);
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
    this.#session = new Session(this.#sessionHost(sent.contactUser), dialog, description);
    this.#session.refreshedBy(agreedInterval(response));
    const ack = this.#ackOf(dialog, response);
    this.#owedAck = ack;
    this.#acks.set(toTag, () => {
      if (this.#owedAck === undefined) ack(this.#answer);
    });
    if (description === undefined) {
      this.#report({ kind: 'failed', reason: 'notAcceptable' });
      return;
    }
    this.#wantsAnswer = sent.offer === undefined;
    this.#report({ kind: 'answered', description });
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
    const { reason, cause } = reasonOfFinal(response);
    this.#report({ kind: 'failed', reason, cause });
    this.#close();
  }

  /**
   * RFC 4028 §7.3: the INVITE goes again, once, with the interval that is asked for. A backup that sends the first one again hears the same
   * 422 and sends the same second one.
   */
  #inviteAgain(response: SipMessage): boolean {
    const sent = this.#sent;
    const seconds = askedInterval(response);
    if (sent === undefined || seconds === undefined || this.#cancel !== undefined) return false;
    const { invited } = sent.early;
    if (invited.cseq !== inviteCseq) return false;
    const cseq = inviteCseq + 1;
    const branch = this.#agent.ids.branch(this.#callId, this.#localTag, cseq, 'INVITE');
    const text = withInterval(sent.text, seconds)
      .replace(sent.branch, branch)
      .replace(`CSeq: ${inviteCseq} INVITE`, `CSeq: ${cseq} INVITE`);
    this.#isProceeding = false;
    const transaction = send(this.#agent, 'INVITE', branch, text, this);
    this.#sent = { ...sent, text, branch, transaction, early: new EarlyDialogs({ ...invited, cseq }) };
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
      report: (event: LegEvent) => this.#report(event),
      over: () => this.#close(),
    };
  }

  #overIfAlone(): void {
    if (this.#session === undefined) this.#close();
  }

  #close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#session?.abandon();
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

  #report(event: LegEvent): void {
    if (event.kind === 'hungUp' || event.kind === 'failed') this.#hasLeft = true;
    this.#call?.on('callee', event);
  }
}

/** Always the same: whoever sends the INVITE again sends the same one. */
const inviteCseq = 1;

const normalClearing = 16;

const ignored: ClientUser = {
  onResponse: () => undefined,
  onTimeout: () => undefined,
  onTransportError: () => undefined,
};

const nobody: Dialog = {
  role: 'uac',
  callId: '',
  localTag: '',
  remoteTag: '',
  local: '',
  remote: '',
  target: '',
  routes: [],
  token: undefined,
  localCseq: inviteCseq,
  remoteCseq: -1,
};
