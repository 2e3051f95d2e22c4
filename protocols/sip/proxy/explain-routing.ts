/** At debug, why a request goes where it goes: what its sender may, what decided, which addresses are tried, and how they are. */
import {
  type ControllerAddress,
  type ControllerPool,
  type Flow,
  formatAddress,
  formatSocketAddress,
  type Logger,
  logEvent,
  type NamedHop,
} from '../../../src/internal.ts';
import type { SipMessage } from '../codec/messages.ts';
import type { Refusal, Standing } from './admission.ts';
import type { TargetGroups } from './flow-targets.ts';
import type { ProxyTarget } from './target.ts';

export class RoutingExplanation {
  readonly #log: Logger;
  readonly #pool: ControllerPool;

  constructor(log: Logger, pool: ControllerPool) {
    this.#log = log;
    this.#pool = pool;
  }

  routed(request: SipMessage, flow: Flow, standing: Standing, targets: TargetGroups): void {
    if (!this.#log.isLevelEnabled('debug')) return;
    const all = targets.flat();
    logEvent(this.#log, 'requestRouted', {
      ...named(request),
      from: remoteOf(flow),
      standing,
      route: routeOf(all[0]),
      targets: all.map(
        (target) =>
          `${target.requestUri} by ${target.flow === undefined ? hopText(target.hop) : remoteOf(target.flow)}`,
      ),
    });
  }

  sent(request: SipMessage, target: ProxyTarget, addresses: readonly ControllerAddress[]): void {
    if (!this.#log.isLevelEnabled('debug')) return;
    logEvent(this.#log, 'requestSent', {
      ...named(request),
      uri: target.requestUri,
      addresses: addresses.map((address) => `${formatAddress(address)} ${this.#stateOf(address)}`),
    });
  }

  refused(request: SipMessage, flow: Flow, { status, reason }: Refusal): void {
    if (!this.#log.isLevelEnabled('debug')) return;
    logEvent(this.#log, 'requestRefused', { ...named(request), from: remoteOf(flow), status, reason });
  }

  #stateOf(address: ControllerAddress): string {
    const peer = this.#pool.find(address);
    if (peer === undefined) return 'unknown';
    return peer.failure === undefined ? peer.health : `${peer.health} (${peer.failure})`;
  }
}

const named = ({ callId, method, requestUri }: SipMessage) => ({ callId, method, uri: requestUri });

const remoteOf = ({ transport, remote }: Flow): string => `${transport}:${formatSocketAddress(remote)}`;

/** A contact of a user, where nothing else is said. */
export const routeOf = (target: ProxyTarget | undefined): string | undefined =>
  target === undefined ? undefined : (target.route ?? 'registered');

const hopText = ({ host, port, transport }: NamedHop): string =>
  `${transport === undefined ? '' : `${transport}:`}${host}${port === undefined ? '' : `:${port}`}`;
