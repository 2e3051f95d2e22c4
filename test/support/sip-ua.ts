/**
 * A plain SIP telephone for scenarios: RFC 3261 user agent with its own transactions and dialogs, unaware of AlternatePath. What it
 * went through (calls placed, rung, answered, given up) stays readable, so that a scenario can say what must hold.
 */

import { decode } from '../../protocols/sip/codec/decode.ts';
import { H } from '../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../protocols/sip/codec/messages.ts';
import { parseUri } from '../../protocols/sip/codec/uri.ts';
import { parseNameAddr } from '../../protocols/sip/codec/values.ts';
import type { Cancel, Clock, Listener, SocketAddress } from '../../src/internal.ts';
import type { MemoryNetwork } from './memory-network.ts';

/** What it does with an incoming call. */
export type Answering = 'answer' | 'ring' | 'busy' | 'decline' | 'unavailable';

export interface PhoneOptions {
  readonly network: MemoryNetwork;
  readonly address: string;
  readonly user: string;
  readonly domain: string;
  /** Its outbound proxies, in the order it tries them for requests outside of dialogs: a plain telephone knows one. */
  readonly proxy: SocketAddress;
  readonly answering?: Answering;
  readonly ringMs?: number;
  /** Copies Record-Route entries with their header parameters into Route, as most telephones do; else only the URI (RFC 3261 §12.1). */
  readonly copiesParams?: boolean;
  /** What it does with requests in a dialog while it rings, as measured with these: `linphone` tells by 491 to OPTIONS that it does. */
  readonly model?: 'baresip' | 'linphone';
  /** It has something to say before it answers: 183 with a description. */
  readonly hasEarlyMedia?: boolean;
}

export interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  remoteTag: string;
  localCseq: number;
  target: string;
  routes: readonly string[];
  readonly localUri: string;
  readonly remoteUri: string;
  state: 'early' | 'confirmed' | 'ended';
  /** What it last said of its media: so it answers a refresh as well. */
  said?: string;
}

export type Final = (status: number, response: SipMessage | undefined) => void;

interface ClientTransaction {
  readonly method: string;
  readonly text: string;
  readonly to: SocketAddress;
  readonly final: Final;
  readonly provisional: ((response: SipMessage) => void) | undefined;
  state: 'trying' | 'proceeding' | 'completed';
  retransmit: Cancel | undefined;
  deadline: Cancel | undefined;
  ack: string | undefined;
}

interface ServerTransaction {
  readonly request: SipMessage;
  readonly from: SocketAddress;
  last: string | undefined;
  status: number;
  retransmit: Cancel | undefined;
  deadline: Cancel | undefined;
  answer: Cancel | undefined;
}

const t1Ms = 500;
const t2Ms = 4_000;
const t4Ms = 5_000;

export class SimPhone {
  readonly options: PhoneOptions;
  readonly clock: Clock;
  answering: Answering;
  /** Distinct INVITE transactions that made it ring, by Call-ID. */
  readonly rung = new Map<string, number>();
  readonly ringing = new Set<string>();
  readonly dialogs = new Map<string, Dialog>();
  /** Requests that reached it and were answered, outside of repetitions: `BYE`, `MESSAGE`, … */
  readonly served: string[] = [];
  /** Final answers to what it asked, as `BYE 200`; 0: none came. */
  readonly finals: string[] = [];
  readonly complaints: string[] = [];
  /** It was told that the other party is being alerted. */
  hasHeard180 = false;
  #listener: Listener | undefined;
  #serial = 0;
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #servers = new Map<string, ServerTransaction>();
  readonly #acks = new Map<string, string>();
  /** Calls whose answer goes with the ACK. */
  readonly #offerless = new Set<string>();
  /** Dialogs with an open re-INVITE of its own. */
  readonly #reinviting = new Set<Dialog>();
  onConfirmed: ((dialog: Dialog, asCaller: boolean) => void) | undefined;
  onRequest: ((request: SipMessage) => void) | undefined;

  constructor(options: PhoneOptions) {
    this.options = options;
    this.clock = options.network.host(options.address).clock;
    this.answering = options.answering ?? 'answer';
  }

  get uri(): string {
    return `sip:${this.options.user}@${this.options.domain}`;
  }

  get contact(): string {
    return `sip:${this.options.user}@${this.options.address}:5060`;
  }

  /** Transactions that still do something. */
  get busy(): number {
    let open = 0;
    for (const { state } of this.#clients.values()) if (state !== 'completed') open += 1;
    for (const { status, retransmit } of this.#servers.values())
      if (status < 200 || retransmit !== undefined) open += 1;
    return open;
  }

  /** It waits for the answer to a request within a dialog, or to one that ends its call. */
  get isAsking(): boolean {
    for (const { state, method, text } of this.#clients.values())
      if (state !== 'completed' && (method !== 'INVITE' || /^To: [^\r]*;tag=/m.test(text))) return true;
    return false;
  }

  async start(): Promise<void> {
    const { network, address } = this.options;
    this.#listener = await network
      .host(address)
      .bind(
        { transport: 'udp', host: address, port: 5_060 },
        {},
        { received: (bytes, flow) => this.#received(bytes, flow.remote), failed: () => undefined },
      );
  }

  register(final: Final = () => undefined): void {
    const { domain } = this.options;
    this.#newRequest('REGISTER', `sip:${domain}`, this.uri, final, {
      fields: `Contact: <${this.contact}>\r\nExpires: 3600\r\n`,
    });
  }

  message(target: string, final: Final = () => undefined): void {
    this.#newRequest('MESSAGE', target, target, final, {
      fields: 'Content-Type: text/plain\r\n',
      body: 'hello',
    });
  }

  /** Places a call; returns its Call-ID. */
  call(
    target: string,
    final: Final = () => undefined,
    provisional?: (response: SipMessage) => void,
    { isOfferless = false } = {},
  ): string {
    const callId = this.#unique('call');
    const localTag = this.#unique('t');
    const early: Dialog = {
      callId,
      localTag,
      remoteTag: '',
      localCseq: 1,
      target,
      routes: [],
      localUri: this.uri,
      remoteUri: target,
      state: 'early',
    };
    this.dialogs.set(callId, early);
    this.#newRequest(
      'INVITE',
      target,
      target,
      (status, response) => {
        if (response === undefined || status >= 300) early.state = 'ended';
        else this.#established(early, response);
        final(status, response);
      },
      {
        callId,
        fromTag: localTag,
        fields: isOfferless ? `Contact: <${this.contact}>\r\n` : this.#offer(),
        body: isOfferless ? '' : sdp,
        provisional,
      },
    );
    if (isOfferless) this.#offerless.add(callId);
    return callId;
  }

  /** CANCEL of the call's INVITE, once a provisional has come (RFC 3261 §9.1). */
  cancel(callId: string): void {
    for (const [branch, transaction] of this.#clients) {
      if (transaction.method !== 'INVITE' || !transaction.text.includes(`Call-ID: ${callId}\r\n`)) continue;
      if (transaction.state === 'completed' || this.#clients.has(`${branch} CANCEL`)) continue;
      const lines = transaction.text.slice(0, transaction.text.indexOf('\r\n\r\n')).split('\r\n');
      const [requestLine = ''] = lines;
      const kept = lines.filter((line) => /^(?:Via|From|To|Call-ID|Max-Forwards|Route):/.test(line));
      const text = `CANCEL ${requestLine.split(' ')[1]} SIP/2.0\r\n${kept.join('\r\n')}\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n`;
      this.#start(`${branch} CANCEL`, 'CANCEL', text, transaction.to, () => undefined, undefined);
    }
  }

  bye(dialog: Dialog, final: Final = () => undefined): void {
    dialog.state = 'ended';
    this.inDialog(dialog, 'BYE', final);
  }

  inDialog(dialog: Dialog, method: string, final: Final = () => undefined, fields = '', body = ''): void {
    dialog.localCseq += 1;
    const callback: Final =
      method === 'INVITE'
        ? (status, response) => {
            this.#reinviting.delete(dialog);
            if (response !== undefined && status < 300) this.#acknowledge(dialog, response);
            final(status, response);
          }
        : final;
    if (method === 'INVITE') {
      this.#reinviting.add(dialog);
      dialog.said = body === '' ? sdp : body;
    }
    this.#request(method, dialog, callback, fields, body);
  }

  dialog(callId: string): Dialog | undefined {
    return this.dialogs.get(callId);
  }

  /** What is over is remembered no more: for runs of very many calls. */
  forget(): void {
    this.finals.length = 0;
    this.served.length = 0;
    this.rung.clear();
    this.#acks.clear();
    this.#offerless.clear();
    for (const [callId, { state }] of this.dialogs) if (state === 'ended') this.dialogs.delete(callId);
    for (const [key, { state }] of this.#clients) if (state === 'completed') this.#clients.delete(key);
  }

  // --- client side ----------------------------------------------------------------------------------------------------------

  #established(early: Dialog, response: SipMessage): void {
    if (early.state === 'ended') return;
    const isFirst = early.state === 'early';
    early.state = 'confirmed';
    early.remoteTag = response.toTag;
    early.target = contactOf(response) ?? early.target;
    early.routes = this.#routes([...response.list(H.recordRoute)].reverse());
    this.#acknowledge(early, response);
    if (isFirst) this.onConfirmed?.(early, true);
  }

  /** The ACK of a 2xx: made once, repeated as it is (RFC 3261 §13.2.2.4). */
  #acknowledge(dialog: Dialog, response: SipMessage): void {
    const key = `${response.callId} ${response.cseq} ${response.toTag}`;
    let ack = this.#acks.get(key);
    if (ack === undefined) {
      const isAnswer = response.cseq === 1 && this.#offerless.has(response.callId);
      const fields = isAnswer ? 'Content-Type: application/sdp\r\n' : '';
      ack = this.#dialogText('ACK', dialog, response.cseq, this.#branch(), response.toTag, fields, isAnswer ? sdp : '');
      this.#acks.set(key, ack);
    }
    this.#send(ack, this.#nextHop(dialog));
  }

  #newRequest(
    method: string,
    requestUri: string,
    to: string,
    final: Final,
    options: {
      readonly callId?: string;
      readonly fromTag?: string;
      readonly fields?: string;
      readonly body?: string;
      readonly provisional?: ((response: SipMessage) => void) | undefined;
    },
  ): void {
    const branch = this.#branch();
    const { callId = this.#unique('id'), fromTag = this.#unique('t'), fields = '', body = '' } = options;
    const text =
      `${method} ${requestUri} SIP/2.0\r\n${this.#via(branch)}Max-Forwards: 70\r\nFrom: <${this.uri}>;tag=${fromTag}\r\nTo: <${to}>\r\n` +
      `Call-ID: ${callId}\r\nCSeq: 1 ${method}\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
    this.#start(branch, method, text, this.options.proxy, final, options.provisional);
  }

  #request(method: string, dialog: Dialog, final: Final, fields: string, body: string): void {
    const branch = this.#branch();
    const text = this.#dialogText(
      method,
      dialog,
      dialog.localCseq,
      branch,
      dialog.remoteTag,
      method === 'INVITE' ? this.#offer() : fields,
      method === 'INVITE' && body === '' ? sdp : body,
    );
    this.#start(branch, method, text, this.#nextHop(dialog), final, undefined);
  }

  #dialogText(
    method: string,
    dialog: Dialog,
    cseq: number,
    branch: string,
    remoteTag: string,
    fields: string,
    body: string,
  ): string {
    return (
      `${method} ${dialog.target} SIP/2.0\r\n${this.#via(branch)}Max-Forwards: 70\r\n` +
      `${dialog.routes.map((route) => `Route: ${route}\r\n`).join('')}From: <${dialog.localUri}>;tag=${dialog.localTag}\r\n` +
      `To: <${dialog.remoteUri}>;tag=${remoteTag}\r\nCall-ID: ${dialog.callId}\r\nCSeq: ${cseq} ${method}\r\n${fields}` +
      `Content-Length: ${body.length}\r\n\r\n${body}`
    );
  }

  #start(
    key: string,
    method: string,
    text: string,
    to: SocketAddress,
    final: Final,
    provisional: ((response: SipMessage) => void) | undefined,
  ): void {
    const transaction: ClientTransaction = {
      method,
      text,
      to,
      final,
      provisional,
      state: 'trying',
      retransmit: undefined,
      deadline: undefined,
      ack: undefined,
    };
    this.#clients.set(key, transaction);
    this.#send(text, to);
    let waitMs = t1Ms;
    const again = (): void => {
      transaction.retransmit = this.clock.after(waitMs, () => {
        this.#send(text, to);
        waitMs = method === 'INVITE' ? waitMs * 2 : Math.min(waitMs * 2, t2Ms);
        again();
      });
    };
    again();
    transaction.deadline = this.clock.after(64 * t1Ms, () => {
      this.#settle(transaction);
      this.finals.push(`${method} 0`);
      final(0, undefined);
    });
  }

  #settle(transaction: ClientTransaction): void {
    transaction.state = 'completed';
    transaction.retransmit?.();
    transaction.deadline?.();
    transaction.retransmit = undefined;
  }

  #onResponse(response: SipMessage): void {
    const branch = response.via.branch ?? '';
    const transaction = this.#clients.get(response.method === 'CANCEL' ? `${branch} CANCEL` : branch);
    if (transaction === undefined || transaction.method !== response.method) return;
    const { status, method } = response;
    if (transaction.state === 'completed') {
      if (method !== 'INVITE') return;
      if (status >= 300) this.#send(transaction.ack ?? '', transaction.to);
      else if (status >= 200) this.#secondAnswer(response);
      return;
    }
    if (status < 200) {
      transaction.state = 'proceeding';
      if (method === 'INVITE') {
        transaction.retransmit?.();
        transaction.deadline?.();
        transaction.retransmit = undefined;
      }
      if (status === 180) this.hasHeard180 = true;
      transaction.provisional?.(response);
      return;
    }
    this.#settle(transaction);
    this.finals.push(`${method} ${status}`);
    if (method === 'INVITE' && status >= 300) {
      transaction.ack = ackOf(transaction.text, response);
      this.#send(transaction.ack, transaction.to);
    }
    transaction.final(status, response);
  }

  /** A 2xx after the first: a repetition is acknowledged again, another callee's is taken and hung up (RFC 3261 §13.2.2.4). */
  #secondAnswer(response: SipMessage): void {
    const dialog = this.dialogs.get(response.callId);
    if (dialog === undefined) return;
    if (this.#acks.has(`${response.callId} ${response.cseq} ${response.toTag}`)) {
      this.#acknowledge(dialog, response);
      return;
    }
    this.complaints.push('the call was answered twice');
  }

  // --- server side ----------------------------------------------------------------------------------------------------------

  #received(bytes: Buffer, from: SocketAddress): void {
    const decoded = decode(bytes);
    if (!decoded.ok) {
      this.complaints.push(`malformed message: ${decoded.error.reason}`);
      return;
    }
    const message = decoded.value;
    if (!message.isRequest) this.#onResponse(message);
    else if (message.method === 'ACK') this.#onAck(message);
    else this.#onRequest(message, from);
  }

  #onAck(ack: SipMessage): void {
    // Of a non-2xx: by its branch.
    const failed = this.#servers.get(serverKey(ack, 'INVITE'));
    if (failed !== undefined && failed.status >= 300) {
      this.#stopRepeating(failed);
      return;
    }
    for (const transaction of this.#servers.values()) {
      const { request, status } = transaction;
      if (request.method !== 'INVITE' || request.callId !== ack.callId || request.cseq !== ack.cseq) continue;
      if (status < 200 || status >= 300 || transaction.retransmit === undefined) continue;
      this.#stopRepeating(transaction);
      const dialog = this.dialogs.get(ack.callId);
      if (dialog !== undefined && dialog.state === 'early') {
        dialog.state = 'confirmed';
        this.onConfirmed?.(dialog, false);
      }
    }
  }

  #stopRepeating(transaction: ServerTransaction): void {
    transaction.retransmit?.();
    transaction.deadline?.();
    transaction.retransmit = undefined;
    // RFC 3261 §17.2.1: confirmed, Timer I; a 2xx's transaction lingers for its repetitions (RFC 6026 §7.1).
    const lingerMs = transaction.status >= 300 ? t4Ms : 64 * t1Ms;
    this.clock.after(lingerMs, () => this.#servers.delete(serverKey(transaction.request, transaction.request.method)));
  }

  #onRequest(request: SipMessage, from: SocketAddress): void {
    const key = serverKey(request, request.method);
    const known = this.#servers.get(key);
    if (known !== undefined) {
      const acknowledged = known.request.method === 'INVITE' && known.status >= 200 && known.retransmit === undefined;
      if (known.last !== undefined && !acknowledged) this.#reply(known, known.last);
      return;
    }
    const transaction: ServerTransaction = {
      request,
      from,
      last: undefined,
      status: 0,
      retransmit: undefined,
      deadline: undefined,
      answer: undefined,
    };
    this.#servers.set(key, transaction);
    this.onRequest?.(request);
    if (request.method === 'CANCEL') this.#onCancel(transaction);
    else if (request.method === 'INVITE' && request.toTag === '') this.#onCall(transaction);
    else this.#onOther(transaction);
  }

  #onOther(transaction: ServerTransaction): void {
    const { request } = transaction;
    const { method } = request;
    const dialog = this.dialogs.get(request.callId);
    if (request.toTag !== '' && (dialog === undefined || (dialog.state === 'ended' && method !== 'BYE'))) {
      this.#respond(transaction, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    if (dialog?.state === 'early' && this.#isTooEarly(transaction, dialog)) return;
    // RFC 3261 §14.2.
    if (method === 'INVITE' && dialog !== undefined && this.#reinviting.has(dialog)) {
      this.#respond(transaction, 491, 'Request Pending');
      return;
    }
    this.served.push(method);
    if (method === 'BYE' && dialog !== undefined) {
      // Whoever hangs up has had his ACK's worth: the 2xx is repeated no more.
      if (dialog.state === 'early') this.onConfirmed?.(dialog, false);
      dialog.state = 'ended';
      for (const other of this.#servers.values())
        if (
          other.request.callId === request.callId &&
          other.request.method === 'INVITE' &&
          other.retransmit !== undefined
        )
          this.#stopRepeating(other);
    }
    // RFC 3261 §12.2.2: a re-INVITE refreshes the target.
    if (dialog !== undefined && (method === 'INVITE' || method === 'UPDATE'))
      dialog.target = contactOf(request) ?? dialog.target;
    if (method === 'INVITE') this.#accept(transaction, dialog);
    else this.#respond(transaction, method === 'REFER' ? 202 : 200, 'OK');
  }

  /** It rings, or its 200 is not acknowledged. */
  #isTooEarly(transaction: ServerTransaction, dialog: Dialog): boolean {
    const { model } = this.options;
    const { method } = transaction.request;
    if (model === 'linphone' && method === 'OPTIONS') {
      this.#respond(transaction, 491, 'Request Pending');
      return true;
    }
    if (model === undefined || (method !== 'INVITE' && method !== 'UPDATE')) return false;
    this.complaints.push(`${method} while it rings`);
    if (model === 'baresip') this.#respond(transaction, method === 'INVITE' ? 500 : 501, 'Not Now');
    else if (method === 'INVITE') {
      this.#respond(transaction, 491, 'Request Pending');
      dialog.state = 'ended';
    }
    return true;
  }

  /** The user lifts, where it is told to ring only. */
  lift(callId: string): void {
    for (const transaction of this.#servers.values()) {
      const { request, status } = transaction;
      if (request.method !== 'INVITE' || request.callId !== callId || request.toTag !== '' || status >= 200) continue;
      this.ringing.delete(callId);
      this.#accept(transaction, this.dialogs.get(callId));
      return;
    }
  }

  /** ... or has better things to do. */
  decline(callId: string): void {
    for (const transaction of this.#servers.values()) {
      const { request, status } = transaction;
      if (request.method !== 'INVITE' || request.callId !== callId || status >= 200) continue;
      this.ringing.delete(callId);
      this.#refuse(transaction, 603, 'Decline');
      return;
    }
  }

  #onCall(transaction: ServerTransaction): void {
    const { request } = transaction;
    this.rung.set(request.callId, (this.rung.get(request.callId) ?? 0) + 1);
    const tag = this.#unique('t');
    this.dialogs.set(request.callId, {
      callId: request.callId,
      localTag: tag,
      remoteTag: request.fromTag,
      localCseq: 100,
      target: contactOf(request) ?? '',
      routes: this.#routes(request.list(H.recordRoute)),
      localUri: request.to.uri,
      remoteUri: request.from.uri,
      state: 'early',
    });
    const dialog = this.dialogs.get(request.callId);
    if (this.answering === 'busy') {
      this.#refuse(transaction, 486, 'Busy Here');
      return;
    }
    if (this.answering === 'unavailable') {
      this.#refuse(transaction, 503, 'Service Unavailable');
      return;
    }
    this.ringing.add(request.callId);
    if (this.options.hasEarlyMedia === true) this.#respond(transaction, 183, 'Session Progress');
    else this.#respond(transaction, 180, 'Ringing');
    if (this.answering === 'ring') return;
    transaction.answer = this.clock.after(this.options.ringMs ?? 1_000, () => {
      this.ringing.delete(request.callId);
      if (this.answering === 'decline') this.#refuse(transaction, 603, 'Decline');
      else this.#accept(transaction, dialog);
    });
  }

  #accept(transaction: ServerTransaction, dialog: Dialog | undefined): void {
    this.#respond(transaction, 200, 'OK');
    this.#repeat(transaction, () => {
      this.complaints.push('200 never acknowledged');
      if (dialog !== undefined) dialog.state = 'ended';
    });
  }

  #refuse(transaction: ServerTransaction, status: number, reason: string): void {
    const dialog = this.dialogs.get(transaction.request.callId);
    if (dialog !== undefined) dialog.state = 'ended';
    this.#respond(transaction, status, reason);
    this.#repeat(transaction, () => undefined);
  }

  #repeat(transaction: ServerTransaction, givenUp: () => void): void {
    let waitMs = t1Ms;
    const again = (): void => {
      transaction.retransmit = this.clock.after(waitMs, () => {
        if (transaction.last !== undefined) this.#reply(transaction, transaction.last);
        waitMs = Math.min(waitMs * 2, t2Ms);
        again();
      });
    };
    again();
    transaction.deadline = this.clock.after(64 * t1Ms, () => {
      this.#stopRepeating(transaction);
      givenUp();
    });
  }

  #onCancel(transaction: ServerTransaction): void {
    const invite = this.#servers.get(serverKey(transaction.request, 'INVITE'));
    if (invite === undefined) {
      this.#respond(transaction, 481, 'Call/Transaction Does Not Exist');
      return;
    }
    this.#respond(transaction, 200, 'OK');
    if (invite.status >= 200) return;
    invite.answer?.();
    this.ringing.delete(invite.request.callId);
    this.#refuse(invite, 487, 'Request Terminated');
  }

  #respond(transaction: ServerTransaction, status: number, reason: string): void {
    const { request } = transaction;
    transaction.status = status;
    const dialog = this.dialogs.get(request.callId);
    const { text, scan } = request;
    let out = `SIP/2.0 ${status} ${reason}\r\n`;
    let isTop = true;
    for (let i = 0; i < scan.fields.length; i += 4) {
      const line = text.slice(request.fieldStart(i), request.valueStop(i));
      switch (scan.fields[i]) {
        case H.via:
          out += `${isTop ? stamp(line, request, transaction.from) : line}\r\n`;
          isTop = false;
          break;
        case H.to:
          out += request.toTag === '' && status > 100 ? `${line};tag=${dialog?.localTag ?? 'none'}\r\n` : `${line}\r\n`;
          break;
        case H.from:
        case H.callId:
        case H.cseq:
        case H.recordRoute:
          out += `${line}\r\n`;
          break;
      }
    }
    const body =
      request.method === 'INVITE' && (status === 183 || (status >= 200 && status < 300)) ? (dialog?.said ?? sdp) : '';
    out += `Contact: <${this.contact}>\r\n${body === '' ? '' : 'Content-Type: application/sdp\r\n'}Content-Length: ${body.length}\r\n\r\n${body}`;
    transaction.last = out;
    this.#reply(transaction, out);
    if (status >= 200 && request.method !== 'INVITE')
      this.clock.after(64 * t1Ms, () => this.#servers.delete(serverKey(request, request.method)));
  }

  /** RFC 3261 §18.2.2, RFC 3581 §4: to the source of the request, to its port if `rport` asks for that. */
  #reply(transaction: ServerTransaction, text: string): void {
    const { via } = transaction.request;
    const port = via.rport === undefined ? via.port || 5_060 : transaction.from.port;
    this.#send(text, { host: transaction.from.host, port });
  }

  // --- texts ----------------------------------------------------------------------------------------------------------------

  #routes(entries: readonly string[]): readonly string[] {
    if (this.options.copiesParams !== false) return entries;
    return entries.map((entry) => `<${parseNameAddr(entry)?.uri ?? ''}>`);
  }

  #nextHop(dialog: Dialog): SocketAddress {
    const uri = parseUri(parseNameAddr(dialog.routes[0] ?? `<${dialog.target}>`)?.uri ?? '');
    return { host: uri?.host ?? '', port: uri?.port || 5_060 };
  }

  #offer(): string {
    return `Contact: <${this.contact}>\r\nContent-Type: application/sdp\r\n`;
  }

  #via(branch: string): string {
    return `Via: SIP/2.0/UDP ${this.options.address}:5060;branch=${branch};rport\r\n`;
  }

  #branch(): string {
    return `z9hG4bK${this.#unique('b')}`;
  }

  #unique(prefix: string): string {
    this.#serial += 1;
    return `${prefix}${this.options.user}${this.#serial}`;
  }

  #send(text: string, to: SocketAddress): void {
    if (text !== '') this.#listener?.flowTo(to).send(Buffer.from(text, 'latin1'));
  }
}

const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';

const serverKey = (request: SipMessage, method: string): string =>
  `${request.via.branch} ${request.via.host}:${request.via.port} ${method}`;

const contactOf = (message: SipMessage): string | undefined => message.addresses(H.contact)[0]?.uri;

function stamp(line: string, request: SipMessage, from: SocketAddress): string {
  const { via } = request;
  let stamped = line;
  if (via.rport === '') stamped = stamped.replace(/;rport(?=;|,|$)/i, `;rport=${from.port}`);
  return via.host === from.host && via.rport === undefined ? stamped : `${stamped};received=${from.host}`;
}

/** RFC 3261 §17.1.1.3. */
function ackOf(invite: string, response: SipMessage): string {
  const lines = invite.slice(0, invite.indexOf('\r\n\r\n')).split('\r\n');
  const [requestLine = ''] = lines;
  const kept = lines.filter((line) => /^(?:Via|From|Call-ID|Max-Forwards|Route):/.test(line));
  const to = response.fieldIndex(H.to);
  return `ACK ${requestLine.split(' ')[1]} SIP/2.0\r\n${kept.join('\r\n')}\r\n${response.text.slice(response.fieldStart(to), response.valueStop(to))}\r\nCSeq: ${response.cseq} ACK\r\nContent-Length: 0\r\n\r\n`;
}
