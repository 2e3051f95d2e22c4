/** A SIP telephone in the place of a gateway with one line, so that the demonstration's calls cross from and to SIP. */
import {
  type ControllerAddress,
  type DemoParty,
  formatSocketAddress,
  type HeardMedia,
  mediaAddress,
  type SimulatedGateway,
  type SimulatedGatewayOptions,
  type SimulatedLine,
  type SimulatedStream,
  type SimulationServices,
  systemRandom,
  type Tone,
  toneOfLine,
} from '../../../src/internal.ts';
import type { Call, CallMedia } from '../telephone/index.ts';
import { Telephone, type TelephoneEvent } from '../telephone/index.ts';
import { domain } from './members.ts';

export const sipParty: DemoParty = {
  protocol: 'sip',
  registers: true,
  section: () => ({ domains: [domain], serviceRoute: true, timers: { downProbeMs: 250 } }),
  create: (services, options) => new SimulatedTelephone(services, options),
  summarize: (datagram) => {
    const text = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.length).toString('latin1');
    const [first = ''] = text.split('\r\n', 1);
    const method = /^CSeq:\s*\d+\s+(\S+)/im.exec(text)?.[1];
    const status = /^SIP\/2\.0 (.*)$/.exec(first)?.[1];
    if (status !== undefined) return [`${status}${method === undefined ? '' : ` (${method})`}`];
    return /^[A-Z]+ \S+ SIP\/2\.0$/.test(first) ? [first.replace(/ SIP\/2\.0$/, '')] : [];
  },
};

class SimulatedTelephone implements SimulatedGateway {
  readonly lines: readonly [TelephoneSet];
  readonly #media: SimulatedGatewayOptions['media'];

  constructor(services: SimulationServices, options: SimulatedGatewayOptions) {
    this.#media = options.media;
    this.lines = [new TelephoneSet(services, options)];
  }

  async start(): Promise<void> {
    await this.#media?.start();
    await this.lines[0].start();
  }

  async stop(): Promise<void> {
    await this.lines[0].stop();
    await this.#media?.stop();
  }
}

class TelephoneSet implements SimulatedLine {
  readonly name: string;
  readonly toneHz: number;
  readonly #telephone: Telephone;
  readonly #media: SimulatedGatewayOptions['media'];
  readonly #host: string;
  #isRegistered = false;
  #isOffHook = false;
  #call: Call | undefined;
  #stream: SimulatedStream | undefined;
  #sendsTo: string | undefined;
  /** What was heard last in the call before its stream was closed. */
  #hears: Tone | undefined;
  #controller: ControllerAddress | undefined;

  constructor(services: SimulationServices, { name, listen, controllers, media }: SimulatedGatewayOptions) {
    this.name = name;
    this.toneHz = toneOfLine(name);
    this.#media = media;
    this.#host = listen.host;
    this.#telephone = new Telephone(
      { ...services, random: systemRandom },
      {
        user: name,
        domain,
        listen,
        servers: controllers,
        timers: { downProbeMs: 250 },
        openMedia: () => this.#openMedia(),
        onEvent: (event) => this.#onEvent(event),
        tap: (direction, _message, { host, port }) => {
          if (direction === 'in') this.#controller = { transport: 'udp', host, port };
        },
      },
    );
  }

  async start(): Promise<void> {
    await this.#telephone.start();
    const { status, reason } = await this.#telephone.register();
    if (status !== 200) throw new Error(`the telephone was not registered: ${status} ${reason}`);
  }

  stop(): Promise<void> {
    return this.#telephone.stop();
  }

  get hears(): Tone | undefined {
    return this.#hears;
  }

  get signal(): string {
    return this.#hears ?? '';
  }

  get isIdle(): boolean {
    return this.#isRegistered && !this.#isOffHook && this.#telephone.calls.length === 0;
  }

  get media(): SimulatedLine['media'] {
    const stream = this.#stream;
    if (stream === undefined) return undefined;
    return { receivesAt: formatSocketAddress({ host: this.#host, port: stream.port }), sendsTo: this.#sendsTo };
  }

  get heard(): HeardMedia | undefined {
    return this.#stream?.heard;
  }

  get controller(): ControllerAddress | undefined {
    return this.#controller;
  }

  offHook(): void {
    this.#isOffHook = true;
    if (this.#call === undefined) this.#hears = 'dial';
    else this.#call.answer();
  }

  onHook(): void {
    this.#isOffHook = false;
    this.#hears = undefined;
    this.#call?.hangUp();
  }

  flash(): void {}

  dial(digits: string): void {
    this.#hears = undefined;
    this.#call = this.#telephone.call(digits);
  }

  describe(): Readonly<Record<string, unknown>> {
    return { line: this.name, hook: this.#isOffHook ? 'off' : 'on', call: this.#call?.state, hears: this.#hears };
  }

  #openMedia(): CallMedia | undefined {
    const stream = this.#media?.open(this.toneHz);
    if (stream === undefined) return undefined;
    this.#stream = stream;
    return {
      port: stream.port,
      set: (remote, mode) => {
        this.#sendsTo = remote === undefined ? undefined : mediaAddress(remote);
        stream.set(remote, mode);
      },
      close: () => {
        stream.close();
        if (this.#stream !== stream) return;
        this.#stream = undefined;
        this.#sendsTo = undefined;
      },
    };
  }

  #onEvent(event: TelephoneEvent): void {
    if (event.kind === 'registered') this.#isRegistered = true;
    else if (event.kind === 'call') {
      const { call } = event;
      this.#call = call;
      if (call.state === 'ringing') this.#hears = call.direction === 'incoming' ? 'ring' : 'ringback';
      else if (call.state === 'answered') this.#hears = undefined;
    } else if (event.kind === 'ended' && event.call === this.#call) {
      this.#call = undefined;
      this.#hears = this.#isOffHook ? 'busy' : undefined;
    }
  }
}
