/** A SIP role whose user agent calls and is called by scripted legs, and a peer on the wire that says exactly what a test wants. */
import { decode } from '../../../../protocols/sip/codec/decode.ts';
import { createFraming } from '../../../../protocols/sip/codec/framing.ts';
import { H } from '../../../../protocols/sip/codec/header-names.ts';
import type { SipMessage } from '../../../../protocols/sip/codec/messages.ts';
import { createSipRole, sipConfigSchema } from '../../../../protocols/sip/index.ts';
import {
  AddressResolver,
  type Call,
  CallControl,
  type CallerIdentity,
  type Contact,
  type ControllerAddress,
  type EventSink,
  type Flow,
  type Leg,
  type LegEvent,
  type LegProvider,
  type Listener,
  Metrics,
  type Role,
  type Side,
  silentLog,
} from '../../../../src/internal.ts';
import { MemoryLocations } from '../../../../src/location/memory.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { MemoryNetwork } from '../../../support/memory-network.ts';
import { seededRandom } from '../../../support/seeded-random.ts';

export const proxyHost = '127.0.0.1';
export const peerHost = '127.0.0.31';
export const domain = 'example.com';
export const lineNumber = '200';

/** What a line's gateway says of its media, and what a telephone says. */
export const lineSdp =
  'v=0\r\no=- 7 1 IN IP4 127.0.0.11\r\ns=-\r\nc=IN IP4 127.0.0.11\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n';
export const peerSdp =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.31\r\ns=-\r\nc=IN IP4 127.0.0.31\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';

/** A leg that notes what it is told, and says what the test makes it say. */
export class ScriptedLeg implements Leg {
  readonly name = lineNumber;
  readonly identity: CallerIdentity | undefined;
  readonly told: (readonly [command: string, ...args: unknown[]])[] = [];
  readonly call: Call;
  readonly side: Side;
  caller: CallerIdentity | undefined;
  /** Held back until the test lets them run. */
  settling: (() => void)[] | undefined;

  constructor(call: Call, side: Side, identity?: CallerIdentity) {
    this.call = call;
    this.side = side;
    this.identity = identity;
  }

  get commands(): readonly string[] {
    return this.told.map(([command]) => command);
  }

  last(command: string): readonly unknown[] | undefined {
    const [, ...args] = this.told.findLast(([name]) => name === command) ?? [];
    return this.told.some(([name]) => name === command) ? args : undefined;
  }

  say(event: LegEvent): void {
    this.call.on(this.side, event);
  }

  collect(): void {
    this.told.push(['collect']);
  }

  offer(callId: string): void {
    this.told.push(['offer', callId]);
    this.say({ kind: 'offered', description: lineSdp });
  }

  alert(callId: string, offer: string | undefined, caller?: CallerIdentity): void {
    this.caller = caller;
    this.told.push(['alert', callId, offer]);
  }

  progress(early: string | undefined, answer?: string): void {
    this.told.push(['progress', early, answer]);
  }

  connect(remote: string | undefined): void {
    this.told.push(['connect', remote]);
  }

  modify(offer: string | undefined): void {
    this.told.push(['modify', offer]);
  }

  modifyAnswer(description: string): void {
    this.told.push(['modifyAnswer', description]);
  }

  modifyRefuse(reason: string): void {
    this.told.push(['modifyRefuse', reason]);
  }

  digit(signal: string, durationMs: number): void {
    this.told.push(['digit', signal, durationMs]);
  }

  whenSettled(run: () => void): void {
    if (this.settling === undefined) run();
    else this.settling.push(run);
  }

  release(reason: string, cause?: number): void {
    this.told.push(['release', reason, cause]);
  }
}

class ScriptedLines implements LegProvider {
  readonly protocol = 'line';
  readonly timers = {};
  readonly numbersVersion = 1;
  readonly legs: ScriptedLeg[] = [];

  place(_contact: Contact, call: Call): Leg {
    const leg = new ScriptedLeg(call, 'callee');
    this.legs.push(leg);
    return leg;
  }

  claim(): 'unknownNumber' {
    return 'unknownNumber';
  }

  numbers(): Iterable<string> {
    return [lineNumber];
  }

  isServed(): boolean {
    return true;
  }

  hasNumber(number: string): boolean {
    return number === lineNumber;
  }

  isInCall(): boolean {
    return false;
  }

  isNumberOf(): boolean {
    return false;
  }

  restore(_endpoint: string, call: Call, side: Side): Leg {
    const leg = new ScriptedLeg(call, side);
    this.legs.push(leg);
    return leg;
  }

  snapshotOf(): undefined {}

  hasUnknownEnds(): boolean {
    return false;
  }
}

/** Something on the wire that speaks SIP as the test says. */
export class Peer {
  readonly got: SipMessage[] = [];
  readonly host: string;
  readonly #network: MemoryNetwork;
  #listener: Listener | undefined;
  #flow: Flow | undefined;
  #serial = 0;
  #behindNat = false;
  localTag = 'peer1';

  constructor(network: MemoryNetwork, host: string) {
    this.#network = network;
    this.host = host;
  }

  /** `behindNat`: on a connection, with a Contact that nobody can reach. */
  async start(behindNat = false): Promise<void> {
    this.#behindNat = behindNat;
    this.#listener = await this.#network
      .host(this.host)
      .bind(
        { transport: behindNat ? 'tcp' : 'udp', host: this.host, port: 5_060 },
        behindNat ? { framing: createFraming } : {},
        {
          received: (bytes) => {
            const decoded = decode(bytes);
            if (!decoded.ok) throw new Error(`malformed message to the peer: ${decoded.error.reason}`);
            this.got.push(decoded.value);
          },
          failed: () => undefined,
        },
      );
    this.#flow = this.#listener.flowTo({ host: proxyHost, port: 5_060 });
  }

  get contact(): string {
    return this.#behindNat ? 'sip:7001@behind-nat.invalid;transport=tcp' : `sip:7001@${this.host}:5060`;
  }

  send(text: string): void {
    this.#flow?.send(Buffer.from(text, 'latin1'));
  }

  /** A request outside of a dialog, or in it where `to` has a tag. */
  request(method: string, options: RequestOptions = {}): string {
    this.#serial += 1;
    const {
      uri = `sip:${lineNumber}@${domain}`,
      branch = `z9hG4bKp${this.#serial}`,
      from = `<sip:7001@${domain}>`,
      fromTag = this.localTag,
      to = `<sip:${lineNumber}@${domain}>`,
      callId = 'call1',
      cseq = this.#serial,
      fields = '',
      body = '',
      contact = true,
      type = 'application/sdp',
    } = options;
    const contactField = contact ? `Contact: <${this.contact}>\r\n` : '';
    const transport = this.#behindNat ? 'TCP' : 'UDP';
    const typeField = body === '' ? '' : `Content-Type: ${type}\r\n`;
    this.send(
      `${method} ${uri} SIP/2.0\r\nVia: SIP/2.0/${transport} ${this.host}:5060;branch=${branch};rport\r\nMax-Forwards: 70\r\n` +
        `From: ${from};tag=${fromTag}\r\nTo: ${to}\r\nCall-ID: ${callId}\r\nCSeq: ${cseq} ${method}\r\n${contactField}${fields}${typeField}` +
        `Content-Length: ${body.length}\r\n\r\n${body}`,
    );
    return branch;
  }

  respond(request: SipMessage, status: number, reason: string, options: ResponseOptions = {}): void {
    const { tag = 'callee1', body = '', fields = '', contact = this.contact } = options;
    const { text, scan } = request;
    let out = `SIP/2.0 ${status} ${reason}\r\n`;
    for (let i = 0; i < scan.fields.length; i += 4) {
      const line = text.slice(request.fieldStart(i), request.valueStop(i));
      const id = scan.fields[i];
      if (id === H.to) out += status > 100 && request.toTag === '' ? `${line};tag=${tag}\r\n` : `${line}\r\n`;
      else if (id === H.via || id === H.from || id === H.callId || id === H.cseq || id === H.recordRoute)
        out += `${line}\r\n`;
    }
    out += contact === '' ? '' : `Contact: <${contact}>\r\n`;
    const { host: sentBy, port } = request.via;
    // Whoever asked hears it, which need not be the member that the peer knows (RFC 3261 §18.2.2).
    const back = this.#behindNat ? this.#flow : this.#listener?.flowTo({ host: sentBy, port: port || 5_060 });
    back?.send(
      Buffer.from(
        `${out}${fields}${body === '' ? '' : 'Content-Type: application/sdp\r\n'}Content-Length: ${body.length}\r\n\r\n${body}`,
        'latin1',
      ),
    );
  }

  requests(method: string): readonly SipMessage[] {
    return this.got.filter((message) => message.isRequest && message.method === method);
  }

  responses(method: string, status?: number): readonly SipMessage[] {
    return this.got.filter(
      (message) =>
        !message.isRequest && message.method === method && (status === undefined || message.status === status),
    );
  }

  lastOf(method: string): SipMessage {
    const found = this.got.findLast((message) => message.method === method);
    if (found === undefined) throw new Error(`no ${method}`);
    return found;
  }
}

export interface RequestOptions {
  readonly uri?: string;
  readonly branch?: string;
  readonly from?: string;
  readonly fromTag?: string;
  readonly to?: string;
  readonly callId?: string;
  readonly cseq?: number;
  readonly fields?: string;
  readonly body?: string;
  readonly contact?: boolean;
  readonly type?: string;
}

export interface ResponseOptions {
  readonly tag?: string;
  readonly body?: string;
  readonly fields?: string;
  readonly contact?: string;
}

export class Rig {
  readonly clock = new FakeClock();
  readonly network = new MemoryNetwork(this.clock, {}, 1);
  readonly metrics = new Metrics();
  readonly lines = new ScriptedLines();
  readonly peer = new Peer(this.network, peerHost);
  readonly callControl: CallControl;
  readonly role: Role;
  /** What a program that runs the controller hears of calls. */
  readonly heard: string[] = [];

  /** `addresses`: further ones of the machine. */
  constructor(
    config: Readonly<Record<string, unknown>>,
    secret: string,
    seed: number,
    backupFor: readonly ControllerAddress[] = [],
    addresses: readonly string[] = [],
  ) {
    const host = this.network.host(proxyHost, { addresses });
    const clock = host.clock;
    const locations = new MemoryLocations({ clock });
    const dns = { naptr: none, srv: none, a: none, aaaa: none };
    const parts = { clock, random: seededRandom(seed), log: silentLog, metrics: this.metrics };
    const resolver = new AddressResolver({ clock, dns, locations });
    const contact: Contact = {
      protocol: 'line',
      target: lineNumber,
      key: lineNumber,
      path: [],
      alternates: [],
      expiresMs: Number.POSITIVE_INFINITY,
      q: 1_000,
      updatedMs: 0,
    };
    const events: EventSink = {
      isHeard: true,
      emit: (event) => {
        if (event.kind === 'call') this.heard.push(`${event.protocol} ${event.phase}`);
      },
    };
    this.callControl = new CallControl({
      ...parts,
      events,
      locate: (number) => (number === lineNumber ? [contact] : resolver.locate(number)),
    });
    this.callControl.register(this.lines);
    this.role = createSipRole(
      {
        ...parts,
        network: host,
        dns,
        locations,
        resolver,
        callControl: this.callControl,
        events,
        cluster: { secret, backups: [{ transport: 'udp', host: '127.0.0.2', port: 5_060 }], backupFor },
      },
      sipConfigSchema.parse({
        listen: [`udp:${proxyHost}:5060`, `tcp:${proxyHost}:5060`],
        domains: [domain],
        ...config,
      }),
      { trust: [], allow: [], strip: 'none' },
    );
  }

  static async up(
    config: Readonly<Record<string, unknown>> = {},
    secret = 'a secret of this test',
    seed = 1,
    behindNat = false,
    backupFor: readonly ControllerAddress[] = [],
  ): Promise<Rig> {
    const rig = new Rig(config, secret, seed, backupFor);
    await rig.role.start();
    await rig.peer.start(behindNat);
    return rig;
  }

  async run(ms: number): Promise<void> {
    await this.clock.advanceAsync(ms);
  }

  get leg(): ScriptedLeg {
    const leg = this.lines.legs.at(-1);
    if (leg === undefined) throw new Error('no line was called');
    return leg;
  }

  /** The peer calls the line, which rings. */
  async incoming(options: RequestOptions = {}): Promise<ScriptedLeg> {
    this.peer.request('INVITE', { body: peerSdp, ...options });
    await this.run(10);
    this.leg.say({ kind: 'alerting', description: lineSdp, early: false });
    await this.run(10);
    return this.leg;
  }

  /** ... and the line answers, and the peer has acknowledged. */
  async talking(options: RequestOptions = {}): Promise<ScriptedLeg> {
    const leg = await this.incoming(options);
    leg.say({ kind: 'answered' });
    await this.run(10);
    await this.acknowledge();
    return leg;
  }

  /** The ACK of the last 2xx to INVITE. */
  async acknowledge(body = ''): Promise<void> {
    this.inDialog('ACK', { cseq: this.peer.responses('INVITE', 200).at(-1)?.cseq ?? 1, body });
    await this.run(10);
  }

  /** A request of the peer's in the dialog of the last answer to INVITE. */
  inDialog(method: string, options: RequestOptions = {}): void {
    const answer = this.peer.got.findLast(
      (message) => !message.isRequest && message.method === 'INVITE' && message.toTag !== '',
    );
    const tag = answer?.toTag ?? 'none';
    this.peer.request(method, {
      uri: `sip:${lineNumber}@${proxyHost}:5060`,
      to: `<sip:${lineNumber}@${domain}>;tag=${tag}`,
      callId: answer?.callId ?? 'call1',
      ...options,
    });
  }

  /** The line calls the peer's user; the peer has the INVITE then. */
  async outgoing(identity?: CallerIdentity): Promise<ScriptedLeg> {
    this.peer.request('REGISTER', {
      uri: `sip:${domain}`,
      to: `<sip:7001@${domain}>`,
      callId: 'registration',
      fields: 'Expires: 3600\r\n',
    });
    await this.run(10);
    let leg: ScriptedLeg | undefined;
    this.callControl.begin('line', (call) => {
      leg = new ScriptedLeg(call, 'caller', identity);
      return leg;
    });
    if (leg === undefined) throw new Error('no call');
    leg.say({ kind: 'digits', number: '7001' });
    await this.run(10);
    return leg;
  }

  get dialogs(): number {
    return Number(/^altpath_sip_dialogs (\d+)/m.exec(this.#text)?.[1] ?? -1);
  }

  #text = '';

  async readMetrics(): Promise<void> {
    this.#text = await this.metrics.text();
  }

  async stop(): Promise<void> {
    await this.role.stop();
    this.callControl.stop();
  }
}

const none = async () => ({ records: [], ttlMs: 0 });
