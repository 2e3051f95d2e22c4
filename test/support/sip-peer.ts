/** A SIP peer over one real UDP socket, for tests that place few calls: it sends what it is told, and answers what it is asked. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';

export interface ReceivedSip {
  readonly text: string;
  readonly from: RemoteInfo;
}

export class SipPeer {
  readonly port: number;
  readonly host: string;
  readonly received: string[] = [];
  readonly #socket: Socket;
  #waiting: { readonly pattern: RegExp; readonly done: (text: string) => void }[] = [];

  private constructor(socket: Socket, host: string, answer: (request: string) => readonly string[]) {
    this.#socket = socket;
    this.host = host;
    this.port = socket.address().port;
    socket.on('message', (bytes, from) => {
      const text = bytes.toString('latin1');
      this.received.push(text);
      for (const each of this.#waiting.filter(({ pattern }) => pattern.test(text))) each.done(text);
      this.#waiting = this.#waiting.filter(({ pattern }) => !pattern.test(text));
      if (!text.startsWith('SIP/2.0'))
        for (const response of answer(text)) socket.send(response, from.port, from.address);
    });
  }

  /** `answer`: the responses to a request. */
  static async open(
    host: string,
    answer: (request: string) => readonly string[] = () => [],
    port = 0,
  ): Promise<SipPeer> {
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(port, host, resolve));
    return new SipPeer(socket, host, answer);
  }

  send(text: string, port: number, host: string): void {
    this.#socket.send(text, port, host);
  }

  /** The next message like this, or one that came already. */
  awaits(pattern: RegExp, ms = 5_000): Promise<string> {
    const known = this.received.find((text) => pattern.test(text));
    if (known !== undefined) return Promise.resolve(known);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new Error(`nothing like ${pattern} came; there were:\n${this.received.map(firstLine).join('\n')}`)),
        ms,
      );
      this.#waiting.push({
        pattern,
        done: (text) => {
          clearTimeout(timer);
          resolve(text);
        },
      });
    });
  }

  close(): void {
    this.#socket.close();
  }
}

const firstLine = (text: string): string => text.split('\r\n')[0] ?? '';

export interface RequestParts {
  readonly method: string;
  readonly uri: string;
  readonly from: SipPeer;
  readonly callId: string;
  readonly cseq?: number;
  readonly caller?: string;
  readonly to?: string;
  readonly toTag?: string;
  readonly fields?: readonly string[];
  readonly body?: string;
  readonly maxForwards?: number;
}

export function sipRequest(parts: RequestParts): string {
  const { method, uri, from, callId, cseq = 1, caller = 'sip:alice@example.com', to = uri, toTag } = parts;
  const { fields = [], body = '', maxForwards = 70 } = parts;
  return [
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP ${from.host}:${from.port};branch=z9hG4bK-${callId}-${cseq}-${method === 'ACK' ? 'INVITE' : method}`,
    `Max-Forwards: ${maxForwards}`,
    `From: <${caller}>;tag=from-${callId}`,
    `To: <${to}>${toTag === undefined ? '' : `;tag=${toTag}`}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
    `Contact: <sip:peer@${from.host}:${from.port}>`,
    ...fields,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** The response that a user agent gives, its Record-Route copied. */
export function sipResponse(
  request: string,
  status: number,
  reason: string,
  fields: readonly string[] = [],
  body = '',
): string {
  const copied = request
    .split('\r\n')
    .filter((line) => /^(via|from|to|call-id|cseq|record-route):/i.test(line))
    .map((line) => (/^to:/i.test(line) && !/;tag=/.test(line) && status > 100 ? `${line};tag=callee` : line));
  return [
    `SIP/2.0 ${status} ${reason}`,
    ...copied,
    ...fields,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

export const sipHeader = (text: string, name: string): string | undefined =>
  text
    .split('\r\n')
    .find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    ?.slice(name.length + 1)
    .trim();
