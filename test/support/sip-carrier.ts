/**
 * A carrier: asks for digest credentials and checks them by its own reading of RFC 7616, keeps transactions as RFC 3261 §17.2 wants, judges
 * CSeq as §12.2.2 does, and counts what calls it placed. It knows nothing of AlternatePath.
 */
import { createHash } from 'node:crypto';
import { createFraming } from '../../protocols/sip/codec/framing.ts';
import { type Flow, type Listener, parseAddress } from '../../src/internal.ts';
import type { FakeClock } from './fake-clock.ts';
import type { MemoryNetwork } from './memory-network.ts';

export interface CarrierOptions {
  readonly user?: string;
  readonly password?: string;
  readonly realm?: string;
  /** What it challenges with, in this order; empty: it asks nobody. */
  readonly algorithms?: readonly ('MD5' | 'SHA-256' | 'SHA-512-256')[];
  /** 401 with WWW-Authenticate, or 407. */
  readonly proxy?: boolean;
  readonly qop?: boolean;
  /** What it does with a call that it takes. */
  answer?(request: string): number;
}

const hashes = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' } as const;

export class SimCarrier {
  readonly address: string;
  /** INVITEs that it took for new calls, by their Call-ID. */
  readonly placed: string[] = [];
  readonly heard: string[] = [];
  readonly contacts = new Map<string, number>();
  readonly problems: string[] = [];
  /** Every nonce is stale for its first use after this many. */
  staleNonces = 0;
  /** Statuses for the next requests, whatever they are. */
  readonly refuse: number[] = [];
  silent = false;
  readonly options: CarrierOptions;
  readonly #clock: FakeClock;
  readonly #transactions = new Map<string, { answer: string; flow: Flow; isOver: boolean }>();
  readonly #cseqs = new Map<string, number>();
  #nonce = 0;
  #listener: Listener | undefined;
  #last: { request: string; flow: Flow } | undefined;

  private constructor(address: string, clock: FakeClock, options: CarrierOptions) {
    this.address = address;
    this.#clock = clock;
    this.options = options;
  }

  static async at(
    network: MemoryNetwork,
    clock: FakeClock,
    address: string,
    options: CarrierOptions = {},
  ): Promise<SimCarrier> {
    const at = parseAddress(address, { port: 5_060 });
    const carrier = new SimCarrier(address, clock, options);
    carrier.#listener = await network
      .host(at.host)
      .bind(
        at,
        { framing: createFraming },
        { received: (bytes, flow) => carrier.#received(bytes, flow), failed: () => undefined },
      );
    return carrier;
  }

  of(method: string): readonly string[] {
    return this.heard.filter((text) => text.startsWith(`${method} `));
  }

  /** The last call hears this, or whoever is at this host. */
  say(status: number, fields = '', host?: string, body = ''): void {
    if (this.#last === undefined) throw new Error('nobody called');
    const flow = host === undefined ? this.#last.flow : this.#flowTo(host);
    this.#answer(this.#last.request, flow, status, fields, body);
  }

  /** A request of its own. */
  send(host: string, text: string): void {
    this.#flowTo(host).send(Buffer.from(text, 'latin1'));
  }

  /** Challenges the last request that was heard, towards this host. */
  challengeLast(host: string): void {
    this.#challenge(this.heard.at(-1) ?? '', this.#flowTo(host), false);
  }

  #flowTo(host: string): Flow {
    const flow = this.#listener?.flowTo({ host, port: 5_060 });
    if (flow === undefined) throw new Error('no way');
    return flow;
  }

  #received(bytes: Buffer, flow: Flow): void {
    const request = bytes.toString('latin1');
    this.heard.push(request);
    if (this.silent || request.startsWith('SIP/2.0')) return;
    const method = request.slice(0, request.indexOf(' '));
    const key = `${branch(request)} ${method === 'ACK' ? 'INVITE' : method}`;
    const known = this.#transactions.get(key);
    if (method === 'ACK') {
      if (known !== undefined) {
        known.isOver = true;
        this.#clock.after(5_000, () => this.#transactions.delete(key));
      } else if (this.#cseqs.get(callId(request)) !== cseq(request))
        this.problems.push(`ACK with CSeq ${cseq(request)}, the INVITE had ${this.#cseqs.get(callId(request))}`);
      return;
    }
    if (known !== undefined) {
      // Timer I: an INVITE that was refused and acknowledged is absorbed.
      if (!known.isOver && known.answer !== '') flow.send(Buffer.from(known.answer, 'latin1'));
      return;
    }
    this.#transactions.set(key, { answer: '', flow, isOver: false });
    if (method === 'CANCEL') {
      this.#answer(request, flow, 200);
      return;
    }
    if (method === 'OPTIONS') {
      this.#answer(request, flow, this.refuse.length > 0 ? (this.refuse.shift() ?? 200) : 200);
      return;
    }
    const before = this.#cseqs.get(callId(request));
    const isInDialog = /^to:[^\r]*tag=/im.test(request);
    if (isInDialog && before !== undefined && cseq(request) <= before) {
      this.problems.push(`${method} with CSeq ${cseq(request)} after ${before}`);
      this.#answer(request, flow, 500);
      return;
    }
    const refused = this.refuse.shift();
    if (refused !== undefined) {
      this.#answer(request, flow, refused);
      return;
    }
    const verdict = this.#verify(request, method);
    if (verdict !== 'right') {
      this.#challenge(request, flow, verdict === 'stale');
      return;
    }
    this.#cseqs.set(callId(request), cseq(request));
    if (method === 'REGISTER') this.#register(request, flow);
    else if (method === 'INVITE' && !isInDialog) {
      this.placed.push(callId(request));
      this.#last = { request, flow };
      const status = this.options.answer?.(request) ?? 180;
      if (status > 0) this.#answer(request, flow, status);
    } else this.#answer(request, flow, 200);
  }

  #register(request: string, flow: Flow): void {
    for (const [, uri = '', params = ''] of request.matchAll(/^contact:\s*<([^>]*)>([^\r]*)/gim)) {
      const expires = Number(/expires=(\d+)/i.exec(params)?.[1] ?? '3600');
      if (expires === 0) this.contacts.delete(uri);
      else this.contacts.set(uri, expires);
    }
    const list = [...this.contacts].map(([uri, expires]) => `Contact: <${uri}>;expires=${expires}\r\n`).join('');
    this.#answer(request, flow, 200, list);
  }

  #challenge(request: string, flow: Flow, stale: boolean): void {
    const { realm = 'carrier.example', algorithms = [], proxy = true, qop = true } = this.options;
    this.#nonce += 1;
    const nonce = `${stale || this.staleNonces <= 0 ? 'n' : 'old'}${this.#nonce}`;
    if (nonce.startsWith('old')) this.staleNonces -= 1;
    const fields = algorithms
      .map(
        (algorithm) =>
          `${proxy ? 'Proxy' : 'WWW'}-Authenticate: Digest realm="${realm}", nonce="${nonce}"${qop ? ', qop="auth,auth-int"' : ''}, algorithm=${algorithm}, opaque="o;p,q"${stale ? ', stale=TRUE' : ''}\r\n`,
      )
      .join('');
    this.#answer(request, flow, proxy ? 407 : 401, fields);
  }

  #verify(request: string, method: string): 'right' | 'wrong' | 'stale' {
    const {
      user = 'trunk1',
      password = 'secret',
      realm = 'carrier.example',
      algorithms = [],
      proxy = true,
      qop = true,
    } = this.options;
    if (algorithms.length === 0) return 'right';
    const name = proxy ? 'proxy-authorization' : 'authorization';
    for (const [, value = ''] of request.matchAll(new RegExp(`^${name}: Digest ([^\\r]*)`, 'gim'))) {
      const get = (key: string): string => new RegExp(`(?:^|[ ,])${key}="?([^",]*)"?`, 'i').exec(value)?.[1] ?? '';
      if (get('realm') !== realm || get('username') !== user) continue;
      const algorithm = algorithms.find((each) => each === get('algorithm'));
      if (algorithm === undefined) return 'wrong';
      const h = (text: string): string => createHash(hashes[algorithm]).update(text).digest('hex');
      const uri = request.split(' ')[1] ?? '';
      const middle = qop ? `${get('nonce')}:${get('nc')}:${get('cnonce')}:${get('qop')}` : get('nonce');
      const right = h(`${h(`${user}:${realm}:${password}`)}:${middle}:${h(`${method}:${uri}`)}`);
      if (get('response') !== right || get('uri') !== uri) return 'wrong';
      return get('nonce').startsWith('old') ? 'stale' : 'right';
    }
    return 'wrong';
  }

  #answer(request: string, flow: Flow, status: number, fields = '', body = ''): void {
    let out = `SIP/2.0 ${status} Carrier\r\n`;
    for (const line of request.slice(0, request.indexOf('\r\n\r\n')).split('\r\n').slice(1)) {
      if (/^(?:via|from|call-id|cseq):/i.test(line)) out += `${line}\r\n`;
      else if (/^to:/i.test(line))
        out += /;tag=/i.test(line) || status === 100 ? `${line}\r\n` : `${line};tag=carrier\r\n`;
      else if (/^record-route:/i.test(line) && status > 100 && status < 300) out += `${line}\r\n`;
    }
    const contact =
      /contact:/i.test(fields) || status < 180 || status > 299 ? '' : `Contact: <sip:gw@${this.address}>\r\n`;
    const answer = `${out}${contact}${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
    const known = this.#transactions.get(`${branch(request)} ${request.slice(0, request.indexOf(' '))}`);
    if (known !== undefined) known.answer = answer;
    flow.send(Buffer.from(answer, 'latin1'));
  }
}

const branch = (text: string): string => /^via:[^\r]*;branch=([^;\r, ]+)/im.exec(text)?.[1] ?? '';
const callId = (text: string): string => /^call-id:\s*([^\r]*)/im.exec(text)?.[1] ?? '';
const cseq = (text: string): number => Number(/^cseq:\s*(\d+)/im.exec(text)?.[1] ?? '0');
