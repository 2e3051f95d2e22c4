/** The role of a controller of gateways: the protocol's sockets and the controller, put together for the composition root. */

import { partnersOf } from '../cluster.ts';
import type { Logger } from '../log.ts';
import type { Listener } from '../network.ts';
import type { CoreServices, Role } from '../role.ts';
import type { ControllerPool } from '../signaling/controller-pool.ts';
import { announce } from '../signaling/receiver.ts';
import type { GatewayController } from './gateway-controller.ts';

/** What a reload takes over. */
export const gatewayReloads: readonly string[] = ['gateways', 'lines', 'digitMap'];

export interface GatewayRoleParts<C> {
  readonly name: string;
  /** For the line that says that it is ready. */
  readonly title: string;
  readonly services: CoreServices;
  readonly log: Logger;
  readonly node: { readonly pool: ControllerPool; listeners: readonly Listener[] };
  /** Every socket of it. */
  readonly endpoint: { start(): Promise<readonly Listener[]>; stop(): Promise<void>; readonly isElsewhere: boolean };
  readonly controller: Pick<
    GatewayController,
    'start' | 'moved' | 'drain' | 'stop' | 'status' | 'calls' | 'peers' | 'lines' | 'gateways' | 'members'
  >;
  readonly config: C;
  /** Freshly read configuration; undefined where it is not valid. */
  parse(fresh: unknown): C | undefined;
  provision(config: C): readonly string[];
  /** Nothing more is to be done. */
  stop(): void;
  status(): Readonly<Record<string, unknown>>;
}

export function gatewayRole<C>(parts: GatewayRoleParts<C>): Role {
  const { name, title, log, node, endpoint, controller, config } = parts;
  const { clock, cluster } = parts.services;
  const startedMs = clock.now();
  return {
    name,
    async start() {
      // Known before the first message can come.
      parts.provision(config);
      const listeners = await endpoint.start();
      node.listeners = listeners;
      for (const partner of partnersOf(cluster)) node.pool.admit(partner, 'configured');
      if (endpoint.isElsewhere) controller.moved(true);
      controller.start();
      announce(log, name, title, listeners);
      return listeners;
    },
    drain: (limitMs) => controller.drain(limitMs),
    async stop() {
      controller.stop();
      parts.stop();
      await endpoint.stop();
    },
    reload(fresh) {
      const parsed = parts.parse(fresh);
      return parsed === undefined ? [] : parts.provision(parsed);
    },
    status: () => ({
      listeners: node.listeners.map(({ local, connections }) => ({ ...local, connections })),
      upMs: Math.round(clock.now() - startedMs),
      backups: cluster.backups,
      backupFor: cluster.backupFor,
      ...controller.status(),
      ...parts.status(),
    }),
    screen: {
      knows: ({ transport, remote }) =>
        controller.members.find({ transport, ...remote }) !== undefined ||
        [...controller.gateways.all()].some((gateway) => gateway.livesAt(remote.host)),
      rank: () => 'new',
    },
    calls: () => controller.calls(),
    peers: () => controller.peers(),
    lines: () => controller.lines(),
  };
}
