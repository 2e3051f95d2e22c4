/**
 * One call of the telephone: an INVITE dialog (RFC 3261 §12, §13, §15), from either side.
 *
 *     calling ──18x──► ringing ──2xx──► answered ──BYE──► ended
 *        └──────────────┴── refused, cancelled, no answer ──► ended
 */
import type { Cancel } from '../../../src/internal.ts';
import { answer, offer } from './sdp.ts';
import type { PackageAddress, PackageHeaders, PackageRequest, PackageResponse } from './sip-types.ts';
import type { Call, CallEnd, CallMedia, CallState, TelephoneLine } from './telephone-line.ts';

abstract class BaseCall {
  readonly ended: Promise<CallEnd>;
  readonly id: string;
  protected readonly line: TelephoneLine;
  protected remoteTarget: string | undefined;
  protected routeSet: readonly PackageAddress[] = [];
  protected cseq = 1;
  protected readonly media: CallMedia | undefined;
  #state: CallState = 'calling';
  #end: (end: CallEnd) => void = () => undefined;

  constructor(line: TelephoneLine, id: string) {
    this.line = line;
    this.id = id;
    this.media = line.openMedia();
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get state(): CallState {
    return this.#state;
  }

  protected abstract self(): Call;

  protected enter(state: 'ringing' | 'answered', detail: string): void {
    if (this.#state === 'ended' || this.#state === state) return;
    this.#state = state;
    this.line.changed(this.self(), detail);
  }

  protected finish(end: CallEnd): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    this.media?.close();
    this.line.ended(this.self(), end);
    this.#end(end);
  }

  /** An ACK came; one with a description answers an offer of ours (RFC 3261 §13.2.1). */
  acknowledged(answered?: string): void {
    if (answered !== undefined && answered !== '') this.media?.set(answered, 'both');
  }

  /** Our description for this offer, to which we send from now on; without one an offer of ours. */
  protected describe(offered: string | undefined): string {
    if (offered === undefined || offered === '') return offer(this.line.host, 1, this.media?.port);
    this.media?.set(offered, 'both');
    return answer(this.line.host, 1, offered, this.media?.port);
  }

  protected abstract ours(): PackageAddress;
  protected abstract theirs(): PackageAddress;

  /** RFC 3261 §12.2.1.1. */
  protected within(method: string, cseq: number): PackageRequest {
    return {
      method,
      uri: this.remoteTarget ?? '',
      headers: {
        from: this.ours(),
        to: this.theirs(),
        'call-id': this.id,
        cseq: { seq: cseq, method },
        'max-forwards': 70,
        route: this.routeSet.map(copyAddress),
        contact: [this.line.contact()],
      },
    };
  }

  protected bye(): void {
    this.cseq += 1;
    const request = this.within('BYE', this.cseq);
    this.line.request(request, (response) => {
      if (response.status < 200) return;
      // 408 and 481 end a dialog as well (RFC 3261 §12.2.1.2).
      this.finish({ by: 'us', status: response.status, reason: response.reason });
    });
  }

  /** BYE, re-INVITE and the like from the other side; false where this dialog has no use for it. */
  receive(request: PackageRequest): boolean {
    switch (request.method) {
      case 'BYE':
        this.line.respond(request, 200, 'OK');
        this.finish({ by: 'them', status: 200, reason: 'OK' });
        return true;
      case 'INVITE':
      case 'UPDATE': {
        this.remoteTarget = contactOf(request.headers) ?? this.remoteTarget;
        this.line.respond(request, 200, 'OK', {
          headers: { contact: [this.line.contact()], 'content-type': 'application/sdp' },
          content: this.describe(request.content),
        });
        return true;
      }
      case 'INFO':
      case 'NOTIFY':
      case 'OPTIONS':
      case 'MESSAGE':
        this.line.respond(request, 200, 'OK');
        return true;
      default:
        return false;
    }
  }
}

export class OutgoingCall extends BaseCall implements Call {
  readonly direction = 'outgoing';
  readonly peer: string;
  readonly #localTag: string;
  #remote: PackageAddress;
  #invite: PackageRequest;
  #provisional = false;
  #cancelled = false;
  #cancelSent = false;

  constructor(line: TelephoneLine, id: string, target: string, localTag: string) {
    super(line, id);
    this.peer = target;
    this.#localTag = localTag;
    this.#remote = { uri: target, params: {} };
    this.#invite = this.#makeInvite();
    this.#send();
  }

  protected self(): Call {
    return this;
  }

  answer(): void {}

  refuse(): void {
    this.hangUp();
  }

  hangUp(): void {
    if (this.state === 'ended') return;
    if (this.state === 'answered') this.bye();
    else {
      this.#cancelled = true;
      this.#cancelIfRinging();
    }
  }

  protected ours(): PackageAddress {
    return { ...this.line.self(), params: { tag: this.#localTag } };
  }

  protected theirs(): PackageAddress {
    return this.#remote;
  }

  #makeInvite(): PackageRequest {
    return {
      method: 'INVITE',
      uri: this.peer,
      content: this.describe(undefined),
      headers: {
        from: this.ours(),
        to: { uri: this.peer, params: {} },
        'call-id': this.id,
        cseq: { seq: this.cseq, method: 'INVITE' },
        'max-forwards': 70,
        contact: [this.line.contact()],
        route: this.line.route(),
        allow: allowed,
        'content-type': 'application/sdp',
      },
    };
  }

  #send(): void {
    const invite = this.#invite;
    this.line.request(invite, (response) => this.#onResponse(response, invite));
  }

  #onResponse(response: PackageResponse, invite: PackageRequest): void {
    if (invite !== this.#invite) return;
    const { status } = response;
    if (status < 200) {
      this.#provisional = true;
      if (status > 100) this.enter('ringing', `${status} ${response.reason}`);
      this.#cancelIfRinging();
    } else if (status < 300) this.#onSuccess(response);
    else if ((status === 401 || status === 407) && !this.#cancelled && this.line.challenged(response, invite)) {
      this.cseq += 1;
      this.#invite = this.#makeInvite();
      this.#send();
    } else this.finish({ by: this.#cancelled ? 'us' : 'failure', status, reason: response.reason });
  }

  #onSuccess(response: PackageResponse): void {
    const { headers } = response;
    const known = this.#remote.params['tag'];
    const isOurs = known === undefined || known === headers.to.params['tag'];
    if (known === undefined) this.#establish(headers);
    if (!isOurs) {
      this.#endFork(headers);
      return;
    }
    const ack = this.within('ACK', this.#invite.headers.cseq.seq);
    // RFC 3261 §22.1: the credentials of the INVITE, since an ACK cannot be challenged.
    for (const header of ['authorization', 'proxy-authorization'] as const) {
      const credentials = this.#invite.headers[header];
      if (credentials !== undefined) ack.headers[header] = credentials;
    }
    this.line.acknowledge(ack);
    if (known !== undefined) return;
    if (response.content !== undefined && response.content !== '') this.media?.set(response.content, 'both');
    if (this.#cancelled) this.bye();
    else this.enter('answered', `${response.status} ${response.reason}`);
  }

  /** RFC 3261 §12.1.2: the route set is the Record-Route, reversed. */
  #establish(headers: PackageHeaders): void {
    this.#remote = copyAddress(headers.to);
    this.routeSet = [...(headers['record-route'] ?? [])].reverse();
    this.remoteTarget = contactOf(headers) ?? this.peer;
  }

  /** RFC 3261 §13.2.2.4: of several that answered, the first is kept, each other one is acknowledged and ended. */
  #endFork(headers: PackageHeaders): void {
    const fork = (method: string, cseq: number): PackageRequest => {
      const request = this.within(method, cseq);
      request.uri = contactOf(headers) ?? this.peer;
      request.headers.to = copyAddress(headers.to);
      request.headers.route = [...(headers['record-route'] ?? [])].reverse().map(copyAddress);
      return request;
    };
    this.line.acknowledge(fork('ACK', this.#invite.headers.cseq.seq));
    this.line.request(fork('BYE', this.cseq + 1), () => undefined);
  }

  /** RFC 3261 §9.1: not before a provisional response. */
  #cancelIfRinging(): void {
    const via = this.#invite.headers.via?.[0];
    if (!this.#cancelled || this.#cancelSent || !this.#provisional || via === undefined) return;
    this.#cancelSent = true;
    const { from, to, cseq, route } = this.#invite.headers;
    this.line.request(
      {
        method: 'CANCEL',
        uri: this.#invite.uri,
        headers: {
          via: [via],
          from,
          to,
          'call-id': this.id,
          cseq: { seq: cseq.seq, method: 'CANCEL' },
          'max-forwards': 70,
          route,
        },
      },
      () => undefined,
    );
  }
}

export class IncomingCall extends BaseCall implements Call {
  readonly direction = 'incoming';
  readonly peer: string;
  readonly #invite: PackageRequest;
  readonly #localTag: string;
  #timer: Cancel | undefined;

  constructor(line: TelephoneLine, invite: PackageRequest, localTag: string) {
    super(line, invite.headers['call-id']);
    this.#invite = invite;
    this.#localTag = localTag;
    this.peer = line.text(invite.headers.from.uri);
    // RFC 3261 §12.1.1: here the Record-Route counts in the order it has.
    this.routeSet = invite.headers['record-route'] ?? [];
    this.remoteTarget = contactOf(invite.headers);
  }

  /** Branch of the INVITE: another INVITE of the same call and CSeq is a second copy, not a repetition (RFC 3261 §8.2.2.2). */
  get branch(): unknown {
    return this.#invite.headers.via?.[0]?.params['branch'];
  }

  ring(): void {
    this.#respond(180, 'Ringing');
    this.enter('ringing', '180 Ringing');
  }

  answer(): void {
    if (this.state !== 'calling' && this.state !== 'ringing') return;
    this.#respond(200, 'OK', this.describe(this.#invite.content));
    this.enter('answered', '200 OK');
    // RFC 3261 §13.3.1.4: an answer that nobody acknowledges ends in BYE.
    this.#timer = this.line.clock.after(ackLimitMs, () => this.hangUp());
  }

  override acknowledged(answered?: string): void {
    super.acknowledged(answered);
    this.#timer?.();
    this.#timer = undefined;
  }

  refuse(status: number, reason: string): void {
    if (this.state !== 'calling' && this.state !== 'ringing') return;
    this.#respond(status, reason);
    this.finish({ by: 'us', status, reason });
  }

  /** CANCEL came: 487 to the INVITE (RFC 3261 §9.2). */
  cancelled(): void {
    if (this.state !== 'calling' && this.state !== 'ringing') return;
    this.#respond(487, 'Request Terminated');
    this.finish({ by: 'them', status: 487, reason: 'Request Terminated' });
  }

  hangUp(): void {
    if (this.state === 'answered') this.bye();
    else this.refuse(480, 'Temporarily Unavailable');
  }

  protected self(): Call {
    return this;
  }

  protected override finish(end: CallEnd): void {
    this.#timer?.();
    this.#timer = undefined;
    super.finish(end);
  }

  protected ours(): PackageAddress {
    return { ...copyAddress(this.#invite.headers.to), params: { tag: this.#localTag } };
  }

  protected theirs(): PackageAddress {
    return copyAddress(this.#invite.headers.from);
  }

  #respond(status: number, reason: string, content?: string): void {
    const headers: Record<string, unknown> = {
      to: this.ours(),
      contact: [this.line.contact()],
      ...(this.#invite.headers['record-route'] === undefined
        ? {}
        : { 'record-route': this.#invite.headers['record-route'] }),
      ...(content === undefined ? {} : { 'content-type': 'application/sdp', allow: allowed }),
    };
    this.line.respond(this.#invite, status, reason, content === undefined ? { headers } : { headers, content });
  }
}

export const allowed = 'INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, MESSAGE, NOTIFY';

/** 64*T1. */
const ackLimitMs = 32_000;

const copyAddress = (address: PackageAddress): PackageAddress => ({ ...address, params: { ...address.params } });

function contactOf(headers: PackageHeaders): string | undefined {
  const { contact } = headers;
  if (!Array.isArray(contact)) return undefined;
  const uri = contact[0]?.uri;
  return typeof uri === 'string' ? uri : undefined;
}
