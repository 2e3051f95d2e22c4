/** An established dialog of a call (RFC 3261 §12.2, §15): requests both ways, its session timer, and its end. */
import type { Flow, LegEvent, ModifyRefusal } from '../../../src/internal.ts';
import { causeIn, reasonField } from '../causes.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { ClientUser } from '../transactions/client.ts';
import type { ServerTransaction } from '../transactions/server.ts';
import { type AgentParts, allow, dialogRequest, reply, send, supported, unsupportedIn } from './agent.ts';
import { type Dialog, nextCseq, received, usedUpTo } from './dialog.ts';
import { digitBody, digitIn, dtmfRelay } from './dtmf.ts';
import { Renegotiation, type RenegotiationHost } from './renegotiation.ts';
import type { OwnDescription } from './session-description.ts';
import { leastInterval, minimumSeconds, refreshFields, type SessionInterval, SessionTimer } from './session-timer.ts';

export interface SessionHost {
  readonly agent: AgentParts;
  readonly contactUser: string;
  readonly own: OwnDescription;
  report(event: LegEvent): void;
  /** The dialog has ended on both sides. */
  over(): void;
}

export class Session implements RenegotiationHost {
  readonly agent: AgentParts;
  readonly contactUser: string;
  readonly own: OwnDescription;
  dialog: Dialog;
  readonly #host: SessionHost;
  readonly #offers: Renegotiation;
  readonly #timer: SessionTimer;
  /** Keys to be told of, one INFO at a time: they may not overtake each other. */
  readonly #digits: { readonly signal: string; readonly durationMs: number }[] = [];
  #isDigitOut = false;
  /** RFC 4028 §7.4: the least interval that was demanded on this dialog, and how often by a refusal. */
  #leastSeconds = minimumSeconds;
  #raises = 0;
  #ended = false;

  constructor(host: SessionHost, dialog: Dialog, remote: string | undefined) {
    this.#host = host;
    this.agent = host.agent;
    this.contactUser = host.contactUser;
    this.own = host.own;
    this.dialog = dialog;
    this.#offers = new Renegotiation(this, remote);
    this.#timer = new SessionTimer(host.agent.clock, {
      refresh: () => this.#offers.refresh(),
      expired: () => this.lost(),
    });
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  get interval(): SessionInterval | undefined {
    return this.#timer.interval;
  }

  /** Supervised from now on, if both agreed to it. */
  refreshedBy(interval: SessionInterval | undefined): void {
    if (!this.#ended) this.#timer.restart(interval);
  }

  get timerFields(): string {
    const { interval } = this;
    return interval === undefined ? '' : refreshFields(interval, this.#leastSeconds);
  }

  refreshRefused(): void {
    if (!this.#ended) this.#timer.refused();
  }

  takesLonger(refusal: SipMessage): boolean {
    const least = leastInterval(refusal);
    if (this.interval === undefined || least <= this.#leastSeconds || this.#raises >= maxRaises) return false;
    this.#raises += 1;
    this.#leastSeconds = least;
    return true;
  }

  demandedBy(request: SipMessage): void {
    this.#leastSeconds = Math.max(this.#leastSeconds, leastInterval(request));
  }

  report(event: LegEvent): void {
    if (!this.#ended) this.#host.report(event);
  }

  /** A request of the peer's in this dialog, ACK included. */
  receive(request: SipMessage, flow: Flow): void {
    if (request.method === 'ACK') {
      this.#offers.acknowledged(request);
      return;
    }
    const server = this.agent.layer.accept(request, flow);
    if (this.#ended) {
      reply(this.agent, server, request, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    const next = received(this.dialog, request);
    if (next === 'outOfOrder') {
      reply(this.agent, server, request, 500, 'Server Internal Error - CSeq out of order');
      return;
    }
    this.dialog = next;
    // RFC 3261 §15.1.2: who hangs up is let go whatever else he demands.
    if (request.method === 'BYE') {
      this.#onBye(request, server);
      return;
    }
    const unsupported = unsupportedIn(request);
    if (unsupported !== undefined) reply(this.agent, server, request, 420, 'Bad Extension', { fields: unsupported });
    else this.#serve(request, server);
  }

  modify(offer: string | undefined): void {
    this.#offers.offer(offer);
  }

  modifyAnswer(description: string): void {
    this.#offers.answer(description);
  }

  modifyRefuse(reason: ModifyRefusal): void {
    this.#offers.refuse(reason);
  }

  /** Our party's description has changed, or answers what the peer was asked for. */
  connect(description: string): void {
    if (!this.#offers.answerToPeer(description)) this.#offers.offer(description);
  }

  /** The peer shall know where we are (RFC 3261 §12.2.1), and that we live. */
  refresh(): void {
    this.#offers.refresh();
  }

  digit(signal: string, durationMs: number): void {
    if (this.#ended || this.#digits.length >= maxDigits) return;
    this.#digits.push({ signal, durationMs });
    this.#nextDigit();
  }

  /** Our party has hung up. */
  bye(cause?: number): void {
    if (this.#ended) return;
    this.#end();
    const done: ClientUser = {
      onResponse: (response) => {
        if (response.status >= 200) this.#host.over();
      },
      onTimeout: () => this.#host.over(),
      onTransportError: () => this.#host.over(),
    };
    this.#request('BYE', { fields: cause === undefined ? '' : reasonField(cause) }, done);
  }

  /** The peer answers no more, or has forgotten the dialog. */
  lost(): void {
    if (this.#ended) return;
    this.report({ kind: 'hungUp', cause: recoveryOnTimerExpiry });
    this.bye(recoveryOnTimerExpiry);
  }

  /** Ends without a word to the peer. */
  abandon(): void {
    this.#end();
  }

  #end(): void {
    this.#ended = true;
    this.#timer.stop();
    this.#offers.end();
    this.#digits.length = 0;
  }

  #serve(request: SipMessage, server: ServerTransaction): void {
    switch (request.method) {
      case 'INVITE':
      case 'UPDATE':
        this.#offers.receive(request, server);
        return;
      case 'INFO':
        this.#onInfo(request, server);
        return;
      case 'OPTIONS':
        reply(this.agent, server, request, 200, 'OK', { fields: `${allow}${supported}Accept: application/sdp\r\n` });
        return;
      case 'PRACK':
        // All our provisional responses are behind us.
        reply(this.agent, server, request, 481, 'Call/Transaction Does Not Exist');
        return;
      default:
        refuseMethod(this.agent, server, request);
    }
  }

  #onBye(request: SipMessage, server: ServerTransaction): void {
    this.#end();
    reply(this.agent, server, request, 200, 'OK');
    this.#host.report({ kind: 'hungUp', cause: causeIn(request) });
    this.#host.over();
  }

  /** RFC 6086 without packages: keys, and whatever else is taken without a word. */
  #onInfo(request: SipMessage, server: ServerTransaction): void {
    const digit = digitIn(request);
    if (digit === 'unknownBody') {
      const fields = `Accept: ${dtmfRelay}, application/dtmf\r\n`;
      reply(this.agent, server, request, 415, 'Unsupported Media Type', { fields });
      return;
    }
    reply(this.agent, server, request, 200, 'OK');
    if (digit !== undefined) this.report({ kind: 'digit', ...digit });
  }

  #nextDigit(): void {
    const [next] = this.#digits;
    if (next === undefined || this.#isDigitOut) return;
    this.#digits.shift();
    this.#isDigitOut = true;
    const done = (): void => {
      this.#isDigitOut = false;
      if (!this.#ended) this.#nextDigit();
    };
    this.#request(
      'INFO',
      { body: digitBody(next.signal, next.durationMs), contentType: dtmfRelay },
      {
        onResponse: (response) => {
          if (response.status < 200) return;
          done();
          if (response.status === 481) this.lost();
        },
        onTimeout: done,
        onTransportError: done,
      },
    );
  }

  #request(method: string, content: Parameters<typeof dialogRequest>[6], user: ClientUser): void {
    const cseq = nextCseq(this.dialog, this.agent.clock.wallNow());
    this.dialog = { ...this.dialog, localCseq: cseq };
    const { callId, localTag, remoteTag } = this.dialog;
    const branch = this.agent.ids.branch(callId, localTag, cseq, method, remoteTag);
    send(
      this.agent,
      method,
      branch,
      dialogRequest(this.agent, this.dialog, method, cseq, branch, this.contactUser, content),
      {
        ...user,
        onResponse: (response, transaction) => {
          this.dialog = usedUpTo(this.dialog, response.cseq);
          user.onResponse(response, transaction);
        },
      },
      this.dialog,
    );
  }
}

/** RFC 3261 §8.2.1: a method that we know and do not serve, or one that nobody knows (§21.5.2). */
export function refuseMethod(agent: AgentParts, server: ServerTransaction, request: SipMessage): void {
  if (knownMethods.has(request.method)) reply(agent, server, request, 405, 'Method Not Allowed', { fields: allow });
  else reply(agent, server, request, 501, 'Not Implemented', { fields: allow });
}

const knownMethods: ReadonlySet<string> = new Set([
  'REGISTER',
  'SUBSCRIBE',
  'NOTIFY',
  'PUBLISH',
  'REFER',
  'MESSAGE',
  'PRACK',
  'UPDATE',
  'INFO',
  'BYE',
]);

/** Q.850. */
const recoveryOnTimerExpiry = 102;

const maxDigits = 64;

/** Each hop on the way may have a wish of its own, not each time another one. */
const maxRaises = 4;
