/**
 * Offers in an established dialog, both ways: re-INVITE and UPDATE of the peer go to the call, which answers or refuses; what the other
 * party of the call offers goes out as re-INVITE (RFC 3261 §14, RFC 3311 §5). Refused, everything stays as it was.
 */
import type { Cancel, Flow, ModifyRefusal } from '../../../src/internal.ts';
import { warning } from '../causes.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { ClientUser } from '../transactions/client.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import { type AgentParts, answerText, dialogRequest, reply, send, sendAck } from './agent.ts';
import { type Dialog, nextCseq, refreshed, usedUpTo } from './dialog.ts';
import {
  glareWaitMs,
  isFree,
  judge,
  type OfferAnswer,
  type OfferAnswerEvent,
  onOfferAnswer,
  settled,
} from './offer-answer.ts';
import { RepeatedAnswer } from './repeated-answer.ts';
import { descriptionOf, type OwnDescription, offerOf } from './session-description.ts';
import { agreedInterval, answerInterval, minimumSeconds, type SessionInterval } from './session-timer.ts';

export interface RenegotiationHost {
  readonly agent: AgentParts;
  readonly contactUser: string;
  /** What the peer is told of our party. */
  readonly own: OwnDescription;
  dialog: Dialog;
  /** Session-Expires and Min-SE of the next offer or refresh (RFC 4028 §7.4). */
  readonly timerFields: string;
  /** A refresh was answered. */
  refreshedBy(interval: SessionInterval | undefined): void;
  /** ... refused by a peer that knows the dialog. */
  refreshRefused(): void;
  /** A 422 (RFC 4028 §7.3): false: it demands nothing that the request did not have, or too much. */
  takesLonger(refusal: SipMessage): boolean;
  /** What a refresh of the peer's demands for ours. */
  demandedBy(request: SipMessage): void;
  report(event: Parameters<Report>[0]): void;
  /** The peer knows the dialog no more, or does not answer. */
  lost(): void;
}

type Report = (
  event:
    | { readonly kind: 'modified'; readonly description: string }
    | { readonly kind: 'modifyOffered'; readonly description?: string | undefined }
    | { readonly kind: 'modifyAnswered'; readonly description: string }
    | { readonly kind: 'modifyRefused'; readonly reason: ModifyRefusal },
) => void;

/** A request of the peer's that the call has still to answer. */
interface Asked {
  readonly request: SipMessage;
  readonly server: ServerTransaction;
  readonly flow: Flow;
  readonly timerFields: string;
  readonly interval: SessionInterval | undefined;
  readonly hasOffer: boolean;
}

export class Renegotiation {
  readonly #host: RenegotiationHost;
  #state: OfferAnswer = settled;
  /** The peer's description as we have it. */
  #remote: string | undefined;
  #asked: Asked | undefined;
  #answer: { readonly repeated: RepeatedAnswer; readonly cseq: number; readonly wantsAnswer: boolean } | undefined;
  /** What is to be offered once the way is free; `refresh`: nothing has changed, the peer shall know that we live. */
  #wanted: { readonly description: string | undefined; readonly isRefresh: boolean } | undefined;
  #wait: Cancel | undefined;
  #glares = 0;
  /** A 2xx with an offer that waits for the call's answer. */
  #owedAck: ((answer: string) => void) | undefined;
  #ended = false;

  constructor(host: RenegotiationHost, remote: string | undefined) {
    this.#host = host;
    this.#remote = remote;
  }

  end(): void {
    this.#ended = true;
    this.#wait?.();
    this.#answer?.repeated.stop();
    const asked = this.#asked;
    this.#asked = undefined;
    // RFC 3261 §15.1.2: a request that is not answered yet is, all the same.
    if (asked !== undefined) this.#refuse(asked, 487, 'Request Terminated');
  }

  // --- the peer offers ------------------------------------------------------------------------------------------------------

  /** INVITE or UPDATE in the dialog. */
  receive(request: SipMessage, server: ServerTransaction): void {
    const { agent } = this.#host;
    const { flow } = server;
    const method = request.method === 'INVITE' ? 'INVITE' : 'UPDATE';
    const body = offerOf(request);
    const hasOffer = body.kind === 'description' || (body.kind === 'none' && method === 'INVITE');
    const verdict = judge(this.#state, method, hasOffer);
    if (verdict === 'pending') {
      reply(agent, server, request, 491, 'Request Pending');
      return;
    }
    if (verdict === 'tooSoon') {
      const seconds = Math.floor(agent.random.fraction() * 11);
      reply(agent, server, request, 500, 'Server Internal Error', { fields: `Retry-After: ${seconds}\r\n` });
      return;
    }
    const timer = answerInterval(request);
    if (timer.kind === 'tooSmall') {
      const fields = `Min-SE: ${minimumSeconds}\r\n`;
      reply(agent, server, request, 422, 'Session Interval Too Small', { fields });
      return;
    }
    if (body.kind === 'refused') {
      const { status, reason, fields } = body.refusal;
      reply(agent, server, request, status, reason, { fields });
      return;
    }
    const asked: Asked = { request, server, flow, timerFields: timer.fields, interval: timer.interval, hasOffer };
    if (method === 'UPDATE' && body.kind === 'none') {
      this.#accept(asked, undefined);
      return;
    }
    const description = body.kind === 'description' ? body.text : undefined;
    const told = this.#host.own.told;
    if (method === 'INVITE') this.#on({ kind: 'inviteReceived', hasOffer: true });
    else this.#on({ kind: 'offered', whose: 'theirs' });
    this.#asked = asked;
    // What has not changed is a sign of life (RFC 4028 §7.4): the other party need not hear of it.
    if (description !== undefined && description === this.#remote && told !== undefined) {
      this.answer(told);
      return;
    }
    this.#offered = description;
    this.#host.report({ kind: 'modifyOffered', description });
  }

  #offered: string | undefined;

  /** The call's answer, or its offer where the peer asked for one. */
  answer(description: string): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    this.#asked = undefined;
    if (this.#offered !== undefined) this.#remote = this.#offered;
    this.#offered = undefined;
    this.#accept(asked, this.#host.own.tell(description));
  }

  refuse(reason: ModifyRefusal): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    this.#asked = undefined;
    this.#offered = undefined;
    if (reason === 'glare') this.#refuse(asked, 491, 'Request Pending');
    else if (reason === 'notAcceptable')
      this.#refuse(asked, 488, 'Not Acceptable Here', warning(305, 'Incompatible media format'));
    else this.#refuse(asked, 500, 'Server Internal Error', 'Retry-After: 5\r\n');
  }

  /** ACK of a 2xx to the peer's re-INVITE. */
  acknowledged(ack: SipMessage): void {
    const answer = this.#answer;
    if (answer === undefined || ack.cseq !== answer.cseq) return;
    answer.repeated.stop();
    this.#answer = undefined;
    this.#on({ kind: 'inviteEnded', whose: 'theirs' });
    if (answer.wantsAnswer) {
      this.#on({ kind: 'answered' });
      const body = descriptionOf(ack);
      if (body.kind === 'description') {
        this.#remote = body.text;
        this.#host.report({ kind: 'modified', description: body.text });
      }
    }
    this.#next();
  }

  #accept(asked: Asked, body: string | undefined): void {
    const { request, server, flow, timerFields, interval, hasOffer } = asked;
    const host = this.#host;
    const { agent, contactUser } = host;
    host.dialog = refreshed(host.dialog, request, agent.flowNaming.tokenFor(request, flow));
    host.demandedBy(request);
    host.refreshedBy(interval);
    const text = answerText(agent, request, flow, 200, 'OK', { contactUser, fields: timerFields, body });
    if (request.method === 'UPDATE') {
      if (hasOffer) this.#on({ kind: 'answered' });
      server.respond(200, text);
      this.#next();
      return;
    }
    const isOffer = descriptionOf(request).kind === 'none';
    this.#on(isOffer ? { kind: 'offered', whose: 'ours' } : { kind: 'answered' });
    const repeated = new RepeatedAnswer(
      agent.clock,
      agent.layer.timers,
      () => server.respond(200, text),
      // RFC 3261 §14.2: the dialog is as it was; who does not acknowledge does not hear us either.
      () => host.lost(),
    );
    this.#answer = { repeated, cseq: request.cseq, wantsAnswer: isOffer };
  }

  #refuse({ request, server, hasOffer }: Asked, status: number, reason: string, fields?: string): void {
    if (hasOffer) this.#on({ kind: 'answered' });
    if (request.method === 'INVITE') this.#on({ kind: 'inviteEnded', whose: 'theirs' });
    reply(this.#host.agent, server, request, status, reason, { fields });
    if (!this.#ended) this.#next();
  }

  // --- our party offers -----------------------------------------------------------------------------------------------------

  /** undefined: the peer is asked for its description. */
  offer(description: string | undefined): void {
    this.#want({ description, isRefresh: false });
  }

  /** The peer shall know that we live (RFC 4028 §7.4), and where we are. */
  refresh(): void {
    this.#want({ description: this.#host.own.told, isRefresh: true });
  }

  /** The call's word to a description that the peer was asked for; false: none is awaited. */
  answerToPeer(description: string): boolean {
    const ack = this.#owedAck;
    if (ack === undefined) return false;
    this.#owedAck = undefined;
    ack(description);
    return true;
  }

  #want(wanted: { readonly description: string | undefined; readonly isRefresh: boolean }): void {
    // A refresh says nothing that an offer does not say as well.
    if (wanted.isRefresh && this.#wanted !== undefined) return;
    this.#wanted = wanted;
    this.#next();
  }

  #next(): void {
    const wanted = this.#wanted;
    if (this.#ended || wanted === undefined || this.#wait !== undefined || !isFree(this.#state)) return;
    this.#wanted = undefined;
    this.#invite(wanted.description, wanted.isRefresh);
  }

  #invite(description: string | undefined, isRefresh: boolean): void {
    const host = this.#host;
    const { agent, contactUser } = host;
    const cseq = nextCseq(host.dialog, agent.clock.wallNow());
    host.dialog = { ...host.dialog, localCseq: cseq };
    const { callId, localTag, remoteTag } = host.dialog;
    const branch = agent.ids.branch(callId, localTag, cseq, 'INVITE', remoteTag);
    const fields = `Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO\r\nSupported: timer\r\n${host.timerFields}`;
    const body = description === undefined ? undefined : host.own.tell(description);
    this.#on({ kind: 'inviteSent', hasOffer: true });
    const text = dialogRequest(agent, host.dialog, 'INVITE', cseq, branch, contactUser, { fields, body });
    const sent = host.dialog;
    let said: string | undefined;
    // A carrier that challenged it on the way knows the one that came after it (RFC 3261 §22.2).
    let accepted = cseq;
    const acknowledge = (answer = said): void => {
      said = answer;
      const ackBranch = agent.ids.branch(callId, localTag, accepted, 'ACK', remoteTag);
      const dialog = { ...sent, ...pathOf(host.dialog) };
      const body = answer;
      sendAck(agent, dialogRequest(agent, dialog, 'ACK', accepted, ackBranch, contactUser, { body }), dialog);
    };
    let isAnswered = false;
    const user: ClientUser = {
      onResponse: (response) => {
        const { status } = response;
        if (status < 200) return;
        accepted = response.cseq;
        host.dialog = usedUpTo(host.dialog, accepted);
        if (status >= 300) {
          this.#on({ kind: 'inviteEnded', whose: 'ours' });
          this.#on({ kind: 'answered' });
          if (!this.#ended) this.#onRefused(response, description, isRefresh);
          return;
        }
        if (isAnswered) {
          // A 2xx that comes again has not been acknowledged (RFC 3261 §13.2.2.4).
          if (this.#owedAck === undefined) acknowledge();
          return;
        }
        isAnswered = true;
        this.#onTaken(response, description, isRefresh, acknowledge);
      },
      onTimeout: () => this.#lost(),
      onTransportError: () => this.#lost(),
    };
    send(agent, 'INVITE', branch, text, user, sent);
  }

  #onTaken(
    response: SipMessage,
    description: string | undefined,
    isRefresh: boolean,
    acknowledge: (answer?: string) => void,
  ): void {
    const host = this.#host;
    this.#glares = 0;
    host.dialog = refreshed(host.dialog, response);
    host.refreshedBy(agreedInterval(response));
    this.#on({ kind: 'inviteEnded', whose: 'ours' });
    const body = descriptionOf(response);
    if (this.#ended || body.kind !== 'description') {
      acknowledge();
      this.#on({ kind: 'answered' });
      // A 2xx without an answer leaves the offer open (RFC 3261 §13.2.1): the peer has not understood it.
      if (!this.#ended && !isRefresh) host.report({ kind: 'modifyRefused', reason: 'temporary' });
      this.#next();
      return;
    }
    const isNew = body.text !== this.#remote;
    this.#remote = body.text;
    if (description !== undefined) {
      acknowledge();
      this.#on({ kind: 'answered' });
      if (!isRefresh) host.report({ kind: 'modifyAnswered', description: body.text });
      else if (isNew) host.report({ kind: 'modified', description: body.text });
      this.#next();
      return;
    }
    // We asked for its offer: the answer is in the ACK (RFC 3261 §14.1).
    this.#owedAck = (answer) => {
      acknowledge(host.own.tell(answer));
      this.#on({ kind: 'answered' });
      this.#next();
    };
    host.report({ kind: 'modifyAnswered', description: body.text });
  }

  #onRefused(response: SipMessage, description: string | undefined, isRefresh: boolean): void {
    const { agent, dialog } = this.#host;
    const { status } = response;
    if (status === 408 || status === 481) {
      this.#lost();
      return;
    }
    if (status === 422 && this.#host.takesLonger(response)) {
      this.#wanted ??= { description, isRefresh };
      this.#next();
      return;
    }
    if (status === 491 && this.#glares < (isRefresh ? maxRefreshGlares : maxGlares)) {
      this.#glares += 1;
      this.#wanted ??= { description, isRefresh };
      this.#wait = agent.clock.after(glareWaitMs(dialog.role === 'uac', agent.random.fraction()), () => {
        this.#wait = undefined;
        this.#next();
      });
      return;
    }
    this.#glares = 0;
    if (isRefresh) this.#host.refreshRefused();
    else {
      const isTemporary = status === 491 || status >= 500;
      this.#host.report({ kind: 'modifyRefused', reason: isTemporary ? 'temporary' : 'notAcceptable' });
    }
    this.#next();
  }

  #lost(): void {
    if (!this.#ended) this.#host.lost();
  }

  #on(event: OfferAnswerEvent): void {
    this.#state = onOfferAnswer(this.#state, event);
  }
}

/** Where requests go now; which request it is stays. */
const pathOf = ({ target, routes, token }: Dialog): Pick<Dialog, 'target' | 'routes' | 'token'> => ({
  target,
  routes,
  token,
});

const maxGlares = 8;

/** Who has an offer open towards a dead member has it for 64*T1 (RFC 3261 §17.1.1.2): what tells him where we are waits longer. */
const maxRefreshGlares = 40;
