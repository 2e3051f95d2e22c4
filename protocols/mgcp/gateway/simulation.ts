/** The simulated MGCP gateway as the core's console, command and demonstration use it. */
import {
  type ControllerAddress,
  formatSocketAddress,
  type GatewaySimulation,
  mediaAddress,
  type SimulatedGateway,
  type SimulatedGatewayOptions,
  type SimulatedLine,
  type SimulationServices,
  toneOfLine,
} from '../../../src/internal.ts';
import { decodeDatagram } from '../codec/decode.ts';
import type { MgcpMessage } from '../codec/messages.ts';
import { callAgentPort, gatewayPort } from '../config.ts';
import { toneOf } from '../requests.ts';
import { namedHabits } from './habits.ts';
import { SimGateway } from './sim-gateway.ts';
import type { SimConnection, SimLine } from './sim-line.ts';

export const mgcpSimulation: GatewaySimulation = {
  protocol: 'mgcp',
  title: 'a residential gateway (MGCP)',
  defaults: { name: 'rgw1', listen: `127.0.0.1:${gatewayPort}`, controller: `127.0.0.1:${callAgentPort}` },
  gatewayPort,
  controllerPort: callAgentPort,
  controllerFlag: 'call-agent',
  habits: Object.keys(namedHabits),
  create: (services, options) => new SimulatedMgcpGateway(services, options),
  summarize(datagram) {
    const decoded = decodeDatagram(datagram);
    return decoded.ok ? decoded.value.messages.flatMap(summaryOf) : [];
  },
};

class SimulatedMgcpGateway implements SimulatedGateway {
  readonly gateway: SimGateway;
  readonly lines: readonly SimulatedMgcpLine[];

  constructor(services: SimulationServices, options: SimulatedGatewayOptions) {
    this.gateway = new SimGateway(services, {
      name: options.name,
      listen: options.listen,
      callAgents: options.controllers,
      lines: options.lines,
      aware: options.aware,
      disconnectedMs: 1_000,
      media: options.media,
      habits: Object.assign({}, ...(options.habits ?? []).map((name) => namedHabits[name] ?? {})),
      onChange: (line) => {
        const changed = this.lines.find((each) => each.line === line);
        if (changed !== undefined) options.onChange?.(changed);
      },
    });
    this.lines = this.gateway.lines.map((line) => new SimulatedMgcpLine(this.gateway, line));
  }

  start(): Promise<void> {
    return this.gateway.start();
  }

  stop(): Promise<void> {
    return this.gateway.stop();
  }
}

class SimulatedMgcpLine implements SimulatedLine {
  readonly line: SimLine;
  readonly name: string;
  readonly #gateway: SimGateway;

  constructor(gateway: SimGateway, line: SimLine) {
    this.#gateway = gateway;
    this.line = line;
    this.name = `${line.local}@${gateway.options.name}`;
  }

  get hears(): SimulatedLine['hears'] {
    const [packageName = '', id = ''] = this.signal.split('/');
    return this.signal === '' ? undefined : (toneOf(packageName, id) ?? 'other');
  }

  get signal(): string {
    return this.line.hears;
  }

  get isIdle(): boolean {
    return isIdle(this.line);
  }

  get media(): SimulatedLine['media'] {
    const [connection] = this.line.connections.values();
    if (connection === undefined) return undefined;
    const { mode, remote, local } = connection;
    return {
      receivesAt: mediaAddress(local),
      sendsTo: mode.toLowerCase() === 'sendrecv' && this.line.hook === 'off' ? mediaAddress(remote) : undefined,
    };
  }

  get toneHz(): number {
    return toneOfLine(this.name);
  }

  get heard(): SimulatedLine['heard'] {
    return [...this.line.connections.values()][0]?.stream?.heard;
  }

  get controller(): ControllerAddress | undefined {
    return this.#gateway.destination(this.line).entity;
  }

  offHook(): void {
    this.line.offHook();
  }

  onHook(): void {
    this.line.onHook();
  }

  flash(): void {
    this.line.flash();
  }

  dial(digits: string): void {
    this.line.dial(digits, betweenDigitsMs);
  }

  describe(): Readonly<Record<string, unknown>> {
    const { entity, alternates } = this.#gateway.destination(this.line);
    return {
      line: this.name,
      hook: this.line.hook,
      hears: this.line.hears,
      connections: [...this.line.connections.values()].map(describeConnection),
      speaks: this.toneHz,
      notifiedEntity: entity === undefined ? undefined : formatSocketAddress(entity),
      alternates: alternates.map(formatSocketAddress),
    };
  }
}

/** On-hook, silent, without connections, and waiting for the handset to be lifted. */
export const isIdle = ({ hook, connections, hears, notification }: SimLine): boolean =>
  hook === 'on' &&
  connections.size === 0 &&
  hears === '' &&
  notification.state === 'normal' &&
  notification.request.events.some(({ id }) => id.toLowerCase() === 'hd');

const describeConnection = ({ callId, mode, local, remote }: SimConnection): Readonly<Record<string, unknown>> => ({
  callId,
  mode,
  local: mediaAddress(local),
  remote: mediaAddress(remote),
});

/** As fast as a person who knows the number. */
const betweenDigitsMs = 50;

function summaryOf(message: MgcpMessage): readonly string[] {
  if (message.kind === 'broken') return [];
  if (message.kind === 'response') return [`${message.code} ${message.comment}`];
  const shown = message.parameters
    .filter(({ code, value }) => ['S', 'M', 'X-ALTPTH', 'F', 'O'].includes(code) && value !== '')
    .map(({ code, value }) => `  ${code}: ${value}`);
  return [`${message.verb} ${message.endpoint}${shown.join('')}`];
}
