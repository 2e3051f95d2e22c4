/**
 * A telephone on connections, as RFC 5626 §4 wants it: it registers over its connection to one member of a pair, asks it for life
 * signs, and when the connection is gone it connects to the next member, registers there and asks again what was not answered. It may
 * be behind NAT: then nobody can connect to it.
 */
import { decode } from '../../protocols/sip/codec/decode.ts';
import { createFraming } from '../../protocols/sip/codec/framing.ts';
import { H } from '../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../protocols/sip/codec/messages.ts';
import type { Cancel, Clock, ControllerAddress, Flow, Listener, Network } from '../../src/internal.ts';

export interface TcpPhoneOptions {
  readonly network: Network;
  readonly clock: Clock;
  readonly address: ControllerAddress;
  readonly user: string;
  readonly domain: string;
  /** Members of the pair, in the order it tries them. */
  readonly servers: readonly ControllerAddress[];
  /** Can it be connected to at its contact? */
  readonly listens: boolean;
  readonly ringMs: number;
  readonly talkMs: number;
}

export interface TcpCall {
  readonly callId: string;
  answered: boolean;
  acknowledged: boolean;
  ended: boolean;
  complaint: string | undefined;
}

interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  readonly local: string;
  remote: string;
  target: string;
  routes: readonly string[];
  ack: string | undefined;
}

interface Pending {
  readonly text: string;
  readonly onResponse: (message: SipMessage) => void;
}

const pingMs = 250;
const silenceMs = 1_000;
const t1Ms = 500;

export class TcpPhone {
  readonly options: TcpPhoneOptions;
  /** Calls that this one placed. */
  readonly calls = new Map<string, TcpCall>();
  /** What reached it and is none of its business. */
  readonly misdirected: string[] = [];
  registered = 0;
  #listener: Listener | undefined;
  #server = 0;
  #flow: Flow | undefined;
  #serial = 0;
  #heardMs = 0;
  readonly #pending = new Map<string, Pending>();
  readonly #dialogs = new Map<string, Dialog>();
  readonly #repeats = new Map<string, Cancel>();
  readonly #answers = new Map<string, string>();
  readonly #timers = new Set<Cancel>();
  #stopped = false;

  constructor(options: TcpPhoneOptions) {
    this.options = options;
  }

  get contact(): string {
    const { user, listens } = this.options;
    const { host, port } = this.options.address;
    return listens ? `sip:${user}@${host}:${port};transport=tcp` : `sip:${user}@${user}.invalid;transport=tcp`;
  }

  get aor(): string {
    return `sip:${this.options.user}@${this.options.domain}`;
  }

  async start(): Promise<void> {
    const { network, address } = this.options;
    this.#listener = await network.bind(
      address,
      { framing: createFraming },
      { received: (bytes, flow) => this.#received(bytes, flow), failed: (flow) => this.#failed(flow) },
    );
    this.#connect();
    this.#ping();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const cancel of [...this.#timers, ...this.#repeats.values()]) cancel();
    await this.#listener?.close();
  }

  call(callee: string): TcpCall {
    const callId = this.#id('call');
    const call: TcpCall = { callId, answered: false, acknowledged: false, ended: false, complaint: undefined };
    this.calls.set(callId, call);
    const dialog: Dialog = {
      callId,
      localTag: this.#id('t'),
      local: `<${this.aor}>`,
      remote: `<${callee}>`,
      target: callee,
      routes: [],
      ack: undefined,
    };
    this.#dialogs.set(callId, dialog);
    this.#ask('INVITE', dialog, 1, (message) => this.#onInvited(message, dialog, call));
    return call;
  }

  // --- connections ----------------------------------------------------------------------------------------------------------

  #connect(): void {
    const { servers, clock } = this.options;
    const server = servers[this.#server % servers.length];
    if (server === undefined || this.#stopped) return;
    this.#heardMs = clock.now();
    this.#flow = this.#listener?.flowTo(server);
    this.#register();
    for (const { text } of this.#pending.values()) this.#flow?.send(Buffer.from(text));
  }

  #failed(flow: Flow): void {
    if (flow !== this.#flow || this.#stopped) return;
    this.#server += 1;
    this.#later(1, () => this.#connect());
  }

  #register(): void {
    const { user, domain } = this.options;
    const aor = `<${this.aor}>`;
    const branch = this.#id('z9hG4bKr');
    const text = `REGISTER sip:${domain} SIP/2.0\r\n${this.#via(branch)}Max-Forwards: 70\r\nFrom: ${aor};tag=r\r\nTo: ${aor}\r\nCall-ID: ${this.#id(`reg-${user}`)}\r\nCSeq: 1 REGISTER\r\nSupported: path, outbound\r\nContact: <${this.contact}>;reg-id=1;+sip.instance="<urn:uuid:${user}>"\r\nContent-Length: 0\r\n\r\n`;
    this.#pending.set(branch, {
      text,
      onResponse: ({ status }) => {
        if (status >= 200) this.#pending.delete(branch);
        if (status === 200) this.registered += 1;
      },
    });
    this.#flow?.send(Buffer.from(text));
  }

  #ping(): void {
    this.#later(pingMs, () => {
      const { clock } = this.options;
      const flow = this.#flow;
      if (flow !== undefined && clock.now() - this.#heardMs > silenceMs) {
        this.#flow = undefined;
        flow.close();
        this.#server += 1;
        this.#connect();
      }
      const branch = this.#id('z9hG4bKo');
      this.#flow?.send(
        Buffer.from(
          `OPTIONS sip:${this.options.domain} SIP/2.0\r\n${this.#via(branch)}Max-Forwards: 0\r\nFrom: <${this.aor}>;tag=o\r\nTo: <sip:${this.options.domain}>\r\nCall-ID: ${branch}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n`,
        ),
      );
      this.#ping();
    });
  }

  // --- messages -------------------------------------------------------------------------------------------------------------

  #received(bytes: Buffer, flow: Flow): void {
    if (flow === this.#flow) this.#heardMs = this.options.clock.now();
    const decoded = decode(bytes);
    if (!decoded.ok || this.#stopped) return;
    const message = decoded.value;
    if (!message.isRequest) {
      this.#pending.get(message.via.branch ?? '')?.onResponse(message);
      const dialog = this.#dialogs.get(message.callId);
      // RFC 3261 §13.2.2.4: each 2xx that comes again is acknowledged again.
      if (message.method === 'INVITE' && message.status === 200 && dialog?.ack !== undefined) this.#send(dialog.ack);
      return;
    }
    this.#onRequest(message, flow);
  }

  #onInvited(message: SipMessage, dialog: Dialog, call: TcpCall): void {
    if (message.status < 200) return;
    this.#pending.delete(message.via.branch ?? '');
    if (message.status >= 300) {
      call.complaint = `INVITE ${message.status} ${message.reason}`;
      return;
    }
    call.answered = true;
    dialog.remote = message.header(H.to) ?? '';
    dialog.target = message.addresses(H.contact)[0]?.uri ?? '';
    dialog.routes = message.list(H.recordRoute).toReversed();
    dialog.ack = this.#text('ACK', dialog, 1, this.#id('z9hG4bKa'));
    this.#later(this.options.talkMs, () =>
      this.#ask('BYE', dialog, 2, (answer) => {
        if (answer.status < 200) return;
        this.#pending.delete(answer.via.branch ?? '');
        if (answer.status === 200) call.ended = true;
        else call.complaint = `BYE ${answer.status} ${answer.reason}`;
      }),
    );
  }

  #onRequest(request: SipMessage, flow: Flow): void {
    const key = `${request.via.branch} ${request.method}`;
    const known = this.#answers.get(key);
    if (known !== undefined) {
      flow.send(Buffer.from(known));
      return;
    }
    const isMine = request.to.uri === this.aor;
    if (!isMine) {
      this.misdirected.push(`${request.method} for ${request.to.uri}`);
      return;
    }
    switch (request.method) {
      case 'INVITE':
        this.#respond(request, flow, 180, 'Ringing');
        this.#later(this.options.ringMs, () => {
          this.#respond(request, flow, 200, 'OK');
          this.#untilAck(key, request.callId, t1Ms);
        });
        break;
      case 'ACK':
        this.#repeats.get(request.callId)?.();
        this.#repeats.delete(request.callId);
        break;
      default:
        this.#respond(request, flow, 200, 'OK');
    }
  }

  #respond(request: SipMessage, flow: Flow, status: number, reason: string): void {
    const key = `${request.via.branch} ${request.method}`;
    let text = `SIP/2.0 ${status} ${reason}\r\n`;
    for (const line of request.text.slice(0, request.scan.headersEnd).split('\r\n').slice(1)) {
      if (/^(?:via|from|call-id|cseq|record-route):/i.test(line)) text += `${line}\r\n`;
      else if (/^to:/i.test(line)) text += /;tag=/.test(line) ? `${line}\r\n` : `${line};tag=${this.options.user}\r\n`;
    }
    text += `Contact: <${this.contact}>\r\nContent-Length: 0\r\n\r\n`;
    this.#answers.set(key, text);
    this.#send(text, flow);
  }

  #untilAck(key: string, callId: string, waitMs: number): void {
    const cancel = this.options.clock.after(waitMs, () => {
      this.#send(this.#answers.get(key) ?? '');
      if (waitMs < 32 * t1Ms) this.#untilAck(key, callId, waitMs * 2);
    });
    this.#repeats.set(callId, cancel);
  }

  /** Over the connection it belongs to while that is there, else over the one there is (RFC 3261 §18.2.2 and the tag of the Via). */
  #send(text: string, flow = this.#flow): void {
    const isOpen = flow !== undefined && this.#listener?.flowById(flow.id) !== undefined;
    (isOpen ? flow : this.#flow)?.send(Buffer.from(text));
  }

  #ask(method: string, dialog: Dialog, cseq: number, onResponse: (message: SipMessage) => void): void {
    const branch = this.#id('z9hG4bK');
    const text = this.#text(method, dialog, cseq, branch);
    this.#pending.set(branch, { text, onResponse });
    this.#flow?.send(Buffer.from(text));
  }

  #text(
    method: string,
    { callId, localTag, local, remote, target, routes }: Dialog,
    cseq: number,
    branch: string,
  ): string {
    const routeLines = routes.map((route) => `Route: ${route}\r\n`).join('');
    return `${method} ${target} SIP/2.0\r\n${this.#via(branch)}Max-Forwards: 70\r\n${routeLines}From: ${local};tag=${localTag}\r\nTo: ${remote}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\nContact: <${this.contact}>\r\nContent-Length: 0\r\n\r\n`;
  }

  #via(branch: string): string {
    const { host, port } = this.options.address;
    const sentBy = this.options.listens ? `${host}:${port}` : `${this.options.user}.invalid`;
    return `Via: SIP/2.0/TCP ${sentBy};branch=${branch}\r\n`;
  }

  #id(prefix: string): string {
    this.#serial += 1;
    return `${prefix}-${this.options.user}-${this.#serial}`;
  }

  #later(ms: number, run: () => void): void {
    const cancel = this.options.clock.after(ms, () => {
      this.#timers.delete(cancel);
      if (!this.#stopped) run();
    });
    this.#timers.add(cancel);
  }
}

export const isLost = (call: TcpCall): boolean => !call.ended || call.complaint !== undefined;
