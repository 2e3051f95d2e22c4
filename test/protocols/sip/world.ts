/** A whole SIP role on a memory network, a fake clock and a DNS of its own, with peers that say and hear wire text. */

import { createFraming } from '../../../protocols/sip/codec/framing.ts';
import { sipConfigSchema } from '../../../protocols/sip/config.ts';
import { createSipRole } from '../../../protocols/sip/role.ts';
import {
  type Clock,
  type ControllerAddress,
  type CoreServices,
  DiallingPlan,
  type DiallingPlanSettings,
  type DnsClient,
  type Flow,
  formatSocketAddress,
  type Listener,
  type LocationService,
  type Logger,
  Metrics,
  type Network,
  parseAddress,
  type Random,
  type Role,
  type SocketAddress,
  silentLog,
  type TransmitError,
  type TrustSettings,
} from '../../../src/internal.ts';
import { MemoryLocations } from '../../../src/location/memory.ts';
import { FloatingAddresses } from '../../../src/network/floating.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryNetwork, type MemoryPacket } from '../../support/memory-network.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { guarded, withCallControl } from '../../support/services.ts';

export interface SipWorldOptions {
  /** The `sip:` section; `listen` is UDP and TCP on 127.0.0.1 where it says nothing. */
  readonly config?: Readonly<Record<string, unknown>>;
  readonly trust?: Partial<TrustSettings>;
  /** What a name's A record says; a name that is absent does not exist. */
  readonly names?: (name: string) => string | undefined;
  /** The `numbers:` section. */
  readonly numbers?: DiallingPlanSettings;
  /** Further addresses of the proxy's machine. */
  readonly addresses?: readonly string[];
  readonly log?: Logger;
  /** The proxy's address floats: `leave()` and `comeBack()` move it. */
  readonly floats?: boolean;
  /** Instead of memory alone. */
  readonly locations?: LocationService;
  /** Makes services that a role has in a process and not in every test, and may put something between it and its sockets. */
  readonly more?: (
    parts: WorldParts,
  ) => Partial<Pick<CoreServices, 'overload' | 'announcesOverloadControl' | 'network'>>;
}

export interface WorldParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly network: Network;
}

export const proxyHost = '127.0.0.1';

export class SipWorld {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly metrics = new Metrics();
  readonly locations = new MemoryLocations({ clock: this.clock });
  /** Everything the proxy has sent. */
  readonly sent: MemoryPacket[] = [];
  readonly asked: string[] = [];
  readonly #here = new Set([proxyHost]);
  #role: Role | undefined;

  static async up(options: SipWorldOptions = {}): Promise<SipWorld> {
    const world = new SipWorld();
    const { network, metrics, locations } = world;
    const host = network.host(proxyHost, { addresses: options.addresses ?? [] });
    const own = new Set([proxyHost, ...(options.addresses ?? [])]);
    network.onPacket((packet) => own.has(packet.from.host) && world.sent.push(packet));
    const config = sipConfigSchema.parse({
      listen: [`udp:${proxyHost}:5060`, `tcp:${proxyHost}:5060`],
      ...options.config,
    });
    const floating = new FloatingAddresses({
      clock: host.clock,
      metrics,
      log: silentLog,
      addresses: options.floats === true ? [proxyHost] : [],
      hostAddresses: () => world.#here,
    });
    const parts: WorldParts = {
      clock: host.clock,
      random: seededRandom(7),
      log: options.log ?? silentLog,
      metrics,
      network: floating.over(host),
    };
    const more = { ...parts, ...options.more?.(parts) };
    const role: Role = createSipRole(
      withCallControl(
        {
          ...more,
          network: guarded(more, () => role.screen),
          dns: dnsOf(options.names ?? (() => undefined), world.asked),
          locations: options.locations ?? locations,
          cluster: { secret: 'only a test', backups: config.backup, backupFor: config.backupFor },
        },
        new DiallingPlan(options.numbers),
      ),
      config,
      { trust: [], allow: [], strip: 'none', ...options.trust },
    );
    await role.start();
    world.#role = role;
    return world;
  }

  /** The proxy's address goes to another host: nobody hears the proxy, nor does it hear anybody. */
  leave(): void {
    this.#here.delete(proxyHost);
    this.network.silence(proxyHost);
  }

  comeBack(): void {
    this.network.revive(proxyHost);
    this.#here.add(proxyHost);
  }

  get role(): Role {
    if (this.#role === undefined) throw new Error('the world is not up');
    return this.#role;
  }

  /** Transactions in memory, by the role's own word. */
  get transactions(): unknown {
    return this.role.status()['transactions'];
  }

  /** A program at this address (`127.0.0.9:5062`, `tcp:127.0.0.9`), with port 5060 where none is said. */
  async peer(address: string): Promise<Peer> {
    const at = parseAddress(address, { port: 5_060 });
    const peer = new Peer(at);
    peer.listener = await this.network
      .host(at.host)
      .bind(at, { framing: createFraming }, { received: peer.received, failed: peer.failed });
    return peer;
  }

  /** Lets time pass, names resolve and promises settle. */
  run(ms = 10): Promise<void> {
    return this.clock.advanceAsync(ms);
  }

  async down(): Promise<void> {
    await this.role.stop();
  }
}

export interface Heard {
  readonly text: string;
  readonly flow: Flow;
  readonly atMs?: number;
}

export class Peer {
  readonly address: ControllerAddress;
  readonly heard: Heard[] = [];
  readonly failures: TransmitError[] = [];
  listener: Listener | undefined;

  constructor(address: ControllerAddress) {
    this.address = address;
  }

  readonly received = (bytes: Buffer, flow: Flow): void => {
    this.heard.push({ text: bytes.toString('latin1'), flow });
  };

  readonly failed = (_flow: Flow, error: TransmitError): void => {
    this.failures.push(error);
  };

  /** `host:port`, as a Via shows it. */
  get sentBy(): string {
    return formatSocketAddress(this.address);
  }

  get texts(): readonly string[] {
    return this.heard.map(({ text }) => text);
  }

  /** What was heard since the last call of this. */
  take(): readonly string[] {
    return this.heard.splice(0).map(({ text }) => text);
  }

  /** The last message heard. @throws where there is none. */
  get last(): string {
    const last = this.heard.at(-1);
    if (last === undefined) throw new Error(`${this.sentBy} has heard nothing`);
    return last.text;
  }

  /** Over a connection or datagram of our own to the proxy, or to whom is said. */
  send(message: string | Buffer, to: SocketAddress = { host: proxyHost, port: 5_060 }): void {
    const flow = this.listener?.flowTo(to);
    if (flow === undefined) throw new Error('the peer is not bound');
    flow.send(typeof message === 'string' ? Buffer.from(message, 'latin1') : message);
  }

  /** Back over the way the last message came. */
  answer(message: string): void {
    const last = this.heard.at(-1);
    if (last === undefined) throw new Error(`${this.sentBy} has heard nothing to answer`);
    last.flow.send(Buffer.from(message, 'latin1'));
  }
}

export interface RequestOptions {
  readonly uri?: string;
  readonly via?: string;
  readonly branch?: string;
  readonly from?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly cseq?: number;
  /** '' for none. */
  readonly maxForwards?: string;
  /** Further fields, each with `\r\n`. */
  readonly fields?: string;
  readonly body?: string;
  readonly transport?: string;
}

/** A request as a plain telephone writes it. `via` is the sent-by with parameters. */
export function request(method: string, options: RequestOptions = {}): string {
  const {
    uri = 'sip:bob@127.0.0.20:5070',
    transport = 'UDP',
    branch = 'z9hG4bKcaller1',
    via = '127.0.0.9:5062',
    from = '<sip:alice@atlanta.example>;tag=a1',
    to = '<sip:bob@biloxi.example>',
    callId = 'call-1@127.0.0.9',
    cseq = 1,
    maxForwards = 'Max-Forwards: 70\r\n',
    fields = '',
    body = '',
  } = options;
  return `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/${transport} ${via};branch=${branch}\r\n${maxForwards}From: ${from}\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

/** A user agent's answer to a request it received: every Via, From, To (with our tag), Call-ID and CSeq as they came. */
export function answerTo(
  received: string,
  status: number,
  { reason = 'Whatever', tag = 'b1', fields = '', body = '' } = {},
): string {
  let out = `SIP/2.0 ${status} ${reason}\r\n`;
  for (const line of headerLines(received)) {
    if (/^(?:v|via|f|from|i|call-id|cseq)\s*:/i.test(line)) out += `${line}\r\n`;
    else if (/^(?:t|to)\s*:/i.test(line))
      out += /;\s*tag\s*=/i.test(line) || status === 100 ? `${line}\r\n` : `${line};tag=${tag}\r\n`;
    else if (/^record-route\s*:/i.test(line) && status > 100 && status < 300) out += `${line}\r\n`;
  }
  return `${out}${fields}Content-Length: ${body.length}\r\n\r\n${body}`;
}

export const startLine = (message: string): string => message.slice(0, message.indexOf('\r\n'));

/** Header fields as lines; a folded one is one line with its folds. */
export const headerLines = (message: string): readonly string[] =>
  message.slice(message.indexOf('\r\n') + 2, message.indexOf('\r\n\r\n')).split(/\r\n(?![ \t])/);

export const bodyOf = (message: string): string => message.slice(message.indexOf('\r\n\r\n') + 4);

/** The values of every field of this name, as written behind the colon. */
export function fieldsOf(message: string, name: string): readonly string[] {
  const start = new RegExp(`^${name}[ \\t]*:[ \\t]*`, 'i');
  return headerLines(message)
    .filter((line) => start.test(line))
    .map((line) => line.replace(start, ''));
}

export const statusOf = (message: string): number =>
  message.startsWith('SIP/2.0 ') ? Number(message.slice(8, 11)) : 0;

/** The methods and status codes of messages, in order: `INVITE`, `100`, `180`. */
export const gist = (messages: readonly string[]): readonly string[] =>
  messages.map((message) =>
    statusOf(message) === 0 ? message.slice(0, message.indexOf(' ')) : String(statusOf(message)),
  );

/** `z9hG4bK…` of the top Via. */
export const branchOf = (message: string): string => /;branch=([^;\r\n, ]+)/.exec(message)?.[1] ?? '';

function dnsOf(names: (name: string) => string | undefined, asked: string[]): DnsClient {
  const nothing = async (type: string, name: string) => {
    asked.push(`${type} ${name}`);
    return { records: [], ttlMs: 60_000 };
  };
  return {
    naptr: (name) => nothing('NAPTR', name),
    srv: (name) => nothing('SRV', name),
    aaaa: (name) => nothing('AAAA', name),
    async a(name) {
      asked.push(`A ${name}`);
      const address = names(name);
      return { records: address === undefined ? [] : [address], ttlMs: 60_000 };
    },
  };
}
