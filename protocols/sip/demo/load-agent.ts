/**
 * A light user agent that places and takes many calls at once, on our own codec: INVITE, 180, 200, ACK, BYE with the
 * retransmissions of RFC 3261 §17 and §13.3.1.4, and nothing more. It stands for real telephones at rates they do not reach.
 */
import {
  type Cancel,
  type ControllerAddress,
  formatSocketAddress,
  type SocketAddress,
  systemClock,
  systemRandom,
} from '../../../src/internal.ts';
import { decode } from '../codec/decode.ts';
import { response, toBytes } from '../codec/encode.ts';
import { H } from '../codec/header-names.ts';
import type { SipMessage } from '../codec/messages.ts';
import { CallRecord, type Kind } from './call-record.ts';
import { openWire, type Wire } from './wire.ts';

export interface LoadOptions {
  readonly kind: Kind;
  readonly user: string;
  readonly domain: string;
  readonly host: string;
  /** The edge of a plain agent; the primary, for an aware one. */
  readonly proxy: ControllerAddress;
  /** The edge that calls to it come through, said to the registrar (RFC 3327). */
  readonly path?: ControllerAddress | undefined;
  readonly backup: ControllerAddress;
  readonly ringMs: number;
  /** How long a returned controller is watched before it gets new work. */
  readonly holdMs: number;
  /** Records by Call-ID, common to both ends. */
  readonly records: Map<string, CallRecord>;
}

interface Leg {
  readonly callId: string;
  readonly localTag: string;
  /** The other side's From or To, with its tag. */
  remote: string;
  readonly self: string;
  target: string;
  routes: readonly string[];
  cseq: number;
  ack: string | undefined;
}

/** A request that is repeated until something answers it. */
interface Pending {
  cancel: Cancel;
  readonly onResponse: (message: SipMessage) => void;
}

export class LoadAgent {
  readonly #options: LoadOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #callerLegs = new Map<string, Leg>();
  readonly #calleeLegs = new Map<string, Leg>();
  /** What was answered to which request, for its repetitions. */
  readonly #answers = new Map<string, string>();
  readonly #unacknowledged = new Map<string, Cancel>();
  readonly #backupText: readonly string[];
  #wire: Wire | undefined;
  #stopped = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    const at = formatSocketAddress(options.backup);
    this.#backupText = [`<sip:${at}`, `${at};branch`, `received=${options.backup.host}`];
  }

  async start(): Promise<void> {
    const { kind, host, proxy, holdMs } = this.#options;
    this.#wire = await openWire(kind, host, [proxy], holdMs, (text, from) => this.#receive(text, from));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const { cancel } of this.#pending.values()) cancel();
    for (const cancel of this.#unacknowledged.values()) cancel();
    await this.#wire?.close();
  }

  register(): Promise<number> {
    const { user, domain, path } = this.#options;
    const aor = `<sip:${user}@${domain}>`;
    const callId = this.#newCallId();
    return new Promise((resolve) => {
      this.#request(
        'REGISTER',
        `sip:${domain}`,
        `From: ${aor};tag=r1\r\nTo: ${aor}\r\nCall-ID: ${callId}\r\nCSeq: 1 REGISTER\r\nContact: <${this.#contact()}>;expires=600\r\n${path === undefined ? '' : `Path: <sip:${formatSocketAddress(path)};lr>\r\nSupported: path\r\n`}`,
        this.#initialRoutes(),
        '',
        (message) => {
          if (message.status >= 200) resolve(message.status);
        },
      );
    });
  }

  /** Calls `callee`, holds for `talkMs` once answered, and hangs up where `hangUp` says so (else the callee does). */
  call(callee: string, talkMs: number, hangUp: 'caller' | 'callee'): CallRecord {
    const { kind, user, domain, records } = this.#options;
    const callId = `${hangUp === 'callee' ? `x${talkMs}x` : ''}${this.#newCallId()}`;
    const record = new CallRecord(kind, systemClock.now());
    records.set(callId, record);
    const leg: Leg = {
      callId,
      localTag: systemRandom.hex(4),
      self: `<sip:${user}@${domain}>`,
      remote: `<sip:${callee}@${domain}>`,
      target: `sip:${callee}@${domain}`,
      routes: this.#initialRoutes(),
      cseq: 1,
      ack: undefined,
    };
    this.#callerLegs.set(callId, leg);
    this.#request(
      'INVITE',
      leg.target,
      `From: ${leg.self};tag=${leg.localTag}\r\nTo: ${leg.remote}\r\nCall-ID: ${callId}\r\nCSeq: 1 INVITE\r\nContact: <${this.#contact()}>\r\nContent-Type: application/sdp\r\n`,
      leg.routes,
      sdp,
      (message) => this.#onInviteResponse(message, leg, record, talkMs, hangUp),
    );
    return record;
  }

  // --- the calling side -----------------------------------------------------------------------------------------------------

  #onInviteResponse(message: SipMessage, leg: Leg, record: CallRecord, talkMs: number, hangUp: string): void {
    const { status } = message;
    if (status === 100) return;
    this.#note(message, record);
    if (status < 200) record.rangMs ??= systemClock.now();
    else if (status >= 300) {
      this.#wire?.send(plainAck(message, leg), this.#hop(leg.routes, leg.target));
      record.failure ??= `refused with ${status} ${message.reason}`;
    } else {
      if (leg.ack === undefined) {
        leg.remote = headerText(message, H.to);
        leg.target = message.addresses(H.contact)[0]?.uri ?? leg.target;
        leg.routes = message.list(H.recordRoute).toReversed();
        leg.ack = this.#within(leg, 'ACK', 1);
        record.answeredMs ??= systemClock.now();
        if (hangUp === 'caller') systemClock.after(talkMs, () => this.#hangUp(leg, record));
      }
      this.#wire?.send(leg.ack, this.#hop(leg.routes, leg.target));
    }
  }

  #hangUp(leg: Leg, record: CallRecord): void {
    if (this.#stopped || record.failure !== undefined) return;
    record.byeMs = systemClock.now();
    leg.cseq += 1;
    const text = this.#within(leg, 'BYE', leg.cseq);
    this.#repeat(text, 'BYE', this.#hop(leg.routes, leg.target), (message) => {
      if (message.status < 200) return;
      if (message.status >= 300) record.failure ??= `BYE refused with ${message.status} ${message.reason}`;
      else record.endedMs ??= systemClock.now();
    });
  }

  // --- the called side ------------------------------------------------------------------------------------------------------

  #onRequest(request: SipMessage, from: SocketAddress): void {
    const record = this.#options.records.get(request.callId);
    if (record !== undefined) this.#note(request, record, from);
    const key = `${request.via.branch} ${request.method}`;
    const answered = this.#answers.get(key);
    if (answered !== undefined) {
      this.#wire?.send(answered, from);
      return;
    }
    switch (request.method) {
      case 'INVITE':
        if (record !== undefined) this.#ring(request, from, key, record);
        break;
      case 'ACK': {
        this.#unacknowledged.get(request.callId)?.();
        this.#unacknowledged.delete(request.callId);
        const leg = this.#calleeLegs.get(request.callId);
        if (record === undefined || leg === undefined || record.acknowledgedMs !== undefined) break;
        record.acknowledgedMs = systemClock.now();
        const talkMs = /^x(\d+)x/.exec(request.callId)?.[1];
        if (talkMs !== undefined) systemClock.after(Number(talkMs), () => this.#hangUp(leg, record));
        break;
      }
      default:
        this.#answer(request, from, key, 200, 'OK');
    }
  }

  #ring(invite: SipMessage, from: SocketAddress, key: string, record: CallRecord): void {
    record.invitations += 1;
    const leg: Leg = {
      callId: invite.callId,
      localTag: systemRandom.hex(4),
      self: headerText(invite, H.to),
      remote: headerText(invite, H.from),
      target: invite.addresses(H.contact)[0]?.uri ?? '',
      routes: invite.list(H.recordRoute),
      cseq: 1,
      ack: undefined,
    };
    this.#calleeLegs.set(leg.callId, leg);
    this.#answer(invite, from, key, 180, 'Ringing', leg);
    systemClock.after(this.#options.ringMs, () => {
      if (this.#stopped) return;
      record.acceptedMs = systemClock.now();
      this.#answer(invite, from, key, 200, 'OK', leg);
      this.#untilAck(leg.callId, key, from, 500);
    });
  }

  #untilAck(callId: string, key: string, to: SocketAddress, waitMs: number): void {
    const cancel = systemClock.after(waitMs, () => {
      if (this.#stopped) return;
      this.#wire?.send(this.#answers.get(key) ?? '', to);
      this.#untilAck(callId, key, to, Math.min(waitMs * 2, 4_000));
    });
    this.#unacknowledged.set(callId, cancel);
  }

  #answer(request: SipMessage, to: SocketAddress, key: string, status: number, reason: string, leg?: Leg): void {
    const routes =
      leg === undefined
        ? ''
        : request
            .list(H.recordRoute)
            .map((each) => `Record-Route: ${each}\r\n`)
            .join('');
    const isAnswer = request.method === 'INVITE' && status >= 200;
    const text = response(request, status, reason, {
      ...(leg === undefined ? {} : { toTag: leg.localTag }),
      fields: `${routes}${leg === undefined ? '' : `Contact: <${this.#contact()}>\r\n`}${isAnswer ? 'Content-Type: application/sdp\r\n' : ''}`,
      ...(isAnswer ? { body: sdp } : {}),
      // received and rport as RFC 3581 §4 wants them; our proxies ask for both.
      topVia: `${request.via.text.replace(/;rport(?=;|$)/, `;rport=${to.port}`)};received=${to.host}`,
    });
    this.#answers.set(key, text);
    this.#wire?.send(text, to);
  }

  // --- common ---------------------------------------------------------------------------------------------------------------

  #receive(text: string, from: SocketAddress): void {
    const decoded = decode(toBytes(text));
    if (!decoded.ok || this.#stopped) return;
    const message = decoded.value;
    if (message.isRequest) this.#onRequest(message, from);
    else {
      const pending = this.#pending.get(`${message.via.branch} ${message.method}`);
      if (pending === undefined) return;
      pending.cancel();
      const record = this.#options.records.get(message.callId);
      if (record !== undefined) this.#note(message, record, from);
      pending.onResponse(message);
    }
  }

  /** Did the backup have a hand in it? The stand-in writes the primary's name on its Via, but what it comes from gives it away. */
  #note(message: SipMessage, record: CallRecord, from?: SocketAddress): void {
    if (record.switched || record.isOver) return;
    const head = message.text.slice(0, message.scan.headersEnd);
    record.switched = from?.host === this.#options.backup.host || this.#backupText.some((text) => head.includes(text));
  }

  #request(
    method: string,
    uri: string,
    fields: string,
    routes: readonly string[],
    body: string,
    onResponse: (message: SipMessage) => void,
  ): void {
    const text = `${method} ${uri} SIP/2.0\r\n${this.#via()}Max-Forwards: 70\r\n${routeLines(routes)}${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
    this.#repeat(text, method, this.#hop(routes, uri), onResponse);
  }

  /** Timers A and E (RFC 3261 §17.1.1.2, §17.1.2.2); a provisional answer ends those of an INVITE, and is all a BYE gets here. */
  #repeat(text: string, method: string, to: SocketAddress, onResponse: (message: SipMessage) => void): void {
    const branch = /;branch=([^;\r]+)/.exec(text)?.[1] ?? '';
    const key = `${branch} ${method}`;
    const pending: Pending = { cancel: () => undefined, onResponse };
    this.#pending.set(key, pending);
    const send = (waitMs: number): void => {
      if (this.#stopped) return;
      this.#wire?.send(text, to);
      pending.cancel = systemClock.after(waitMs, () =>
        send(method === 'INVITE' ? waitMs * 2 : Math.min(waitMs * 2, 4_000)),
      );
    };
    send(500);
  }

  #within(leg: Leg, method: string, cseq: number): string {
    return `${method} ${leg.target} SIP/2.0\r\n${this.#via()}Max-Forwards: 70\r\n${routeLines(leg.routes)}From: ${withTag(leg.self, leg.localTag)}\r\nTo: ${leg.remote}\r\nCall-ID: ${leg.callId}\r\nCSeq: ${cseq} ${method}\r\nContent-Length: 0\r\n\r\n`;
  }

  /** The top Route, else the target itself. */
  #hop(routes: readonly string[], target: string): SocketAddress {
    const [, host = '127.0.0.1', port] = /sips?:(?:[^@>]*@)?([\d.]+)(?::(\d+))?/.exec(routes[0] ?? target) ?? [];
    return routes.length === 0 && !/sip:[^@]*@[\d.]+/.test(target)
      ? this.#options.proxy
      : { host, port: Number(port ?? 5_060) };
  }

  #initialRoutes(): readonly string[] {
    const { kind, proxy } = this.#options;
    return kind === 'aware' ? [`<sip:${formatSocketAddress(proxy)};lr>`] : [];
  }

  #via(): string {
    const local = this.#wire?.local;
    return `Via: SIP/2.0/UDP ${local === undefined ? '' : formatSocketAddress(local)};branch=z9hG4bK${systemRandom.hex(8)};rport\r\n`;
  }

  #contact(): string {
    const local = this.#wire?.local;
    return `sip:${this.#options.user}@${local === undefined ? '' : formatSocketAddress(local)}`;
  }

  #newCallId(): string {
    return `${systemRandom.hex(8)}@${this.#options.host}`;
  }
}

const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n';

const headerText = (message: SipMessage, id: typeof H.to | typeof H.from): string => message.header(id) ?? '';

const withTag = (address: string, tag: string): string => (/;tag=/.test(address) ? address : `${address};tag=${tag}`);

const routeLines = (routes: readonly string[]): string => routes.map((route) => `Route: ${route}\r\n`).join('');

/** The ACK of a refusal is part of the INVITE's transaction (RFC 3261 §17.1.1.3). */
function plainAck(refusal: SipMessage, leg: Leg): string {
  const via = refusal.via.text.replace(/;(?:received|rport)=[^;]*/g, '');
  return `ACK ${leg.target} SIP/2.0\r\nVia: ${via}\r\nMax-Forwards: 70\r\n${routeLines(leg.routes)}From: ${headerText(refusal, H.from)}\r\nTo: ${headerText(refusal, H.to)}\r\nCall-ID: ${leg.callId}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n`;
}
