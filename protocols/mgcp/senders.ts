/**
 * Who sent a command or a response, and whether that is to be believed: gateways by their name and address, members by their address
 * (RFC 3435 §3.5.2, §5).
 */
import {
  addressKey,
  type ControllerAddress,
  type ControlPeer,
  type CoreServices,
  type Flow,
  formatSocketAddress,
  type Gateway,
  type GatewayController,
  type Line,
  limitedEvent,
  RateLimitedLog,
} from '../../src/internal.ts';
import type { MgcpCommand } from './codec/messages.ts';
import { readEndpointName } from './codec/values/names.ts';
import type { MgcpGatewayConfig } from './config.ts';
import type { EndpointAudit } from './snapshot.ts';

export interface SendersParts {
  readonly services: Pick<CoreServices, 'clock' | 'log' | 'metrics'>;
  controller(): GatewayController<MgcpGatewayConfig, EndpointAudit>;
  /** A command that was held is to be processed. */
  again(command: MgcpCommand, flow: Flow): void;
  /** A command is held: its sender is to be patient. */
  pend(to: ControllerAddress, command: MgcpCommand): void;
}

export class Senders {
  readonly #parts: SendersParts;
  readonly #strangers: RateLimitedLog;
  #knownHosts: ReadonlySet<string> | undefined;

  constructor(parts: SendersParts) {
    this.#parts = parts;
    this.#strangers = new RateLimitedLog(parts.services.log, parts.services.clock);
  }

  stop(): void {
    this.#strangers.close();
  }

  /** Gateways came, went or moved. */
  hostsChanged(): void {
    this.#knownHosts = undefined;
  }

  /** §3.5.2: gateways number their commands by domain. undefined: the command is not to be believed. */
  senderOf(command: MgcpCommand, flow: Flow): string | undefined {
    const from = remoteOf(flow);
    const { members, ownership } = this.#parts.controller();
    if (members.find(from) !== undefined) return `partner ${addressKey(from)}`;
    if (!this.#isWhereItMayBe(command, flow)) return undefined;
    const gateway = this.gatewayOf(command, flow);
    if (gateway === undefined) {
      this.#countStranger();
      limitedEvent(this.#strangers, 'strangerRefused', flow.remote.host, () => ({
        from: formatSocketAddress(flow.remote),
        named: command.endpoint,
      }));
      return undefined;
    }
    // What it still sends is for the one who serves it now, and will be repeated there.
    if (!ownership.isCertain) return undefined;
    if (ownership.isReleased(gateway.name) && command.verb !== 'RSIP') return undefined;
    return gateway.name;
  }

  /** The response to a command that was sent to this peer. */
  trusts(peer: ControlPeer, flow: Flow): boolean {
    const { gateways, liveness } = this.#parts.controller();
    const gateway = gateways.byName(peer.name);
    if (gateway === undefined || !gateway.livesAt(flow.remote.host)) return false;
    liveness.answered(gateway);
    return true;
  }

  /** Gateways and members: to anybody else an answer would be an echo. */
  answersTo(flow: Flow): boolean {
    const from = remoteOf(flow);
    if (this.#parts.controller().members.find(from) !== undefined || this.#hosts().has(from.host)) return true;
    this.#countStranger();
    return false;
  }

  gatewayOf(command: MgcpCommand, flow: Flow): Gateway | undefined {
    const { gateways } = this.#parts.controller();
    const domain = readEndpointName(command.endpoint)?.domain ?? '';
    const named = gateways.byName(domain);
    if (named !== undefined) return named.livesAt(flow.remote.host) ? named : undefined;
    // A gateway may call itself by its address.
    if (domain !== flow.remote.host) return undefined;
    for (const gateway of gateways.all()) if (gateway.livesAt(domain)) return gateway;
    return undefined;
  }

  /** The line that a gateway means, also where it calls itself by its address. */
  lineOf({ name }: Gateway, { endpoint }: MgcpCommand): Line | undefined {
    const { lines } = this.#parts.controller().lineProvider;
    return lines.byEndpoint(endpoint) ?? lines.byEndpoint(`${readEndpointName(endpoint)?.local ?? ''}@${name}`);
  }

  /** A gateway that may be anywhere has to be where its command comes from, before anything of it is remembered. */
  #isWhereItMayBe(command: MgcpCommand, flow: Flow): boolean {
    const { again, controller, pend } = this.#parts;
    const { gateways, roaming } = controller();
    if (roaming.size === 0) return true;
    const gateway = gateways.byName(readEndpointName(command.endpoint)?.domain ?? '');
    if (gateway === undefined || !roaming.has(gateway)) return true;
    const from = remoteOf(flow);
    const verdict = roaming.judge(gateway, from, false, () => again(command, flow));
    if (verdict === 'held') pend(from, command);
    return verdict === 'admitted';
  }

  /** Where gateways live. */
  #hosts(): ReadonlySet<string> {
    this.#knownHosts ??= new Set(
      [...this.#parts.controller().gateways.all()].flatMap((gateway) => gateway.addresses().map(({ host }) => host)),
    );
    return this.#knownHosts;
  }

  #countStranger(): void {
    this.#parts.services.metrics
      .counter('mgcp_strangers_total', 'Commands of gateways that are not provisioned, or not at their address')
      .add();
  }
}

export const remoteOf = ({ remote }: Flow): ControllerAddress => ({
  transport: 'udp',
  host: remote.host,
  port: remote.port,
});
