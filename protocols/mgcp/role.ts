/** The MGCP role: sockets, call agent and their parts of the core, put together. */
import {
  Assembler,
  type ControllerAddress,
  ControllerPool,
  type CoreServices,
  defaultPoolOptions,
  GatewayTransactions,
  gatewayRole,
  isIpLiteral,
  isWildcard,
  type Listener,
  maxMembers,
  memberIndex,
  memberSlice,
  partnersOf,
  Receiver,
  type Role,
  type SocketAddress,
  shownHost,
  TransactionIds,
  Transmitter,
  type TrustSettings,
} from '../../src/internal.ts';
import { createMgcpAdapter } from './adapter.ts';
import { maxDatagramBytes } from './codec/decode.ts';
import type { MgcpDatagram, MgcpResponse } from './codec/messages.ts';
import { callAgentPort, type MgcpConfig, mgcpConfigSchema } from './config.ts';
import { CallAgent } from './protocol.ts';

/** RFC 3435 §3.5.2. */
export const transactionSpace = { min: 1, max: 999_999_999 };

export function createMgcpRole(services: CoreServices, config: MgcpConfig, _core: TrustSettings): Role {
  const { clock, random, metrics, network, cluster } = services;
  const log = services.log.child({ protocol: 'mgcp' });
  const adapter = createMgcpAdapter('controller', (to) => agent.gatewayAt(to));
  const { timers } = config;
  const assembler: Assembler<MgcpDatagram> = new Assembler({
    adapter,
    cluster,
    addressOf: ({ local }) => ({
      transport: 'udp',
      host: isWildcard(local.host) ? (config.advertise ?? self().host) : local.host,
      port: local.port,
    }),
    isDead: (member) => agent.controller.members.find(member)?.state === 'dead',
  });
  const partners = partnersOf(cluster);
  const pool = new ControllerPool(clock, random, { ...defaultPoolOptions, holdMs: timers.holdMs });
  let listeners: readonly Listener[] = [];

  const receiver = new Receiver({
    adapter,
    clock,
    network,
    log,
    metrics,
    listen: config.listen,
    maxMessageBytes: maxDatagramBytes,
    pathFor: (flow) => assembler.path(assembler.addressOf(flow)),
    onMessage: (datagram, flow) => agent.onDatagram(datagram, flow),
    onFailed: (flow, error) => {
      transmitter.flowFailed(flow, error);
      if (error.reason === 'refused')
        agent.controller.members.refused({ transport: 'udp', host: flow.remote.host, port: flow.remote.port });
    },
  });
  const transmitter: Transmitter = new Transmitter({
    clock,
    pool,
    log,
    metrics,
    protocol: 'mgcp',
    events: services.events,
    listeners: () => receiver.listeners,
    // Partners are asked by the call agent itself.
    probe: (to, flow) => {
      if (agent.controller.members.find(to) !== undefined) return undefined;
      const id = String(ids.unguessable());
      const gateway = agent.gatewayAt(to);
      return { id, bytes: assembler.probe(to, flow, id, gateway && agent.homeOf(gateway.name)) };
    },
    options: { silenceMs: timers.silenceMs },
  });
  const self = (): ControllerAddress =>
    shownAs(listeners[0]?.local ?? config.listen[0] ?? { host: '127.0.0.1', port: callAgentPort }, config);
  const member = config.member ?? memberIndex(config.listen[0], partners);
  const ids = new TransactionIds(memberSlice(transactionSpace, member, maxMembers), random);
  const outgoing = new GatewayTransactions<MgcpResponse>({
    clock,
    random,
    transmitter,
    ids,
    timers: { tMaxMs: timers.tMaxMs, tHistMs: timers.tHistMs, longTimerMs: timers.longTimerMs },
  });
  const agent: CallAgent = new CallAgent({
    services: { ...services, log },
    config,
    assembler,
    outgoing,
    ids,
    self,
    addresses: () => (listeners.length === 0 ? [self()] : listeners.map((listener) => shownAs(listener.local, config))),
    sendOnce: (to, datagram) => transmitter.sendOnce(to, (flow) => assembler.octets(datagram, flow)),
  });

  return gatewayRole({
    name: 'mgcp',
    title: 'MGCP call agent',
    services,
    log,
    pool,
    config,
    controller: agent.controller,
    parse: (fresh) => mgcpConfigSchema.safeParse(fresh).data,
    provision: (provisioned) => agent.provision(provisioned),
    listeners: () => listeners,
    async open() {
      listeners = await receiver.start();
      // ICMP errors need a socket per peer: worth it for gateways that can be counted.
      const addresses = config.gateways.flatMap((gateway) => gateway.addresses).filter(({ host }) => isIpLiteral(host));
      if (addresses.length <= maxWatchedGateways) for (const address of addresses) pool.admit(address, 'configured');
      return listeners;
    },
    async close() {
      agent.stop();
      transmitter.stop();
      await receiver.stop();
    },
    status: () => ({}),
  });
}

/** Above this many gateway addresses a dead gateway is told by silence, not by ICMP. */
const maxWatchedGateways = 512;

/** A wildcard is no address to name. */
const shownAs = ({ host, port }: SocketAddress, { advertise }: MgcpConfig): ControllerAddress => ({
  transport: 'udp',
  host: shownHost(host, advertise),
  port,
});
