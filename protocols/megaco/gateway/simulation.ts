/** The simulated MEGACO gateway as the core's console, command and demonstration use it. */
import {
  type ControllerAddress,
  formatAddress,
  type GatewaySimulation,
  mediaAddress,
  type SimulatedGateway,
  type SimulatedGatewayOptions,
  type SimulatedLine,
  type SimulationServices,
  toneOfLine,
} from '../../../src/internal.ts';
import { decode, plainNaming } from '../codec/codec.ts';
import type { Encoding } from '../codec/messages.ts';
import { encodeText } from '../codec/text/encode.ts';
import { toneOf } from '../line-commands.ts';
import { defaultTextPort } from '../path.ts';
import { SimGateway } from './sim-gateway.ts';
import type { SimTermination } from './sim-termination.ts';

const encodings: readonly Encoding[] = ['compact', 'pretty', 'binary'];

export const megacoSimulation: GatewaySimulation = {
  protocol: 'megaco',
  title: 'a media gateway with analog lines (MEGACO/H.248)',
  defaults: { name: 'gw1', listen: '127.0.0.1:2946', controller: `127.0.0.1:${defaultTextPort}` },
  gatewayPort: defaultTextPort,
  controllerPort: defaultTextPort,
  controllerFlag: 'controller',
  encodings,
  create: (services, options) => new SimulatedMegacoGateway(services, options),
  summarize(datagram) {
    const decoded = decode(datagram, () => plainNaming);
    if (!decoded.ok) return [];
    const text = encodeText(decoded.value, 'compact')
      .toString('latin1')
      .replace(/\s*\n\s*/g, ' ');
    return [text.slice(text.indexOf(' ') + 1).slice(0, 150)];
  },
};

class SimulatedMegacoGateway implements SimulatedGateway {
  readonly gateway: SimGateway;
  readonly lines: readonly SimulatedMegacoLine[];

  constructor(services: SimulationServices, options: SimulatedGatewayOptions) {
    this.gateway = new SimGateway(services, {
      name: options.name.toLowerCase(),
      listen: options.listen,
      controllers: options.controllers,
      lines: options.lines,
      aware: options.aware,
      encoding: encodings.find((each) => each === options.encoding) ?? 'compact',
      retryMs: 1_000,
      media: options.media,
      onChange: () => {
        for (const line of this.lines) options.onChange?.(line);
      },
    });
    this.lines = this.gateway.lines.map((line) => new SimulatedMegacoLine(this.gateway, line));
  }

  start(): Promise<void> {
    return this.gateway.start();
  }

  stop(): Promise<void> {
    return this.gateway.stop();
  }
}

class SimulatedMegacoLine implements SimulatedLine {
  readonly line: SimTermination;
  readonly name: string;
  readonly #gateway: SimGateway;

  constructor(gateway: SimGateway, line: SimTermination) {
    this.#gateway = gateway;
    this.line = line;
    this.name = `${line.id}@${gateway.options.name}`;
  }

  get hears(): SimulatedLine['hears'] {
    const { signal } = this.line;
    return signal === undefined ? undefined : (toneOf(signal) ?? 'other');
  }

  get signal(): string {
    return this.line.signal ?? '';
  }

  get isIdle(): boolean {
    return isIdle(this.line);
  }

  get media(): SimulatedLine['media'] {
    const ephemeral = mediaOf(this.#gateway, this.line);
    if (ephemeral === undefined) return undefined;
    return {
      receivesAt: mediaAddress(ephemeral.local),
      sendsTo: ephemeral.talks ? mediaAddress(ephemeral.remote) : undefined,
    };
  }

  get toneHz(): number {
    return toneOfLine(this.name);
  }

  get heard(): SimulatedLine['heard'] {
    return mediaOf(this.#gateway, this.line)?.stream?.heard;
  }

  get controller(): ControllerAddress | undefined {
    return this.#gateway.controller;
  }

  offHook(): void {
    this.line.offHook();
  }

  onHook(): void {
    this.line.onHook();
  }

  /** The analog line supervision package's hook flash (RFC 3525 E.9.2) is not asked for by anybody yet. */
  flash(): void {}

  dial(digits: string): void {
    this.line.dial(digits);
  }

  describe(): Readonly<Record<string, unknown>> {
    const ephemeral = mediaOf(this.#gateway, this.line);
    const { controller, alternates } = this.#gateway;
    return {
      line: this.name,
      hook: this.line.hook,
      hears: this.signal,
      context: this.line.contextId,
      speaks: this.toneHz,
      media:
        ephemeral === undefined
          ? undefined
          : {
              termination: ephemeral.id,
              mode: ephemeral.localControl?.mode,
              local: mediaAddress(ephemeral.local),
              remote: mediaAddress(ephemeral.remote),
            },
      controller: controller === undefined ? undefined : formatAddress(controller),
      alternates: alternates.map(formatAddress),
    };
  }
}

/** The ephemeral termination in the line's context. */
export const mediaOf = (gateway: SimGateway, { contextId }: SimTermination): SimTermination | undefined =>
  contextId === 0 ? undefined : gateway.contexts.members(contextId).find(({ kind }) => kind === 'rtp');

/** On-hook, silent, in no context, and waiting for the handset to be lifted. */
export const isIdle = ({ hook, contextId, signal, events }: SimTermination): boolean =>
  hook === 'on' && contextId === 0 && signal === undefined && events.events.some(({ name }) => name === 'al/of');
