/** A telephone in a browser, as the proxy sees it: one WebSocket, a Contact that nobody can connect to (RFC 7118 §5). */
import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { header, headers, kindOf, readSip, respond, type SipText } from './sip-text.ts';
import { until } from './until.ts';

export class WebPhone {
  readonly user: string;
  readonly #socket: WebSocket;
  readonly #registrar: string;
  readonly #host = `${randomBytes(6).toString('hex')}.invalid`;
  readonly #received: SipText[] = [];
  #read = 0;
  #cseq = 0;

  private constructor(user: string, registrar: string, socket: WebSocket) {
    this.user = user;
    this.#registrar = registrar;
    this.#socket = socket;
    socket.on('message', (data) => {
      this.#received.push(readSip(data.toString()));
    });
  }

  static async connect(user: string, host: string, wsPort: number): Promise<WebPhone> {
    const socket = new WebSocket(`ws://${host}:${wsPort}/`, 'sip');
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve).once('error', reject);
    });
    return new WebPhone(user, host, socket);
  }

  /** What the server chose of the subprotocols. */
  get subprotocol(): string {
    return this.#socket.protocol;
  }

  async register(): Promise<SipText> {
    this.send(
      this.request('REGISTER', `sip:${this.#registrar}`, [
        `From: <sip:${this.user}@${this.#registrar}>;tag=${randomBytes(4).toString('hex')}`,
        `To: <sip:${this.user}@${this.#registrar}>`,
        `Call-ID: ${randomBytes(8).toString('hex')}`,
        `Contact: ${this.contact};reg-id=1;+sip.instance="<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>";expires=600`,
        'Supported: path, outbound',
      ]),
    );
    return this.next('200');
  }

  get contact(): string {
    return `<sip:${this.user}@${this.#host};transport=ws>`;
  }

  /** A request with Via, Max-Forwards and CSeq filled in. */
  request(method: string, uri: string, lines: readonly string[], body = '', cseq = ++this.#cseq): string {
    return [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/WS ${this.#host};branch=z9hG4bK${randomBytes(8).toString('hex')}`,
      'Max-Forwards: 70',
      ...lines,
      `CSeq: ${cseq} ${method}`,
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n');
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** The next message that is a request with this method or a response with this status; others before it are passed over. */
  async next(kind: string, limitMs = 5000): Promise<SipText> {
    return until(`${this.user}: ${kind}`, limitMs, () => {
      while (this.#read < this.#received.length) {
        const message = this.#received[this.#read++];
        if (message !== undefined && kindOf(message) === kind) return message;
      }
      return undefined;
    });
  }

  /** Answers one call and waits until the caller hangs up. */
  async answer(body: string): Promise<SipText> {
    const invite = await this.next('INVITE');
    this.send(respond(invite, '180 Ringing', { toTag: 'web1', contact: this.contact }));
    this.send(respond(invite, '200 OK', { toTag: 'web1', contact: this.contact, body }));
    await this.next('ACK');
    const bye = await this.next('BYE');
    this.send(respond(bye, '200 OK'));
    return invite;
  }

  /** Calls, acknowledges the 200 along the recorded route, hangs up. */
  async call(uri: string, body: string): Promise<void> {
    const dialog = [
      `From: <sip:${this.user}@${this.#registrar}>;tag=${randomBytes(4).toString('hex')}`,
      `Call-ID: ${randomBytes(8).toString('hex')}`,
    ];
    this.send(this.request('INVITE', uri, [...dialog, `To: <${uri}>`, `Contact: ${this.contact}`], body));
    const cseq = this.#cseq;
    const answer = await this.next('200');
    const target = /<([^>]+)>/.exec(header(answer, 'Contact'))?.[1] ?? '';
    // SIPp joins the entries of several fields with commas.
    const route = headers(answer, 'Record-Route')
      .flatMap((value) => value.split(/,\s*(?=<)/))
      .toReversed()
      .map((value) => `Route: ${value}`);
    const lines = [...dialog, `To: ${header(answer, 'To')}`, ...route];
    this.send(this.request('ACK', target, lines, '', cseq));
    this.send(this.request('BYE', target, lines));
    await this.next('200');
  }

  close(): void {
    this.#socket.terminate();
  }
}
